//! Another password for the administrator of a guest.

use nephos_compute::driver::DriverError;
use nephos_compute::driver::fake::Verb;
use nephos_db::args;
use nephos_testkit::{Answer, HOST};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::crash::{killed_everywhere, seen};
use crate::volumes::outcome;

const PASSWORD: &str = "correct horse";

/// A cloud whose image says that there is an agent, and a server of it that runs.
async fn with_agent() -> (Cloud, String) {
    let mut cloud = Cloud::new().await;
    let more = json!({"hw_qemu_guest_agent": "yes", "os_admin_user": "boss"});
    cloud.image_id = cloud.image.add_image(&more);
    let server = cloud.running().await;
    (cloud, server)
}

async fn change(cloud: &mut Cloud, server: &str) -> Answer {
    let member = cloud.member().at("compute 2.96");
    let target = format!("/v2.1/servers/{server}/action");
    let asking = member.post(&target, json!({"changePassword": {"adminPass": PASSWORD}}));
    let answer = cloud.run_beside(asking).await;
    cloud.settle().await;
    answer
}

/// Whether anything in the database knows the password, or waits to be told it.
async fn kept(cloud: &Cloud) -> i64 {
    let rows = "SELECT COUNT(*) FROM guest_passwords";
    let sealed: i64 = cloud.db.fetch_scalar(rows, args![]).await.unwrap();
    let clear = "SELECT COUNT(*) FROM feed_items WHERE spec LIKE '%correct horse%'";
    let told: i64 = cloud.db.fetch_scalar(clear, args![]).await.unwrap();
    let clear = "SELECT COUNT(*) FROM operations WHERE args LIKE '%correct horse%'";
    let asked: i64 = cloud.db.fetch_scalar(clear, args![]).await.unwrap();
    sealed + told + asked
}

#[tokio::test]
async fn a_guests_administrator_gets_another_password_and_nobody_keeps_it() {
    let (mut cloud, server) = with_agent().await;
    change(&mut cloud, &server).await.expect(202);
    let id = server.as_str().into();
    let now = cloud.simulated.password("one", &id, "boss");
    assert_eq!(now.as_deref(), Some(PASSWORD));
    assert_eq!(kept(&cloud).await, 0);
    let shown = cloud.show(&server).await;
    assert_eq!(shown["OS-EXT-STS:task_state"], Value::Null);
    let (result, _) = outcome(&cloud, &server, "changePassword").await;
    assert_eq!(result, "Success");
    let again = format!("/host/v1/passwords/{server}");
    cloud.ask.as_host(HOST).get(&again).await.expect(404);
}

#[tokio::test]
async fn a_guest_without_an_agent_is_not_asked() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let answer = change(&mut cloud, &server).await.expect(409);
    let said = answer.json["conflictingRequest"]["message"].as_str();
    assert!(said.unwrap().contains("hw_qemu_guest_agent"), "{said:?}");
    assert_eq!(cloud.simulated.calls("one", Verb::Password), 0);
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_said_to_and_the_server_stays_as_it_is() {
    let (mut cloud, server) = with_agent().await;
    cloud
        .simulated
        .set_deaf("one", &server.as_str().into(), true);
    let answer = change(&mut cloud, &server).await.expect(501);
    let said = answer.json["notImplemented"]["message"].as_str();
    assert!(said.unwrap().contains("qemu-guest-agent"), "{said:?}");
    let shown = cloud.show(&server).await;
    assert_eq!(
        (&shown["status"], &shown["fault"]),
        (&json!("ACTIVE"), &Value::Null)
    );
    assert_eq!(shown["OS-EXT-STS:task_state"], Value::Null);
    assert_eq!(kept(&cloud).await, 0);
}

#[tokio::test]
async fn only_a_server_that_is_active_is_asked_and_no_reply_repeats_the_password() {
    let (mut cloud, server) = with_agent().await;
    let stop = json!({"os-stop": null});
    cloud.act(&server, stop).await.expect(202);
    cloud.settle().await;
    change(&mut cloud, &server).await.expect(409);
    let odd = json!({"changePassword": {"adminPass": "correct\0horse"}});
    let answer = cloud.act(&server, odd).await.expect(400);
    assert!(!answer.json.to_string().contains("horse"));
}

#[tokio::test]
async fn a_password_of_a_wrong_form_is_not_repeated() {
    let (cloud, server) = with_agent().await;
    let odd = [
        json!({"changePassword": {"adminPass": 12_345_678}}),
        json!({"changePassword": {"adminPass": ["12345678"]}}),
        json!({"changePassword": {"adminPass": {"x": "12345678"}}}),
        json!({"changePassword": {"adminpass": "12345678"}}),
        json!({"changePassword": "12345678"}),
        json!({"rebuild": {"imageRef": cloud.image_id, "adminPass": 12_345_678}}),
        json!({"rebuild": {"imageRef": cloud.image_id, "adminPass": "12345678", "colour": 1}}),
    ];
    for body in odd {
        let answer = cloud.act(&server, body.clone()).await.expect(400);
        // It is also what the log has.
        let said = answer.json["badRequest"]["message"].as_str().unwrap();
        assert!(!said.contains("12345678"), "{body}: {said}");
        assert!(said.contains("not shown"), "{body}: {said}");
    }
    let new = json!({"name": "s", "adminPass": 12_345_678, "flavorRef": "1", "networks": "none"});
    let member = cloud.member().at("compute 2.96");
    let answer = member
        .post("/v2.1/servers", json!({ "server": new }))
        .await
        .expect(400);
    let said = answer.json["badRequest"]["message"].as_str().unwrap();
    assert!(!said.contains("12345678"), "{said}");
}

#[tokio::test]
async fn a_password_whose_server_is_deleted_or_whose_host_is_silent_is_forgotten() {
    for deleted in [true, false] {
        let (mut cloud, server) = with_agent().await;
        for _try in 0..100 {
            let busy = DriverError::Unavailable("busy".to_owned());
            cloud.simulated.fail_next("one", Verb::Password, busy);
        }
        let member = cloud.member().at("compute 2.96");
        let target = format!("/v2.1/servers/{server}/action");
        let body = json!({"changePassword": {"adminPass": PASSWORD}});
        // Who asked has gone; the work has begun.
        let asking = member.post(&target, body);
        cloud.run_beside(asking).await.expect(202);
        assert_eq!(kept(&cloud).await, 1);
        if deleted {
            let target = format!("/v2.1/servers/{server}");
            cloud.member().delete(&target).await.expect(204);
            cloud.settle().await;
            cloud.assert_nothing_left().await;
        } else {
            cloud.work_for(60).await;
            let (result, _) = outcome(&cloud, &server, "changePassword").await;
            assert_eq!(result, "Error");
        }
        assert_eq!(kept(&cloud).await, 0);
    }
}

async fn changed() -> (Vec<Value>, u32) {
    let (mut cloud, server) = with_agent().await;
    let answer = change(&mut cloud, &server).await;
    let now = cloud
        .simulated
        .password("one", &server.as_str().into(), "boss");
    let story = vec![
        json!([answer.status, now, kept(&cloud).await]),
        seen(&cloud.show(&server).await),
    ];
    (story, cloud.killed)
}

#[tokio::test]
async fn a_change_killed_anywhere_is_the_same_change() {
    killed_everywhere(changed, 3).await;
}
