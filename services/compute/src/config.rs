//! Section `[compute]` of `nephos.toml`.

use serde::Deserialize;

/// Keys of `[compute]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where libvirt is.
    pub libvirt_uri: String,
    /// `auto` finds out whether KVM really runs guests; `kvm` and `qemu` do not ask.
    pub virt_type: String,
    /// The zone of hosts that are in none.
    pub default_zone: String,
    /// vCPUs that a host offers per processor it has.
    pub cpu_allocation_ratio: f64,
    /// Memory that a host keeps for itself.
    pub reserved_host_memory_mib: u64,
    /// A host that has not reported for this long is down.
    pub host_down_after_secs: i64,
    /// A server that is not running after this long is given up.
    pub boot_deadline_secs: i64,
    /// The network agent signs guests' metadata requests with it; empty: nobody is believed.
    pub metadata_secret: String,
    /// Seals passwords on their way to guests; empty: none can be changed. The process sets it.
    #[serde(skip)]
    pub sealing_secret: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            libvirt_uri: "qemu:///system".to_owned(),
            virt_type: "auto".to_owned(),
            default_zone: "nova".to_owned(),
            cpu_allocation_ratio: 4.0,
            reserved_host_memory_mib: 512,
            host_down_after_secs: 60,
            boot_deadline_secs: 900,
            metadata_secret: String::new(),
            sealing_secret: String::new(),
        }
    }
}
