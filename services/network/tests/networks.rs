//! Networks and subnets.

use serde_json::json;

use crate::cloud::{Cloud, create, fault, ids, make, refused};

#[tokio::test]
async fn a_network_with_its_subnet_is_made_shown_changed_and_deleted() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let network = create(&member, "network", json!({"name": "a"})).await;
    assert_eq!(network["status"], "ACTIVE");
    assert_eq!(network["mtu"], 1450);
    assert_eq!(network.get("provider:network_type"), None);
    let id = network["id"].as_str().unwrap();
    let subnet = create(
        &member,
        "subnet",
        json!({"network_id": id, "cidr": "10.0.0.0/24", "ip_version": 4}),
    )
    .await;
    assert_eq!(subnet["gateway_ip"], "10.0.0.1");
    assert_eq!(
        subnet["allocation_pools"],
        json!([{"start": "10.0.0.2", "end": "10.0.0.254"}])
    );
    let target = format!("/v2.0/networks/{id}");
    let changed = member
        .put(&target, json!({"network": {"name": "b"}}))
        .await
        .expect(200)
        .json;
    assert_eq!(changed["network"]["name"], "b");
    assert_eq!(changed["network"]["subnets"], json!([subnet["id"]]));
    let admin = cloud.admin().get(&target).await.expect(200).json;
    assert_eq!(admin["network"]["provider:network_type"], "vxlan");
    assert!(
        admin["network"]["provider:segmentation_id"]
            .as_u64()
            .unwrap()
            > 1000
    );
    let few = member
        .get(&format!("{target}?fields=id&fields=name"))
        .await
        .expect(200)
        .json;
    assert_eq!(few["network"], json!({"id": id, "name": "b"}));
    cloud.other().get(&target).await.expect(404);
    member.delete(&target).await.expect(204);
    let gone = member.get(&target).await.expect(404);
    assert_eq!(fault(&gone), "NetworkNotFound");
    assert_eq!(ids(&member, "subnet", "").await, Vec::<String>::new());
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn only_the_revision_that_was_read_is_changed() {
    let cloud = Cloud::new().await;
    let target = format!("/v2.0/networks/{}", cloud.net().await);
    let member = cloud.member();
    let body = json!({"network": {"name": "x"}});
    let constrained = |n: i64| member.with_header("if-match", &format!("revision_number={n}"));
    let changed = constrained(1)
        .put(&target, body.clone())
        .await
        .expect(200)
        .json;
    assert_eq!(changed["network"]["revision_number"], 2);
    let late = constrained(1).put(&target, body).await.expect(412);
    assert_eq!(fault(&late), "RevisionNumberConstraintFailed");
}

#[tokio::test]
async fn subnets_do_not_overlap_in_a_network() {
    let cloud = Cloud::new().await;
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let body = json!({"network_id": network, "cidr": "10.0.0.128/25", "ip_version": 4});
    assert_eq!(
        refused(&cloud.member(), "subnet", body, 400).await,
        "InvalidInput"
    );
    let other = json!({"network_id": network, "cidr": "10.0.1.0/24", "ip_version": 4});
    make(&cloud.member(), "subnet", other).await;
}

#[tokio::test]
async fn bulk_creation_is_all_or_nothing() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let two = json!({"networks": [{"name": "a"}, {"name": "b"}]});
    let made = member.post("/v2.0/networks", two).await.expect(201).json;
    assert_eq!(made["networks"].as_array().unwrap().len(), 2);
    let bad = json!({"networks": [{"name": "c"}, {"name": "d", "provider:network_type": "flat"}]});
    member.post("/v2.0/networks", bad).await.expect(403);
    assert_eq!(ids(&member, "network", "").await.len(), 2);
}

#[tokio::test]
async fn shared_and_external_networks_are_seen_by_others_and_changed_by_none_of_them() {
    let cloud = Cloud::new().await;
    let outside = cloud.outside().await;
    let shared = make(
        &cloud.admin(),
        "network",
        json!({"name": "s", "shared": true}),
    )
    .await;
    let other = cloud.other();
    let mut seen = ids(&other, "network", "").await;
    seen.sort();
    let mut expected = vec![outside.clone(), shared.clone()];
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(
        ids(&other, "network", "shared=true").await,
        std::slice::from_ref(&shared)
    );
    assert_eq!(
        ids(&other, "network", "router:external=True").await,
        std::slice::from_ref(&outside)
    );
    let target = format!("/v2.0/networks/{shared}");
    other
        .put(&target, json!({"network": {"name": "mine"}}))
        .await
        .expect(403);
    other.delete(&target).await.expect(403);
    assert_eq!(ids(&other, "subnet", "").await.len(), 1);
}

#[tokio::test]
async fn lists_come_in_pages_with_links_both_ways() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    for name in ["c", "a", "b"] {
        make(&member, "network", json!({"name": name})).await;
    }
    let mut target = "/v2.0/networks?limit=1&sort_key=name&sort_dir=asc".to_owned();
    let mut names = Vec::new();
    let mut previous = String::new();
    loop {
        let page = member.get(&target).await.expect(200).json;
        let items = page["networks"].as_array().unwrap();
        names.extend(
            items
                .iter()
                .map(|one| one["name"].as_str().unwrap().to_owned()),
        );
        let link = |rel: &str| {
            let links = page["networks_links"].as_array().unwrap();
            let found = links.iter().find(|link| link["rel"] == rel);
            found.map(|link| {
                link["href"]
                    .as_str()
                    .unwrap()
                    .replace("http://cloud.test/network", "")
            })
        };
        if let Some(href) = link("previous") {
            previous = href;
        }
        match link("next") {
            Some(next) => target = next,
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c"]);
    let back = member.get(&previous).await.expect(200).json;
    assert_eq!(back["networks"][0]["name"], "c");
    let plain = member.get("/v2.0/networks?limit=0").await.expect(200).json;
    assert_eq!(plain["networks"].as_array().unwrap().len(), 3);
    assert_eq!(plain.get("networks_links"), None);
    member.get("/v2.0/networks?unknown=1").await.expect(400);
}

#[tokio::test]
async fn bad_input_is_named() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    for body in [
        json!({"network": {"name": "x".repeat(256)}}),
        json!({"network": {"nonsense": 1}}),
        json!({"network": {"name": true}}),
        json!({"network": {"mtu": 20}}),
        json!({"net": {}}),
        json!([]),
    ] {
        let answer = member
            .post("/v2.0/networks", body.clone())
            .await
            .expect(400);
        assert!(
            !answer.json["NeutronError"]["message"]
                .as_str()
                .unwrap()
                .is_empty(),
            "{body}"
        );
    }
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let subnet = |extra: serde_json::Value| {
        let mut body = json!({"network_id": network, "cidr": "10.9.0.0/24", "ip_version": 4});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body
    };
    let refuse = |extra, status| {
        let body = subnet(extra);
        let member = member.clone();
        async move { refused(&member, "subnet", body, status).await }
    };
    assert_eq!(refuse(json!({"ip_version": 6}), 400).await, "InvalidInput");
    assert_eq!(
        refuse(json!({"gateway_ip": "10.9.0.0"}), 400).await,
        "InvalidInput"
    );
    assert_eq!(
        refuse(json!({"gateway_ip": "nonsense"}), 400).await,
        "HTTPBadRequest"
    );
    let pools = json!({"gateway_ip": "10.9.0.5", "allocation_pools": [{"start": "10.9.0.2", "end": "10.9.0.9"}]});
    assert_eq!(
        refuse(pools, 409).await,
        "GatewayConflictWithAllocationPools"
    );
}

#[tokio::test]
async fn quotas_are_counted_and_given_back() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    for _ in 0..100 {
        make(&member, "network", json!({})).await;
    }
    assert_eq!(
        refused(&member, "network", json!({}), 409).await,
        "OverQuota"
    );
    let first = ids(&member, "network", "limit=1").await.remove(0);
    member
        .delete(&format!("/v2.0/networks/{first}"))
        .await
        .expect(204);
    make(&member, "network", json!({})).await;
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn tags_are_kept_filtered_and_counted_as_changes() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (red, blue) = (cloud.net().await, cloud.net().await);
    let tags = |id: &str| format!("/v2.0/networks/{id}/tags");
    member
        .put(&tags(&red), json!({"tags": ["red", "warm"]}))
        .await
        .expect(200);
    member
        .put(&format!("{}/blue", tags(&blue)), json!(null))
        .await
        .expect(201);
    assert_eq!(
        ids(&member, "network", "tags=red,warm").await,
        std::slice::from_ref(&red)
    );
    assert_eq!(ids(&member, "network", "tags-any=red,blue").await.len(), 2);
    assert_eq!(
        ids(&member, "network", "not-tags=red,warm").await,
        std::slice::from_ref(&blue)
    );
    assert_eq!(
        ids(&member, "network", "not-tags-any=red,blue").await,
        Vec::<String>::new()
    );
    member
        .get(&format!("{}/warm", tags(&red)))
        .await
        .expect(204);
    member
        .delete(&format!("{}/warm", tags(&red)))
        .await
        .expect(204);
    member
        .get(&format!("{}/warm", tags(&red)))
        .await
        .expect(404);
    let shown = member
        .get(&format!("/v2.0/networks/{red}"))
        .await
        .expect(200)
        .json;
    assert_eq!(shown["network"]["tags"], json!(["red"]));
    assert_eq!(shown["network"]["revision_number"], 3);
    cloud
        .other()
        .put(&tags(&red), json!({"tags": []}))
        .await
        .expect(404);
}
