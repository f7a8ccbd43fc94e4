//! Images that are made of volumes.

use std::io::{Seek as _, SeekFrom, Write as _};

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, image, message};

fn write(cloud: &Cloud, volume: &str, bytes: &[u8]) {
    let path = cloud.file(&format!("volume-{volume}"));
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(bytes).unwrap();
}

async fn upload(cloud: &Cloud, volume: &str, body: Value) -> nephos_testkit::Answer {
    let body = json!({ "os-volume_upload_image": body });
    cloud
        .member()
        .post(&format!("/v3/volumes/{volume}/action"), body)
        .await
}

#[tokio::test]
async fn a_volume_becomes_an_image_of_the_same_bytes() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    write(&cloud, &volume, b"what is in it");
    let answer = upload(&cloud, &volume, json!({"image_name": "mine"})).await;
    let shown = &answer.expect(202).json["os-volume_upload_image"];
    assert_eq!(shown["status"], "uploading");
    assert_eq!(
        (&shown["disk_format"], &shown["container_format"]),
        (&json!("raw"), &json!("bare"))
    );
    assert_eq!(cloud.status(&volume).await, "uploading");
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "available");
    let [(made, bytes)] = &cloud.images.made()[..] else {
        panic!("one image is made");
    };
    assert_eq!(made["id"], shown["image_id"]);
    assert_eq!(
        (&made["name"], &made["status"]),
        (&json!("mine"), &json!("active"))
    );
    assert_eq!(bytes.len(), 1 << 30);
    assert!(bytes.starts_with(b"what is in it"));
    assert_eq!(cloud.files(), [format!("volume-{volume}")]);
}

#[tokio::test]
async fn another_format_is_written_for_the_image_and_goes_again() {
    let cloud = cloud().await;
    image(&cloud, b"bytes of an image");
    let of_image = json!({"size": 1, "imageRef": crate::kit::IMAGE});
    let volume = cloud.volume_of(of_image).await;
    let wish = json!({"image_name": "q", "disk_format": "qcow2", "visibility": "shared", "protected": true});
    upload(&cloud, &volume, wish).await.expect(202);
    cloud.settle().await;
    let [(made, bytes)] = &cloud.images.made()[..] else {
        panic!("one image is made");
    };
    assert!(bytes.starts_with(b"QFI\xfb"), "qcow2 begins so");
    // All of it is in the image, and nothing of its own in the volume's folder.
    let folder = cloud.world.folder().join("out");
    std::fs::write(&folder, bytes).unwrap();
    let info = std::process::Command::new("qemu-img")
        .args(["info", "--output=json"])
        .arg(&folder)
        .output()
        .unwrap();
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(
        (&info["virtual-size"], info.get("backing-filename")),
        (&json!(1 << 30), None)
    );
    assert_eq!(
        (&made["visibility"], &made["protected"]),
        (&json!("shared"), &json!(true))
    );
    assert_eq!(
        (&made["os_distro"], &made["min_disk"]),
        (&json!("x"), &json!(1))
    );
    assert!(cloud.files().iter().all(|file| !file.ends_with(".part")));
}

#[tokio::test]
async fn what_cannot_be_an_image_is_refused_and_leaves_none() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    for (wish, words) in [
        (json!({}), "image_name"),
        (
            json!({"image_name": "i", "disk_format": "iso"}),
            "disk_format must be",
        ),
        (
            json!({"image_name": "i", "container_format": "ova"}),
            "container_format must be",
        ),
        (
            json!({"image_name": "i", "visibility": "odd"}),
            "visibility must be",
        ),
        (json!({"image_name": "i", "colour": 1}), "colour"),
    ] {
        let answer = upload(&cloud, &volume, wish).await.expect(400);
        assert!(message(&answer.json).contains(words), "{}", answer.json);
    }
    let public = json!({"image_name": "i", "visibility": "public"});
    upload(&cloud, &volume, public).await.expect(403);
    cloud.attached(&volume).await;
    let used = json!({"image_name": "i", "force": true});
    let answer = upload(&cloud, &volume, used).await.expect(400);
    assert!(message(&answer.json).contains("status must be available"));
    assert_eq!(cloud.images.made(), []);
}

#[tokio::test]
async fn an_image_that_does_not_take_the_bytes_leaves_the_volume_as_it_was_and_a_message() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.images.refuse();
    upload(&cloud, &volume, json!({"image_name": "i"}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.status(&volume).await, "available");
    let messages = cloud.member().get("/v3/messages").await.expect(200).json;
    let words = messages["messages"][0]["user_message"].as_str().unwrap();
    assert!(words.starts_with("copy volume to image"), "{words}");
}
