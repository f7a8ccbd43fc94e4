//! Routers and floating IPs, from the API to what their host is told.

use serde_json::{Value, json};

use crate::cloud::{Cloud, create, fault, ids, make, refused};

/// A router with a leg in a new network and its gateway outside.
struct Routed {
    router: String,
    network: String,
    subnet: String,
    outside: String,
}

async fn routed(cloud: &Cloud) -> Routed {
    let outside = cloud.outside().await;
    let (network, subnet) = cloud.wired("10.0.0.0/24").await;
    let member = cloud.member();
    let body = json!({"name": "r", "external_gateway_info": {"network_id": outside}});
    let router = make(&member, "router", body).await;
    interface(cloud, &router, "add", json!({"subnet_id": subnet}), 200).await;
    Routed {
        router,
        network,
        subnet,
        outside,
    }
}

async fn interface(cloud: &Cloud, router: &str, verb: &str, body: Value, status: u16) -> Value {
    let target = format!("/v2.0/routers/{router}/{verb}_router_interface");
    cloud.member().put(&target, body).await.expect(status).json
}

#[tokio::test]
async fn a_router_waits_for_a_host_and_is_told_to_it_whole() {
    let cloud = Cloud::new().await;
    let it = routed(&cloud).await;
    assert_eq!(cloud.feed("gw").await, Vec::<Value>::new());
    cloud.host("gw", "192.0.2.9").await;
    let spec = cloud.document("gw", "router", &it.router).await;
    assert_eq!(spec["interfaces"][0]["addresses"], json!(["10.0.0.1/24"]));
    assert_eq!(spec["gateway"]["snat"], true);
    assert_eq!(spec["gateway"]["nexthops"], json!(["203.0.113.1"]));
    assert_eq!(
        cloud.document("gw", "network", &it.network).await["segment"]["type"],
        "vxlan"
    );
    assert_eq!(
        cloud.document("gw", "network", &it.outside).await["segment"]["physical_network"],
        "public"
    );
    assert_eq!(leg_status(&cloud, &it.router).await, "DOWN");
    report(&cloud, &it.router, "up").await;
    assert_eq!(leg_status(&cloud, &it.router).await, "ACTIVE");
    cloud.assert_consistent().await;
}

/// The status of a router's first port.
async fn leg_status(cloud: &Cloud, router: &str) -> Value {
    let target = format!("/v2.0/ports?device_id={router}");
    let ports = cloud.member().get(&target).await.expect(200).json;
    ports["ports"][0]["status"].clone()
}

/// The host reports of the router as it was last told to it.
async fn report(cloud: &Cloud, router: &str, state: &str) {
    let feed = cloud.feed("gw").await;
    let item = feed.iter().find(|item| item["kind"] == "router").unwrap();
    let seen = json!([{"kind": "router", "id": router, "generation_seen": item["generation"], "state": state,
        "at": "2026-01-02T03:04:05Z"}]);
    cloud.observed("gw", seen).await;
}

#[tokio::test]
async fn the_ports_of_a_router_that_is_switched_off_stay_plugged_in() {
    let cloud = Cloud::new().await;
    cloud.host("gw", "192.0.2.9").await;
    let it = routed(&cloud).await;
    let off = json!({"router": {"admin_state_up": false}});
    let target = format!("/v2.0/routers/{}", it.router);
    cloud.member().put(&target, off).await.expect(200);
    report(&cloud, &it.router, "down").await;
    assert_eq!(leg_status(&cloud, &it.router).await, "ACTIVE");
    report(&cloud, &it.router, "failed").await;
    assert_eq!(leg_status(&cloud, &it.router).await, "DOWN");
}

#[tokio::test]
async fn the_ports_of_a_router_that_is_switched_off_are_plugged_in_all_the_same() {
    let cloud = Cloud::new().await;
    cloud.host("gw", "192.0.2.9").await;
    let it = routed(&cloud).await;
    let member = cloud.member();
    let ports = format!("/v2.0/ports?device_id={}", it.router);
    let report = |state: &str, generation: &Value| {
        json!([{"kind": "router", "id": it.router, "generation_seen": generation, "state": state,
            "at": "2026-01-02T03:04:05Z"}])
    };
    let off = json!({"router": {"admin_state_up": false}});
    member
        .put(&format!("/v2.0/routers/{}", it.router), off)
        .await
        .expect(200);
    let items = cloud.feed("gw").await;
    let item = items.iter().find(|item| item["kind"] == "router").unwrap();
    assert_eq!(item["spec"]["admin_state_up"], false);
    cloud
        .observed("gw", report("failed", &item["generation"]))
        .await;
    assert_eq!(
        member.get(&ports).await.expect(200).json["ports"][0]["status"],
        "DOWN"
    );
    cloud
        .observed("gw", report("down", &item["generation"]))
        .await;
    assert_eq!(
        member.get(&ports).await.expect(200).json["ports"][0]["status"],
        "ACTIVE"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_tells_while_a_port_is_changed_is_kept() {
    let cloud = Cloud::new().await;
    cloud.host("gw", "192.0.2.9").await;
    let it = routed(&cloud).await;
    let target = format!(
        "/v2.0/ports?device_id={}&device_owner=network:router_interface",
        it.router
    );
    let legs = cloud.member().get(&target).await.expect(200).json;
    let target = format!("/v2.0/ports/{}", legs["ports"][0]["id"].as_str().unwrap());
    for turn in 0..20 {
        report(&cloud, &it.router, "failed").await;
        let name = json!({"port": {"name": format!("leg {turn}")}});
        let member = cloud.member();
        let (changed, ()) =
            tokio::join!(member.put(&target, name), report(&cloud, &it.router, "up"));
        changed.expect(200);
        let leg = member.get(&target).await.expect(200).json;
        assert_eq!(leg["port"]["status"], "ACTIVE", "turn {turn}");
    }
}

#[tokio::test]
async fn interfaces_come_and_go_and_block_deletion_meanwhile() {
    let cloud = Cloud::new().await;
    cloud.host("gw", "192.0.2.9").await;
    let it = routed(&cloud).await;
    let member = cloud.member();
    let target = format!("/v2.0/routers/{}", it.router);
    assert_eq!(
        fault(&member.delete(&target).await.expect(409)),
        "RouterInUse"
    );
    let again = interface(
        &cloud,
        &it.router,
        "add",
        json!({"subnet_id": it.subnet}),
        400,
    )
    .await;
    assert!(
        again["NeutronError"]["message"]
            .as_str()
            .unwrap()
            .contains("already has a port on subnet")
    );
    let (_, overlapping) = cloud.wired("10.0.0.128/25").await;
    interface(
        &cloud,
        &it.router,
        "add",
        json!({"subnet_id": overlapping}),
        400,
    )
    .await;
    let (second, _) = cloud.wired("10.5.0.0/24").await;
    let port = make(&member, "port", json!({"network_id": second})).await;
    let added = interface(&cloud, &it.router, "add", json!({"port_id": port}), 200).await;
    assert_eq!(added["port_id"], port);
    let shown = member
        .get(&format!("/v2.0/ports/{port}"))
        .await
        .expect(200)
        .json;
    assert_eq!(shown["port"]["device_owner"], "network:router_interface");
    let direct = member
        .delete(&format!("/v2.0/ports/{port}"))
        .await
        .expect(409);
    assert_eq!(fault(&direct), "ServicePortInUse");
    interface(&cloud, &it.router, "remove", json!({"port_id": port}), 200).await;
    interface(
        &cloud,
        &it.router,
        "remove",
        json!({"subnet_id": it.subnet}),
        200,
    )
    .await;
    interface(
        &cloud,
        &it.router,
        "remove",
        json!({"subnet_id": it.subnet}),
        404,
    )
    .await;
    member.delete(&target).await.expect(204);
    assert_eq!(cloud.feed("gw").await, Vec::<Value>::new());
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn gateways_and_snat() {
    let cloud = Cloud::new().await;
    let outside = cloud.outside().await;
    let inside = cloud.net().await;
    let member = cloud.member();
    let gateway = |id: &str| json!({"external_gateway_info": {"network_id": id}});
    assert_eq!(
        refused(&member, "router", gateway(&inside), 400).await,
        "BadRequest"
    );
    assert_eq!(
        refused(&member, "router", gateway("nonsense"), 400).await,
        "HTTPBadRequest"
    );
    let snat = json!({"external_gateway_info": {"network_id": outside, "enable_snat": false}});
    assert_eq!(
        refused(&member, "router", snat.clone(), 403).await,
        "PolicyNotAuthorized"
    );
    let router = create(&cloud.admin(), "router", snat).await;
    assert_eq!(router["external_gateway_info"]["enable_snat"], false);
    let taken = router["external_gateway_info"]["external_fixed_ips"][0].clone();
    let same =
        json!({"external_gateway_info": {"network_id": outside, "external_fixed_ips": [taken]}});
    assert_eq!(
        refused(&cloud.admin(), "router", same, 409).await,
        "IpAddressAlreadyAllocated"
    );
    let target = format!("/v2.0/routers/{}", router["id"].as_str().unwrap());
    let cleared = json!({"router": {"external_gateway_info": {}}});
    let cleared = cloud.admin().put(&target, cleared).await.expect(200).json;
    assert_eq!(cleared["router"]["external_gateway_info"], Value::Null);
    cloud.admin().delete(&target).await.expect(204);
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn routes_need_a_neighbour_and_keep_its_leg() {
    let cloud = Cloud::new().await;
    let it = routed(&cloud).await;
    let member = cloud.member();
    let target = format!("/v2.0/routers/{}", it.router);
    let routes = |nexthop: &str| json!({"router": {"routes": [{"destination": "198.51.100.0/24", "nexthop": nexthop}]}});
    let far = member.put(&target, routes("10.77.0.1")).await.expect(400);
    assert_eq!(fault(&far), "InvalidRoutes");
    member.put(&target, routes("10.0.0.1")).await.expect(400);
    let set = member
        .put(&target, routes("10.0.0.9"))
        .await
        .expect(200)
        .json;
    assert_eq!(set["router"]["routes"][0]["nexthop"], "10.0.0.9");
    let busy = interface(
        &cloud,
        &it.router,
        "remove",
        json!({"subnet_id": it.subnet}),
        409,
    )
    .await;
    assert_eq!(busy["NeutronError"]["type"], "RouterInterfaceInUseByRoute");
    let more =
        json!({"router": {"routes": [{"destination": "192.0.2.0/24", "nexthop": "10.0.0.8"}]}});
    let added = member
        .put(&format!("{target}/add_extraroutes"), more.clone())
        .await
        .expect(200)
        .json;
    assert_eq!(added["router"]["routes"].as_array().unwrap().len(), 2);
    let left = member
        .put(&format!("{target}/remove_extraroutes"), more)
        .await
        .expect(200)
        .json;
    assert_eq!(left["router"]["routes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_floating_ip_follows_its_port() {
    let cloud = Cloud::new().await;
    cloud.host("gw", "192.0.2.9").await;
    let it = routed(&cloud).await;
    let member = cloud.member();
    let port = create(&member, "port", json!({"network_id": it.network})).await;
    let port_id = port["id"].as_str().unwrap();
    let body = json!({"floating_network_id": it.outside, "port_id": port_id});
    let one = create(&member, "floatingip", body.clone()).await;
    assert_eq!(one["router_id"], it.router);
    assert_eq!(one["fixed_ip_address"], port["fixed_ips"][0]["ip_address"]);
    assert_eq!(one["status"], "DOWN");
    assert_eq!(one["port_details"]["mac_address"], port["mac_address"]);
    let told = cloud.document("gw", "router", &it.router).await["floating_ips"].clone();
    assert_eq!(told[0]["floating"], one["floating_ip_address"]);
    assert_eq!(
        refused(&member, "floatingip", body, 409).await,
        "FloatingIPPortAlreadyAssociated"
    );
    let generation = cloud
        .feed("gw")
        .await
        .iter()
        .find(|item| item["kind"] == "router")
        .unwrap()["generation"]
        .clone();
    cloud
        .observed(
            "gw",
            json!([{"kind": "router", "id": it.router, "generation_seen": generation, "state": "up",
        "at": "2026-01-02T03:04:05Z"}]),
        )
        .await;
    let target = format!("/v2.0/floatingips/{}", one["id"].as_str().unwrap());
    let shown = || async { member.get(&target).await.expect(200).json["floatingip"].clone() };
    assert_eq!(shown().await["status"], "ACTIVE");
    let busy = interface(
        &cloud,
        &it.router,
        "remove",
        json!({"subnet_id": it.subnet}),
        409,
    )
    .await;
    assert_eq!(
        busy["NeutronError"]["type"],
        "RouterInterfaceInUseByFloatingIP"
    );
    member
        .delete(&format!("/v2.0/ports/{port_id}"))
        .await
        .expect(204);
    let left = shown().await;
    assert_eq!(
        (&left["port_id"], &left["status"]),
        (&Value::Null, &json!("DOWN"))
    );
    assert_eq!(
        cloud.document("gw", "router", &it.router).await["floating_ips"],
        json!([])
    );
    member.delete(&target).await.expect(204);
    assert_eq!(
        ids(&cloud.admin(), "port", "device_owner=network:floatingip")
            .await
            .len(),
        0
    );
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn a_floating_ip_needs_a_router_on_the_way() {
    let cloud = Cloud::new().await;
    let outside = cloud.outside().await;
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let member = cloud.member();
    let port = make(&member, "port", json!({"network_id": network})).await;
    let body = json!({"floating_network_id": outside, "port_id": port});
    assert_eq!(
        refused(&member, "floatingip", body, 404).await,
        "ExternalGatewayForFloatingIPNotFound"
    );
    let idle = make(
        &member,
        "floatingip",
        json!({"floating_network_id": outside}),
    )
    .await;
    cloud
        .other()
        .get(&format!("/v2.0/floatingips/{idle}"))
        .await
        .expect(404);
    // An idle floating IP does not keep the network.
    cloud
        .admin()
        .delete(&format!("/v2.0/networks/{outside}"))
        .await
        .expect(204);
    member
        .get(&format!("/v2.0/floatingips/{idle}"))
        .await
        .expect(404);
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn an_operator_moves_a_router_from_host_to_host() {
    let cloud = Cloud::new().await;
    cloud.host("a", "192.0.2.1").await;
    cloud.host("b", "192.0.2.2").await;
    let it = routed(&cloud).await;
    let admin = cloud.admin();
    let home = format!("/v2.0/routers/{}/l3-agents", it.router);
    let here = admin.get(&home).await.expect(200).json["agents"][0].clone();
    assert_eq!(here["host"], "a");
    let on = format!("/v2.0/agents/{}/l3-routers", here["id"].as_str().unwrap());
    let listed = admin.get(&on).await.expect(200).json;
    assert_eq!(listed["routers"][0]["id"], it.router);
    admin
        .delete(&format!("{on}/{}", it.router))
        .await
        .expect(204);
    assert_eq!(
        admin.get(&home).await.expect(200).json["agents"][0]["host"],
        "b"
    );
    assert_eq!(cloud.feed("a").await, Vec::<Value>::new());
    assert_ne!(cloud.document("b", "router", &it.router).await, Value::Null);
    let back = admin
        .post(&on, json!({"router_id": it.router}))
        .await
        .expect(409);
    assert_eq!(fault(&back), "RouterHostedByL3Agent");
    cloud.assert_consistent().await;
    // One from which nothing leads out gets none, not even by hand.
    let report = json!([{"kind": "host", "id": "c", "generation_seen": 0, "state": "up", "at": "2026-01-02T03:04:05Z",
        "detail": {"host": "c", "vtep": "192.0.2.3", "physical_networks": [], "gateway": false}}]);
    cloud.observed("c", report).await;
    let agents = admin.get("/v2.0/agents?host=c&agent_type=L3%20agent").await;
    let shut_in = agents.expect(200).json["agents"][0].clone();
    assert_eq!(shut_in["configurations"]["gateway"], false);
    let on_c = format!(
        "/v2.0/agents/{}/l3-routers",
        shut_in["id"].as_str().unwrap()
    );
    let other = make(&cloud.member(), "router", json!({})).await;
    let refused = admin.post(&on_c, json!({"router_id": other})).await;
    assert_eq!(fault(&refused.expect(409)), "InvalidL3Agent");
    // A host that is forgotten has no routers any more either.
    let there = admin.get(&home).await.expect(200).json["agents"][0]["id"].clone();
    let agent = format!("/v2.0/agents/{}", there.as_str().unwrap());
    admin.delete(&agent).await.expect(204);
    assert_eq!(
        admin.get(&home).await.expect(200).json["agents"][0]["host"],
        "a"
    );
    assert_ne!(cloud.document("a", "router", &it.router).await, Value::Null);
    assert_eq!(cloud.feed("b").await, Vec::<Value>::new());
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn a_floating_ip_without_a_port_has_no_fixed_address() {
    let cloud = Cloud::new().await;
    let outside = cloud.outside().await;
    let member = cloud.member();
    let body = json!({"floating_network_id": outside});
    let one = make(&member, "floatingip", body.clone()).await;
    let target = format!("/v2.0/floatingips/{one}");
    for change in [
        json!({"fixed_ip_address": "10.0.0.9"}),
        json!({"fixed_ip_address": "10.0.0.9", "port_id": null}),
    ] {
        let refused = member.put(&target, json!({"floatingip": change})).await;
        let refused = refused.expect(400).json;
        assert_eq!(
            refused["NeutronError"]["message"],
            "Bad floatingip request: fixed_ip_address cannot be specified without a port_id."
        );
    }
}

#[tokio::test]
async fn an_address_that_a_floating_ip_leads_to_stays() {
    let cloud = Cloud::new().await;
    let it = routed(&cloud).await;
    let member = cloud.member();
    let port = make(&member, "port", json!({"network_id": it.network})).await;
    let body = json!({"floating_network_id": it.outside, "port_id": port});
    let one = make(&member, "floatingip", body).await;
    let target = format!("/v2.0/ports/{port}");
    let other = json!({"subnet_id": it.subnet, "ip_address": "10.0.0.77"});
    for fixed in [json!([]), json!([other.clone()])] {
        let change = json!({"port": {"fixed_ips": fixed}});
        let refused = member.put(&target, change).await.expect(400).json;
        let why = refused["NeutronError"]["message"].as_str().unwrap();
        assert!(
            why.contains("has been associated to a floating ip"),
            "{why}"
        );
    }
    let port = member.get(&target).await.expect(200).json["port"].clone();
    let both = json!([port["fixed_ips"][0], other]);
    let both = json!({"port": {"fixed_ips": both}});
    member.put(&target, both).await.expect(200);
    let free = json!({"floatingip": {"port_id": null}});
    let target_of_it = format!("/v2.0/floatingips/{one}");
    member.put(&target_of_it, free).await.expect(200);
    let only = json!({"port": {"fixed_ips": [other]}});
    member.put(&target, only).await.expect(200);
    cloud.assert_consistent().await;
}
