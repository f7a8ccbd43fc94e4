//! What hosts are told, and what follows from what they report.

use serde_json::{Value, json};

use crate::cloud::{Cloud, create, make};

/// A port of the member's project that a service plugs in on a host.
async fn plugged(cloud: &Cloud, network: &str, host: &str) -> Value {
    let body = json!({"network_id": network, "project_id": nephos_testkit::Persona::Member.project(),
        "binding:host_id": host, "device_id": "s", "device_owner": "compute:nova"});
    create(&cloud.service(), "port", body).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_plugged_port_is_told_with_its_network_and_groups_and_becomes_active() {
    let cloud = Cloud::new().await;
    cloud.host("h1", "192.0.2.1").await;
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let port = plugged(&cloud, &network, "h1").await;
    let id = text(&port["id"]);
    let document = cloud.document("h1", "port", &id).await;
    assert_eq!(document["tap"], format!("tap{}", &id[..11]));
    assert_eq!(
        document["fixed_ips"][0]["ip"],
        port["fixed_ips"][0]["ip_address"]
    );
    let net = cloud.document("h1", "network", &network).await;
    assert_eq!(net["segment"]["type"], "vxlan");
    assert_eq!(net["subnets"][0]["cidr"], "10.0.0.0/24");
    let group = text(&port["security_groups"][0]);
    let sg = cloud.document("h1", "security_group", &group).await;
    assert_eq!(sg["rules"].as_array().unwrap().len(), 4);
    assert_eq!(sg["members"], json!([port["fixed_ips"][0]["ip_address"]]));

    let up = json!([{"kind": "port", "id": id, "generation_seen": 1, "state": "up", "at": "2026-01-02T03:04:05Z"}]);
    cloud.observed("h2", up.clone()).await;
    let target = format!("/v2.0/ports/{id}");
    let status =
        || async { cloud.member().get(&target).await.expect(200).json["port"]["status"].clone() };
    assert_eq!(status().await, "DOWN");
    cloud.observed("h1", up).await;
    assert_eq!(status().await, "ACTIVE");

    cloud
        .service()
        .put(&target, json!({"port": {"binding:host_id": ""}}))
        .await
        .expect(200);
    assert_eq!(status().await, "DOWN");
    assert_eq!(cloud.feed("h1").await, Vec::<Value>::new());
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn the_port_of_a_load_balancer_is_told_with_a_space_and_others_are_told_as_ever() {
    let cloud = Cloud::new().await;
    cloud.host("h1", "192.0.2.1").await;
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let guest = plugged(&cloud, &network, "h1").await;
    let body = json!({"network_id": network, "binding:host_id": "h1", "device_owner": "Octavia",
        "project_id": nephos_testkit::Persona::Member.project(), "device_id": "lb-1", "port_security_enabled": false});
    let id = text(&create(&cloud.service(), "port", body).await["id"]);
    assert_eq!(cloud.document("h1", "port", &id).await["space"], true);
    let guest = cloud.document("h1", "port", &text(&guest["id"])).await;
    assert_eq!(guest.get("space"), None);
    let up = json!([{"kind": "port", "id": id, "generation_seen": 1, "state": "up", "at": "2026-01-02T03:04:05Z"}]);
    cloud.observed("h1", up).await;
    let target = format!("/v2.0/ports/{id}");
    let port = cloud.service().get(&target).await.expect(200).json;
    assert_eq!(port["port"]["status"], "ACTIVE");
    // Bound nowhere, it has no host.
    let away = json!({"port": {"binding:host_id": ""}});
    cloud.service().put(&target, away).await.expect(200);
    assert_eq!(cloud.document("h1", "port", &id).await, Value::Null);
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn hosts_of_one_network_learn_of_each_others_ports() {
    let cloud = Cloud::new().await;
    cloud.host("h1", "192.0.2.1").await;
    cloud.host("h2", "192.0.2.2").await;
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let one = plugged(&cloud, &network, "h1").await;
    let two = plugged(&cloud, &network, "h2").await;
    let remote = |port: &Value, vtep: &str| json!([{"mac": port["mac_address"], "ips": [port["fixed_ips"][0]["ip_address"]], "vtep": vtep}]);
    assert_eq!(
        cloud.document("h1", "network", &network).await["remote"],
        remote(&two, "192.0.2.2")
    );
    assert_eq!(
        cloud.document("h2", "network", &network).await["remote"],
        remote(&one, "192.0.2.1")
    );
    cloud.host("h2", "192.0.2.22").await;
    assert_eq!(
        cloud.document("h1", "network", &network).await["remote"],
        remote(&two, "192.0.2.22")
    );
    let target = format!("/v2.0/ports/{}", text(&two["id"]));
    cloud.service().delete(&target).await.expect(204);
    assert_eq!(
        cloud.document("h1", "network", &network).await["remote"],
        json!([])
    );
    assert_eq!(cloud.feed("h2").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_port_is_made_ready_where_its_server_moves_to_and_turns_there_at_once() {
    let cloud = Cloud::new().await;
    for (host, vtep) in [
        ("h1", "192.0.2.1"),
        ("h2", "192.0.2.2"),
        ("h3", "192.0.2.3"),
    ] {
        cloud.host(host, vtep).await;
    }
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let port = plugged(&cloud, &network, "h1").await;
    plugged(&cloud, &network, "h3").await;
    let (id, group) = (text(&port["id"]), text(&port["security_groups"][0]));
    let target = format!("/v2.0/ports/{id}");
    let next = json!({"port": {"binding:profile": {"migrating_to": "h2"}}});
    cloud.service().put(&target, next).await.expect(200);
    let up = json!([{"kind": "port", "id": id, "generation_seen": 1, "state": "up", "at": "2026-01-02T03:04:05Z"}]);
    cloud.observed("h1", up.clone()).await;
    // Ready there, with its groups; and still reached where it is, from there too.
    assert_eq!(
        cloud.document("h2", "port", &id).await,
        cloud.document("h1", "port", &id).await
    );
    assert_eq!(
        cloud.document("h2", "security_group", &group).await["id"],
        json!(group)
    );
    let vtep_of = async |host: &str| {
        let spec = cloud.document(host, "network", &network).await;
        let remote = spec["remote"].as_array().unwrap().clone();
        let mut remote = remote.into_iter();
        let found = remote.find(|one| one["mac"] == port["mac_address"]);
        found.map(|one| one["vtep"].clone())
    };
    assert_eq!(vtep_of("h1").await, None);
    for host in ["h2", "h3"] {
        assert_eq!(vtep_of(host).await, Some(json!("192.0.2.1")));
    }
    cloud.assert_consistent().await;
    // Up there as well, it is up as soon as it is bound there; every host learns of it in the same transaction.
    cloud.observed("h2", up).await;
    let turn = json!({"port": {"binding:host_id": "h2", "binding:profile": {}}});
    let turned = cloud.service().put(&target, turn).await.expect(200).json;
    assert_eq!(turned["port"]["status"], "ACTIVE");
    let at_once = |host: &'static str| {
        let ask = cloud.ask.as_host(host);
        async move {
            let target = format!("/host/v1/feed?host={host}&since=0&wait=0");
            ask.get(&target).await.expect(200).json.to_string()
        }
    };
    let own = format!("\"id\":\"{id}\"");
    assert!(at_once("h2").await.contains(&own));
    assert!(!at_once("h1").await.contains(&own));
    assert!(at_once("h3").await.contains("192.0.2.2"));
    assert_eq!(vtep_of("h2").await, None);
    assert_eq!(cloud.feed("h1").await, Vec::<Value>::new());
    cloud.assert_consistent().await;
    // One that is not to move any more is nowhere else.
    let next = json!({"port": {"binding:profile": {"migrating_to": "h1"}}});
    cloud.service().put(&target, next).await.expect(200);
    assert_ne!(cloud.feed("h1").await, Vec::<Value>::new());
    let stay = json!({"port": {"binding:profile": {}}});
    cloud.service().put(&target, stay).await.expect(200);
    assert_eq!(cloud.feed("h1").await, Vec::<Value>::new());
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn a_rule_reaches_the_host_with_the_group_it_names() {
    let cloud = Cloud::new().await;
    cloud.host("h1", "192.0.2.1").await;
    let member = cloud.member();
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let (web, app) = (
        make(&member, "security_group", json!({"name": "web"})).await,
        make(&member, "security_group", json!({"name": "app"})).await,
    );
    let port = plugged(&cloud, &network, "h1").await;
    let target = format!("/v2.0/ports/{}", text(&port["id"]));
    member
        .put(&target, json!({"port": {"security_groups": [app]}}))
        .await
        .expect(200);
    let elsewhere = create(
        &member,
        "port",
        json!({"network_id": network, "security_groups": [web]}),
    )
    .await;
    assert_eq!(
        cloud.document("h1", "security_group", &web).await,
        Value::Null
    );
    let rule = json!({"security_group_id": app, "direction": "ingress", "protocol": "tcp",
        "port_range_min": 80, "port_range_max": 80, "remote_group_id": web});
    let rule = make(&member, "security_group_rule", rule).await;
    let told = cloud.document("h1", "security_group", &app).await;
    assert_eq!(told["rules"].as_array().unwrap().len(), 3);
    let members = cloud.document("h1", "security_group", &web).await["members"].clone();
    assert_eq!(members, json!([elsewhere["fixed_ips"][0]["ip_address"]]));
    member
        .delete(&format!("/v2.0/security-group-rules/{rule}"))
        .await
        .expect(204);
    assert_eq!(
        cloud.document("h1", "security_group", &web).await,
        Value::Null
    );
    assert_eq!(
        cloud.document("h1", "security_group", &app).await["rules"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn nothing_is_told_twice() {
    let cloud = Cloud::new().await;
    cloud.host("h1", "192.0.2.1").await;
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let port = plugged(&cloud, &network, "h1").await;
    cloud.network.settle().await.unwrap();
    let poll = |since: i64, lists: i64| {
        let service = cloud.ask.as_host("h1");
        async move {
            service
                .get(&format!(
                    "/host/v1/feed?host=h1&since={since}&lists={lists}&wait=0"
                ))
                .await
                .expect(200)
                .json
        }
    };
    let known = poll(0, 0).await;
    let (revision, lists) = (
        known["revision"].as_i64().unwrap(),
        known["lists"].as_i64().unwrap(),
    );
    let target = format!("/v2.0/ports/{}", text(&port["id"]));
    cloud
        .member()
        .put(&target, json!({"port": {"name": "only a name"}}))
        .await
        .expect(200);
    cloud.network.settle().await.unwrap();
    assert_eq!(poll(revision, lists).await["items"], json!([]));
    cloud
        .member()
        .put(&target, json!({"port": {"admin_state_up": false}}))
        .await
        .expect(200);
    cloud.network.settle().await.unwrap();
    let items = poll(revision, lists).await["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 1);
    assert_eq!(items[0]["spec"]["admin_state_up"], false);
}

#[tokio::test]
async fn a_host_is_told_and_believed_for_itself_alone() {
    let cloud = Cloud::new().await;
    cloud.host("h1", "192.0.2.1").await;
    cloud.host("h2", "192.0.2.2").await;
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let port = plugged(&cloud, &network, "h1").await;
    cloud.network.settle().await.unwrap();
    let (own, thief) = (cloud.ask.as_host("h1"), cloud.ask.as_host("h2"));
    let told = own.get("/host/v1/feed").await.expect(200).json;
    assert!(told.to_string().contains(port["id"].as_str().unwrap()));
    let others = thief.get("/host/v1/feed").await.expect(200).json;
    assert!(!others.to_string().contains(port["id"].as_str().unwrap()));
    let refused = thief.get("/host/v1/feed?host=h1").await.expect(403).json;
    let words = refused["NeutronError"]["message"].as_str().unwrap();
    assert!(
        words.contains("host h1") && words.contains("host h2"),
        "{words}"
    );
    // Where tunnels to another host end, only that host says.
    let report = json!([{"kind": "host", "id": "h1", "generation_seen": 0, "state": "up", "at": "2026-01-02T03:04:05Z",
        "detail": {"host": "h1", "vtep": "192.0.2.66", "physical_networks": ["public"]}}]);
    thief
        .put("/host/v1/observed?host=h1", report.clone())
        .await
        .expect(403);
    thief.put("/host/v1/observed", report).await.expect(400);
    for target in [
        "/v2.0/ports",
        "/v2.0/networks",
        "/v2.0/agents",
        "/v2.0/security-groups",
    ] {
        thief.get(target).await.expect(403);
    }
    for service in [cloud.service(), cloud.admin()] {
        service.get("/host/v1/feed?host=h1").await.expect(403);
    }
}
