//! What is on this host.

use std::collections::BTreeSet;

/// How to look at this host.
#[derive(Clone, Debug)]
pub struct OnHost {
    /// Its name in the services.
    pub name: String,
}

/// What of ours is here.
#[derive(Clone, Debug, Default)]
pub(super) struct HostPicture {
    pub(super) name: String,
    /// Servers that are defined in the hypervisor.
    pub(super) domains: BTreeSet<String>,
    /// Servers that have files.
    pub(super) files: BTreeSet<String>,
    /// Tap devices.
    pub(super) taps: BTreeSet<String>,
}

impl OnHost {
    pub(super) async fn look(&self) -> anyhow::Result<HostPicture> {
        Ok(HostPicture {
            name: self.name.clone(),
            ..HostPicture::default()
        })
    }
}
