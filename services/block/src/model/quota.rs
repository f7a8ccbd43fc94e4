//! What a project may have.

/// What is limited, and how much unless somebody says otherwise (Cinder's defaults). -1 is unlimited.
pub(crate) const DEFAULTS: &[(&str, i64)] = &[
    ("volumes", 10),
    ("snapshots", 10),
    ("gigabytes", 1000),
    ("backups", 10),
    ("backup_gigabytes", 1000),
    ("per_volume_gigabytes", -1),
    ("groups", 10),
];

/// What exists once for each volume type, before its name.
pub(crate) const BY_TYPE: [&str; 3] = ["volumes_", "gigabytes_", "snapshots_"];

/// What a thing uses up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage(pub Vec<(String, i64)>);

impl Usage {
    /// A volume's.
    pub(crate) fn volume(size_gib: i64, type_id: &str) -> Self {
        Self::of("volumes", 1, (size_gib, type_id))
    }

    /// A snapshot's: Cinder counts its size like a volume's.
    pub(crate) fn snapshot(size_gib: i64, type_id: &str) -> Self {
        Self::of("snapshots", 1, (size_gib, type_id))
    }

    /// A group's.
    pub(crate) fn group() -> Self {
        Self(vec![("groups".to_owned(), 1)])
    }

    /// A backup's.
    pub(crate) fn backup(size_gib: i64) -> Self {
        Self(vec![
            ("backups".to_owned(), 1),
            ("backup_gigabytes".to_owned(), size_gib),
        ])
    }

    /// What a volume grows by.
    pub(crate) fn growth(by_gib: i64, type_id: &str) -> Self {
        Self(vec![
            ("gigabytes".to_owned(), by_gib),
            (format!("gigabytes_{type_id}"), by_gib),
        ])
    }

    /// What a volume uses of the share of its type.
    pub(crate) fn of_type(size_gib: i64, type_id: &str) -> Self {
        Self(vec![
            (format!("volumes_{type_id}"), 1),
            (format!("gigabytes_{type_id}"), size_gib),
        ])
    }

    fn of(kind: &str, count: i64, (size_gib, type_id): (i64, &str)) -> Self {
        Self(vec![
            (kind.to_owned(), count),
            ("gigabytes".to_owned(), size_gib),
            (format!("{kind}_{type_id}"), count),
            (format!("gigabytes_{type_id}"), size_gib),
        ])
    }
}

/// There is not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// The name for people: of a type, with its name.
    pub resource: String,
    pub wanted: i64,
    pub used: i64,
    pub limit: i64,
}

impl Over {
    /// Cinder's words.
    pub(crate) fn words(&self) -> String {
        let Self {
            resource,
            wanted,
            used,
            limit,
        } = self;
        match resource.as_str() {
            "gigabytes" => format!(
                "Requested volume or snapshot exceeds allowed gigabytes quota. Requested {wanted}G, quota is {limit}G and {used}G has been consumed."
            ),
            "per_volume_gigabytes" => format!(
                "Requested volume size {wanted}G is larger than maximum allowed limit {limit}G."
            ),
            "backup_gigabytes" => format!(
                "Requested backup exceeds allowed Backup gigabytes quota. Requested {wanted}G, quota is {limit}G and {used}G has been consumed."
            ),
            "volumes" => {
                format!("Maximum number of volumes allowed ({limit}) exceeded for quota 'volumes'.")
            }
            "snapshots" => format!("Maximum number of snapshots allowed ({limit}) exceeded"),
            "backups" => format!("Maximum number of backups allowed ({limit}) exceeded"),
            "groups" => format!("Maximum number of groups allowed ({limit}) exceeded"),
            other => format!(
                "Quota exceeded for {other}: requested {wanted}, {used} of {limit} are used."
            ),
        }
    }
}
