//! What the token of a host is good for, and what a thief of one cannot do with it.

use nephos_compute::driver::fake::HostSize;
use nephos_ops::feed;
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::cloud::Cloud;

/// A cloud with a server on one of two hosts: the server, its host, the other one.
async fn two_hosts() -> (Cloud, [String; 3]) {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let id = cloud.running().await;
    let host = cloud.show(&id).await["OS-EXT-SRV-ATTR:host"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = if host == "one" { "two" } else { "one" }.to_owned();
    (cloud, [id, host, other])
}

fn words(answer: &nephos_testkit::Answer) -> String {
    answer.json["forbidden"]["message"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_host_reads_its_own_feed_whether_it_names_itself_or_not_and_no_other() {
    let (cloud, [id, host, other]) = two_hosts().await;
    let (own, stranger) = (cloud.ask.as_host(&host), cloud.ask.as_host(&other));
    let named = format!("/host/v1/feed?host={host}");
    for target in ["/host/v1/feed", named.as_str()] {
        let page = own.get(target).await.expect(200).json;
        assert_eq!(page["items"][0]["id"], json!(id), "{page}");
    }
    assert_eq!(
        stranger.get("/host/v1/feed").await.expect(200).json["items"],
        json!([])
    );
    let refused = words(&stranger.get(&named).await.expect(403));
    assert!(
        refused.contains("host one") && refused.contains("host two"),
        "{refused}"
    );
    for persona in [Persona::Service, Persona::Admin, Persona::Member] {
        let no_host = cloud.ask.as_persona(persona);
        no_host.get(&named).await.expect(403);
        let report = format!("/host/v1/observed?host={host}");
        no_host.put(&report, json!([])).await.expect(403);
    }
}

#[tokio::test]
async fn what_a_host_reports_counts_for_what_is_on_it_and_for_nothing_else() {
    let (mut cloud, [id, host, other]) = two_hosts().await;
    let stranger = cloud.ask.as_host(&other);
    let off = json!([{"kind": "server", "id": id, "generation_seen": 99, "state": "stopped", "at": "2026-01-02T03:04:05Z",
            "detail": {"server_id": id, "generation_seen": 99, "state": "stopped", "progress": {"is": "settled"},
"at": "2026-01-02T03:04:05Z"}}]);
    let in_its_name = format!("/host/v1/observed?host={host}");
    stranger.put(&in_its_name, off.clone()).await.expect(403);
    stranger.put("/host/v1/observed", off).await.expect(204);
    let named = json!([{"kind": "host", "id": host, "generation_seen": 0, "state": "", "at": "2026-01-02T03:04:05Z",
        "detail": cloud.hosts[&host].inventory().await}]);
    stranger.put("/host/v1/observed", named).await.expect(400);
    cloud.work_for(2).await;
    assert_eq!(cloud.show(&id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn what_a_host_was_never_told_of_is_not_noted_when_it_reports_it() {
    let (cloud, [id, host, other]) = two_hosts().await;
    let made_up = nephos_runtime::ids::derived(&uuid::Uuid::NAMESPACE_OID, "made up").to_string();
    let seen = |kind: &str, id: &str| {
        json!({"kind": kind, "id": id, "generation_seen": 1, "state": "", "detail": {},
        "at": "2026-01-02T03:04:05Z"})
    };
    let kinds = [
        "server",
        "console",
        "snapshot",
        "call",
        "disk",
        "of a newer release",
    ];
    let all: Vec<_> = kinds.iter().map(|kind| seen(kind, &made_up)).collect();
    let stranger = cloud.ask.as_host(&other);
    stranger
        .put("/host/v1/observed", json!(all))
        .await
        .expect(204);
    // Nor is it asked for the console of a server that is elsewhere.
    stranger
        .put("/host/v1/observed", json!([seen("console", &id)]))
        .await
        .expect(204);
    for kind in kinds {
        let noted = feed::observed(&cloud.db, kind, &made_up).await.unwrap();
        assert_eq!(noted, [], "{kind}");
    }
    assert_eq!(feed::observed(&cloud.db, "console", &id).await.unwrap(), []);
    let own = feed::observed(&cloud.db, "server", &id).await.unwrap();
    assert_eq!(
        own.iter()
            .map(|seen| seen.host.as_str())
            .collect::<Vec<_>>(),
        [host.as_str()]
    );
}

#[tokio::test]
async fn a_host_asks_in_the_name_of_guests_that_it_has_and_of_no_others() {
    let (cloud, [id, host, other]) = two_hosts().await;
    let project = Persona::Member.project();
    let asks = |host: &str, project: &str| {
        let ask = cloud.ask.as_host(host);
        ask.with_header("x-instance-id", &id)
            .with_header("x-tenant-id", project)
    };
    let target = "/metadata/openstack/latest/meta_data.json";
    let answer = asks(&host, project).get(target).await.expect(200);
    assert_eq!(answer.json["uuid"], json!(id));
    asks(&other, project).get(target).await.expect(404);
    asks(&host, Persona::OtherProject.project())
        .get(target)
        .await
        .expect(404);
    // Without a host's token it is the signature that counts.
    let service = cloud.ask.as_persona(Persona::Service);
    let unsigned = service
        .with_header("x-instance-id", &id)
        .with_header("x-tenant-id", project);
    unsigned.get(target).await.expect(400);
}

#[tokio::test]
async fn which_images_a_host_needs_follows_from_its_servers() {
    let (cloud, [_id, host, other]) = two_hosts().await;
    let service = cloud.ask.as_persona(Persona::Service);
    let needs = |host: &str, image: &str| format!("/host/v1/hosts/{host}/images/{image}");
    service
        .get(&needs(&host, &cloud.image_id))
        .await
        .expect(204);
    service
        .get(&needs(&other, &cloud.image_id))
        .await
        .expect(404);
    service
        .get(&needs(&host, "11111111-1111-4111-8111-111111111111"))
        .await
        .expect(404);
    cloud
        .ask
        .as_host(&host)
        .get(&needs(&host, &cloud.image_id))
        .await
        .expect(403);
}

#[tokio::test]
async fn a_stolen_token_does_nothing_that_users_operators_or_services_do() {
    let (cloud, [id, host, other]) = two_hosts().await;
    assert_ne!(host, other);
    let thief = cloud.ask.as_host(&host);
    for target in [
        "/v2.1/servers".to_owned(),
        "/v2.1/flavors".to_owned(),
        format!("/v2.1/servers/{id}"),
        "/v2.1/os-services".to_owned(),
        "/v2.1/os-hypervisors".to_owned(),
        "/v2.1/os-availability-zone".to_owned(),
    ] {
        let refused = thief.get(&target).await.expect(403);
        assert!(words(&refused).contains(&host), "{target}");
    }
    thief
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(403);
    let action = format!("/v2.1/servers/{id}/action");
    thief
        .post(&action, json!({"os-stop": Value::Null}))
        .await
        .expect(403);
    let events = json!({"events": [{"name": "network-changed", "server_uuid": id}]});
    thief
        .post("/v2.1/os-server-external-events", events)
        .await
        .expect(403);
}

#[tokio::test]
async fn a_host_that_was_added_for_a_zone_is_in_it_from_its_first_report_and_stays_where_operators_put_it()
 {
    let cloud = Cloud::with_hosts(&["one"], HostSize::default()).await;
    let mut inventory = cloud.hosts["one"].inventory().await;
    inventory["host"] = json!("late");
    let report = json!([{"kind": "host", "id": "late", "generation_seen": 0, "state": "", "at": "2026-01-02T03:04:05Z",
        "detail": inventory}]);
    let mut caller = nephos_auth::Caller::of_host("late", "late".into());
    caller.host_zone = Some("az1".to_owned());
    caller.expires_at = nephos_types::Timestamp(i64::MAX);
    let late = cloud.ask.with_token(&cloud.world.sign(&caller));
    late.put("/host/v1/observed", report.clone())
        .await
        .expect(204);
    let aggregates = || async {
        cloud
            .admin()
            .get("/v2.1/os-aggregates")
            .await
            .expect(200)
            .json["aggregates"]
            .clone()
    };
    let made = aggregates().await;
    assert_eq!(
        (
            &made[0]["name"],
            &made[0]["availability_zone"],
            &made[0]["hosts"]
        ),
        (&json!("az1"), &json!("az1"), &json!(["late"]))
    );
    let action = format!("/v2.1/os-aggregates/{}/action", made[0]["id"]);
    let out = json!({"remove_host": {"host": "late"}});
    cloud.admin().post(&action, out).await.expect(200);
    late.put("/host/v1/observed", report).await.expect(204);
    assert_eq!(aggregates().await[0]["hosts"], json!([]));
}

#[tokio::test]
async fn what_opens_a_volume_its_own_host_learns_and_keeps_nothing_of() {
    let (mut cloud, [id, host, other]) = two_hosts().await;
    let volume = cloud.block.add(&json!({"size": 1}));
    let wish = json!({"volumeId": volume});
    crate::volumes::attach(&mut cloud, &id, wish)
        .await
        .expect(200);
    cloud.settle().await;
    let target = format!("/host/v1/servers/{id}/volumes/{volume}/key");
    let own = cloud.ask.as_host(&host).get(&target).await.expect(200).json;
    assert!(own["key"].as_str().unwrap().starts_with("key of "), "{own}");
    cloud.ask.as_host(&other).get(&target).await.expect(404);
    cloud.admin().get(&target).await.expect(403);
    let strange = format!("/host/v1/servers/{id}/volumes/none/key");
    cloud.ask.as_host(&host).get(&strange).await.expect(404);
    let told = "SELECT COUNT(*) FROM feed_items WHERE spec LIKE '%key of %'";
    let told = cloud.db.fetch_scalar::<i64>(told, nephos_db::args![]).await;
    assert_eq!(told.unwrap(), 0);
    crate::volumes::detach(&cloud, &id, &volume)
        .await
        .expect(202);
    cloud.settle().await;
    cloud.ask.as_host(&host).get(&target).await.expect(404);
}
