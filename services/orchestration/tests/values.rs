//! What values mean: types, constraints, names that are worked out, what is taken away.

use serde_json::{Value, json};

use crate::kit::{cloud, message, path, template};

#[tokio::test]
async fn a_template_of_the_first_version_may_ask_for_the_zones() {
    let cloud = cloud().await;
    let zones = |at: u8| {
        let zone = json!({"Fn::Select": [at, {"Fn::GetAZs": ""}]});
        let inner = json!({
            "heat_template_version": "2013-05-23",
            "outputs": {"zone": {"value": zone}},
        });
        json!({
            "heat_template_version": "2013-05-23",
            "resources": {
                "v": {"type": "OS::Heat::TestResource", "properties": {"value": zone}},
                "s": {"type": "OS::Heat::Stack", "properties": {"template": inner.to_string()}},
            },
            "outputs": {
                "own": {"value": {"get_attr": ["v", "output"]}},
                "below": {"value": {"get_attr": ["s", "outputs", "zone"]}},
            },
        })
    };
    let stack = cloud.create("z", json!({"template": zones(1)})).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    for output in shown["outputs"].as_array().unwrap() {
        assert_eq!(output["output_value"], "second", "{shown}");
    }
    let answer = cloud.get(&stack, "/environment").await.expect(200);
    assert!(!answer.json.to_string().contains("second"), "{answer:?}");
    // The same template again changes nothing, and a value that is not one does.
    cloud
        .update(&stack, json!({"template": zones(0)}))
        .await
        .expect(202);
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    for output in shown["outputs"].as_array().unwrap() {
        assert_eq!(output["output_value"], "nova", "{shown}");
    }
    // No section of that name can be sent.
    let forged = json!({"stack_name": "f", "template": zones(0), "environment": {"availability zones": ["x"]}});
    let answer = cloud.member().post(&path("/stacks"), forged).await;
    let answer = answer.expect(400);
    assert!(message(&answer).contains("wrong section"), "{answer:?}");
}

#[tokio::test]
async fn values_have_the_types_that_they_are_given() {
    let cloud = cloud().await;
    let value = |kind: &str, value: &str| json!({"type": "OS::Heat::Value", "properties": {"type": kind, "value": value}});
    let mut body = template(json!({"j": value("json", "{\"a\": 1}"), "n": value("number", "5")}));
    body["outputs"] = json!({
        "j": {"value": {"get_attr": ["j", "value", "a"]}},
        "n": {"value": {"list_join": ["", ["x", {"get_attr": ["n", "value"]}]]}},
    });
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["outputs"][0]["output_value"], 1, "{shown}");
    assert_eq!(shown["outputs"][1]["output_value"], "x5", "{shown}");
    let stack = cloud.made("t", json!({"j": value("json", "x")})).await;
    let reason = cloud.show(&stack).await["stack_status_reason"].to_string();
    assert!(reason.contains("is no JSON document"), "{reason}");
}

#[tokio::test]
async fn expressions_work_in_properties_outputs_and_conditions() {
    let cloud = cloud().await;
    let yaql =
        |expression: &str, data: Value| json!({"yaql": {"expression": expression, "data": data}});
    let mut body = template(json!({
        "v": {
            "type": "OS::Heat::Value",
            "properties": {"value": yaql("$.data.where($.on).name", json!({"get_param": "hosts"}))},
        },
        "some": {"type": "OS::Heat::Value", "condition": "many", "properties": {"value": 1}},
        "none": {
            "type": "OS::Heat::Value",
            "condition": {"not": "many"},
            "properties": {"value": 1},
        },
    }));
    let hosts =
        json!([{"name": "a", "on": true}, {"name": "b", "on": false}, {"name": "c", "on": true}]);
    body["parameters"] = json!({"hosts": {"type": "json", "default": hosts}});
    body["conditions"] = json!({"many": yaql("$.data.len() > 2", json!({"get_param": "hosts"}))});
    body["outputs"] = json!({
        "joined": {"value": yaql("$.data.join('+')", json!({"get_attr": ["v", "value"]}))},
    });
    let stack = cloud.create("q", json!({ "template": body })).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    assert_eq!(shown["outputs"][0]["output_value"], "a+c", "{shown}");
    let resources = cloud.get(&stack, "/resources").await.expect(200);
    let rows = resources.json["resources"].as_array().unwrap();
    let mut names: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["resource_name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["some", "v"]);
}

#[tokio::test]
async fn metadata_of_servers_has_what_is_no_text_as_json() {
    let cloud = cloud().await;
    let server = json!({"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny", "metadata": {"b": true, "t": "x", "m": {"k": 1}}}});
    cloud.made("s", json!({"s": server})).await;
    let state = cloud.siblings.state();
    let server = state.rows["servers"].values().next().unwrap();
    let expected = json!({"b": "true", "t": "x", "m": "{\"k\":1}"});
    assert_eq!(server["metadata"], expected);
}

#[tokio::test]
async fn parameters_keep_to_constraints_that_have_a_name() {
    let cloud = cloud().await;
    for (constraint, value, status) in [
        ("ip_addr", "10.0.0.1", 201),
        ("ip_addr", "bogus", 400),
        ("net_cidr", "10.0.0.0/99", 400),
        ("bogus.thing", "x", 400),
    ] {
        let mut body = template(json!({}));
        body["parameters"] =
            json!({"p": {"type": "string", "constraints": [{"custom_constraint": constraint}]}});
        let asked = json!({"stack_name": "s", "template": body, "parameters": {"p": value}});
        let answer = cloud.member().post(&path("/stacks"), asked).await;
        assert_eq!(
            answer.status, status,
            "{constraint} {value}: {}",
            answer.json
        );
    }
}

#[tokio::test]
async fn a_password_with_sequences_is_as_long_as_it_is_to_be() {
    let cloud = cloud().await;
    let word = json!({"type": "OS::Heat::RandomString", "properties": {"length": 10, "character_sequences": [{"sequence": "AB"}]}});
    let stack = cloud.made("s", json!({"w": word})).await;
    let row = cloud.resource(&stack, "w").await;
    let value = row["attributes"]["value"].as_str().unwrap();
    assert!(value.len() == 10 && value.contains("AB"), "{value}");
}

#[tokio::test]
async fn what_is_taken_away_is_as_if_it_had_never_been_given() {
    let cloud = cloud().await;
    let group = json!({"name": "default", "id": "00000000-0000-4000-8000-00000000dddd"});
    cloud
        .siblings
        .state()
        .rows("security-groups")
        .insert("d".to_owned(), group.clone());
    let all = |net: Value, port: Value, sub: Value| {
        json!({
            "n": {"type": "OS::Neutron::Net", "properties": net},
            "p": {"type": "OS::Neutron::Port", "properties": port},
            "u": {"type": "OS::Neutron::Subnet", "properties": sub},
        })
    };
    let id = "00000000-0000-4000-8000-000000000099";
    let (port, sub) = (
        json!({"network": id}),
        json!({"network": id, "cidr": "10.0.0.0/24"}),
    );
    let mut given = (port.clone(), sub.clone());
    given.0["security_groups"] = json!([id]);
    given.1["host_routes"] = json!([{"destination": "10.9.0.0/24", "nexthop": "10.0.0.9"}]);
    let stack = cloud
        .made(
            "s",
            all(json!({"name": "x", "shared": true}), given.0, given.1),
        )
        .await;
    cloud.updated(&stack, all(json!({}), port, sub)).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
    let state = cloud.siblings.state();
    let one = |collection: &str| state.rows[collection].values().next().unwrap().clone();
    let net = one("networks");
    assert!(
        net["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("s-n-")),
        "{net}"
    );
    assert_eq!(net["shared"], false);
    assert_eq!(one("ports")["security_groups"], json!([group["id"]]));
    assert_eq!(one("subnets")["host_routes"], json!([]));
}

#[tokio::test]
async fn the_name_of_a_resource_may_be_worked_out() {
    let cloud = cloud().await;
    let wait = |value: &str| json!({"type": "OS::Heat::TestResource", "properties": {"value": value, "wait_secs": 5}});
    let mut body = template(json!({
        "aa": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_attr": [{"get_param": "r"}, "output"]}}},
        "zz": wait("z"),
    }));
    body["parameters"] = json!({"r": {"type": "string", "default": "zz"}});
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    let row = cloud.resource(&stack, "aa").await;
    assert_eq!(row["attributes"]["output"], "z");
    assert_eq!(
        cloud.resource(&stack, "zz").await["required_by"],
        json!(["aa"])
    );
}

#[tokio::test]
async fn a_condition_knows_nothing_of_resources() {
    let cloud = cloud().await;
    let body = template(json!({
        "a": {"type": "OS::Heat::TestResource"},
        "b": {"type": "OS::Heat::TestResource", "condition": {"equals": [{"get_attr": ["a", "output"]}, 1]}},
    }));
    let asked = json!({"stack_name": "s", "template": body});
    let answer = cloud
        .member()
        .post(&path("/stacks"), asked)
        .await
        .expect(400);
    let why = "The function \"get_attr\" is invalid in this context";
    assert!(message(&answer).contains(why), "{}", message(&answer));
}

#[tokio::test]
async fn stacks_stand_in_stacks_five_levels_deep() {
    fn nest(levels: u32) -> Value {
        if levels == 0 {
            return json!({"type": "OS::Heat::TestResource"});
        }
        let inner = template(json!({"x": nest(levels - 1)}));
        json!({"type": "OS::Heat::Stack", "properties": {"template": inner.to_string()}})
    }
    let cloud = cloud().await;
    let stack = cloud.made("s", json!({"x": nest(5)})).await;
    assert_eq!(
        cloud.state(&stack).await,
        "CREATE_COMPLETE",
        "{}",
        cloud.show(&stack).await
    );
    let body = json!({"stack_name": "t", "template": template(json!({"x": nest(6)}))});
    cloud
        .member()
        .post(&path("/stacks"), body)
        .await
        .expect(400);
}

#[tokio::test]
async fn a_group_that_says_nothing_of_what_goes_out_lets_everything_out() {
    let cloud = cloud().await;
    let group = |rules: Value| json!({"g": {"type": "OS::Neutron::SecurityGroup", "properties": {"rules": rules}}});
    let prefix = json!({"direction": "ingress", "remote_mode": "remote_group_id", "remote_ip_prefix": "10.0.0.0/8"});
    let v6 = json!({"direction": "egress", "ethertype": "IPv6"});
    let stack = cloud.made("s", group(json!([v6, prefix]))).await;
    let rules = || {
        let state = cloud.siblings.state();
        let rules: Vec<Value> = state.rows["security-group-rules"]
            .values()
            .cloned()
            .collect();
        rules
    };
    let before = rules();
    assert_eq!(before.len(), 2, "{before:?}");
    // Of two remotes the one counts that the mode says.
    let ingress = before
        .iter()
        .find(|rule| rule["direction"] == "ingress")
        .unwrap();
    assert!(ingress["remote_ip_prefix"].is_null() && ingress["remote_group_id"].is_string());
    cloud.updated(&stack, group(json!([]))).await;
    let mut out: Vec<Value> = rules()
        .iter()
        .map(|rule| rule["ethertype"].clone())
        .collect();
    out.sort_by_key(Value::to_string);
    assert_eq!(out, ["IPv4", "IPv6"]);
}
