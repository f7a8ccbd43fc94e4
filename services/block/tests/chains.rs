//! Chains of layers that become shorter, or do not.

use std::time::Duration;

use nephos_runtime::crash::{self, Mode};

use crate::kit::{Cloud, cloud};

/// Snapshots of a volume that came and went, each of which leaves a layer.
async fn nights(cloud: &Cloud, volume: &str, count: u8) {
    for night in 0..count {
        cloud.write(volume, u64::from(night) << 16, &[b'a' + night; 4096]);
        let snapshot = cloud.snapshot(volume).await;
        let target = format!("/v3/snapshots/{snapshot}");
        cloud.member().delete(&target).await.expect(202);
        cloud.settle().await;
    }
}

/// How many times a layer was taken up to be merged.
async fn tries(cloud: &Cloud) -> usize {
    crash::set(Mode::Record);
    cloud.shorten().await;
    let points = crash::recorded();
    crash::set(Mode::Off);
    points
        .iter()
        .filter(|name| **name == "shorten.held")
        .count()
}

#[tokio::test]
async fn a_chain_is_no_reason_to_fill_a_disk() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    nights(&cloud, &volume, 2).await;
    let none_free = |config: &mut nephos_block::Config| config.reserved_bytes = u64::MAX;
    let cloud = cloud.restarted_with(none_free).await;
    let size = |cloud: &Cloud| {
        let file = cloud.file(&format!("volume-{volume}"));
        std::fs::metadata(file).unwrap().len()
    };
    let before = size(&cloud);
    assert_eq!(tries(&cloud).await, 1, "once, and not again at once");
    assert_eq!(cloud.files().len(), 3);
    assert_eq!(size(&cloud), before);
    // Then again, and later and later.
    cloud.world.clock.advance(Duration::from_secs(20));
    assert_eq!(tries(&cloud).await, 1);
    cloud.world.clock.advance(Duration::from_secs(20));
    assert_eq!(tries(&cloud).await, 0);
    cloud.world.clock.advance(Duration::from_secs(20));
    assert_eq!(tries(&cloud).await, 1);
    // The volume is everybody's to use meanwhile, and all is well once there is room.
    cloud.attached(&volume).await;
    let attachments = cloud.show(&volume).await["attachments"].clone();
    let attachment = attachments[0]["attachment_id"].as_str().unwrap();
    let target = format!("/v3/attachments/{attachment}");
    cloud.service().delete(&target).await.expect(200);
    let some_free = |config: &mut nephos_block::Config| config.reserved_bytes = 0;
    let cloud = cloud.restarted_with(some_free).await;
    cloud.shorten().await;
    assert_eq!(cloud.files().len(), 2);
    assert_eq!(cloud.read(&volume, 1 << 16, 4096), [b'b'; 4096]);
}

#[tokio::test]
async fn volumes_in_use_keep_nobody_elses_chain_long() {
    let cloud = cloud().await;
    for _volume in 0..3 {
        let volume = cloud.volume().await;
        nights(&cloud, &volume, 16).await;
        cloud.attached(&volume).await;
    }
    let idle = cloud.volume().await;
    nights(&cloud, &idle, 6).await;
    let before = cloud.files().len();
    cloud.shorten().await;
    assert_eq!(before - cloud.files().len(), 5);
}
