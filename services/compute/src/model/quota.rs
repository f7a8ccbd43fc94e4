//! What a project may have.

/// What is limited, and how much unless somebody says otherwise (Nova's defaults). -1 is unlimited.
pub const DEFAULTS: &[(&str, i64)] = &[
    ("instances", 10),
    ("cores", 20),
    ("ram", 50 * 1024),
    ("metadata_items", 128),
    ("key_pairs", 100),
    ("server_groups", 10),
    ("server_group_members", 10),
    ("injected_files", 5),
    ("injected_file_content_bytes", 10 * 1024),
    ("injected_file_path_bytes", 255),
    ("fixed_ips", -1),
    ("floating_ips", -1),
    ("security_groups", -1),
    ("security_group_rules", -1),
];

/// The default limit of a resource.
#[must_use]
pub fn default_limit(resource: &str) -> Option<i64> {
    DEFAULTS
        .iter()
        .find(|(name, _)| *name == resource)
        .map(|(_, limit)| *limit)
}

/// What servers use up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Servers.
    pub instances: i64,
    /// vCPUs.
    pub cores: i64,
    /// Memory in MiB.
    pub ram: i64,
}

impl Usage {
    /// By resource name.
    #[must_use]
    pub const fn each(&self) -> [(&'static str, i64); 3] {
        [
            ("instances", self.instances),
            ("cores", self.cores),
            ("ram", self.ram),
        ]
    }
}
