//! Signing keys: made once, rotated, and known to every process that shares the database.

use std::time::Duration;

use nephos_auth::{Issuer, Verifier, keys};
use nephos_identity::Config;
use nephos_testkit::World;
use serde_json::Value;

use crate::cloud::{ADMIN_PASSWORD, Cloud, bootstrap, by_name, on_project, token_of};

fn kids(cloud: &Cloud) -> Vec<String> {
    let bundle = cloud.identity.trust_bundle();
    bundle.keys.iter().map(|key| key.kid.clone()).collect()
}

fn kid_of(token: &str) -> String {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(header)
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn fresh_token(cloud: &Cloud) -> String {
    let identity = by_name("admin", ADMIN_PASSWORD);
    let answer = cloud.log_in(identity, on_project("admin")).await;
    token_of(&answer.expect(201)).to_owned()
}

#[tokio::test]
async fn a_rotated_key_was_known_before_it_signs_and_old_tokens_stay_good_until_they_end() {
    let cloud = Cloud::new().await;
    let first = fresh_token(&cloud).await;
    let before = kids(&cloud);
    let admin = cloud.admin().await;
    // A key that was just staged signs nothing yet.
    let refused = admin.post("/trust/v1/keys", Value::Null).await.expect(409);
    let words = refused.json["error"]["message"].as_str().unwrap();
    assert!(words.contains("staged"), "{words}");
    cloud.world.clock.advance(Duration::from_secs(61));
    admin.post("/trust/v1/keys", Value::Null).await.expect(204);
    let second = fresh_token(&cloud).await;
    assert_eq!(kid_of(&second), before[1]);
    assert_ne!(kid_of(&first), kid_of(&second));
    assert_eq!(kids(&cloud).len(), 3);
    let with_first = cloud.ask.with_token(&first);
    with_first.get("/v3/users").await.expect(200);
    // Tokens live for an hour; a rotation later than that forgets the key that signed the first.
    cloud.world.clock.advance(Duration::from_secs(3700));
    let admin = cloud.admin().await;
    admin.post("/trust/v1/keys", Value::Null).await.expect(204);
    assert!(!kids(&cloud).contains(&before[0]));
    assert!(kids(&cloud).contains(&before[1]));
}

#[tokio::test]
async fn the_keys_of_a_folder_are_taken_over_once() {
    let world = World::new();
    let folder = world.folder().join("old-keys");
    std::fs::create_dir(&folder).unwrap();
    let texts = [keys::generate().unwrap(), keys::generate().unwrap()];
    for (number, text) in texts.iter().enumerate() {
        std::fs::write(folder.join(format!("00000{}.pem", number + 1)), text).unwrap();
    }
    let identity = Cloud::open(&world, Config::default()).await;
    let mut wanted = bootstrap("http://cloud.test");
    wanted.key_folder = Some(folder.clone());
    identity.bootstrap(&wanted).await.unwrap();
    let known = |text: &String| Issuer::new(text).unwrap().public().kid.clone();
    let cloud = Cloud::around(world, identity);
    assert_eq!(kids(&cloud), texts.each_ref().map(known));
    assert_eq!(kid_of(&fresh_token(&cloud).await), known(&texts[0]));
    // From now on the database has them.
    std::fs::remove_dir_all(folder).unwrap();
    cloud.identity.bootstrap(&wanted).await.unwrap();
    assert_eq!(kids(&cloud), texts.each_ref().map(known));
}

#[tokio::test]
async fn two_processes_sign_with_the_same_key_and_one_with_another_secret_says_why_not() {
    let cloud = Cloud::new().await;
    let other = Cloud::open(&cloud.world, Config::default()).await;
    other.load().await.unwrap();
    assert_eq!(*other.trust_bundle(), *cloud.identity.trust_bundle());
    // Whoever fetched the bundle believes tokens of both.
    let verifier = Verifier::new(cloud.world.clock.clone());
    verifier.update(&other.trust_bundle()).unwrap();
    verifier.verify(&fresh_token(&cloud).await).unwrap();
    let core = cloud.world.core::<nephos_identity::Identity>().await;
    let config = Config {
        signing_secret: "not the secret of every test".to_owned(),
        ..Config::default()
    };
    let bus = cloud.world.bus.clone();
    let stranger = nephos_identity::Identity::new(core, bus, config).unwrap();
    let why = stranger.load().await.unwrap_err().to_string();
    assert!(why.contains("signing_secret"), "{why}");
}
