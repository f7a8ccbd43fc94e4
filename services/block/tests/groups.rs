//! Groups of volumes, and snapshots of all of them.

use futures_util::future::join_all;
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message};

/// A public group type with these specs.
pub async fn group_type(cloud: &Cloud, specs: Value) -> String {
    let body = json!({"group_type": {"name": nephos_runtime::ids::hex(), "group_specs": specs}});
    let answer = cloud.admin().post("/v3/group_types", body).await;
    let id = &answer.expect(202).json["group_type"]["id"];
    id.as_str().unwrap().to_owned()
}

/// A member's group for volumes of the default type.
pub async fn group(cloud: &Cloud) -> String {
    let kind = group_type(cloud, json!({})).await;
    let body = json!({"name": "g", "group_type": kind, "volume_types": ["__DEFAULT__"]});
    let answer = cloud
        .member()
        .post("/v3/groups", json!({ "group": body }))
        .await;
    let id = &answer.expect(202).json["group"]["id"];
    id.as_str().unwrap().to_owned()
}

async fn volume_in(cloud: &Cloud, group: &str) -> String {
    let body = json!({"size": 1, "name": "v", "volume_type": "__DEFAULT__", "group_id": group});
    cloud.volume_of(body).await
}

/// A group, and a volume in it.
pub async fn grouped(cloud: &Cloud) -> (String, String) {
    let group = group(cloud).await;
    let volume = volume_in(cloud, &group).await;
    (group, volume)
}

/// A snapshot of a group, made.
pub async fn group_snapshot(cloud: &Cloud, group: &str) -> String {
    let body = json!({"group_snapshot": {"group_id": group, "name": "s"}});
    let answer = cloud.member().post("/v3/group_snapshots", body).await;
    let id = answer.expect(202).json["group_snapshot"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    cloud.settle().await;
    id
}

async fn show(cloud: &Cloud, target: &str) -> Value {
    cloud.member().get(target).await.expect(200).json
}

async fn act(cloud: &Cloud, group: &str, body: Value) -> nephos_testkit::Answer {
    let target = format!("/v3/groups/{group}/action");
    cloud.member().post(&target, body).await
}

#[tokio::test]
async fn a_group_type_has_a_name_of_its_own_and_specs_that_operators_see() {
    let cloud = cloud().await;
    let id = group_type(&cloud, json!({"a": "b"})).await;
    let target = format!("/v3/group_types/{id}");
    let shown = cloud.admin().get(&target).await.expect(200).json;
    assert_eq!(shown["group_type"]["group_specs"], json!({"a": "b"}));
    let shown = show(&cloud, &target).await;
    assert!(shown["group_type"].get("group_specs").is_none());
    let name = shown["group_type"]["name"].clone();
    let again = json!({"group_type": {"name": name}});
    cloud
        .admin()
        .post("/v3/group_types", again)
        .await
        .expect(409);
    let specs = format!("{target}/group_specs");
    let more = json!({"group_specs": {"c": "d"}});
    cloud.admin().post(&specs, more).await.expect(202);
    let all = cloud.admin().get(&specs).await.expect(200).json;
    assert_eq!(all["group_specs"], json!({"a": "b", "c": "d"}));
    cloud
        .admin()
        .put(&format!("{specs}/c"), json!({"x": "e"}))
        .await
        .expect(400);
    cloud
        .admin()
        .delete(&format!("{specs}/c"))
        .await
        .expect(202);
    cloud.admin().get(&format!("{specs}/c")).await.expect(404);
    let hide = json!({"group_type": {"is_public": false}});
    cloud.admin().put(&target, hide).await.expect(200);
    cloud.member().get(&target).await.expect(404);
    assert_eq!(
        show(&cloud, "/v3/group_types").await["group_types"],
        json!([])
    );
    let old = cloud.admin().at("volume 3.10");
    old.get("/v3/group_types").await.expect(404);
}

#[tokio::test]
async fn a_group_has_volumes_of_its_types_which_go_with_it_only() {
    let cloud = cloud().await;
    let (group, volume) = grouped(&cloud).await;
    let target = format!("/v3/groups/{group}");
    let shown = show(&cloud, &format!("{target}?list_volume=true")).await;
    assert_eq!(
        (&shown["group"]["status"], &shown["group"]["volumes"]),
        (&json!("available"), &json!([volume]))
    );
    assert_eq!(cloud.show(&volume).await["group_id"], json!(group));
    let kind = json!({"volume_type": {"name": "other"}});
    cloud.admin().post("/v3/types", kind).await.expect(200);
    for (body, words) in [
        (json!({"size": 1, "group_id": group}), "must be provided"),
        (
            json!({"size": 1, "group_id": group, "volume_type": "other"}),
            "must be supported by this group",
        ),
    ] {
        let body = json!({ "volume": body });
        let answer = cloud.member().post("/v3/volumes", body).await.expect(400);
        assert!(message(&answer.json).contains(words), "{}", answer.json);
    }
    let answer = cloud
        .member()
        .delete(&format!("/v3/volumes/{volume}"))
        .await;
    assert!(message(&answer.expect(400).json).contains("in a group"));
    let answer = act(&cloud, &group, json!({"delete": {}})).await;
    assert!(message(&answer.expect(400).json).contains("is not empty"));
    act(&cloud, &group, json!({"delete": {"delete-volumes": true}}))
        .await
        .expect(202);
    act(&cloud, &group, json!({"delete": {"delete-volumes": true}}))
        .await
        .expect(400);
    cloud.settle().await;
    cloud.member().get(&target).await.expect(404);
    cloud
        .member()
        .get(&format!("/v3/volumes/{volume}"))
        .await
        .expect(404);
    assert_eq!(cloud.files(), Vec::<String>::new());
}

#[tokio::test]
async fn volumes_join_and_leave_a_group() {
    let cloud = cloud().await;
    let group = group(&cloud).await;
    let volume = cloud.volume().await;
    let target = format!("/v3/groups/{group}");
    let put = async |body: Value| cloud.member().put(&target, json!({ "group": body })).await;
    put(json!({"add_volumes": volume, "name": "n"}))
        .await
        .expect(202);
    assert_eq!(show(&cloud, &target).await["group"]["name"], "n");
    assert_eq!(cloud.show(&volume).await["group_id"], json!(group));
    put(json!({"add_volumes": volume})).await.expect(400);
    let both = json!({"add_volumes": volume, "remove_volumes": volume});
    put(both).await.expect(400);
    put(json!({"remove_volumes": volume})).await.expect(202);
    assert_eq!(cloud.show(&volume).await["group_id"], Value::Null);
    put(json!({"remove_volumes": volume})).await.expect(400);
    put(json!({})).await.expect(400);
    put(json!({"add_volumes": crate::kit::SERVER}))
        .await
        .expect(404);
    act(&cloud, &group, json!({"delete": {}})).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "available");
}

#[tokio::test]
async fn a_group_is_made_of_a_snapshot_of_another_or_of_itself() {
    let cloud = cloud().await;
    let (group, volume) = grouped(&cloud).await;
    volume_in(&cloud, &group).await;
    cloud.write(&volume, 0, b"then");
    let snapshot = group_snapshot(&cloud, &group).await;
    let target = format!("/v3/group_snapshots/{snapshot}");
    assert_eq!(
        show(&cloud, &target).await["group_snapshot"]["status"],
        "available"
    );
    let all = show(&cloud, "/v3/snapshots/detail").await;
    let all = all["snapshots"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    assert!(
        all.iter()
            .all(|one| one["group_snapshot_id"] == json!(snapshot))
    );
    let part = format!("/v3/snapshots/{}", all[0]["id"].as_str().unwrap());
    let answer = cloud.member().delete(&part).await.expect(400);
    assert!(message(&answer.json).contains("part of group snapshot"));
    let answer = act(&cloud, &group, json!({"delete": {"delete-volumes": true}})).await;
    assert!(message(&answer.expect(400).json).contains("dependent group snapshots"));
    for source in [
        json!({"group_snapshot_id": snapshot, "name": "copy"}),
        json!({"source_group_id": group, "name": "copy"}),
    ] {
        let body = json!({ "create-from-src": source });
        let answer = cloud.member().post("/v3/groups/action", body).await;
        let made = answer.expect(202).json["group"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let target = format!("/v3/groups/{made}?list_volume=true");
        assert_eq!(show(&cloud, &target).await["group"]["status"], "creating");
        cloud.settle().await;
        let shown = show(&cloud, &target).await;
        assert_eq!(shown["group"]["status"], "available");
        let volumes = shown["group"]["volumes"].as_array().unwrap();
        assert_eq!(volumes.len(), 2);
        let read = volumes
            .iter()
            .map(|id| cloud.read(id.as_str().unwrap(), 0, 4));
        assert!(read.into_iter().any(|bytes| bytes == b"then"));
    }
    cloud.member().delete(&target).await.expect(202);
    cloud.settle().await;
    cloud.member().get(&target).await.expect(404);
    assert_eq!(show(&cloud, "/v3/snapshots").await["snapshots"], json!([]));
    for odd in [
        json!({}),
        json!({"source_group_id": group, "group_snapshot_id": snapshot}),
    ] {
        let body = json!({ "create-from-src": odd });
        cloud
            .member()
            .post("/v3/groups/action", body)
            .await
            .expect(400);
    }
}

#[tokio::test]
async fn many_at_once_never_get_more_groups_than_the_quota() {
    let cloud = cloud().await;
    let target = format!("/v3/os-quota-sets/{}", Persona::Member.project());
    let limits = json!({"quota_set": {"groups": 2}});
    cloud.admin().put(&target, limits).await.expect(200);
    let kind = group_type(&cloud, json!({})).await;
    let body = json!({"group": {"group_type": kind, "volume_types": ["__DEFAULT__"]}});
    let member = cloud.member();
    let answers = join_all((0..5).map(|_| member.post("/v3/groups", body.clone()))).await;
    let mut codes: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    codes.sort_unstable();
    assert_eq!(codes, [202, 202, 413, 413, 413]);
    // A type of which there are groups stays.
    let target = format!("/v3/group_types/{kind}");
    cloud.admin().delete(&target).await.expect(400);
    let consistent = json!({"consistent_group_snapshot_enabled": "<is> True"});
    let kind = group_type(&cloud, consistent).await;
    let body = json!({"group": {"group_type": kind, "volume_types": ["__DEFAULT__"]}});
    cloud.member().post("/v3/groups", body).await.expect(400);
    let list = show(&cloud, "/v3/groups/detail?limit=1").await;
    assert_eq!(list["groups"].as_array().unwrap().len(), 1);
    assert_eq!(list["group_links"][0]["rel"], "next");
    let others = cloud.other().get("/v3/groups").await.expect(200).json;
    assert_eq!(others["groups"], json!([]));
}
