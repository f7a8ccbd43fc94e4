//! What is not accepted, and what a client reads then.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message, path, template};

async fn refused(cloud: &Cloud, body: Value, words: &str) {
    let mut body = body;
    body["stack_name"] = json!("s");
    let answer = cloud
        .member()
        .post(&path("/stacks"), body)
        .await
        .expect(400);
    assert!(message(&answer).contains(words), "{}", answer.json);
}

#[tokio::test]
async fn an_output_that_makes_more_than_fits_says_so_and_holds_up_nobody() {
    let cloud = cloud().await;
    let many: Vec<u32> = (0..99).collect();
    let repeat = |template: Value| json!({"repeat": {"for_each": {"%a%": many, "%b%": many}, "template": template}});
    let long = "x".repeat(4000);
    let replace =
        |template: Value| json!({"str_replace": {"template": template, "params": {"x": long}}});
    for (value, why) in [
        (
            repeat(repeat(json!("%a%"))),
            "more values than a stack may have",
        ),
        (replace(replace(json!(long))), "a text of more than"),
    ] {
        let mut body = template(json!({}));
        body["outputs"] = json!({"o": {"value": value}});
        let stack = cloud.create("s", json!({ "template": body })).await;
        cloud.settle().await;
        let shown = cloud.show(&stack).await;
        let said = shown["outputs"][0]["output_error"]
            .as_str()
            .unwrap_or_default();
        assert!(said.contains(why), "{shown}");
        cloud.delete(&stack).await;
    }
}

#[tokio::test]
async fn an_attribute_that_a_type_does_not_have_is_refused() {
    let cloud = cloud().await;
    let net = json!({"type": "OS::Neutron::Net"});
    let value = |attribute: &str| json!({"get_attr": ["net", attribute]});
    let used = |attribute: &str| {
        let other = json!({"type": "OS::Heat::Value", "properties": {"value": value(attribute)}});
        template(json!({"net": net, "v": other}))
    };
    let why = "The Referenced Attribute (net colour) is incorrect.";
    refused(&cloud, json!({"template": used("colour")}), why).await;
    let mut shown = template(json!({ "net": net }));
    shown["outputs"] = json!({"o": {"value": value("colour")}});
    refused(&cloud, json!({ "template": shown }), why).await;
    for known in ["subnets", "show", "qos_policy_id"] {
        let body = json!({"template": used(known)});
        cloud.create(&format!("s-{}", known.len()), body).await;
    }
}

/// A template whose conditions each refer to the one before.
fn chain(count: usize) -> Value {
    let mut body = template(json!({}));
    let mut conditions = json!({"c0": {"equals": [1, 1]}});
    for at in 1..count {
        conditions[format!("c{at}")] = json!({"not": format!("c{}", at - 1)});
    }
    body["conditions"] = conditions;
    body["outputs"] = json!({"o": {"value": {"if": [format!("c{}", count - 1), 1, 2]}}});
    body
}

#[tokio::test]
async fn a_long_chain_of_conditions_is_refused_with_the_place_and_a_short_one_holds() {
    let cloud = cloud().await;
    let too_deep = "deeper than 150 levels";
    refused(&cloud, json!({ "template": chain(3000) }), too_deep).await;
    refused(&cloud, json!({ "template": chain(3000) }), "conditions.c").await;
    // However they are ordered.
    let mut first = chain(3000);
    first["conditions"]["a"] = json!({"not": "c2999"});
    refused(&cloud, json!({ "template": first }), too_deep).await;
    let text = serde_json::to_string(&chain(3000)).unwrap();
    let answer = cloud
        .member()
        .post(&path("/validate"), json!({ "template": text }))
        .await
        .expect(400);
    assert!(message(&answer).contains(too_deep), "{answer:?}");
    let stack = cloud.create("s", json!({ "template": chain(40) })).await;
    assert_eq!(cloud.show(&stack).await["outputs"][0]["output_value"], 2);
}

#[tokio::test]
async fn values_that_resources_put_into_one_another_do_not_grow_without_end() {
    let cloud = cloud().await;
    let mut resources = json!({"v0": {"type": "OS::Heat::Value", "properties": {"value": [1]}}});
    for at in 1..8 {
        let before = json!({"get_attr": [format!("v{}", at - 1), "value"]});
        let value = (0..20).fold(before, |value, _| json!([value]));
        resources[format!("v{at}")] =
            json!({"type": "OS::Heat::Value", "properties": {"value": value}});
    }
    let stack = cloud.made("s", resources).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_FAILED");
    let why = shown["stack_status_reason"].as_str().unwrap();
    assert!(why.contains("resources.v5.properties.value"), "{why}");
    assert!(why.contains("deeper than 100 levels"), "{why}");
}

#[tokio::test]
async fn a_function_that_is_not_offered_is_refused() {
    let cloud = cloud().await;
    for (value, why) in [
        (
            json!({"yaql": {"expression": "$.data.x.where(", "data": {}}}),
            "resources.r.properties.value: Bad expression",
        ),
        (
            json!({"yaql": {"expression": "now()", "data": {}}}),
            "yaql function 'now' is not available here",
        ),
        (
            json!({"if": [true, 1, {"yaql": {"exprssion": "1"}}]}),
            "resources.r.properties.value.if.2: \"yaql\" takes an expression and its data",
        ),
        (
            json!({"yaql": {"expression": "generate(0, true, $ + 1)", "data": {}}}),
            "a collection has more than 200 items",
        ),
        (
            json!(["a", {"Fn::Join": [",", ["a"]]}]),
            "The function Fn::Join is not supported",
        ),
    ] {
        let inside = json!({"r": {"type": "OS::Heat::Value", "properties": {"value": value}}});
        let body = json!({"stack_name": "s", "template": template(inside)});
        let answer = cloud
            .member()
            .post(&path("/stacks"), body)
            .await
            .expect(400);
        assert!(message(&answer).contains(why), "{answer:?}");
    }
}

#[tokio::test]
async fn a_template_that_cannot_be_made_is_refused_and_nothing_is_left() {
    let cloud = cloud().await;
    let with = |resources: Value| json!({ "template": template(resources) });
    refused(&cloud, json!({}), "No template specified").await;
    refused(
        &cloud,
        json!({"template": "heat_template_version: 2018-08-31\nresources:\n  a: [1\n"}),
        "at line 4, column",
    )
    .await;
    refused(
        &cloud,
        json!({"template": "heat_template_version: 2018-08-31\nresources: {a: {type: X}}"}),
        "The Resource Type (X) could not be found.",
    )
    .await;
    refused(
        &cloud,
        with(json!({"v": {"type": "OS::Octavia::Flavor", "properties": {"name": "b"}}})),
        "there is no load balancer flavor service in this cloud",
    )
    .await;
    refused(
        &cloud,
        with(json!({"a": {"type": "OS::Heat::TestResource", "properties": {"colour": 1}}})),
        "Property error: resources.a.properties: Unknown Property colour",
    )
    .await;
    refused(
        &cloud,
        with(json!({"a": {"type": "OS::Neutron::Port"}})),
        "Property network not assigned",
    )
    .await;
    refused(&cloud, with(json!({"a": {"type": "OS::Heat::TestResource", "depends_on": "b"}, "b": {"type": "OS::Heat::TestResource", "depends_on": "a"}})), "Circular Dependency Found: a -> b -> a").await;
    refused(&cloud, with(json!({"a": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_resource": "z"}}}})), "The specified reference \"z\" (in a) is incorrect.").await;
    refused(&cloud, with(json!({"a": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "missing"}}}})), "Property error: : resources.a.properties.value: : The Parameter (missing) was not provided.").await;
    refused(
        &cloud,
        with(json!({"a": {"type": "a.yaml"}})),
        "did not come with the request",
    )
    .await;
    let mut typed = template(json!({}));
    typed["parameters"] = json!({"p": {"type": "number", "constraints": [{"range": {"max": 3}}]}});
    refused(
        &cloud,
        json!({ "template": typed }),
        "The Parameter (p) was not provided.",
    )
    .await;
    refused(
        &cloud,
        json!({"template": typed, "parameters": {"p": 4}}),
        "4 is out of range",
    )
    .await;
    refused(
        &cloud,
        json!({"template": typed, "parameters": {"p": 3, "q": 1}}),
        "The Parameter (q) was not defined in template.",
    )
    .await;
    refused(
        &cloud,
        json!({"template": template(json!({})), "environment": "a: ["}),
        "Error parsing environment",
    )
    .await;
    refused(
        &cloud,
        json!({"template": "x".repeat(600_000)}),
        "exceeds maximum allowed size",
    )
    .await;
    let list = cloud.member().get(&path("/stacks")).await.expect(200).json;
    assert_eq!(list["stacks"], json!([]));
    assert!(cloud.siblings.state().trusts.is_empty());
}

#[tokio::test]
async fn ten_megabytes_and_a_billion_laughs_are_refused_quickly() {
    let cloud = cloud().await;
    let huge = json!({"stack_name": "s", "template": "x".repeat(10_000_000)});
    let status = cloud.member().post(&path("/stacks"), huge).await.status;
    assert!([400, 413].contains(&status), "{status}");
    let mut text = "heat_template_version: 2018-08-31\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    refused(&cloud, json!({ "template": text }), "means more than").await;
    let nests_itself = "heat_template_version: 2018-08-31\nresources: {r: {type: self.yaml}}\n";
    refused(
        &cloud,
        json!({"template": nests_itself, "files": {"self.yaml": nests_itself}}),
        "Recursion depth exceeds",
    )
    .await;
}

#[tokio::test]
async fn names_and_options_are_checked() {
    let cloud = cloud().await;
    let ask = cloud.member();
    for name in [json!("1a"), json!("a/b"), json!(5), json!("")] {
        let body = json!({"stack_name": name, "template": template(json!({}))});
        ask.post(&path("/stacks"), body).await.expect(400);
    }
    for (key, value) in [
        ("timeout_mins", json!("soon")),
        ("disable_rollback", json!("perhaps")),
        ("tags", json!("x".repeat(90))),
    ] {
        let mut body = json!({"stack_name": "s", "template": template(json!({}))});
        body[key] = value;
        ask.post(&path("/stacks"), body).await.expect(400);
    }
}

#[tokio::test]
async fn a_template_is_validated_with_its_parameters() {
    let cloud = cloud().await;
    let mut body = template(
        json!({"r": {"type": "OS::Heat::RandomString", "properties": {"length": {"get_param": "n"}}}}),
    );
    body["parameters"] = json!({"n": {"type": "number", "default": 10, "description": "how long"}, "x": {"type": "string", "hidden": true}});
    let answer = cloud
        .member()
        .post(
            &path("/validate"),
            json!({"template": body, "environment": {"parameters": {"n": 5}}}),
        )
        .await
        .expect(200);
    assert_eq!(
        answer.json["Parameters"]["n"],
        json!({"Type": "Number", "Description": "how long", "NoEcho": "false", "Label": "n", "Default": 10, "Value": 5})
    );
    assert_eq!(answer.json["Parameters"]["x"]["NoEcho"], "true");
    let old = json!({"heat_template_version": "2013-05-22"});
    let answer = cloud
        .member()
        .post(&path("/validate"), json!({ "template": old }))
        .await
        .expect(400);
    assert!(message(&answer).contains("The template version is invalid"));
}

#[tokio::test]
async fn hidden_parameters_and_other_peoples_stacks_are_not_shown() {
    let cloud = cloud().await;
    let mut body = template(json!({}));
    body["parameters"] = json!({"p": {"type": "string", "hidden": true}});
    let stack = cloud
        .create(
            "s",
            json!({"template": body, "parameters": {"p": "secret"}}),
        )
        .await;
    cloud.settle().await;
    assert_eq!(cloud.show(&stack).await["parameters"]["p"], "******");
    let environment = cloud.get(&stack, "/environment").await.expect(200).json;
    assert_eq!(environment["parameters"]["p"], "******");
    let other = cloud.ask.as_persona(nephos_testkit::Persona::OtherProject);
    other
        .get(&path(&format!("/stacks/{stack}")))
        .await
        .expect(403);
    let theirs = format!(
        "/v1/{}/stacks/{stack}",
        nephos_testkit::Persona::OtherProject.project()
    );
    other.get(&theirs).await.expect(404);
    other.delete(&theirs).await.expect(404);
}
