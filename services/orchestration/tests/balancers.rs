//! Load balancers and their parts.

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message, path, template};

fn of(name: &str) -> Value {
    json!({ "get_resource": name })
}

fn resource(kind: &str, properties: Value) -> Value {
    json!({"type": format!("OS::Octavia::{kind}"), "properties": properties})
}

const SUBNET: &str = "00000000-0000-4000-8000-000000000099";

/// One of everything.
fn everything(algorithm: &str, weight: u32, host: &str) -> Value {
    json!({
        "balancer": resource("LoadBalancer", json!({"vip_subnet": SUBNET})),
        "listener": resource("Listener", json!({"loadbalancer": of("balancer"), "protocol": "HTTP", "protocol_port": 80})),
        "pool": resource("Pool", json!({"listener": of("listener"), "protocol": "HTTP", "lb_algorithm": algorithm, "name": "web"})),
        "monitor": resource("HealthMonitor", json!({"pool": of("pool"), "type": "HTTP", "delay": 3, "timeout": 3, "max_retries": 3})),
        "one": resource("PoolMember", json!({"pool": of("pool"), "address": "10.0.0.5", "protocol_port": 80, "weight": weight, "subnet": SUBNET})),
        "two": resource("PoolMember", json!({"pool": of("pool"), "address": "10.0.0.6", "protocol_port": 80, "tags": ["a"]})),
        "policy": resource("L7Policy", json!({"listener": of("listener"), "action": "REDIRECT_TO_POOL", "redirect_pool": of("pool")})),
        "rule": resource("L7Rule", json!({"l7policy": of("policy"), "type": "HOST_NAME", "compare_type": "EQUAL_TO", "value": host})),
    })
}

fn rows(cloud: &Cloud, collection: &str) -> Vec<Value> {
    let mut state = cloud.siblings.state();
    state.rows(collection).values().cloned().collect()
}

#[track_caller]
fn only(cloud: &Cloud, collection: &str) -> Value {
    let rows = rows(cloud, collection);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

async fn reason(cloud: &Cloud, stack: &str, status: &str) -> String {
    let shown = cloud.show(stack).await;
    assert_eq!(shown["stack_status"], status, "{shown}");
    shown["stack_status_reason"].as_str().unwrap().to_owned()
}

async fn complete(cloud: &Cloud, stack: &str, action: &str) {
    reason(cloud, stack, &format!("{action}_COMPLETE")).await;
}

const ALL: [&str; 7] = [
    "healthmonitors",
    "l7policies",
    "listeners",
    "loadbalancers",
    "members",
    "pools",
    "rules",
];

#[track_caller]
fn nothing_is_left(cloud: &Cloud) {
    for collection in ALL {
        assert_eq!(cloud.siblings.count(collection), 0, "{collection}");
    }
}

#[tokio::test]
async fn a_load_balancer_is_made_part_by_part_changed_as_it_is_and_removed() {
    let cloud = cloud().await;
    let body = |algorithm: &str, weight: u32, host: &str| {
        let mut body = template(everything(algorithm, weight, host));
        body["outputs"] = json!({
            "members": {"value": {"get_attr": ["pool", "members"]}},
            "pool": {"value": {"get_attr": ["pool", "show", "lb_algorithm"]}},
            "rules": {"value": {"get_attr": ["policy", "rules"]}},
            "pool_id": {"value": {"get_attr": ["one", "pool_id"]}},
            "port": {"value": {"get_attr": ["balancer", "vip_port_id"]}},
        });
        json!({ "template": body })
    };
    let stack = cloud.create("s", body("ROUND_ROBIN", 1, "a")).await;
    cloud.settle().await;
    complete(&cloud, &stack, "CREATE").await;
    let before: Vec<Value> = ALL.iter().flat_map(|many| rows(&cloud, many)).collect();
    for thing in &before {
        assert_eq!(thing["provisioning_status"], "ACTIVE", "{thing}");
    }
    let balancer = only(&cloud, "loadbalancers");
    let name = balancer["name"].as_str().unwrap();
    assert!(name.starts_with("s-balancer-"), "{name}");
    assert_eq!(
        (
            &balancer["vip_subnet_id"],
            &balancer["description"],
            &balancer["admin_state_up"]
        ),
        (&json!(SUBNET), &json!(""), &json!(true))
    );
    let (pool, listener) = (only(&cloud, "pools"), only(&cloud, "listeners"));
    assert_eq!(
        (&pool["name"], &pool["listener_id"]),
        (&json!("web"), &listener["id"])
    );
    assert_eq!(listener["connection_limit"], -1);
    assert_eq!(only(&cloud, "healthmonitors")["pool_id"], pool["id"]);
    let policy = only(&cloud, "l7policies");
    assert_eq!(
        (&policy["redirect_pool_id"], &policy["listener_id"]),
        (&pool["id"], &listener["id"])
    );
    for member in rows(&cloud, "members") {
        let tagged = member["tags"].as_array().unwrap().contains(&json!("a"));
        assert_eq!(member.get("subnet_id").is_some(), !tagged, "{member}");
        assert_eq!(member.get("pool"), None, "{member}");
    }
    // What has come since it was made is shown, too.
    let outputs = outputs(&cloud, &stack).await;
    assert_eq!(outputs["members"].as_array().unwrap().len(), 2, "{outputs}");
    assert_eq!(
        outputs["rules"],
        json!([{"id": only(&cloud, "rules")["id"]}])
    );
    assert_eq!(outputs["pool_id"], pool["id"]);
    assert_eq!(outputs["port"], "the-port");

    let next = body("SOURCE_IP", 5, "b");
    cloud.update(&stack, next).await.expect(202);
    cloud.settle().await;
    complete(&cloud, &stack, "UPDATE").await;
    let after: Vec<Value> = ALL.iter().flat_map(|many| rows(&cloud, many)).collect();
    let ids = |all: &[Value]| all.iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(only(&cloud, "pools")["lb_algorithm"], "SOURCE_IP");
    assert_eq!(only(&cloud, "rules")["value"], "b");
    let weights: Vec<Value> = rows(&cloud, "members")
        .iter()
        .map(|one| one["weight"].clone())
        .collect();
    assert!(weights.contains(&json!(5)), "{weights:?}");
    assert_eq!(self::outputs(&cloud, &stack).await["pool"], "SOURCE_IP");

    let mut fewer = everything("SOURCE_IP", 5, "b");
    fewer.as_object_mut().unwrap().remove("two");
    cloud.updated(&stack, fewer).await;
    complete(&cloud, &stack, "UPDATE").await;
    assert_eq!(cloud.siblings.count("members"), 1);
    let shown = cloud.resource(&stack, "pool").await;
    let members = shown["attributes"]["members"].as_array().unwrap();
    assert_eq!(members.len(), 1, "{shown}");
    cloud.delete(&stack).await;
    nothing_is_left(&cloud);
}

async fn outputs(cloud: &Cloud, stack: &str) -> Value {
    let shown = cloud.show(stack).await;
    let pair = |one: &Value| {
        (
            one["output_key"].as_str().unwrap().to_owned(),
            one["output_value"].clone(),
        )
    };
    let all: serde_json::Map<String, Value> = shown["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(pair)
        .collect();
    Value::Object(all)
}

#[tokio::test]
async fn parts_are_found_by_name_and_what_is_taken_away_is_as_if_it_had_never_been_said() {
    let cloud = cloud().await;
    let subnet = json!({"id": SUBNET, "name": "inner"});
    cloud
        .siblings
        .state()
        .rows("subnets")
        .insert(SUBNET.to_owned(), subnet);
    let first = json!({
        "balancer": resource("LoadBalancer", json!({"vip_subnet": "inner", "name": "lb", "description": "d"})),
        "pool": resource("Pool", json!({"loadbalancer": of("balancer"), "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
            "name": "web", "session_persistence": {"type": "HTTP_COOKIE"}})),
    });
    let stack = cloud.made("s", first.clone()).await;
    complete(&cloud, &stack, "CREATE").await;
    let balancer = only(&cloud, "loadbalancers");
    assert_eq!(balancer["vip_subnet_id"], SUBNET);
    let others = json!({
        "listener": resource("Listener", json!({"loadbalancer": "lb", "protocol": "HTTP", "protocol_port": 80, "default_pool": "web",
            "allowed_cidrs": ["10.0.0.0/8"]})),
        "member": resource("PoolMember", json!({"pool": "web", "address": "10.0.0.5", "protocol_port": 80, "subnet": "inner"})),
    });
    let other = cloud.made("t", others).await;
    complete(&cloud, &other, "CREATE").await;
    let (listener, pool) = (only(&cloud, "listeners"), only(&cloud, "pools"));
    assert_eq!(
        (
            &listener["loadbalancer_id"],
            &listener["default_pool_id"],
            &listener["allowed_cidrs"]
        ),
        (&balancer["id"], &pool["id"], &json!(["10.0.0.0/8"]))
    );
    assert_eq!(only(&cloud, "members")["subnet_id"], SUBNET);
    let without = json!({
        "listener": resource("Listener", json!({"loadbalancer": "lb", "protocol": "HTTP", "protocol_port": 80})),
    });
    cloud.updated(&other, without).await;
    complete(&cloud, &other, "UPDATE").await;
    let now = only(&cloud, "listeners");
    assert_eq!(now["id"], listener["id"]);
    assert_eq!(
        (&now["default_pool_id"], &now["allowed_cidrs"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(cloud.siblings.count("members"), 0);
    let mut bare = first;
    let name = bare["pool"]["properties"].as_object_mut().unwrap();
    name.remove("name");
    name.remove("session_persistence");
    cloud.updated(&stack, bare).await;
    complete(&cloud, &stack, "UPDATE").await;
    let now = only(&cloud, "pools");
    assert!(
        now["name"].as_str().unwrap().starts_with("s-pool-"),
        "{now}"
    );
    assert_eq!(
        (&now["id"], &now["session_persistence"]),
        (&pool["id"], &Value::Null)
    );
    let nowhere = json!({"m": resource("PoolMember", json!({"pool": "none", "address": "10.0.0.5", "protocol_port": 80}))});
    let failed = cloud.made("u", nowhere).await;
    let why = reason(&cloud, &failed, "CREATE_FAILED").await;
    assert!(
        why.contains("Unable to find pool with name or id 'none'"),
        "{why}"
    );
    for stack in [failed, other, stack] {
        cloud.delete(&stack).await;
    }
    nothing_is_left(&cloud);
}

#[tokio::test]
async fn what_ends_in_error_fails_with_the_cause_and_can_be_tried_again() {
    let cloud = cloud().await;
    let set = |name: &str, why: &str| {
        let mut state = cloud.siblings.state();
        state.refuses.insert(name.to_owned(), why.to_owned());
    };
    let clear = || cloud.siblings.state().refuses.clear();
    let one = json!({"lb": resource("LoadBalancer", json!({"vip_subnet": SUBNET}))});
    set("loadbalancers", "no address is left");
    let stack = cloud.made("s", one.clone()).await;
    let why = reason(&cloud, &stack, "CREATE_FAILED").await;
    assert!(
        why.contains("no address is left (HTTP 400 of the load-balancer service)"),
        "{why}"
    );
    clear();
    set("error-loadbalancers", "");
    cloud.updated(&stack, one.clone()).await;
    let why = reason(&cloud, &stack, "UPDATE_FAILED").await;
    assert!(
        why.contains("Went to status ERROR due to \"Unknown\""),
        "{why}"
    );
    clear();
    cloud.updated(&stack, one).await;
    complete(&cloud, &stack, "UPDATE").await;
    assert_eq!(cloud.siblings.count("loadbalancers"), 1);
    set("error-loadbalancers", "");
    cloud.delete(&stack).await;
    let why = reason(&cloud, &stack, "DELETE_FAILED").await;
    assert!(why.contains("Went to status ERROR"), "{why}");
    clear();
    cloud.delete(&stack).await;
    nothing_is_left(&cloud);
}

#[tokio::test]
async fn a_part_that_somebody_takes_away_is_missed_and_made_anew() {
    let cloud = cloud().await;
    let stack = cloud.made("s", everything("ROUND_ROBIN", 1, "a")).await;
    complete(&cloud, &stack, "CREATE").await;
    cloud.siblings.lose("healthmonitors");
    let target = path(&format!("/stacks/{stack}/actions"));
    cloud
        .member()
        .post(&target, json!({"check": null}))
        .await
        .expect(200);
    cloud.settle().await;
    let why = reason(&cloud, &stack, "CHECK_FAILED").await;
    assert!(why.contains("is not there any more"), "{why}");
    cloud
        .updated(&stack, everything("ROUND_ROBIN", 1, "a"))
        .await;
    complete(&cloud, &stack, "UPDATE").await;
    assert_eq!(cloud.siblings.count("healthmonitors"), 1);
    // What is gone already is as good as removed.
    for collection in ["members", "rules"] {
        cloud.siblings.lose(collection);
    }
    cloud.delete(&stack).await;
    nothing_is_left(&cloud);
}

#[tokio::test]
async fn a_load_balancer_that_others_have_made_is_used_only() {
    let cloud = cloud().await;
    let theirs = cloud
        .made(
            "s",
            json!({"lb": resource("LoadBalancer", json!({"vip_subnet": SUBNET}))}),
        )
        .await;
    let id = only(&cloud, "loadbalancers")["id"].clone();
    let mut used = resource("LoadBalancer", json!({"vip_subnet": SUBNET}));
    used["external_id"] = id.clone();
    let parts = json!({
        "lb": used,
        "pool": resource("Pool", json!({"loadbalancer": of("lb"), "protocol": "TCP", "lb_algorithm": "LEAST_CONNECTIONS"})),
    });
    let stack = cloud.made("t", parts).await;
    complete(&cloud, &stack, "CREATE").await;
    assert_eq!(only(&cloud, "pools")["loadbalancer_id"], id);
    let shown = cloud.resource(&stack, "lb").await;
    assert_eq!(shown["attributes"]["vip_address"], "10.0.0.9", "{shown}");
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("pools"), 0);
    assert_eq!(cloud.siblings.count("loadbalancers"), 1);
    cloud.delete(&theirs).await;
    nothing_is_left(&cloud);
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_before_anything_is_made() {
    let cloud = cloud().await;
    let pool = |more: Value| {
        let mut all = json!({"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    for (kind, properties, why) in [
        (
            "LoadBalancer",
            json!({}),
            "Property vip_subnet not assigned",
        ),
        (
            "LoadBalancer",
            json!({"vip_subnet": "s", "vip_address": "x"}),
            "vip_address: Error validating value 'x'",
        ),
        (
            "Listener",
            json!({"loadbalancer": "l", "protocol": "HTTP", "protocol_port": 0}),
            "protocol_port: 0 is out of range (min: 1, max: 65535)",
        ),
        (
            "Listener",
            json!({"loadbalancer": "l", "protocol": "SCTP", "protocol_port": 1}),
            "\"SCTP\" is not an allowed value",
        ),
        (
            "Listener",
            json!({"loadbalancer": "l", "protocol": "TERMINATED_HTTPS", "protocol_port": 1}),
            "Property default_tls_container_ref required",
        ),
        (
            "Listener",
            json!({"loadbalancer": "l", "protocol": "HTTP", "protocol_port": 1, "allowed_cidrs": ["x"]}),
            "allowed_cidrs: Error validating value 'x'",
        ),
        (
            "Pool",
            pool(json!({})),
            "At least one of the following properties must be specified: listener, loadbalancer.",
        ),
        (
            "Pool",
            pool(json!({"listener": "l", "session_persistence": {"type": "APP_COOKIE"}})),
            "Property cookie_name is required",
        ),
        (
            "PoolMember",
            json!({"pool": "p", "address": "10.0.0.5", "protocol_port": 80, "weight": 257}),
            "weight: 257 is out of range",
        ),
        (
            "HealthMonitor",
            json!({"pool": "p", "type": "HTTP", "delay": -1, "timeout": 1, "max_retries": 1}),
            "delay: -1 is out of range (min: 0, max: None)",
        ),
        (
            "L7Policy",
            json!({"listener": "l", "action": "REJECT", "redirect_url": "http://a"}),
            "are not required when action type is set to REJECT",
        ),
        (
            "L7Rule",
            json!({"l7policy": "p", "type": "HEADER", "compare_type": "REGEX", "value": "v"}),
            "Property key is missing",
        ),
    ] {
        let body = template(json!({"r": resource(kind, properties)}));
        let body = json!({"stack_name": "s", "template": body});
        let answer = cloud
            .member()
            .post(&path("/stacks"), body)
            .await
            .expect(400);
        assert!(message(&answer).contains(why), "{}", answer.json);
    }
    // What refers to something that is not there yet is not known, and is not missed.
    let later = json!({
        "balancer": resource("LoadBalancer", json!({"vip_subnet": SUBNET})),
        "pool": resource("Pool", pool(json!({"loadbalancer": of("balancer")}))),
    });
    cloud
        .create("s", json!({"template": template(later)}))
        .await;
}

/// What changes in place, by type.
const IN_PLACE: [(&str, &[&str]); 8] = [
    ("LoadBalancer", &["admin_state_up", "description", "name"]),
    (
        "Listener",
        &[
            "admin_state_up",
            "allowed_cidrs",
            "connection_limit",
            "default_pool",
            "default_tls_container_ref",
            "description",
            "name",
            "sni_container_refs",
        ],
    ),
    (
        "Pool",
        &[
            "admin_state_up",
            "description",
            "lb_algorithm",
            "name",
            "session_persistence",
            "tls_enabled",
        ],
    ),
    ("PoolMember", &["admin_state_up", "tags", "weight"]),
    (
        "HealthMonitor",
        &[
            "admin_state_up",
            "delay",
            "expected_codes",
            "http_method",
            "max_retries",
            "timeout",
            "url_path",
        ],
    ),
    (
        "L7Policy",
        &[
            "action",
            "admin_state_up",
            "description",
            "name",
            "position",
            "redirect_pool",
            "redirect_url",
        ],
    ),
    (
        "L7Rule",
        &[
            "admin_state_up",
            "compare_type",
            "invert",
            "key",
            "type",
            "value",
        ],
    ),
    (
        "Quota",
        &[
            "healthmonitor",
            "listener",
            "loadbalancer",
            "member",
            "pool",
        ],
    ),
];

#[tokio::test]
async fn types_are_shown_with_what_must_hold_and_what_changes_in_place() {
    let cloud = cloud().await;
    let show = async |kind: &str| {
        let target = path(&format!("/resource_types/OS::Octavia::{kind}"));
        let shown = cloud.member().get(&target).await.expect(200);
        shown.json.clone()
    };
    for (kind, in_place) in IN_PLACE {
        let shown = show(kind).await;
        let props = shown["properties"].as_object().unwrap();
        let mut found: Vec<&str> = props
            .iter()
            .filter(|(_, prop)| prop["update_allowed"] == true)
            .map(|(name, _)| name.as_str())
            .collect();
        found.sort_unstable();
        assert_eq!(found, in_place, "{kind}");
    }
    let monitor = show("HealthMonitor").await;
    assert_eq!(
        monitor["properties"]["delay"]["constraints"],
        json!([{"range": {"min": 0}}])
    );
    let listener = show("Listener").await;
    let custom = json!([{"custom_constraint": "octavia.loadbalancer"}]);
    assert_eq!(
        listener["properties"]["loadbalancer"]["constraints"],
        custom
    );
    assert_eq!(listener["properties"]["connection_limit"]["default"], -1);
    let target = path("/resource_types/OS::Octavia::FlavorProfile");
    let answer = cloud.member().get(&target).await.expect(404);
    assert!(
        message(&answer).contains("there is no load balancer flavor service"),
        "{}",
        answer.json
    );
}

#[tokio::test]
async fn quotas_of_load_balancers_are_for_administrators_and_are_the_defaults_again() {
    let mut cloud = cloud().await;
    let quota = |mut limits: Value| {
        limits["project"] = json!("first");
        json!({"q": resource("Quota", limits)})
    };
    let body = json!({"stack_name": "s", "template": template(quota(json!({"pool": 1})))});
    cloud
        .member()
        .post(&path("/stacks"), body)
        .await
        .expect(403);
    cloud.who = Persona::Admin;
    let stack = cloud
        .made("s", quota(json!({"pool": 1, "member": -1})))
        .await;
    complete(&cloud, &stack, "CREATE").await;
    let limits = || cloud.siblings.state().rows("limits")["p1"].clone();
    assert_eq!(limits(), json!({"pool": 1, "member": -1}));
    cloud.updated(&stack, quota(json!({"pool": 2}))).await;
    complete(&cloud, &stack, "UPDATE").await;
    assert_eq!(limits(), json!({"pool": 2, "member": null}));
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("limits"), 0);
}
