//! Backups of volumes, and what comes back of them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::join_all;
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, image, message};

/// A record of a backup under another id.
pub fn with_another_id(record: &Value) -> Value {
    let mut record = record["backup-record"].clone();
    let bytes = BASE64_STANDARD.decode(record["backup_url"].as_str().unwrap());
    let mut inner: Value = serde_json::from_slice(&bytes.unwrap()).unwrap();
    inner["id"] = json!(nephos_runtime::ids::uuid().to_string());
    record["backup_url"] = json!(BASE64_STANDARD.encode(inner.to_string()));
    json!({ "backup-record": record })
}

async fn restore(cloud: &Cloud, backup: &str, body: Value) -> nephos_testkit::Answer {
    let target = format!("/v3/backups/{backup}/restore");
    let body = json!({ "restore": body });
    cloud.member().post(&target, body).await
}

async fn restored(cloud: &Cloud, backup: &str, body: Value) -> String {
    let answer = restore(cloud, backup, body).await.expect(202).json;
    let id = answer["restore"]["volume_id"].as_str().unwrap().to_owned();
    cloud.settle().await;
    assert_eq!(cloud.status(&id).await, "available");
    assert_eq!(cloud.show_backup(backup).await["status"], "available");
    id
}

async fn used(cloud: &Cloud) -> (i64, i64) {
    let limits = cloud.member().get("/v3/limits").await.expect(200).json;
    let of = |key: &str| limits["limits"]["absolute"][key].as_i64().unwrap();
    (of("totalBackupsUsed"), of("totalBackupGigabytesUsed"))
}

#[tokio::test]
async fn a_backup_comes_back_into_a_new_volume_with_all_that_is_known_of_it() {
    let cloud = cloud().await;
    let body = json!({"size": 1, "name": "first", "metadata": {"k": "v"}});
    let volume = cloud.volume_of(body).await;
    cloud.write(&volume, 0, b"at the beginning");
    cloud.write(&volume, (1 << 30) - 7, b"the end");
    let body = json!({"backup": {"volume_id": volume, "name": "b", "description": "d", "metadata": {"x": "y"}}});
    let answer = cloud
        .member()
        .post("/v3/backups", body)
        .await
        .expect(202)
        .json;
    let backup = answer["backup"]["id"].as_str().unwrap();
    assert_eq!(cloud.status(&volume).await, "backing-up");
    assert_eq!(cloud.show_backup(backup).await["status"], "creating");
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "available");
    let shown = cloud.show_backup(backup).await;
    let expected = [
        ("status", json!("available")),
        ("size", json!(1)),
        ("object_count", json!(2)),
        ("container", json!("volumebackups")),
        ("volume_id", json!(volume)),
        ("is_incremental", json!(false)),
        ("has_dependent_backups", json!(false)),
        ("snapshot_id", Value::Null),
        ("fail_reason", Value::Null),
        ("metadata", json!({"x": "y"})),
    ];
    for (key, value) in expected {
        assert_eq!(shown[key], value, "{key}");
    }
    assert!(shown.get("user_id").is_none(), "that is for operators");
    // Two chunks, two parts, and what describes it: zeroes are nowhere, and no request was larger than a chunk.
    assert_eq!(cloud.objects.names().len(), 5);
    assert_eq!(cloud.objects.largest(), 4 << 20);
    let back = restored(&cloud, backup, json!({})).await;
    assert_eq!(cloud.read(&back, 0, 17), b"at the beginning\0");
    assert_eq!(cloud.read(&back, (1 << 30) - 7, 7), b"the end");
    let shown = cloud.show(&back).await;
    assert_eq!(
        (&shown["name"], &shown["metadata"]["k"]),
        (&json!("first"), &json!("v"))
    );
    let named = restored(&cloud, backup, json!({"name": "mine"})).await;
    assert_eq!(cloud.show(&named).await["name"], "mine");
}

#[tokio::test]
async fn what_is_backed_up_of_an_image_boots_again() {
    let cloud = cloud().await;
    image(&cloud, b"bytes of an image");
    let of_image = json!({"size": 1, "imageRef": crate::kit::IMAGE});
    let volume = cloud.volume_of(of_image).await;
    let backup = cloud.backup(json!({"volume_id": volume})).await;
    // Cinder 3.47: the other way of asking for it.
    let body = json!({"backup_id": backup, "name": "again", "size": 2});
    let back = cloud.volume_of(body).await;
    let shown = cloud.show(&back).await;
    assert_eq!(
        (&shown["status"], &shown["bootable"], &shown["size"]),
        (&json!("available"), &json!("true"), &json!(2))
    );
    assert_eq!(shown["volume_image_metadata"]["os_distro"], "x");
    assert_eq!(cloud.read(&back, 0, 17), b"bytes of an image");
}

#[tokio::test]
async fn only_what_changed_is_stored_again_and_each_backup_is_as_it_was() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 0, b"one");
    cloud.write(&volume, 300 << 20, b"same");
    let none = json!({"backup": {"volume_id": volume, "incremental": true}});
    let answer = cloud.member().post("/v3/backups", none).await.expect(400);
    assert!(message(&answer.json).contains("No backups available to do an incremental backup"));
    let full = cloud.backup(json!({"volume_id": volume})).await;
    cloud.write(&volume, 0, b"two");
    let more = json!({"volume_id": volume, "incremental": true});
    let next = cloud.backup(more.clone()).await;
    cloud.write(&volume, 300 << 20, &[0; 4]);
    let last = cloud.backup(more).await;
    let shown = cloud.show_backup(&next).await;
    assert_eq!(
        (
            &shown["is_incremental"],
            &shown["has_dependent_backups"],
            &shown["object_count"]
        ),
        (&json!(true), &json!(true), &json!(1))
    );
    assert_eq!(cloud.show_backup(&last).await["object_count"], 0);
    for (backup, begin, later) in [
        (&full, b"one", b"same"),
        (&next, b"two", b"same"),
        (&last, b"two", &[0; 4]),
    ] {
        let back = restored(&cloud, backup, json!({})).await;
        assert_eq!(cloud.read(&back, 0, 3), begin);
        assert_eq!(cloud.read(&back, 300 << 20, 4), later);
    }
    // From the newest on only.
    for backup in [&full, &next] {
        let target = format!("/v3/backups/{backup}");
        let answer = cloud.member().delete(&target).await.expect(400);
        assert!(message(&answer.json).contains("Incremental backups exist for this backup"));
        let action = format!("{target}/action");
        let force = json!({"os-force_delete": {}});
        cloud.admin().post(&action, force).await.expect(400);
    }
    for backup in [&last, &next, &full] {
        let target = format!("/v3/backups/{backup}");
        cloud.member().delete(&target).await.expect(202);
        cloud.settle().await;
        cloud.member().get(&target).await.expect(404);
    }
    assert_eq!(cloud.objects.names(), Vec::<String>::new());
    assert_eq!(cloud.objects.containers(), Vec::<String>::new());
    assert_eq!(used(&cloud).await, (0, 0));
}

#[tokio::test]
async fn a_snapshot_is_backed_up_as_it_was() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 9, b"then");
    let snapshot = cloud.snapshot(&volume).await;
    cloud.write(&volume, 9, b"now!");
    let body = json!({"volume_id": volume, "snapshot_id": snapshot, "container": "mine"});
    let asked = json!({ "backup": body });
    let answer = cloud
        .member()
        .post("/v3/backups", asked)
        .await
        .expect(202)
        .json;
    let backup = answer["backup"]["id"].as_str().unwrap();
    let target = format!("/v3/snapshots/{snapshot}");
    let shown = cloud.member().get(&target).await.expect(200).json;
    assert_eq!(shown["snapshot"]["status"], "backing-up");
    cloud.member().delete(&target).await.expect(400);
    cloud.settle().await;
    let shown = cloud.member().get(&target).await.expect(200).json;
    assert_eq!(shown["snapshot"]["status"], "available");
    assert_eq!(
        cloud.show_backup(backup).await["snapshot_id"],
        json!(snapshot)
    );
    assert_eq!(cloud.objects.containers(), ["mine"]);
    let back = restored(&cloud, backup, json!({})).await;
    assert_eq!(cloud.read(&back, 9, 4), b"then");
    let another = cloud.volume().await;
    let odd = json!({"backup": {"volume_id": another, "snapshot_id": snapshot}});
    let answer = cloud.member().post("/v3/backups", odd).await.expect(400);
    assert!(message(&answer.json).contains("does not match"));
}

#[tokio::test]
async fn a_volume_in_use_takes_force_and_a_file_system_that_can() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 0, b"used");
    cloud.attached(&volume).await;
    let asked = json!({"backup": {"volume_id": volume}});
    let answer = cloud.member().post("/v3/backups", asked).await.expect(400);
    assert!(message(&answer.json).contains("must use the force flag"));
    let asked = json!({"backup": {"volume_id": volume, "force": true}});
    let answer = cloud.member().post("/v3/backups", asked).await;
    let pools = cloud.admin().get("/v3/scheduler-stats/get_pools").await;
    assert_eq!(pools.status, 200);
    if answer.status == 400 {
        // As a snapshot of it.
        assert!(message(&answer.json).contains("XFS and btrfs can"));
        assert_eq!(cloud.status(&volume).await, "in-use");
        assert_eq!(used(&cloud).await, (0, 0));
        return;
    }
    let backup = answer.expect(202).json["backup"]["id"].clone();
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "in-use");
    let back = restored(&cloud, backup.as_str().unwrap(), json!({})).await;
    assert_eq!(cloud.read(&back, 0, 4), b"used");
    let layers = cloud
        .files()
        .into_iter()
        .filter(|file| file.starts_with("layer-"));
    assert_eq!(layers.count(), 0, "what it was made of is gone");
}

#[tokio::test]
async fn a_backup_takes_the_place_of_what_a_volume_had() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 0, b"good");
    let backup = cloud.backup(json!({"volume_id": volume})).await;
    // An overlay now, where files cannot share blocks: it becomes a file of its own again.
    let snapshot = cloud.snapshot(&volume).await;
    cloud.write(&volume, 0, b"bad!");
    cloud.write(&volume, 50 << 20, b"worse");
    assert_eq!(
        restored(&cloud, &backup, json!({"volume_id": volume})).await,
        volume
    );
    assert_eq!(cloud.read(&volume, 0, 4), b"good");
    assert_eq!(cloud.read(&volume, 50 << 20, 5), [0; 5]);
    let of_snapshot = json!({"size": 1, "snapshot_id": snapshot});
    let copy = cloud.volume_of(of_snapshot).await;
    assert_eq!(cloud.read(&copy, 0, 4), b"good");
    cloud.attached(&volume).await;
    let answer = restore(&cloud, &backup, json!({"volume_id": volume})).await;
    let words = message(&answer.expect(400).json).to_owned();
    assert!(
        words.contains("Volume to be restored to must be available"),
        "{words}"
    );
    let large = cloud.volume_of(json!({"size": 2})).await;
    let backup = cloud.backup(json!({"volume_id": large})).await;
    let answer = restore(&cloud, &backup, json!({"volume_id": copy})).await;
    assert!(message(&answer.expect(400).json).contains("too small"));
    assert_eq!(cloud.show_backup(&backup).await["status"], "available");
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_restores_and_none_deletes_beside_it() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 0, b"good");
    let backup = cloud.backup(json!({"volume_id": volume})).await;
    let body = json!({"volume_id": volume});
    let answers = join_all((0..6).map(|_| restore(&cloud, &backup, body.clone()))).await;
    let mut codes: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    codes.sort_unstable();
    assert_eq!(codes, [202, 400, 400, 400, 400, 400]);
    let target = format!("/v3/backups/{backup}");
    cloud.member().delete(&target).await.expect(400);
    let gone = format!("/v3/volumes/{volume}");
    cloud.member().delete(&gone).await.expect(400);
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "available");
    // Either the one or the other, never both.
    let member = cloud.member();
    let (restored, deleted) = futures_util::join!(
        restore(&cloud, &backup, body.clone()),
        member.delete(&target)
    );
    let codes = (restored.status, deleted.status);
    assert!(
        [(202, 400), (400, 202), (404, 202)].contains(&codes),
        "{codes:?}"
    );
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "available");
    assert_eq!(cloud.read(&volume, 0, 4), b"good");
}

#[tokio::test]
async fn a_volume_that_is_deleted_by_force_is_restored_no_more() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 0, b"good");
    let backup = cloud.backup(json!({"volume_id": volume})).await;
    restore(&cloud, &backup, json!({"volume_id": volume}))
        .await
        .expect(202);
    let action = format!("/v3/volumes/{volume}/action");
    let force = json!({"os-force_delete": {}});
    cloud.admin().post(&action, force).await.expect(202);
    cloud.settle().await;
    cloud
        .member()
        .get(&format!("/v3/volumes/{volume}"))
        .await
        .expect(404);
    assert_eq!(cloud.show_backup(&backup).await["status"], "available");
    assert_eq!(cloud.files(), Vec::<String>::new());
    // And what was backed up comes back all the same.
    let back = restored(&cloud, &backup, json!({})).await;
    assert_eq!(cloud.read(&back, 0, 4), b"good");
}

#[tokio::test]
async fn a_backup_that_is_deleted_by_force_on_its_way_leaves_nothing() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 0, b"good");
    let backup = cloud.backup(json!({"volume_id": volume})).await;
    restore(&cloud, &backup, json!({"volume_id": volume}))
        .await
        .expect(202);
    let asked = json!({"backup": {"volume_id": volume}});
    cloud.member().post("/v3/backups", asked).await.expect(400);
    let action = format!("/v3/backups/{backup}/action");
    let force = json!({"os-force_delete": {}});
    cloud.admin().post(&action, force.clone()).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "error_restoring");
    assert_eq!(cloud.files(), [format!("volume-{volume}")]);
    let another = cloud.volume().await;
    let asked = json!({"backup": {"volume_id": another}});
    let answer = cloud
        .member()
        .post("/v3/backups", asked)
        .await
        .expect(202)
        .json;
    let id = answer["backup"]["id"].as_str().unwrap();
    let action = format!("/v3/backups/{id}/action");
    cloud.admin().post(&action, force).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.status(&another).await, "available");
    assert_eq!(cloud.objects.names(), Vec::<String>::new());
    assert_eq!(used(&cloud).await, (0, 0));
}

#[tokio::test]
async fn a_store_without_room_leaves_the_volume_as_it_was_and_nothing_behind() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 0, b"one");
    cloud.write(&volume, 600 << 20, b"two");
    cloud.objects.refuse_from(3);
    let backup = cloud.backup(json!({"volume_id": volume})).await;
    let shown = cloud.show_backup(&backup).await;
    assert_eq!(shown["status"], "error");
    assert!(
        shown["fail_reason"]
            .as_str()
            .unwrap()
            .contains("cannot be stored")
    );
    assert_eq!(cloud.status(&volume).await, "available");
    assert_eq!(cloud.objects.names(), Vec::<String>::new());
    let messages = cloud.member().get("/v3/messages").await.expect(200).json;
    let words = messages["messages"][0]["user_message"].as_str().unwrap();
    assert!(words.starts_with("create backup"), "{words}");
    let target = format!("/v3/backups/{backup}/action");
    let reset = json!({"os-reset_status": {"status": "available"}});
    cloud.admin().post(&target, reset).await.expect(400);
    let target = format!("/v3/backups/{backup}");
    cloud.member().delete(&target).await.expect(202);
    cloud.settle().await;
    assert_eq!(used(&cloud).await, (0, 0));
}

#[tokio::test]
async fn what_is_damaged_or_lost_is_not_restored() {
    for part in ["0000000000", "segment-", "/backup"] {
        for damaged in [true, false] {
            let cloud = cloud().await;
            let volume = cloud.volume().await;
            cloud.write(&volume, 0, b"good");
            let backup = cloud.backup(json!({"volume_id": volume})).await;
            match damaged {
                true => cloud.objects.damage(part),
                false => cloud.objects.lose(part),
            }
            restore(&cloud, &backup, json!({"volume_id": volume}))
                .await
                .expect(202);
            cloud.settle().await;
            assert_eq!(cloud.status(&volume).await, "error_restoring", "{part}");
            assert_eq!(cloud.show_backup(&backup).await["status"], "available");
            assert_eq!(cloud.files(), [format!("volume-{volume}")]);
            // The volume has what it had.
            assert_eq!(cloud.read(&volume, 0, 4), b"good");
            let messages = cloud.member().get("/v3/messages").await.expect(200).json;
            let words = messages["messages"][0]["user_message"].as_str().unwrap();
            assert!(words.starts_with("restore backup"), "{words}");
        }
    }
}

#[tokio::test]
async fn many_at_once_never_get_more_backups_than_the_quota() {
    let cloud = cloud().await;
    let mut volumes = Vec::new();
    for _ in 0..5 {
        volumes.push(cloud.volume().await);
    }
    let target = format!("/v3/os-quota-sets/{}", Persona::Member.project());
    let limits = json!({"quota_set": {"backups": 3, "backup_gigabytes": 2}});
    cloud.admin().put(&target, limits).await.expect(200);
    let member = cloud.member();
    let asked = volumes.iter().map(|volume| {
        let body = json!({"backup": {"volume_id": volume}});
        member.post("/v3/backups", body)
    });
    let answers = join_all(asked).await;
    let mut codes: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    codes.sort_unstable();
    assert_eq!(codes, [202, 202, 413, 413, 413]);
    let refused = answers.iter().find(|answer| answer.status == 413).unwrap();
    assert!(message(&refused.json).contains("Backup gigabytes quota"));
    cloud.settle().await;
    assert_eq!(used(&cloud).await, (2, 2));
    for volume in &volumes {
        assert_eq!(cloud.status(volume).await, "available");
    }
}

#[tokio::test]
async fn a_record_makes_a_backup_known_again_and_bytes_go_with_the_last_who_knows_them() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 0, b"good");
    let backup = cloud
        .backup(json!({"volume_id": volume, "name": "b"}))
        .await;
    let export = format!("/v3/backups/{backup}/export_record");
    cloud.member().get(&export).await.expect(403);
    let record = cloud.admin().get(&export).await.expect(200).json;
    let service = record["backup-record"]["backup_service"].as_str().unwrap();
    assert!(service.starts_with("cinder.backup.drivers"));
    let import = "/v3/backups/import_record";
    let answer = cloud.admin().post(import, record.clone()).await.expect(400);
    assert!(message(&answer.json).contains("Backup already exists in database"));
    let other = with_another_id(&record);
    let answer = cloud.admin().post(import, other).await.expect(201).json;
    let copy = answer["backup"]["id"].as_str().unwrap();
    cloud.settle().await;
    let shown = cloud
        .admin()
        .get(&format!("/v3/backups/{copy}"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&shown["backup"]["status"], &shown["backup"]["name"]),
        (&json!("available"), &json!("b"))
    );
    let target = format!("/v3/backups/{backup}");
    cloud.member().delete(&target).await.expect(202);
    cloud.settle().await;
    assert!(!cloud.objects.names().is_empty());
    let target = format!("/v3/backups/{copy}/restore");
    let answer = cloud
        .admin()
        .post(&target, json!({"restore": {}}))
        .await
        .expect(202)
        .json;
    cloud.settle().await;
    let back = answer["restore"]["volume_id"].as_str().unwrap();
    assert_eq!(cloud.read(back, 0, 4), b"good");
    cloud
        .admin()
        .delete(&format!("/v3/backups/{copy}"))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.objects.names(), Vec::<String>::new());
}

#[tokio::test]
async fn records_that_cannot_be_are_refused() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let backup = cloud.backup(json!({"volume_id": volume})).await;
    let export = format!("/v3/backups/{backup}/export_record");
    let record = cloud.admin().get(&export).await.expect(200).json;
    let import = "/v3/backups/import_record";
    for (key, value) in [
        ("id", json!("x")),
        ("size", json!(0)),
        ("container", json!("a/b")),
        ("service_metadata", json!("volume_")),
        ("service_metadata", json!("")),
        ("checksum", json!("")),
    ] {
        let mut odd = with_another_id(&record);
        let url = odd["backup-record"]["backup_url"].as_str().unwrap();
        let bytes = BASE64_STANDARD.decode(url).unwrap();
        let mut inner: Value = serde_json::from_slice(&bytes).unwrap();
        inner[key] = value;
        odd["backup-record"]["backup_url"] = json!(BASE64_STANDARD.encode(inner.to_string()));
        cloud.admin().post(import, odd).await.expect(400);
    }
    let mut elsewhere = with_another_id(&record);
    elsewhere["backup-record"]["backup_service"] = json!("cinder.backup.drivers.nfs");
    cloud.admin().post(import, elsewhere).await.expect(503);
    // Nothing is where a record says: an error, and what is there stays.
    cloud.objects.damage("/backup");
    let before = cloud.objects.names();
    let other = with_another_id(&record);
    let answer = cloud.admin().post(import, other).await.expect(201).json;
    cloud.settle().await;
    let target = format!("/v3/backups/{}", answer["backup"]["id"].as_str().unwrap());
    let shown = cloud.admin().get(&target).await.expect(200).json;
    assert_eq!(shown["backup"]["status"], "error");
    cloud.admin().delete(&target).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.objects.names(), before);
}

#[tokio::test]
async fn lists_show_names_details_counts_and_pages() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    for name in ["alpha", "beta", "alphabet"] {
        let body = json!({"volume_id": volume, "name": name});
        cloud.backup(body).await;
    }
    let list = async |query: &str| {
        let target = format!("/v3/backups{query}");
        cloud.member().get(&target).await.expect(200).json
    };
    let names = |body: &Value| {
        let all = body["backups"].as_array().unwrap().iter();
        let mut names: Vec<String> = all
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&list("?name~=alpha").await), ["alpha", "alphabet"]);
    assert_eq!(names(&list("?name=alpha").await), ["alpha"]);
    let plain = list("").await;
    assert!(plain["backups"][0].get("status").is_none());
    let page = list("/detail?limit=2&sort=name:asc&with_count=true").await;
    assert_eq!(names(&page), ["alpha", "alphabet"]);
    assert_eq!(page["count"], 3);
    assert_eq!(page["backups_links"][0]["rel"], "next");
    let marker = page["backups"][1]["id"].as_str().unwrap();
    let rest = list(&format!("/detail?marker={marker}&sort=name:asc")).await;
    assert_eq!(names(&rest), ["beta"]);
    let target = "/v3/backups?colour=red";
    cloud.member().get(target).await.expect(400);
    let others = cloud.other().get("/v3/backups").await.expect(200).json;
    assert_eq!(others["backups"], json!([]));
    let all = cloud
        .admin()
        .get("/v3/backups/detail?all_tenants=1")
        .await
        .expect(200)
        .json;
    assert_eq!(all["backups"].as_array().unwrap().len(), 3);
    assert_eq!(
        all["backups"][0]["os-backup-project-attr:project_id"],
        json!(Persona::Member.project())
    );
}

#[tokio::test]
async fn a_backup_is_renamed_and_described() {
    let cloud = cloud().await;
    let backup = cloud
        .backup(json!({"volume_id": cloud.volume().await}))
        .await;
    let target = format!("/v3/backups/{backup}");
    let body = json!({"backup": {"name": "n", "description": "d", "metadata": {"k": "v"}}});
    let answer = cloud.member().put(&target, body).await.expect(200).json;
    assert_eq!(answer["backup"]["name"], "n");
    let shown = cloud.show_backup(&backup).await;
    assert_eq!(
        (&shown["description"], &shown["metadata"]),
        (&json!("d"), &json!({"k": "v"}))
    );
    let odd = json!({"backup": {"status": "error"}});
    cloud.member().put(&target, odd).await.expect(400);
    let old = cloud.member().at("volume 3.8");
    old.put(&target, json!({"backup": {"name": "m"}}))
        .await
        .expect(404);
    let old = cloud
        .member()
        .at("volume 3.17")
        .get(&target)
        .await
        .expect(200)
        .json;
    assert!(old["backup"].get("metadata").is_none());
}
