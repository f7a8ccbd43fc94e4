//! Hosts, as admins see and steer them.

use std::time::Duration;

use nephos_compute::driver::fake::HostSize;
use serde_json::json;

use crate::cloud::Cloud;

#[tokio::test]
async fn a_host_that_joins_is_a_hypervisor_a_service_and_a_provider() {
    let mut cloud = Cloud::new().await;
    cloud.running().await;
    let admin = cloud.admin().at("compute 2.53");
    let listed = admin
        .get("/v2.1/os-hypervisors/detail?with_servers=true")
        .await
        .expect(200)
        .json;
    let hypervisor = &listed["hypervisors"][0];
    let id = hypervisor["id"].as_str().unwrap();
    assert_eq!(
        (&hypervisor["state"], &hypervisor["status"]),
        (&json!("up"), &json!("enabled"))
    );
    assert_eq!(
        (
            &hypervisor["vcpus"],
            &hypervisor["vcpus_used"],
            &hypervisor["running_vms"]
        ),
        (&json!(64), &json!(1), &json!(1))
    );
    assert_eq!(hypervisor["servers"][0]["name"], "web");
    assert!(hypervisor["cpu_info"].is_object());
    let provider = cloud.placement.state().providers[id].inventories.clone();
    assert_eq!(
        (
            &provider["VCPU"]["total"],
            &provider["VCPU"]["allocation_ratio"]
        ),
        (&json!(64), &json!(4.0))
    );
    assert_eq!(provider["MEMORY_MB"]["reserved"], 512);

    let old = cloud
        .admin()
        .get("/v2.1/os-hypervisors/1")
        .await
        .expect(200)
        .json;
    assert_eq!(
        (
            &old["hypervisor"]["id"],
            &old["hypervisor"]["service"]["id"]
        ),
        (&json!(1), &json!(1))
    );
    assert!(old["hypervisor"]["cpu_info"].is_string());
    let newest = cloud
        .admin()
        .at("compute 2.88")
        .get(&format!("/v2.1/os-hypervisors/{id}"))
        .await
        .expect(200)
        .json;
    assert_eq!(newest["hypervisor"].get("vcpus"), None);
    assert!(
        newest["hypervisor"]["uptime"]
            .as_str()
            .unwrap()
            .contains(" up ")
    );
    let all = cloud
        .admin()
        .get("/v2.1/os-hypervisors/statistics")
        .await
        .expect(200)
        .json;
    assert_eq!(
        (
            &all["hypervisor_statistics"]["count"],
            &all["hypervisor_statistics"]["vcpus_used"]
        ),
        (&json!(1), &json!(1))
    );
    cloud
        .admin()
        .at("compute 2.88")
        .get("/v2.1/os-hypervisors/statistics")
        .await
        .expect(404);
    let name = hypervisor["hypervisor_hostname"].as_str().unwrap();
    let found = cloud
        .admin()
        .get(&format!("/v2.1/os-hypervisors/{name}/servers"))
        .await
        .expect(200)
        .json;
    assert_eq!(found["hypervisors"][0]["servers"][0]["name"], "web");
    cloud
        .admin()
        .get("/v2.1/os-hypervisors/nowhere/search")
        .await
        .expect(404);
    admin
        .get("/v2.1/os-hypervisors?hypervisor_hostname_pattern=nowhere")
        .await
        .expect(404);
    let (older, newer) = (admin.at("compute 2.52"), admin.at("compute 2.53"));
    older.get("/v2.1/os-hypervisors/7").await.expect(404);
    newer.get("/v2.1/os-hypervisors/7").await.expect(400);

    let zones = cloud
        .member()
        .get("/v2.1/os-availability-zone")
        .await
        .expect(200)
        .json;
    assert_eq!(
        zones["availabilityZoneInfo"][0],
        json!({"zoneName": "nova", "zoneState": {"available": true}, "hosts": null})
    );
    let detail = cloud
        .admin()
        .get("/v2.1/os-availability-zone/detail")
        .await
        .expect(200)
        .json;
    assert_eq!(
        detail["availabilityZoneInfo"][0]["hosts"]["one"]["nova-compute"]["available"],
        true
    );
}

#[tokio::test]
async fn a_disabled_or_dead_host_gets_no_servers() {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let admin = cloud.admin().at("compute 2.53");
    let services = admin.get("/v2.1/os-services").await.expect(200).json;
    let id = |host: &str| {
        let all = services["services"].as_array().unwrap();
        all.iter().find(|one| one["host"] == host).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let target = format!("/v2.1/os-services/{}", id("one"));
    let disabled = admin
        .put(
            &target,
            json!({"status": "disabled", "disabled_reason": "disk"}),
        )
        .await
        .expect(200)
        .json;
    assert_eq!(
        (
            &disabled["service"]["status"],
            &disabled["service"]["disabled_reason"]
        ),
        (&json!("disabled"), &json!("disk"))
    );
    for _server in 0..3 {
        let server = cloud.running().await;
        assert_eq!(cloud.show(&server).await["OS-EXT-SRV-ATTR:host"], "two");
    }
    let old = cloud.admin();
    let body = json!({"host": "two", "binary": "nova-compute"});
    old.at("compute 2.11")
        .put(
            "/v2.1/os-services/force-down",
            json!({"host": "two", "binary": "nova-compute", "forced_down": true}),
        )
        .await
        .expect(200);
    let server = cloud.create(&json!({})).await;
    cloud.settle().await;
    let message = cloud.show(&server).await["fault"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.contains("1 of 2 is disabled") && message.contains("1 of 2 does not report"),
        "{message}"
    );
    old.put(
        "/v2.1/os-services/enable",
        json!({"host": "nowhere", "binary": "nova-compute"}),
    )
    .await
    .expect(404);
    old.put("/v2.1/os-services/disable", body.clone())
        .await
        .expect(200);
    old.put("/v2.1/os-services/enable", body).await.expect(200);
    admin
        .put(&target, json!({"status": "broken"}))
        .await
        .expect(400);
    admin.put(&target, json!({})).await.expect(400);
    admin
        .put(
            "/v2.1/os-services/11111111-1111-4111-8111-111111111111",
            json!({"status": "enabled"}),
        )
        .await
        .expect(404);
    admin
        .at("compute 2.75")
        .get("/v2.1/os-services?colour=red")
        .await
        .expect(400);
}

#[tokio::test]
async fn nothing_of_a_silent_host_is_reused_before_it_is_known_to_be_off() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let silent = cloud.hosts.remove("one").unwrap();
    cloud.world.clock.advance(Duration::from_secs(120));
    let services = cloud
        .admin()
        .get("/v2.1/os-services")
        .await
        .expect(200)
        .json;
    assert_eq!(services["services"][0]["state"], "down");
    assert_eq!(cloud.show(&id).await["host_status"], "DOWN");
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    // Silent is not off: the guest may run there, so its address and its room stay its own.
    cloud.work_for(60).await;
    assert_eq!(cloud.show(&id).await["OS-EXT-STS:task_state"], "deleting");
    assert_eq!(cloud.network.ports().len(), 1);
    assert_eq!(cloud.placement.state().allocations.len(), 1);
    assert_eq!(cloud.simulated.snapshot("one").len(), 1);

    cloud
        .admin()
        .at("compute 2.11")
        .put(
            "/v2.1/os-services/force-down",
            json!({"host": "one", "binary": "nova-compute", "forced_down": true}),
        )
        .await
        .expect(200);
    cloud.settle().await;
    cloud
        .member()
        .get(&format!("/v2.1/servers/{id}"))
        .await
        .expect(404);
    assert!(cloud.placement.state().allocations.is_empty());

    // It comes back, is told that nothing is wanted there, and cleans up after the grace period.
    cloud.hosts.insert("one".to_owned(), silent);
    for _round in 0..30 {
        cloud.world.clock.advance(Duration::from_secs(10));
        cloud.settle().await;
    }
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn an_admin_chooses_the_host_and_others_may_not() {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let body = cloud.body(&json!({"availability_zone": "nova:two"}));
    cloud
        .member()
        .at("compute 2.96")
        .post("/v2.1/servers", body.clone())
        .await
        .expect(403);
    let admin = cloud.admin().at("compute 2.96");
    let made = admin.post("/v2.1/servers", body).await.expect(202).json;
    cloud.settle().await;
    let id = made["server"]["id"].as_str().unwrap();
    assert_eq!(cloud.show(id).await["OS-EXT-SRV-ATTR:host"], "two");
    let by_host = admin
        .post("/v2.1/servers", cloud.body(&json!({"host": "one"})))
        .await
        .expect(202)
        .json;
    cloud.settle().await;
    assert_eq!(
        cloud.show(by_host["server"]["id"].as_str().unwrap()).await["OS-EXT-SRV-ATTR:host"],
        "one"
    );
    admin
        .post("/v2.1/servers", cloud.body(&json!({"host": "nowhere"})))
        .await
        .expect(400);
    admin
        .post(
            "/v2.1/servers",
            cloud.body(&json!({"availability_zone": "mars"})),
        )
        .await
        .expect(400);
}

#[tokio::test]
async fn a_silent_host_that_comes_back_ends_what_was_deleted_meanwhile() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let silent = cloud.hosts.remove("one").unwrap();
    cloud.world.clock.advance(Duration::from_secs(120));
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.work_for(60).await;
    cloud.hosts.insert("one".to_owned(), silent);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn hosts_that_join_get_numbers_of_their_own() {
    let cloud = Cloud::with_hosts(&["one", "two", "three"], HostSize::default()).await;
    let admin = cloud.admin().at("compute 2.52");
    let services = admin.get("/v2.1/os-services").await.expect(200).json;
    let mut numbers: Vec<i64> = services["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_i64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn a_host_whose_hypervisor_does_not_answer_is_down_until_it_does() {
    let mut cloud = Cloud::new().await;
    let service = cloud.ask.as_host("one");
    let away = json!([{"kind": "host", "id": "one", "generation_seen": 0, "state": "no-hypervisor",
        "detail": "connection refused", "at": "2026-01-01T00:00:00Z"}]);
    let target = "/host/v1/observed?host=one";
    service.put(target, away).await.expect(204);
    let state = |cloud: &Cloud| {
        let admin = cloud.admin();
        async move {
            let listed = admin.get("/v2.1/os-services").await.expect(200).json;
            listed["services"][0]["state"].clone()
        }
    };
    assert_eq!(state(&cloud).await, "down");
    cloud.work_for(1).await;
    assert_eq!(state(&cloud).await, "up");
}
