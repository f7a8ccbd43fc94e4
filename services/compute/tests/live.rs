//! Servers that go to another host while they run.

use std::collections::BTreeSet;
use std::time::Duration;

use nephos_api::Check as _;
use nephos_compute::driver::DriverError;
use nephos_compute::driver::fake::{Fate, HostSize, Verb};
use nephos_compute::model::spec::GuestState;
use nephos_testkit::Answer;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::crash::{killed_everywhere, seen};

/// Two hosts and a server that runs on one; gives the cloud, the server, its host and the other one.
async fn cloud() -> (Cloud, String, String, String) {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let id = cloud.running().await;
    let host = cloud.show(&id).await["OS-EXT-SRV-ATTR:host"].clone();
    let host = host.as_str().unwrap().to_owned();
    let other = if host == "one" { "two" } else { "one" };
    (cloud, id, host, other.to_owned())
}

async fn ask(cloud: &Cloud, id: &str, version: &str, wish: Value) -> Answer {
    let admin = cloud.admin().at(&format!("compute {version}"));
    let target = format!("/v2.1/servers/{id}/action");
    admin.post(&target, json!({ "os-migrateLive": wish })).await
}

async fn go(cloud: &Cloud, id: &str) {
    let wish = json!({"host": null, "block_migration": "auto"});
    ask(cloud, id, "2.96", wish).await.expect(202);
}

/// Where the guest runs.
fn running(cloud: &Cloud) -> BTreeSet<String> {
    let mut hosts = BTreeSet::new();
    for host in ["one", "two"] {
        let here = cloud.simulated.snapshot(host);
        if here
            .values()
            .any(|found| found.state == GuestState::Running)
        {
            hosts.insert(host.to_owned());
        }
    }
    hosts
}

async fn moves(cloud: &Cloud) -> Vec<Value> {
    let admin = cloud.admin().at("compute 2.96");
    let listed = admin.get("/v2.1/os-migrations").await.expect(200).json;
    listed["migrations"].as_array().unwrap().clone()
}

async fn under_way(cloud: &Cloud, id: &str) -> Vec<Value> {
    let admin = cloud.admin().at("compute 2.96");
    let target = format!("/v2.1/servers/{id}/migrations");
    let listed = admin.get(&target).await.expect(200).json;
    listed["migrations"].as_array().unwrap().clone()
}

fn message(answer: &Answer) -> String {
    let (_, fault) = answer.json.as_object().unwrap().iter().next().unwrap();
    fault["message"].as_str().unwrap().to_owned()
}

/// As it was before anything was asked for, on this host.
async fn assert_stayed(cloud: &Cloud, id: &str, host: &str) {
    let shown = cloud.show(id).await;
    assert_eq!(shown["status"], "ACTIVE", "{shown}");
    assert_eq!(shown["OS-EXT-STS:task_state"], Value::Null);
    assert_eq!(shown["OS-EXT-SRV-ATTR:host"], json!(host));
    assert_eq!(running(cloud), BTreeSet::from([host.to_owned()]));
    let other = if host == "one" { "two" } else { "one" };
    assert!(cloud.simulated.snapshot(other).is_empty());
    let port = &cloud.network.ports()[0];
    assert_eq!(port["binding:host_id"], json!(host));
    assert_eq!(port["binding:profile"], json!({}));
    assert_eq!(cloud.placement.state().allocations.len(), 1);
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

#[tokio::test]
async fn a_running_server_goes_to_another_host_and_nothing_of_it_is_left_behind() {
    let (mut cloud, id, host, other) = cloud().await;
    let before = cloud.show(&id).await;
    go(&cloud, &id).await;
    let shown = cloud.show(&id).await;
    assert_eq!(
        (&shown["status"], &shown["OS-EXT-STS:task_state"]),
        (&json!("ACTIVE"), &json!("migrating"))
    );
    assert_eq!(under_way(&cloud, &id).await[0]["status"], "preparing");
    cloud.act(&id, json!({"os-stop": null})).await.expect(409);
    cloud.settle().await;
    let after = cloud.show(&id).await;
    assert_eq!(after["OS-EXT-SRV-ATTR:host"], json!(other), "{after}");
    assert_eq!(after["OS-EXT-STS:task_state"], Value::Null);
    assert_eq!(after["addresses"], before["addresses"]);
    assert_eq!(running(&cloud), BTreeSet::from([other.clone()]));
    assert!(cloud.simulated.snapshot(&host).is_empty());
    let port = &cloud.network.ports()[0];
    assert_eq!(port["binding:host_id"], json!(other));
    assert_eq!(port["binding:profile"], json!({}));
    assert_eq!(cloud.placement.state().allocations.len(), 1);
    assert_eq!(cloud.compute.check().await.unwrap(), []);
    let listed = moves(&cloud).await;
    assert_eq!(
        (&listed[0]["migration_type"], &listed[0]["status"]),
        (&json!("live-migration"), &json!("completed"))
    );
    assert_eq!(under_way(&cloud, &id).await, Vec::<Value>::new());
    let actions = format!("/v2.1/servers/{id}/os-instance-actions");
    let admin = cloud.admin().at("compute 2.96");
    let last = admin.get(&actions).await.expect(200).json["instanceActions"][0].clone();
    assert_eq!(
        (&last["action"], &last["message"]),
        (&json!("live-migration"), &Value::Null)
    );

    // And it is a server like any other there: off, on, back.
    for action in [json!({"os-stop": null}), json!({"os-start": null})] {
        cloud.act(&id, action).await.expect(202);
        cloud.settle().await;
    }
    let back = json!({"host": host, "block_migration": true, "disk_over_commit": false});
    ask(&cloud, &id, "2.1", back).await.expect(202);
    cloud.settle().await;
    assert_stayed(&cloud, &id, &host).await;
}

#[tokio::test]
async fn a_port_that_is_another_servers_by_then_stays_where_it_is() {
    let (mut cloud, id, host, other) = cloud().await;
    let port = cloud.network.ports()[0]["id"].as_str().unwrap().to_owned();
    cloud.network.state().bind_elsewhere = Some(port);
    go(&cloud, &id).await;
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["OS-EXT-SRV-ATTR:host"], json!(other), "{shown}");
    let port = &cloud.network.ports()[0];
    assert_eq!(port["device_id"], "another");
    assert_eq!(port["binding:host_id"], json!(host));
}

#[tokio::test]
async fn a_frozen_server_arrives_frozen() {
    let (mut cloud, id, host, _other) = cloud().await;
    cloud.act(&id, json!({"pause": null})).await.expect(202);
    cloud.settle().await;
    go(&cloud, &id).await;
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["status"], "PAUSED", "{shown}");
    assert_ne!(shown["OS-EXT-SRV-ATTR:host"], json!(host));
    cloud.act(&id, json!({"unpause": null})).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn what_cannot_succeed_is_refused_beforehand_and_says_why() {
    let (mut cloud, id, host, other) = cloud().await;
    let wish = |to: Value| json!({"host": to, "block_migration": "auto"});
    for (to, why) in [
        ("nowhere", "Compute host nowhere could not be found."),
        (host.as_str(), "to current host"),
    ] {
        let refused = ask(&cloud, &id, "2.96", wish(json!(to))).await.expect(400);
        assert!(message(&refused).contains(why), "{}", message(&refused));
    }
    // What a version must say, and what it must not.
    for (version, wish, why) in [
        (
            "2.1",
            json!({"host": null, "block_migration": true}),
            "disk_over_commit",
        ),
        ("2.24", wish(Value::Null), "block_migration"),
        (
            "2.25",
            json!({"block_migration": "auto"}),
            "'host' is a required",
        ),
        (
            "2.25",
            json!({"host": null, "block_migration": "x"}),
            "block_migration",
        ),
        (
            "2.30",
            json!({"host": null, "block_migration": "auto", "force": true}),
            "force",
        ),
        (
            "2.68",
            json!({"host": other, "block_migration": "auto", "force": true}),
            "force",
        ),
        (
            "2.96",
            json!({"host": null, "block_migration": false}),
            "not on shared storage",
        ),
    ] {
        let refused = ask(&cloud, &id, version, wish).await.expect(400);
        assert!(
            message(&refused).contains(why),
            "{version}: {}",
            message(&refused)
        );
    }
    // Another kind of hypervisor.
    let sql = "UPDATE hosts SET inventory = replace(inventory, '\"virt_type\":\"fake\"', '\"virt_type\":\"kvm\"') \
               WHERE host = $1";
    let change = async |sql: &'static str, host: &str| {
        let mut tx = cloud.db.write().await.unwrap();
        tx.exec(sql, nephos_db::args![host]).await.unwrap();
        tx.commit().await.unwrap();
    };
    change(sql, &other).await;
    let refused = ask(&cloud, &id, "2.96", wish(Value::Null))
        .await
        .expect(400);
    assert!(
        message(&refused).contains("run by fake"),
        "{}",
        message(&refused)
    );
    let sql = "UPDATE hosts SET inventory = replace(inventory, '\"virt_type\":\"kvm\"', '\"virt_type\":\"fake\"') \
               WHERE host = $1";
    change(sql, &other).await;
    // Out of service, and silent.
    change("UPDATE hosts SET disabled = TRUE WHERE host = $1", &other).await;
    let refused = ask(&cloud, &id, "2.96", wish(json!(other)))
        .await
        .expect(400);
    assert!(
        message(&refused).contains("unavailable"),
        "{}",
        message(&refused)
    );
    let refused = ask(&cloud, &id, "2.96", wish(Value::Null))
        .await
        .expect(400);
    assert!(
        message(&refused).contains("No valid host"),
        "{}",
        message(&refused)
    );
    change("UPDATE hosts SET disabled = FALSE WHERE host = $1", &other).await;
    // Off.
    cloud.act(&id, json!({"os-stop": null})).await.expect(202);
    cloud.settle().await;
    ask(&cloud, &id, "2.96", wish(Value::Null))
        .await
        .expect(409);
    assert!(moves(&cloud).await.is_empty());
}

#[tokio::test]
async fn a_host_without_room_is_named() {
    let small = HostSize {
        vcpus: 64,
        ram_mib: 700,
        disk_gib: 100,
    };
    let mut cloud = Cloud::with_hosts(&["one", "two"], small).await;
    let (first, second) = (cloud.running().await, cloud.running().await);
    let hosts = [
        cloud.show(&first).await["OS-EXT-SRV-ATTR:host"].clone(),
        cloud.show(&second).await["OS-EXT-SRV-ATTR:host"].clone(),
    ];
    assert_ne!(hosts[0], hosts[1]);
    let wish = json!({"host": hosts[1], "block_migration": "auto"});
    let refused = ask(&cloud, &first, "2.96", wish).await.expect(400);
    let why = format!(
        "no room for 1 VCPU, 128 MEMORY_MB and 1 DISK_GB on {}",
        hosts[1].as_str().unwrap()
    );
    assert!(message(&refused).contains(&why), "{}", message(&refused));
}

#[tokio::test]
async fn a_guest_that_lingers_is_watched_forced_and_given_up() {
    let (mut cloud, id, host, other) = cloud().await;
    cloud.simulated.set_fate(&other, Fate::Linger);
    go(&cloud, &id).await;
    cloud.work_for(15).await;
    let one = under_way(&cloud, &id).await[0].clone();
    assert_eq!(one["status"], "running", "{one}");
    assert_eq!(
        (&one["source_compute"], &one["dest_compute"]),
        (&json!(host), &json!(other))
    );
    assert_eq!(one["memory_total_bytes"], json!(128 << 20));
    let admin = cloud.admin().at("compute 2.96");
    let target = format!("/v2.1/servers/{id}/migrations/{}", one["id"]);
    let shown = admin.get(&target).await.expect(200).json;
    assert_eq!(shown["migration"], one);
    admin
        .get(&format!("/v2.1/servers/{id}/migrations/77"))
        .await
        .expect(404);
    // An operator finds his way from the list of all moves.
    let listed = moves(&cloud).await;
    let href = listed[0]["links"][0]["href"].as_str().unwrap();
    assert!(href.ends_with(&target), "{href}");
    // Given up it goes on where it was.
    admin.delete(&target).await.expect(202);
    cloud.settle().await;
    assert_stayed(&cloud, &id, &host).await;
    assert_eq!(moves(&cloud).await[0]["status"], "cancelled");
    admin.delete(&target).await.expect(404);

    // The next one is frozen, and so gets there.
    go(&cloud, &id).await;
    let early = under_way(&cloud, &id).await[0].clone();
    let target = format!("/v2.1/servers/{id}/migrations/{}", early["id"]);
    let force = json!({"force_complete": null});
    let action = format!("{target}/action");
    admin.post(&action, force.clone()).await.expect(400);
    let old = cloud.admin().at("compute 2.64");
    old.delete(&target).await.expect(400);
    cloud.work_for(15).await;
    admin.post(&action, force).await.expect(202);
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["OS-EXT-SRV-ATTR:host"], json!(other), "{shown}");
    assert_eq!(running(&cloud), BTreeSet::from([other]));
}

#[tokio::test]
async fn a_way_that_breaks_off_leaves_the_guest_where_it_was() {
    for fate in [Fate::Break, Fate::Lost] {
        let (mut cloud, id, host, other) = cloud().await;
        cloud.simulated.set_fate(&other, fate);
        go(&cloud, &id).await;
        cloud.settle().await;
        assert_stayed(&cloud, &id, &host).await;
        assert_eq!(moves(&cloud).await[0]["status"], "error", "{fate:?}");
        let actions = format!("/v2.1/servers/{id}/os-instance-actions");
        let admin = cloud.admin().at("compute 2.96");
        let last = admin.get(&actions).await.expect(200).json["instanceActions"][0].clone();
        assert_eq!(last["message"], "Error", "{last}");
    }
    // A host that cannot even listen.
    let (mut cloud, id, host, other) = cloud().await;
    let why = DriverError::Refused("no port is free".to_owned());
    cloud.simulated.fail_next(&other, Verb::Live, why);
    go(&cloud, &id).await;
    cloud.settle().await;
    assert_stayed(&cloud, &id, &host).await;
}

/// Lets a guest go until it runs on no host: it is on its way.
async fn on_its_way(cloud: &mut Cloud) {
    for _second in 0..20 {
        if running(cloud).is_empty() {
            return;
        }
        cloud.work_for(1).await;
    }
    panic!("it is not on its way");
}

#[tokio::test]
async fn while_a_host_is_silent_nobody_decides_where_the_guest_is() {
    let (mut cloud, id, host, other) = cloud().await;
    cloud.simulated.set_fate(&other, Fate::Lost);
    go(&cloud, &id).await;
    // The host that it goes to falls silent with the guest on its way.
    on_its_way(&mut cloud).await;
    let silent = cloud.hosts.remove(&other).unwrap();
    cloud.work_for(60).await;
    assert!(running(&cloud).is_empty(), "it may be there");
    assert_eq!(cloud.show(&id).await["OS-EXT-STS:task_state"], "migrating");
    cloud.hosts.insert(other.clone(), silent);
    cloud.settle().await;
    assert_stayed(&cloud, &id, &host).await;
}

#[tokio::test]
async fn a_silent_host_is_waited_for_however_long_and_nobody_starts_the_guest_twice_meanwhile() {
    let (mut cloud, id, host, other) = cloud().await;
    cloud.simulated.set_fate(&other, Fate::Lost);
    go(&cloud, &id).await;
    on_its_way(&mut cloud).await;
    let silent = cloud.hosts.remove(&other).unwrap();
    // The move gives up, then its way back has waited for a day, and another.
    for _day in 0..3 {
        cloud.world.clock.advance(Duration::from_secs(25 * 3600));
        cloud.work_for(30).await;
        assert!(running(&cloud).is_empty(), "it may be there");
        assert_eq!(cloud.show(&id).await["OS-EXT-STS:task_state"], "migrating");
    }
    let admin = cloud.admin().at("compute 2.96");
    let target = format!("/v2.1/servers/{id}/action");
    let active = json!({"os-resetState": {"state": "active"}});
    admin.post(&target, active).await.expect(202);
    for verb in ["revertResize", "confirmResize"] {
        let asked = admin.post(&target, json!({ verb: null })).await;
        assert!([400, 409].contains(&asked.status), "{verb}: {}", asked.json);
    }
    cloud.hosts.insert(other.clone(), silent);
    cloud.settle().await;
    assert_stayed(&cloud, &id, &host).await;
    assert_eq!(moves(&cloud).await[0]["status"], "error");
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

#[tokio::test]
async fn a_move_ends_although_both_hosts_have_lost_the_guest() {
    let (mut cloud, id, host, other) = cloud().await;
    cloud.simulated.set_fate(&other, Fate::Linger);
    go(&cloud, &id).await;
    cloud.work_for(15).await;
    for host in [&host, &other] {
        cloud.simulated.lose_guests(host);
    }
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["OS-EXT-STS:task_state"], Value::Null, "{shown}");
    assert_eq!(shown["OS-EXT-SRV-ATTR:host"], json!(host));
    assert_eq!(moves(&cloud).await[0]["status"], "error");
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

#[tokio::test]
async fn a_server_whose_host_is_lost_before_it_left_can_be_evacuated() {
    let (mut cloud, id, host, other) = cloud().await;
    cloud.simulated.set_fate(&other, Fate::Linger);
    go(&cloud, &id).await;
    cloud.work_for(15).await;
    cloud.hosts.remove(&host).unwrap();
    let off = json!({"host": host, "binary": "nova-compute", "forced_down": true});
    let old = cloud.admin().at("compute 2.11");
    old.put("/v2.1/os-services/force-down", off)
        .await
        .expect(200);
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["status"], "ERROR", "{shown}");
    let said = shown["fault"]["message"].as_str().unwrap();
    assert!(said.contains("evacuated"), "{said}");
    let target = format!("/v2.1/servers/{id}/action");
    let admin = cloud.admin().at("compute 2.94");
    admin
        .post(&target, json!({"evacuate": {}}))
        .await
        .expect(200);
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["OS-EXT-SRV-ATTR:host"], json!(other), "{shown}");
    assert_eq!(
        running(&cloud).len(),
        2,
        "what the lost host has, it removes when it is back"
    );
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

#[tokio::test]
async fn a_server_is_deleted_wherever_it_is_on_its_way() {
    for fate in [Fate::Arrive, Fate::Linger, Fate::Lost] {
        for rounds in [0, 1, 2, 3, 5, 15] {
            let (mut cloud, id, _host, other) = cloud().await;
            cloud.simulated.set_fate(&other, fate);
            go(&cloud, &id).await;
            for _round in 0..rounds {
                cloud.work_for(1).await;
            }
            let target = format!("/v2.1/servers/{id}");
            cloud.member().delete(&target).await.expect(204);
            cloud.settle().await;
            cloud.assert_nothing_left().await;
        }
    }
}

#[tokio::test]
async fn a_host_whose_hypervisor_is_away_for_a_while_goes_on_later() {
    let (mut cloud, id, _host, other) = cloud().await;
    cloud.simulated.set_fate(&other, Fate::Linger);
    go(&cloud, &id).await;
    cloud.work_for(15).await;
    let one = under_way(&cloud, &id).await[0].clone();
    cloud.simulated.take_down(&other, "libvirt does not answer");
    // The agent cannot say what it has either.
    cloud.world.clock.advance(Duration::from_secs(5));
    cloud.simulated.bring_up(&other);
    let admin = cloud.admin().at("compute 2.96");
    let action = format!("/v2.1/servers/{id}/migrations/{}/action", one["id"]);
    admin
        .post(&action, json!({"force_complete": null}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(running(&cloud), BTreeSet::from([other]));
}

/// There and how it ended.
async fn way(fate: Fate, verb: &str) -> (Vec<Value>, u32) {
    let (mut cloud, id, host, other) = cloud().await;
    cloud.simulated.set_fate(&other, fate);
    go(&cloud, &id).await;
    if verb == "abort" {
        cloud.work_for(25).await;
        let one = under_way(&cloud, &id).await[0].clone();
        let admin = cloud.admin().at("compute 2.96");
        let target = format!("/v2.1/servers/{id}/migrations/{}", one["id"]);
        admin.delete(&target).await.expect(202);
    }
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    let mut view = seen(&shown);
    let moved = view.as_object_mut().unwrap().remove("host") != Some(json!(host));
    let story = vec![json!([
        view,
        moved,
        running(&cloud).len(),
        moves(&cloud).await[0]["status"],
        cloud.compute.check().await.unwrap().len(),
        cloud.placement.state().allocations.len(),
        cloud.network.ports()[0]["binding:profile"],
    ])];
    let target = format!("/v2.1/servers/{id}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

#[tokio::test]
async fn a_way_killed_anywhere_is_the_same_way() {
    killed_everywhere(|| way(Fate::Arrive, ""), 20).await;
}

#[tokio::test]
async fn a_way_that_fails_killed_anywhere_fails_the_same_way() {
    killed_everywhere(|| way(Fate::Lost, ""), 20).await;
    killed_everywhere(|| way(Fate::Linger, "abort"), 20).await;
}
