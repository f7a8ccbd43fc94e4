//! Resources that are held until somebody lets go of them.

use serde_json::json;

use crate::kit::{cloud, path, template};

#[tokio::test]
async fn a_resource_is_held_before_it_is_made_changed_and_removed() {
    let cloud = cloud().await;
    let resources = |length: u32| {
        template(
            json!({"a": {"type": "OS::Heat::RandomString"}, "b": {"type": "OS::Heat::RandomString", "depends_on": "a", "properties": {"length": length}}}),
        )
    };
    let env = json!({"resource_registry": {"resources": {"b": {"hooks": ["pre-create", "pre-update", "pre-delete"]}}}});
    let stack = cloud
        .create("s", json!({"template": resources(5), "environment": env}))
        .await;
    cloud.settle_for(5).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_IN_PROGRESS");
    assert_eq!(
        cloud.resource(&stack, "b").await["resource_status"],
        "INIT_COMPLETE"
    );
    let events = cloud
        .get(&stack, "/resources/b/events")
        .await
        .expect(200)
        .json;
    assert_eq!(
        events["events"][0]["resource_status_reason"],
        "CREATE paused until Hook pre-create is cleared"
    );
    cloud
        .signal(&stack, "b", json!({"unset_hook": "pre-update"}))
        .await
        .expect(400);
    cloud
        .signal(&stack, "b", json!({"unset_hook": "pre-create"}))
        .await
        .expect(200);
    cloud.settle_for(5).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    let before = cloud.resource(&stack, "b").await["physical_resource_id"].clone();
    cloud
        .update(
            &stack,
            json!({"template": resources(6), "environment": env}),
        )
        .await
        .expect(202);
    cloud.settle_for(5).await;
    assert_eq!(
        cloud.resource(&stack, "b").await["resource_status"],
        "CREATE_COMPLETE"
    );
    cloud
        .signal(&stack, "b", json!({"unset_hook": "pre-update"}))
        .await
        .expect(200);
    // Replacing it is making and removing it.
    cloud.settle_for(5).await;
    cloud
        .signal(&stack, "b", json!({"unset_hook": "pre-create"}))
        .await;
    cloud.settle_for(5).await;
    assert_ne!(
        cloud.resource(&stack, "b").await["physical_resource_id"],
        before
    );
    cloud
        .member()
        .delete(&path(&format!("/stacks/{stack}")))
        .await
        .expect(204);
    cloud.settle_for(5).await;
    assert_eq!(cloud.state(&stack).await, "DELETE_IN_PROGRESS");
}
