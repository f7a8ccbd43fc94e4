//! The consistency check: rows against files.

use nephos_api::Check as _;
use nephos_types::Finding;

use crate::kit::cloud;

fn about(findings: &[Finding], id: &str) -> Vec<String> {
    let of = findings.iter().filter(|finding| finding.id == id);
    of.map(|finding| finding.what.clone()).collect()
}

#[tokio::test]
async fn data_that_is_lost_cut_or_of_nobody_is_found_and_nothing_is_changed() {
    let cloud = cloud().await;
    let (lost, cut, good) = (
        cloud.active(b"lost").await,
        cloud.active(b"too long").await,
        cloud.active(b"good").await,
    );
    assert_eq!(cloud.image.check().await.unwrap(), []);
    let files = cloud.files();
    let of = |bytes: &[u8]| {
        let mut files = files.iter();
        files
            .find(|file| std::fs::read(file).unwrap() == bytes)
            .unwrap()
    };
    let (lost_file, cut_file) = (of(b"lost"), of(b"too long"));
    std::fs::remove_file(lost_file).unwrap();
    std::fs::write(cut_file, b"too").unwrap();
    let stray = "0b6a2a8e-0000-4000-8000-000000000000";
    let stray_file = cloud.world.folder().join("images/file").join(stray);
    std::fs::write(&stray_file, b"stray").unwrap();
    let found = cloud.image.check().await.unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(about(&found, &lost), ["has no data in store file"]);
    let cut = about(&found, &cut);
    assert_eq!(cut, ["has 3 bytes in store file and should have 8"]);
    let stray = about(&found, stray);
    assert_eq!(stray, ["is a file in store file that no image has"]);
    assert!(about(&found, &good).is_empty());
    assert!(stray_file.exists(), "the check changes nothing");
}
