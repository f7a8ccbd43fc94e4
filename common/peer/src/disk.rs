//! Files that are whole at whatever instant the process ends, and that nobody else may read.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Removes what processes that are gone were writing beside `path`.
pub(crate) fn sweep(path: &Path) {
    let beside = path.with_extension("new-");
    let (Some(folder), Some(start)) = (path.parent(), beside.file_name()) else {
        return;
    };
    let start = start.to_string_lossy();
    for found in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = found.file_name();
        let name = name.to_string_lossy();
        let Some(pid) = name.strip_prefix(&*start) else {
            continue;
        };
        let lives = Path::new("/proc").join(pid).exists();
        if !lives && pid.bytes().all(|byte| byte.is_ascii_digit()) {
            let _gone_already = fs::remove_file(found.path());
        }
    }
}

/// Writes beside and renames. Processes that share a folder do not share what they are writing.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_were_writing_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("feed");
        replace(&path, b"whole").unwrap();
        let mine = folder
            .path()
            .join(format!("feed.new-{}", std::process::id()));
        let dead = folder.path().join("feed.new-4194305");
        let other = folder.path().join("feed.new-x");
        for file in [&mine, &dead, &other] {
            fs::write(file, b"half").unwrap();
        }
        sweep(&path);
        assert!(path.exists() && mine.exists() && other.exists());
        assert!(!dead.exists());
    }
}
