//! Bad input: each a clear error, and nothing left over.

use serde_json::json;

use crate::kit::{both, cloud, id};
use crate::network::{ELSEWHERE, SUBNET};

const UNKNOWN: &str = "71c675ab-d94f-49cd-a114-e12490b328d9";

#[tokio::test]
async fn load_balancers_that_cannot_be() {
    let cloud = cloud().await;
    for (body, status, words) in [
        (json!({}), 400, "VIP must contain one of"),
        (json!({"vip_subnet_id": "x"}), 400, "UUID"),
        (json!({"vip_subnet_id": UNKNOWN}), 400, "not found"),
        (json!({"vip_network_id": UNKNOWN}), 400, "not found"),
        (json!({"vip_port_id": UNKNOWN}), 400, "not found"),
        (
            json!({"vip_subnet_id": SUBNET, "odd": 1}),
            400,
            "Unknown attribute",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "name": "x".repeat(256)}),
            400,
            "255",
        ),
        (json!({"vip_subnet_id": SUBNET, "name": 5}), 400, "string"),
        (
            json!({"vip_subnet_id": SUBNET, "vip_address": "10.0.0"}),
            400,
            "IPv4 or IPv6",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "provider": "f5"}),
            400,
            "not enabled",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "flavor_id": UNKNOWN}),
            400,
            "Invalid flavor_id",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "vip_qos_policy_id": UNKNOWN}),
            501,
            "QoS",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "additional_vips": [{"subnet_id": ELSEWHERE}]}),
            400,
            "same network",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "additional_vips": [{"subnet_id": SUBNET}]}),
            400,
            "Duplicate",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "project_id": "22222222222222222222222222222222"}),
            403,
            "Policy",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "listeners": [{"protocol": "HTTP"}]}),
            400,
            "protocol_port",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "p"}}]}),
            400,
            "Missing details",
        ),
        (
            json!({"vip_subnet_id": SUBNET, "listeners": [{"protocol": "HTTP", "protocol_port": 80, "allowed_cidrs": ["fd00::/8"]}]}),
            400,
            "IP version",
        ),
    ] {
        let answer = cloud
            .member()
            .post("/v2/lbaas/loadbalancers", json!({"loadbalancer": body}))
            .await;
        let answer = answer.expect(status);
        assert_eq!(
            answer.json["faultcode"],
            if status < 500 { "Client" } else { "Server" }
        );
        assert!(
            answer.json["faultstring"].as_str().unwrap().contains(words),
            "{body}: {}",
            answer.json
        );
    }
    cloud
        .network
        .add(json!({"fixed_ips": [{"subnet_id": SUBNET, "ip_address": "10.0.0.99"}]}));
    let taken = json!({"loadbalancer": {"vip_subnet_id": SUBNET, "vip_address": "10.0.0.99"}});
    cloud
        .member()
        .post("/v2/lbaas/loadbalancers", taken)
        .await
        .expect(409);
    cloud.network.away(true);
    let body = json!({"loadbalancer": {"vip_subnet_id": SUBNET}});
    cloud
        .member()
        .post("/v2/lbaas/loadbalancers", body)
        .await
        .expect(503);
    assert_eq!(cloud.network.ports().len(), 1, "no port is left");
}

#[tokio::test]
async fn parts_that_cannot_be() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let (listener, pool, member) = cloud.chain(&lb).await;
    let http = |more: serde_json::Value| {
        let mut body = json!({"loadbalancer_id": lb, "protocol": "HTTP", "protocol_port": 81});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        ("listeners".to_owned(), "listener", body)
    };
    let of_pool = |more: serde_json::Value| {
        let mut body =
            json!({"loadbalancer_id": lb, "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        ("pools".to_owned(), "pool", body)
    };
    let member_of = |body| (format!("pools/{pool}/members"), "member", body);
    let monitor = |more: serde_json::Value| {
        let mut body =
            json!({"pool_id": pool, "type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        ("healthmonitors".to_owned(), "healthmonitor", body)
    };
    let policy = |more: serde_json::Value| {
        let mut body = json!({"listener_id": listener, "action": "REJECT"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        ("l7policies".to_owned(), "l7policy", body)
    };
    for ((target, key, body), status) in [
        (http(json!({"loadbalancer_id": UNKNOWN})), 404),
        (http(json!({"protocol_port": 80})), 409),
        (http(json!({"protocol_port": 0})), 400),
        (http(json!({"protocol_port": 65536})), 400),
        (http(json!({"protocol": "UDP"})), 501),
        (http(json!({"protocol": "TERMINATED_HTTPS"})), 501),
        (http(json!({"protocol": "GOPHER"})), 400),
        (http(json!({"default_tls_container_ref": "x"})), 501),
        (http(json!({"connection_limit": -2})), 400),
        (http(json!({"timeout_client_data": -1})), 400),
        // What haproxy cannot wait for, it does not begin with.
        (http(json!({"timeout_client_data": 2_147_483_648_u32})), 400),
        (
            http(json!({"timeout_tcp_inspect": 31_536_000_000_i64})),
            400,
        ),
        (http(json!({"default_pool_id": UNKNOWN})), 404),
        (http(json!({"insert_headers": {"X-Odd": "true"}})), 400),
        (
            http(json!({"insert_headers": {"X-Forwarded-For": "a\nb"}})),
            400,
        ),
        (
            http(json!({"protocol": "TCP", "insert_headers": {"X-Forwarded-For": "true"}})),
            400,
        ),
        (http(json!({"allowed_cidrs": ["10.0.0.0/33"]})), 400),
        (http(json!({"allowed_cidrs": vec!["10.0.0.0/8"; 101]})), 400),
        (http(json!({"tags": vec!["x"; 51]})), 400),
        (
            http(json!({"protocol": "HTTPS", "default_pool_id": pool})),
            400,
        ),
        (of_pool(json!({"lb_algorithm": "RANDOM"})), 400),
        (of_pool(json!({"lb_algorithm": "SOURCE_IP_PORT"})), 501),
        (of_pool(json!({"protocol": "SCTP"})), 501),
        (
            of_pool(json!({"listener_id": listener, "loadbalancer_id": null})),
            409,
        ),
        (
            of_pool(json!({"session_persistence": {"type": "HTTP_COOKIE"}})),
            400,
        ),
        (
            of_pool(json!({"session_persistence": {"type": "APP_COOKIE"}})),
            400,
        ),
        (
            of_pool(
                json!({"protocol": "HTTP", "session_persistence": {"type": "APP_COOKIE", "cookie_name": "a b"}}),
            ),
            400,
        ),
        (of_pool(json!({"tls_enabled": true})), 501),
        (
            member_of(json!({"address": "10.0.0.5", "protocol_port": 8080})),
            409,
        ),
        (member_of(json!({"address": "10.0.0.5"})), 400),
        (
            member_of(json!({"address": "127.0.0.1", "protocol_port": 1})),
            400,
        ),
        (
            member_of(json!({"address": "169.254.169.254", "protocol_port": 80})),
            400,
        ),
        (
            member_of(json!({"address": "::ffff:127.0.0.1", "protocol_port": 80})),
            400,
        ),
        (member_of(json!({"address": "x", "protocol_port": 1})), 400),
        (
            member_of(json!({"address": "10.0.0.9", "protocol_port": 1, "weight": 257})),
            400,
        ),
        (
            member_of(json!({"address": "10.0.0.9", "protocol_port": 1, "subnet_id": UNKNOWN})),
            404,
        ),
        (monitor(json!({"type": "SCTP"})), 501),
        (monitor(json!({"max_retries": 11})), 400),
        (monitor(json!({"delay": 0})), 400),
        (monitor(json!({"url_path": "no"})), 400),
        (monitor(json!({"url_path": "/a\nb"})), 400),
        (monitor(json!({"expected_codes": "2xx"})), 400),
        (monitor(json!({"expected_codes": "600"})), 400),
        (monitor(json!({"expected_codes": "000-200"})), 400),
        (monitor(json!({"http_method": "JUMP"})), 400),
        (monitor(json!({"domain_name": "a.b"})), 400),
        (
            monitor(json!({"http_version": 1.0, "domain_name": "a.b"})),
            400,
        ),
        (monitor(json!({"type": "TCP", "url_path": "/"})), 400),
        (monitor(json!({"pool_id": UNKNOWN})), 404),
        (policy(json!({"action": "JUMP"})), 400),
        (
            policy(json!({"rules": [{"type": "PATH", "compare_type": "REGEX", "value": "("}]})),
            400,
        ),
        (
            policy(
                json!({"rules": vec![json!({"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}); 51]}),
            ),
            409,
        ),
        // Where it answers itself.
        (
            member_of(json!({"address": "10.0.0.11", "protocol_port": 80})),
            400,
        ),
        (
            of_pool(json!({"members": [{"address": "10.0.0.11", "protocol_port": 80}]})),
            400,
        ),
        (
            policy(json!({"action": "REDIRECT_TO_POOL", "redirect_pool_id": UNKNOWN})),
            404,
        ),
        (
            policy(json!({"action": "REDIRECT_TO_URL", "redirect_url": "http://a\nb/"})),
            400,
        ),
    ] {
        let answer = cloud
            .member()
            .post(&format!("/v2/lbaas/{target}"), json!({ (key): body }))
            .await;
        assert_eq!(answer.status, status, "{target} {body}: {}", answer.json);
    }
    let tcp = json!({"loadbalancer_id": lb, "protocol": "TCP", "protocol_port": 5000});
    let tcp = id(&cloud.make("listeners", "listener", tcp).await);
    let body = json!({"l7policy": {"listener_id": tcp, "action": "REJECT"}});
    cloud
        .member()
        .post("/v2/lbaas/l7policies", body)
        .await
        .expect(400);
    // A member is only where it is.
    cloud
        .member()
        .get(&format!("/v2/lbaas/pools/{UNKNOWN}/members/{member}"))
        .await
        .expect(404);
    cloud
        .member()
        .get(&format!("/v2/lbaas/listeners/{pool}"))
        .await
        .expect(404);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
}

#[tokio::test]
async fn one_that_is_too_large_for_a_host_is_refused_in_words_and_may_become_smaller() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let (_, pool, _) = cloud.chain(&lb).await;
    let member = |number: usize| json!({"address": format!("10.1.{}.{}", number / 250, number % 250 + 1), "protocol_port": 80});
    let members: Vec<_> = (0..1000).map(member).collect();
    let target = format!("/v2/lbaas/pools/{pool}/members");
    let many = json!({ "members": members });
    cloud.member().put(&target, many).await.expect(202);
    // Each listener of a pool repeats its members.
    let (mut last, mut refused) = (String::new(), None);
    for port in 1000..1030 {
        let body = json!({"listener": {"loadbalancer_id": lb, "protocol": "HTTP", "protocol_port": port, "default_pool_id": pool}});
        let answer = cloud.member().post("/v2/lbaas/listeners", body).await;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
        last = id(&answer.json["listener"]);
    }
    let refused = refused.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.json);
    let words = refused.json["faultstring"].as_str().unwrap();
    assert!(words.contains("too large"), "{words}");
    let target = format!("/v2/lbaas/listeners/{last}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await.0, "ACTIVE");
}
