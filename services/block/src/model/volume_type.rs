//! Kinds of volumes.

use std::collections::BTreeMap;

use nephos_types::Timestamp;

/// The type that a volume has when nobody names one.
pub(crate) const DEFAULT: &str = "__DEFAULT__";
/// The extra spec that lets volumes be attached to several servers.
pub(crate) const MULTIATTACH: &str = "multiattach";

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
