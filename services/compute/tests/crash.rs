//! Killed at every crash point of every operation, the restarted service reaches the same end.

use std::collections::BTreeMap;

use nephos_compute::driver::DriverError;
use nephos_compute::driver::fake::{HostSize, Verb};
use nephos_runtime::crash::{self, Mode};
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::cloud::Cloud;

/// The points of this service's own work; agents have tests of their own.
const OURS: &[&str] = &[
    "boot.",
    "port.",
    "release.",
    "delete.",
    "power.",
    "interfaces.",
    "evacuate.",
    "resize.",
    "confirm.",
    "revert.",
    "live.",
    "live_back.",
    "move.",
    "host.",
    "volume.",
    "attachment.",
    "attach_volume.",
    "detach_volume.",
    "extend_volume.",
    "snapshot.told",
    "snapshot.followed",
    "snapshot.before_finish",
    "snapshot.finished",
    "discard_image.",
    "set_password.",
];

/// What a client sees of a server that does not differ from run to run.
pub(crate) fn seen(server: &Value) -> Value {
    let addresses: BTreeMap<&String, usize> = server["addresses"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(network, list)| (network, list.as_array().unwrap().len()))
        .collect();
    json!({
        "status": server["status"], "task": server["OS-EXT-STS:task_state"], "host": server["OS-EXT-SRV-ATTR:host"],
        "power": server["OS-EXT-STS:power_state"], "addresses": addresses, "fault": server["fault"]["code"],
    })
}

/// The ports and allocations behind it.
fn around(cloud: &Cloud) -> Value {
    let ports = cloud.network.ports();
    let bound = ports
        .iter()
        .filter(|port| port["device_id"] != json!(""))
        .count();
    json!({"ports": ports.len(), "bound": bound, "claims": cloud.placement.state().allocations.len()})
}

/// A whole life: two interfaces, one of them given; stopped, started, one more plugged and taken out, deleted.
async fn life() -> (Vec<Value>, u32) {
    let mut cloud = Cloud::new().await;
    let mut story = Vec::new();
    let second = cloud
        .network
        .add_network("second", Persona::Member.project());
    let given = cloud.network.add(
        "ports",
        json!({"network_id": second, "device_id": "", "project_id": Persona::Member.project(),
        "mac_address": "fa:16:3e:aa:aa:aa", "status": "DOWN", "security_groups": [],
        "fixed_ips": [{"subnet_id": "s", "ip_address": "10.9.0.9"}]}),
    );
    let id = cloud
        .create(&json!({"networks": [{"uuid": cloud.network_id}, {"port": given}]}))
        .await;
    cloud.settle().await;
    story.push(json!([
        "made",
        seen(&cloud.show(&id).await),
        around(&cloud)
    ]));
    for action in [json!({"os-stop": null}), json!({"os-start": null})] {
        cloud.act(&id, action).await.expect(202);
        cloud.settle().await;
        story.push(json!(["power", seen(&cloud.show(&id).await)]));
    }
    let member = cloud.member().at("compute 2.96");
    let target = format!("/v2.1/servers/{id}/os-interface");
    let body = json!({"interfaceAttachment": {"net_id": second}});
    let asking = member.post(&target, body);
    let attached = cloud.work_beside(asking).await;
    cloud.settle().await;
    let port = attached.expect(200).json["interfaceAttachment"]["port_id"]
        .as_str()
        .unwrap()
        .to_owned();
    story.push(json!([
        "attached",
        seen(&cloud.show(&id).await),
        around(&cloud)
    ]));
    member.delete(&format!("{target}/{port}")).await.expect(202);
    cloud.settle().await;
    story.push(json!([
        "detached",
        seen(&cloud.show(&id).await),
        around(&cloud)
    ]));
    member
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    story.push(json!(["gone", around(&cloud)]));
    let port = cloud
        .network
        .state()
        .rows
        .get_mut("ports")
        .unwrap()
        .remove(&given);
    assert_eq!(port.unwrap()["device_id"], "", "a given port is given back");
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

/// Both hosts refuse: the server is left in ERROR with nothing around it, and can be deleted.
async fn misfortune() -> (Vec<Value>, u32) {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    for host in ["one", "two"] {
        for _attempt in 0..2 {
            cloud
                .simulated
                .fail_next(host, Verb::Image, DriverError::Refused("no".to_owned()));
        }
    }
    let id = cloud.create(&json!({})).await;
    cloud.settle().await;
    let mut server = seen(&cloud.show(&id).await);
    server["host"] = Value::Null;
    let story = vec![json!([server, around(&cloud)])];
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

pub(crate) async fn killed_everywhere<F>(run: impl Fn() -> F, least: usize)
where
    F: Future<Output = (Vec<Value>, u32)>,
{
    crash::set(Mode::Record);
    let (expected, _never) = run().await;
    let points: Vec<&str> = crash::recorded()
        .into_iter()
        .filter(|name| OURS.iter().any(|ours| name.starts_with(ours)))
        .collect();
    crash::set(Mode::Off);
    assert!(points.len() >= least, "{points:?}");
    let mut nth: BTreeMap<&str, u32> = BTreeMap::new();
    for name in points {
        let nth = nth.entry(name).or_default();
        *nth += 1;
        crash::set(Mode::Unwind {
            name: name.to_owned(),
            nth: *nth,
        });
        let (story, killed) = run().await;
        crash::set(Mode::Off);
        assert_eq!(killed, 1, "{name} was not reached {nth} times");
        assert_eq!(story, expected, "killed at {name}, time {nth}");
    }
}

#[tokio::test]
async fn a_life_killed_anywhere_is_the_same_life() {
    killed_everywhere(life, 39).await;
}

#[tokio::test]
async fn a_misfortune_killed_anywhere_is_the_same_misfortune() {
    killed_everywhere(misfortune, 20).await;
}

/// Rebuilt while it runs.
async fn another_disk() -> (Vec<Value>, u32) {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let body = json!({"rebuild": {"imageRef": cloud.image_id}});
    cloud.act(&id, body).await.expect(202);
    cloud.settle().await;
    let disks: Vec<i64> = cloud
        .simulated
        .snapshot("one")
        .values()
        .flat_map(|found| found.disks.clone())
        .collect();
    let story = vec![json!([seen(&cloud.show(&id).await), around(&cloud), disks])];
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

#[tokio::test]
async fn a_rebuild_killed_anywhere_is_the_same_rebuild() {
    killed_everywhere(another_disk, 20).await;
}
