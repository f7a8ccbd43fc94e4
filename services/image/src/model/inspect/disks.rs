//! Formats with a fixed header: VHD, VDI, LUKS, ISO, and disks with a partition table.

use super::{Match, Region, Source};

const SECTOR: u64 = 512;

pub(super) fn vhd(head: &Region) -> Option<Match> {
    head.has(0, b"conectix")
        .then(|| Match::of("vhd", vhd_footer(head)))
}

/// A fixed VHD is the disk followed by the footer.
pub(super) fn vhd_by_footer(source: &dyn Source) -> Option<Match> {
    let footer = Region::read(source, source.size().checked_sub(SECTOR)?, 512);
    let fixed = footer.has(0, b"conectix") && footer.u32_be(60) == Some(2);
    fixed.then(|| Match::of("vhd", vhd_footer(&footer)))
}

fn vhd_footer(footer: &Region) -> Option<(u64, Option<&'static str>)> {
    let size = footer.u64_be(48)?;
    let danger = match footer.u32_be(60)? {
        2 | 3 => None,
        4 => Some("has a backing file"),
        _other => Some("of a type that is not known"),
    };
    Some((size, danger))
}

pub(super) fn vdi(head: &Region) -> Option<Match> {
    let read = || {
        let size = head.u64_le(0x170)?;
        let danger = match head.u32_le(0x4c)? {
            1 | 2 => None,
            _undo_or_difference => Some("has a backing file"),
        };
        Some((size, danger))
    };
    head.has(0x40, b"\x7f\x10\xda\xbe")
        .then(|| Match::of("vdi", read()))
}

pub(super) fn luks(source: &dyn Source, head: &Region) -> Option<Match> {
    let read = || {
        let danger = match head.array(6).map(u16::from_be_bytes)? {
            1 | 2 => None,
            _other => Some("of a version that is not known"),
        };
        // Version 1 says in sectors where the data begins.
        let header = u64::from(head.u32_be(104)?).saturating_mul(SECTOR);
        Some((source.size().saturating_sub(header), danger))
    };
    head.has(0, b"LUKS\xba\xbe")
        .then(|| Match::of("luks", read()))
}

pub(super) fn iso(source: &dyn Source) -> Option<Match> {
    let descriptor = Region::read(source, 32 * 1024, 2048);
    let known = ["CD001", "NSR02", "NSR03"];
    if !known
        .iter()
        .any(|magic| descriptor.has(1, magic.as_bytes()))
    {
        return None;
    }
    let read = || {
        let blocks = u64::from(descriptor.u32_le(80)?);
        let block = u64::from(descriptor.u16_le(128)?);
        Some((blocks.saturating_mul(block), None))
    };
    Some(Match::of("iso", read()))
}

/// A disk with a partition table; a file system's boot sector ends like one, but begins otherwise.
pub(super) fn partitioned(source: &dyn Source, head: &Region) -> Option<Match> {
    let signed = head.has(510, b"\x55\xaa");
    let entries = (0..4).map(|index| head.bytes(446 + index * 16, 16));
    let mut any = false;
    for entry in entries {
        let (flag, kind) = (*entry?.first()?, *entry?.get(4)?);
        if flag != 0 && flag != 0x80 {
            return None;
        }
        any |= kind != 0;
    }
    let fat = head.has(54, b"FAT1") || head.has(82, b"FAT32") || head.has(3, b"NTFS");
    (signed && any && !fat).then(|| Match::of("gpt", Some((source.size(), None))))
}
