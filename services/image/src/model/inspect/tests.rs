//! Crafted data of every format, and random bytes.

use proptest::prelude::*;

use super::*;

impl Source for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }
    fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(self.len());
        let count = buffer.len().min(self.len() - from);
        buffer[..count].copy_from_slice(&self[from..from + count]);
        count
    }
}

struct Bytes(Vec<u8>);
impl Source for Bytes {
    fn size(&self) -> u64 {
        self.0.size()
    }
    fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        self.0.as_slice().read(at, buffer)
    }
}

fn with(length: usize, pieces: &[(usize, &[u8])]) -> Bytes {
    let mut bytes = vec![0; length];
    for (at, piece) in pieces {
        bytes[*at..*at + piece.len()].copy_from_slice(piece);
    }
    Bytes(bytes)
}

fn qcow2(version: u32, backing: u64, features: u64) -> Bytes {
    with(
        512,
        &[
            (0, b"QFI\xfb"),
            (4, &version.to_be_bytes()),
            (8, &backing.to_be_bytes()),
            (24, &(5_u64 << 30).to_be_bytes()),
            (72, &features.to_be_bytes()),
        ],
    )
}

fn vmdk(descriptor: &str, gd_at_end: bool, footer: bool) -> Bytes {
    let header = |gd: u64| {
        let mut header = vec![0; 512];
        header[..4].copy_from_slice(b"KDMV");
        header[12..20].copy_from_slice(&2048_u64.to_le_bytes());
        header[28..36].copy_from_slice(&1_u64.to_le_bytes());
        header[36..44].copy_from_slice(&2_u64.to_le_bytes());
        header[56..64].copy_from_slice(&gd.to_le_bytes());
        header
    };
    let mut bytes = header(if gd_at_end { u64::MAX } else { 7 });
    bytes.resize(4096, 0);
    bytes[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
    if footer {
        bytes.extend(header(7));
        bytes.extend([0; 512]);
    }
    Bytes(bytes)
}

const SPARSE: &str = "# Disk DescriptorFile\nversion=1\nCID=abc\nparentCID=ffffffff\n\
     createType=\"monolithicSparse\"\nRW 2048 SPARSE \"disk.vmdk\"\nddb.adapterType = \"ide\"\n";

#[track_caller]
fn accepted(bytes: &Bytes, disk_format: &str, virtual_size: Option<u64>) {
    assert_eq!(judge(bytes, disk_format), Ok(virtual_size), "{disk_format}");
}

#[track_caller]
fn refused(bytes: &Bytes, disk_format: &str, why: &str) {
    match judge(bytes, disk_format) {
        Err(Objection::Unsafe(said)) => assert!(said.contains(why), "{said}"),
        other => panic!("{disk_format}: {other:?}"),
    }
}

#[track_caller]
fn mismatched(bytes: &Bytes, disk_format: &str) {
    let outcome = judge(bytes, disk_format);
    assert!(
        matches!(outcome, Err(Objection::Mismatch(_))),
        "{outcome:?}"
    );
}

#[test]
fn qcow2_alone_is_safe_and_what_reaches_out_is_not() {
    accepted(&qcow2(3, 0, 0), "qcow2", Some(5 << 30));
    accepted(&qcow2(2, 0, 0), "qcow2", Some(5 << 30));
    accepted(&qcow2(3, 0, 0b1_1000), "qcow2", Some(5 << 30));
    // Used as raw it is only bytes.
    accepted(&qcow2(3, 0, 0), "raw", Some(512));
    mismatched(&qcow2(3, 0, 0), "vmdk");
    mismatched(&qcow2(3, 0, 0), "ami");
    for claimed in ["qcow2", "raw"] {
        refused(&qcow2(3, 600, 0), claimed, "backing file");
        refused(&qcow2(2, 600, 0), claimed, "backing file");
        refused(&qcow2(3, 0, 0b100), claimed, "external data file");
        refused(&qcow2(3, 0, 1 << 20), claimed, "not known");
        refused(&qcow2(9, 0, 0), claimed, "version");
        refused(
            &Bytes(b"QFI\xfb\0\0\0\x03".to_vec()),
            claimed,
            "not complete",
        );
    }
    refused(&with(100, &[(0, b"QED\0")]), "raw", "QED");
}

#[test]
fn vmdk_must_keep_everything_in_itself() {
    accepted(&vmdk(SPARSE, false, false), "vmdk", Some(1 << 20));
    accepted(&vmdk(SPARSE, true, true), "vmdk", Some(1 << 20));
    refused(&vmdk(SPARSE, true, false), "vmdk", "footer");
    let changed = |from: &str, to: &str| vmdk(&SPARSE.replace(from, to), false, false);
    refused(
        &changed("monolithicSparse", "monolithicFlat"),
        "vmdk",
        "type",
    );
    refused(
        &changed("SPARSE \"disk.vmdk\"", "FLAT \"/etc/passwd\" 0"),
        "vmdk",
        "other files",
    );
    refused(&changed("disk.vmdk", "/etc/shadow"), "vmdk", "other files");
    refused(
        &changed("parentCID=ffffffff", "parentCID=12345678"),
        "vmdk",
        "backing file",
    );
    refused(
        &changed("ddb.adapterType = \"ide\"", "RW 1 SPARSE \"b.vmdk\""),
        "vmdk",
        "one extent",
    );
    let alone = SPARSE.replace("SPARSE", "FLAT").into_bytes();
    refused(&Bytes(alone), "raw", "other files");
}

#[test]
fn the_other_formats() {
    let vhd = |kind: u32| {
        with(
            1024,
            &[
                (0, b"conectix"),
                (48, &7_u64.to_be_bytes()),
                (60, &kind.to_be_bytes()),
            ],
        )
    };
    accepted(&vhd(3), "vhd", Some(7));
    refused(&vhd(4), "vhd", "backing file");
    let fixed = with(
        4096,
        &[
            (3584, b"conectix"),
            (3632, &3584_u64.to_be_bytes()),
            (3644, &2_u32.to_be_bytes()),
        ],
    );
    accepted(&fixed, "vhd", Some(3584));
    let vdi = |kind: u32| {
        with(
            1024,
            &[
                (0x40, b"\x7f\x10\xda\xbe"),
                (0x4c, &kind.to_le_bytes()),
                (0x170, &9_u64.to_le_bytes()),
            ],
        )
    };
    accepted(&vdi(1), "vdi", Some(9));
    refused(&vdi(4), "vdi", "backing file");
    let iso: &[(usize, &[u8])] = &[
        (32769, b"CD001"),
        (32768 + 80, &20_u32.to_le_bytes()),
        (32768 + 128, &2048_u16.to_le_bytes()),
    ];
    accepted(&with(40_000, iso), "iso", Some(40_960));
    let mbr: &[(usize, &[u8])] = &[(450, &[0xee]), (510, b"\x55\xaa")];
    accepted(&with(40_000, mbr), "gpt", Some(40_000));
    accepted(&with(40_000, mbr), "raw", Some(40_000));
    accepted(&with(40_000, &[iso, mbr].concat()), "iso", Some(40_960));
    mismatched(&with(40_000, &[iso, mbr].concat()), "gpt");
    let trick: &[(usize, &[u8])] = &[(0, b"QFI\xfb\0\0\0\x03")];
    refused(&with(40_000, &[iso, trick].concat()), "iso", "could be");
    accepted(
        &with(1000, &[(0, b"LUKS\xba\xbe\0\x01")]),
        "raw",
        Some(1000),
    );
    accepted(&with(1000, &[]), "ami", None);
    accepted(&with(0, &[]), "raw", Some(0));
    mismatched(&with(1000, &[]), "qcow2");
}

fn vhdx(flags: u32) -> Bytes {
    let metadata = 300 * 1024_u64;
    let regions: [u8; 16] = [
        0x06, 0xA2, 0x7C, 0x8B, 0x90, 0x47, 0x9A, 0x4B, 0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88,
        0x6E,
    ];
    let size: [u8; 16] = [
        0x24, 0x42, 0xA5, 0x2F, 0x1B, 0xCD, 0x76, 0x48, 0xB2, 0x11, 0x5D, 0xBE, 0xD8, 0x3B, 0xF4,
        0xB8,
    ];
    let parameters: [u8; 16] = [
        0x37, 0x67, 0xA1, 0xCA, 0x36, 0xFA, 0x43, 0x4D, 0xB3, 0xB6, 0x33, 0xF0, 0xAA, 0x44, 0xE7,
        0x6B,
    ];
    let (table, at) = (192 * 1024, 300 * 1024);
    with(
        400 * 1024,
        &[
            (0, b"vhdxfile"),
            (table, b"regi"),
            (table + 8, &1_u32.to_le_bytes()),
            (table + 16, &regions),
            (table + 32, &metadata.to_le_bytes()),
            (at, b"metadata"),
            (at + 10, &2_u16.to_le_bytes()),
            (at + 32, &size),
            (at + 48, &0x1000_u32.to_le_bytes()),
            (at + 64, &parameters),
            (at + 80, &0x1008_u32.to_le_bytes()),
            (at + 0x1000, &(1_u64 << 33).to_le_bytes()),
            (at + 0x100c, &flags.to_le_bytes()),
        ],
    )
}

#[test]
fn vhdx_is_followed_through_its_tables() {
    accepted(&vhdx(0), "vhdx", Some(1 << 33));
    refused(&vhdx(0b10), "vhdx", "backing file");
    refused(&with(100, &[(0, b"vhdxfile")]), "vhdx", "not complete");
}

const MAGICS: [&[u8]; 8] = [
    b"QFI\xfb\0\0\0\x03",
    b"KDMV",
    b"vhdxfile",
    b"conectix",
    b"LUKS\xba\xbe",
    b"# Disk DescriptorFile\n",
    b"QED\0",
    b"COWD",
];

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..5000), magic in 0..MAGICS.len(), claimed in 0_usize..10) {
        let formats = ["raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "gpt", "ami", "ploop"];
        let plain = judge(&Bytes(bytes.clone()), formats[claimed]);
        let mut crafted = MAGICS[magic].to_vec();
        crafted.extend(&bytes);
        let outcome = judge(&Bytes(crafted), "raw");
        // Used as raw, anything that reaches for nothing else is as large as it is.
        if let Ok(size) = outcome {
            prop_assert_eq!(size, Some((bytes.len() + MAGICS[magic].len()) as u64));
        }
        prop_assert!(plain.is_err() || plain.is_ok());
    }

    #[test]
    fn random_tables_never_panic(flags in any::<u32>(), at in 0_usize..400 * 1024, noise in proptest::collection::vec(any::<u8>(), 1..64)) {
        let mut bytes = vhdx(flags).0;
        let end = (at + noise.len()).min(bytes.len());
        let length = end - at;
        bytes[at..end].copy_from_slice(&noise[..length]);
        let _outcome = judge(&Bytes(bytes), "vhdx");
    }

    #[test]
    fn random_descriptors_never_panic(text in "\\PC{0,500}", tail in any::<bool>()) {
        let text: String = text.chars().filter(char::is_ascii).collect();
        let _outcome = judge(&vmdk(&text, tail, true), "vmdk");
    }
}
