//! What is not well, and what makes it well again.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, path};

fn test(properties: Value) -> Value {
    json!({"t": {"type": "OS::Heat::TestResource", "properties": properties}})
}

async fn act(cloud: &Cloud, stack: &str, action: &str) -> String {
    cloud
        .member()
        .post(
            &path(&format!("/stacks/{stack}/actions")),
            json!({ action: null }),
        )
        .await
        .expect(200);
    cloud.settle().await;
    cloud.state(stack).await
}

async fn mark(cloud: &Cloud, stack: &str, unhealthy: bool) {
    cloud
        .member()
        .patch(
            &path(&format!("/stacks/{stack}/resources/t")),
            json!({"mark_unhealthy": unhealthy, "resource_status_reason": "so"}),
        )
        .await
        .expect(200);
}

async fn status(cloud: &Cloud, stack: &str) -> String {
    let row = cloud.resource(stack, "t").await;
    row["resource_status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_could_not_be_made_stays_failed_until_it_is_made() {
    let cloud = cloud().await;
    let stack = cloud.made("s", test(json!({"fail": true}))).await;
    assert_eq!(status(&cloud, &stack).await, "CREATE_FAILED");
    assert_eq!(act(&cloud, &stack, "check").await, "CHECK_FAILED");
    assert_eq!(status(&cloud, &stack).await, "CREATE_FAILED");
    assert_eq!(act(&cloud, &stack, "suspend").await, "SUSPEND_FAILED");
    let shown = cloud.show(&stack).await;
    let why = shown["stack_status_reason"].as_str().unwrap();
    assert!(
        why.contains("resources.t: State CREATE_FAILED invalid for suspend"),
        "{why}"
    );
    mark(&cloud, &stack, true).await;
    assert_eq!(status(&cloud, &stack).await, "CHECK_FAILED");
    assert_eq!(act(&cloud, &stack, "check").await, "CHECK_FAILED");
    mark(&cloud, &stack, false).await;
    assert_eq!(status(&cloud, &stack).await, "CREATE_FAILED");
    cloud.updated(&stack, test(json!({"fail": false}))).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_eq!(status(&cloud, &stack).await, "CREATE_COMPLETE");
    assert_eq!(act(&cloud, &stack, "check").await, "CHECK_COMPLETE");
}

#[tokio::test]
async fn a_change_that_failed_is_not_taken_over_by_a_check() {
    let cloud = cloud().await;
    let stack = cloud.made("s", test(json!({"value": "a"}))).await;
    let bad = test(json!({"value": "b", "fail": true}));
    cloud.updated(&stack, bad).await;
    assert_eq!(status(&cloud, &stack).await, "UPDATE_FAILED");
    assert_eq!(act(&cloud, &stack, "check").await, "CHECK_FAILED");
    assert_eq!(status(&cloud, &stack).await, "UPDATE_FAILED");
    let row = cloud.resource(&stack, "t").await;
    assert_eq!(row["attributes"]["output"], "a");
    mark(&cloud, &stack, true).await;
    mark(&cloud, &stack, false).await;
    assert_eq!(status(&cloud, &stack).await, "UPDATE_FAILED");
    cloud.updated(&stack, test(json!({"value": "b"}))).await;
    assert_eq!(status(&cloud, &stack).await, "UPDATE_COMPLETE");
    let row = cloud.resource(&stack, "t").await;
    assert_eq!(row["attributes"]["output"], "b");
}

#[tokio::test]
async fn what_is_said_to_be_wanting_is_well_when_it_is_said_so() {
    let cloud = cloud().await;
    let stack = cloud.made("s", test(json!({"value": "a"}))).await;
    mark(&cloud, &stack, true).await;
    assert_eq!(status(&cloud, &stack).await, "CHECK_FAILED");
    mark(&cloud, &stack, false).await;
    assert_eq!(status(&cloud, &stack).await, "CHECK_COMPLETE");
}
