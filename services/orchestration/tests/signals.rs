//! The ways in which something tells a stack how it went.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message, path, template};

fn waiting(handle: Value) -> Value {
    json!({
        "handle": handle,
        "wait": {"type": "OS::Heat::WaitCondition", "properties": {"handle": {"get_resource": "handle"}, "timeout": 300}},
        "seen": {"type": "OS::Heat::Value", "properties": {"value": {"get_resource": "handle"}}},
    })
}

fn by(transport: &str) -> Value {
    json!({"type": "OS::Heat::WaitConditionHandle", "properties": {"signal_transport": transport}})
}

async fn begun(cloud: &Cloud, resources: Value) -> String {
    let stack = cloud
        .create("s", json!({ "template": template(resources) }))
        .await;
    cloud.settle_for(10).await;
    stack
}

async fn shown(cloud: &Cloud, stack: &str, resource: &str, attribute: &str) -> String {
    let shown = cloud.resource(stack, resource).await;
    let value = shown["attributes"][attribute].as_str();
    value.unwrap_or_default().to_owned()
}

/// Where a URL leads to.
fn target(url: &str) -> &str {
    url.strip_prefix("http://cloud.test/orchestration").unwrap()
}

#[tokio::test]
async fn a_handle_says_how_it_is_signalled() {
    for (handle, by_url, method) in [
        (
            json!({"type": "OS::Heat::WaitConditionHandle"}),
            false,
            "POST",
        ),
        (by("TOKEN_SIGNAL"), false, "POST"),
        (by("HEAT_SIGNAL"), false, "POST"),
        (by("CFN_SIGNAL"), true, "PUT"),
        (by("TEMP_URL_SIGNAL"), false, "PUT"),
    ] {
        let cloud = cloud().await;
        let stack = begun(&cloud, waiting(handle.clone())).await;
        assert_eq!(cloud.state(&stack).await, "CREATE_IN_PROGRESS");
        let endpoint = shown(&cloud, &stack, "handle", "endpoint").await;
        let reference = shown(&cloud, &stack, "seen", "value").await;
        assert_eq!(reference == endpoint, by_url, "{handle} {reference}");
        let curl = shown(&cloud, &stack, "handle", "curl_cli").await;
        assert!(curl.contains(&format!("-X {method} ")), "{handle} {curl}");
        let signal: Value =
            serde_json::from_str(&shown(&cloud, &stack, "handle", "signal").await).unwrap();
        assert_eq!(signal["method"], method);
        let url = signal["alarm_url"].as_str().unwrap();
        if method == "PUT" {
            cloud.ask.put(target(url), json!({})).await.expect(200);
        } else {
            cloud.ask.post(target(url), json!({})).await.expect(200);
        }
        cloud.settle_for(10).await;
        assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE", "{handle}");
    }
}

#[tokio::test]
async fn nothing_is_waited_for_where_no_signal_comes() {
    let cloud = cloud().await;
    let stack = begun(&cloud, waiting(by("NO_SIGNAL"))).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    assert_eq!(shown(&cloud, &stack, "wait", "data").await, "{\"1\":null}");
    let body = json!({"stack_name": "z", "template": template(waiting(by("ZAQAR_SIGNAL")))});
    let answer = cloud.member().post(&path("/stacks"), body).await;
    let answer = answer.expect(400);
    assert!(
        message(&answer).contains("no messaging service"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_swift_signal_waits_for_what_is_put_to_its_handle() {
    let cloud = cloud().await;
    let resources = json!({
        "handle": {"type": "OS::Heat::SwiftSignalHandle"},
        "wait": {"type": "OS::Heat::SwiftSignal", "properties": {"handle": {"get_resource": "handle"}, "timeout": 60, "count": 2}},
    });
    let stack = begun(&cloud, resources.clone()).await;
    assert_eq!(
        cloud.resource(&stack, "handle").await["attributes"]["token"],
        ""
    );
    let url = shown(&cloud, &stack, "handle", "endpoint").await;
    let curl = shown(&cloud, &stack, "handle", "curl_cli").await;
    assert!(curl.starts_with("curl -i -X PUT "), "{curl}");
    cloud
        .ask
        .put(target(&url), json!({"data": "a"}))
        .await
        .expect(200);
    cloud.settle_for(10).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_IN_PROGRESS");
    cloud
        .ask
        .put(target(&url), json!({"id": "b"}))
        .await
        .expect(200);
    cloud.settle_for(10).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    assert_eq!(
        shown(&cloud, &stack, "wait", "data").await,
        "{\"1\":\"a\",\"b\":null}"
    );
    cloud.delete(&stack).await;
    let stack = begun(&cloud, resources.clone()).await;
    let url = shown(&cloud, &stack, "handle", "endpoint").await;
    let failed = json!({"status": "FAILURE", "reason": "no disk"});
    cloud.ask.put(target(&url), failed).await.expect(200);
    cloud.settle_for(10).await;
    let reason = cloud.show(&stack).await["stack_status_reason"].to_string();
    assert!(reason.contains("SwiftSignalFailure: no disk"), "{reason}");
    cloud.delete(&stack).await;
    let stack = begun(&cloud, resources).await;
    cloud.settle_for(90).await;
    let reason = cloud.show(&stack).await["stack_status_reason"].to_string();
    assert!(
        reason.contains("SwiftSignalTimeout: 0 of 2 received"),
        "{reason}"
    );
}
