//! VHDX: the size and the flag of a parent stand in a table that another table points to.

use super::{Match, Region, Source};

const REGION_TABLES: [u64; 2] = [192 * 1024, 256 * 1024];
const METADATA: [u8; 16] = guid(
    0x8B7C_A206,
    0x4790,
    0x4B9A,
    *b"\xB8\xFE\x57\x5F\x05\x0F\x88\x6E",
);
const DISK_SIZE: [u8; 16] = guid(
    0x2FA5_4224,
    0xCD1B,
    0x4876,
    *b"\xB2\x11\x5D\xBE\xD8\x3B\xF4\xB8",
);
const PARAMETERS: [u8; 16] = guid(
    0xCAA1_6737,
    0xFA36,
    0x4D43,
    *b"\xB3\xB6\x33\xF0\xAA\x44\xE7\x6B",
);
/// Entries that a table may have.
const MAX_ENTRIES: usize = 2047;
const HAS_PARENT: u32 = 0b10;

/// A GUID as Windows writes it: three numbers in little endian, then bytes.
const fn guid(a: u32, b: u16, c: u16, d: [u8; 8]) -> [u8; 16] {
    let ([a0, a1, a2, a3], [b0, b1], [c0, c1]) =
        (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
    let [d0, d1, d2, d3, d4, d5, d6, d7] = d;
    [
        a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7,
    ]
}

pub(super) fn vhdx(source: &dyn Source, head: &Region) -> Option<Match> {
    head.has(0, b"vhdxfile")
        .then(|| Match::of("vhdx", read(source)))
}

fn read(source: &dyn Source) -> Option<(u64, Option<&'static str>)> {
    let metadata = REGION_TABLES
        .into_iter()
        .find_map(|at| metadata_region(&Region::read(source, at, Region::MAX)))?;
    let table = Region::read(source, metadata, Region::MAX);
    if !table.has(0, b"metadata") {
        return None;
    }
    let entries = usize::from(table.u16_le(10)?).min(MAX_ENTRIES);
    let item = |wanted: &[u8; 16]| -> Option<u64> {
        (0..entries)
            .map(|index| 32 + index * 32)
            .find(|at| table.has(*at, wanted))
            .and_then(|at| Some(metadata.saturating_add(u64::from(table.u32_le(at + 16)?))))
    };
    let size = Region::read(source, item(&DISK_SIZE)?, 8).u64_le(0)?;
    let flags = Region::read(source, item(&PARAMETERS)?, 8).u32_le(4)?;
    let danger = (flags & HAS_PARENT != 0).then_some("has a backing file");
    Some((size, danger))
}

/// Where the metadata region begins.
fn metadata_region(table: &Region) -> Option<u64> {
    if !table.has(0, b"regi") {
        return None;
    }
    let entries = usize::try_from(table.u32_le(8)?).ok()?.min(MAX_ENTRIES);
    (0..entries)
        .map(|index| 16 + index * 32)
        .find(|at| table.has(*at, &METADATA))
        .and_then(|at| table.u64_le(at + 16))
}
