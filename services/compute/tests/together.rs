//! Calls that come together, and answers whose wake is lost.

use std::time::Duration;

use futures_util::future::join_all;
use nephos_api::Check as _;
use nephos_db::args;
use nephos_testkit::Persona;
use serde_json::json;

use crate::cloud::Cloud;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_together_to_one_server_is_all_there_afterwards() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let target = format!("/v2.1/servers/{id}/metadata");
    let notes = (0..8).map(|number| {
        let (member, target) = (cloud.member(), target.clone());
        async move {
            let body = json!({"metadata": {format!("key{number}"): "value"}});
            member.post(&target, body).await.expect(200)
        }
    });
    join_all(notes).await;
    let all = cloud.member().get(&target).await.expect(200).json;
    assert_eq!(all["metadata"].as_object().unwrap().len(), 8, "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn extra_specs_that_come_together_are_all_there() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    let body = json!({"flavor": {"name": "f", "ram": 64, "vcpus": 1, "disk": 1}});
    let made = admin.post("/v2.1/flavors", body).await.expect(200).json;
    let target = format!(
        "/v2.1/flavors/{}/os-extra_specs",
        made["flavor"]["id"].as_str().unwrap()
    );
    let specs = (0..8).map(|number| {
        let (admin, target) = (cloud.admin(), target.clone());
        let body = json!({"extra_specs": {format!("key{number}"): "value"}});
        async move { admin.post(&target, body).await.expect(200) }
    });
    join_all(specs).await;
    let all = admin.get(&target).await.expect(200).json;
    assert_eq!(all["extra_specs"].as_object().unwrap().len(), 8, "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_is_out_of_service_and_dead_when_both_are_said_at_once() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().at("compute 2.53");
    let services = admin.get("/v2.1/os-services").await.expect(200).json;
    let id = services["services"][0]["id"].as_str().unwrap();
    let target = format!("/v2.1/os-services/{id}");
    for _ in 0..4 {
        let out = json!({"status": "disabled", "disabled_reason": "dust"});
        let dead = json!({"forced_down": true});
        tokio::join!(admin.put(&target, out), admin.put(&target, dead));
        let services = admin.get("/v2.1/os-services").await.expect(200).json;
        let service = &services["services"][0];
        assert_eq!(service["status"], "disabled");
        assert_eq!(service["disabled_reason"], "dust");
        assert_eq!(service["forced_down"], true);
        let back = json!({"status": "enabled", "forced_down": false});
        let back = admin.put(&target, back).await.expect(200).json;
        assert_eq!(back["service"]["status"], "enabled");
        assert_eq!(back["service"]["forced_down"], false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flavor_goes_once_and_nobody_keeps_access_to_it() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    let private = json!({"flavor": {"id": "f", "name": "f", "ram": 64, "vcpus": 1, "disk": 1,
        "os-flavor-access:is_public": false}});
    let access = json!({"addTenantAccess": {"tenant": "other"}});
    for _ in 0..4 {
        let made = admin.post("/v2.1/flavors", private.clone()).await;
        made.expect(200);
        let deletes = (0..4).map(|_| admin.delete("/v2.1/flavors/f"));
        let given = admin.post("/v2.1/flavors/f/action", access.clone());
        let (deletes, given) = tokio::join!(join_all(deletes), given);
        let mut statuses: Vec<u16> = deletes.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 404, 404, 404]);
        assert!(matches!(given.status, 200 | 404), "{}", given.status);
        admin
            .post("/v2.1/flavors", private.clone())
            .await
            .expect(200);
        let has = admin
            .get("/v2.1/flavors/f/os-flavor-access")
            .await
            .expect(200)
            .json;
        assert_eq!(has["flavor_access"], json!([]));
        admin.delete("/v2.1/flavors/f").await.expect(202);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_renamed_while_it_starts_starts_once() {
    let mut cloud = Cloud::with_hosts(
        &["one", "two"],
        nephos_compute::driver::fake::HostSize::default(),
    )
    .await;
    let id = cloud.create(&json!({})).await;
    let target = format!("/v2.1/servers/{id}");
    let renames = async {
        let (member, target) = (cloud.member(), target.clone());
        for number in 0..12 {
            let body = json!({"server": {"name": format!("web-{number}")}});
            member.put(&target, body).await.expect(200);
        }
    };
    let worker = cloud.worker.clone();
    let (drained, ()) = tokio::join!(worker.drain(), renames);
    drained.unwrap();
    cloud.settle().await;
    let server = cloud.member().get(&target).await.expect(200).json["server"].clone();
    assert_eq!(
        (&server["status"], &server["name"]),
        (&json!("ACTIVE"), &json!("web-11"))
    );
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn a_console_log_whose_wake_is_lost_is_found_within_a_second() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let target = format!("/v2.1/servers/{id}/action");
    let member = cloud.member();
    let asking = member.post(&target, json!({"os-getConsoleOutput": {}}));
    let answering = async {
        let asked = "SELECT generation FROM feed_items WHERE kind = 'console' AND spec IS NOT NULL";
        let generation = loop {
            if let Some(generation) = cloud.db.fetch_opt::<i64>(asked, args![]).await.unwrap() {
                break generation;
            }
        };
        crate::cloud::quiet().await;
        // The answer comes into the database, and nobody is woken.
        let mut tx = cloud.db.write().await.unwrap();
        let sql = "INSERT INTO feed_observed (host, kind, id, generation_seen, state, detail, at) \
             VALUES ('one', 'console', $1, $2, '', $3, 0)";
        let detail = json!({"text": "late", "error": null}).to_string();
        tx.exec(sql, args![id, generation, detail]).await.unwrap();
        tx.commit().await.unwrap();
        for _look in 0..5 {
            for _turn in 0..20 {
                cloud.live().await;
            }
            cloud.world.clock.advance(Duration::from_millis(1100));
        }
    };
    let (output, ()) = tokio::join!(asking, answering);
    assert_eq!(output.expect(200).json["output"], "late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_servers_that_are_to_have_one_port_one_gets_it() {
    let mut cloud = Cloud::new().await;
    let port = cloud.network.add("ports", json!({"network_id": cloud.network_id, "device_id": "", "device_owner": "",
        "project_id": Persona::Member.project(), "mac_address": "fa:16:3e:aa:aa:aa", "status": "DOWN",
        "security_groups": [], "fixed_ips": []}));
    let wish = json!({"networks": [{"port": port}]});
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(cloud.create(&wish).await);
    }
    cloud.settle().await;
    let mut active = 0;
    for id in ids {
        let server = cloud.show(&id).await;
        if server["status"] == "ACTIVE" {
            active += 1;
            continue;
        }
        assert_eq!(server["status"], "ERROR");
        let why = server["fault"]["message"].as_str().unwrap();
        assert!(
            why.contains(&format!("Port {port} is still in use.")),
            "{why}"
        );
    }
    assert_eq!(active, 1);
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

#[tokio::test]
async fn the_port_of_a_load_balancer_a_trunk_or_a_router_is_no_servers_even_without_a_device() {
    let mut cloud = Cloud::new().await;
    let port = own_port(&cloud);
    let id = cloud.running().await;
    let late = cloud.create(&json!({"networks": [{"port": port}]})).await;
    for owner in ["network:router_interface", "trunk:subport", "Octavia"] {
        give_to(&cloud, &port, owner);
        let wish = cloud.body(&json!({"networks": [{"port": port}]}));
        cloud.member().post("/v2.1/servers", wish).await.expect(409);
        let plug = json!({"interfaceAttachment": {"port_id": port}});
        let target = format!("/v2.1/servers/{id}/os-interface");
        cloud.member().post(&target, plug).await.expect(400);
    }
    // It became a load balancer's since a server was asked for.
    cloud.settle().await;
    let server = cloud.show(&late).await;
    assert_eq!(server["status"], "ERROR");
    let why = server["fault"]["message"].as_str().unwrap();
    assert!(why.contains("is still in use"), "{why}");
}

/// Notes behind everybody's back whose a port is that nothing is plugged into.
fn give_to(cloud: &Cloud, port: &str, owner: &str) {
    let mut network = cloud.network.state();
    let row = network.rows.get_mut("ports").unwrap();
    row.get_mut(port).unwrap()["device_owner"] = json!(owner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tag_goes_once() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let member = cloud.member().at("compute 2.96");
    let target = format!("/v2.1/servers/{id}/tags/red");
    member.put(&target, json!({})).await.expect(201);
    let deletes = join_all((0..6).map(|_| member.delete(&target))).await;
    let mut statuses: Vec<u16> = deletes.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404, 404, 404, 404, 404]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn groups_that_are_added_together_are_all_there() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let mut groups = Vec::new();
    for number in 0..6 {
        let group = json!({"name": format!("g{number}"), "description": "", "project_id": Persona::Member.project(),
            "tenant_id": Persona::Member.project()});
        groups.push(cloud.network.add("security-groups", group));
    }
    let target = format!("/v2.1/servers/{id}/action");
    let adds = (0..6).map(|number| {
        let (member, target) = (cloud.member(), target.clone());
        let body = json!({"addSecurityGroup": {"name": format!("g{number}")}});
        async move { member.post(&target, body).await.expect(202) }
    });
    join_all(adds).await;
    let has = cloud.network.ports()[0]["security_groups"].clone();
    let has = has.as_array().unwrap();
    assert!(
        groups.iter().all(|group| has.contains(&json!(group))),
        "{has:?}"
    );
}

#[tokio::test]
async fn a_port_that_comes_after_its_server_went_is_removed() {
    let mut cloud = Cloud::new().await;
    // Of a server that had its port nothing is expected.
    let other = cloud.running().await;
    let target = format!("/v2.1/servers/{other}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    let rows = "SELECT COUNT(*) FROM late_ports";
    assert_eq!(
        cloud.db.fetch_scalar::<i64>(rows, args![]).await.unwrap(),
        0
    );
    // Nobody gave this one a port yet when it goes.
    let id = cloud.create(&json!({})).await;
    let target = format!("/v2.1/servers/{id}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    let late = json!({"network_id": cloud.network_id, "device_id": id, "device_owner": "compute:nova",
        "project_id": Persona::Member.project(), "mac_address": "fa:16:3e:aa:aa:aa", "status": "DOWN",
        "security_groups": [], "fixed_ips": []});
    cloud.network.add("ports", late.clone());
    assert_eq!(cloud.compute.end_late_ports().await.unwrap(), 0);
    cloud.world.clock.advance(Duration::from_secs(121));
    assert_eq!(cloud.compute.end_late_ports().await.unwrap(), 1);
    // Once more, for what hangs longer.
    cloud.network.add("ports", late.clone());
    assert_eq!(cloud.compute.end_late_ports().await.unwrap(), 0);
    cloud.world.clock.advance(Duration::from_secs(3600));
    assert_eq!(cloud.compute.end_late_ports().await.unwrap(), 1);
    cloud.assert_nothing_left().await;
    assert_eq!(
        cloud.db.fetch_scalar::<i64>(rows, args![]).await.unwrap(),
        0
    );
}

#[tokio::test]
async fn a_port_that_was_given_is_given_back_however_late_it_was_bound() {
    let mut cloud = Cloud::new().await;
    let port = own_port(&cloud);
    let id = cloud.create(&json!({"networks": [{"port": port}]})).await;
    let target = format!("/v2.1/servers/{id}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    bind(&cloud, &port, &id);
    cloud.world.clock.advance(Duration::from_secs(121));
    assert_eq!(cloud.compute.end_late_ports().await.unwrap(), 1);
    let left = cloud.network.ports();
    assert_eq!((left.len(), &left[0]["device_id"]), (1, &json!("")));
}

#[tokio::test]
async fn a_given_port_that_was_given_up_stays_its_owners() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let port = own_port(&cloud);
    // It goes to another server while this one asks for it, and comes back when this one has given it up.
    let target = format!("/v2.1/servers/{id}/os-interface");
    let member = cloud.member();
    let wish = json!({"interfaceAttachment": {"port_id": port}});
    let asking = async {
        let answer = member.post(&target, wish);
        answer.await
    };
    cloud.network.state().bind_elsewhere = Some(port.clone());
    let refused = cloud.run_beside(asking).await;
    refused.expect(400);
    bind(&cloud, &port, &id);
    cloud.world.clock.advance(Duration::from_secs(121));
    assert_eq!(cloud.compute.end_late_ports().await.unwrap(), 1);
    assert_eq!(device_of(&cloud, &port), "");
    // Also when the server goes before anybody looked.
    bind(&cloud, &port, &id);
    let target = format!("/v2.1/servers/{id}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    assert_eq!(device_of(&cloud, &port), "");
}

/// Notes behind everybody's back who has a port.
fn bind(cloud: &Cloud, port: &str, device: &str) {
    let mut network = cloud.network.state();
    let row = network.rows.get_mut("ports").unwrap();
    let row = row.get_mut(port).unwrap();
    row["device_id"] = json!(device);
    row["device_owner"] = json!("compute:nova");
}

/// A port that nobody uses.
fn own_port(cloud: &Cloud) -> String {
    let own = json!({"network_id": cloud.network_id, "device_id": "", "device_owner": "",
        "project_id": Persona::Member.project(), "mac_address": "fa:16:3e:aa:aa:aa", "status": "DOWN",
        "security_groups": [], "fixed_ips": []});
    cloud.network.add("ports", own)
}

#[tokio::test]
async fn requests_of_one_id_are_not_answered_by_each_other() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let target = format!("/v2.1/servers/{id}/os-interface");
    // As a client does that names one id for all it asks for.
    let request = "req-d7c3b1a0-2f5e-4a55-9c39-f0b9fd7a2f0e";
    let member = cloud
        .member()
        .with_header("x-openstack-request-id", request);
    let wish = json!({"interfaceAttachment": {"net_id": cloud.network_id}});
    cloud
        .run_beside(member.post(&target, wish))
        .await
        .expect(200);
    let port = own_port(&cloud);
    cloud.network.state().bind_elsewhere = Some(port.clone());
    let wish = json!({"interfaceAttachment": {"port_id": port}});
    let refused = cloud.run_beside(member.post(&target, wish)).await;
    let refused = refused.expect(400).json;
    let why = refused["badRequest"]["message"].as_str().unwrap();
    assert!(why.contains("in use"), "{why}");
}

#[tokio::test]
async fn a_port_that_is_taken_away_and_given_again_is_one_interface() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let port = own_port(&cloud);
    let target = format!("/v2.1/servers/{id}/os-interface");
    let member = cloud.member();
    let wish = json!({"interfaceAttachment": {"port_id": port}});
    for _ in 0..2 {
        // Its owner says that nobody has it, which its server has not heard.
        bind(&cloud, &port, "");
        let asking = member.post(&target, wish.clone());
        let given = cloud.run_beside(asking).await.expect(200).json;
        assert_eq!(given["interfaceAttachment"]["port_id"], json!(port));
    }
    let listed = member.get(&target).await.expect(200).json;
    let all = listed["interfaceAttachments"].as_array().unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
    let twice = json!({"networks": [{"port": own_port(&cloud)}, {"port": port}, {"port": port}]});
    bind(&cloud, &port, "");
    let member = cloud.member().at("compute 2.96");
    let refused = member.post("/v2.1/servers", cloud.body(&twice)).await;
    let refused = refused.expect(400).json;
    let why = refused["badRequest"]["message"].as_str().unwrap();
    assert!(why.contains("twice"), "{why}");
}

fn device_of(cloud: &Cloud, port: &str) -> String {
    let ports = cloud.network.ports();
    let port = ports.iter().find(|row| row["id"] == port);
    // It is its owner's and stays.
    port.unwrap()["device_id"].as_str().unwrap().to_owned()
}
