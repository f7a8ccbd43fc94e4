//! From the first request to the last row.

use nephos_api::Check as _;
use nephos_testkit::Persona;
use serde_json::json;

use crate::kit::{both, cloud, id, statuses};
use crate::network::{NET, SHARED, SUBNET, SUBNET6};

#[tokio::test]
async fn a_load_balancer_is_made_used_and_deleted() {
    let cloud = cloud().await;
    let body = json!({"name": "lb", "vip_subnet_id": SUBNET});
    let made = cloud.make("loadbalancers", "loadbalancer", body).await;
    assert_eq!(statuses(&made), both("PENDING_CREATE", "OFFLINE"));
    assert_eq!(made["vip_address"], "10.0.0.11");
    assert_eq!(made["vip_network_id"], NET);
    assert_eq!(made["provider"], "haproxy");
    let lb = id(&made);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    let port = cloud.network.ports()[0].clone();
    assert_eq!(port["binding:host_id"], "one");
    assert_eq!(port["device_owner"], "Octavia");
    assert_eq!(port["device_id"], format!("lb-{lb}"));
    assert_eq!(port["name"], format!("octavia-lb-{lb}"));
    assert_eq!(port["project_id"], Persona::Member.project());
    assert_eq!(port["port_security_enabled"], false);

    let (listener, pool, member) = cloud.chain(&lb).await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    let told = cloud.told(&lb)[0].1.clone();
    assert_eq!(told["listeners"][0]["default_pool"], pool.as_str());
    assert_eq!(told["listeners"][0]["addresses"], json!(["10.0.0.11"]));
    assert_eq!(told["pools"][0]["members"][0]["address"], "10.0.0.5");
    let shown = cloud
        .show(&format!("listeners/{listener}"), "listener")
        .await;
    assert_eq!(statuses(&shown), both("ACTIVE", "ONLINE"));
    assert_eq!(shown["default_pool_id"], pool.as_str());
    let shown = cloud.show(&format!("pools/{pool}"), "pool").await;
    assert_eq!(shown["members"], json!([{"id": member}]));
    assert_eq!(shown["listeners"], json!([{"id": listener}]));
    let shown = cloud
        .show(&format!("pools/{pool}/members/{member}"), "member")
        .await;
    assert_eq!(statuses(&shown), both("ACTIVE", "NO_MONITOR"));
    let stats = cloud
        .show(&format!("loadbalancers/{lb}/stats"), "stats")
        .await;
    assert_eq!(
        stats,
        json!({"active_connections": 1, "bytes_in": 10, "bytes_out": 20, "request_errors": 2, "total_connections": 3})
    );
    let stats = cloud
        .show(&format!("listeners/{listener}/stats"), "stats")
        .await;
    assert_eq!(stats["bytes_out"], 20);

    let target = format!("/v2.0/lbaas/loadbalancers/{lb}");
    cloud.member().delete(&target).await.expect(400);
    cloud
        .member()
        .delete(&format!("{target}?cascade=true"))
        .await
        .expect(204);
    assert_eq!(cloud.status(&lb).await.0, "PENDING_DELETE");
    cloud.member().delete(&target).await.expect(409);
    cloud
        .member()
        .put(&target, json!({"loadbalancer": {"name": "x"}}))
        .await
        .expect(409);
    cloud.settle().await;
    cloud.member().get(&target).await.expect(404);
    cloud
        .member()
        .get(&format!("/v2/lbaas/pools/{pool}"))
        .await
        .expect(404);
    assert!(cloud.network.ports().is_empty());
    assert!(cloud.told(&lb).is_empty());
    assert_eq!(cloud.service.check().await.unwrap(), []);
}

#[tokio::test]
async fn all_of_it_is_made_at_once() {
    let cloud = cloud().await;
    let body = json!({
        "vip_network_id": NET, "admin_state_up": true,
        "additional_vips": [{"subnet_id": SUBNET6}],
        "pools": [{"name": "p", "protocol": "HTTP", "lb_algorithm": "LEAST_CONNECTIONS",
            "session_persistence": {"type": "APP_COOKIE", "cookie_name": "id"},
            "members": [{"address": "10.0.0.5", "protocol_port": 80}, {"address": "10.0.0.6", "protocol_port": 80, "backup": true}],
            "healthmonitor": {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, "url_path": "/up"}}],
        "listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "p"},
            "insert_headers": {"X-Forwarded-For": "true"}, "allowed_cidrs": ["10.0.0.0/8", "fd00::/8"],
            "l7policies": [
                {"action": "REJECT", "rules": [{"type": "PATH", "compare_type": "STARTS_WITH", "value": "/no"}]},
                {"action": "REDIRECT_TO_POOL", "position": 1, "rules": [{"type": "HOST_NAME", "compare_type": "EQUAL_TO", "value": "a.example"}],
                 "redirect_pool": {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}},
            ]}],
    });
    let made = cloud.make("loadbalancers", "loadbalancer", body).await;
    assert_eq!(made["pools"][0]["members"][1]["backup"], true);
    assert_eq!(made["pools"][0]["healthmonitor"]["url_path"], "/up");
    assert_eq!(
        made["listeners"][0]["l7policies"][0]["action"],
        "REDIRECT_TO_POOL"
    );
    assert_eq!(made["vip_subnet_id"], SUBNET);
    assert_eq!(made["additional_vips"][0]["subnet_id"], SUBNET6);
    let lb = id(&made);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    let told = cloud.told(&lb)[0].1.clone();
    let listener = &told["listeners"][0];
    assert_eq!(listener["addresses"].as_array().unwrap().len(), 2);
    assert_eq!(listener["insert_headers"]["forwarded_for"], true);
    assert_eq!(listener["l7"][0]["action"]["type"], "pool");
    assert_eq!(listener["l7"][1]["action"]["type"], "reject");
    assert_eq!(told["pools"][0]["monitor"]["expected_codes"], "200");
    assert_eq!(
        told["pools"][0]["persistence"],
        json!({"type": "app_cookie", "cookie_name": "id"})
    );
    let tree = cloud
        .show(&format!("loadbalancers/{lb}/status"), "statuses")
        .await;
    assert_eq!(
        tree["loadbalancer"]["listeners"][0]["pools"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let same = cloud
        .show(&format!("loadbalancers/{lb}/statuses"), "statuses")
        .await;
    assert_eq!(tree, same);
}

#[tokio::test]
async fn a_port_that_its_owner_made_is_given_back() {
    let cloud = cloud().await;
    let port = cloud.network.add(json!({"name": "mine"}));
    let body = json!({"vip_port_id": port});
    let made = cloud
        .make("loadbalancers", "loadbalancer", body.clone())
        .await;
    let lb = id(&made);
    let again = json!({ "loadbalancer": body });
    cloud
        .member()
        .post("/v2/lbaas/loadbalancers", again.clone())
        .await
        .expect(400);
    cloud.settle().await;
    assert_eq!(cloud.network.ports()[0]["device_owner"], "Octavia");
    cloud
        .member()
        .post("/v2/lbaas/loadbalancers", again)
        .await
        .expect(400);
    cloud
        .member()
        .delete(&format!("/v2/lbaas/loadbalancers/{lb}"))
        .await
        .expect(204);
    cloud.settle().await;
    let port = &cloud.network.ports()[0];
    for key in ["device_owner", "device_id", "binding:host_id"] {
        assert_eq!(port[key], "", "{key}");
    }
}

#[tokio::test]
async fn a_port_that_is_given_is_of_the_same_project_and_nobodys() {
    let cloud = cloud().await;
    let wanted = |port: &str| json!({"loadbalancer": {"vip_port_id": port}});
    let foreign = cloud.network.add(json!({"project_id": "another"}));
    let target = "/v2/lbaas/loadbalancers";
    let refused = cloud.member().post(target, wanted(&foreign)).await;
    let words = refused.expect(400).json["faultstring"].to_string();
    assert!(words.contains("another project"), "{words}");
    cloud
        .admin()
        .post(target, wanted(&foreign))
        .await
        .expect(201);
    for taken in [
        json!({"device_id": "server", "device_owner": "compute:nova"}),
        json!({"device_owner": "network:dhcp"}),
        json!({"device_id": "x"}),
    ] {
        let port = cloud.network.add(taken);
        let refused = cloud.member().post(target, wanted(&port)).await;
        let words = refused.expect(400).json["faultstring"].to_string();
        assert!(words.contains("already used"), "{words}");
    }
}

#[tokio::test]
async fn a_port_that_somebody_else_was_quicker_to_use_stays_theirs() {
    for then in ["POST /v2.0", "GET /v2.0/ports/"] {
        let cloud = cloud().await;
        let port = cloud.network.add(json!({"name": "mine"}));
        let body = json!({"vip_port_id": port});
        let lb = id(&cloud.make("loadbalancers", "loadbalancer", body).await);
        let server = json!({"device_id": "server", "device_owner": "compute:nova"});
        match then {
            // Before anybody looks at it, or between the look and the change.
            "POST /v2.0" => cloud.network.change(&port, &server),
            call => cloud.network.then(call, &port, server),
        }
        for _look in 0..3 {
            cloud.settle().await;
            cloud.later(1).await;
        }
        let shown = cloud
            .show(&format!("loadbalancers/{lb}"), "loadbalancer")
            .await;
        assert_eq!(shown["provisioning_status"], "ERROR", "{then}");
        let why = shown["fault"].as_str().unwrap();
        assert!(why.contains("used by compute:nova server"), "{why}");
        let target = format!("/v2/lbaas/loadbalancers/{lb}");
        cloud.member().delete(&target).await.expect(204);
        cloud.settle().await;
        let port = &cloud.network.ports()[0];
        assert_eq!(port["device_owner"], "compute:nova");
    }
}

#[tokio::test]
async fn a_port_that_lost_its_address_before_it_was_bound_is_no_vip() {
    let cloud = cloud().await;
    let port = cloud.network.add(json!({"name": "mine"}));
    let given = cloud.network.ports()[0]["fixed_ips"].clone();
    let body = json!({"vip_port_id": port});
    let lb = id(&cloud.make("loadbalancers", "loadbalancer", body).await);
    let other = json!({"fixed_ips": [{"subnet_id": SUBNET, "ip_address": "10.0.0.77"}]});
    cloud.network.change(&port, &other);
    cloud.settle().await;
    let shown = cloud
        .show(&format!("loadbalancers/{lb}"), "loadbalancer")
        .await;
    assert_eq!(shown["provisioning_status"], "ERROR");
    let why = shown["fault"].as_str().unwrap();
    assert!(why.contains("no longer has the address"), "{why}");
    assert_eq!(cloud.network.ports()[0]["device_id"], "");
    cloud.network.change(&port, &json!({"fixed_ips": given}));
    // It is tried again, though nobody asks for it.
    cloud.watch(60).await;
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
}

#[tokio::test]
async fn an_address_is_asked_for_with_the_callers_own_right_and_is_no_gateway() {
    let cloud = cloud().await;
    let target = "/v2/lbaas/loadbalancers";
    let wish = |more: serde_json::Value| json!({ "loadbalancer": more });
    let given = cloud
        .network
        .add(json!({"fixed_ips": [{"subnet_id": SUBNET, "ip_address": "10.0.0.1"}]}));
    for gateway in [
        json!({"vip_subnet_id": SUBNET, "vip_address": "10.0.0.1"}),
        json!({"vip_network_id": NET, "vip_address": "10.0.0.1"}),
        json!({"vip_subnet_id": SUBNET6, "additional_vips": [{"subnet_id": SUBNET, "ip_address": "10.0.0.1"}]}),
        json!({"vip_port_id": given}),
    ] {
        let refused = cloud.member().post(target, wish(gateway.clone())).await;
        assert_eq!(refused.status, 400, "{gateway}: {}", refused.json);
        let words = refused.json["faultstring"].to_string();
        assert!(words.contains("gateway"), "{words}");
    }
    let chosen = wish(json!({"vip_subnet_id": SHARED, "vip_address": "10.7.0.9"}));
    cloud
        .member()
        .post(target, chosen.clone())
        .await
        .expect(403);
    assert_eq!(cloud.network.ports().len(), 1);
    cloud.admin().post(target, chosen).await.expect(201);
    let any = wish(json!({"vip_subnet_id": SHARED}));
    cloud.member().post(target, any).await.expect(201);
}

#[tokio::test]
async fn a_port_without_its_load_balancer_goes_after_a_while_and_one_that_was_given_does_not() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let marks = |more: serde_json::Value| {
        let mut port = json!({"device_owner": "Octavia", "device_id": "lb-00000000-0000-4000-8000-000000000000"});
        let more = more.as_object().unwrap().clone();
        port.as_object_mut().unwrap().extend(more);
        cloud.network.add(port)
    };
    let made = json!({"binding:profile": {"made_by_octavia": true}});
    marks(made.clone());
    let given = marks(json!({"name": "given"}));
    cloud.service.tidy().await.unwrap();
    assert_eq!(cloud.network.ports().len(), 3);
    cloud.later(700).await;
    cloud.service.tidy().await.unwrap();
    let ports = cloud.network.ports();
    assert_eq!(ports.len(), 2);
    assert_eq!(ports[0]["device_id"], format!("lb-{lb}"));
    assert_eq!(
        (&ports[1]["id"], &ports[1]["device_owner"]),
        (&json!(given), &json!(""))
    );
    // Somebody else has it since it was listed, or since it was looked at once more.
    for call in ["GET /v2.0/ports", "GET /v2.0/ports/"] {
        let port = marks(made.clone());
        let server = json!({"device_id": "server", "device_owner": "compute:nova"});
        cloud.network.then(call, &port, server);
        cloud.service.tidy().await.unwrap();
        let ports = cloud.network.ports();
        let kept = ports.iter().find(|kept| kept["id"] == port.as_str());
        assert_eq!(kept.unwrap()["device_owner"], "compute:nova", "{call}");
    }
}

#[tokio::test]
async fn versions_and_providers_are_told() {
    let cloud = cloud().await;
    let versions = cloud.ask.get("/").await.expect(200).json;
    assert_eq!(versions["versions"][1]["id"], "v2.1");
    assert_eq!(versions["versions"][1]["status"], "CURRENT");
    assert_eq!(cloud.ask.get("/v2.0").await.expect(200).json, versions);
    let providers = cloud.show("providers?fields=name", "providers").await;
    assert_eq!(providers[0], json!({"name": "haproxy"}));
}
