//! The state directory: who may look where.
//!
//! QEMU runs as another user and must pass through to guests' disks below `host/`; everything else is for the owner only.

use std::io::Write as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use anyhow::Context as _;

/// Others may pass, and not look.
const PASSABLE: u32 = 0o711;
/// Nobody but the owner.
const PRIVATE: u32 = 0o700;

/// Makes the folders that are not there.
///
/// # Errors
/// When one cannot be made.
pub fn make_dirs(state_dir: &Path) -> anyhow::Result<()> {
    make(state_dir, PASSABLE)?;
    make(&state_dir.join("host"), PASSABLE)?;
    for name in ["db", "images", "objects", "policy"] {
        make(&state_dir.join(name), PRIVATE)?;
    }
    Ok(())
}

/// Whether every user may pass through to `path`.
#[must_use]
pub fn is_passable(path: &Path) -> bool {
    path.ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .all(|part| std::fs::metadata(part).is_ok_and(|found| found.mode() & 0o001 != 0))
}

/// Writes a file that only its owner can read: whole, or not at all.
///
/// # Errors
/// When the disk says no.
pub fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let written = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

fn make(path: &Path, mode: u32) -> anyhow::Result<()> {
    let made = || -> std::io::Result<()> {
        if !path.exists() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(path)?;
        }
        // The mode of a new folder is cut by the umask.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    };
    made().with_context(|| format!("cannot make the folder {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_pass_to_the_disks_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        make_dirs(&state).unwrap();
        make_dirs(&state).unwrap();
        let mode = |name: &str| std::fs::metadata(state.join(name)).unwrap().mode() & 0o777;
        assert_eq!((mode("."), mode("host")), (0o711, 0o711));
        assert_eq!(
            (mode("db"), mode("policy"), mode("images")),
            (0o700, 0o700, 0o700)
        );
        let owners = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder.path(), owners).unwrap();
        assert!(!is_passable(&state.join("host")));
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_passable(&state.join("host")));
        assert!(!is_passable(&state.join("db/x")));
    }
}
