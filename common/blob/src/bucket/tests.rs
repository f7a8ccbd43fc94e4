//! A bucket against an S3 in memory.

use futures_util::TryStreamExt as _;

use super::other::{Fault, Other, settings as other_settings};
use super::write::PART_BYTES;
use aws_sdk_s3::config::timeout::TimeoutConfig;

use super::*;
use crate::Page;

pub(super) fn settings() -> BucketSettings {
    other_settings()
}

/// Bytes of which none is like its neighbours.
fn bytes(length: usize) -> Bytes {
    let pattern: Vec<u8> = (0..251).collect();
    pattern.iter().copied().cycle().take(length).collect()
}

async fn store(bucket: &Bucket, key: &str, bytes: &Bytes) -> Result<String, Error> {
    let mut writer = bucket.write(key)?.md5_only();
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        let chunk = rest.split_to(rest.len().min(1_000_000));
        writer.write(chunk).await?;
    }
    let digests = writer.flush().await?;
    assert_eq!(digests.size, bytes.len() as u64);
    writer.finish().await?;
    Ok(digests.md5)
}

async fn fetch(bucket: &Bucket, key: &str, range: std::ops::Range<u64>) -> Result<Vec<u8>, Error> {
    let chunks = bucket.read(key, range).await?;
    let chunks: Result<Vec<Bytes>, _> = chunks.try_collect().await;
    let chunks = chunks.map_err(|why| Error::io("read on", why))?;
    Ok(chunks.concat())
}

#[tokio::test]
async fn a_small_blob_is_one_request_and_seen_only_when_it_is_finished() {
    let (other, key) = (Other::default(), "0b6a-1");
    let bucket = other.bucket();
    let mut writer = bucket.write(key).unwrap();
    writer.write(Bytes::from_static(b"hello ")).await.unwrap();
    writer.write(Bytes::from_static(b"world")).await.unwrap();
    let digests = writer.flush().await.unwrap();
    assert_eq!(digests.md5, "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert!(
        digests
            .sha512
            .starts_with("309ecc489c12d6eb4cc40f50c902f2b4")
    );
    assert_eq!(bucket.size(key).await.unwrap(), None);
    writer.finish().await.unwrap();
    assert_eq!(bucket.size(key).await.unwrap(), Some(11));
    assert_eq!(fetch(&bucket, key, 0..11).await.unwrap(), b"hello world");
    assert_eq!(fetch(&bucket, key, 6..8).await.unwrap(), b"wo");
    assert!(fetch(&bucket, key, 6..6).await.unwrap().is_empty());
    assert_eq!((other.asked("put"), other.asked("begin")), (1, 0));
    assert_eq!(
        other.inside(|it| it.objects.keys().cloned().collect::<Vec<_>>()),
        ["objects/0b6a-1"]
    );
}

#[tokio::test]
async fn what_fits_into_one_part_is_one_request_and_a_byte_more_is_two_parts() {
    let other = Other::default();
    let bucket = other.bucket();
    store(&bucket, "one", &bytes(PART_BYTES)).await.unwrap();
    assert_eq!((other.asked("put"), other.asked("part")), (1, 0));
    store(&bucket, "two", &bytes(PART_BYTES + 1)).await.unwrap();
    assert_eq!((other.asked("put"), other.asked("part")), (1, 2));
    let long = bytes(3 * PART_BYTES + 12_345);
    let md5 = store(&bucket, "four", &long).await.unwrap();
    assert_eq!((other.asked("part"), other.asked("complete")), (6, 2));
    assert_eq!(other.inside(|it| it.objects["objects/four"].clone()), long);
    let mut hashes = crate::hashes::Hashes::new();
    hashes.update(&long);
    assert_eq!(md5, hashes.digests().md5);
    let middle = PART_BYTES as u64 - 3..PART_BYTES as u64 + 3;
    let expected = &long[middle.start as usize..middle.end as usize];
    assert_eq!(fetch(&bucket, "four", middle).await.unwrap(), expected);
    assert!(other.inside(|it| it.uploads.is_empty()));
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_not_seen_and_goes_with_its_key() {
    let other = Other::default();
    let bucket = other.bucket();
    let mut writer = bucket.write("k1").unwrap();
    writer.write(bytes(2 * PART_BYTES + 1)).await.unwrap();
    drop(writer);
    assert_eq!(bucket.size("k1").await.unwrap(), None);
    assert_eq!(other.inside(|it| it.uploads.len()), 1);
    let pages: Vec<Page> = bucket.clone().pages().try_collect().await.unwrap();
    assert!(
        pages
            .iter()
            .any(|page| page.keys == ["k1"] && page.after == page.up_to)
    );
    bucket.remove("k1").await.unwrap();
    bucket.remove("k1").await.unwrap();
    assert!(other.inside(|it| it.uploads.is_empty()));
}

#[tokio::test]
async fn a_key_is_removed_whole_or_begun_and_others_stay() {
    let other = Other::default();
    let bucket = other.bucket();
    for key in ["k", "k1", "k2"] {
        store(&bucket, key, &bytes(10)).await.unwrap();
        let mut writer = bucket.write(key).unwrap();
        writer.write(bytes(PART_BYTES + 1)).await.unwrap();
    }
    bucket.remove("k").await.unwrap();
    assert_eq!(bucket.size("k").await.unwrap(), None);
    assert_eq!(bucket.size("k1").await.unwrap(), Some(10));
    let begun = other.inside(|it| {
        it.uploads
            .values()
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>()
    });
    assert_eq!(begun, ["objects/k1", "objects/k2"]);
    let missing = bucket.read("k", 0..1).await.err();
    assert!(matches!(missing, Some(Error::Missing { key }) if key == "k"));
}

#[tokio::test]
async fn lists_go_on_page_after_page() {
    let other = Other::default();
    let bucket = other.bucket();
    let keys: Vec<String> = (10..17).map(|number| format!("k{number}")).collect();
    for key in &keys {
        store(&bucket, key, &bytes(1)).await.unwrap();
        let mut writer = bucket.write(key).unwrap();
        writer.write(bytes(PART_BYTES + 1)).await.unwrap();
    }
    other.inside(|it| {
        it.page = Some(3);
        it.objects.insert("somebody-else".to_owned(), Bytes::new());
    });
    let pages: Vec<Page> = bucket.pages().try_collect().await.unwrap();
    let (finished, begun): (Vec<Page>, Vec<Page>) =
        pages.into_iter().partition(|page| page.after != page.up_to);
    let all = |pages: &[Page]| {
        pages
            .iter()
            .flat_map(|page| page.keys.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!((finished.len(), begun.len()), (3, 3));
    assert_eq!((all(&finished), all(&begun)), (keys.clone(), keys));
    // The pages lie side by side, and the last one reaches to the end.
    assert_eq!(finished[0].after, "");
    assert_eq!(finished[1].after, finished[0].up_to);
    assert_eq!(finished[2].up_to, "~");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for fault in [
        Fault::Closed,
        Fault::Lost,
        Fault::Answer(503, "SlowDown"),
        Fault::Answer(500, "InternalError"),
    ] {
        for what in ["begin", "part", "head", "delete", "uploads"] {
            let other = Other::default();
            let bucket = other.bucket();
            other.fail(what, 2, fault);
            let parts = ["begin", "part"].contains(&what);
            let length = if parts { PART_BYTES + 1 } else { 10 };
            store(&bucket, "k", &bytes(length)).await.unwrap();
            assert_eq!(bucket.size("k").await.unwrap(), Some(length as u64));
            bucket.remove("k").await.unwrap();
            assert!(other.asked(what) >= 3, "{what} {fault:?}");
            let left = other.inside(|it| it.objects.len() + it.uploads.len());
            assert_eq!(left, 0, "{what} {fault:?}");
        }
    }
}

#[tokio::test]
async fn what_does_not_pass_in_time_is_said_and_nothing_is_seen() {
    for what in ["put", "begin", "part", "complete"] {
        let other = Other::default();
        let bucket = other.bucket();
        let length = if what == "put" { 10 } else { 2 * PART_BYTES };
        other.fail(what, 100, Fault::Answer(503, "SlowDown"));
        let why = store(&bucket, "k", &bytes(length)).await.unwrap_err();
        assert!(matches!(&why, Error::Unavailable { .. }), "{why}");
        let words = why.to_string();
        assert!(
            words.contains("blobs") && words.contains("SlowDown (so it is)"),
            "{words}"
        );
        assert_eq!(other.asked(what), 3, "{what}");
        assert_eq!(bucket.size("k").await.unwrap(), None);
        bucket.remove("k").await.unwrap();
        assert!(other.inside(|it| it.uploads.is_empty()));
    }
    let other = Other::default();
    other.fail("head", 100, Fault::Closed);
    let why = other.bucket().size("k").await.unwrap_err().to_string();
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn silence_ends_in_time() {
    let other = Other::default();
    other.fail("put", 100, Fault::Silent);
    let bucket = other.bucket();
    let soon = TimeoutConfig::builder().operation_timeout(std::time::Duration::from_millis(20));
    let config = bucket
        .client
        .config()
        .to_builder()
        .timeout_config(soon.build());
    let bucket = Bucket {
        client: Client::from_conf(config.build()),
        ..bucket
    };
    let why = store(&bucket, "k", &bytes(10)).await.unwrap_err();
    assert!(
        matches!(&why, Error::Unavailable { why, .. } if why.contains("in time")),
        "{why}"
    );
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_known_by_its_object() {
    let other = Other::default();
    let bucket = other.bucket();
    other.fail("complete", 1, Fault::Lost);
    let long = bytes(PART_BYTES + 1);
    store(&bucket, "k", &long).await.unwrap();
    assert_eq!(bucket.size("k").await.unwrap(), Some(long.len() as u64));
    // An upload that somebody gave up is not taken for one that was completed.
    let mut writer = bucket.write("gone").unwrap();
    writer.write(long).await.unwrap();
    writer.flush().await.unwrap();
    bucket.remove("gone").await.unwrap();
    assert!(writer.finish().await.is_err());
    assert_eq!(bucket.size("gone").await.unwrap(), None);
}

#[tokio::test]
async fn nothing_is_written_after_a_failure() {
    let other = Other::default();
    let bucket = other.bucket();
    let mut writer = bucket.write("k").unwrap();
    other.fail("part", 3, Fault::Answer(503, "SlowDown"));
    writer.write(bytes(PART_BYTES + 1)).await.unwrap();
    assert!(writer.flush().await.is_err());
    assert!(writer.write(bytes(1)).await.is_err());
    assert!(writer.flush().await.is_err());
    assert!(writer.finish().await.is_err());
    assert_eq!((other.asked("complete"), other.asked("put")), (0, 0));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_asked_for_from_there() {
    let other = Other::default();
    let bucket = other.bucket();
    let long = bytes(100_000);
    store(&bucket, "k", &long).await.unwrap();
    other.fail("get", 3, Fault::Broken(10_000));
    assert_eq!(
        fetch(&bucket, "k", 5..90_000).await.unwrap(),
        &long[5..90_000]
    );
    assert_eq!(other.asked("get"), 4);
    other.fail("get", 100, Fault::Broken(0));
    assert!(fetch(&bucket, "k", 5..90_000).await.is_err());
}

#[tokio::test]
async fn refusals_say_what_helps_and_no_secret() {
    let other = Other::default();
    let with = |change: fn(&mut BucketSettings)| {
        let mut settings = settings();
        change(&mut settings);
        other.bucket_of(&settings)
    };
    let cases: [(Bucket, &str); 2] = [
        (with(|it| it.bucket = "none".to_owned()), "make the bucket"),
        (
            with(|it| it.secret_key = "a-wrong-secret".to_owned()),
            "secret_key",
        ),
    ];
    for (bucket, help) in cases {
        for why in [
            bucket.prove().await,
            store(&bucket, "k", &bytes(1)).await.map(drop),
        ] {
            let why = why.unwrap_err();
            assert!(matches!(why, Error::Refused { .. }), "{why}");
            let words = why.to_string();
            assert!(
                words.contains(help) && words.contains(&bucket.location()),
                "{words}"
            );
            assert!(
                !words.contains("a-wrong") && !words.contains("the-secret"),
                "{words}"
            );
        }
    }
}

#[tokio::test]
async fn a_bucket_is_proved_by_writing_and_nothing_is_left() {
    let other = Other::default();
    let bucket = other.bucket();
    bucket.look().await.unwrap();
    assert_eq!(other.asked("put"), 0);
    bucket.prove().await.unwrap();
    assert!(other.inside(|it| it.objects.is_empty()));
    for (what, code) in [
        ("put", 403),
        ("get", 403),
        ("delete", 403),
        ("list", 403),
        ("uploads", 403),
    ] {
        let other = Other::default();
        other.fail(what, 1, Fault::Answer(code, "AccessDenied"));
        let why = other.bucket().prove().await.unwrap_err().to_string();
        assert!(why.contains("needs the right"), "{what}: {why}");
    }
    other.fail("put", 1, Fault::Answer(403, "QuotaExceeded"));
    assert!(matches!(bucket.prove().await, Err(Error::Full)));
}

#[tokio::test]
async fn no_key_is_somebody_elses() {
    let bucket = Other::default().bucket();
    for key in ["", "..", "a/b", ".hidden", "a.part", "a\0b"] {
        assert!(
            matches!(bucket.write(key).err(), Some(Error::Key { .. })),
            "{key}"
        );
        assert!(bucket.remove(key).await.is_err(), "{key}");
    }
}

#[tokio::test]
async fn a_bucket_belongs_to_one_and_says_so_to_others() {
    let other = Other::default();
    let (first, second) = (other.bucket(), other.bucket());
    first.claim("0b6a-first").await.unwrap();
    first.claim("0b6a-first").await.unwrap();
    assert_eq!(other.asked("put"), 1);
    let why = second.claim("0b6a-second").await.unwrap_err();
    assert!(matches!(why, Error::Refused { .. }), "{why}");
    let words = why.to_string();
    assert!(words.contains("a bucket of its own"), "{words}");
    assert!(words.contains(OWNER), "{words}");
    // It is no blob, and proves come and go beside it.
    first.prove().await.unwrap();
    assert!(first.objects_after(None, 10).await.unwrap().0.is_empty());
    other.inside(|it| it.objects.remove(OWNER));
    second.claim("0b6a-second").await.unwrap();
    assert!(first.claim("0b6a-first").await.is_err());
}
