//! Trunks: several networks for a guest by one port.

use nephos_testkit::{Ask, Persona};
use serde_json::{Value, json};

use crate::cloud::{Cloud, create, fault, make, path, refused};

const LIST: &str = "/v2.0/trunks";

async fn port(cloud: &Cloud) -> String {
    let network = cloud.net().await;
    make(&cloud.member(), "port", json!({"network_id": network})).await
}

fn part(port: &str, tag: u16) -> Value {
    json!({"port_id": port, "segmentation_type": "vlan", "segmentation_id": tag})
}

/// A trunk with one subport of tag 100: the trunk, its port and the subport.
async fn trunk(cloud: &Cloud) -> (String, String, String) {
    let (parent, sub) = (port(cloud).await, port(cloud).await);
    let body = json!({"port_id": parent, "sub_ports": [part(&sub, 100)]});
    (make(&cloud.member(), "trunk", body).await, parent, sub)
}

async fn show(ask: &Ask, kind: &str, id: &str) -> Value {
    let shown = ask.get(&format!("{}/{id}", path(kind))).await.expect(200);
    shown.json[kind].clone()
}

async fn set_port(cloud: &Cloud, id: &str, change: Value) {
    let target = format!("/v2.0/ports/{id}");
    let body = json!({ "port": change });
    cloud.service().put(&target, body).await.expect(200);
}

async fn change(cloud: &Cloud, trunk: &str, verb: &str, parts: Value, status: u16) -> Value {
    let target = format!("{LIST}/{trunk}/{verb}");
    let body = json!({ "sub_ports": parts });
    let answer = cloud.member().put(&target, body).await.expect(status);
    match status {
        200 => answer.json.clone(),
        _refused => json!(fault(&answer)),
    }
}

/// What a host says of ports.
async fn said(cloud: &Cloud, host: &str, ports: &[&str], state: &str) {
    let seen = ports.iter().map(|id| {
        json!({"kind": "port", "id": id, "generation_seen": 1, "state": state, "at": "2026-01-02T03:04:05Z"})
    });
    cloud.observed(host, Value::Array(seen.collect())).await;
}

#[tokio::test]
async fn a_trunk_is_shown_with_its_subports_and_its_port_with_both() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (parent, sub) = (port(&cloud).await, port(&cloud).await);
    let body = json!({"port_id": parent, "sub_ports": [part(&sub, 100)]});
    let made = create(&member, "trunk", body).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["sub_ports"], json!([part(&sub, 100)]));
    assert_eq!(made["status"], "DOWN");
    assert_eq!(made["name"], "");
    assert_eq!(made["admin_state_up"], true);
    assert_eq!(made["revision_number"], 1);
    assert_eq!(show(&member, "trunk", id).await, made);
    let listed = member
        .get(&format!("{LIST}?port_id={parent}&status=DOWN"))
        .await;
    assert_eq!(listed.expect(200).json, json!({ "trunks": [made] }));
    let none = member
        .get(&format!("{LIST}?status=ACTIVE"))
        .await
        .expect(200);
    assert_eq!(none.json, json!({"trunks": []}));
    let subports = member.get(&format!("{LIST}/{id}/get_subports")).await;
    assert_eq!(
        subports.expect(200).json,
        json!({"sub_ports": [part(&sub, 100)]})
    );
    let mut details = part(&sub, 100);
    let shown = show(&member, "port", &sub).await;
    assert_eq!(shown["device_owner"], "trunk:subport");
    assert_eq!(shown.get("trunk_details"), None);
    details["mac_address"] = shown["mac_address"].clone();
    let wanted = json!({"trunk_id": id, "sub_ports": [details]});
    assert_eq!(
        show(&member, "port", &parent).await["trunk_details"],
        wanted
    );
    let ports = member
        .get(&format!("/v2.0/ports?id={parent}"))
        .await
        .expect(200);
    assert_eq!(ports.json["ports"][0]["trunk_details"], wanted);
    let changed = json!({"trunk": {"name": "x", "description": "d", "admin_state_up": false}});
    let changed = member
        .put(&format!("{LIST}/{id}"), changed)
        .await
        .expect(200);
    let changed = &changed.json["trunk"];
    assert_eq!(
        (&changed["name"], &changed["revision_number"]),
        (&json!("x"), &json!(2))
    );
    assert_eq!(changed["sub_ports"], made["sub_ports"]);
    // Who has nothing to do with it does not know of it.
    cloud.other().get(&format!("{LIST}/{id}")).await.expect(404);
    let body = json!({"port_id": port(&cloud).await});
    assert_eq!(
        refused(&cloud.other(), "trunk", body, 404).await,
        "PortNotFound"
    );
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn subports_follow_their_trunks_port_from_host_to_host_and_tell_what_they_are() {
    let cloud = Cloud::new().await;
    for (host, vtep) in [("h1", "192.0.2.1"), ("h2", "192.0.2.2")] {
        cloud.host(host, vtep).await;
    }
    let (id, parent, sub) = trunk(&cloud).await;
    let status = || async { show(&cloud.member(), "trunk", &id).await["status"].clone() };
    let place = || async {
        let port = show(&cloud.admin(), "port", &sub).await;
        let told = [
            &port["binding:host_id"],
            &port["device_id"],
            &port["status"],
        ];
        told.map(|value| value.as_str().unwrap().to_owned())
    };
    let plug = json!({"binding:host_id": "h1", "device_id": "s", "device_owner": "compute:nova"});
    set_port(&cloud, &parent, plug).await;
    assert_eq!(place().await, ["h1", "", "DOWN"]);
    assert_eq!(status().await, "BUILD");
    let document = cloud.document("h1", "port", &sub).await;
    let trunk = json!({"parent_tap": format!("tap{}", &parent[..11]), "segmentation_id": 100});
    assert_eq!(document["trunk"], trunk);
    assert_eq!(document["device_id"], "s");
    let network = show(&cloud.member(), "port", &sub).await["network_id"].clone();
    let network = network.as_str().unwrap();
    assert_ne!(cloud.document("h1", "network", network).await, Value::Null);
    said(&cloud, "h1", &[&parent], "up").await;
    assert_eq!(status().await, "BUILD");
    said(&cloud, "h1", &[&sub], "up").await;
    assert_eq!(place().await, ["h1", "", "ACTIVE"]);
    assert_eq!(status().await, "ACTIVE");
    let listed = cloud.member().get(&format!("{LIST}?status=ACTIVE")).await;
    assert_eq!(listed.expect(200).json["trunks"][0]["id"], id.as_str());
    // While its server moves, both hosts have it; the new one says at once that it is there.
    set_port(
        &cloud,
        &parent,
        json!({"binding:profile": {"migrating_to": "h2"}}),
    )
    .await;
    assert_eq!(cloud.document("h2", "port", &sub).await["trunk"], trunk);
    assert_ne!(cloud.document("h1", "port", &sub).await, Value::Null);
    assert_eq!(place().await, ["h1", "", "ACTIVE"]);
    said(&cloud, "h2", &[&parent, &sub], "up").await;
    set_port(
        &cloud,
        &parent,
        json!({"binding:host_id": "h2", "binding:profile": {}}),
    )
    .await;
    assert_eq!(place().await, ["h2", "", "ACTIVE"]);
    assert_eq!(status().await, "ACTIVE");
    assert_eq!(cloud.document("h1", "port", &sub).await, Value::Null);
    cloud.assert_consistent().await;
    set_port(
        &cloud,
        &parent,
        json!({"binding:host_id": "", "device_id": "", "device_owner": ""}),
    )
    .await;
    assert_eq!(place().await, ["", "", "DOWN"]);
    assert_eq!(status().await, "DOWN");
    assert_eq!(cloud.document("h2", "port", &sub).await, Value::Null);
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn subports_come_and_go_while_a_guest_has_the_trunk() {
    let cloud = Cloud::new().await;
    cloud.host("h1", "192.0.2.1").await;
    let (id, parent, sub) = trunk(&cloud).await;
    let plug = json!({"binding:host_id": "h1", "device_id": "s", "device_owner": "compute:nova"});
    set_port(&cloud, &parent, plug).await;
    said(&cloud, "h1", &[&parent, &sub], "up").await;
    let more = port(&cloud).await;
    let now = change(&cloud, &id, "add_subports", json!([part(&more, 7)]), 200).await;
    assert_eq!(now["sub_ports"], json!([part(&more, 7), part(&sub, 100)]));
    assert_eq!(
        (&now["status"], &now["revision_number"]),
        (&json!("BUILD"), &json!(2))
    );
    assert_eq!(
        cloud.document("h1", "port", &more).await["trunk"]["segmentation_id"],
        7
    );
    said(&cloud, "h1", &[&more], "failed").await;
    assert_eq!(
        show(&cloud.member(), "trunk", &id).await["status"],
        "DEGRADED"
    );
    said(&cloud, "h1", &[&more], "up").await;
    assert_eq!(
        show(&cloud.member(), "trunk", &id).await["status"],
        "ACTIVE"
    );
    // One that is switched off is missed by nobody.
    set_port(&cloud, &more, json!({"admin_state_up": false})).await;
    said(&cloud, "h1", &[&more], "down").await;
    assert_eq!(
        show(&cloud.member(), "trunk", &id).await["status"],
        "ACTIVE"
    );
    let gone = json!([{"port_id": sub}]);
    let now = change(&cloud, &id, "remove_subports", gone, 200).await;
    assert_eq!(now["sub_ports"], json!([part(&more, 7)]));
    assert_eq!(cloud.document("h1", "port", &sub).await, Value::Null);
    let free = show(&cloud.admin(), "port", &sub).await;
    assert_eq!(
        (&free["device_owner"], &free["binding:host_id"]),
        (&json!(""), &json!(""))
    );
    said(&cloud, "h1", &[&parent], "failed").await;
    assert_eq!(show(&cloud.member(), "trunk", &id).await["status"], "ERROR");
    let kind = change(&cloud, &id, "add_subports", json!([part(&sub, 8)]), 409).await;
    assert_eq!(kind, "TrunkInErrorState");
    // A trunk goes while its guest has it, which keeps its own network.
    cloud
        .member()
        .delete(&format!("{LIST}/{id}"))
        .await
        .expect(204);
    assert_eq!(cloud.document("h1", "port", &more).await, Value::Null);
    assert_ne!(cloud.document("h1", "port", &parent).await, Value::Null);
    for port in [&parent, &more, &sub] {
        let target = format!("/v2.0/ports/{port}");
        cloud.admin().delete(&target).await.expect(204);
    }
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn a_port_has_one_place_in_one_trunk_and_stays_while_it_has() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (id, parent, sub) = trunk(&cloud).await;
    let (free, other) = (port(&cloud).await, port(&cloud).await);
    let new = |port: &str, parts: Value| json!({"port_id": port, "sub_ports": parts});
    for (body, kind) in [
        (new(&parent, json!([])), "ParentPortInUse"),
        (new(&sub, json!([])), "TrunkPortInUse"),
        (new(&free, json!([part(&sub, 1)])), "TrunkPortInUse"),
        (new(&free, json!([part(&parent, 1)])), "ParentPortInUse"),
        (new(&free, json!([part(&free, 1)])), "ParentPortInUse"),
    ] {
        assert_eq!(refused(&member, "trunk", body, 409).await, kind);
    }
    let kind = change(&cloud, &id, "add_subports", json!([part(&free, 100)]), 409).await;
    assert_eq!(kind, "DuplicateSubPort");
    let kind = change(
        &cloud,
        &id,
        "remove_subports",
        json!([part(&free, 100)]),
        404,
    )
    .await;
    assert_eq!(kind, "SubPortNotFound");
    for (port, kind) in [
        (&parent, "PortInUseAsTrunkParent"),
        (&sub, "PortInUseAsSubPort"),
    ] {
        let answer = member
            .delete(&format!("/v2.0/ports/{port}"))
            .await
            .expect(409);
        assert_eq!(fault(&answer), kind);
    }
    // Where a subport is, and whose, its trunk says.
    for change in [
        json!({"binding:host_id": "h1"}),
        json!({"device_id": "s"}),
        json!({"device_owner": "compute:nova"}),
    ] {
        let target = format!("/v2.0/ports/{sub}");
        let answer = cloud
            .service()
            .put(&target, json!({ "port": change }))
            .await
            .expect(409);
        assert_eq!(fault(&answer), "PortInUseAsSubPort");
    }
    set_port(
        &cloud,
        &sub,
        json!({"name": "x", "device_owner": "trunk:subport"}),
    )
    .await;
    let router = make(&member, "router", json!({})).await;
    for port in [&parent, &sub] {
        let target = format!("/v2.0/routers/{router}/add_router_interface");
        member
            .put(&target, json!({"port_id": port}))
            .await
            .expect(409);
    }
    // What somebody has already is no subport.
    set_port(
        &cloud,
        &other,
        json!({"device_id": "s", "device_owner": "compute:nova"}),
    )
    .await;
    let kind = change(&cloud, &id, "add_subports", json!([part(&other, 5)]), 409).await;
    assert_eq!(kind, "PortInUse");
    let off = json!({"trunk": {"admin_state_up": false}});
    member.put(&format!("{LIST}/{id}"), off).await.expect(200);
    for (verb, parts) in [
        ("add_subports", json!([part(&free, 3)])),
        ("remove_subports", json!([part(&sub, 100)])),
    ] {
        assert_eq!(change(&cloud, &id, verb, parts, 409).await, "TrunkDisabled");
    }
    let answer = member.delete(&format!("{LIST}/{id}")).await.expect(409);
    assert_eq!(fault(&answer), "TrunkDisabled");
    assert_eq!(
        show(&member, "trunk", &id).await["sub_ports"],
        json!([part(&sub, 100)])
    );
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn subports_that_cannot_be_are_refused_in_words() {
    let cloud = Cloud::new().await;
    let (id, _, sub) = trunk(&cloud).await;
    let (one, two) = (port(&cloud).await, port(&cloud).await);
    let vlan = |port: &str, tag: Value| json!({"port_id": port, "segmentation_type": "vlan", "segmentation_id": tag});
    for (parts, why) in [
        (json!({"port_id": one}), "is not a list"),
        (json!(["x"]), "'x' is not a dict"),
        (
            json!([{"segmentation_id": 3}]),
            "A valid port UUID must be specified",
        ),
        (
            json!([vlan("x", json!(1))]),
            "Invalid UUID for subport: 'x'",
        ),
        (
            json!([vlan(&one, json!(1)), vlan(&one, json!(2))]),
            "Non unique UUID",
        ),
        (
            json!([vlan(&one, json!(2)), vlan(&two, json!(2))]),
            "is not unique",
        ),
        (
            json!([{"port_id": one, "segmentation_type": "vlan"}]),
            "missing segmentation information",
        ),
        (
            json!([{"port_id": one, "segmentation_id": 3}]),
            "missing segmentation information",
        ),
    ] {
        for target in [LIST.to_owned(), format!("{LIST}/{id}/add_subports")] {
            let answer = match target.as_str() {
                LIST => {
                    let body = json!({"trunk": {"port_id": two, "sub_ports": parts}});
                    cloud.member().post(&target, body).await
                }
                _action => {
                    cloud
                        .member()
                        .put(&target, json!({"sub_ports": parts}))
                        .await
                }
            };
            let answer = answer.expect(400);
            let message = answer.json["NeutronError"]["message"].as_str().unwrap();
            assert!(message.contains(why), "{message}");
        }
    }
    let message = |parts: Value| {
        let (member, target) = (cloud.member(), format!("{LIST}/{id}/add_subports"));
        async move {
            let answer = member
                .put(&target, json!({ "sub_ports": parts }))
                .await
                .expect(400);
            answer.json["NeutronError"]["message"]
                .as_str()
                .unwrap()
                .to_owned()
        }
    };
    for tag in [json!(0), json!(4095), json!(-1), json!(70_000)] {
        let said = message(json!([vlan(&one, tag)])).await;
        assert!(said.contains("is not in range"), "{said}");
    }
    let said = message(json!([vlan(&one, json!("much"))])).await;
    assert!(
        said.contains("segmentation_id 'much' is not an integer"),
        "{said}"
    );
    let said = message(json!([{"port_id": one}])).await;
    assert!(said.contains("missing segmentation information"), "{said}");
    // No network here has a tag of its own.
    let said = message(json!([{"port_id": one, "segmentation_type": "inherit"}])).await;
    assert!(said.contains("Unknown segmentation_type 'vxlan'"), "{said}");
    let said =
        message(json!([{"port_id": one, "segmentation_type": "gre", "segmentation_id": 3}])).await;
    assert!(said.contains("Unknown segmentation_type 'gre'"), "{said}");
    let now = change(
        &cloud,
        &id,
        "add_subports",
        json!([vlan(&one, json!("4094"))]),
        200,
    )
    .await;
    assert_eq!(now["sub_ports"], json!([part(&sub, 100), part(&one, 4094)]));
    let unknown = "00000000-0000-4000-8000-000000000000";
    let kind = change(&cloud, &id, "add_subports", json!([part(unknown, 5)]), 404).await;
    assert_eq!(kind, "PortNotFound");
    assert_eq!(
        refused(&cloud.member(), "trunk", json!({"port_id": unknown}), 404).await,
        "PortNotFound"
    );
    let kind = change(&cloud, unknown, "add_subports", json!([part(&two, 5)]), 404).await;
    assert_eq!(kind, "TrunkNotFound");
    let target = format!("/v2.0/networks/{}", cloud.net().await);
    let small = json!({"network": {"mtu": 1400}});
    cloud.member().put(&target, small).await.expect(200);
    let network = target.rsplit('/').next().unwrap();
    let small = make(&cloud.member(), "port", json!({"network_id": network})).await;
    let body = json!({"port_id": small, "sub_ports": [part(&two, 9)]});
    let kind = refused(&cloud.member(), "trunk", body, 409).await;
    assert_eq!(kind, "SubPortMtuGreaterThanTrunkPortMtu");
    change(&cloud, &id, "add_subports", json!([part(&small, 9)]), 200).await;
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn ports_of_routers_and_load_balancers_are_no_trunks() {
    let cloud = Cloud::new().await;
    let port = port(&cloud).await;
    set_port(
        &cloud,
        &port,
        json!({"device_owner": "Octavia", "device_id": "lb-1"}),
    )
    .await;
    let kind = refused(&cloud.member(), "trunk", json!({"port_id": port}), 409).await;
    assert_eq!(kind, "ParentPortInUse");
}

#[tokio::test]
async fn trunks_are_counted_and_have_tags() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let target = format!("/v2.0/quotas/{}", Persona::Member.project());
    let shown = member.get(&target).await.expect(200).json;
    assert_eq!(shown["quota"]["trunk"], -1);
    let (id, ..) = trunk(&cloud).await;
    let limit = json!({"quota": {"trunk": 1}});
    cloud.admin().put(&target, limit).await.expect(200);
    let body = json!({"port_id": port(&cloud).await});
    assert_eq!(
        refused(&member, "trunk", body.clone(), 409).await,
        "OverQuota"
    );
    let tags = format!("{LIST}/{id}/tags");
    member
        .put(&tags, json!({"tags": ["b", "a"]}))
        .await
        .expect(200);
    let found = member
        .get(&format!("{LIST}?tags=a,b"))
        .await
        .expect(200)
        .json;
    assert_eq!(found["trunks"][0]["tags"], json!(["a", "b"]));
    assert_eq!(found["trunks"][0]["revision_number"], 2);
    member.delete(&format!("{LIST}/{id}")).await.expect(204);
    make(&member, "trunk", body).await;
    cloud.assert_consistent().await;
}
