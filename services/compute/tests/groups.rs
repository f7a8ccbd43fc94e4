//! Which servers and which hosts belong together: server groups, aggregates, zones.

use nephos_api::Check as _;
use nephos_compute::driver::fake::HostSize;
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::cloud::Cloud;

async fn group(cloud: &Cloud, policy: &str, rules: Value) -> String {
    let body = json!({"server_group": {"name": "g", "policy": policy, "rules": rules}});
    let member = cloud.member().at("compute 2.64");
    let made = member.post("/v2.1/os-server-groups", body).await;
    let id = &made.expect(200).json["server_group"]["id"];
    id.as_str().unwrap().to_owned()
}

async fn in_group(cloud: &Cloud, group: &str, more: &Value) -> nephos_testkit::Answer {
    let mut body = cloud.body(more);
    body["os:scheduler_hints"] = json!({ "group": group });
    let member = cloud.member().at("compute 2.96");
    member.post("/v2.1/servers", body).await
}

/// Servers of a group, made at once: the hosts they are on.
async fn hosts_of(cloud: &mut Cloud, group: &str, count: usize) -> Vec<Value> {
    let mut ids = Vec::new();
    for _server in 0..count {
        let made = in_group(cloud, group, &json!({})).await.expect(202).json;
        ids.push(made["server"]["id"].as_str().unwrap().to_owned());
    }
    cloud.settle().await;
    let mut hosts = Vec::new();
    for id in ids {
        hosts.push(cloud.show(&id).await["OS-EXT-SRV-ATTR:host"].clone());
    }
    hosts.sort_by_key(Value::to_string);
    hosts
}

#[tokio::test]
async fn anti_affine_servers_made_at_once_are_on_different_hosts_and_one_too_many_says_why() {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let id = group(&cloud, "anti-affinity", json!({})).await;
    assert_eq!(hosts_of(&mut cloud, &id, 2).await, ["one", "two"]);
    let third = in_group(&cloud, &id, &json!({})).await.expect(202).json;
    cloud.settle().await;
    let third = cloud.show(third["server"]["id"].as_str().unwrap()).await;
    assert_eq!(third["status"], "ERROR");
    let message = third["fault"]["message"].as_str().unwrap();
    assert!(
        message.contains("2 of 2 may take no more servers of the group"),
        "{message}"
    );

    let two = group(&cloud, "anti-affinity", json!({"max_server_per_host": 2})).await;
    assert_eq!(
        hosts_of(&mut cloud, &two, 4).await,
        ["one", "one", "two", "two"]
    );
}

#[tokio::test]
async fn affine_servers_share_a_host_and_soft_ones_prefer() {
    let mut cloud = Cloud::with_hosts(&["one", "two", "three"], HostSize::default()).await;
    for policy in ["affinity", "soft-affinity"] {
        let id = group(&cloud, policy, json!({})).await;
        let mut hosts = hosts_of(&mut cloud, &id, 1).await;
        hosts.extend(hosts_of(&mut cloud, &id, 2).await);
        assert!(
            hosts.iter().all(|host| *host == hosts[0]),
            "{policy}: {hosts:?}"
        );
    }
    let id = group(&cloud, "soft-anti-affinity", json!({})).await;
    let mut hosts = Vec::new();
    for _server in 0..4 {
        hosts.extend(hosts_of(&mut cloud, &id, 1).await);
    }
    hosts.sort_by_key(Value::to_string);
    hosts.dedup();
    assert_eq!(
        hosts.len(),
        3,
        "a fourth is not refused, the others are apart"
    );
}

#[tokio::test]
async fn a_group_shows_its_servers_and_a_server_its_group() {
    let mut cloud = Cloud::new().await;
    let id = group(&cloud, "affinity", json!({})).await;
    let made = in_group(&cloud, &id, &json!({})).await.expect(202).json;
    let server = made["server"]["id"].as_str().unwrap().to_owned();
    cloud.settle().await;
    let member = cloud.member().at("compute 2.64");
    let target = format!("/v2.1/os-server-groups/{id}");
    let shown = member.get(&target).await.expect(200).json;
    assert_eq!(shown["server_group"]["members"], json!([server]));
    assert_eq!(cloud.show(&server).await["server_groups"], json!([id]));
    let listed = member.get("/v2.1/os-server-groups").await.expect(200).json;
    assert_eq!(listed["server_groups"], json!([shown["server_group"]]));
    let old = cloud.member().at("compute 2.12").get(&target).await;
    let old = old.expect(200).json["server_group"].clone();
    let expected = json!({"id": id, "name": "g", "policies": ["affinity"], "metadata": {}, "members": [server]});
    assert_eq!(old, expected);

    cloud
        .ask
        .as_persona(Persona::OtherProject)
        .get(&target)
        .await
        .expect(404);
    member.delete(&target).await.expect(204);
    let gone = member.get(&target).await.expect(404).json;
    let words = format!("Instance group {id} could not be found.");
    assert_eq!(gone["itemNotFound"]["message"], words);
    assert_eq!(cloud.show(&server).await["server_groups"], json!([]));
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

#[tokio::test]
async fn groups_that_cannot_be_are_refused() {
    let cloud = Cloud::new().await;
    let old = cloud.member();
    let new = cloud.member().at("compute 2.64");
    let body = |inner: Value| json!({ "server_group": inner });
    for (ask, inner) in [
        (&old, json!({"name": "g"})),
        (&old, json!({"name": "g", "policies": []})),
        (
            &old,
            json!({"name": "g", "policies": ["affinity", "anti-affinity"]}),
        ),
        (&old, json!({"name": "g", "policies": ["soft-affinity"]})),
        (&old, json!({"name": "g", "policy": "affinity"})),
        (&old, json!({"name": "", "policies": ["affinity"]})),
        (&new, json!({"name": "g", "policies": ["affinity"]})),
        (&new, json!({"name": "g", "policy": "other"})),
        (
            &new,
            json!({"name": "g", "policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ),
        (
            &new,
            json!({"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ),
        (
            &new,
            json!({"name": "g", "policy": "anti-affinity", "rules": {"other": 1}}),
        ),
    ] {
        ask.post("/v2.1/os-server-groups", body(inner.clone()))
            .await
            .expect(400);
    }
    let unknown = "11111111-1111-4111-8111-111111111111";
    in_group(&cloud, unknown, &json!({})).await.expect(400);
    in_group(&cloud, "g", &json!({})).await.expect(400);
    let own = group(&cloud, "affinity", json!({})).await;
    in_group(&cloud, &own, &json!({"min_count": 11}))
        .await
        .expect(403);
    for _group in 1..10 {
        group(&cloud, "affinity", json!({})).await;
    }
    let policy = json!({"name": "g", "policy": "affinity"});
    let over = new
        .post("/v2.1/os-server-groups", body(policy))
        .await
        .expect(403);
    let message = over.json["forbidden"]["message"].as_str().unwrap();
    assert!(message.contains("too many server groups"), "{message}");
}

async fn aggregate(cloud: &Cloud, name: &str, zone: Option<&str>) -> i64 {
    let mut body = json!({"aggregate": {"name": name}});
    if let Some(zone) = zone {
        body["aggregate"]["availability_zone"] = json!(zone);
    }
    let made = cloud.admin().post("/v2.1/os-aggregates", body).await;
    made.expect(200).json["aggregate"]["id"].as_i64().unwrap()
}

async fn change(cloud: &Cloud, id: i64, action: Value) -> nephos_testkit::Answer {
    let target = format!("/v2.1/os-aggregates/{id}/action");
    cloud.admin().at("compute 2.41").post(&target, action).await
}

#[tokio::test]
async fn an_aggregate_with_a_zone_puts_its_hosts_there_and_servers_follow() {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let id = aggregate(&cloud, "left", Some("west")).await;
    let west = json!({"availability_zone": "west"});
    let create = |cloud: &Cloud| {
        let (member, body) = (cloud.member().at("compute 2.96"), cloud.body(&west));
        async move { member.post("/v2.1/servers", body).await }
    };
    create(&cloud).await.expect(400);
    let added = change(&cloud, id, json!({"add_host": {"host": "two"}})).await;
    let added = added.expect(200).json["aggregate"].clone();
    assert_eq!(added["hosts"], json!(["two"]));
    assert_eq!(added["metadata"], json!({"availability_zone": "west"}));
    assert!(added["uuid"].is_string());
    for _server in 0..3 {
        let made = create(&cloud).await.expect(202).json;
        cloud.settle().await;
        let seen = cloud.show(made["server"]["id"].as_str().unwrap()).await;
        assert_eq!(
            (
                &seen["OS-EXT-SRV-ATTR:host"],
                &seen["OS-EXT-AZ:availability_zone"]
            ),
            (&json!("two"), &json!("west"))
        );
    }
    let zones = cloud.member().get("/v2.1/os-availability-zone").await;
    let zones = zones.expect(200).json["availabilityZoneInfo"].clone();
    let names: Vec<&Value> = zones
        .as_array()
        .unwrap()
        .iter()
        .map(|zone| &zone["zoneName"])
        .collect();
    assert_eq!(names, ["nova", "west"]);

    // Its servers asked for this zone.
    let out = change(&cloud, id, json!({"remove_host": {"host": "two"}})).await;
    let out = out.expect(409).json["conflictingRequest"]["message"].clone();
    assert!(
        out.as_str()
            .unwrap()
            .contains("contain instances in this zone"),
        "{out}"
    );
    let elsewhere = json!({"set_metadata": {"metadata": {"availability_zone": "east"}}});
    change(&cloud, id, elsewhere).await.expect(400);
    let other = aggregate(&cloud, "right", Some("east")).await;
    let two = change(&cloud, other, json!({"add_host": {"host": "two"}})).await;
    two.expect(409);
    // A server that asked for none goes along.
    let anywhere = cloud.body(&json!({"host": "one"}));
    let admin = cloud.admin().at("compute 2.96");
    let made = admin.post("/v2.1/servers", anywhere).await.expect(202).json;
    cloud.settle().await;
    change(&cloud, other, json!({"add_host": {"host": "one"}}))
        .await
        .expect(200);
    let seen = cloud.show(made["server"]["id"].as_str().unwrap()).await;
    assert_eq!(seen["OS-EXT-AZ:availability_zone"], "east");
    let plain = aggregate(&cloud, "plain", None).await;
    change(&cloud, plain, json!({"add_host": {"host": "two"}}))
        .await
        .expect(200);
    change(&cloud, plain, json!({"remove_host": {"host": "two"}}))
        .await
        .expect(200);
}

#[tokio::test]
async fn aggregates_are_made_changed_and_removed() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    let id = aggregate(&cloud, "a", None).await;
    let target = format!("/v2.1/os-aggregates/{id}");
    let shown = admin.get(&target).await.expect(200).json["aggregate"].clone();
    assert_eq!(
        (
            &shown["hosts"],
            &shown["metadata"],
            &shown["availability_zone"],
            &shown["deleted"]
        ),
        (&json!([]), &json!({}), &Value::Null, &json!(false))
    );
    assert_eq!(shown.get("uuid"), None, "2.41 brings it");
    let again = json!({"aggregate": {"name": "a"}});
    admin.post("/v2.1/os-aggregates", again).await.expect(409);
    for wrong in [
        json!({"aggregate": {"name": ""}}),
        json!({"aggregate": {"name": "b", "availability_zone": "a:b"}}),
        json!({"aggregate": {"name": "b", "other": 1}}),
        json!({"aggregate": {}}),
    ] {
        admin.post("/v2.1/os-aggregates", wrong).await.expect(400);
    }
    let renamed = json!({"aggregate": {"name": "b", "availability_zone": "z"}});
    let renamed = admin.put(&target, renamed).await.expect(200).json["aggregate"].clone();
    assert_eq!(
        (&renamed["name"], &renamed["availability_zone"]),
        (&json!("b"), &json!("z"))
    );
    assert!(renamed["updated_at"].is_string());
    let set = json!({"set_metadata": {"metadata": {"k": "v", "availability_zone": null}}});
    let set = change(&cloud, id, set).await.expect(200).json["aggregate"].clone();
    assert_eq!(set["metadata"], json!({"k": "v"}));
    change(&cloud, id, json!({"set_metadata": {"metadata": {"k": 5}}}))
        .await
        .expect(400);
    change(&cloud, id, json!({"add_host": {"host": "nowhere"}}))
        .await
        .expect(404);
    change(&cloud, id, json!({"remove_host": {"host": "one"}}))
        .await
        .expect(404);
    change(&cloud, id, json!({"add_host": {"host": "one"}}))
        .await
        .expect(200);
    change(&cloud, id, json!({"add_host": {"host": "one"}}))
        .await
        .expect(409);
    admin.delete(&target).await.expect(400);
    change(&cloud, id, json!({"remove_host": {"host": "one"}}))
        .await
        .expect(200);
    admin.delete(&target).await.expect(200);
    admin.get(&target).await.expect(404);
    admin.delete(&target).await.expect(404);
    admin.get("/v2.1/os-aggregates/x").await.expect(400);
    assert_ne!(
        aggregate(&cloud, "a", None).await,
        id,
        "numbers are not used twice"
    );
}
