//! VMDK: one sparse file that contains its whole disk. Descriptors can name files of the host; those are refused.

use super::{Match, Region, Source};

const SECTOR: u64 = 512;
/// `gd_offset` of a stream-optimised file: the header with the real one stands at the end.
const AT_END: u64 = u64::MAX;

pub(super) fn vmdk(source: &dyn Source, head: &Region) -> Option<Match> {
    if head.has(0, b"KDMV") {
        return Some(match sparse(source, head) {
            Ok(size) => Match::of("vmdk", Some((size, None))),
            Err(danger) => Match::of("vmdk", Some((0, Some(danger)))),
        });
    }
    // A descriptor alone names the files that hold the data.
    let text = head.bytes(0, head.0.len().min(512)).unwrap_or_default();
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let descriptor = text.trim_start().starts_with("# disk descriptorfile");
    if descriptor || head.has(0, b"COWD") {
        let danger = "keeps its data in other files";
        return Some(Match::of("vmdk", Some((0, Some(danger)))));
    }
    None
}

fn sparse(source: &dyn Source, head: &Region) -> Result<u64, &'static str> {
    let incomplete = "its header is not complete";
    let size = header(head).ok_or(incomplete)?;
    if head.u64_le(56) == Some(AT_END) {
        // The footer is the last but one sector; it must say the same, since QEMU believes it more than the header.
        let footer = Region::read(source, source.size().saturating_sub(2 * SECTOR), 512);
        let same = footer.has(0, b"KDMV")
            && footer.bytes(12, 32) == head.bytes(12, 32)
            && footer.u64_le(56) != Some(AT_END);
        if !same {
            return Err("has no footer that agrees with its header");
        }
    }
    let at = head.u64_le(28).ok_or(incomplete)?;
    let sectors = head.u64_le(36).ok_or(incomplete)?;
    if at == 0 || sectors == 0 {
        return Err("has no descriptor");
    }
    let length = usize::try_from(sectors.saturating_mul(SECTOR)).unwrap_or(usize::MAX);
    if length > Region::MAX {
        return Err("has a descriptor of a size that nobody needs");
    }
    let descriptor = Region::read(source, at.saturating_mul(SECTOR), length);
    check_descriptor(&descriptor.0)?;
    Ok(size)
}

/// The capacity in bytes.
fn header(head: &Region) -> Option<u64> {
    let _whole = head.bytes(0, 512)?;
    head.u64_le(12)?.checked_mul(SECTOR)
}

fn check_descriptor(bytes: &[u8]) -> Result<(), &'static str> {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| "has a descriptor that is no text")?;
    let (mut kind, mut extents) = (None, 0);
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "createtype" => kind = Some(value.to_ascii_lowercase()),
                "parentcid" if !value.eq_ignore_ascii_case("ffffffff") => {
                    return Err("has a backing file");
                }
                "parentfilenamehint" => return Err("has a backing file"),
                _harmless => {}
            }
        } else {
            check_extent(line)?;
            extents += 1;
        }
    }
    match kind.as_deref() {
        Some("monolithicsparse" | "streamoptimized") if extents == 1 => Ok(()),
        Some("monolithicsparse" | "streamoptimized") => {
            Err("does not keep its data in exactly one extent")
        }
        _other => Err("is not of a type that keeps all data in one file"),
    }
}

/// `RW 20480 SPARSE "disk.vmdk"`.
fn check_extent(line: &str) -> Result<(), &'static str> {
    let odd = "has an extent that cannot be understood";
    let mut words = line.splitn(4, ' ');
    let access = words.next().ok_or(odd)?;
    let _sectors: u64 = words.next().and_then(|word| word.parse().ok()).ok_or(odd)?;
    let kind = words.next().ok_or(odd)?;
    let name = words.next().ok_or(odd)?;
    if !["RW", "RDONLY", "NOACCESS"].contains(&access) {
        return Err(odd);
    }
    if !kind.eq_ignore_ascii_case("SPARSE") || name.contains(['/', '\\']) {
        return Err("keeps its data in other files");
    }
    Ok(())
}
