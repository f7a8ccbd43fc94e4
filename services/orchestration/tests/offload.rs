//! What computes is done beside the threads that answer: nobody else waits for it.

use std::pin::pin;

use futures_util::FutureExt;
use serde_json::json;

use crate::kit::{Cloud, cloud, path, template};

/// Does something while nothing can be worked out beside this thread: it does not end before that is possible again,
/// and others are answered meanwhile.
fn check(what: impl AsyncFn(&Cloud, &str) -> u16, expected: u16) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let cloud = cloud().await;
        let one = json!({"type": "OS::Heat::TestResource"});
        let stack = cloud.made("s", json!({
            "g": {"type": "OS::Heat::AutoScalingGroup", "properties": {"min_size": 1, "max_size": 3, "resource": one}},
            "up": {"type": "OS::Heat::ScalingPolicy", "properties": {
                "auto_scaling_group_id": {"get_resource": "g"}, "adjustment_type": "change_in_capacity", "scaling_adjustment": 1}},
        })).await;
        // The only other thread has something to do.
        let (free, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || wait.recv().is_err());
        let mut work = pin!(what(&cloud, &stack));
        for _ in 0..50 {
            assert_eq!(work.as_mut().now_or_never(), None);
            let (member, target) = (cloud.member(), path("/resource_types"));
            member.get(&target).await.expect(200);
        }
        drop(free);
        assert_eq!(work.await, expected);
        assert!(busy.await.unwrap());
    });
}

#[test]
fn a_preview_keeps_nobody_waiting() {
    let preview = async |cloud: &Cloud, _: &str| {
        let body = json!({"stack_name": "t", "template": template(json!({"r": {"type": "OS::Heat::RandomString"}}))});
        let target = path("/stacks/preview");
        cloud.member().post(&target, body).await.status
    };
    check(preview, 200);
}

#[test]
fn a_preview_of_an_update_keeps_nobody_waiting() {
    let preview = async |cloud: &Cloud, stack: &str| {
        let body = json!({"template": template(json!({}))});
        let target = path(&format!("/stacks/{stack}/preview"));
        cloud.member().put(&target, body).await.status
    };
    check(preview, 200);
}

#[test]
fn a_signal_that_scales_keeps_nobody_waiting() {
    let signal =
        async |cloud: &Cloud, stack: &str| cloud.signal(stack, "up", json!({})).await.status;
    check(signal, 200);
}
