//! What administrators set in block storage by stacks; and groups of servers and images, which anybody has.

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message, path, template};

async fn of_admin() -> Cloud {
    let mut cloud = cloud().await;
    cloud.who = Persona::Admin;
    cloud
}

fn storage(specs: Value, projects: &[&str]) -> Value {
    json!({
        "fast": {"type": "OS::Cinder::VolumeType", "properties": {
            "name": "fast", "description": "d", "is_public": false, "metadata": {"a": 1, "b": "x"}, "projects": projects}},
        "slow": {"type": "OS::Cinder::VolumeType", "properties": {"name": "slow"}},
        "speed": {"type": "OS::Cinder::QoSSpecs", "properties": {"name": "speed", "specs": specs}},
        "link": {"type": "OS::Cinder::QoSAssociation", "properties": {
            "qos_specs": {"get_resource": "speed"}, "volume_types": [{"get_resource": "fast"}]}},
        "quota": {"type": "OS::Cinder::Quota", "properties": {"project": "first", "volumes": 5, "gigabytes": 7}},
    })
}

fn only(cloud: &Cloud, collection: &str, name: &str) -> Value {
    let mut state = cloud.siblings.state();
    let rows = state.rows(collection).values();
    let mut found = rows.filter(|row| row["name"] == name);
    let one = found.next().cloned().unwrap_or_default();
    assert!(found.next().is_none(), "several are called {name}");
    one
}

async fn complete(cloud: &Cloud, stack: &str) {
    let shown = cloud.show(stack).await;
    let state = shown["stack_status"].as_str().unwrap();
    assert!(state.ends_with("_COMPLETE"), "{shown}");
}

#[tokio::test]
async fn types_of_volumes_their_speed_and_quotas_are_made_changed_and_go() {
    let cloud = of_admin().await;
    let before = storage(
        json!({"total_iops_sec": 100, "consumer": "front-end"}),
        &["first"],
    );
    let stack = cloud.made("s", before).await;
    complete(&cloud, &stack).await;
    let fast = only(&cloud, "types", "fast");
    assert_eq!(fast["extra_specs"], json!({"a": "1", "b": "x"}));
    assert_eq!(
        (&fast["is_public"], &fast["projects"]),
        (&json!(false), &json!(["p1"]))
    );
    assert_eq!(only(&cloud, "types", "slow")["is_public"], true);
    let speed = only(&cloud, "qos", "speed");
    assert_eq!(speed["specs"], json!({"total_iops_sec": "100"}));
    assert_eq!(speed["consumer"], "front-end");
    {
        let mut state = cloud.siblings.state();
        let fast = fast["id"].as_str().unwrap();
        assert_eq!(state.rows("associations")[fast], speed["id"]);
        assert_eq!(
            state.rows("quotas")["p1"],
            json!({"volumes": 5, "gigabytes": 7})
        );
    }
    let mut after = storage(json!({"read_iops_sec": 5}), &[]);
    after["fast"]["properties"]["metadata"] = json!({"b": "y"});
    after["link"]["properties"]["volume_types"] = json!(["slow"]);
    after["quota"]["properties"] = json!({"project": "first", "volumes": 4});
    cloud.updated(&stack, after).await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "types", "fast");
    assert_eq!(now["id"], fast["id"]);
    assert_eq!(
        (&now["extra_specs"], &now["projects"]),
        (&json!({"b": "y"}), &json!([]))
    );
    let speed = only(&cloud, "qos", "speed");
    assert_eq!(
        (&speed["specs"], &speed["consumer"]),
        (&json!({"read_iops_sec": "5"}), &json!("back-end"))
    );
    let slow = only(&cloud, "types", "slow");
    {
        let mut state = cloud.siblings.state();
        let types: Vec<&String> = state.rows("associations").keys().collect();
        assert_eq!(types, [slow["id"].as_str().unwrap()]);
        // What is not said any more is as it was at first.
        assert_eq!(
            state.rows("quotas")["p1"],
            json!({"volumes": 4, "gigabytes": 1000})
        );
    }
    cloud.delete(&stack).await;
    let left: usize = cloud.siblings.picture().values().sum();
    assert_eq!(left, 0, "{:?}", cloud.siblings.picture());
}

#[tokio::test]
async fn a_type_of_volumes_is_encrypted_otherwise_and_not_any_more() {
    let cloud = of_admin().await;
    let with = |encryption: Option<Value>| {
        let mut resources =
            json!({"kind": {"type": "OS::Cinder::VolumeType", "properties": {"name": "LUKS"}}});
        if let Some(mut properties) = encryption {
            properties["volume_type"] = json!({"get_resource": "kind"});
            resources["closed"] =
                json!({"type": "OS::Cinder::EncryptedVolumeType", "properties": properties});
        }
        resources
    };
    let first = json!({"provider": "luks", "cipher": "aes-xts-plain64", "key_size": "512"});
    let stack = cloud.made("s", with(Some(first))).await;
    complete(&cloud, &stack).await;
    let kind = only(&cloud, "types", "LUKS");
    let mut expected = json!({"encryption_id": "e", "provider": "luks", "cipher": "aes-xts-plain64", "key_size": 512,
        "control_location": "front-end"});
    let now = &kind["encryption"];
    assert_eq!(now["key_size"].to_string().trim_matches('"'), "512");
    expected["key_size"] = now["key_size"].clone();
    assert_eq!(*now, expected);
    let other = json!({"provider": "luks", "key_size": 256, "control_location": "back-end"});
    cloud.updated(&stack, with(Some(other))).await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "types", "LUKS");
    assert_eq!(now["id"], kind["id"]);
    assert_eq!(now["encryption"]["control_location"], "back-end");
    assert_eq!(now["encryption"]["cipher"], Value::Null);
    cloud.updated(&stack, with(None)).await;
    complete(&cloud, &stack).await;
    assert!(only(&cloud, "types", "LUKS").get("encryption").is_none());
    cloud.delete(&stack).await;
    let left: usize = cloud.siblings.picture().values().sum();
    assert_eq!(left, 0, "{:?}", cloud.siblings.picture());
}

#[tokio::test]
async fn only_administrators_set_block_storage_and_what_cannot_be_is_said() {
    let members = cloud().await;
    for kind in [
        "VolumeType",
        "EncryptedVolumeType",
        "QoSSpecs",
        "QoSAssociation",
        "Quota",
    ] {
        let properties = json!({"name": "n", "provider": "luks", "volume_type": "t", "specs": {}, "qos_specs": "q", "volume_types": [], "project": "p", "volumes": 1});
        let name = format!("OS::Cinder::{kind}");
        let shown = members
            .member()
            .get(&path(&format!("/resource_types/{name}")))
            .await;
        let known = shown.expect(200).json["properties"].clone();
        let mut own = properties.clone();
        own.as_object_mut()
            .unwrap()
            .retain(|name, _| known.get(name).is_some());
        let body = template(json!({"r": {"type": name, "properties": own}}));
        let body = json!({"stack_name": "s", "template": body});
        let answer = members
            .member()
            .post(&path("/stacks"), body)
            .await
            .expect(403);
        assert!(message(&answer).contains(&name), "{answer:?}");
    }
    let cloud = of_admin().await;
    let admins = format!("/v1/{}/stacks", Persona::Admin.project());
    for (kind, properties, why) in [
        (
            "VolumeType",
            json!({"name": "n", "projects": ["first"]}),
            "projects",
        ),
        ("Quota", json!({"project": "first"}), "At least one"),
    ] {
        let name = format!("OS::Cinder::{kind}");
        let body = template(json!({"r": {"type": name, "properties": properties}}));
        let body = json!({"stack_name": "s", "template": body});
        let answer = cloud.member().post(&admins, body).await.expect(400);
        assert!(message(&answer).contains(why), "{answer:?}");
    }
    for (name, properties, why) in [
        ("VolumeType", json!({"name": "taken"}), "already exists"),
        (
            "Quota",
            json!({"project": "first", "volumes": 2}),
            "current usage value(s): 3",
        ),
        (
            "Quota",
            json!({"project": "another", "volumes": 2}),
            "Project (another) could not be found",
        ),
    ] {
        let kind = format!("OS::Cinder::{name}");
        let stack = cloud
            .made(name, json!({"r": {"type": kind, "properties": properties}}))
            .await;
        let shown = cloud.show(&stack).await;
        let reason = shown["stack_status_reason"].as_str().unwrap();
        assert!(
            reason.contains(why) && shown["stack_status"] == "CREATE_FAILED",
            "{shown}"
        );
        cloud.delete(&stack).await;
    }
    let left: usize = cloud.siblings.picture().values().sum();
    assert_eq!(left, 0, "{:?}", cloud.siblings.picture());
}

fn image(more: Value) -> Value {
    let mut properties = json!({"name": "web", "disk_format": "raw", "container_format": "bare", "location": "http://a.test/i"});
    let more = more.as_object().unwrap().clone();
    properties.as_object_mut().unwrap().extend(more);
    json!({"image": {"type": "OS::Glance::WebImage", "properties": properties}})
}

#[tokio::test]
async fn an_image_is_fetched_and_has_what_the_template_says() {
    let cloud = cloud().await;
    let more = json!({"tags": ["a", "b"], "os_distro": "debian", "extra_properties": {"x": 1}, "min_disk": 2});
    let stack = cloud.made("s", image(more)).await;
    complete(&cloud, &stack).await;
    let made = only(&cloud, "images", "web");
    assert_eq!(
        (&made["status"], &made["from"]),
        (&json!("active"), &json!("http://a.test/i"))
    );
    assert_eq!(
        (&made["tags"], &made["os_distro"]),
        (&json!(["a", "b"]), &json!("debian"))
    );
    assert_eq!((&made["x"], &made["min_disk"]), (&json!("1"), &json!(2)));
    let more =
        json!({"tags": ["b", "c"], "extra_properties": {"y": "z"}, "active": false, "min_disk": 2});
    cloud.updated(&stack, image(more)).await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "images", "web");
    assert_eq!(now["id"], made["id"]);
    assert_eq!((&now["tags"], &now["y"]), (&json!(["b", "c"]), &json!("z")));
    assert_eq!((now.get("x"), now.get("os_distro")), (None, None));
    assert_eq!(now["status"], "deactivated");
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("images"), 0);
}

#[tokio::test]
async fn an_image_that_cannot_be_fetched_fails_its_stack_with_the_reason() {
    let cloud = cloud().await;
    let refuses = ("images".to_owned(), "no such host".to_owned());
    cloud.siblings.state().refuses.extend([refuses]);
    let stack = cloud.made("s", image(json!({}))).await;
    let shown = cloud.show(&stack).await;
    let reason = shown["stack_status_reason"].as_str().unwrap();
    assert!(
        reason.contains("could not be fetched from http://a.test/i. no such host"),
        "{shown}"
    );
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("images"), 0);
}

#[tokio::test]
async fn a_group_of_servers_has_one_policy_and_its_servers_name_it() {
    let cloud = cloud().await;
    let group = |policy: &str| json!({"type": "OS::Nova::ServerGroup", "properties": {"name": "g", "policies": [policy]}});
    let server = json!({"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny", "scheduler_hints": {"group": {"get_resource": "group"}}}});
    let stack = cloud
        .made("s", json!({"group": group("affinity"), "server": server}))
        .await;
    complete(&cloud, &stack).await;
    let made = only(&cloud, "groups", "g");
    assert_eq!(made["policy"], "affinity");
    cloud
        .updated(
            &stack,
            json!({"group": group("soft-affinity"), "server": server}),
        )
        .await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "groups", "g");
    assert_eq!(now["policy"], "soft-affinity");
    assert_ne!(now["id"], made["id"]);
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("groups"), 0);
}

#[tokio::test]
async fn an_aggregate_has_the_hosts_the_zone_and_the_metadata_that_are_wanted() {
    let mut cloud = cloud().await;
    let hosts = |properties: Value| json!({"a": {"type": "OS::Nova::HostAggregate", "properties": properties}});
    let first = json!({"name": "fast", "availability_zone": "z", "hosts": ["h1", "h2"], "metadata": {"ssd": "true", "n": 5}});
    let body = json!({"stack_name": "s", "template": template(hosts(first.clone()))});
    let answer = cloud.member().post(&path("/stacks"), body).await;
    answer.expect(403);
    cloud.who = Persona::Admin;
    let stack = cloud.made("s", hosts(first)).await;
    complete(&cloud, &stack).await;
    let made = only(&cloud, "aggregates", "fast");
    assert_eq!(made["hosts"], json!(["h1", "h2"]));
    let metadata = json!({"ssd": "true", "n": "5", "availability_zone": "z"});
    assert_eq!(made["metadata"], metadata);
    let next = json!({"name": "faster", "hosts": ["h2", "h3"], "metadata": {"n": "6"}});
    cloud.updated(&stack, hosts(next)).await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "aggregates", "faster");
    assert_eq!(
        (&now["id"], &now["hosts"]),
        (&made["id"], &json!(["h2", "h3"]))
    );
    assert_eq!(now["metadata"], json!({"n": "6"}));
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("aggregates"), 0);
}
