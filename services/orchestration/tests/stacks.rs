//! Making, showing and removing stacks.

use serde_json::{Value, json};

use crate::kit::{cloud, message, path, template};

#[tokio::test]
async fn a_stack_is_made_in_the_order_of_its_needs_and_shows_its_outputs() {
    let cloud = cloud().await;
    let mut body = template(json!({
        "a": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "word"}}},
        "b": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_attr": ["a", "output"]}}},
    }));
    body["parameters"] = json!({"word": {"type": "string"}});
    body["outputs"] =
        json!({"o": {"value": {"get_attr": ["b", "output"]}, "description": "the word"}});
    let stack = cloud.create("s", json!({"template": body, "environment": {"parameters": {"word": "hello"}}, "tags": "x,y"})).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_IN_PROGRESS");
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE");
    assert_eq!(
        shown["stack_status_reason"],
        "Stack CREATE completed successfully"
    );
    assert_eq!(
        shown["outputs"],
        json!([{"output_key": "o", "description": "the word", "output_value": "hello"}])
    );
    assert_eq!(shown["parameters"]["word"], "hello");
    assert_eq!(shown["tags"], json!(["x", "y"]));
    let list = cloud.get(&stack, "/resources").await.expect(200).json;
    let a = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["resource_name"] == "a")
        .unwrap()
        .clone();
    assert_eq!(a["required_by"], json!(["b"]));
    let output = cloud.get(&stack, "/outputs/o").await.expect(200).json;
    assert_eq!(output["output"]["output_value"], "hello");
    let events = cloud.get(&stack, "/events").await.expect(200).json;
    let line = |event: &Value| {
        format!(
            "{} {}",
            event["resource_name"].as_str().unwrap(),
            event["resource_status"].as_str().unwrap()
        )
    };
    let lines: Vec<String> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect();
    assert_eq!(
        lines,
        [
            "s CREATE_IN_PROGRESS",
            "a CREATE_IN_PROGRESS",
            "a CREATE_COMPLETE",
            "b CREATE_IN_PROGRESS",
            "b CREATE_COMPLETE",
            "s CREATE_COMPLETE"
        ]
    );
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);
}

#[tokio::test]
async fn a_stack_is_found_by_its_name() {
    let cloud = cloud().await;
    let stack = cloud.made("s", json!({})).await;
    let found = cloud
        .member()
        .get(&path("/stacks/s/resources?x=1"))
        .await
        .expect(302);
    assert!(
        found
            .header("location")
            .unwrap()
            .ends_with(&format!("/stacks/{stack}/resources?x=1"))
    );
    cloud.member().delete(&path("/stacks/s")).await.expect(302);
    let missing = cloud.member().get(&path("/stacks/none")).await.expect(404);
    assert_eq!(message(&missing), "The Stack (none) could not be found.");
    let again = cloud
        .member()
        .post(
            &path("/stacks"),
            json!({"stack_name": "s", "template": template(json!({}))}),
        )
        .await
        .expect(409);
    assert_eq!(again.json["error"]["type"], "StackExists");
}

#[tokio::test]
async fn a_resource_that_fails_says_which_and_why() {
    let cloud = cloud().await;
    let stack = cloud
        .made(
            "s",
            json!({
                "good": {"type": "OS::Heat::TestResource"},
                "bad": {"type": "OS::Heat::TestResource", "properties": {"fail": true}},
                "later": {"type": "OS::Heat::TestResource", "depends_on": "bad"},
            }),
        )
        .await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_FAILED");
    assert!(
        shown["stack_status_reason"]
            .as_str()
            .unwrap()
            .contains("resources.bad: Test Resource failed"),
        "{shown}"
    );
    assert_eq!(
        cloud.resource(&stack, "later").await["resource_status"],
        "INIT_COMPLETE"
    );
    cloud.updated(&stack, json!({"bad": {"type": "OS::Heat::TestResource"}, "later": {"type": "OS::Heat::TestResource", "depends_on": "bad"}})).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    cloud.get(&stack, "/resources/good").await.expect(404);
}

#[tokio::test]
async fn a_failed_creation_that_may_roll_back_leaves_nothing() {
    let cloud = cloud().await;
    let body = template(
        json!({"net": {"type": "OS::Neutron::Net"}, "bad": {"type": "OS::Heat::TestResource", "properties": {"fail": true}, "depends_on": "net"}}),
    );
    let stack = cloud
        .create("s", json!({"template": body, "disable_rollback": false}))
        .await;
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "ROLLBACK_COMPLETE");
    assert_eq!(cloud.siblings.count("networks"), 0);
    cloud.delete(&stack).await;
    assert!(cloud.siblings.state().trusts.is_empty());
}

#[tokio::test]
async fn a_stack_that_takes_too_long_fails_and_can_be_deleted() {
    let cloud = cloud().await;
    let body = template(
        json!({"slow": {"type": "OS::Heat::TestResource", "properties": {"action_wait_secs": {"create": -1}}}}),
    );
    let stack = cloud
        .create("s", json!({"template": body, "timeout_mins": 1}))
        .await;
    cloud.settle_for(8000).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_FAILED");
    assert_eq!(shown["stack_status_reason"], "Create timed out");
    assert_eq!(
        cloud.resource(&stack, "slow").await["resource_status"],
        "CREATE_FAILED"
    );
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);
}

#[tokio::test]
async fn a_wait_condition_waits_for_its_signals() {
    let cloud = cloud().await;
    let resources = json!({
        "handle": {"type": "OS::Heat::WaitConditionHandle"},
        "wait": {"type": "OS::Heat::WaitCondition", "properties": {"handle": {"get_resource": "handle"}, "timeout": 300, "count": 2}},
    });
    let stack = cloud
        .create("s", json!({ "template": template(resources) }))
        .await;
    cloud.settle_for(10).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_IN_PROGRESS");
    let url = cloud.resource(&stack, "handle").await["attributes"]["endpoint"]
        .as_str()
        .unwrap()
        .to_owned();
    let target = url
        .strip_prefix("http://cloud.test/orchestration")
        .unwrap()
        .to_owned();
    // Anybody who has the URL may signal, nobody else.
    cloud
        .ask
        .post(&target, json!({"status": "SUCCESS", "data": "one"}))
        .await
        .expect(200);
    cloud
        .ask
        .post(&target.replace("signal_key=", "signal_key=x"), json!({}))
        .await
        .expect(403);
    cloud
        .ask
        .post(target.split('?').next().unwrap(), json!({}))
        .await
        .expect(401);
    cloud
        .signal(&stack, "handle", json!({"status": "MAYBE"}))
        .await
        .expect(400);
    cloud
        .signal(
            &stack,
            "handle",
            json!({"status": "SUCCESS", "id": "second"}),
        )
        .await
        .expect(200);
    cloud.settle_for(10).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    assert_eq!(
        cloud.resource(&stack, "wait").await["attributes"]["data"],
        json!({"1": "one", "second": null}).to_string()
    );
}

#[tokio::test]
async fn a_wait_condition_fails_when_it_is_told_so_or_nothing_comes() {
    let cloud = cloud().await;
    let resources = json!({
        "handle": {"type": "OS::Heat::WaitConditionHandle"},
        "wait": {"type": "OS::Heat::WaitCondition", "properties": {"handle": {"get_resource": "handle"}, "timeout": 30}},
    });
    let told = cloud
        .create("told", json!({ "template": template(resources.clone()) }))
        .await;
    cloud.settle_for(5).await;
    cloud
        .signal(
            &told,
            "handle",
            json!({"status": "FAILURE", "reason": "no disk"}),
        )
        .await
        .expect(200);
    let nothing = cloud
        .create("nothing", json!({ "template": template(resources) }))
        .await;
    cloud.settle_for(60).await;
    assert!(
        cloud.show(&told).await["stack_status_reason"]
            .as_str()
            .unwrap()
            .contains("WaitConditionFailure: no disk")
    );
    assert!(
        cloud.show(&nothing).await["stack_status_reason"]
            .as_str()
            .unwrap()
            .contains("WaitConditionTimeout: 0 of 1 received")
    );
}

#[tokio::test]
async fn nested_stacks_are_stacks_whose_outputs_are_attributes() {
    let cloud = cloud().await;
    let nested = "heat_template_version: 2018-08-31\nparameters: {v: {type: string}}\nresources:\n  t: {type: OS::Heat::TestResource, properties: {value: {get_param: v}}}\noutputs:\n  out: {value: {get_attr: [t, output]}}\n  wrong: {value: {get_param: none}}\n";
    let mut body = template(json!({"n": {"type": "nested.yaml", "properties": {"v": "deep"}}}));
    body["outputs"] = json!({"o": {"value": {"get_attr": ["n", "out"]}}, "w": {"value": {"get_attr": ["n", "wrong"]}}});
    let stack = cloud
        .create(
            "s",
            json!({"template": body, "files": {"nested.yaml": nested}}),
        )
        .await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    assert_eq!(shown["outputs"][0]["output_value"], "deep");
    assert_eq!(
        shown["outputs"][1]["output_error"],
        "Error in n output wrong: The Parameter (none) was not provided."
    );
    let row = cloud.resource(&stack, "n").await;
    let link = row["links"]
        .as_array()
        .unwrap()
        .iter()
        .find(|link| link["rel"] == "nested")
        .unwrap()["href"]
        .as_str()
        .unwrap()
        .to_owned();
    let child = cloud
        .member()
        .get(
            link.strip_prefix("http://cloud.test/orchestration")
                .unwrap(),
        )
        .await
        .expect(200)
        .json;
    assert_eq!(
        child["stack"]["parent"].as_str().unwrap(),
        stack.split('/').nth(1).unwrap()
    );
    cloud.delete(&stack).await;
    let left = cloud
        .member()
        .get(&path("/stacks?show_nested=true"))
        .await
        .expect(200)
        .json;
    assert_eq!(left["stacks"], json!([]));
}

#[tokio::test]
async fn stacks_are_listed_filtered_and_paged() {
    let cloud = cloud().await;
    for (name, tags) in [("a", "x"), ("b", "x,y"), ("c", "")] {
        cloud
            .create(name, json!({"template": template(json!({})), "tags": tags}))
            .await;
    }
    cloud.settle().await;
    let names = |query: &str| {
        let (ask, target) = (cloud.member(), path(&format!("/stacks{query}")));
        async move {
            let list = ask.get(&target).await.expect(200).json;
            list["stacks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|stack| stack["stack_name"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(names("?sort_keys=name&sort_dir=asc").await, ["a", "b", "c"]);
    assert_eq!(names("?tags=x,y").await, ["b"]);
    assert_eq!(names("?not_tags=x&name=c").await, ["c"]);
    assert_eq!(names("?status=COMPLETE&name=a").await, ["a"]);
    assert_eq!(names("?status=CREATE_FAILED").await, Vec::<String>::new());
    assert_eq!(
        names("?sort_keys=name&sort_dir=asc&limit=2").await,
        ["a", "b"]
    );
    cloud
        .member()
        .get(&path("/stacks?limit=x"))
        .await
        .expect(400);
    cloud
        .member()
        .get(&path("/stacks?marker=x"))
        .await
        .expect(400);
}

#[tokio::test]
async fn software_is_deployed_when_its_server_says_so() {
    let cloud = cloud().await;
    let resources = json!({
        "server": {"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny", "user_data_format": "SOFTWARE_CONFIG"}},
        "config": {"type": "OS::Heat::SoftwareConfig", "properties": {"config": "#!/bin/sh", "group": "script", "outputs": [{"name": "result"}]}},
        "deploy": {"type": "OS::Heat::SoftwareDeployments", "properties": {"config": {"get_resource": "config"}, "servers": {"0": {"get_resource": "server"}}}},
    });
    let stack = cloud
        .create("s", json!({ "template": template(resources) }))
        .await;
    cloud.settle_for(60).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_IN_PROGRESS");
    let metadata = cloud
        .get(&stack, "/resources/server/metadata")
        .await
        .expect(200)
        .json;
    let deployment = &metadata["metadata"]["deployments"][0];
    assert_eq!(deployment["config"], "#!/bin/sh");
    let inputs = deployment["inputs"].as_array().unwrap();
    let url = inputs
        .iter()
        .find(|input| input["name"] == "deploy_signal_id")
        .unwrap()["value"]
        .as_str()
        .unwrap();
    cloud
        .ask
        .post(
            url.strip_prefix("http://cloud.test/orchestration").unwrap(),
            json!({"result": "fine"}),
        )
        .await
        .expect(200);
    cloud.settle_for(60).await;
    assert_eq!(
        cloud.state(&stack).await,
        "CREATE_COMPLETE",
        "{}",
        cloud.show(&stack).await
    );
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("servers"), 0);
}
