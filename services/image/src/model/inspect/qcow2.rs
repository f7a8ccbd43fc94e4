//! qcow2, and QED, which nobody should use.

use super::{Match, Region};

const MAGIC: &[u8] = b"QFI\xfb";
/// Incompatible features that QEMU has names for: dirty, corrupt, external data file, compression, extended L2.
const KNOWN_FEATURES: u64 = 0b1_1111;
const EXTERNAL_DATA_FILE: u64 = 0b100;

pub(super) fn qcow2(head: &Region) -> Option<Match> {
    head.has(0, MAGIC).then(|| Match::of("qcow2", header(head)))
}

fn header(head: &Region) -> Option<(u64, Option<&'static str>)> {
    let version = head.u32_be(4)?;
    let backing_file = head.u64_be(8)?;
    let size = head.u64_be(24)?;
    // Version 2 ends here, and its header has no room for features.
    let features = match version {
        2 => head.bytes(0, 72).map(|_| 0)?,
        3 => head.bytes(0, 104).and_then(|_| head.u64_be(72))?,
        _other => return Some((0, Some("of a version that is not known"))),
    };
    let danger = if backing_file != 0 {
        Some("has a backing file")
    } else if features & EXTERNAL_DATA_FILE != 0 {
        Some("has an external data file")
    } else if features & !KNOWN_FEATURES != 0 {
        Some("has features that are not known")
    } else {
        None
    };
    Some((size, danger))
}

pub(super) fn qed(head: &Region) -> Option<Match> {
    let banned = || Match::of("qed", Some((0, Some("QED is not supported"))));
    head.has(0, b"QED\0").then(banned)
}
