//! Killed at every crash point, a restart finds every object whole or not at all, and nothing left over.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use nephos_api::Check as _;
use nephos_runtime::crash::{self, Mode};

use crate::kit::{Cloud, MINE, cloud_with_container, lines, put};

fn unwind(name: &str) {
    crash::set(Mode::Unwind {
        name: name.to_owned(),
        nth: 1,
    });
}

async fn content(cloud: &Cloud) -> String {
    let answer = cloud.member().get(&format!("{MINE}/c/o")).await;
    match answer.status {
        200 => String::from_utf8_lossy(&answer.bytes).into_owned(),
        status => status.to_string(),
    }
}

async fn points(expected: usize, work: impl AsyncFn(&Cloud)) -> Vec<&'static str> {
    let cloud = cloud_with_container().await;
    put(&cloud.member(), &format!("{MINE}/c/o"), "old")
        .await
        .expect(201);
    cloud.settle().await;
    crash::set(Mode::Record);
    work(&cloud).await;
    let points = crash::recorded();
    crash::set(Mode::Off);
    assert_eq!(points.len(), expected, "{points:?}");
    points
}

#[tokio::test]
async fn an_upload_killed_anywhere_is_whole_or_not_there() {
    let write = async |cloud: &Cloud| {
        let _killed = put(&cloud.member(), &format!("{MINE}/c/o"), "new").await;
    };
    for name in points(5, write).await {
        let cloud = cloud_with_container().await;
        put(&cloud.member(), &format!("{MINE}/c/o"), "old")
            .await
            .expect(201);
        cloud.settle().await;
        unwind(name);
        write(&cloud).await;
        let cloud = cloud.restarted().await;
        cloud.settle().await;
        let expected = if name == "write.published" {
            "new"
        } else {
            "old"
        };
        assert_eq!(content(&cloud).await, expected, "{name}");
        assert_eq!(cloud.files().len(), 1, "{name}");
        put(&cloud.member(), &format!("{MINE}/c/o"), "again")
            .await
            .expect(201);
        assert_eq!(content(&cloud).await, "again", "{name}");
    }
}

#[tokio::test]
async fn an_upload_that_is_refused_and_killed_leaves_nothing() {
    let write = async |cloud: &Cloud| {
        let bad = cloud.member().with_header("etag", "0");
        let _killed = put(&bad, &format!("{MINE}/c/o"), "new").await;
    };
    for name in points(4, write).await {
        let cloud = cloud_with_container().await;
        unwind(name);
        write(&cloud).await;
        let cloud = cloud.restarted().await;
        cloud.settle().await;
        assert_eq!(content(&cloud).await, "404", "{name}");
        assert!(cloud.files().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_removal_killed_anywhere_goes_on() {
    let sweep = async |cloud: &Cloud| {
        let target = format!("{MINE}/c/o");
        cloud.member().delete(&target).await.expect(204);
        let _killed = AssertUnwindSafe(cloud.object.sweep()).catch_unwind().await;
    };
    for name in points(3, sweep).await {
        let cloud = cloud_with_container().await;
        put(&cloud.member(), &format!("{MINE}/c/o"), "old")
            .await
            .expect(201);
        cloud.settle().await;
        unwind(name);
        sweep(&cloud).await;
        let cloud = cloud.restarted().await;
        cloud.settle().await;
        assert_eq!(content(&cloud).await, "404", "{name}");
        assert!(cloud.files().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_writer_that_is_silent_too_long_is_given_up_and_harms_nobody() {
    let cloud = cloud_with_container().await;
    let target = format!("{MINE}/c/o");
    unwind("write.renamed");
    put(&cloud.member(), &target, "first").await.expect(503);
    // The same process lives on: only silence tells.
    cloud.object.sweep().await.unwrap();
    assert_eq!(cloud.files().len(), 1);
    cloud
        .world
        .clock
        .advance(std::time::Duration::from_secs(300));
    cloud.settle().await;
    assert!(cloud.files().is_empty());
    put(&cloud.member(), &target, "second").await.expect(201);
    assert_eq!(
        lines(&cloud.member().get(&format!("{MINE}/c")).await),
        ["o"]
    );
}

#[tokio::test]
async fn files_that_nobody_knows_are_collected() {
    let cloud = cloud_with_container().await;
    put(&cloud.member(), &format!("{MINE}/c/o"), "x")
        .await
        .expect(201);
    let stray = cloud
        .world
        .folder()
        .join("objects/0b/0b6a2a8e-0000-4000-8000-000000000000");
    std::fs::write(&stray, b"stray").unwrap();
    std::fs::write(stray.with_extension("part"), b"stray").unwrap();
    let found = cloud.object.check().await.unwrap();
    assert!(
        found
            .iter()
            .any(|misfit| misfit.what.contains("without a row")),
        "{found:?}"
    );
    let cloud = cloud.restarted().await;
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 1);
    std::fs::remove_file(&cloud.files()[0]).unwrap();
    let found = cloud.object.check().await.unwrap();
    assert!(
        found.iter().any(|misfit| misfit.what.contains("not there")),
        "{found:?}"
    );
}
