//! The consistency check: rows against each other and against files.

use nephos_api::Check as _;

use crate::kit::cloud;

#[tokio::test]
async fn files_that_are_lost_or_nobodys_are_found_and_nothing_is_changed() {
    let cloud = cloud().await;
    let (lost, good) = (cloud.volume().await, cloud.volume().await);
    cloud.snapshot(&good).await;
    assert_eq!(cloud.block.check().await.unwrap(), []);
    std::fs::remove_file(cloud.file(&format!("volume-{lost}"))).unwrap();
    let stray = "volume-0b6a2a8e-0000-4000-8000-000000000000";
    let stray_file = cloud.world.folder().join("volumes/one").join(stray);
    std::fs::write(&stray_file, b"stray").unwrap();
    std::fs::write(stray_file.with_file_name("notes.txt"), b"somebody's").unwrap();
    let found = cloud.block.check().await.unwrap();
    let mut about: Vec<(&str, &str)> = found
        .iter()
        .map(|one| (one.id.as_str(), one.what.as_str()))
        .collect();
    about.sort_unstable();
    assert_eq!(about.len(), 2, "{about:?}");
    assert!(
        about
            .iter()
            .any(|(id, what)| *id == lost && what.contains("has no file"))
    );
    assert!(
        about
            .iter()
            .any(|(id, what)| *id == stray && what.contains("that no volume has"))
    );
    assert!(stray_file.exists(), "the check changes nothing");
}

#[tokio::test]
async fn a_volume_that_is_about_to_grow_is_counted_with_what_it_will_have() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let body = serde_json::json!({"os-extend": {"new_size": 5}});
    let target = format!("/v3/volumes/{volume}/action");
    cloud.member().post(&target, body).await.expect(202);
    assert_eq!(cloud.block.check().await.unwrap(), []);
    cloud.settle().await;
    assert_eq!(cloud.block.check().await.unwrap(), []);
}

#[tokio::test]
async fn files_that_are_not_what_their_rows_say_are_found() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.snapshot(&volume).await;
    assert_eq!(cloud.block.check().await.unwrap(), []);
    let file = cloud.file(&format!("volume-{volume}"));
    let begun = file.with_file_name(format!("volume-{volume}.restoring"));
    std::fs::rename(&file, &begun).unwrap();
    std::fs::write(&file, b"a raw disk").unwrap();
    let found = cloud.block.check().await.unwrap();
    let about: Vec<String> = found
        .iter()
        .map(|one| format!("{} {}", one.id, one.what))
        .collect();
    let folder = file.parent().unwrap().file_name().unwrap();
    let end = folder.display();
    assert_eq!(
        about,
        [
            format!("volume-{volume}.restoring is a file in back end {end} that no volume has"),
            format!("{volume} has a file volume-{volume} that is not qcow2 in back end {end}"),
        ]
    );
}
