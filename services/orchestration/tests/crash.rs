//! Killed at every crash point between any two resources, a restart reaches the same end.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use nephos_api::Check as _;
use nephos_runtime::crash::{self, Mode};
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, path, template};

/// What is left in the end: what siblings have, the stack's state, its resources' states.
async fn end(cloud: &Cloud, stack: &str) -> (BTreeMap<String, usize>, Value) {
    let shown = cloud.get(stack, "").await.json["stack"].clone();
    let list = cloud.get(stack, "/resources").await.json["resources"].clone();
    let mut rows: Vec<String> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| format!("{} {}", row["resource_name"], row["resource_status"]))
        .collect();
    rows.sort();
    (
        cloud.siblings.picture(),
        json!([shown["stack_status"], rows]),
    )
}

/// The n-th hit of each point.
fn cases(points: &[&'static str]) -> Vec<(&'static str, u32)> {
    let mut seen = std::collections::HashMap::new();
    let count = |point: &&'static str| {
        let count = seen.entry(*point).or_insert(0);
        *count += 1;
        (*point, *count)
    };
    points.iter().map(count).collect()
}

/// Does the work that `arrange` asked for, once undisturbed and once per crash point.
async fn check<F, Fut>(least: usize, arrange: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = (Cloud, String)>,
{
    let (reference, stack) = arrange().await;
    crash::set(Mode::Record);
    reference.settle().await;
    let points = crash::recorded();
    crash::set(Mode::Off);
    assert!(points.len() >= least, "{points:?}");
    let expected = end(&reference, &stack).await;
    for (name, nth) in cases(&points) {
        let (cloud, stack) = arrange().await;
        crash::set(Mode::Unwind {
            name: name.to_owned(),
            nth,
        });
        let crashed = {
            let worker = cloud.orchestration.worker();
            let work = async { worker.settle(Duration::from_secs(600)).await };
            AssertUnwindSafe(work).catch_unwind().await
        };
        crash::set(Mode::Off);
        assert!(crashed.is_err(), "{name} {nth} was not reached");
        let cloud = cloud.restarted().await;
        cloud.settle().await;
        assert_eq!(end(&cloud, &stack).await, expected, "{name} {nth}");
        assert_eq!(cloud.orchestration.check().await.unwrap(), []);
    }
}

fn resources() -> Value {
    json!({
        "net": {"type": "OS::Neutron::Net", "properties": {"description": "d"}},
        "sub": {"type": "OS::Neutron::Subnet", "properties": {"network": {"get_resource": "net"}, "cidr": "10.0.0.0/24"}},
        "group": {"type": "OS::Neutron::SecurityGroup", "properties": {"rules": [{"protocol": "icmp"}]}},
        "server": {"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny", "networks": [{"subnet": {"get_resource": "sub"}, "floating_ip": {"get_resource": "ip"}}], "key_name": {"get_resource": "key"}}, "depends_on": "sub"},
        "ip": {"type": "OS::Neutron::FloatingIP", "properties": {"floating_network": "00000000-0000-4000-8000-000000000098"}},
        "router": {"type": "OS::Neutron::Router"},
        "routes": {"type": "OS::Neutron::ExtraRouteSet", "properties": {"router": {"get_resource": "router"}, "routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}]}},
        "key": {"type": "OS::Nova::KeyPair", "properties": {"name": "k"}},
        "volume": {"type": "OS::Cinder::Volume", "properties": {"size": 1, "name": "v", "description": "d"}},
        "plug": {"type": "OS::Cinder::VolumeAttachment", "properties": {"instance_uuid": {"get_resource": "server"}, "volume_id": {"get_resource": "volume"}}},
        "policy": {"type": "OS::Neutron::RBACPolicy", "properties": {"object_type": "network", "object_id": {"get_resource": "net"}, "action": "access_as_shared", "target_tenant": "*"}},
        "slow": {"type": "OS::Neutron::QoSPolicy"},
        "rule": {"type": "OS::Neutron::QoSBandwidthLimitRule", "properties": {"policy": {"get_resource": "slow"}, "max_kbps": 1000}},
        "box": {"type": "OS::Swift::Container", "properties": {"name": "b", "X-Container-Meta": {"a": "1"}, "X-Account-Meta": {"b": "2"}}},
    })
}

#[tokio::test]
async fn making_a_stack() {
    check(20, || async {
        let cloud = cloud().await;
        let stack = cloud
            .create("s", json!({"template": template(resources())}))
            .await;
        (cloud, stack)
    })
    .await;
}

#[tokio::test]
async fn updating_a_stack() {
    check(15, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", resources()).await;
        let next = json!({
            "net": {"type": "OS::Neutron::Net", "properties": {"description": "e", "availability_zone_hints": ["z"]}},
            "group": {"type": "OS::Neutron::SecurityGroup", "properties": {"rules": [{"protocol": "tcp"}]}},
            "value": {"type": "OS::Heat::Value", "properties": {"value": 1}},
        });
        cloud.update(&stack, json!({ "template": template(next) })).await.expect(202);
        (cloud, stack)
    })
    .await;
}

fn trunk(tag: u16) -> Value {
    let port =
        json!({"type": "OS::Neutron::Port", "properties": {"network": {"get_resource": "net"}}});
    json!({
        "net": {"type": "OS::Neutron::Net"}, "parent": port, "part": port,
        "trunk": {"type": "OS::Neutron::Trunk", "properties": {"port": {"get_resource": "parent"},
            "sub_ports": [{"port": {"get_resource": "part"}, "segmentation_type": "vlan", "segmentation_id": tag}]}},
    })
}

#[tokio::test]
async fn changing_the_subports_of_a_trunk() {
    check(4, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", trunk(7)).await;
        let body = json!({ "template": template(trunk(8)) });
        cloud.update(&stack, body).await.expect(202);
        (cloud, stack)
    })
    .await;
}

#[tokio::test]
async fn removing_a_stack() {
    check(15, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", resources()).await;
        cloud
            .member()
            .delete(&path(&format!("/stacks/{stack}")))
            .await
            .expect(204);
        (cloud, stack)
    })
    .await;
}

#[tokio::test]
async fn removing_what_leaves_copies() {
    let resources = json!({
        "server": {"type": "OS::Nova::Server", "deletion_policy": "snapshot", "properties": {"image": "i", "flavor": "tiny"}},
        "volume": {"type": "OS::Cinder::Volume", "deletion_policy": "snapshot", "properties": {"size": 1}},
    });
    check(10, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", resources.clone()).await;
        let target = path(&format!("/stacks/{stack}"));
        cloud.member().delete(&target).await.expect(204);
        (cloud, stack)
    })
    .await;
}

#[tokio::test]
async fn going_back_from_a_failed_update() {
    check(10, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", json!({"a": {"type": "OS::Neutron::Net", "properties": {"name": "x"}}})).await;
        let next = template(json!({
            "a": {"type": "OS::Neutron::Net", "properties": {"name": "y"}}, "b": {"type": "OS::Neutron::Net", "depends_on": "a"},
            "c": {"type": "OS::Heat::TestResource", "properties": {"fail": true}, "depends_on": "b"},
        }));
        cloud.update(&stack, json!({"template": next, "disable_rollback": false})).await.expect(202);
        (cloud, stack)
    })
    .await;
}

/// An update that replaces `s`, and then fails and goes back.
async fn replaced_and_failed(before: Value, after: Value) -> (Cloud, String) {
    let cloud = cloud().await;
    let stack = cloud.made("s", before).await;
    let mut next = after;
    next["z"] =
        json!({"type": "OS::Heat::TestResource", "properties": {"fail": true}, "depends_on": "s"});
    let body = json!({"template": template(next), "disable_rollback": false});
    cloud.update(&stack, body).await.expect(202);
    (cloud, stack)
}

#[tokio::test]
async fn going_back_to_a_server_that_let_go_of_its_port() {
    let port = json!({"type": "OS::Neutron::Port", "properties": {"network": "00000000-0000-4000-8000-000000000099"}});
    let server = |salt: &str| {
        let nics = json!([{"port": {"get_resource": "p"}}]);
        json!({"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny", "user_data": salt, "networks": nics}})
    };
    let all = |salt: &str| json!({"p": port, "s": server(salt)});
    check(15, || replaced_and_failed(all("1"), all("2"))).await;
}

#[tokio::test]
async fn other_nics_of_a_server() {
    let all = |subnet: &str, ip: &str| {
        let of = |name: &str| json!({ "get_resource": name });
        let sub = |cidr: &str| json!({"type": "OS::Neutron::Subnet", "properties": {"network": of("net"), "cidr": cidr}});
        let floating = json!({"type": "OS::Neutron::FloatingIP", "properties": {"floating_network": "00000000-0000-4000-8000-000000000098"}});
        let pair = json!([{"ip_address": if subnet == "a" { "10.0.0.7" } else { "10.0.0.8" }}]);
        let other =
            json!({"network": of("net"), "port_extra_properties": {"allowed_address_pairs": pair}});
        let nics = json!([{"subnet": of(subnet), "floating_ip": of(ip)}, other]);
        json!({
            "net": {"type": "OS::Neutron::Net"}, "a": sub("10.0.0.0/24"), "b": sub("10.0.1.0/24"), "i": floating, "j": floating,
            "s": {"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny", "networks": nics}},
        })
    };
    check(10, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", all("a", "i")).await;
        let next = json!({ "template": template(all("b", "j")) });
        cloud.update(&stack, next).await.expect(202);
        (cloud, stack)
    })
    .await;
}

#[tokio::test]
async fn going_back_to_members_of_a_group() {
    let group = |zone: &str| {
        let net =
            json!({"type": "OS::Neutron::Net", "properties": {"availability_zone_hints": [zone]}});
        json!({"s": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 1, "resource_def": net}}})
    };
    check(15, || replaced_and_failed(group("1"), group("2"))).await;
}

#[tokio::test]
async fn going_back_from_a_batch_that_fails() {
    // The member of this number is the second one to be changed, and cannot be.
    let group = |value: &str, fail: Value| {
        let one =
            json!({"type": "OS::Heat::TestResource", "properties": {"value": value, "fail": fail}});
        template(
            json!({"s": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 2, "resource_def": one},
            "update_policy": {"rolling_update": {"max_batch_size": 1}}}}),
        )
    };
    check(20, || async {
        let cloud = cloud().await;
        let body = json!({"template": group("1", json!(false))});
        let stack = cloud.create("s", body).await;
        cloud.settle().await;
        let next = group("2", json!("%index%"));
        let body = json!({"template": next, "disable_rollback": false});
        cloud.update(&stack, body).await.expect(202);
        (cloud, stack)
    })
    .await;
}

fn group(count: u32) -> Value {
    json!({"g": {"type": "OS::Heat::ResourceGroup", "properties": {"count": count, "resource_def": {"type": "OS::Neutron::Net"}}}})
}

#[tokio::test]
async fn making_and_changing_stacks_in_stacks() {
    check(8, || async {
        let cloud = cloud().await;
        let stack = cloud
            .create("s", json!({"template": template(group(2))}))
            .await;
        (cloud, stack)
    })
    .await;
    check(8, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", group(1)).await;
        cloud
            .update(&stack, json!({"template": template(group(3))}))
            .await
            .expect(202);
        (cloud, stack)
    })
    .await;
    check(8, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", group(2)).await;
        cloud
            .member()
            .delete(&path(&format!("/stacks/{stack}")))
            .await
            .expect(204);
        (cloud, stack)
    })
    .await;
}

#[tokio::test]
async fn suspending_a_stack() {
    check(4, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", json!({"server": {"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny"}}})).await;
        cloud.member().post(&path(&format!("/stacks/{stack}/actions")), json!({"suspend": null})).await.expect(200);
        (cloud, stack)
    })
    .await;
}

#[tokio::test]
async fn what_administrators_set_and_images() {
    let resources = || {
        json!({
            "type": {"type": "OS::Cinder::VolumeType", "properties": {"name": "t", "metadata": {"a": "b"}}},
            "closed": {"type": "OS::Cinder::EncryptedVolumeType", "properties": {"provider": "luks", "volume_type": {"get_resource": "type"}}},
            "speed": {"type": "OS::Cinder::QoSSpecs", "properties": {"name": "q", "specs": {"a": "b"}}},
            "link": {"type": "OS::Cinder::QoSAssociation", "properties": {"qos_specs": {"get_resource": "speed"}, "volume_types": [{"get_resource": "type"}]}},
            "quota": {"type": "OS::Cinder::Quota", "properties": {"project": "p1", "volumes": 5}},
            "group": {"type": "OS::Nova::ServerGroup", "properties": {"name": "g"}},
            "hosts": {"type": "OS::Nova::HostAggregate", "properties": {"name": "a", "availability_zone": "z", "hosts": ["h"], "metadata": {"k": "v"}}},
            "image": {"type": "OS::Glance::WebImage", "properties": {"name": "i", "disk_format": "raw", "container_format": "bare", "location": "http://a.test/i"}},
        })
    };
    check(12, || async {
        let mut cloud = cloud().await;
        cloud.who = Persona::Admin;
        let stack = cloud
            .create("s", json!({"template": template(resources())}))
            .await;
        (cloud, stack)
    })
    .await;
    check(8, || async {
        let mut cloud = cloud().await;
        cloud.who = Persona::Admin;
        let stack = cloud.made("s", resources()).await;
        let target = format!("/v1/{}/stacks/{stack}", Persona::Admin.project());
        cloud.member().delete(&target).await.expect(204);
        (cloud, stack)
    })
    .await;
}

#[tokio::test]
async fn projects_people_and_the_catalogue() {
    let of = |name: &str| json!({ "get_resource": name });
    let thing = |kind: &str, properties: Value| json!({"type": format!("OS::Keystone::{kind}"), "properties": properties});
    let resources = |project: &str, role: &str| {
        json!({
            "project": thing("Project", json!({"name": project})),
            "group": thing("Group", json!({"name": "g"})),
            "user": thing("User", json!({"name": "u", "password": role, "groups": [of("group")], "roles": [{"role": of(role), "project": of("project")}]})),
            "one": thing("Role", json!({"name": "one"})),
            "two": thing("Role", json!({"name": "two"})),
            "given": thing("GroupRoleAssignment", json!({"group": of("group"), "roles": [{"role": of(role), "domain": "default"}]})),
            "domain": thing("Domain", json!({"name": "d"})),
            "region": thing("Region", json!({"id": "r"})),
            "service": thing("Service", json!({"name": "s", "type": "t"})),
            "endpoint": thing("Endpoint", json!({"service": of("service"), "region": of("region"), "interface": "public", "url": "http://a.test"})),
        })
    };
    let of_admin = || async {
        let mut cloud = cloud().await;
        cloud.who = Persona::Admin;
        cloud
    };
    check(20, || async {
        let cloud = of_admin().await;
        let body = json!({"template": template(resources("p", "one"))});
        let stack = cloud.create("s", body).await;
        (cloud, stack)
    })
    .await;
    check(10, || async {
        let cloud = of_admin().await;
        let stack = cloud.made("s", resources("p", "one")).await;
        let body = json!({"template": template(resources("q", "two"))});
        cloud.update(&stack, body).await.expect(202);
        (cloud, stack)
    })
    .await;
    check(10, || async {
        let cloud = of_admin().await;
        let stack = cloud.made("s", resources("p", "one")).await;
        let target = format!("/v1/{}/stacks/{stack}", Persona::Admin.project());
        cloud.member().delete(&target).await.expect(204);
        (cloud, stack)
    })
    .await;
}

/// A server sees a deployment as soon as it is there, whatever becomes of the process that made it.
#[tokio::test]
async fn a_deployment_is_signalled_by_its_url_although_the_process_died_that_made_it() {
    let cloud = cloud().await;
    let resources = json!({
        "config": {"type": "OS::Heat::SoftwareConfig", "properties": {"config": "x"}},
        "deploy": {"type": "OS::Heat::SoftwareDeployment", "properties": {
            "server": "a-server", "config": {"get_resource": "config"}, "signal_transport": "CFN_SIGNAL"}},
    });
    let stack = cloud
        .create("s", json!({"template": template(resources)}))
        .await;
    crash::set(Mode::Unwind {
        name: "stack.deployed".to_owned(),
        nth: 1,
    });
    let crashed = {
        let worker = cloud.orchestration.worker();
        let work = async { worker.settle(Duration::from_secs(60)).await };
        AssertUnwindSafe(work).catch_unwind().await
    };
    crash::set(Mode::Off);
    assert!(crashed.is_err(), "no deployment was made");
    let metadata = path("/software_deployments/metadata/a-server");
    let told = cloud.member().get(&metadata).await.expect(200).json["metadata"][0].clone();
    let inputs = told["inputs"].as_array().unwrap().iter();
    let url = inputs
        .clone()
        .find(|input| input["name"] == "deploy_signal_id")
        .unwrap();
    let url = url["value"].as_str().unwrap();
    let target = &url[url.find("/v1/").unwrap()..];
    let nobody = cloud.ask.as_persona(Persona::Nobody);
    nobody
        .post(target, json!({"deploy_status_code": 0}))
        .await
        .expect(200);
    let cloud = cloud.restarted().await;
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
}

#[tokio::test]
async fn load_balancers_and_their_parts() {
    let of = |name: &str| json!({ "get_resource": name });
    let thing = |kind: &str, properties: Value| json!({"type": format!("OS::Octavia::{kind}"), "properties": properties});
    let resources = |weight: u32, port: u32| {
        json!({
            "lb": thing("LoadBalancer", json!({"vip_subnet": "00000000-0000-4000-8000-000000000099"})),
            "pool": thing("Pool", json!({"loadbalancer": of("lb"), "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"})),
            "one": thing("PoolMember", json!({"pool": of("pool"), "address": "10.0.0.5", "protocol_port": 80, "weight": weight})),
            "two": thing("PoolMember", json!({"pool": of("pool"), "address": "10.0.0.6", "protocol_port": port})),
        })
    };
    check(20, || async {
        let cloud = cloud().await;
        let body = json!({"template": template(resources(1, 80))});
        let stack = cloud.create("s", body).await;
        (cloud, stack)
    })
    .await;
    check(15, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", resources(1, 80)).await;
        let body = json!({"template": template(resources(2, 81))});
        cloud.update(&stack, body).await.expect(202);
        (cloud, stack)
    })
    .await;
    check(15, || async {
        let cloud = cloud().await;
        let stack = cloud.made("s", resources(1, 80)).await;
        let target = path(&format!("/stacks/{stack}"));
        cloud.member().delete(&target).await.expect(204);
        (cloud, stack)
    })
    .await;
}
