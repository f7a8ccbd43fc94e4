//! Types whose volumes are encrypted, and such volumes.

use std::os::unix::fs::FileExt as _;
use std::process::Command;

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, IMAGE, cloud_with, created, image, message};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PLAIN: [u8; 4096] = [b'P'; 4096];

/// A cloud that can close keys.
pub async fn sealed() -> Cloud {
    cloud_with(|config| config.sealing_secret = SECRET.to_owned()).await
}

/// A type of this name.
async fn kind(cloud: &Cloud, name: &str) -> String {
    let body = json!({"volume_type": {"name": name}});
    let made = cloud.admin().post("/v3/types", body).await.expect(200).json;
    made["volume_type"]["id"].as_str().unwrap().to_owned()
}

fn luks() -> Value {
    json!({"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256})
}

/// A type whose volumes are encrypted.
pub async fn encrypted_kind(cloud: &Cloud, name: &str) -> String {
    let id = kind(cloud, name).await;
    let target = format!("/v3/types/{id}/encryption");
    let body = json!({"encryption": luks()});
    cloud.admin().post(&target, body).await.expect(200);
    id
}

/// What opens the volume, as compute learns it.
async fn key(cloud: &Cloud, volume: &str) -> String {
    let attachment = cloud.attached(volume).await;
    let target = format!(
        "/v3/{}/attachments/{attachment}/key",
        Persona::Member.project()
    );
    let answer = cloud.compute_account().get(&target).await.expect(200).json;
    let target = format!("/v3/attachments/{attachment}");
    cloud.member().delete(&target).await.expect(200);
    cloud.settle().await;
    answer["key"].as_str().unwrap().to_owned()
}

/// Reads or writes as a host with the key does.
fn qemu_io(cloud: &Cloud, (volume, key): (&str, &str), command: &str) -> bool {
    let file = cloud.file(&format!("volume-{volume}"));
    let image = format!(
        "driver=luks,key-secret=k,file.driver=file,file.filename={}",
        file.display()
    );
    let done = Command::new("qemu-io")
        .args(["--object", &format!("secret,id=k,data={key}")])
        .args(["--image-opts", &image, "-c", command])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    done.status.success() && !said.contains("failed")
}

/// Whether the file is a LUKS disk that shows nothing of what is in it.
fn is_closed(cloud: &Cloud, volume: &str) -> bool {
    let bytes = std::fs::read(cloud.file(&format!("volume-{volume}"))).unwrap();
    bytes.starts_with(b"LUKS\xba\xbe") && !bytes.windows(64).any(|some| some == &PLAIN[..64])
}

#[tokio::test]
async fn a_type_says_how_its_volumes_are_encrypted_until_there_is_one() {
    let cloud = sealed().await;
    let id = kind(&cloud, "k").await;
    let (admin, target) = (cloud.admin(), format!("/v3/types/{id}/encryption"));
    assert_eq!(admin.get(&target).await.expect(200).json, json!({}));
    for (wrong, why) in [
        (json!({"provider": "luks"}), "control_location"),
        (json!({"control_location": "front-end"}), "provider"),
        (
            json!({"provider": "luks", "control_location": "moon"}),
            "moon",
        ),
        (
            json!({"provider": "luks", "control_location": "front-end", "key_size": -1}),
            "key_size",
        ),
        (
            json!({"provider": "luks", "control_location": "front-end", "colour": "x"}),
            "colour",
        ),
    ] {
        let answer = admin
            .post(&target, json!({"encryption": wrong}))
            .await
            .expect(400);
        assert!(message(&answer.json).contains(why), "{:?}", answer.json);
    }
    let made = admin
        .post(&target, json!({"encryption": luks()}))
        .await
        .expect(200)
        .json;
    assert_eq!(made["encryption"]["volume_type_id"], id.as_str());
    assert_eq!(made["encryption"]["key_size"], 256);
    admin
        .post(&target, json!({"encryption": luks()}))
        .await
        .expect(400);
    let one = admin
        .get(&format!("{target}/cipher"))
        .await
        .expect(200)
        .json;
    assert_eq!(one, json!({"cipher": "aes-xts-plain64"}));
    admin.get(&format!("{target}/colour")).await.expect(404);
    let change = json!({"encryption": {"key_size": 512, "cipher": null}});
    let one = format!("{target}/provider");
    let changed = admin.put(&one, change.clone()).await.expect(200).json;
    assert_eq!(changed["encryption"]["key_size"], 512);
    let shown = admin.get(&target).await.expect(200).json;
    assert_eq!(
        (&shown["cipher"], &shown["provider"]),
        (&Value::Null, &json!("luks"))
    );

    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "k"}))
        .await;
    for refused in [
        admin.put(&one, change).await,
        admin.delete(&one).await,
        admin.delete(&format!("/v3/types/{id}")).await,
    ] {
        assert!(message(&refused.expect(400).json).contains("in use"));
    }
    cloud
        .member()
        .delete(&format!("/v3/volumes/{volume}"))
        .await
        .expect(202);
    cloud.settle().await;
    admin.delete(&one).await.expect(202);
    admin.delete(&one).await.expect(404);
    assert_eq!(admin.get(&target).await.expect(200).json, json!({}));
}

#[tokio::test]
async fn a_volume_is_encrypted_from_its_first_byte_and_only_compute_learns_its_key() {
    let cloud = sealed().await;
    encrypted_kind(&cloud, "k").await;
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "k"}))
        .await;
    assert_eq!(cloud.show(&volume).await["encrypted"], true);
    let target = format!("/v3/volumes/{volume}/encryption");
    let shown = cloud.member().get(&target).await.expect(200).json;
    assert_eq!(
        (&shown["provider"], &shown["key_size"]),
        (&json!("luks"), &json!(256))
    );
    assert!(shown["encryption_key_id"].is_string());
    for (version, id) in [
        ("volume 3.63", None),
        ("volume 3.64", Some(&shown["encryption_key_id"])),
    ] {
        let member = cloud.member().at(version);
        let one = member.get(&format!("/v3/volumes/{volume}")).await;
        let one = one.expect(200).json;
        assert_eq!(one["volume"].get("encryption_key_id"), id, "{version}");
        let all = member.get("/v3/volumes/detail").await.expect(200).json;
        assert_eq!(all["volumes"][0].get("encryption_key_id"), id, "{version}");
    }
    let one = cloud.member().get(&format!("{target}/cipher")).await;
    assert_eq!(one.expect(200).json, json!({"cipher": "aes-xts-plain64"}));
    let attachment = cloud.attached(&volume).await;
    let target = format!("/v3/{}/attachments/{attachment}", Persona::Member.project());
    let shown = cloud
        .member()
        .get(&format!("/v3/attachments/{attachment}"))
        .await;
    let shown = shown.expect(200).json;
    let info = &shown["attachment"]["connection_info"];
    assert_eq!(
        (&info["encrypted"], &info["format"]),
        (&json!(true), &json!("luks"))
    );
    for ask in [cloud.member(), cloud.admin()] {
        let answer = ask.get(&format!("/v3/attachments/{attachment}/key")).await;
        assert!(
            answer.status == 403 || answer.status == 404,
            "{}",
            answer.status
        );
    }
    cloud
        .service()
        .get(&format!("{target}/key"))
        .await
        .expect(403);
    let key = cloud.compute_account().get(&format!("{target}/key")).await;
    let key = key.expect(200).json["key"].as_str().unwrap().to_owned();
    assert_eq!(key.len(), 64);
    assert!(!shown.to_string().contains(&key));
    assert!(qemu_io(&cloud, (&volume, &key), "write -q -P 0x50 0 64k"));
    assert!(qemu_io(&cloud, (&volume, &key), "read -q -P 0x50 0 64k"));
    assert!(!qemu_io(&cloud, (&volume, SECRET), "read -q 0 64k"));
    assert!(is_closed(&cloud, &volume));
    // All of it is there, and no more.
    assert!(qemu_io(
        &cloud,
        (&volume, &key),
        "write -q -P 0x51 1048512k 64k"
    ));
    assert!(!qemu_io(&cloud, (&volume, &key), "write -q 1048576k 64k"));

    let grow = json!({"os-extend": {"new_size": 2}});
    let action = format!("/v3/volumes/{volume}/action");
    cloud.member().post(&action, grow).await.expect(202);
    cloud.settle().await;
    assert!(qemu_io(
        &cloud,
        (&volume, &key),
        "write -q -P 0x52 2097088k 64k"
    ));
    assert!(qemu_io(
        &cloud,
        (&volume, &key),
        "read -q -P 0x51 1048512k 64k"
    ));
    assert_eq!(cloud.show(&volume).await["size"], 2);
}

#[tokio::test]
async fn an_image_comes_into_a_volume_encrypted() {
    let cloud = sealed().await;
    image(&cloud, &PLAIN);
    encrypted_kind(&cloud, "k").await;
    let body = json!({"size": 1, "volume_type": "k", "imageRef": IMAGE});
    let volume = cloud.volume_of(body).await;
    let shown = cloud.show(&volume).await;
    assert_eq!(
        (&shown["status"], &shown["encrypted"]),
        (&json!("available"), &json!(true))
    );
    assert!(is_closed(&cloud, &volume));
    let key = key(&cloud, &volume).await;
    assert!(qemu_io(&cloud, (&volume, &key), "read -q -P 0x50 0 4k"));
}

#[tokio::test]
async fn a_volume_that_moves_to_another_back_end_stays_closed_and_the_same() {
    let cloud = sealed().await;
    encrypted_kind(&cloud, "k").await;
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "k"}))
        .await;
    let key = key(&cloud, &volume).await;
    assert!(qemu_io(
        &cloud,
        (&volume, &key),
        "write -q -P 0x50 512M 64k"
    ));
    let at = |cloud: &Cloud| {
        let file = cloud.file(&format!("volume-{volume}"));
        file.parent().unwrap().file_name().unwrap().to_owned()
    };
    let before = at(&cloud);
    let there = match before.to_str() {
        Some("one") => "here@two#two",
        _two => "here@one#one",
    };
    let body = json!({"os-migrate_volume": {"host": there}});
    let action = format!("/v3/volumes/{volume}/action");
    cloud.admin().post(&action, body).await.expect(202);
    cloud.settle().await;
    assert_ne!(at(&cloud), before);
    assert!(is_closed(&cloud, &volume));
    assert!(qemu_io(&cloud, (&volume, &key), "read -q -P 0x50 512M 64k"));
    assert_eq!(cloud.show(&volume).await["encrypted"], true);
}

#[tokio::test]
async fn what_would_not_stay_encrypted_is_refused_with_what_would_help() {
    let cloud = sealed().await;
    let encrypted = encrypted_kind(&cloud, "k").await;
    kind(&cloud, "plain").await;
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "k"}))
        .await;
    let plain = cloud
        .volume_of(json!({"size": 1, "volume_type": "plain"}))
        .await;
    let backup = cloud.backup(json!({"volume_id": plain})).await;
    let before = cloud.files();
    let member = cloud.member();
    let action = format!("/v3/volumes/{volume}/action");
    let of_plain = format!("/v3/volumes/{plain}/action");
    let restore = format!("/v3/backups/{backup}/restore");
    for (target, body, why) in [
        (
            action.as_str(),
            json!({"os-volume_upload_image": {"image_name": "i"}}),
            "without encryption",
        ),
        (
            action.as_str(),
            json!({"os-retype": {"new_type": "plain", "migration_policy": "on-demand"}}),
            "copy what is in this one",
        ),
        (
            of_plain.as_str(),
            json!({"os-retype": {"new_type": encrypted}}),
            "copy what is in this one",
        ),
        (
            "/v3/backups",
            json!({"backup": {"volume_id": volume}}),
            "Make a snapshot",
        ),
        (
            restore.as_str(),
            json!({"restore": {"volume_id": volume}}),
            "backups are not",
        ),
        (
            "/v3/volumes",
            json!({"volume": {"size": 1, "backup_id": backup, "volume_type": "k"}}),
            "without encryption",
        ),
        (
            "/v3/volumes",
            json!({"volume": {"size": 1, "source_volid": plain, "volume_type": "k"}}),
            "not compatible",
        ),
    ] {
        let answer = member.post(target, body.clone()).await.expect(400);
        assert!(
            message(&answer.json).contains(why),
            "{body}: {:?}",
            answer.json
        );
    }
    assert_eq!(cloud.files(), before);
    assert_eq!(cloud.status(&volume).await, "available");
    assert_eq!(cloud.status(&plain).await, "available");
}

/// Where files share blocks copies are made; elsewhere they are refused before anything is.
#[tokio::test]
async fn copies_are_as_closed_as_what_they_are_copies_of() {
    let cloud = sealed().await;
    encrypted_kind(&cloud, "k").await;
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "k"}))
        .await;
    let of = key(&cloud, &volume).await;
    assert!(qemu_io(&cloud, (&volume, &of), "write -q -P 0x50 0 64k"));
    let before = cloud.files();
    let body = json!({"snapshot": {"volume_id": volume, "name": "s"}});
    let taken = cloud.member().post("/v3/snapshots", body).await;
    if taken.status == 400 {
        assert!(message(&taken.json).contains("XFS"), "{:?}", taken.json);
        let body = json!({"volume": {"size": 1, "source_volid": volume}});
        let answer = cloud.member().post("/v3/volumes", body).await.expect(400);
        assert!(message(&answer.json).contains("XFS"), "{:?}", answer.json);
        assert_eq!(cloud.files(), before);
        return;
    }
    cloud.settle().await;
    let snapshot = taken.expect(202).json["snapshot"]["id"].clone();
    assert!(qemu_io(&cloud, (&volume, &of), "write -q -P 0x51 0 64k"));
    let copies = [
        json!({"size": 2, "snapshot_id": snapshot}),
        json!({"size": 1, "source_volid": volume}),
    ];
    for (body, byte) in copies.into_iter().zip(["0x50", "0x51"]) {
        let copy = cloud.volume_of(body).await;
        assert!(is_closed(&cloud, &copy));
        let own = key(&cloud, &copy).await;
        let read = format!("read -q -P {byte} 0 64k");
        assert!(qemu_io(&cloud, (&copy, &own), &read));
    }
}

#[tokio::test]
async fn what_cannot_be_encrypted_here_is_not_made() {
    let cloud = sealed().await;
    for (name, encryption, why) in [
        (
            "a",
            json!({"provider": "plain", "control_location": "front-end"}),
            "'luks'",
        ),
        (
            "b",
            json!({"provider": "luks", "control_location": "back-end"}),
            "front-end",
        ),
        (
            "c",
            json!({"provider": "luks", "control_location": "front-end", "cipher": "rot-13-x"}),
            "rot-13-x",
        ),
    ] {
        let id = kind(&cloud, name).await;
        let target = format!("/v3/types/{id}/encryption");
        let body = json!({ "encryption": encryption });
        cloud.admin().post(&target, body).await.expect(200);
        let body = json!({"volume": {"size": 1, "volume_type": name}});
        let answer = cloud.member().post("/v3/volumes", body).await.expect(400);
        assert!(message(&answer.json).contains(why), "{:?}", answer.json);
    }
    assert_eq!(cloud.usage().await.0, 0);
    // A machine without the secret makes none.
    let cloud = crate::kit::cloud().await;
    encrypted_kind(&cloud, "k").await;
    let body = json!({"volume": {"size": 1, "volume_type": "k"}});
    cloud.member().post("/v3/volumes", body).await.expect(503);
}

#[tokio::test]
async fn an_encrypted_volume_is_not_offered_to_another_project() {
    let cloud = sealed().await;
    encrypted_kind(&cloud, "k").await;
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "k"}))
        .await;
    for version in ["volume 3.0", "volume 3.55", "volume 3.67"] {
        let body = json!({"transfer": {"volume_id": volume}});
        let member = cloud.member().at(version);
        let answer = member.post("/v3/volume-transfers", body).await;
        assert_eq!(
            message(&answer.expect(400).json),
            "Invalid volume: transferring encrypted volume is not supported"
        );
    }
    assert_eq!(cloud.status(&volume).await, "available");
    let offers = cloud.member().get("/v3/volume-transfers").await;
    assert_eq!(offers.expect(200).json["transfers"], json!([]));
}

#[tokio::test]
async fn a_file_that_is_no_luks_disk_is_found_and_a_key_goes_with_its_volume() {
    let cloud = sealed().await;
    encrypted_kind(&cloud, "k").await;
    let volume = created(&cloud.member(), json!({"size": 1, "volume_type": "k"})).await;
    cloud.settle().await;
    let path = cloud.file(&format!("volume-{volume}"));
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(b"XXXX", 0).unwrap();
    let found = nephos_api::Check::check(&*cloud.block).await.unwrap();
    assert!(format!("{found:?}").contains("not luks"), "{found:?}");
    cloud
        .member()
        .delete(&format!("/v3/volumes/{volume}"))
        .await
        .expect(202);
    cloud.settle().await;
    let db = &nephos_api::Service::core(&*cloud.block).db;
    let left = db.fetch_scalar::<i64>("SELECT COUNT(*) FROM volume_keys", nephos_db::args![]);
    assert_eq!(left.await.unwrap(), 0);
}

#[tokio::test]
async fn with_another_secret_nothing_opens_nothing_is_made_and_it_is_said() {
    let cloud = sealed().await;
    encrypted_kind(&cloud, "k").await;
    let body = json!({"size": 1, "volume_type": "k"});
    let volume = created(&cloud.member(), body.clone()).await;
    cloud.settle().await;
    assert_eq!(cloud.block.why_closed().await.unwrap(), None);
    let attachment = cloud.attached(&volume).await;
    let target = format!(
        "/v3/{}/attachments/{attachment}/key",
        Persona::Member.project()
    );
    let before = cloud.compute_account().get(&target).await.expect(200).json;
    let mut cloud = cloud;
    for secret in ["fedcba9876543210fedcba9876543210", ""] {
        let changed = cloud.restarted_with(|config| config.sealing_secret = secret.to_owned());
        cloud = changed.await;
        let said = cloud.block.why_closed().await.unwrap().unwrap();
        assert!(said.contains(&volume) && said.contains("sealing_secret"));
        let found = nephos_api::Check::check(&*cloud.block).await.unwrap();
        let mut about = found.iter().filter(|one| one.id == volume);
        assert!(about.any(|one| one.what.contains("key")), "{found:?}");
        let answer = cloud.compute_account().get(&target).await.expect(409).json;
        assert!(message(&answer).contains("sealing_secret"), "{answer:?}");
        let new = json!({ "volume": body });
        cloud.member().post("/v3/volumes", new).await.expect(503);
    }
    // Nothing was lost meanwhile.
    let changed = cloud.restarted_with(|config| config.sealing_secret = SECRET.to_owned());
    let cloud = changed.await;
    assert_eq!(cloud.block.why_closed().await.unwrap(), None);
    let after = cloud.compute_account().get(&target).await.expect(200).json;
    assert_eq!(after, before);
    created(&cloud.member(), body).await;
}
