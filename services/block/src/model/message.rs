//! What became of work, in words for users (cinder/message/message_field.py has the numbers).

/// How long messages are kept.
pub(crate) const KEEP_SECS: i64 = 30 * 24 * 3600;

/// What went wrong with what: Cinder's numbers of the action and of what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    NoBackend,
    CreateFailed,
    ImageTooLarge,
    ImageRefused,
    ExtendFailed,
    SnapshotFailed,
    SnapshotDeleteFailed,
    UploadFailed,
    MigrateFailed,
    RetypeFailed,
    RevertFailed,
    BackupFailed,
    BackupDeleteFailed,
    RestoreFailed,
}

impl Event {
    /// The number of the action and that of what happened.
    pub(crate) const fn numbers(self) -> (&'static str, &'static str) {
        match self {
            Self::NoBackend => ("001", "003"),
            Self::CreateFailed => ("008", "012"),
            Self::ImageTooLarge => ("005", "007"),
            Self::ImageRefused => ("005", "029"),
            Self::ExtendFailed => ("007", "010"),
            Self::SnapshotFailed => ("009", "013"),
            Self::SnapshotDeleteFailed => ("010", "016"),
            Self::UploadFailed => ("003", "001"),
            Self::RetypeFailed => ("001", "001"),
            // Cinder has no numbers for these.
            Self::MigrateFailed | Self::RevertFailed => ("000", "001"),
            Self::BackupFailed => ("013", "020"),
            Self::BackupDeleteFailed => ("014", "025"),
            Self::RestoreFailed => ("015", "026"),
        }
    }
}

/// Cinder's words for the number of an action.
pub(crate) fn action_words(number: &str) -> &'static str {
    match number {
        "001" => "schedule allocate volume",
        "003" => "copy volume to image",
        "005" => "copy image to volume",
        "007" => "extend volume",
        "008" => "create volume from backend storage",
        "009" => "create snapshot",
        "010" => "delete snapshot",
        "013" => "create backup",
        "014" => "delete backup",
        "015" => "restore backup",
        _other => "unknown action",
    }
}
