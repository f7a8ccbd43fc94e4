//! Another size, another host, and the way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderValue, Method};
use nephos_api::{App, Check as _, Dispatch as _, Incoming, Payload, Request};
use nephos_compute::driver::DriverError;
use nephos_compute::driver::fake::{HostSize, Verb};
use nephos_db::args;
use nephos_testkit::{HOST, OTHER_HOST, Persona};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::cloud::Cloud;
use crate::crash::{killed_everywhere, seen};

/// Hosts with a server on one of them, and a larger flavor.
async fn cloud(hosts: &[&str]) -> (Cloud, String, String) {
    let mut cloud = Cloud::with_hosts(hosts, HostSize::default()).await;
    flavor(&cloud, "large", json!({"vcpus": 4, "ram": 512, "disk": 2})).await;
    let id = cloud.running().await;
    let host = cloud.show(&id).await["OS-EXT-SRV-ATTR:host"].clone();
    (cloud, id, host.as_str().unwrap().to_owned())
}

async fn flavor(cloud: &Cloud, id: &str, size: Value) {
    let mut flavor = json!({"id": id, "name": id});
    flavor
        .as_object_mut()
        .unwrap()
        .extend(size.as_object().unwrap().clone());
    let body = json!({ "flavor": flavor });
    cloud.admin().post("/v2.1/flavors", body).await.expect(200);
}

async fn resize(cloud: &mut Cloud, id: &str) {
    let body = json!({"resize": {"flavorRef": "large"}});
    cloud.act(id, body).await.expect(202);
    assert_eq!(cloud.show(id).await["status"], "RESIZE");
    cloud.settle().await;
    assert_eq!(
        cloud.show(id).await["status"],
        "VERIFY_RESIZE",
        "{}",
        cloud.show(id).await
    );
}

async fn migrate(cloud: &mut Cloud, id: &str) {
    let target = format!("/v2.1/servers/{id}/action");
    let body = json!({"migrate": null});
    cloud.admin().post(&target, body).await.expect(202);
    cloud.settle().await;
    assert_eq!(
        cloud.show(id).await["status"],
        "VERIFY_RESIZE",
        "{}",
        cloud.show(id).await
    );
}

async fn decide(cloud: &mut Cloud, id: &str, verb: &str) {
    let status = if verb == "confirmResize" { 204 } else { 202 };
    cloud.act(id, json!({ verb: null })).await.expect(status);
    cloud.settle().await;
}

fn disks(cloud: &Cloud, host: &str) -> BTreeSet<i64> {
    let here = cloud.simulated.snapshot(host);
    here.values()
        .flat_map(|found| found.disks.clone())
        .collect()
}

async fn used(cloud: &Cloud) -> (i64, i64) {
    let of = async |resource: &str| {
        let sql = "SELECT CAST(SUM(used) AS BIGINT) FROM quota_usage WHERE resource = $1";
        cloud
            .db
            .fetch_scalar::<i64>(sql, args![resource])
            .await
            .unwrap()
    };
    (of("cores").await, of("ram").await)
}

async fn moves(cloud: &Cloud) -> Vec<Value> {
    let admin = cloud.admin().at("compute 2.96");
    let listed = admin.get("/v2.1/os-migrations").await.expect(200).json;
    listed["migrations"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_server_that_is_resized_where_it_is_keeps_what_it_was_until_its_owner_decides() {
    let (mut cloud, id, host) = cloud(&["one"]).await;
    let before = cloud.show(&id).await;
    resize(&mut cloud, &id).await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["flavor"]["original_name"], "large");
    assert_eq!(shown["OS-EXT-STS:vm_state"], "resized");
    assert_eq!(shown["addresses"], before["addresses"]);
    assert_eq!(disks(&cloud, &host), BTreeSet::from([0, 1]));
    let claims: i64 = cloud
        .placement
        .state()
        .allocations
        .values()
        .flat_map(|by| by.values().map(|classes| classes["VCPU"]))
        .sum();
    assert_eq!(claims, 5, "the room of both sizes is claimed");
    assert_eq!(used(&cloud).await, (4, 512));
    assert_eq!(cloud.compute.check().await.unwrap(), []);

    decide(&mut cloud, &id, "confirmResize").await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["status"], "ACTIVE");
    assert_eq!(shown["flavor"]["vcpus"], 4);
    assert_eq!(disks(&cloud, &host), BTreeSet::from([1]));
    assert_eq!(cloud.placement.state().allocations.len(), 1);
    assert_eq!(cloud.compute.check().await.unwrap(), []);

    // As small again, of disk 2.
    flavor(&cloud, "thin", json!({"vcpus": 1, "ram": 64, "disk": 2})).await;
    let body = json!({"resize": {"flavorRef": "thin"}});
    cloud.act(&id, body).await.expect(202);
    cloud.settle().await;
    assert_eq!(used(&cloud).await, (4, 512), "it may go back");
    decide(&mut cloud, &id, "confirmResize").await;
    assert_eq!(used(&cloud).await, (1, 64));
    let actions = format!("/v2.1/servers/{id}/os-instance-actions");
    let listed = cloud.member().get(&actions).await.expect(200).json;
    let names: Vec<&Value> = listed["instanceActions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["action"])
        .collect();
    assert_eq!(
        names,
        [
            "confirmResize",
            "resize",
            "confirmResize",
            "resize",
            "create"
        ]
    );
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn a_reverted_resize_leaves_the_server_as_it_was() {
    let (mut cloud, id, host) = cloud(&["one"]).await;
    resize(&mut cloud, &id).await;
    cloud
        .act(&id, json!({"revertResize": null}))
        .await
        .expect(202);
    assert_eq!(cloud.show(&id).await["status"], "REVERT_RESIZE");
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(
        (&shown["status"], &shown["flavor"]["vcpus"]),
        (&json!("ACTIVE"), &json!(1))
    );
    assert_eq!(disks(&cloud, &host), BTreeSet::from([0]));
    assert_eq!(used(&cloud).await, (1, 128));
    assert_eq!(cloud.placement.state().allocations.len(), 1);
    assert_eq!(cloud.compute.check().await.unwrap(), []);
    assert_eq!(moves(&cloud).await[0]["status"], "reverted");
}

#[tokio::test]
async fn a_migrated_server_is_elsewhere_with_its_addresses_and_its_former_host_forgets_it() {
    let (mut cloud, id, host) = cloud(&["one", "two"]).await;
    let before = cloud.show(&id).await;
    migrate(&mut cloud, &id).await;
    let shown = cloud.show(&id).await;
    let there = shown["OS-EXT-SRV-ATTR:host"].as_str().unwrap().to_owned();
    assert_ne!(there, host);
    assert_eq!(shown["addresses"], before["addresses"]);
    let port = &cloud.network.ports()[0];
    assert_eq!(port["binding:host_id"], json!(there));
    assert_eq!(disks(&cloud, &host), BTreeSet::from([0]));
    assert_eq!(disks(&cloud, &there), BTreeSet::from([1]));
    assert_eq!(cloud.compute.check().await.unwrap(), []);
    let listed = moves(&cloud).await;
    let one = &listed[0];
    assert_eq!(one["migration_type"], "migration");
    assert_eq!(one["status"], "finished");
    assert_eq!(one["source_compute"], json!(host));
    assert_eq!(one["dest_compute"], json!(there));

    decide(&mut cloud, &id, "confirmResize").await;
    assert_eq!(cloud.show(&id).await["status"], "ACTIVE");
    assert!(cloud.simulated.snapshot(&host).is_empty());
    assert_eq!(cloud.placement.state().allocations.len(), 1);
    assert_eq!(cloud.compute.check().await.unwrap(), []);
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn a_migration_to_a_host_by_name_can_be_taken_back() {
    let (mut cloud, id, host) = cloud(&["one", "two"]).await;
    let other = if host == "one" { "two" } else { "one" };
    cloud.act(&id, json!({"os-stop": null})).await.expect(202);
    cloud.settle().await;
    let target = format!("/v2.1/servers/{id}/action");
    let admin = cloud.admin().at("compute 2.56");
    for (body, says) in [
        (json!({"host": host}), "where the server exists"),
        (json!({"host": "nowhere"}), "nowhere"),
        (json!({"hots": "x"}), "hots"),
        (json!(7), "is not of type"),
    ] {
        let refused = admin.post(&target, json!({ "migrate": body })).await;
        let message = refused.expect(400).json["badRequest"]["message"].clone();
        assert!(message.as_str().unwrap().contains(says), "{message}");
    }
    let body = json!({"migrate": {"host": other}});
    admin.post(&target, body).await.expect(202);
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["OS-EXT-SRV-ATTR:host"], json!(other));
    assert_eq!(shown["OS-EXT-STS:power_state"], 4);
    decide(&mut cloud, &id, "revertResize").await;
    let shown = cloud.show(&id).await;
    assert_eq!(
        (&shown["status"], &shown["OS-EXT-SRV-ATTR:host"]),
        (&json!("SHUTOFF"), &json!(host))
    );
    assert!(cloud.simulated.snapshot(other).is_empty());
    assert_eq!(cloud.network.ports()[0]["binding:host_id"], json!(host));
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

#[tokio::test]
async fn what_cannot_be_resized_is_refused_with_the_reason() {
    let (mut cloud, id, _host) = cloud(&["one"]).await;
    flavor(&cloud, "none", json!({"vcpus": 1, "ram": 64, "disk": 0})).await;
    flavor(
        &cloud,
        "huge",
        json!({"vcpus": 1, "ram": 512_000, "disk": 1}),
    )
    .await;
    for (wish, status, says) in [
        (json!("small"), 400, "must change flavor"),
        (json!("unknown"), 400, "Unable to locate requested flavor"),
        (json!(""), 400, "flavorRef"),
        (json!("none"), 400, "disk 0"),
        (json!("huge"), 403, "Quota exceeded for ram"),
    ] {
        let body = json!({"resize": {"flavorRef": wish}});
        let refused = cloud.act(&id, body).await.expect(status);
        assert!(refused.json.to_string().contains(says), "{}", refused.json);
    }
    for verb in ["confirmResize", "revertResize"] {
        let refused = cloud.act(&id, json!({ verb: null })).await.expect(409);
        assert!(refused.json.to_string().contains("vm_state active"));
    }
    resize(&mut cloud, &id).await;
    for (body, status) in [
        (json!({"os-stop": null}), 409),
        (json!({"resize": {"flavorRef": "small"}}), 409),
        (json!({"rebuild": {"imageRef": cloud.image_id}}), 409),
    ] {
        cloud.act(&id, body).await.expect(status);
    }
    decide(&mut cloud, &id, "confirmResize").await;
    let body = json!({"resize": {"flavorRef": "small"}});
    let refused = cloud.act(&id, body).await.expect(400);
    assert!(
        refused
            .json
            .to_string()
            .contains("Unable to resize disk down")
    );
    cloud.act(&id, json!({"suspend": null})).await.expect(202);
    cloud.settle().await;
    let target = format!("/v2.1/servers/{id}/action");
    let body = json!({"migrate": null});
    cloud.admin().post(&target, body).await.expect(409);
}

#[tokio::test]
async fn a_move_that_fails_puts_the_server_back_and_says_why_in_its_history() {
    // Nowhere to go.
    let (mut alone, id, _host) = cloud(&["one"]).await;
    let target = format!("/v2.1/servers/{id}/action");
    let admin = alone.admin().at("compute 2.96");
    let body = json!({"migrate": null});
    admin.post(&target, body).await.expect(202);
    alone.settle().await;
    let shown = alone.show(&id).await;
    assert_eq!(shown["status"], "ACTIVE", "{shown}");
    assert_eq!(moves(&alone).await[0]["status"], "error");
    let actions = format!("/v2.1/servers/{id}/os-instance-actions");
    let listed = admin.get(&actions).await.expect(200).json;
    let last = &listed["instanceActions"][0];
    assert_eq!(
        (&last["action"], &last["message"]),
        (&json!("migrate"), &json!("Error"))
    );
    assert_eq!(alone.compute.check().await.unwrap(), []);

    // The other host cannot make the disk.
    let (mut cloud, id, host) = cloud(&["one", "two"]).await;
    let other = if host == "one" { "two" } else { "one" };
    let full = DriverError::Refused("the host's disk is full".to_owned());
    cloud.simulated.fail_next(other, Verb::Disk, full);
    let admin = cloud.admin();
    let target = format!("/v2.1/servers/{id}/action");
    admin
        .post(&target, json!({"migrate": null}))
        .await
        .expect(202);
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(
        (&shown["status"], &shown["OS-EXT-SRV-ATTR:host"]),
        (&json!("ACTIVE"), &json!(host))
    );
    assert!(cloud.simulated.snapshot(other).is_empty());
    assert_eq!(disks(&cloud, &host), BTreeSet::from([0]));
    assert_eq!(cloud.placement.state().allocations.len(), 1);
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

#[tokio::test]
async fn a_server_whose_host_is_lost_on_the_way_can_be_evacuated() {
    let (mut cloud, id, host) = cloud(&["one", "two"]).await;
    let target = format!("/v2.1/servers/{id}/action");
    let admin = cloud.admin().at("compute 2.94");
    let body = json!({"migrate": null});
    admin.post(&target, body).await.expect(202);
    cloud.hosts.remove(&host).unwrap();
    cloud.work_for(5).await;
    assert_eq!(cloud.show(&id).await["status"], "RESIZE");
    // While its move has not ended, nothing else begins.
    let off = json!({"host": host, "binary": "nova-compute", "forced_down": true});
    let services = "/v2.1/os-services/force-down";
    let old = cloud.admin().at("compute 2.11");
    old.put(services, off).await.expect(200);
    let away = json!({"evacuate": {}});
    admin.post(&target, away.clone()).await.expect(409);
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["status"], "ERROR");
    let said = shown["fault"]["message"].as_str().unwrap();
    assert!(said.contains("evacuated"), "{said}");
    admin.post(&target, away).await.expect(200);
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["status"], "ACTIVE", "{shown}");
    assert_ne!(shown["OS-EXT-SRV-ATTR:host"], json!(host));
    assert_eq!(cloud.compute.check().await.unwrap(), []);
    assert_eq!(moves(&cloud).await[0]["status"], "done");
}

#[tokio::test]
async fn a_server_is_deleted_whatever_its_move_is_doing() {
    for rounds in [0, 1, 2, 3, 5, 8, 13, 21] {
        let (mut cloud, id, _host) = cloud(&["one", "two"]).await;
        let target = format!("/v2.1/servers/{id}");
        let admin = cloud.admin();
        let body = json!({"migrate": null});
        admin
            .post(&format!("{target}/action"), body)
            .await
            .expect(202);
        for _round in 0..rounds {
            cloud.work_for(1).await;
        }
        cloud.member().delete(&target).await.expect(204);
        cloud.settle().await;
        cloud.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_disk_is_brought_to_the_host_that_its_server_moves_to_and_to_nobody_else() {
    let (mut cloud, id, host) = cloud(&[HOST, OTHER_HOST]).await;
    let other = if host == HOST { OTHER_HOST } else { HOST };
    let target = format!("/host/v1/disks/{id}");
    // It moves nowhere.
    cloud.ask.as_host(&host).get(&target).await.expect(404);
    migrate(&mut cloud, &id).await;
    cloud.ask.as_host(&host).get(&target).await.expect(404);
    cloud
        .ask
        .as_persona(Persona::Admin)
        .get(&target)
        .await
        .expect(403);
    // Its former host hears of it in its feed, and brings what was asked for.
    let app = App::new(Arc::clone(&cloud.compute)).unwrap();
    let asking = app.dispatch(as_host(
        &cloud,
        other,
        Method::GET,
        &format!("{target}?from=5"),
    ));
    let bringing = async {
        let call = loop {
            tokio::task::yield_now().await;
            if let Some(call) = called(&cloud, &host).await {
                break call;
            }
        };
        assert_eq!((&call["epoch"], &call["from"]), (&json!(0), &json!(5)));
        let session = format!("/host/v1/consoles/{}", call["session"].as_str().unwrap());
        let (said, body) = mpsc::channel(4);
        let mut stranger = as_host(&cloud, other, Method::POST, &session);
        stranger.body = Incoming::Bytes(Bytes::new());
        assert_eq!(app.dispatch(stranger).await.status.as_u16(), 404);
        let mut joining = as_host(&cloud, &host, Method::POST, &session);
        joining.body = Incoming::Stream(body);
        assert_eq!(app.dispatch(joining).await.status.as_u16(), 200);
        for piece in [Some(Bytes::from("re")), Some(Bytes::from("st")), None] {
            said.send(Ok(piece)).await.unwrap();
        }
    };
    let (came, ()) = tokio::join!(asking, bringing);
    assert_eq!(came.status.as_u16(), 200);
    let Payload::Open(mut bytes) = came.body else {
        panic!("no stream");
    };
    let mut all = Vec::new();
    while let Some(piece) = bytes.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(all, b"rest");
}

fn as_host(cloud: &Cloud, host: &str, method: Method, target: &str) -> Request {
    let who = if host == HOST {
        Persona::Host
    } else {
        Persona::OtherHost
    };
    let mut request = Request::new(method, target);
    let token = cloud.world.token(who).unwrap();
    let token = HeaderValue::from_str(&token).unwrap();
    request.headers.insert("x-auth-token", token);
    request
}

/// What the host is called for.
async fn called(cloud: &Cloud, host: &str) -> Option<Value> {
    let feed = cloud.ask.as_host(host).get("/host/v1/feed?wait=0").await;
    let feed = feed.expect(200).json;
    let mut items = feed["items"].as_array()?.iter();
    let call = items.find(|item| item["kind"] == "disk-call")?;
    Some(call["spec"].clone())
}

/// Resized, then kept or not.
async fn resized(hosts: &[&str], moves_away: bool, verb: &str) -> (Vec<Value>, u32) {
    let (mut cloud, id, _host) = cloud(hosts).await;
    let body = if moves_away {
        json!({"migrate": null})
    } else {
        json!({"resize": {"flavorRef": "large"}})
    };
    let target = format!("/v2.1/servers/{id}/action");
    cloud.admin().post(&target, body).await.expect(202);
    cloud.settle().await;
    let mut story = vec![seen(&cloud.show(&id).await)];
    match verb {
        "delete" => {}
        verb => {
            cloud.admin().post(&target, json!({ verb: null })).await;
            cloud.settle().await;
            let kept: usize = ["one", "two"]
                .iter()
                .map(|host| disks(&cloud, host).len())
                .sum();
            let findings = cloud.compute.check().await.unwrap().len();
            let claims = cloud.placement.state().allocations.len();
            let shown = cloud.show(&id).await;
            story.push(json!([
                seen(&shown),
                shown["flavor"],
                kept,
                findings,
                claims,
                used(&cloud).await,
            ]));
        }
    }
    for one in &mut story {
        if let Some(view) = one.as_object_mut() {
            view.remove("host");
        }
        if let Some(view) = one.get_mut(0).and_then(Value::as_object_mut) {
            view.remove("host");
        }
    }
    let target = format!("/v2.1/servers/{id}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

#[tokio::test]
async fn a_resize_killed_anywhere_is_the_same_resize() {
    killed_everywhere(|| resized(&["one"], false, "confirmResize"), 20).await;
    killed_everywhere(|| resized(&["one"], false, "revertResize"), 20).await;
}

#[tokio::test]
async fn a_migration_killed_anywhere_is_the_same_migration() {
    killed_everywhere(|| resized(&["one", "two"], true, "confirmResize"), 20).await;
    killed_everywhere(|| resized(&["one", "two"], true, "revertResize"), 20).await;
}

#[tokio::test]
async fn a_resized_server_whose_deletion_is_killed_anywhere_leaves_nothing() {
    killed_everywhere(|| resized(&["one", "two"], true, "delete"), 20).await;
}
