//! What guests read about themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use http::Method;
use nephos_testkit::{Ask, Persona};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::cloud::{Cloud, SECRET};

fn signed(ask: &Ask, secret: &str, id: &str, project: &str) -> Ask {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(id.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    ask.with_header("x-instance-id", id)
        .with_header("x-tenant-id", project)
        .with_header("x-forwarded-for", "10.0.0.5")
        .with_header("x-instance-id-signature", &signature)
}

/// What a guest reads at a path.
pub(crate) async fn read(cloud: &Cloud, server: &str, path: &str) -> Vec<u8> {
    let guest = signed(&cloud.ask, SECRET, server, Persona::Member.project());
    let answer = guest.get(&format!("/metadata/{path}")).await;
    answer.expect(200).bytes.to_vec()
}

#[tokio::test]
async fn a_guest_reads_its_own_data_and_nobody_elses() {
    let mut cloud = Cloud::new().await;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqnY4TdVKX2mYTZLqMeKJfBqnWzGdbTV2FMsFzU6VyW me";
    let body = json!({"keypair": {"name": "mine", "public_key": key}});
    cloud
        .member()
        .post("/v2.1/os-keypairs", body)
        .await
        .expect(200);
    let script = "#!/bin/sh\necho hello";
    let id = cloud
        .create(&json!({"key_name": "mine", "user_data": STANDARD.encode(script), "metadata": {"role": "web"},
            "config_drive": true, "hostname": "front"}))
        .await;
    cloud.settle().await;
    let guest = signed(&cloud.ask, SECRET, &id, Persona::Member.project());
    let text = |path: &'static str| {
        let guest = guest.clone();
        async move {
            String::from_utf8(
                guest
                    .get(&format!("/metadata{path}"))
                    .await
                    .expect(200)
                    .bytes
                    .to_vec(),
            )
            .unwrap()
        }
    };
    assert!(text("/").await.contains("latest"));
    assert!(text("/openstack").await.contains("2018-08-27"));
    let data: Value =
        serde_json::from_str(&text("/openstack/latest/meta_data.json").await).unwrap();
    assert_eq!(
        (&data["uuid"], &data["hostname"], &data["meta"]["role"]),
        (&json!(id), &json!("front"), &json!("web"))
    );
    assert_eq!(data["public_keys"]["mine"], key);
    assert_eq!(data["project_id"], Persona::Member.project());
    let network: Value =
        serde_json::from_str(&text("/openstack/latest/network_data.json").await).unwrap();
    assert_eq!(network["links"][0]["mtu"], 1450);
    assert_eq!(network["networks"][0]["type"], "ipv4_dhcp");
    assert_eq!(network["services"][0]["address"], "9.9.9.9");
    assert_eq!(text("/openstack/latest/user_data").await, script);
    assert_eq!(text("/openstack/2018-08-27/vendor_data.json").await, "{}");
    assert_eq!(text("/latest/user-data").await, script);
    assert!(text("/latest/meta-data/").await.contains("local-ipv4"));
    assert_eq!(text("/2009-04-04/meta-data/hostname").await, "front");
    assert_eq!(
        text("/latest/meta-data/public-keys/0/openssh-key").await,
        key
    );
    assert!(
        text("/latest/meta-data/local-ipv4")
            .await
            .starts_with("10.0.0.")
    );
    assert!(
        text("/latest/meta-data/instance-id")
            .await
            .starts_with("i-")
    );
    guest
        .get("/metadata/openstack/latest/nothing")
        .await
        .expect(404);

    cloud.ask.get("/metadata/openstack").await.expect(400);
    signed(&cloud.ask, "wrong", &id, Persona::Member.project())
        .get("/metadata/openstack")
        .await
        .expect(403);
    signed(&cloud.ask, SECRET, &id, Persona::OtherProject.project())
        .get("/metadata/openstack")
        .await
        .expect(404);
    let gone = "11111111-1111-4111-8111-111111111111";
    signed(&cloud.ask, SECRET, gone, Persona::Member.project())
        .get("/metadata/openstack")
        .await
        .expect(404);
    assert!(
        cloud
            .simulated
            .snapshot("one")
            .values()
            .next()
            .unwrap()
            .config_drive
            .is_some()
    );
}

#[tokio::test]
async fn a_guest_leaves_its_password_once() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let guest = signed(&cloud.ask, SECRET, &id, Persona::Member.project());
    let target = "/metadata/openstack/latest/password";
    guest
        .send(Method::POST, target, "c2VjcmV0".into())
        .await
        .expect(200);
    guest
        .send(Method::POST, target, "again".into())
        .await
        .expect(409);
    guest
        .send(
            Method::POST,
            "/metadata/openstack/latest/user_data",
            "x".into(),
        )
        .await
        .expect(404);
    let owner = format!("/v2.1/servers/{id}/os-server-password");
    assert_eq!(
        cloud.member().get(&owner).await.expect(200).json,
        json!({"password": "c2VjcmV0"})
    );
    cloud.member().delete(&owner).await.expect(204);
    assert_eq!(
        cloud.member().get(&owner).await.json,
        json!({"password": ""})
    );
    guest
        .send(Method::POST, target, "x".repeat(2000).into())
        .await
        .expect(400);
}

#[tokio::test]
async fn files_given_at_creation_are_on_the_config_drive() {
    let mut cloud = Cloud::new().await;
    let files = json!([{"path": "/etc/motd", "contents": STANDARD.encode("welcome")}]);
    let body = json!({"server": {"name": "old", "imageRef": cloud.image_id, "flavorRef": "small", "personality": files}});
    let made = cloud
        .member()
        .post("/v2.1/servers", body.clone())
        .await
        .expect(202);
    let id = made.json["server"]["id"].as_str().unwrap().to_owned();
    cloud.settle().await;
    let guest = signed(&cloud.ask, SECRET, &id, Persona::Member.project());
    let data = guest
        .get("/metadata/openstack/latest/meta_data.json")
        .await
        .expect(200)
        .json;
    assert_eq!(
        data["files"],
        json!([{"path": "/etc/motd", "content_path": "/content/0000"}])
    );
    assert_eq!(
        &guest
            .get("/metadata/openstack/content/0000")
            .await
            .expect(200)
            .bytes[..],
        b"welcome"
    );
    cloud
        .member()
        .at("compute 2.57")
        .post("/v2.1/servers", body)
        .await
        .expect(400);
    let many = json!({"server": {"name": "old", "imageRef": cloud.image_id, "flavorRef": "small",
        "personality": vec![json!({"path": "/a", "contents": ""}); 6]}});
    cloud.member().post("/v2.1/servers", many).await.expect(403);
}
