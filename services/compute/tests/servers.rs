//! The life of servers.

use nephos_compute::driver::DriverError;
use nephos_compute::driver::fake::{HostSize, Verb};
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::cloud::Cloud;

#[tokio::test]
async fn a_server_is_made_runs_and_goes_without_a_trace() {
    let mut cloud = Cloud::new().await;
    let id = cloud
        .create(&json!({"metadata": {"a": "b"}, "tags": ["blue"], "description": "mine"}))
        .await;
    let new = cloud.show(&id).await;
    assert_eq!(
        (&new["status"], &new["OS-EXT-STS:task_state"]),
        (&json!("BUILD"), &json!("scheduling"))
    );
    cloud.settle().await;

    let server = cloud.show(&id).await;
    assert_eq!(server["status"], "ACTIVE", "{server}");
    assert_eq!(server["OS-EXT-STS:power_state"], 1);
    assert_eq!(server["OS-EXT-SRV-ATTR:host"], "one");
    assert_eq!(server["OS-EXT-AZ:availability_zone"], "nova");
    assert_eq!(server["metadata"], json!({"a": "b"}));
    assert_eq!(server["tags"], json!(["blue"]));
    assert_eq!(server["flavor"]["original_name"], "small");
    let address = &server["addresses"]["private"][0];
    assert!(
        address["addr"].as_str().unwrap().starts_with("10.0.0."),
        "{server}"
    );
    assert_eq!(address["OS-EXT-IPS:type"], "fixed");
    assert!(server["OS-SRV-USG:launched_at"].is_string());
    let ports = cloud.network.ports();
    assert_eq!(ports.len(), 1);
    assert_eq!(ports[0]["binding:host_id"], "one");
    assert_eq!(ports[0]["device_owner"], "compute:nova");
    assert_eq!(cloud.placement.state().allocations.len(), 1);

    let target = format!("/v2.1/servers/{id}");
    cloud.member().delete(&target).await.expect(204);
    assert_eq!(cloud.show(&id).await["OS-EXT-STS:task_state"], "deleting");
    cloud.settle().await;
    cloud.member().get(&target).await.expect(404);
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn power_follows_the_wish_and_the_guest() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    for (action, status, power) in [
        (json!({"os-stop": null}), "SHUTOFF", 4),
        (json!({"os-start": null}), "ACTIVE", 1),
        (json!({"pause": null}), "PAUSED", 3),
        (json!({"unpause": null}), "ACTIVE", 1),
        (json!({"suspend": null}), "SUSPENDED", 4),
        (json!({"resume": null}), "ACTIVE", 1),
        (json!({"reboot": {"type": "HARD"}}), "ACTIVE", 1),
        (json!({"reboot": {"type": "SOFT"}}), "ACTIVE", 1),
    ] {
        cloud.act(&id, action.clone()).await.expect(202);
        assert!(
            !cloud.show(&id).await["OS-EXT-STS:task_state"].is_null(),
            "{action}"
        );
        // While it lasts, nothing else may begin.
        cloud.act(&id, json!({"os-stop": null})).await.expect(409);
        cloud.settle().await;
        let server = cloud.show(&id).await;
        assert_eq!(server["status"], status, "{action}");
        assert_eq!(server["OS-EXT-STS:power_state"], power, "{action}");
        assert!(server["OS-EXT-STS:task_state"].is_null(), "{action}");
    }
    let wrong = cloud.act(&id, json!({"os-start": null})).await.expect(409);
    let message = wrong.json["conflictingRequest"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        message,
        format!("Cannot 'start' instance {id} while it is in vm_state active")
    );

    cloud.simulated.guest_shuts_down("one", &id.as_str().into());
    cloud
        .world
        .clock
        .advance(std::time::Duration::from_secs(70));
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "SHUTOFF");
}

#[tokio::test]
async fn a_host_that_cannot_is_left_for_another() {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    for host in ["one", "two"] {
        cloud.simulated.fail_next(
            host,
            Verb::Image,
            DriverError::Refused("no such image here".to_owned()),
        );
    }
    let id = cloud.create(&json!({})).await;
    cloud.settle().await;
    let server = cloud.show(&id).await;
    // Two hosts, both refused once: the third choice finds none that was not tried.
    assert_eq!(server["status"], "ERROR", "{server}");
    let message = server["fault"]["message"].as_str().unwrap();
    assert!(message.starts_with("No valid host was found"), "{message}");
    assert!(message.contains("2 of 2 was tried and failed"), "{message}");
    assert!(
        server["fault"]["details"].as_str().unwrap().contains("one"),
        "{server}"
    );
    let owner = cloud
        .member()
        .get(&format!("/v2.1/servers/{id}"))
        .await
        .expect(200);
    assert_eq!(
        owner.json["server"]["fault"].get("details"),
        None,
        "host names are for admins"
    );
    assert!(cloud.placement.state().allocations.is_empty());
    assert!(cloud.network.ports().is_empty());

    cloud
        .simulated
        .fail_next("one", Verb::Image, DriverError::Refused("no".to_owned()));
    let second = cloud.create(&json!({})).await;
    cloud.settle().await;
    assert_eq!(cloud.show(&second).await["status"], "ACTIVE");

    for server in [&id, &second] {
        cloud
            .member()
            .delete(&format!("/v2.1/servers/{server}"))
            .await
            .expect(204);
    }
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn when_nothing_fits_the_fault_says_why() {
    let mut cloud = Cloud::with_hosts(
        &["one", "two"],
        HostSize {
            vcpus: 1,
            ram_mib: 1024,
            disk_gib: 100,
        },
    )
    .await;
    let big = json!({"flavor": {"id": "big", "name": "big", "vcpus": 64, "ram": 128, "disk": 1}});
    cloud.admin().post("/v2.1/flavors", big).await.expect(200);
    let limit = json!({"quota_set": {"cores": -1}});
    cloud
        .admin()
        .put(
            &format!("/v2.1/os-quota-sets/{}", Persona::Member.project()),
            limit,
        )
        .await
        .expect(200);
    let id = cloud.create(&json!({"flavorRef": "big"})).await;
    cloud.settle().await;
    let server = cloud.show(&id).await;
    let message = server["fault"]["message"].as_str().unwrap();
    assert_eq!(server["status"], "ERROR");
    assert!(
        message.contains("for 1 DISK_GB, 128 MEMORY_MB, 64 VCPU"),
        "{message}"
    );
    assert!(message.contains("2 of 2 has no room"), "{message}");
}

#[tokio::test]
async fn a_server_can_be_deleted_at_any_moment() {
    let mut cloud = Cloud::new().await;
    let id = cloud.create(&json!({})).await;
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;

    let id = cloud.create(&json!({})).await;
    cloud.worker.drain().await.unwrap();
    assert_eq!(cloud.show(&id).await["OS-EXT-STS:task_state"], "spawning");
    cloud
        .act(&id, json!({"forceDelete": null}))
        .await
        .expect(202);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn several_servers_of_one_request() {
    let mut cloud = Cloud::new().await;
    let body = cloud.body(&json!({"min_count": 2, "max_count": 3, "return_reservation_id": true}));
    let made = cloud
        .member()
        .at("compute 2.96")
        .post("/v2.1/servers", body)
        .await
        .expect(202);
    let reservation = made.json["reservation_id"].as_str().unwrap().to_owned();
    cloud.settle().await;
    let target = format!(
        "/v2.1/servers/detail?reservation_id={reservation}&sort_key=display_name&sort_dir=asc"
    );
    let listed = cloud.member().get(&target).await.expect(200);
    let names: Vec<&str> = listed.json["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["web-1", "web-2", "web-3"]);
    assert!(
        listed.json["servers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["status"] == "ACTIVE")
    );
}

#[tokio::test]
async fn a_quota_raced_by_twenty_is_not_passed() {
    let cloud = Cloud::new().await;
    let limit = json!({"quota_set": {"instances": 5}});
    cloud
        .admin()
        .put(
            &format!("/v2.1/os-quota-sets/{}", Persona::Member.project()),
            limit,
        )
        .await
        .expect(200);
    let member = cloud.member().at("compute 2.96");
    let creates = (0..20).map(|_| member.post("/v2.1/servers", cloud.body(&json!({}))));
    let answers = futures_util::future::join_all(creates).await;
    let made = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(made, 5);
    for refused in answers.iter().filter(|answer| answer.status != 202) {
        assert_eq!(refused.status, 403);
        let message = refused.json["forbidden"]["message"].as_str().unwrap();
        assert!(
            message
                .starts_with("Quota exceeded for instances: Requested 1, but already used 5 of 5"),
            "{message}"
        );
    }
    let detail = format!("/v2.1/os-quota-sets/{}/detail", Persona::Member.project());
    let used = cloud.admin().get(&detail).await.expect(200);
    assert_eq!(
        used.json["quota_set"]["instances"],
        json!({"limit": 5, "in_use": 5, "reserved": 0})
    );
    let limits = cloud.member().get("/v2.1/limits").await.expect(200);
    assert_eq!(limits.json["limits"]["absolute"]["totalInstancesUsed"], 5);
}

#[tokio::test]
async fn lists_filter_sort_and_page() {
    let mut cloud = Cloud::new().await;
    for (name, tag) in [("alpha", "red"), ("beta", "blue"), ("gamma", "red")] {
        cloud.create(&json!({"name": name, "tags": [tag]})).await;
        cloud.world.clock.advance(std::time::Duration::from_secs(1));
    }
    cloud.settle().await;
    let member = cloud.member().at("compute 2.90");
    let names = |json: &Value| -> Vec<String> {
        json["servers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let list = |query: &'static str| {
        let member = member.clone();
        async move {
            member
                .get(&format!("/v2.1/servers?{query}"))
                .await
                .expect(200)
                .json
        }
    };
    assert_eq!(names(&list("").await), ["gamma", "beta", "alpha"]);
    assert_eq!(names(&list("name=%5Eb").await), ["beta"]);
    assert_eq!(
        names(&list("tags=red&sort_key=display_name&sort_dir=asc").await),
        ["alpha", "gamma"]
    );
    assert_eq!(
        names(&list("status=active&name=a$&limit=2&sort_dir=asc").await),
        ["alpha", "beta"]
    );
    assert_eq!(names(&list("status=SHUTOFF").await), Vec::<String>::new());
    let first = list("limit=2").await;
    let next = first["servers_links"][0]["href"].as_str().unwrap();
    let next = next
        .strip_prefix("http://cloud.test/compute")
        .unwrap()
        .to_owned();
    let second = member.get(&next).await.expect(200);
    assert_eq!(names(&second.json), ["alpha"]);
    assert_eq!(
        names(&list("changes-since=2030-01-01T00:00:00Z").await),
        Vec::<String>::new()
    );
    member.get("/v2.1/servers?status=wrong").await.expect(400);
    member.get("/v2.1/servers?colour=red").await.expect(400);
    member.get("/v2.1/servers?marker=nothing").await.expect(400);
    member.get("/v2.1/servers?limit=-1").await.expect(400);
    member.get("/v2.1/servers?limit=1.5").await.expect(400);
    let huge = "limit=99999999999999999999999";
    assert_eq!(list(huge).await["servers"].as_array().unwrap().len(), 3);
    assert_eq!(list("limit=0").await["servers"], json!([]));
    member
        .get("/v2.1/servers?changes-since=yesterday")
        .await
        .expect(400);
    member.get("/v2.1/servers?all_tenants=1").await.expect(403);
    let everybody = cloud
        .admin()
        .get("/v2.1/servers?all_tenants=1")
        .await
        .expect(200);
    assert_eq!(names(&everybody.json).len(), 3);
    assert_eq!(
        names(&cloud.admin().get("/v2.1/servers").await.json).len(),
        0
    );
    let other = cloud
        .ask
        .as_persona(Persona::OtherProject)
        .get("/v2.1/servers/detail")
        .await
        .expect(200);
    assert_eq!(names(&other.json).len(), 0);
}

#[tokio::test]
async fn names_metadata_tags_and_locks_change_at_once() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let at = |rest: &str| format!("/v2.1/servers/{id}{rest}");
    let member = cloud.member().at("compute 2.96");
    let renamed = json!({"server": {"name": "db", "accessIPv4": "192.0.2.1", "description": null}});
    let shown = member.put(&at(""), renamed).await.expect(200);
    assert_eq!(
        (
            &shown.json["server"]["name"],
            &shown.json["server"]["accessIPv4"]
        ),
        (&json!("db"), &json!("192.0.2.1"))
    );

    let body = json!({"metadata": {"a": "1", "b": "2"}});
    assert_eq!(
        member
            .post(&at("/metadata"), body.clone())
            .await
            .expect(200)
            .json,
        body
    );
    member
        .put(&at("/metadata/a"), json!({"meta": {"a": "3"}}))
        .await
        .expect(200);
    member
        .put(&at("/metadata/a"), json!({"meta": {"c": "3"}}))
        .await
        .expect(400);
    assert_eq!(
        member.get(&at("/metadata/a")).await.expect(200).json,
        json!({"meta": {"a": "3"}})
    );
    member.delete(&at("/metadata/b")).await.expect(204);
    member.delete(&at("/metadata/b")).await.expect(404);
    member
        .put(&at("/metadata"), json!({"metadata": {"z": "9"}}))
        .await
        .expect(200);
    assert_eq!(
        member.get(&at("/metadata")).await.expect(200).json,
        json!({"metadata": {"z": "9"}})
    );

    assert_eq!(member.put(&at("/tags/x"), Value::Null).await.status, 201);
    assert_eq!(member.put(&at("/tags/x"), Value::Null).await.status, 204);
    member.get(&at("/tags/x")).await.expect(204);
    member
        .put(&at("/tags"), json!({"tags": ["b", "a", "a"]}))
        .await
        .expect(200);
    assert_eq!(
        member.get(&at("/tags")).await.json,
        json!({"tags": ["a", "b"]})
    );
    member.delete(&at("/tags/a")).await.expect(204);
    member.get(&at("/tags/a")).await.expect(404);
    member.delete(&at("/tags")).await.expect(204);

    cloud
        .act(&id, json!({"lock": {"locked_reason": "audit"}}))
        .await
        .expect(202);
    let locked = cloud.show(&id).await;
    assert_eq!(
        (&locked["locked"], &locked["locked_reason"]),
        (&json!(true), &json!("audit"))
    );
    cloud.act(&id, json!({"os-stop": null})).await.expect(409);
    member.delete(&at("")).await.expect(409);
    cloud.act(&id, json!({"unlock": null})).await.expect(202);
    let admin = cloud.admin().at("compute 2.96");
    admin
        .post(&at("/action"), json!({"lock": null}))
        .await
        .expect(202);
    cloud.act(&id, json!({"unlock": null})).await.expect(403);
    admin
        .post(&at("/action"), json!({"os-resetState": {"state": "error"}}))
        .await
        .expect(202);
    assert_eq!(cloud.show(&id).await["status"], "ERROR");
}

#[tokio::test]
async fn history_is_kept_and_outlives_the_server() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    cloud.act(&id, json!({"os-stop": null})).await.expect(202);
    cloud.settle().await;
    let target = format!("/v2.1/servers/{id}/os-instance-actions");
    let member = cloud.member().at("compute 2.96");
    let listed = member.get(&target).await.expect(200).json;
    let actions: Vec<&str> = listed["instanceActions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["stop", "create"]);
    let request = listed["instanceActions"][1]["request_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = member
        .get(&format!("{target}/{request}"))
        .await
        .expect(200)
        .json;
    let event = &shown["instanceAction"]["events"][0];
    assert_eq!(
        (&event["event"], &event["result"]),
        (
            &json!("compute__do_build_and_run_instance"),
            &json!("Success")
        )
    );
    assert_eq!(event.get("host"), None, "host names are for admins");
    let page = member
        .get(&format!("{target}?limit=1"))
        .await
        .expect(200)
        .json;
    assert_eq!(page["instanceActions"].as_array().unwrap().len(), 1);
    assert!(
        page["links"][0]["href"]
            .as_str()
            .unwrap()
            .contains("marker=")
    );
    member
        .get(&format!("{target}/req-unknown"))
        .await
        .expect(404);

    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    let listed = member.get(&target).await.expect(200).json;
    assert_eq!(listed["instanceActions"][0]["action"], "delete");
    cloud
        .ask
        .as_persona(Persona::OtherProject)
        .at("compute 2.96")
        .get(&target)
        .await
        .expect(404);
    cloud.member().get(&target).await.expect(404);
}

#[tokio::test]
async fn the_console_log_comes_from_the_host() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let member = cloud.member();
    let target = format!("/v2.1/servers/{id}/action");
    let asking = member.post(&target, json!({"os-getConsoleOutput": {"length": 1}}));
    let (ask, images) = (cloud.ask.clone(), cloud.image.clone());
    let host = cloud.hosts.get_mut("one").unwrap();
    let answered = std::cell::Cell::new(false);
    let asking = async {
        let answer = asking.await;
        answered.set(true);
        answer
    };
    let answering = async {
        while !answered.get() {
            host.sync(&ask, &images).await;
            tokio::task::yield_now().await;
        }
    };
    let (output, ()) = tokio::join!(asking, answering);
    let output = output.expect(200).json["output"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(output.contains("login:"), "{output}");

    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn a_rebuilt_server_is_the_same_with_another_disk() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let before = cloud.show(&id).await;
    let other = cloud
        .image
        .add_image(&json!({"name": "other", "os_hash_value": "cd".repeat(64)}));
    let body = json!({"rebuild": {"imageRef": other, "name": "new", "metadata": {"a": "b"}, "adminPass": "secret"}});
    let rebuilt = cloud.act(&id, body).await.expect(202);
    assert!(rebuilt.header("location").unwrap().ends_with(&id));
    let server = &rebuilt.json["server"];
    assert_eq!(
        (
            &server["image"]["id"],
            &server["name"],
            &server["adminPass"]
        ),
        (&json!(other), &json!("new"), &json!("secret"))
    );
    assert_eq!(cloud.show(&id).await["status"], "REBUILD");
    cloud.settle().await;
    let after = cloud.show(&id).await;
    assert_eq!(
        (&after["status"], &after["metadata"], &after["image"]["id"]),
        (&json!("ACTIVE"), &json!({"a": "b"}), &json!(other))
    );
    assert_eq!(
        after["addresses"], before["addresses"],
        "its addresses stay"
    );
    assert_eq!(
        cloud
            .simulated
            .snapshot("one")
            .values()
            .next()
            .unwrap()
            .disks
            .iter()
            .collect::<Vec<_>>(),
        [&1]
    );

    cloud.act(&id, json!({"os-stop": null})).await.expect(202);
    cloud.settle().await;
    cloud
        .act(&id, json!({"rebuild": {"imageRef": cloud.image_id}}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "SHUTOFF");
    cloud
        .act(
            &id,
            json!({"rebuild": {"imageRef": "11111111-1111-4111-8111-111111111111"}}),
        )
        .await
        .expect(400);
    cloud.act(&id, json!({"rebuild": {}})).await.expect(400);
}
