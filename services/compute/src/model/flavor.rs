//! Flavors: what sizes of server there are. A server keeps a copy: a flavor deleted or made anew changes no server.

use std::collections::BTreeMap;

use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};

nephos_types::id! {
    /// A flavor, by the id users give it.
    FlavorId
}

/// Largest number Nova's schemas take for sizes (`2^31 - 1`).
pub const MAX_SIZE: i64 = 0x7FFF_FFFF;

/// A size of server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flavor {
    /// Its id.
    pub id: FlavorId,
    /// Its name; unique.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory.
    pub ram_mib: u64,
    /// Root disk; 0: as large as the image.
    pub disk_gib: u64,
    /// Second disk.
    pub ephemeral_gib: u64,
    /// Swap disk.
    pub swap_mib: u64,
    /// Kept for clients; has no effect, as in Nova's libvirt driver.
    pub rxtx_factor: f64,
    /// Whether every project sees it.
    pub is_public: bool,
    /// `hw:…`, `resources:…`, `trait:…`.
    pub extra_specs: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Flavor {
    /// What it takes of a host, by resource class. A class of amount 0 is not asked for.
    ///
    /// `resources:CLASS=n` overrides, as in Nova's flavor extra specs; 0 leaves the class out.
    #[must_use]
    pub fn resources(&self) -> BTreeMap<String, u64> {
        let disk = self.disk_gib + self.ephemeral_gib + self.swap_mib.div_ceil(1024);
        let mut wanted = BTreeMap::from([
            ("VCPU".to_owned(), u64::from(self.vcpus)),
            ("MEMORY_MB".to_owned(), self.ram_mib),
            ("DISK_GB".to_owned(), disk),
        ]);
        for (key, value) in &self.extra_specs {
            if let (Some(class), Ok(amount)) = (key.strip_prefix("resources:"), value.parse()) {
                wanted.insert(class.to_owned(), amount);
            }
        }
        wanted.retain(|_, amount| *amount > 0);
        wanted
    }

    /// Traits a host must have and must not have: `trait:X=required`, `trait:X=forbidden`.
    #[must_use]
    pub fn traits(&self) -> (Vec<&str>, Vec<&str>) {
        let with = |word: &'static str| {
            let found = self
                .extra_specs
                .iter()
                .filter(move |(_, value)| value.as_str() == word);
            found
                .filter_map(|(key, _)| key.strip_prefix("trait:"))
                .collect()
        };
        (with("required"), with("forbidden"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_specs_override_and_leave_out_resources() {
        let mut flavor = Flavor {
            id: "f".into(),
            name: "f".into(),
            description: None,
            vcpus: 2,
            ram_mib: 512,
            disk_gib: 10,
            ephemeral_gib: 1,
            swap_mib: 1025,
            rxtx_factor: 1.0,
            is_public: true,
            extra_specs: BTreeMap::new(),
            created_at: Timestamp(0),
        };
        let wanted = flavor.resources();
        assert_eq!(
            (wanted["VCPU"], wanted["MEMORY_MB"], wanted["DISK_GB"]),
            (2, 512, 13)
        );
        flavor
            .extra_specs
            .insert("resources:VCPU".into(), "0".into());
        flavor
            .extra_specs
            .insert("resources:CUSTOM_GPU".into(), "1".into());
        flavor
            .extra_specs
            .insert("trait:HW_CPU_X86_AVX".into(), "required".into());
        let wanted = flavor.resources();
        assert_eq!(wanted.get("VCPU"), None);
        assert_eq!(wanted["CUSTOM_GPU"], 1);
        assert_eq!(flavor.traits().0, ["HW_CPU_X86_AVX"]);
    }
}
