//! The config drive: a small FAT volume with the label `config-2`, made in memory.
//!
//! FAT, not ISO 9660: no external tool, and every guest kernel reads it from a plain disk.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

use crate::driver::DriverError;
use crate::model::spec::FileContent;

/// Nova's config drives have this size too; a larger one is a mistake or an attack.
const MAX_CONTENT_BYTES: usize = 64 << 20;
const CLUSTER: usize = 4096;
const MIN_BYTES: usize = 1 << 20;

/// The volume's bytes.
///
/// # Errors
/// `Refused` when the files do not fit or a path is none.
pub fn volume(files: &BTreeMap<String, FileContent>) -> Result<Vec<u8>, DriverError> {
    let content: usize = files.values().map(|file| file.0.len()).sum();
    if content > MAX_CONTENT_BYTES {
        let mib = MAX_CONTENT_BYTES >> 20;
        return Err(DriverError::Refused(format!(
            "a config drive holds {mib} MiB at most"
        )));
    }
    if let Some(path) = files.keys().find(|path| !is_plain(path)) {
        return Err(DriverError::Refused(format!(
            "'{path}' is no path for a config drive"
        )));
    }
    // Each file and each directory on its way may waste a cluster; the FAT itself takes less than a thousandth.
    let clusters: usize = files.keys().map(|path| path.split('/').count() + 1).sum();
    let bytes = MIN_BYTES + content + content / 64 + clusters * CLUSTER;
    let mut disk = Cursor::new(vec![0; bytes.next_multiple_of(512)]);
    write(&mut disk, files)
        .map_err(|cause| DriverError::Failed(format!("cannot make the config drive: {cause}")))?;
    Ok(disk.into_inner())
}

fn write(disk: &mut Cursor<Vec<u8>>, files: &BTreeMap<String, FileContent>) -> std::io::Result<()> {
    let options = FormatVolumeOptions::new().volume_label(*b"config-2   ");
    fatfs::format_volume(&mut *disk, options)?;
    let volume = FileSystem::new(&mut *disk, FsOptions::new())?;
    let root = volume.root_dir();
    for (path, content) in files {
        let mut at = 0;
        while let Some(slash) = path.get(at..).and_then(|rest| rest.find('/')) {
            root.create_dir(path.get(..at + slash).unwrap_or_default())?;
            at += slash + 1;
        }
        let mut file = root.create_file(path)?;
        file.write_all(&content.0)?;
        file.flush()?;
    }
    drop(root);
    volume.unmount()
}

fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
        && path
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[track_caller]
    fn check(files: &[(&str, usize)]) {
        let files: BTreeMap<String, FileContent> = files
            .iter()
            .map(|(path, size)| ((*path).to_owned(), FileContent(vec![b'x'; *size])))
            .collect();
        let bytes = volume(&files).unwrap();
        let disk = FileSystem::new(Cursor::new(bytes), FsOptions::new()).unwrap();
        let label = disk.read_volume_label_from_root_dir().unwrap();
        assert_eq!(label.as_deref(), Some("config-2"));
        for (path, content) in &files {
            let mut read = Vec::new();
            disk.root_dir()
                .open_file(path)
                .unwrap()
                .read_to_end(&mut read)
                .unwrap();
            assert_eq!(read, content.0, "{path}");
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        check(&[]);
        check(&[
            ("openstack/latest/meta_data.json", 400),
            ("openstack/latest/user_data", 65_535),
        ]);
        check(&[
            ("openstack/content/0000", 3 << 20),
            ("ec2/2009-04-04/meta-data.json", 1),
        ]);
        check(&[("openstack/content/0000", 30 << 20)]);
        let many: Vec<String> = (0..200)
            .map(|n| format!("openstack/content/{n:04}"))
            .collect();
        check(
            &many
                .iter()
                .map(|path| (path.as_str(), 10))
                .collect::<Vec<_>>(),
        );
    }

    #[test]
    fn paths_that_are_none_and_floods_are_refused() {
        for path in ["", "/etc/passwd", "a/../b", "a//b", "a/b/", "ä", "a\0b"] {
            let files = BTreeMap::from([(path.to_owned(), FileContent(Vec::new()))]);
            assert!(
                matches!(volume(&files), Err(DriverError::Refused(_))),
                "{path}"
            );
        }
        let flood = FileContent(vec![0; MAX_CONTENT_BYTES + 1]);
        let files = BTreeMap::from([("a".to_owned(), flood)]);
        assert!(matches!(volume(&files), Err(DriverError::Refused(_))));
    }
}
