//! What image data is, by its content: format, virtual size, and whether it is safe to use.
//!
//! The data is the work of strangers: nothing read from it is trusted, no length of it makes a buffer larger than
//! [`Region::MAX`], and no input panics. The judgement follows oslo.utils' format inspector, as Glance uses it.

mod disks;
mod qcow2;
mod vhdx;
mod vmdk;

#[cfg(test)]
mod tests;

/// Where bytes are read from.
pub(crate) trait Source {
    /// How many there are.
    fn size(&self) -> u64;
    /// Fills `buffer` from `at` on as far as there are bytes; gives their number.
    fn read(&self, at: u64, buffer: &mut [u8]) -> usize;
}

/// Some bytes of a source; what is not there reads as nothing.
#[derive(Debug)]
struct Region(Vec<u8>);

impl Region {
    const MAX: usize = 64 * 1024;

    fn read(source: &dyn Source, at: u64, length: usize) -> Self {
        let mut bytes = vec![0; length.min(Self::MAX)];
        let got = source.read(at, &mut bytes);
        bytes.truncate(got);
        Self(bytes)
    }

    fn bytes(&self, at: usize, length: usize) -> Option<&[u8]> {
        self.0.get(at..at.checked_add(length)?)
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes(at, N)?.try_into().ok()
    }

    fn u16_le(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32_le(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn u64_le(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    fn u32_be(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn u64_be(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_be_bytes)
    }

    fn has(&self, at: usize, magic: &[u8]) -> bool {
        self.bytes(at, magic.len()) == Some(magic)
    }
}

/// A format that data was recognised as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Glance's name of it.
    pub format: &'static str,
    /// The size of the disk that a guest would see.
    pub virtual_size: u64,
    /// Why it must not be used.
    pub danger: Option<String>,
}

impl Match {
    /// A match of `read`, or one that is dangerous because it is not all there.
    fn of(format: &'static str, read: Option<(u64, Option<&str>)>) -> Self {
        let (virtual_size, danger) = read.unwrap_or((0, Some("its header is not complete")));
        Self {
            format,
            virtual_size,
            danger: danger.map(str::to_owned),
        }
    }
}

/// Every format that the data could be, raw excepted: anything can be raw.
pub(crate) fn recognise(source: &dyn Source) -> Vec<Match> {
    let head = Region::read(source, 0, 4096);
    let mut found: Vec<Match> = [
        qcow2::qcow2(&head),
        qcow2::qed(&head),
        vmdk::vmdk(source, &head),
        vhdx::vhdx(source, &head),
        disks::vhd(&head),
        disks::vdi(&head),
        disks::luks(source, &head),
        disks::iso(source),
    ]
    .into_iter()
    .flatten()
    .collect();
    // What can stand at the very end or in the first sector of a disk counts only when nothing else claims the data.
    if found.is_empty() {
        found.extend(disks::vhd_by_footer(source));
    }
    if found.iter().all(|found| found.format == "iso") {
        found.extend(disks::partitioned(source, &head));
    }
    found
}

/// Formats whose content is recognised; others, like `ami`, are taken as they come unless they are one of these.
const INSPECTABLE: &[&str] = &[
    "raw", "qcow2", "vhd", "vhdx", "vmdk", "vdi", "qed", "iso", "gpt", "luks",
];

/// Data that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// It is not what the image's `disk_format` says.
    Mismatch(String),
    /// It reaches for other files, or cannot be understood.
    Unsafe(String),
}

/// Judges data by the format that its image claims; gives the virtual size where there is one.
pub(crate) fn judge(source: &dyn Source, disk_format: &str) -> Result<Option<u64>, Objection> {
    let found = recognise(source);
    let one = pick(&found)?;
    if let Some((format, danger)) = one.and_then(|one| Some((one.format, one.danger.as_ref()?))) {
        return Err(Objection::Unsafe(format!(
            "Image failed safety checks: it is {format} and {danger}"
        )));
    }
    let format = one.map_or("raw", |one| one.format);
    let actual = source.size();
    if format == disk_format {
        return Ok(Some(one.map_or(actual, |one| one.virtual_size)));
    }
    if disk_format == "raw" {
        return Ok(Some(actual));
    }
    if format == "raw" && !INSPECTABLE.contains(&disk_format) {
        return Ok(None);
    }
    Err(Objection::Mismatch(format!(
        "Image disk_format {disk_format} does not match stream data {format}"
    )))
}

/// The one format; a bootable ISO may carry a partition table, any other mixture is a trick.
fn pick(found: &[Match]) -> Result<Option<&Match>, Objection> {
    match found {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        [iso, gpt] if iso.format == "iso" && gpt.format == "gpt" => Ok(Some(iso)),
        many => {
            let names: Vec<&str> = many.iter().map(|one| one.format).collect();
            Err(Objection::Unsafe(format!(
                "Image failed safety checks: it could be {}",
                names.join(" or ")
            )))
        }
    }
}
