//! Disks, config drives and consoles as files; `qemu-img` makes the overlays.

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};

use super::*;
use crate::driver::{Answer, ImageBytes, ImageSource};
use crate::model::spec::{
    Boot, ConfigDrive, ConsoleSpec, FileContent, HashAlgo, ImageHash, ImageSpec, Labels, Size, Want,
};

struct NoSource;

impl ImageSource for NoSource {
    fn open<'a>(&'a self, _image: &'a ImageSpec) -> Answer<'a, ImageBytes> {
        std::future::ready(Err(DriverError::Failed("none".to_owned()))).boxed()
    }
}

struct Bench {
    dir: tempfile::TempDir,
    disks: Disks,
    images: Images,
    clock: Clock,
}

impl Bench {
    /// A host whose cache has one raw image of so many bytes.
    fn new(image_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let cache = dir.path().join("images");
        let images = Images::open(cache, Arc::new(NoSource), clock.clone()).unwrap();
        let disks = Disks::open(dir.path().join("servers")).unwrap();
        let file = std::fs::File::create(images.path(&spec(1).boot.image.unwrap().hash)).unwrap();
        file.set_len(image_bytes).unwrap();
        Self {
            dir,
            disks,
            images,
            clock,
        }
    }

    async fn ensure(&self, spec: &ServerSpec) -> Result<(), DriverError> {
        self.disks
            .ensure_disk(spec, &self.images, &self.clock)
            .await
    }

    fn folder(&self, spec: &ServerSpec) -> PathBuf {
        self.dir
            .path()
            .join("servers")
            .join(spec.server_id.as_str())
    }
}

fn spec(disk_gib: u64) -> ServerSpec {
    let image = ImageSpec {
        id: "i".into(),
        hash: ImageHash {
            algo: HashAlgo::Sha256,
            value: "00".to_owned(),
        },
        size_bytes: 1,
        disk_format: "raw".to_owned(),
    };
    ServerSpec {
        server_id: "9f0f1d9c-0d1c-4d3c-8f6e-1a2b3c4d5e6f".into(),
        generation: 1,
        want: Want::Running,
        stop_timeout_secs: 60,
        reboot: None,
        size: Size {
            vcpus: 1,
            ram_mib: 128,
            disk_gib,
        },
        boot: Boot {
            image: Some(image),
            kernel: None,
        },
        disk_epoch: 0,
        disk: crate::model::disk::DiskWish::default(),
        volumes: Vec::new(),
        ports: Vec::new(),
        config_drive: None,
        console: ConsoleSpec::default(),
        guest_agent: false,
        live: None,
        labels: Labels::default(),
    }
}

#[tokio::test]
async fn a_disk_is_as_large_as_the_flavor_or_else_as_its_image() {
    for (image_bytes, disk_gib, expected) in [
        (1 << 20, 2, 2 << 30),
        (1 << 20, 0, 1 << 20),
        (1_000_001, 0, 1_000_448),
        (1 << 30, 1, 1 << 30),
    ] {
        let bench = Bench::new(image_bytes);
        let spec = spec(disk_gib);
        bench.ensure(&spec).await.unwrap();
        let disk = bench.folder(&spec).join("disk-0.qcow2");
        assert_eq!(
            virtual_size(&disk, "qcow2"),
            Ok(expected),
            "{image_bytes} {disk_gib}"
        );
    }
}

#[tokio::test]
async fn an_image_larger_than_the_flavor_is_refused_in_figures() {
    let bench = Bench::new((1 << 30) + 1);
    let error = bench.ensure(&spec(1)).await.unwrap_err();
    let text = "image i needs a disk of 2 GiB and the flavor has 1";
    assert_eq!(error, DriverError::Refused(text.to_owned()));
}

#[tokio::test]
async fn a_disk_that_is_there_is_kept_and_an_interrupted_one_is_made_anew() {
    let bench = Bench::new(1 << 20);
    let spec = spec(1);
    std::fs::create_dir_all(bench.folder(&spec)).unwrap();
    std::fs::write(bench.folder(&spec).join("x.part"), b"half").unwrap();
    bench.ensure(&spec).await.unwrap();
    assert!(!bench.folder(&spec).join("x.part").exists());
    let disk = bench.folder(&spec).join("disk-0.qcow2");
    std::fs::write(&disk, b"the guest wrote this").unwrap();
    bench.ensure(&spec).await.unwrap();
    assert_eq!(std::fs::read(&disk).unwrap(), b"the guest wrote this");
}

#[tokio::test]
async fn a_rebuilt_server_gets_a_new_disk_and_then_loses_the_old_one() {
    let bench = Bench::new(1 << 20);
    let mut spec = spec(1);
    bench.ensure(&spec).await.unwrap();
    spec.disk_epoch = 3;
    bench.ensure(&spec).await.unwrap();
    let files = bench.disks.look(&spec.server_id).unwrap();
    assert_eq!(files.disks, BTreeSet::from([0, 3]));
    bench.disks.remove_old_disks(&spec.server_id, &[3]).unwrap();
    let files = bench.disks.look(&spec.server_id).unwrap();
    assert_eq!(files.disks, BTreeSet::from([3]));
    let used = bench.disks.used_images();
    assert_eq!(
        used,
        BTreeSet::from([bench.images.path(&spec.boot.image.unwrap().hash)])
    );
    bench.disks.remove(&spec.server_id).unwrap();
    bench.disks.remove(&spec.server_id).unwrap();
    assert_eq!(bench.disks.look(&spec.server_id), Ok(Files::default()));
    assert_eq!(bench.disks.list(), Ok(BTreeSet::new()));
}

#[test]
fn a_config_drive_says_what_it_is_only_when_it_is_whole() {
    let bench = Bench::new(1);
    let mut spec = spec(1);
    let drive = |text: &str| ConfigDrive {
        files: [("a".to_owned(), FileContent(text.as_bytes().to_vec()))].into(),
    };
    spec.config_drive = Some(drive("one"));
    bench.disks.ensure_config_drive(&spec).unwrap();
    let said = |bench: &Bench| bench.disks.look(&spec.server_id).unwrap().config_drive;
    assert_eq!(said(&bench), Some(config_drive_fingerprint(&drive("one"))));
    // Killed between the volume and its fingerprint.
    std::fs::remove_file(bench.folder(&spec).join("config.img.is")).unwrap();
    assert_eq!(said(&bench), Some(String::new()));
    let second = ServerSpec {
        config_drive: Some(drive("two")),
        ..spec.clone()
    };
    bench.disks.ensure_config_drive(&second).unwrap();
    assert_eq!(said(&bench), Some(config_drive_fingerprint(&drive("two"))));
    let none = ServerSpec {
        config_drive: None,
        ..spec.clone()
    };
    bench.disks.ensure_config_drive(&none).unwrap();
    assert_eq!(said(&bench), None);
}

#[test]
fn a_console_is_read_from_its_end_across_the_file_before() {
    let bench = Bench::new(1);
    let spec = spec(1);
    let read = |max| bench.disks.console(&spec.server_id, max).unwrap();
    assert_eq!(read(100), b"");
    std::fs::create_dir_all(bench.folder(&spec)).unwrap();
    std::fs::write(bench.folder(&spec).join("console.log.0"), b"abc").unwrap();
    std::fs::write(bench.folder(&spec).join("console.log"), b"def").unwrap();
    assert_eq!(read(100), b"abcdef");
    assert_eq!(read(4), b"cdef");
    assert_eq!(read(2), b"ef");
}

#[test]
fn only_a_server_id_names_a_folder() {
    let bench = Bench::new(1);
    for id in [
        "",
        "..",
        "../../etc",
        "x",
        "9f0f1d9c-0d1c-4d3c-8f6e-1a2b3c4d5e6f/..",
    ] {
        let looked = bench.disks.look(&id.into());
        assert!(matches!(looked, Err(DriverError::Refused(_))), "{id}");
    }
    std::fs::create_dir(bench.dir.path().join("servers/not-a-server")).unwrap();
    assert_eq!(bench.disks.list(), Ok(BTreeSet::new()));
}

/// The file of a disk on another host, whose way breaks off after so many bytes of each try.
struct OtherHost {
    file: PathBuf,
    bytes_a_try: usize,
}

impl ImageSource for OtherHost {
    fn open<'a>(&'a self, _image: &'a ImageSpec) -> Answer<'a, ImageBytes> {
        std::future::ready(Err(DriverError::Failed("no image".to_owned()))).boxed()
    }

    fn open_disk<'a>(&'a self, _server: &'a ServerId, from: u64) -> Answer<'a, ImageBytes> {
        let all = std::fs::read(&self.file).unwrap();
        let rest = all[usize::try_from(from).unwrap()..].to_vec();
        let some = rest.into_iter().take(self.bytes_a_try).collect::<Vec<u8>>();
        let pieces: Vec<_> = some
            .chunks(7_000)
            .map(|piece| Ok(bytes::Bytes::copy_from_slice(piece)))
            .collect();
        std::future::ready(Ok(futures_util::stream::iter(pieces).boxed())).boxed()
    }
}

/// A host with a disk that is ready to be carried, and what the host that it goes to is told.
async fn ready() -> (Bench, ServerSpec) {
    let bench = Bench::new(1 << 20);
    let spec = spec(1);
    bench.ensure(&spec).await.unwrap();
    let disk = bench.folder(&spec).join("disk-0.qcow2");
    let write = std::process::Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", "write -P 7 0 200k"])
        .arg(&disk)
        .output()
        .unwrap();
    assert!(write.status.success());
    let clock = bench.clock.clone();
    bench.disks.ensure_export(&spec, &clock).await.unwrap();
    let mut moved = spec;
    moved.disk_epoch = 1;
    moved.size.disk_gib = 2;
    (bench, moved)
}

fn carried(export: &Export) -> crate::model::disk::DiskFrom {
    crate::model::disk::DiskFrom {
        epoch: 0,
        carried: Some(crate::model::disk::Carried {
            host: "one".to_owned(),
            size_bytes: export.size_bytes,
            sha256: export.sha256.clone(),
        }),
    }
}

/// The host that the disk goes to.
fn there(source: OtherHost) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let cache = dir.path().join("images");
    let images = Images::open(cache, Arc::new(source), clock.clone()).unwrap();
    let disks = Disks::open(dir.path().join("servers")).unwrap();
    Bench {
        dir,
        disks,
        images,
        clock,
    }
}

#[tokio::test]
async fn a_disk_that_is_carried_comes_whole_however_often_its_way_breaks_off() {
    let (bench, mut spec) = ready().await;
    let export = bench.disks.look(&spec.server_id).unwrap().export.unwrap();
    let file = bench.folder(&spec).join("export-0");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), export.size_bytes);
    spec.disk.from = Some(carried(&export));
    let there = there(OtherHost {
        file,
        bytes_a_try: 100_000,
    });
    let mut tries = 0;
    while let Err(error) = there.ensure(&spec).await {
        assert!(matches!(error, DriverError::Unavailable(_)), "{error}");
        tries += 1;
        assert!(tries < 100);
    }
    assert!(tries > 0);
    let disk = there.folder(&spec).join("disk-1.qcow2");
    assert_eq!(virtual_size(&disk, "qcow2").unwrap(), 2 << 30);
    let paths = there.disks.paths(&spec, &there.images).unwrap();
    assert!(paths.stands_alone);
    let read = std::process::Command::new("qemu-io")
        .args([
            "-f",
            "qcow2",
            "-c",
            "read -P 7 0 200k",
            "-c",
            "read -P 0 300k 100k",
        ])
        .arg(&disk)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stdout);
    assert!(read.status.success() && !said.contains("failed"), "{said}");
    // What was made ready goes when it is not wanted any more, and the disk stays.
    bench.disks.remove_export(&spec.server_id).unwrap();
    let files = bench.disks.look(&spec.server_id).unwrap();
    assert_eq!((files.export, files.disks), (None, BTreeSet::from([0])));
}

#[tokio::test]
async fn a_disk_that_is_not_the_one_that_was_sent_or_reaches_for_others_is_refused() {
    let (bench, mut spec) = ready().await;
    let export = bench.disks.look(&spec.server_id).unwrap().export.unwrap();
    let file = bench.folder(&spec).join("export-0");
    let lie = Export {
        sha256: "00".to_owned(),
        ..export
    };
    spec.disk.from = Some(carried(&lie));
    let whole = |file: &Path| {
        there(OtherHost {
            file: file.to_owned(),
            bytes_a_try: usize::MAX,
        })
    };
    let refused = whole(&file).ensure(&spec).await.unwrap_err();
    assert!(
        refused.to_string().contains("not the one that was sent"),
        "{refused}"
    );

    // A host that is not to be believed sends an overlay of a file of ours.
    let overlay = bench.folder(&spec).join("disk-0.qcow2");
    let bytes = std::fs::read(&overlay).unwrap();
    let says = Export {
        epoch: 0,
        size_bytes: u64::try_from(bytes.len()).unwrap(),
        sha256: hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&bytes)),
    };
    spec.disk.from = Some(carried(&says));
    let refused = whole(&overlay).ensure(&spec).await.unwrap_err();
    assert!(refused.to_string().contains("a backing file"), "{refused}");
}

#[tokio::test]
async fn a_copy_beside_a_disk_grows_and_the_disk_stays_as_it_is() {
    let bench = Bench::new(1 << 20);
    let before = spec(1);
    bench.ensure(&before).await.unwrap();
    let mut after = before.clone();
    after.disk_epoch = 1;
    after.size.disk_gib = 3;
    after.disk.from = Some(crate::model::disk::DiskFrom {
        epoch: 0,
        carried: None,
    });
    bench.ensure(&after).await.unwrap();
    let folder = bench.folder(&before);
    let size = |name: &str| virtual_size(&folder.join(name), "qcow2").unwrap();
    assert_eq!(
        (size("disk-0.qcow2"), size("disk-1.qcow2")),
        (1 << 30, 3 << 30)
    );
    assert!(folder.join("base-1").symlink_metadata().is_ok());
    let paths = bench.disks.paths(&after, &bench.images).unwrap();
    assert!(!paths.stands_alone);
}
