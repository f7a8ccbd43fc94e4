//! Calls that come together: none is lost, and no check is passed by two where it holds for one.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use nephos_testkit::{Answer, Persona};
use serde_json::{Value, json};

use crate::cloud::{Cloud, make, path};

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut all: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    all.sort_unstable();
    all
}

async fn ask_together(cloud: &Cloud, kind: &str, bodies: Vec<Value>) -> Vec<Answer> {
    let asks = bodies.into_iter().map(|body| {
        let (member, target) = (cloud.member(), path(kind));
        async move { member.post(&target, json!({kind: body})).await }
    });
    join_all(asks).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_two_subnets_get_the_same_piece_of_a_pool() {
    let cloud = Cloud::new().await;
    let pool = json!({"name": "p", "prefixes": ["10.0.0.0/16"], "default_prefixlen": 24});
    let pool = make(&cloud.member(), "subnetpool", pool).await;
    let mut bodies = Vec::new();
    for _ in 0..8 {
        bodies
            .push(json!({"network_id": cloud.net().await, "ip_version": 4, "subnetpool_id": pool}));
    }
    let answers = ask_together(&cloud, "subnet", bodies).await;
    let pieces: BTreeSet<String> = answers
        .into_iter()
        .map(|answer| answer.expect(201).json["subnet"]["cidr"].to_string())
        .collect();
    assert_eq!(pieces.len(), 8, "{pieces:?}");
    cloud.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_overlapping_subnets_of_a_network_one_is_made() {
    let cloud = Cloud::new().await;
    for number in 0..5 {
        let network = cloud.net().await;
        let subnet = |length: u8| json!({"network_id": network, "ip_version": 4, "cidr": format!("10.{number}.0.0/{length}")});
        let answers = ask_together(&cloud, "subnet", vec![subnet(16), subnet(24)]).await;
        assert_eq!(statuses(&answers), [201, 400]);
    }
    cloud.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_hosts_have_of_a_group_is_its_rules_whoever_came_last() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (network, _subnet) = cloud.wired("10.0.0.0/24").await;
    let group = make(&member, "security_group", json!({"name": "web"})).await;
    for (number, host) in ["h1", "h2", "h3"].into_iter().enumerate() {
        cloud.host(host, &format!("192.0.2.{}", number + 1)).await;
    }
    let rule = |port: u16| {
        json!({"security_group_id": group, "direction": "ingress", "protocol": "tcp",
        "port_range_min": port, "port_range_max": port})
    };
    let mut rules = Vec::new();
    for port in 1..=3 {
        rules.push(make(&member, "security_group_rule", rule(port)).await);
    }
    // Rules go while ports that use the group come to hosts that did not have it.
    let service = cloud.service();
    let ports = ["h1", "h2", "h3"].map(|host| {
        let body = json!({"port": {"network_id": network, "security_groups": [group], "binding:host_id": host,
            "device_id": "s", "device_owner": "compute:nova", "project_id": Persona::Member.project()}});
        let service = service.clone();
        async move { drop(service.post("/v2.0/ports", body).await.expect(201)) }
    });
    let removals = rules.iter().map(|rule| {
        let (member, target) = (cloud.member(), format!("/v2.0/security-group-rules/{rule}"));
        async move { drop(member.delete(&target).await.expect(204)) }
    });
    tokio::join!(join_all(ports), join_all(removals));
    for host in ["h1", "h2", "h3"] {
        let told = cloud.document(host, "security_group", &group).await;
        assert!(told.is_object(), "{host} has the group");
        assert!(
            !told.to_string().contains("\"tcp\""),
            "{host} has rules that are gone: {told}"
        );
    }
    cloud.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_router_gets_one_home_whoever_looks_for_it() {
    let cloud = Cloud::new().await;
    let (_network, subnet) = cloud.wired("10.0.0.0/24").await;
    let router = make(&cloud.member(), "router", json!({"name": "r"})).await;
    let target = format!("/v2.0/routers/{router}/add_router_interface");
    let plug = json!({"subnet_id": subnet});
    cloud.member().put(&target, plug).await.expect(200);
    let join = ["h1", "h2", "h3", "h4"].into_iter().enumerate();
    join_all(join.map(|(number, host)| {
        let (cloud, vtep) = (&cloud, format!("192.0.2.{}", number + 1));
        async move { cloud.host(host, &vtep).await }
    }))
    .await;
    let mut homes = 0;
    for host in ["h1", "h2", "h3", "h4"] {
        homes += usize::from(cloud.document(host, "router", &router).await.is_object());
    }
    assert_eq!(homes, 1);
    cloud.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_deleted_by_many_gives_its_quota_back_once() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let network = cloud.net().await;
    let (wired, subnet) = cloud.wired("10.0.0.0/24").await;
    let port = make(&member, "port", json!({"network_id": wired})).await;
    let router = make(&member, "router", json!({"name": "r"})).await;
    let group = make(&member, "security_group", json!({"name": "g"})).await;
    let pool = json!({"name": "p", "prefixes": ["10.0.0.0/16"]});
    let pool = make(&member, "subnetpool", pool).await;
    let things = [
        ("network", network),
        ("port", port),
        ("router", router),
        ("security_group", group),
        ("subnet", subnet),
        ("subnetpool", pool),
    ];
    for (kind, id) in things {
        let deletes = (0..8).map(|_| {
            let (member, target) = (cloud.member(), format!("{}/{id}", path(kind)));
            async move { member.delete(&target).await }
        });
        let answers = statuses(&join_all(deletes).await);
        assert_eq!(answers, [204, 404, 404, 404, 404, 404, 404, 404], "{kind}");
    }
    cloud.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_one_thing_that_come_together_all_happen() {
    let cloud = Cloud::new().await;
    let target = format!("/v2.0/networks/{}", cloud.net().await);
    let changes = (0..8).map(|number| {
        let (member, target) = (cloud.member(), target.clone());
        let change = match number % 2 {
            0 => json!({"network": {"name": format!("n{number}")}}),
            _odd => json!({"network": {"description": format!("d{number}")}}),
        };
        async move { member.put(&target, change).await }
    });
    let answers = join_all(changes).await;
    assert_eq!(statuses(&answers), [200; 8]);
    let network = cloud.member().get(&target).await.expect(200).json["network"].clone();
    assert!(network["name"].as_str().unwrap().starts_with('n'));
    assert!(network["description"].as_str().unwrap().starts_with('d'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tags_that_come_together_are_all_there() {
    let cloud = Cloud::new().await;
    let target = format!("/v2.0/networks/{}/tags", cloud.net().await);
    let asks = (0..8).map(|number| {
        let (member, target) = (cloud.member(), target.clone());
        async move {
            let body = json!({"tags": [format!("tag{number}")]});
            member.post(&target, body).await.expect(200)
        }
    });
    join_all(asks).await;
    let all = cloud.member().get(&target).await.expect(200).json;
    assert_eq!(all["tags"].as_array().unwrap().len(), 8, "{all}");
}

/// Asks both at once; each may come first.
async fn race(
    first: impl Future<Output = Answer>,
    second: impl Future<Output = Answer>,
) -> (u16, u16) {
    let (first, second) = tokio::join!(first, second);
    (first.status, second.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_goes_while_it_is_changed_is_gone_with_all_that_hung_on_it() {
    let cloud = Cloud::new().await;
    let (admin, member) = (cloud.admin(), cloud.member());
    for _ in 0..4 {
        let scope = json!({"name": "s", "ip_version": 4});
        let scope = make(&admin, "address_scope", scope).await;
        let target = format!("{}/{scope}", path("address_scope"));
        let share = json!({"address_scope": {"shared": true}});
        let (shared, deleted) = race(admin.put(&target, share), admin.delete(&target)).await;
        assert!(matches!((shared, deleted), (200 | 404, 204)));

        let group = make(&member, "security_group", json!({"name": "g"})).await;
        let rule =
            json!({"security_group_rule": {"security_group_id": group, "direction": "ingress"}});
        let target = format!("{}/{group}", path("security_group"));
        let made = member.post("/v2.0/security-group-rules", rule);
        let (made, deleted) = race(made, member.delete(&target)).await;
        assert!(matches!((made, deleted), (201 | 404, 204)));
    }
    cloud.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leg_that_a_route_needs_stays_whichever_came_first() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (_network, subnet) = cloud.wired("10.0.0.0/24").await;
    for _ in 0..4 {
        let router = make(&member, "router", json!({"name": "r"})).await;
        let target = format!("/v2.0/routers/{router}");
        let plug = json!({"subnet_id": subnet});
        let plugged = format!("{target}/add_router_interface");
        member.put(&plugged, plug.clone()).await.expect(200);
        let route = json!({"router": {"routes": [{"destination": "192.168.0.0/24", "nexthop": "10.0.0.9"}]}});
        let unplugged = format!("{target}/remove_router_interface");
        let (routed, gone) = race(
            member.put(&target, route),
            member.put(&unplugged, plug.clone()),
        )
        .await;
        assert!(
            matches!((routed, gone), (200, 409) | (400, 200)),
            "{routed} {gone}"
        );
        let none = json!({"router": {"routes": []}});
        member.put(&target, none).await.expect(200);
        if gone == 409 {
            member.put(&unplugged, plug).await.expect(200);
        }
    }
    cloud.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_port_is_made_by_a_grant_or_the_grant_ends() {
    let cloud = Cloud::new().await;
    let (member, other) = (cloud.member(), cloud.other());
    for _ in 0..4 {
        let network = cloud.net().await;
        let grant = json!({"object_type": "network", "object_id": network, "action": "access_as_shared",
            "target_tenant": Persona::OtherProject.project()});
        let grant = make(&member, "rbac_policy", grant).await;
        let port = json!({"port": {"network_id": network}});
        let ended = format!("/v2.0/rbac-policies/{grant}");
        let (made, ended) = race(other.post("/v2.0/ports", port), member.delete(&ended)).await;
        assert!(
            matches!((made, ended), (201, 409) | (404, 204)),
            "{made} {ended}"
        );
    }
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn a_port_is_not_made_for_a_caller_that_waits_no_longer() {
    let cloud = Cloud::new().await;
    let network = cloud.net().await;
    let late = cloud.world.clock.now().plus_secs(-1).0.to_string();
    let service = cloud.service().with_header("x-nephos-until", &late);
    let port = json!({"port": {"network_id": network, "project_id": Persona::Member.project()}});
    let late = service.post("/v2.0/ports", port.clone()).await.expect(504);
    assert_eq!(late.json["NeutronError"]["type"], "HTTPGatewayTimeout");
    let ports = cloud.admin().get("/v2.0/ports").await.expect(200).json;
    assert_eq!(ports["ports"], json!([]));
    cloud.service().post("/v2.0/ports", port).await.expect(201);
}

#[tokio::test]
async fn a_nul_character_is_refused_wherever_it_comes() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    for target in [
        "/v2.0/networks/%00",
        "/v2.0/networks?name=%00",
        "/v2.0/networks?marker=a%00",
    ] {
        member.get(target).await.expect(400);
    }
    for body in [
        json!({"network": {"name": "a\u{0}b"}}),
        json!({"network": {"na\u{0}me": "x"}}),
    ] {
        member.post("/v2.0/networks", body).await.expect(400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_agent_is_described_and_out_of_service_when_both_are_said_at_once() {
    let cloud = Cloud::new().await;
    cloud.host("h1", "192.0.2.1").await;
    let admin = cloud.admin();
    let agents = admin.get("/v2.0/agents").await.expect(200).json;
    let id = agents["agents"][0]["id"].as_str().unwrap();
    let target = format!("/v2.0/agents/{id}");
    for number in 0..4 {
        let words = json!({"agent": {"description": format!("d{number}")}});
        let out = json!({"agent": {"admin_state_up": number % 2 == 0}});
        let (said, taken) = race(admin.put(&target, words), admin.put(&target, out)).await;
        assert_eq!((said, taken), (200, 200));
        let agent = admin.get(&target).await.expect(200).json["agent"].clone();
        assert_eq!(agent["description"], format!("d{number}"));
        assert_eq!(agent["admin_state_up"], number % 2 == 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_ports_at_once_fill_the_quota_and_are_known_to_every_host() {
    let cloud = Cloud::new().await;
    let (project, hosts) = (Persona::Member.project(), ["h1", "h2", "h3"]);
    for (number, host) in hosts.iter().enumerate() {
        cloud.host(host, &format!("192.0.2.{}", number + 1)).await;
    }
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let quota = json!({"quota": {"port": 30}});
    let target = format!("/v2.0/quotas/{project}");
    cloud.admin().put(&target, quota).await.expect(200);
    let doors = [
        cloud.service(),
        cloud.beside().await.as_persona(Persona::Service),
    ];
    let asks = (0..40).map(|number| {
        let host = hosts[number % hosts.len()];
        let body = json!({"port": {"network_id": network, "project_id": project, "binding:host_id": host,
            "device_id": "s", "device_owner": "compute:nova"}});
        let service = &doors[number % doors.len()];
        async move { service.post("/v2.0/ports", body).await }
    });
    let answers = join_all(asks).await;
    assert_eq!(
        statuses(&answers),
        [[201; 30].as_slice(), &[409; 10]].concat()
    );
    let made = answers.iter().filter(|answer| answer.status == 201);
    let made: Vec<&Value> = made.map(|answer| &answer.json["port"]).collect();
    let addresses: BTreeSet<String> = made
        .iter()
        .map(|port| port["fixed_ips"][0]["ip_address"].to_string())
        .collect();
    assert_eq!(addresses.len(), 30, "no address is given twice");
    let group = made[0]["security_groups"][0].as_str().unwrap();
    for host in hosts {
        let there = made.iter().filter(|port| port["binding:host_id"] == host);
        let elsewhere = 30 - there.count();
        let net = cloud.document(host, "network", &network).await;
        assert_eq!(net["remote"].as_array().unwrap().len(), elsewhere, "{host}");
        let members = cloud.document(host, "security_group", group).await["members"].clone();
        assert_eq!(members.as_array().unwrap().len(), 30, "{host}");
    }
    cloud.assert_consistent().await;
    let removals = made.iter().map(|port| {
        let (service, id) = (cloud.service(), port["id"].as_str().unwrap());
        async move { service.delete(&format!("/v2.0/ports/{id}")).await }
    });
    assert_eq!(statuses(&join_all(removals).await), [204; 30]);
    for host in hosts {
        assert_eq!(cloud.feed(host).await, Vec::<Value>::new(), "{host}");
    }
    cloud.assert_consistent().await;
}
