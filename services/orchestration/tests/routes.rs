//! Routes of routers beside those of their interfaces.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, path, template};

fn route(number: u8) -> Value {
    json!({"destination": format!("10.{number}.0.0/16"), "nexthop": "10.0.0.9"})
}

fn resources(routes: &[u8], single: bool) -> Value {
    let of = |name: &str| json!({ "get_resource": name });
    let routes: Vec<Value> = routes.iter().map(|number| route(*number)).collect();
    let mut all = json!({
        "net": {"type": "OS::Neutron::Net"},
        "sub": {"type": "OS::Neutron::Subnet", "properties": {"network": of("net"), "cidr": "10.0.0.0/24"}},
        "router": {"type": "OS::Neutron::Router"},
        "leg": {"type": "OS::Neutron::RouterInterface", "properties": {"router": of("router"), "subnet": of("sub")}},
        "set": {"type": "OS::Neutron::ExtraRouteSet", "properties": {"router": of("router"), "routes": routes}},
    });
    if single {
        let mut one = route(9);
        one["router_id"] = of("router");
        all["one"] = json!({"type": "OS::Neutron::ExtraRoute", "properties": one});
    }
    all
}

fn routes(cloud: &Cloud) -> Vec<Value> {
    let mut state = cloud.siblings.state();
    let router = state.rows("routers").values().next().unwrap().clone();
    let mut routes = router["routes"].as_array().cloned().unwrap_or_default();
    routes.sort_by_key(Value::to_string);
    routes
}

async fn complete(cloud: &Cloud, stack: &str) {
    let shown = cloud.show(stack).await;
    let state = shown["stack_status"].as_str().unwrap();
    assert!(state.ends_with("_COMPLETE"), "{shown}");
}

#[tokio::test]
async fn a_router_has_the_routes_that_are_wanted_beside_those_of_others() {
    let cloud = cloud().await;
    let stack = cloud.made("s", resources(&[1, 2], true)).await;
    complete(&cloud, &stack).await;
    assert_eq!(routes(&cloud), [route(1), route(2), route(9)]);
    let router = cloud.resource(&stack, "router").await["physical_resource_id"].clone();
    let router = router.as_str().unwrap();
    assert_eq!(
        cloud.resource(&stack, "one").await["physical_resource_id"],
        format!("{router}:10.9.0.0/16:10.0.0.9")
    );
    // It comes after the interface by which its next hop is reached.
    let needed = cloud.resource(&stack, "leg").await["required_by"].clone();
    assert_eq!(needed, json!(["one", "set"]));
    // Somebody else's stays.
    let others = json!({"router": {"routes": [route(7)]}});
    let _answer = cloud
        .siblings
        .state()
        .routes(router, "add_extraroutes", &others);
    cloud.updated(&stack, resources(&[2, 3], false)).await;
    complete(&cloud, &stack).await;
    assert_eq!(routes(&cloud), [route(2), route(3), route(7)]);
    cloud.updated(&stack, resources(&[3, 7], false)).await;
    let shown = cloud.show(&stack).await;
    let why = shown["stack_status_reason"].as_str().unwrap();
    assert!(
        why.contains("Route duplicates an existing route: 10.7.0.0/16"),
        "{why}"
    );
    cloud.updated(&stack, resources(&[3], false)).await;
    complete(&cloud, &stack).await;
    assert_eq!(routes(&cloud), [route(3), route(7)]);
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("routers"), 0);
}

#[tokio::test]
async fn a_check_names_a_route_that_was_lost_and_an_update_makes_it_again() {
    let cloud = cloud().await;
    let stack = cloud.made("s", resources(&[1, 2], true)).await;
    let all = [route(1), route(2), route(9)];
    let router = cloud.resource(&stack, "router").await["physical_resource_id"].clone();
    let router = router.as_str().unwrap();
    let ids = async || {
        let id =
            async |name: &str| cloud.resource(&stack, name).await["physical_resource_id"].clone();
        (id("set").await, id("one").await)
    };
    let before = ids().await;
    let lose = |lost: &[u8]| {
        let lost: Vec<Value> = lost.iter().map(|number| route(*number)).collect();
        let body = json!({"router": {"routes": lost}});
        let mut state = cloud.siblings.state();
        let _answer = state.routes(router, "remove_extraroutes", &body);
    };
    let check = async || {
        let target = path(&format!("/stacks/{stack}/actions"));
        let body = json!({"check": null});
        cloud.member().post(&target, body).await.expect(200);
        cloud.settle().await;
        cloud.show(&stack).await
    };
    assert_eq!(check().await["stack_status"], "CHECK_COMPLETE");
    let cases: [&[u8]; 3] = [&[1], &[9], &[1, 2, 9]];
    for lost in cases {
        lose(lost);
        let shown = check().await;
        assert_eq!(shown["stack_status"], "CHECK_FAILED");
        let why = shown["stack_status_reason"].as_str().unwrap();
        for number in [1, 2, 9] {
            let named = why.contains(&format!("10.{number}.0.0/16 by 10.0.0.9"));
            assert_eq!(named, lost.contains(&number), "{why}");
        }
        cloud.updated(&stack, resources(&[1, 2], true)).await;
        complete(&cloud, &stack).await;
        assert_eq!(routes(&cloud), all, "{lost:?}");
        assert_eq!(ids().await, before);
    }
    // Without a check, whoever asks for it has what was lost made again.
    lose(&[2]);
    let body = json!({"template": template(resources(&[1, 2], true)), "converge": true});
    cloud.update(&stack, body).await.expect(202);
    cloud.settle().await;
    complete(&cloud, &stack).await;
    assert_eq!(routes(&cloud), all);
    // A router that is gone as a whole is made anew, and its routes with it.
    cloud.siblings.lose("routers");
    assert_eq!(check().await["stack_status"], "CHECK_FAILED");
    cloud.updated(&stack, resources(&[1, 2], true)).await;
    complete(&cloud, &stack).await;
    assert_eq!(routes(&cloud), all);
}
