//! The cache against streams that lie, break off or reach out.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::*;
use crate::driver::{Answer, ImageBytes};

/// One image, in chunks; after the last an error, if there is one.
struct Source {
    chunks: Vec<Bytes>,
    breaks: Option<String>,
    opened: AtomicU32,
}

impl ImageSource for Source {
    fn open<'a>(&'a self, _image: &'a ImageSpec) -> Answer<'a, ImageBytes> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let chunks = self.chunks.iter().cloned().map(Ok);
        let end = self.breaks.clone().map(Err);
        let all: Vec<Result<Bytes, String>> = chunks.chain(end).collect();
        let stream = futures_util::stream::iter(all).then(|chunk| async move {
            tokio::task::yield_now().await;
            chunk
        });
        std::future::ready(Ok(stream.boxed())).boxed()
    }
}

struct Bench {
    dir: tempfile::TempDir,
    source: Arc<Source>,
    images: Images,
}

fn bench(content: &[u8], breaks: Option<&str>) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let source = Arc::new(Source {
        chunks: content.chunks(1000).map(Bytes::copy_from_slice).collect(),
        breaks: breaks.map(str::to_owned),
        opened: AtomicU32::new(0),
    });
    let from: Arc<dyn ImageSource> = Arc::<Source>::clone(&source);
    let images = Images::open(dir.path().join("images"), from, Clock::system()).unwrap();
    Bench {
        dir,
        source,
        images,
    }
}

fn spec(content: &[u8], format: &str) -> ImageSpec {
    ImageSpec {
        id: "i".into(),
        hash: ImageHash {
            algo: HashAlgo::Sha256,
            value: hex::encode(Sha256::digest(content)),
        },
        size_bytes: content.len().try_into().unwrap(),
        disk_format: format.to_owned(),
    }
}

/// What `qemu-img` makes of these words, as bytes.
fn qemu_img(words: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("image");
    std::fs::write(dir.path().join("other"), vec![0; 1 << 20]).unwrap();
    let done = std::process::Command::new("qemu-img")
        .current_dir(dir.path())
        .args(words)
        .args(["image", "1M"])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    std::fs::read(file).unwrap()
}

/// The image is refused, in these words, and nothing of it is left.
async fn check_refused(content: &[u8], spec: &ImageSpec, breaks: Option<&str>, words: &str) {
    let bench = bench(content, breaks);
    let error = bench.images.ensure(spec).await.unwrap_err();
    assert!(
        error.to_string().contains(words),
        "'{error}' lacks '{words}'"
    );
    let left = std::fs::read_dir(bench.dir.path().join("images")).unwrap();
    assert_eq!(left.count(), 0, "{words}");
}

#[tokio::test]
async fn an_image_is_fetched_once_however_many_ask() {
    let content = vec![5; 10_000];
    let bench = bench(&content, None);
    let spec = spec(&content, "raw");
    let asks = (0..20).map(|_| bench.images.ensure(&spec));
    for done in futures_util::future::join_all(asks).await {
        done.unwrap();
    }
    assert_eq!(bench.source.opened.load(Ordering::Relaxed), 1);
    assert_eq!(
        std::fs::read(bench.images.path(&spec.hash)).unwrap(),
        content
    );
}

#[tokio::test]
async fn other_bytes_than_promised_are_refused() {
    let content = vec![5; 10_000];
    let promised = spec(&content, "raw");
    let mut other = content.clone();
    other[5_000] = 6;
    check_refused(&other, &promised, None, "does not have the hash").await;
    check_refused(&content[..9_999], &promised, None, "came with 9999").await;
    let longer = [content.as_slice(), &[5]].concat();
    check_refused(&longer, &promised, None, "came with 10001").await;
    check_refused(
        &content,
        &promised,
        Some("connection reset"),
        "broke off: connection reset",
    )
    .await;
}

#[tokio::test]
async fn a_format_that_is_not_what_it_says_is_refused() {
    let raw = vec![5; 10_000];
    check_refused(&raw, &spec(&raw, "qcow2"), None, "not a sound qcow2").await;
    check_refused(&raw, &spec(&raw, "vmdk"), None, "disk format vmdk").await;
    let cut = &qemu_img(&["create", "-q", "-f", "qcow2"])[..60];
    check_refused(cut, &spec(cut, "qcow2"), None, "not a sound qcow2").await;
}

#[tokio::test]
async fn an_image_that_reaches_for_other_files_is_refused() {
    let backing = qemu_img(&["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "other"]);
    check_refused(
        &backing,
        &spec(&backing, "qcow2"),
        None,
        "has a backing file",
    )
    .await;
    let data_file = qemu_img(&["create", "-q", "-f", "qcow2", "-o", "data_file=outside"]);
    check_refused(
        &data_file,
        &spec(&data_file, "qcow2"),
        None,
        "external data file",
    )
    .await;
    // The same bytes as raw are a disk like any other: nobody looks into it.
    let bench = bench(&backing, None);
    bench.images.ensure(&spec(&backing, "raw")).await.unwrap();
}

#[tokio::test]
async fn a_sound_qcow2_is_kept() {
    let sound = qemu_img(&["create", "-q", "-f", "qcow2"]);
    let bench = bench(&sound, None);
    let spec = spec(&sound, "qcow2");
    bench.images.ensure(&spec).await.unwrap();
    assert!(bench.images.path(&spec.hash).exists());
}

#[tokio::test]
async fn unused_images_go_and_those_in_use_stay() {
    let content = vec![5; 10];
    let bench = bench(&content, None);
    let spec = spec(&content, "raw");
    bench.images.ensure(&spec).await.unwrap();
    let path = bench.images.path(&spec.hash);
    let later = Clock::system().now().plus_secs(60);
    let (nobody, none) = (BTreeSet::new(), BTreeSet::new());
    let keep = BTreeSet::from([spec.hash.clone()]);
    let used = BTreeSet::from([path.clone()]);
    let young = later.plus_secs(-3600);
    assert_eq!(bench.images.remove_unused(&keep, &none, later), Ok(0));
    assert_eq!(bench.images.remove_unused(&nobody, &used, later), Ok(0));
    assert_eq!(bench.images.remove_unused(&nobody, &none, young), Ok(0));
    assert_eq!(bench.images.remove_unused(&nobody, &none, later), Ok(1));
    assert!(!path.exists());
}

#[test]
fn what_a_killed_process_left_goes_and_a_hash_names_no_path() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.part"), b"half").unwrap();
    std::fs::write(dir.path().join("sha256-00"), b"whole").unwrap();
    let source = bench(&[], None).source;
    let images = Images::open(dir.path().to_owned(), source, Clock::system()).unwrap();
    assert!(!dir.path().join("x.part").exists());
    assert!(dir.path().join("sha256-00").exists());
    let hash = ImageHash {
        algo: HashAlgo::Sha256,
        value: "../../etc/00".to_owned(),
    };
    assert_eq!(images.path(&hash).parent(), Some(dir.path()));
}
