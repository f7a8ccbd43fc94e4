//! What a server shows of itself, and to whom.

use nephos_compute::driver::fake::HostSize;
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::cloud::Cloud;

fn group(cloud: &Cloud, name: &str) -> String {
    let project = Persona::Member.project();
    let group =
        json!({"name": name, "description": "", "project_id": project, "tenant_id": project});
    cloud.network.add("security-groups", group)
}

/// What the network service says when a port has changed.
async fn tell(cloud: &mut Cloud, id: &str) {
    let events = json!({"events": [{"name": "network-changed", "server_uuid": id}]});
    let service = cloud.ask.as_persona(Persona::Service);
    let target = "/v2.1/os-server-external-events";
    service.post(target, events).await.expect(200);
    // What is remembered of a group's name is old by then.
    cloud.world.clock.advance(std::time::Duration::from_secs(6));
    cloud.settle().await;
}

#[tokio::test]
async fn security_groups_are_shown_by_the_names_of_the_ports_groups() {
    let mut cloud = Cloud::new().await;
    let (web, ssh) = (group(&cloud, "web"), group(&cloud, "ssh"));
    let id = cloud
        .create(&json!({"security_groups": [{"name": web}]}))
        .await;
    let before = cloud.show(&id).await;
    assert_eq!(before.get("security_groups"), None, "no port, no groups");
    cloud.settle().await;
    let groups = |server: Value| server["security_groups"].clone();
    assert_eq!(groups(cloud.show(&id).await), json!([{"name": "web"}]));

    let set = |cloud: &Cloud, groups: Value| {
        let mut network = cloud.network.state();
        let ports = network.rows.get_mut("ports").unwrap();
        ports.values_mut().next().unwrap()["security_groups"] = groups;
    };
    set(&cloud, json!([ssh, web]));
    tell(&mut cloud, &id).await;
    let both = json!([{"name": "ssh"}, {"name": "web"}]);
    assert_eq!(groups(cloud.show(&id).await), both);
    let listed = cloud
        .member()
        .get("/v2.1/servers/detail")
        .await
        .expect(200)
        .json;
    assert_eq!(listed["servers"][0]["security_groups"], both);

    let renamed = |row: &mut Value| row["name"] = json!("shell");
    renamed(
        cloud
            .network
            .state()
            .rows
            .get_mut("security-groups")
            .unwrap()
            .get_mut(&ssh)
            .unwrap(),
    );
    set(&cloud, json!([ssh]));
    tell(&mut cloud, &id).await;
    assert_eq!(groups(cloud.show(&id).await), json!([{"name": "shell"}]));
    set(&cloud, json!([]));
    tell(&mut cloud, &id).await;
    assert_eq!(cloud.show(&id).await.get("security_groups"), None);

    // An action shows at once.
    let add = json!({"addSecurityGroup": {"name": "web"}});
    cloud.act(&id, add).await.expect(202);
    assert_eq!(groups(cloud.show(&id).await), json!([{"name": "web"}]));
    let remove = json!({"removeSecurityGroup": {"name": "web"}});
    cloud.act(&id, remove).await.expect(202);
    assert_eq!(cloud.show(&id).await.get("security_groups"), None);
}

#[tokio::test]
async fn admins_see_what_the_hypervisor_calls_the_guest() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let shown = cloud.show(&id).await;
    assert_eq!(
        shown["OS-EXT-SRV-ATTR:instance_name"],
        json!(format!("nephos-{id}"))
    );
}

#[tokio::test]
async fn a_member_who_names_another_project_sees_his_own_servers_only() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let project = Persona::Member.project();
    let other = cloud.ask.as_persona(Persona::OtherProject);
    for key in ["project_id", "tenant_id"] {
        for list in ["servers", "servers/detail"] {
            let target = format!("/v2.1/{list}?{key}={project}");
            let seen = other.get(&target).await.expect(200).json;
            assert_eq!(seen["servers"], json!([]), "{target}");
            let own = cloud.admin().get(&target).await.expect(200).json;
            assert_eq!(own["servers"][0]["id"], json!(id), "{target}");
        }
    }
    other.get("/v2.1/servers?all_tenants=1").await.expect(403);
}

#[tokio::test]
async fn lists_find_names_by_text_anchor_and_pattern_alike() {
    let cloud = Cloud::new().await;
    for name in [
        "alpha",
        "alphabet",
        "beta-1",
        "a.c",
        "abc",
        "50%",
        "under_score",
    ] {
        cloud.create(&json!({"name": name})).await;
    }
    for (pattern, expected) in [
        ("alpha", vec!["alpha", "alphabet"]),
        ("^alpha", vec!["alpha", "alphabet"]),
        ("^alpha$", vec!["alpha"]),
        ("bet$", vec!["alphabet"]),
        ("beta-1", vec!["beta-1"]),
        ("a.c", vec!["a.c", "abc"]),
        ("a\\.c", vec!["a.c"]),
        ("0%", vec!["50%"]),
        ("r_s", vec!["under_score"]),
        ("Alpha", vec![]),
        ("^(abc|alpha)$", vec!["abc", "alpha"]),
    ] {
        let encoded =
            percent_encoding::utf8_percent_encode(pattern, percent_encoding::NON_ALPHANUMERIC);
        let target = format!("/v2.1/servers?sort_key=name&sort_dir=asc&name={encoded}");
        let found = cloud.member().get(&target).await.expect(200).json;
        let names: Vec<&str> = found["servers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{pattern}");
    }
}

#[tokio::test]
async fn a_list_shows_key_and_user_data_as_one_server_does() {
    let cloud = Cloud::new().await;
    let key = json!({"keypair": {"name": "k"}});
    cloud
        .member()
        .post("/v2.1/os-keypairs", key)
        .await
        .expect(200);
    let id = cloud
        .create(&json!({"key_name": "k", "user_data": "aGVsbG8="}))
        .await;
    let admin = cloud.admin().at("compute 2.96");
    let listed = admin
        .get("/v2.1/servers/detail?all_tenants=1")
        .await
        .expect(200)
        .json;
    let mut one = cloud.show(&id).await;
    // Groups are shown with one server only.
    one.as_object_mut().unwrap().remove("server_groups");
    assert_eq!(listed["servers"][0], one);
    assert_eq!(one["OS-EXT-SRV-ATTR:user_data"], "aGVsbG8=");
    assert_eq!(one["key_name"], "k");
}

#[tokio::test]
async fn a_version_that_is_not_spoken_is_refused_in_novas_words() {
    let cloud = Cloud::new().await;
    let answer = cloud
        .member()
        .at("compute 2.999")
        .get("/v2.1/servers")
        .await
        .expect(406);
    assert_eq!(
        answer.json,
        json!({"computeFault": {"code": 406,
            "message": "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.96."}})
    );
}

#[tokio::test]
async fn where_nothing_fits_the_fault_says_what_lacks_and_what_would_fit() {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let flavor =
        json!({"flavor": {"id": "huge", "name": "huge", "vcpus": 1, "ram": 64, "disk": 999_999}});
    cloud
        .admin()
        .post("/v2.1/flavors", flavor)
        .await
        .expect(200);
    let id = cloud.create(&json!({"flavorRef": "huge"})).await;
    cloud.settle().await;
    let seen = cloud
        .member()
        .get(&format!("/v2.1/servers/{id}"))
        .await
        .expect(200)
        .json;
    let message = seen["server"]["fault"]["message"].as_str().unwrap();
    let free =
        "2 of 2 has no room: 2 of 2 cannot give 999999 DISK_GB (the most that one can give now is ";
    assert!(message.contains(free), "{message}");
    assert!(
        !message.contains("one:") && seen["server"]["fault"].get("details").is_none(),
        "hosts are named to a member: {message}"
    );
    let details = cloud.show(&id).await["fault"]["details"].clone();
    let details = details.as_str().unwrap().to_owned();
    assert!(details.contains("cannot give 999999 DISK_GB"), "{details}");
}
