//! How servers get volumes: attachments, and the older actions.

use nephos_testkit::Persona;
use serde_json::json;

use crate::kit::{SERVER, cloud, connector, message};

#[tokio::test]
async fn a_server_of_the_same_host_gets_the_file() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let project = Persona::Member.project();
    // As the compute service does it: in its own name, at the volume's project.
    let root = format!("/v3/{project}/attachments");
    let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": SERVER}});
    let made = cloud
        .service()
        .post(&root, body.clone())
        .await
        .expect(200)
        .json["attachment"]
        .clone();
    assert_eq!(
        (&made["status"], &made["connection_info"]),
        (&json!("reserved"), &json!({}))
    );
    assert_eq!(cloud.status(&volume).await, "reserved");
    let again = cloud.service().post(&root, body).await.expect(200).json["attachment"].clone();
    assert_eq!(again["id"], made["id"], "a repeated request finds its own");
    let target = format!("{root}/{}", made["id"].as_str().unwrap());
    let connect = json!({"attachment": {"connector": connector("here")}});
    let connected =
        cloud.service().put(&target, connect).await.expect(200).json["attachment"].clone();
    let info = &connected["connection_info"];
    assert_eq!(info["driver_volume_type"], "local");
    assert_eq!(
        (&info["data"]["format"], &info["data"]["access_mode"]),
        (&json!("raw"), &json!("rw"))
    );
    let path = info["data"]["device_path"].as_str().unwrap();
    assert!(
        std::path::Path::new(path).is_absolute() && std::path::Path::new(path).exists(),
        "{path}"
    );
    assert_eq!(cloud.status(&volume).await, "attaching");
    cloud
        .service()
        .post(&format!("{target}/action"), json!({"os-complete": null}))
        .await
        .expect(204);
    let shown = cloud.show(&volume).await;
    assert_eq!(
        (&shown["status"], &shown["attachments"][0]["server_id"]),
        (&json!("in-use"), &json!(SERVER))
    );
    assert_eq!(shown["attachments"][0]["device"], "/dev/vdb");
    assert!(
        shown["attachments"][0]["host_name"].is_null(),
        "users see no hosts"
    );
    cloud
        .member()
        .delete(&format!("/v3/volumes/{volume}"))
        .await
        .expect(400);
    cloud.service().delete(&target).await.expect(200);
    assert_eq!(cloud.status(&volume).await, "available");
    cloud.service().delete(&target).await.expect(404);
}

#[tokio::test]
async fn a_volume_has_one_server_unless_its_type_allows_more() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.attached(&volume).await;
    let other = "71c675ab-d94f-49cd-a114-e12490b328da";
    let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": other}});
    let refused = cloud
        .member()
        .post("/v3/attachments", body)
        .await
        .expect(400);
    assert!(
        message(&refused.json).contains("the current status is in-use"),
        "{}",
        refused.json
    );
    let kind =
        json!({"volume_type": {"name": "shared", "extra_specs": {"multiattach": "<is> True"}}});
    cloud.admin().post("/v3/types", kind).await.expect(200);
    let shared = cloud
        .volume_of(json!({"size": 1, "volume_type": "shared"}))
        .await;
    assert_eq!(cloud.show(&shared).await["multiattach"], true);
    let first = cloud.attached(&shared).await;
    let body = json!({"attachment": {"volume_uuid": shared, "instance_uuid": other}});
    cloud
        .member()
        .post("/v3/attachments", body)
        .await
        .expect(200);
    cloud
        .member()
        .delete(&format!("/v3/attachments/{first}"))
        .await
        .expect(200);
    assert_eq!(cloud.status(&shared).await, "reserved");
}

#[tokio::test]
async fn a_read_only_volume_is_attached_so_and_strangers_see_nothing() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let action = format!("/v3/volumes/{volume}/action");
    cloud
        .member()
        .post(
            &action,
            json!({"os-update_readonly_flag": {"readonly": true}}),
        )
        .await
        .expect(202);
    let body =
        json!({"attachment": {"volume_uuid": volume, "instance_uuid": SERVER, "mode": "rw"}});
    cloud
        .member()
        .post("/v3/attachments", body)
        .await
        .expect(400);
    let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": SERVER, "connector": connector("here")}});
    cloud
        .other()
        .post("/v3/attachments", body.clone())
        .await
        .expect(404);
    let made = cloud
        .member()
        .post("/v3/attachments", body)
        .await
        .expect(200)
        .json["attachment"]
        .clone();
    assert_eq!(made["connection_info"]["data"]["access_mode"], "ro");
    let target = format!("/v3/attachments/{}", made["id"].as_str().unwrap());
    cloud.other().get(&target).await.expect(404);
    let listed = cloud.other().get("/v3/attachments").await.expect(200).json;
    assert_eq!(listed["attachments"], json!([]));
    let listed = cloud
        .member()
        .get("/v3/attachments/detail")
        .await
        .expect(200)
        .json;
    assert_eq!(listed["attachments"][0]["connection_info"], json!({}));
}

#[tokio::test]
async fn another_host_is_told_what_is_missing() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": SERVER}});
    let made = cloud
        .member()
        .post("/v3/attachments", body)
        .await
        .expect(200)
        .json;
    let target = format!(
        "/v3/attachments/{}",
        made["attachment"]["id"].as_str().unwrap()
    );
    let connect = json!({"attachment": {"connector": connector("there")}});
    let refused = cloud.member().put(&target, connect).await.expect(400);
    assert!(
        message(&refused.json).contains("iscsi_listen"),
        "{}",
        refused.json
    );
}

#[tokio::test]
async fn the_older_actions_attach_and_detach() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let action = format!("/v3/volumes/{volume}/action");
    let act = |body: serde_json::Value| {
        let (ask, action) = (cloud.member(), action.clone());
        async move { ask.post(&action, body).await }
    };
    act(json!({"os-reserve": {}})).await.expect(202);
    act(json!({"os-reserve": {}})).await.expect(400);
    assert_eq!(cloud.status(&volume).await, "attaching");
    act(json!({"os-unreserve": {}})).await.expect(202);
    assert_eq!(cloud.status(&volume).await, "available");
    act(json!({"os-reserve": {}})).await.expect(202);
    let info = act(json!({"os-initialize_connection": {"connector": connector("here")}}))
        .await
        .expect(200)
        .json;
    assert_eq!(info["connection_info"]["driver_volume_type"], "local");
    act(json!({"os-attach": {"instance_uuid": SERVER, "mountpoint": "/dev/vdc"}}))
        .await
        .expect(202);
    let shown = cloud.show(&volume).await;
    assert_eq!(
        (&shown["status"], &shown["attachments"][0]["device"]),
        (&json!("in-use"), &json!("/dev/vdc"))
    );
    act(json!({"os-begin_detaching": {}})).await.expect(202);
    act(json!({"os-roll_detaching": {}})).await.expect(202);
    act(json!({"os-begin_detaching": {}})).await.expect(202);
    act(json!({"os-terminate_connection": {"connector": connector("here")}}))
        .await
        .expect(202);
    act(json!({"os-detach": {}})).await.expect(202);
    assert_eq!(cloud.status(&volume).await, "available");
}

#[tokio::test]
async fn what_a_server_uses_is_ended_by_compute_alone() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let id = cloud.attached(&volume).await;
    *cloud.compute.uses.lock().unwrap() = Some(id.clone());
    let target = format!("/v3/attachments/{id}");
    let refused = cloud.member().delete(&target).await.expect(409);
    assert!(message(&refused.json).contains("using the Compute API"));
    let action = format!("/v3/volumes/{volume}/action");
    let detach = json!({"os-detach": {"attachment_id": id}});
    cloud.member().post(&action, detach).await.expect(409);
    assert_eq!(cloud.status(&volume).await, "in-use");
    let own = format!("/v3/{}/attachments/{id}", Persona::Member.project());
    cloud.service().delete(&own).await.expect(200);
    assert_eq!(cloud.status(&volume).await, "available");
}

#[tokio::test]
async fn a_snapshot_that_was_accepted_first_has_the_file_first() {
    let cloud = cloud().await;
    let (volume, member) = (cloud.volume().await, cloud.member());
    let wanted = json!({"snapshot": {"volume_id": volume}});
    let snapshot = member.post("/v3/snapshots", wanted).await.expect(202).json["snapshot"].clone();
    let server = json!({"volume_uuid": volume, "instance_uuid": SERVER});
    let mut at_once = server.clone();
    at_once["connector"] = connector("here");
    let refused = member
        .post("/v3/attachments", json!({"attachment": at_once}))
        .await
        .expect(503);
    assert!(
        message(&refused.json).contains("is being copied"),
        "{}",
        refused.json
    );
    assert_eq!(
        cloud.status(&volume).await,
        "available",
        "nothing is left of it"
    );
    let made = member
        .post("/v3/attachments", json!({"attachment": server}))
        .await
        .expect(200)
        .json;
    let target = format!(
        "/v3/attachments/{}",
        made["attachment"]["id"].as_str().unwrap()
    );
    let connect = json!({"attachment": {"connector": connector("here")}});
    member.put(&target, connect.clone()).await.expect(503);
    cloud.settle().await;
    let target_of = format!("/v3/snapshots/{}", snapshot["id"].as_str().unwrap());
    let shown = member.get(&target_of).await.expect(200).json;
    assert_eq!(shown["snapshot"]["status"], "available");
    member.put(&target, connect).await.expect(200);
}

#[tokio::test]
async fn an_attachment_ends_once() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let target = format!("/v3/attachments/{}", cloud.attached(&volume).await);
    let member = cloud.member();
    let (one, two) = tokio::join!(member.delete(&target), member.delete(&target));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404]);
    assert_eq!(cloud.status(&volume).await, "available");
}
