//! Volumes that get another type, and where they are then.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, cloud_with, message};

async fn kind(cloud: &Cloud, name: &str, specs: Value) {
    let body = json!({"volume_type": {"name": name, "extra_specs": specs}});
    cloud.admin().post("/v3/types", body).await.expect(200);
}

async fn retype(cloud: &Cloud, volume: &str, body: Value) -> nephos_testkit::Answer {
    let body = json!({ "os-retype": body });
    cloud
        .member()
        .post(&format!("/v3/volumes/{volume}/action"), body)
        .await
}

/// As an administrator sees it.
async fn shown(cloud: &Cloud, volume: &str) -> Value {
    let answer = cloud.admin().get(&format!("/v3/volumes/{volume}")).await;
    answer.expect(200).json["volume"].clone()
}

#[tokio::test]
async fn a_volume_stays_where_its_new_type_can_be() {
    let cloud = cloud().await;
    kind(&cloud, "plain", json!({})).await;
    kind(&cloud, "many", json!({"multiattach": "<is> True"})).await;
    let volume = cloud.volume().await;
    let before = shown(&cloud, &volume).await;
    for (name, several) in [("many", true), ("plain", false)] {
        retype(&cloud, &volume, json!({"new_type": name}))
            .await
            .expect(202);
        assert_eq!(cloud.status(&volume).await, "retyping");
        cloud.settle().await;
        let now = shown(&cloud, &volume).await;
        assert_eq!(
            (&now["volume_type"], &now["multiattach"]),
            (&json!(name), &json!(several))
        );
        assert_eq!(
            now["os-vol-host-attr:host"],
            before["os-vol-host-attr:host"]
        );
        assert_eq!(
            (&now["status"], &now["migration_status"]),
            (&json!("available"), &Value::Null)
        );
    }
    // A volume in use keeps being in use.
    cloud.attached(&volume).await;
    retype(&cloud, &volume, json!({"new_type": "__DEFAULT__"}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "in-use");
}

#[tokio::test]
async fn a_volume_moves_with_all_its_bytes_when_its_new_type_is_elsewhere_and_moving_is_allowed() {
    let cloud = cloud().await;
    for backend in ["one", "two"] {
        kind(&cloud, backend, json!({"volume_backend_name": backend})).await;
    }
    let first = cloud
        .volume_of(json!({"size": 1, "volume_type": "one"}))
        .await;
    std::fs::write(cloud.file(&format!("volume-{first}")), b"what is in it").unwrap();
    let copy = cloud
        .volume_of(json!({"size": 1, "source_volid": first}))
        .await;
    let never = json!({"new_type": "two", "migration_policy": "never"});
    retype(&cloud, &copy, never).await.expect(202);
    cloud.settle().await;
    let now = shown(&cloud, &copy).await;
    assert_eq!(
        (&now["volume_type"], &now["status"]),
        (&json!("one"), &json!("available"))
    );
    let messages = cloud.member().get("/v3/messages").await.expect(200).json;
    let words = messages["messages"][0]["user_message"].as_str().unwrap();
    assert!(words.contains("requires migration"), "{words}");
    let wish = json!({"new_type": "two", "migration_policy": "on-demand"});
    retype(&cloud, &copy, wish).await.expect(202);
    cloud.settle().await;
    let now = shown(&cloud, &copy).await;
    assert_eq!(
        (&now["volume_type"], &now["status"]),
        (&json!("two"), &json!("available"))
    );
    assert_eq!(now["os-vol-host-attr:host"], "here@two#two");
    assert_eq!(
        (
            &now["migration_status"],
            &now["os-vol-mig-status-attr:migstat"]
        ),
        (&json!("success"), &json!("success"))
    );
    let file = cloud.file(&format!("volume-{copy}"));
    assert!(file.parent().unwrap().ends_with("two"));
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.starts_with(b"what is in it"));
    assert_eq!(bytes.len(), 1 << 30);
    let named = format!("volume-{copy}");
    assert_eq!(
        cloud.files().iter().filter(|file| **file == named).count(),
        1
    );
}

#[tokio::test]
async fn what_cannot_get_another_type_is_refused_or_says_why() {
    let cloud = cloud_with(|_config| {}).await;
    kind(&cloud, "many", json!({"multiattach": "<is> True"})).await;
    kind(&cloud, "two", json!({"volume_backend_name": "two"})).await;
    kind(&cloud, "one", json!({"volume_backend_name": "one"})).await;
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "one"}))
        .await;
    for (wish, words) in [
        (json!({}), "new_type"),
        (json!({"new_type": "nothing"}), "Invalid volume_type passed"),
        (json!({"new_type": "one"}), "Retype needs volume"),
        (
            json!({"new_type": "two", "migration_policy": "odd"}),
            "migration_policy",
        ),
    ] {
        let answer = retype(&cloud, &volume, wish).await.expect(400);
        assert!(message(&answer.json).contains(words), "{}", answer.json);
    }
    cloud.snapshot(&volume).await;
    let wish = json!({"new_type": "two", "migration_policy": "on-demand"});
    retype(&cloud, &volume, wish).await.expect(202);
    cloud.settle().await;
    assert_eq!(shown(&cloud, &volume).await["volume_type"], "one");
    let messages = cloud.member().get("/v3/messages").await.expect(200).json;
    let words = messages["messages"][0]["user_message"].as_str().unwrap();
    assert!(words.contains("must not have snapshots"), "{words}");
    cloud.attached(&volume).await;
    let answer = retype(&cloud, &volume, json!({"new_type": "many"}))
        .await
        .expect(400);
    assert!(message(&answer.json).contains("requires volume to be available"));
}

#[tokio::test]
async fn a_quota_of_the_new_type_is_kept() {
    let cloud = cloud().await;
    kind(&cloud, "rare", json!({})).await;
    let volume = cloud.volume().await;
    let project = nephos_testkit::Persona::Member.project();
    let body = json!({"quota_set": {"volumes_rare": 0}});
    let target = format!("/v3/os-quota-sets/{project}");
    cloud.admin().put(&target, body).await.expect(200);
    retype(&cloud, &volume, json!({"new_type": "rare"}))
        .await
        .expect(202);
    cloud.settle().await;
    let now = shown(&cloud, &volume).await;
    assert_eq!(
        (&now["volume_type"], &now["status"]),
        (&json!("__DEFAULT__"), &json!("available"))
    );
}

#[tokio::test]
async fn a_move_that_comes_to_nothing_leaves_no_file_and_an_old_one_is_not_taken_for_the_volume() {
    let cloud = cloud().await;
    for backend in ["one", "two"] {
        kind(&cloud, backend, json!({"volume_backend_name": backend})).await;
    }
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "one"}))
        .await;
    let file = format!("volume-{volume}");
    let elsewhere = cloud.world.folder().join("volumes/two").join(&file);
    let project = nephos_testkit::Persona::Member.project();
    let target = format!("/v3/os-quota-sets/{project}");
    for (limit, end) in [(0, "one"), (5, "two")] {
        let body = json!({"quota_set": {"volumes_two": limit}});
        cloud.admin().put(&target, body).await.expect(200);
        let wish = json!({"new_type": "two", "migration_policy": "on-demand"});
        retype(&cloud, &volume, wish).await.expect(202);
        cloud.settle().await;
        assert_eq!(shown(&cloud, &volume).await["volume_type"], end);
        assert_eq!(elsewhere.exists(), end == "two");
        assert_eq!(cloud.files().iter().filter(|one| **one == file).count(), 1);
        if end == "one" {
            std::fs::write(&elsewhere, b"old").unwrap();
            std::fs::write(cloud.file(&file), b"new").unwrap();
        }
    }
    let bytes = std::fs::read(elsewhere).unwrap();
    assert!(bytes.starts_with(b"new"));
}

#[tokio::test]
async fn an_administrator_moves_a_volume_that_nobody_uses() {
    let cloud = cloud().await;
    kind(&cloud, "one", json!({"volume_backend_name": "one"})).await;
    kind(&cloud, "any", json!({})).await;
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "one"}))
        .await;
    cloud.write(&volume, 4096, b"what is in it");
    let target = format!("/v3/volumes/{volume}/action");
    let to = |host: &str| json!({"os-migrate_volume": {"host": host, "lock_volume": "True"}});
    let ask = cloud.admin();
    let move_it = async |host: &str| ask.post(&target, to(host)).await;
    cloud
        .member()
        .post(&target, to("here@two#two"))
        .await
        .expect(403);
    for (body, words) in [
        (
            to("there@two#two"),
            "No available service named 'there@two#two'",
        ),
        (to("here@one#one"), "in here@one#one already"),
        (json!({"os-migrate_volume": {}}), "one of: host, cluster"),
    ] {
        let refused = ask.post(&target, body).await.expect(400).json;
        assert!(message(&refused).contains(words), "{refused}");
    }
    // Its type is not there.
    move_it("here@two#two").await.expect(202);
    assert_eq!(cloud.status(&volume).await, "maintenance");
    cloud.settle().await;
    let now = shown(&cloud, &volume).await;
    assert_eq!(
        (&now["status"], &now["migration_status"]),
        (&json!("available"), &json!("error"))
    );
    retype(&cloud, &volume, json!({"new_type": "any"}))
        .await
        .expect(202);
    cloud.settle().await;
    move_it("here@two#two").await.expect(202);
    cloud.settle().await;
    let now = shown(&cloud, &volume).await;
    assert_eq!(
        (&now["status"], &now["migration_status"]),
        (&json!("available"), &json!("success"))
    );
    assert_eq!(now["os-vol-host-attr:host"], "here@two#two");
    assert_eq!(cloud.read(&volume, 4096, 13), b"what is in it");
    assert_eq!(cloud.files(), [format!("volume-{volume}")]);
    cloud.snapshot(&volume).await;
    let refused = move_it("here@one#one").await.expect(400).json;
    assert!(message(&refused).contains("it has snapshots"), "{refused}");
}

#[tokio::test]
async fn a_volume_whose_state_is_set_anew_while_it_moves_stays_where_it_is() {
    for moving in [
        json!({"os-migrate_volume": {"host": "here@two#two"}}),
        json!({"os-retype": {"new_type": "two", "migration_policy": "on-demand"}}),
    ] {
        let cloud = cloud().await;
        kind(&cloud, "one", json!({"volume_backend_name": "one"})).await;
        kind(&cloud, "any", json!({})).await;
        kind(&cloud, "two", json!({"volume_backend_name": "two"})).await;
        let volume = cloud
            .volume_of(json!({"size": 1, "volume_type": "one"}))
            .await;
        retype(&cloud, &volume, json!({"new_type": "any"}))
            .await
            .expect(202);
        cloud.settle().await;
        let target = format!("/v3/volumes/{volume}/action");
        let admin = cloud.admin();
        admin.post(&target, moving.clone()).await.expect(202);
        let available = json!({"os-reset_status": {"status": "available"}});
        admin.post(&target, available).await.expect(202);
        cloud.write(&volume, 4096, b"what a server wrote since");
        cloud.settle().await;
        let now = shown(&cloud, &volume).await;
        assert_eq!(now["status"], "available", "{moving}");
        assert_eq!(now["os-vol-host-attr:host"], "here@one#one", "{moving}");
        let kept = cloud.read(&volume, 4096, 25);
        assert_eq!(kept, b"what a server wrote since");
        assert_eq!(cloud.files(), [format!("volume-{volume}")]);
        let messages = cloud.member().get("/v3/messages").await.expect(200).json;
        let words = messages["messages"].to_string();
        assert!(words.contains("was set anew"), "{messages}");
    }
}

#[tokio::test]
async fn a_volume_stays_where_it_is_kept_that_was_a_snapshot_of_it() {
    let cloud = cloud().await;
    kind(&cloud, "one", json!({"volume_backend_name": "one"})).await;
    kind(&cloud, "two", json!({"volume_backend_name": "two"})).await;
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "one"}))
        .await;
    cloud.write(&volume, 4096, b"what is in it");
    crate::snapshots::unmanaged(&cloud, &volume).await;
    let target = format!("/v3/volumes/{volume}/action");
    let body = json!({"os-migrate_volume": {"host": "here@two#two"}});
    let refused = cloud.admin().post(&target, body).await.expect(400).json;
    assert!(
        message(&refused).contains("without being managed"),
        "{refused}"
    );
    let body = json!({"new_type": "two", "migration_policy": "on-demand"});
    retype(&cloud, &volume, body).await.expect(202);
    cloud.settle().await;
    let now = shown(&cloud, &volume).await;
    assert_eq!(now["status"], "available");
    assert_eq!(now["os-vol-host-attr:host"], "here@one#one");
    assert_eq!(cloud.read(&volume, 4096, 13), b"what is in it");
}
