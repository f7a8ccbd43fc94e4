//! Kinds of volumes.

use std::collections::BTreeMap;

use nephos_types::Timestamp;

/// The type that a volume has when nobody names one.
pub(crate) const DEFAULT: &str = "__DEFAULT__";
/// The extra spec that lets volumes be attached to several servers.
pub(crate) const MULTIATTACH: &str = "multiattach";

/// The extra specs that say how small and how large volumes may be, in GiB.
pub(crate) const MIN_SIZE: &str = "provisioning:min_vol_size";
pub(crate) const MAX_SIZE: &str = "provisioning:max_vol_size";

/// A volume type as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VolumeType {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub is_public: bool,
    pub specs: BTreeMap<String, String>,
    /// How fast its volumes may be read and written.
    pub qos_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl VolumeType {
    /// Whether its volumes may be attached to several servers.
    pub(crate) fn is_multiattach(&self) -> bool {
        self.specs.get(MULTIATTACH).map(String::as_str) == Some("<is> True")
    }

    /// Why there is no volume of this size of it (cinder/volume/volume_types.py, `provision_filter_on_size`).
    pub(crate) fn refuses(&self, size_gib: i64) -> Option<String> {
        let bound = |key: &str| self.specs.get(key)?.parse::<i64>().ok();
        let words = |how: &str, bound: i64| {
            format!(
                "Specified volume size of '{size_gib}' is {how} '{bound}' for volume type '{}'.",
                self.name
            )
        };
        let least = bound(MIN_SIZE).filter(|least| size_gib < *least);
        let most = bound(MAX_SIZE).filter(|most| size_gib > *most);
        least
            .map(|least| words("less than the minimum required volume size of", least))
            .or_else(|| {
                most.map(|most| words("greater than the maximum allowable volume size of", most))
            })
    }

    /// The specs that everybody may see (Cinder's list of those that say what a volume can do).
    pub(crate) fn shown_specs(&self, all: bool) -> BTreeMap<String, String> {
        let open = [
            MULTIATTACH,
            "RESKEY:availability_zones",
            "replication_enabled",
        ];
        self.specs
            .iter()
            .filter(|(key, _)| all || open.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// The zones that its volumes may be in; none said, any.
    pub(crate) fn zones(&self) -> Option<Vec<&str>> {
        let zones = self.specs.get("RESKEY:availability_zones")?;
        Some(zones.split(',').map(str::trim).collect())
    }
}
