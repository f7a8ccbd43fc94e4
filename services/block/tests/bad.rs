//! Bad input: each a clear error, and nothing left over.

use serde_json::json;

use crate::kit::{IMAGE, cloud, cloud_with, created, image, message};

#[tokio::test]
async fn wrong_sizes_and_sources_are_refused_before_anything_is_made() {
    let cloud = cloud().await;
    let unknown = "71c675ab-d94f-49cd-a114-e12490b328d9";
    let volume = cloud.volume_of(json!({"size": 2})).await;
    let snapshot = cloud.snapshot(&volume).await;
    for (body, status, words) in [
        (json!({}), 400, "size"),
        (json!({"size": 0}), 400, "less than the minimum of 1"),
        (json!({"size": -1}), 400, "less than the minimum of 1"),
        (json!({"size": "#$%"}), 400, "not an integer"),
        (json!({"size": 1, "odd": 1}), 400, "'odd' was unexpected"),
        (
            json!({"size": 1, "name": "x".repeat(256)}),
            400,
            "256 characters",
        ),
        (json!({"size": 1, "metadata": {"a": 1}}), 400, "string"),
        (
            json!({"size": 1, "snapshot_id": unknown}),
            404,
            "could not be found",
        ),
        (
            json!({"size": 1, "source_volid": unknown}),
            404,
            "could not be found",
        ),
        (
            json!({"size": 1, "volume_type": "odd"}),
            404,
            "could not be found",
        ),
        (
            json!({"size": 1, "imageRef": unknown}),
            400,
            "Invalid image identifier",
        ),
        (
            json!({"size": 1, "availability_zone": "mars"}),
            400,
            "'mars' is invalid",
        ),
        (
            json!({"size": 1, "source_volid": volume}),
            400,
            "cannot be smaller than original volume size",
        ),
        (
            json!({"size": 1, "snapshot_id": snapshot}),
            400,
            "cannot be smaller than snapshot size",
        ),
        (json!({"size": 1, "multiattach": true}), 400, "multiattach"),
    ] {
        let answer = cloud
            .member()
            .post("/v3/volumes", json!({"volume": body}))
            .await
            .expect(status);
        assert!(
            message(&answer.json).contains(words),
            "{body}: {}",
            answer.json
        );
    }
    cloud
        .member()
        .post("/v3/volumes", json!({}))
        .await
        .expect(400);
    assert_eq!(cloud.usage().await, (1, 1, 4));
    let action = format!("/v3/volumes/{volume}/action");
    for size in [json!(2), json!(1), json!("x"), json!(null)] {
        cloud
            .member()
            .post(&action, json!({"os-extend": {"new_size": size}}))
            .await
            .expect(400);
    }
}

#[tokio::test]
async fn an_image_that_is_too_big_or_hostile_ends_in_a_clear_state_and_leaves_nothing() {
    let cloud = cloud().await;
    let big = json!({"id": IMAGE, "status": "active", "disk_format": "raw", "min_disk": 5});
    cloud.images.add(big, b"x");
    let body = json!({"volume": {"size": 1, "imageRef": IMAGE}});
    let answer = cloud.member().post("/v3/volumes", body).await.expect(400);
    assert!(
        message(&answer.json).contains("minDisk size 5GB"),
        "{}",
        answer.json
    );
    // Disks that only unpack to be too big, that are nothing, and that name other files.
    let folder = cloud.world.folder();
    std::fs::write(folder.join("base.raw"), [0u8; 512]).unwrap();
    let qemu_img = |args: &[&str]| {
        let made = std::process::Command::new("qemu-img")
            .current_dir(folder)
            .args(args)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    };
    qemu_img(&["create", "-f", "qcow2", "huge.qcow2", "3G"]);
    qemu_img(&[
        "create",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        "base.raw",
        "backed.qcow2",
    ]);
    std::fs::write(folder.join("odd.qcow2"), b"QFI\xfb nonsense").unwrap();
    for (number, (file, words)) in [
        ("huge.qcow2", "3 GiB"),
        ("backed.qcow2", "a backing file"),
        ("odd.qcow2", "not a sound qcow2"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("0b6a2a8e-0000-4000-8000-00000000010{number}");
        let image =
            json!({"id": id, "status": "active", "disk_format": "qcow2", "os_hash_value": id});
        cloud
            .images
            .add(image, &std::fs::read(folder.join(file)).unwrap());
        let volume = created(&cloud.member(), json!({"size": 1, "imageRef": id})).await;
        cloud.settle().await;
        assert_eq!(cloud.status(&volume).await, "error", "{file}");
        let told = cloud
            .member()
            .get(&format!("/v3/messages?resource_uuid={volume}"))
            .await
            .expect(200)
            .json;
        let told = told["messages"][0]["user_message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(told.contains(words), "{file}: {told}");
        assert_eq!(cloud.files(), [""; 0], "{file}");
        cloud
            .member()
            .delete(&format!("/v3/volumes/{volume}"))
            .await
            .expect(202);
        cloud.settle().await;
    }
    assert_eq!(cloud.usage().await, (0, 0, 0));
}

#[tokio::test]
async fn a_snapshot_that_is_going_gives_no_volume() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let snapshot = cloud.snapshot(&volume).await;
    cloud
        .member()
        .delete(&format!("/v3/snapshots/{snapshot}"))
        .await
        .expect(202);
    let body = json!({"volume": {"snapshot_id": snapshot}});
    let answer = cloud.member().post("/v3/volumes", body).await.expect(400);
    assert!(
        message(&answer.json).contains("Originating snapshot status"),
        "{}",
        answer.json
    );
}

#[tokio::test]
async fn without_room_a_volume_ends_in_error_with_the_reason() {
    let cloud = cloud_with(|config| config.reserved_bytes = u64::MAX / 4).await;
    let id = created(&cloud.member(), json!({"size": 1})).await;
    cloud.settle().await;
    assert_eq!(cloud.status(&id).await, "error");
    let told = cloud.member().get("/v3/messages").await.expect(200).json;
    let told = told["messages"][0]["user_message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(told.contains("it has 0 GiB free"), "{told}");
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn an_image_is_not_needed_twice_and_one_that_is_gone_is_told() {
    let cloud = cloud().await;
    image(&cloud, &[7; 1000]);
    let id = created(&cloud.member(), json!({"size": 1, "imageRef": IMAGE})).await;
    let inactive = json!({"id": "0b6a2a8e-0000-4000-8000-000000000009", "status": "deactivated"});
    cloud.images.add(inactive, b"");
    let body = json!({"volume": {"size": 1, "imageRef": "0b6a2a8e-0000-4000-8000-000000000009"}});
    let answer = cloud.member().post("/v3/volumes", body).await.expect(400);
    assert!(
        message(&answer.json).contains("is not active"),
        "{}",
        answer.json
    );
    cloud.settle().await;
    assert_eq!(cloud.status(&id).await, "available");
}

#[tokio::test]
async fn another_project_is_a_malformed_url() {
    let cloud = cloud().await;
    let answer = cloud
        .member()
        .get("/v3/22222222222222222222222222222222/volumes")
        .await
        .expect(400);
    assert_eq!(message(&answer.json), "Malformed request url");
}
