//! Killed at every crash point of every piece of work, a restart reaches the same end.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use nephos_runtime::crash::{self, Mode};
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, WebServer, cloud, cloud_with, created, put_octets, upload};

/// What is left in the end: the image as a client sees it, and how many files there are.
async fn end(cloud: &Cloud, id: &str) -> (Value, usize) {
    let answer = cloud.admin().get(&format!("/v2/images/{id}")).await;
    let mut image = answer.json;
    if let Some(image) = image.as_object_mut() {
        for name in [
            "id",
            "self",
            "file",
            "created_at",
            "updated_at",
            "os_glance_import_task",
        ] {
            image.remove(name);
        }
        image.retain(|name, _| name != "message");
    }
    (image, cloud.files().len())
}

/// The n-th hit of each point.
fn cases(points: &[&'static str]) -> Vec<(&'static str, u32)> {
    let mut seen = std::collections::HashMap::new();
    points
        .iter()
        .map(|point| {
            let count = seen.entry(*point).or_insert(0);
            *count += 1;
            (*point, *count)
        })
        .collect()
}

/// Drains the cloud's work `arrange` made, once undisturbed and once per crash point.
async fn check<F, Fut>(expected_points: usize, arrange: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = (Cloud, String)>,
{
    let (reference, id) = arrange().await;
    crash::set(Mode::Record);
    reference.image.worker().drain().await.unwrap();
    reference.settle().await;
    let points = crash::recorded();
    crash::set(Mode::Off);
    assert_eq!(points.len(), expected_points, "{points:?}");
    let expected = end(&reference, &id).await;
    for (name, nth) in cases(&points) {
        let (cloud, id) = arrange().await;
        crash::set(Mode::Unwind {
            name: name.to_owned(),
            nth,
        });
        let worker = cloud.image.worker();
        let work = async {
            worker.drain().await?;
            worker.settle(Duration::from_secs(60)).await
        };
        let crashed = AssertUnwindSafe(work).catch_unwind().await;
        assert!(crashed.is_err(), "{name} {nth} was not reached");
        let cloud = cloud.restarted().await;
        cloud.settle().await;
        assert_eq!(end(&cloud, &id).await, expected, "{name} {nth}");
    }
}

async fn staged(cloud: Cloud, more: Value) -> (Cloud, String) {
    let id = created(&cloud.member(), more).await;
    let target = format!("/v2/images/{id}/stage");
    put_octets(&cloud.member(), &target, Bytes::from_static(b"hello world"))
        .await
        .expect(204);
    let body = json!({"method": {"name": "glance-direct"}, "all_stores": true});
    let target = format!("/v2/images/{id}/import");
    cloud.member().post(&target, body).await.expect(202);
    (cloud, id)
}

#[tokio::test]
async fn an_import_of_staged_data() {
    check(13, || async { staged(cloud().await, json!({})).await }).await;
}

#[tokio::test]
async fn an_import_that_is_refused() {
    check(3, || async {
        staged(cloud().await, json!({"disk_format": "qcow2"})).await
    })
    .await;
}

#[tokio::test]
async fn an_import_from_the_web() {
    let server = WebServer::serving("200 OK", b"hello world").await;
    check(13, || async {
        let cloud = cloud_with(|config| config.web_download_hosts = vec![server.host()]).await;
        let id = cloud.queued().await;
        let body = json!({"method": {"name": "web-download", "uri": server.url()}});
        let target = format!("/v2/images/{id}/import");
        cloud.member().post(&target, body).await.expect(202);
        (cloud, id)
    })
    .await;
}

#[tokio::test]
async fn a_copy_to_another_store() {
    check(5, || async {
        let cloud = cloud().await;
        let id = cloud.active(b"hello world").await;
        let body = json!({"method": {"name": "copy-image"}, "stores": ["reserve"]});
        let target = format!("/v2/images/{id}/import");
        cloud.admin().post(&target, body).await.expect(202);
        (cloud, id)
    })
    .await;
}

#[tokio::test]
async fn a_removal_of_an_image_and_one_from_a_store() {
    check(3, || async {
        let cloud = cloud().await;
        let id = cloud.active(b"hello world").await;
        cloud
            .member()
            .delete(&format!("/v2/images/{id}"))
            .await
            .expect(204);
        (cloud, id)
    })
    .await;
    check(3, || async {
        let cloud = cloud().await;
        let id = cloud.active(b"hello world").await;
        let body = json!({"method": {"name": "copy-image"}, "stores": ["reserve"]});
        cloud
            .admin()
            .post(&format!("/v2/images/{id}/import"), body)
            .await
            .expect(202);
        cloud.settle().await;
        cloud
            .admin()
            .delete(&format!("/v2/stores/file/{id}"))
            .await
            .expect(204);
        (cloud, id)
    })
    .await;
}

#[tokio::test]
async fn an_upload_killed_anywhere_is_active_or_queued_without_a_trace() {
    let points = |abort: bool| async move {
        let cloud = cloud().await;
        let id = cloud.queued().await;
        crash::set(Mode::Record);
        run(&cloud, &id, abort).await;
        let points = crash::recorded();
        crash::set(Mode::Off);
        points
    };
    let (good, bad) = (points(false).await, points(true).await);
    assert_eq!((good.len(), bad.len()), (5, 5), "{good:?} {bad:?}");
    for (abort, points) in [(false, good), (true, bad)] {
        for name in points {
            let cloud = cloud().await;
            let id = cloud.queued().await;
            crash::set(Mode::Unwind {
                name: name.to_owned(),
                nth: 1,
            });
            run(&cloud, &id, abort).await;
            let cloud = cloud.restarted().await;
            cloud.settle().await;
            let image = cloud.show(&id).await;
            if name == "upload.published" {
                assert_eq!(image["status"], "active", "{name}");
                assert_eq!(cloud.files().len(), 1, "{name}");
                continue;
            }
            assert_eq!(image["status"], "queued", "{name}");
            assert_eq!(image["size"], Value::Null, "{name}");
            assert_eq!(cloud.files(), [""; 0], "{name}");
            upload(&cloud.member(), &id, Bytes::from_static(b"again"))
                .await
                .expect(204);
        }
    }
}

/// An upload, or one whose client goes away.
async fn run(cloud: &Cloud, id: &str, abort: bool) {
    let streaming = cloud.stream(Persona::Member, &format!("/v2/images/{id}/file"));
    let _reader_may_be_dead = streaming
        .sender
        .send(Ok(Some(Bytes::from_static(b"hello"))))
        .await;
    if !abort {
        let _reader_may_be_dead = streaming.sender.send(Ok(None)).await;
    }
    drop(streaming.sender);
    streaming.answer.await.expect("an answer");
}

#[tokio::test]
async fn a_staging_that_was_killed_is_queued_again() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    crash::set(Mode::Unwind {
        name: "upload.renamed".to_owned(),
        nth: 1,
    });
    let target = format!("/v2/images/{id}/stage");
    put_octets(&cloud.member(), &target, Bytes::from_static(b"x"))
        .await
        .expect(500);
    assert_eq!(cloud.show(&id).await["status"], "uploading");
    let cloud = cloud.restarted().await;
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "queued");
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn a_writer_that_is_silent_too_long_is_given_up_and_harms_nobody() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    let target = format!("/v2/images/{id}/file");
    crash::set(Mode::Unwind {
        name: "upload.flushed".to_owned(),
        nth: 1,
    });
    upload(&cloud.member(), &id, Bytes::from_static(b"first"))
        .await
        .expect(500);
    assert_eq!(cloud.show(&id).await["status"], "saving");
    // The same process lives on: only silence tells.
    cloud.image.look().await.unwrap();
    assert_eq!(cloud.show(&id).await["status"], "saving");
    cloud.world.clock.advance(Duration::from_secs(120));
    cloud.image.look().await.unwrap();
    assert_eq!(cloud.show(&id).await["status"], "queued");
    upload(&cloud.member(), &id, Bytes::from_static(b"second"))
        .await
        .expect(204);
    cloud.settle().await;
    assert_eq!(
        &cloud.member().get(&target).await.expect(200).bytes[..],
        b"second"
    );
    assert_eq!(cloud.files().len(), 1);
}

#[tokio::test]
async fn files_that_nobody_knows_are_collected() {
    let cloud = cloud().await;
    let id = cloud.active(b"x").await;
    let stray = cloud
        .world
        .folder()
        .join("images/file/0b6a2a8e-0000-4000-8000-000000000000");
    std::fs::write(&stray, b"stray").unwrap();
    std::fs::write(stray.with_extension("part"), b"stray").unwrap();
    assert_eq!(cloud.files().len(), 3);
    let cloud = cloud.restarted().await;
    assert_eq!(cloud.files().len(), 1);
    cloud
        .member()
        .get(&format!("/v2/images/{id}/file"))
        .await
        .expect(200);
}
