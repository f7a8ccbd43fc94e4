//! The section `[network]` of `nephos.toml`.

use serde::Deserialize;

/// What an operator may say; every key has a working default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// First VXLAN network identifier that is given to networks.
    pub vni_min: u32,
    /// Last VXLAN network identifier that is given to networks.
    pub vni_max: u32,
    /// The MTU of the wire between hosts; tunnelled networks get 50 (IPv6: 70) less.
    pub physical_mtu: u32,
    /// The name of the availability zone that all hosts are in.
    pub availability_zone: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vni_min: 1001,
            vni_max: 16_000_000,
            physical_mtu: 1500,
            availability_zone: "nova".to_owned(),
        }
    }
}
