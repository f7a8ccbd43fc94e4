//! Killed at every crash point of every piece of work, a restart reaches the same end.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use nephos_runtime::crash::{self, Mode};
use serde_json::{Value, json};

use crate::kit::{Cloud, IMAGE, cloud, created, image};

/// What is left in the end: volumes and snapshots as clients see them, what is used, and how many files there are.
async fn end(
    cloud: &Cloud,
) -> (
    Vec<(String, Value, Value)>,
    (i64, i64, i64),
    usize,
    Vec<String>,
) {
    let mut all = Vec::new();
    for kind in [
        "volumes",
        "snapshots",
        "backups",
        "groups",
        "group_snapshots",
    ] {
        let answer = cloud
            .member()
            .get(&format!("/v3/{kind}/detail?sort=name:asc"))
            .await
            .expect(200)
            .json;
        for one in answer[kind].as_array().unwrap() {
            let name = one["name"].as_str().unwrap_or_default().to_owned();
            all.push((name, one["status"].clone(), one["size"].clone()));
        }
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let names = cloud.objects.names();
    let mut shapes: Vec<String> = names.iter().map(|name| shape(name)).collect();
    shapes.sort();
    (all, cloud.usage().await, cloud.files().len(), shapes)
}

/// A name of an object without what is another one each time.
fn shape(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

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

async fn work(cloud: &Cloud) {
    let worker = cloud.block.worker();
    worker.take_over().await.unwrap();
    worker.settle(Duration::from_secs(60)).await.unwrap();
    // A layer goes before the one below it has but one thing above it.
    for _time in 0..3 {
        cloud.block.shorten().await.unwrap();
        cloud.block.look().await.unwrap();
    }
}

/// Drains the work that `arrange` made, once undisturbed and once per crash point.
async fn check<F, Fut>(at_least: usize, arrange: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Cloud>,
{
    let reference = arrange().await;
    crash::set(Mode::Record);
    work(&reference).await;
    let points = crash::recorded();
    crash::set(Mode::Off);
    assert!(points.len() >= at_least, "{points:?}");
    let expected = end(&reference).await;
    for (name, nth) in cases(&points) {
        let cloud = arrange().await;
        crash::set(Mode::Unwind {
            name: name.to_owned(),
            nth,
        });
        let crashed = AssertUnwindSafe(work(&cloud)).catch_unwind().await;
        assert!(crashed.is_err(), "{name} {nth} was not reached");
        let cloud = cloud.restarted().await;
        work(&cloud).await;
        assert_eq!(end(&cloud).await, expected, "{name} {nth}");
    }
}

#[tokio::test]
async fn a_volume_from_nothing() {
    check(3, || async {
        let cloud = cloud().await;
        created(&cloud.member(), json!({"size": 1, "name": "v"})).await;
        cloud
    })
    .await;
}

/// A cloud with a type whose volumes are encrypted.
async fn closed() -> Cloud {
    let cloud = crate::encryption::sealed().await;
    crate::encryption::encrypted_kind(&cloud, "k").await;
    cloud
}

#[tokio::test]
async fn an_encrypted_volume_from_nothing() {
    check(4, || async {
        let cloud = closed().await;
        let body = json!({"size": 1, "name": "v", "volume_type": "k"});
        created(&cloud.member(), body).await;
        cloud
    })
    .await;
}

#[tokio::test]
async fn an_encrypted_volume_from_an_image() {
    check(8, || async {
        let cloud = closed().await;
        image(&cloud, b"bytes");
        let body = json!({"size": 1, "name": "v", "volume_type": "k", "imageRef": IMAGE});
        created(&cloud.member(), body).await;
        cloud
    })
    .await;
}

#[tokio::test]
async fn an_encrypted_volume_on_its_way_to_another_back_end() {
    check(4, || async {
        let cloud = closed().await;
        let body = json!({"size": 1, "name": "v", "volume_type": "k"});
        let id = created(&cloud.member(), body).await;
        work(&cloud).await;
        let shown = cloud.admin().get(&format!("/v3/volumes/{id}")).await;
        let at = shown.expect(200).json["volume"]["os-vol-host-attr:host"].clone();
        let there = match at.as_str() {
            Some("here@one#one") => "here@two#two",
            _two => "here@one#one",
        };
        let body = json!({"os-migrate_volume": {"host": there}});
        let target = format!("/v3/volumes/{id}/action");
        cloud.admin().post(&target, body).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_volume_from_an_image() {
    check(6, || async {
        let cloud = cloud().await;
        image(&cloud, b"bytes");
        created(
            &cloud.member(),
            json!({"size": 1, "name": "v", "imageRef": IMAGE}),
        )
        .await;
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_moves_to_the_back_end_of_another_type() {
    check(5, || async {
        let cloud = cloud().await;
        for backend in ["one", "two"] {
            let specs = json!({"volume_backend_name": backend});
            let kind = json!({"volume_type": {"name": backend, "extra_specs": specs}});
            cloud.admin().post("/v3/types", kind).await.expect(200);
        }
        let first = json!({"size": 1, "name": "a", "volume_type": "one"});
        let first = cloud.volume_of(first).await;
        let copy = json!({"size": 1, "name": "b", "source_volid": first});
        let copy = cloud.volume_of(copy).await;
        let body = json!({"os-retype": {"new_type": "two", "migration_policy": "on-demand"}});
        cloud
            .member()
            .post(&format!("/v3/volumes/{copy}/action"), body)
            .await
            .expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_is_moved() {
    check(5, || async {
        let cloud = cloud().await;
        let first = json!({"size": 1, "name": "a"});
        let first = cloud.volume_of(first).await;
        let copy = json!({"size": 1, "name": "b", "source_volid": first});
        let copy = cloud.volume_of(copy).await;
        let shown = cloud.admin().get(&format!("/v3/volumes/{copy}")).await;
        let shown = shown.expect(200).json;
        let host = &shown["volume"]["os-vol-host-attr:host"];
        let other = ["here@one#one", "here@two#two"]
            .into_iter()
            .find(|one| host != one);
        let body = json!({"os-migrate_volume": {"host": other}});
        cloud
            .admin()
            .post(&format!("/v3/volumes/{copy}/action"), body)
            .await
            .expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_volume_on_its_way_back_to_a_snapshot() {
    check(6, || async {
        let cloud = cloud().await;
        let volume = cloud.volume_of(json!({"size": 1, "name": "a"})).await;
        let snapshot = cloud.snapshot(&volume).await;
        let body = json!({"revert": {"snapshot_id": snapshot}});
        cloud
            .member()
            .post(&format!("/v3/volumes/{volume}/action"), body)
            .await
            .expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_chain_that_becomes_shorter() {
    check(4, || async {
        let cloud = cloud().await;
        let volume = cloud.volume_of(json!({"size": 1, "name": "a"})).await;
        for _layer in 0..3 {
            let snapshot = cloud.snapshot(&volume).await;
            let target = format!("/v3/snapshots/{snapshot}");
            cloud.member().delete(&target).await.expect(202);
        }
        cloud
    })
    .await;
}

#[tokio::test]
async fn an_image_of_a_copy() {
    check(4, || async {
        let cloud = cloud().await;
        let first = cloud.volume_of(json!({"size": 1, "name": "a"})).await;
        let copy = json!({"size": 1, "name": "b", "source_volid": first});
        let copy = cloud.volume_of(copy).await;
        let body = json!({"os-volume_upload_image": {"image_name": "i", "disk_format": "qcow2"}});
        cloud
            .member()
            .post(&format!("/v3/volumes/{copy}/action"), body)
            .await
            .expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_copy_of_a_volume() {
    check(4, || async {
        let cloud = cloud().await;
        let first = cloud.volume_of(json!({"size": 1, "name": "a"})).await;
        created(
            &cloud.member(),
            json!({"size": 1, "name": "b", "source_volid": first}),
        )
        .await;
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_is_deleted_while_it_is_made() {
    check(3, || async {
        let cloud = cloud().await;
        let first = cloud.volume_of(json!({"size": 1, "name": "a"})).await;
        let copy = created(
            &cloud.member(),
            json!({"size": 1, "name": "b", "source_volid": first}),
        )
        .await;
        // It has begun when it is deleted.
        crash::set(Mode::Unwind {
            name: "driver.frozen".to_owned(),
            nth: 1,
        });
        let _begun = AssertUnwindSafe(work(&cloud)).catch_unwind().await;
        crash::set(Mode::Off);
        cloud
            .admin()
            .post(
                &format!("/v3/volumes/{copy}/action"),
                json!({"os-force_delete": {}}),
            )
            .await
            .expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_snapshot() {
    check(2, || async {
        let cloud = cloud().await;
        let volume = cloud.volume_of(json!({"size": 1, "name": "a"})).await;
        let body = json!({"snapshot": {"volume_id": volume, "name": "s"}});
        cloud.member().post("/v3/snapshots", body).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_volume_deleted_with_its_snapshots() {
    check(5, || async {
        let cloud = cloud().await;
        let volume = cloud.volume_of(json!({"size": 1, "name": "a"})).await;
        cloud.snapshot(&volume).await;
        cloud
            .member()
            .delete(&format!("/v3/volumes/{volume}?cascade=true"))
            .await
            .expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn an_extension_of_a_volume_in_use() {
    check(4, || async {
        let cloud = cloud().await;
        let volume = cloud.volume_of(json!({"size": 1, "name": "a"})).await;
        cloud.attached(&volume).await;
        let body = json!({"os-extend": {"new_size": 2}});
        cloud
            .member()
            .post(&format!("/v3/volumes/{volume}/action"), body)
            .await
            .expect(202);
        cloud
    })
    .await;
}

/// A volume with something in two places.
async fn filled(cloud: &Cloud) -> String {
    let volume = cloud.volume_of(json!({"size": 1, "name": "a"})).await;
    cloud.write(&volume, 5 << 20, b"one");
    cloud.write(&volume, 700 << 20, b"two");
    volume
}

#[tokio::test]
async fn a_backup_and_one_that_stands_on_it() {
    check(8, || async {
        let cloud = cloud().await;
        let volume = filled(&cloud).await;
        cloud
            .backup(json!({"volume_id": volume, "name": "b"}))
            .await;
        cloud.write(&volume, 701 << 20, b"more");
        let body = json!({"backup": {"volume_id": volume, "name": "c", "incremental": true}});
        cloud.member().post("/v3/backups", body).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_backup_of_an_overlay() {
    check(8, || async {
        let cloud = cloud().await;
        let volume = filled(&cloud).await;
        let copy = json!({"size": 1, "name": "d", "source_volid": volume});
        let copy = cloud.volume_of(copy).await;
        cloud.write(&copy, 1 << 20, b"own");
        let body = json!({"backup": {"volume_id": copy, "name": "b"}});
        cloud.member().post("/v3/backups", body).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_backup_that_comes_back() {
    check(8, || async {
        let cloud = cloud().await;
        let volume = filled(&cloud).await;
        let backup = cloud
            .backup(json!({"volume_id": volume, "name": "b"}))
            .await;
        let target = format!("/v3/backups/{backup}/restore");
        let body = json!({"restore": {"name": "r"}});
        cloud.member().post(&target, body).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_backup_that_goes() {
    check(5, || async {
        let cloud = cloud().await;
        let volume = filled(&cloud).await;
        let backup = cloud.backup(json!({"volume_id": volume})).await;
        let target = format!("/v3/backups/{backup}");
        cloud.member().delete(&target).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_backup_that_fails() {
    check(5, || async {
        let cloud = cloud().await;
        let volume = filled(&cloud).await;
        cloud.objects.refuse_from(2);
        let body = json!({"backup": {"volume_id": volume, "name": "b"}});
        cloud.member().post("/v3/backups", body).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_record_that_is_imported() {
    check(2, || async {
        let cloud = cloud().await;
        let volume = filled(&cloud).await;
        let backup = cloud.backup(json!({"volume_id": volume})).await;
        let target = format!("/v3/backups/{backup}/export_record");
        let record = cloud.admin().get(&target).await.expect(200).json;
        let target = "/v3/backups/import_record";
        let body = crate::backups::with_another_id(&record);
        cloud.admin().post(target, body).await.expect(201);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_group_of_a_snapshot_of_a_group() {
    check(4, || async {
        let cloud = cloud().await;
        let (group, _volume) = crate::groups::grouped(&cloud).await;
        let snapshot = crate::groups::group_snapshot(&cloud, &group).await;
        let body = json!({"create-from-src": {"group_snapshot_id": snapshot}});
        let target = "/v3/groups/action";
        cloud.member().post(target, body).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn a_group_that_goes_with_its_volumes() {
    check(3, || async {
        let cloud = cloud().await;
        let (group, _volume) = crate::groups::grouped(&cloud).await;
        let target = format!("/v3/groups/{group}/action");
        let body = json!({"delete": {"delete-volumes": true}});
        cloud.member().post(&target, body).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn work_that_is_asked_for_after_a_kill_does_not_wait_for_a_chain_for_ever() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    for _layer in 0..2 {
        let snapshot = cloud.snapshot(&volume).await;
        let target = format!("/v3/snapshots/{snapshot}");
        cloud.member().delete(&target).await.expect(202);
        cloud.settle().await;
    }
    crash::set(Mode::Unwind {
        name: "shorten.held".to_owned(),
        nth: 1,
    });
    let crashed = AssertUnwindSafe(cloud.block.shorten()).catch_unwind().await;
    crash::set(Mode::Off);
    assert!(crashed.is_err());
    let cloud = cloud.restarted().await;
    let body = json!({"os-extend": {"new_size": 2}});
    let target = format!("/v3/volumes/{volume}/action");
    cloud.member().post(&target, body).await.expect(202);
    cloud.block.shorten().await.unwrap();
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "available");
    cloud.shorten().await;
    assert_eq!(cloud.files().len(), 2);
}
