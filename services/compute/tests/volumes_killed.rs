//! Killed at every crash point of the work on volumes, the restarted service reaches the same end.

use nephos_compute::driver::DriverError;
use nephos_compute::driver::fake::Verb;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::crash::{killed_everywhere, seen};
use crate::volumes::{attach, detach, outcome, plugged};

/// Booted from a volume that is made for it, given another while it runs, which is taken out again; deleted with a third.
async fn life() -> (Vec<Value>, u32) {
    let mut cloud = Cloud::new().await;
    let mut story = Vec::new();
    let devices = json!([{"source_type": "image", "destination_type": "volume", "boot_index": 0, "uuid": cloud.image_id,
        "volume_size": 2, "delete_on_termination": true}]);
    let id = cloud
        .create(&json!({"imageRef": "", "block_device_mapping_v2": devices}))
        .await;
    cloud.settle().await;
    let (first, second) = (cloud.block.add(&json!({})), cloud.block.add(&json!({})));
    let around = |cloud: &Cloud| {
        let mut states: Vec<Value> = cloud
            .block
            .state()
            .volumes
            .values()
            .map(|row| row["status"].clone())
            .collect();
        states.sort_by_key(Value::to_string);
        json!([states, cloud.block.attachments()])
    };
    story.push(json!([
        "made",
        seen(&cloud.show(&id).await),
        around(&cloud),
        plugged(&cloud, &id).len()
    ]));
    for volume in [&first, &second] {
        attach(&mut cloud, &id, json!({"volumeId": volume}))
            .await
            .expect(200);
        cloud.settle().await;
    }
    story.push(json!([
        "attached",
        seen(&cloud.show(&id).await),
        around(&cloud),
        plugged(&cloud, &id).len()
    ]));
    detach(&cloud, &id, &first).await.expect(202);
    cloud.settle().await;
    story.push(json!([
        "detached",
        seen(&cloud.show(&id).await),
        around(&cloud),
        plugged(&cloud, &id).len()
    ]));
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    story.push(json!(["gone", around(&cloud)]));
    assert_eq!(
        cloud.block.names().len(),
        2,
        "the volume that was made goes with the server"
    );
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

#[tokio::test]
async fn a_life_with_volumes_killed_anywhere_is_the_same_life() {
    killed_everywhere(life, 60).await;
}

/// The host cannot open what is attached, and the guest does not let go of what it has.
async fn misfortune() -> (Vec<Value>, u32) {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let (had, wanted) = (cloud.block.add(&json!({})), cloud.block.add(&json!({})));
    attach(&mut cloud, &server, json!({"volumeId": had}))
        .await
        .expect(200);
    cloud.settle().await;
    let refusal = DriverError::Refused("no".to_owned());
    cloud.simulated.fail_next("one", Verb::Volume, refusal);
    attach(&mut cloud, &server, json!({"volumeId": wanted}))
        .await
        .expect(200);
    cloud.settle().await;
    cloud
        .simulated
        .set_deaf("one", &server.as_str().into(), true);
    detach(&cloud, &server, &had).await.expect(202);
    cloud.work_for(175).await;
    cloud.settle().await;
    let story = vec![json!([
        cloud.block.status(&had),
        cloud.block.status(&wanted),
        plugged(&cloud, &server).len(),
        outcome(&cloud, &server, "attach_volume").await.0,
        outcome(&cloud, &server, "detach_volume").await.0
    ])];
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{server}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

#[tokio::test]
async fn a_misfortune_with_volumes_killed_anywhere_is_the_same_misfortune() {
    killed_everywhere(misfortune, 30).await;
}
