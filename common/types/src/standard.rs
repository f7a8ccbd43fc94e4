//! Resource classes and traits: the standard names of os-resource-classes and os-traits, and the form of custom ones.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Longest name of a class or trait.
pub const LONGEST: usize = 255;
/// How the name of a custom class or trait begins.
pub const CUSTOM: &str = "CUSTOM_";

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

/// Whether the text has the form of a class, trait or consumer type: capitals, digits and `_`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.bytes().all(plain)
}

/// Whether the text is a custom class or trait that may be made.
#[must_use]
pub fn is_custom(text: &str) -> bool {
    text.len() <= LONGEST && text.strip_prefix(CUSTOM).is_some_and(is_name)
}
