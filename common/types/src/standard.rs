//! The standard resource classes and traits: the names of os-resource-classes and os-traits.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The standard resource classes in their upstream order.
pub const CLASSES: &[&str] = &[
    "VCPU",
    "MEMORY_MB",
    "DISK_GB",
    "PCI_DEVICE",
    "SRIOV_NET_VF",
    "NUMA_SOCKET",
    "NUMA_CORE",
    "NUMA_THREAD",
    "NUMA_MEMORY_MB",
    "IPV4_ADDRESS",
    "VGPU",
    "VGPU_DISPLAY_HEAD",
    "NET_BW_EGR_KILOBIT_PER_SEC",
    "NET_BW_IGR_KILOBIT_PER_SEC",
    "PCPU",
    "MEM_ENCRYPTION_CONTEXT",
    "FPGA",
    "PGPU",
    "NET_PACKET_RATE_KILOPACKET_PER_SEC",
    "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC",
    "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
];

static TRAITS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    include_str!("standard_traits.txt")
        .lines()
        .filter(|line| !line.is_empty())
        .collect()
});

/// The standard traits, sorted.
pub fn traits() -> impl Iterator<Item = &'static str> {
    TRAITS.iter().copied()
}

/// Whether the class comes with the program.
#[must_use]
pub fn is_class(name: &str) -> bool {
    CLASSES.contains(&name)
}

/// Whether the trait comes with the program.
#[must_use]
pub fn is_trait(name: &str) -> bool {
    TRAITS.contains(name)
}
