//! Subnet pools, address scopes, RBAC policies, quotas and what is computed.

use nephos_testkit::Persona;
use serde_json::json;

use crate::cloud::{Cloud, create, fault, ids, make, refused};

#[tokio::test]
async fn subnets_are_cut_from_a_pool() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let pool = create(
        &member,
        "subnetpool",
        json!({"name": "p", "prefixes": "10.0.0.0/16", "default_prefixlen": 24,
        "min_prefixlen": 20, "max_prefixlen": 26, "default_quota": 512}),
    )
    .await;
    assert_eq!(pool["prefixes"], json!(["10.0.0.0/16"]));
    let network = cloud.net().await;
    let cut = |extra: serde_json::Value| {
        let mut body = json!({"network_id": network, "ip_version": 4, "subnetpool_id": pool["id"]});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body
    };
    assert_eq!(
        create(&member, "subnet", cut(json!({}))).await["cidr"],
        "10.0.0.0/24"
    );
    assert_eq!(
        create(&member, "subnet", cut(json!({"prefixlen": 26}))).await["cidr"],
        "10.0.1.0/26"
    );
    assert_eq!(
        refused(&member, "subnet", cut(json!({"prefixlen": 27})), 400).await,
        "MaxPrefixSubnetAllocationError"
    );
    assert_eq!(
        refused(&member, "subnet", cut(json!({"cidr": "10.0.0.0/26"})), 409).await,
        "SubnetAllocationError"
    );
    assert_eq!(
        refused(&member, "subnet", cut(json!({"prefixlen": 23})), 409).await,
        "SubnetPoolQuotaExceeded"
    );
    let target = format!("/v2.0/subnetpools/{}", pool["id"].as_str().unwrap());
    assert_eq!(
        fault(&member.delete(&target).await.expect(400)),
        "SubnetPoolDeleteError"
    );
    let shrink = json!({"subnetpool": {"prefixes": ["10.0.0.0/17"]}});
    assert_eq!(
        fault(&member.put(&target, shrink).await.expect(400)),
        "IllegalSubnetPoolPrefixUpdate"
    );
    let add = member
        .put(
            &format!("{target}/add_prefixes"),
            json!({"prefixes": ["10.1.0.0/16"]}),
        )
        .await
        .expect(200);
    assert_eq!(add.json["prefixes"], json!(["10.0.0.0/15"]));
    let gone = json!({"prefixes": ["10.1.0.0/16"]});
    let removed = member
        .put(&format!("{target}/remove_prefixes"), gone)
        .await
        .expect(200);
    assert_eq!(removed.json["prefixes"], json!(["10.0.0.0/16"]));
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn pools_of_one_scope_do_not_overlap() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let scope = make(
        &member,
        "address_scope",
        json!({"name": "s", "ip_version": 4}),
    )
    .await;
    let pool = |prefix: &str| json!({"name": "p", "prefixes": [prefix], "address_scope_id": scope});
    make(&member, "subnetpool", pool("10.0.0.0/16")).await;
    assert_eq!(
        refused(&member, "subnetpool", pool("10.0.128.0/17"), 409).await,
        "AddressScopePrefixConflict"
    );
    assert_eq!(
        refused(&member, "subnetpool", pool("2001:db8::/48"), 400).await,
        "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    );
    let busy = member
        .delete(&format!("/v2.0/address-scopes/{scope}"))
        .await
        .expect(409);
    assert_eq!(fault(&busy), "AddressScopeInUse");
    let shared = json!({"name": "x", "ip_version": 4, "shared": true});
    assert_eq!(
        refused(&member, "address_scope", shared.clone(), 403).await,
        "PolicyNotAuthorized"
    );
    let shared = make(&cloud.admin(), "address_scope", shared).await;
    cloud
        .other()
        .get(&format!("/v2.0/address-scopes/{shared}"))
        .await
        .expect(200);
}

#[tokio::test]
async fn the_default_pool_serves_those_who_name_none() {
    let cloud = Cloud::new().await;
    let body = json!({"name": "d", "prefixes": ["10.0.0.0/8"], "is_default": true, "shared": true, "default_prefixlen": 26});
    make(&cloud.admin(), "subnetpool", body.clone()).await;
    assert_eq!(
        refused(&cloud.admin(), "subnetpool", body, 400).await,
        "InvalidInput"
    );
    let network = cloud.net().await;
    let subnet = json!({"network_id": network, "ip_version": 4, "use_default_subnetpool": true});
    assert_eq!(
        create(&cloud.member(), "subnet", subnet).await["cidr"],
        "10.0.0.0/26"
    );
    let none = json!({"network_id": network, "ip_version": 6, "use_default_subnetpool": true});
    refused(&cloud.member(), "subnet", none, 400).await;
}

#[tokio::test]
async fn a_network_is_shared_with_one_project_until_it_is_used() {
    let cloud = Cloud::new().await;
    let (member, other) = (cloud.member(), cloud.other());
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let target = format!("/v2.0/networks/{network}");
    other.get(&target).await.expect(404);
    let grant = json!({"object_type": "network", "object_id": network, "action": "access_as_shared",
        "target_tenant": Persona::OtherProject.project()});
    assert_eq!(
        refused(&other, "rbac_policy", grant.clone(), 404).await,
        "RbacPolicyInvalidObject"
    );
    let policy = make(&member, "rbac_policy", grant.clone()).await;
    assert_eq!(
        refused(&member, "rbac_policy", grant, 409).await,
        "DuplicatePolicyError"
    );
    let everybody = json!({"object_type": "network", "object_id": network, "action": "access_as_shared", "target_tenant": "*"});
    assert_eq!(
        refused(&member, "rbac_policy", everybody, 403).await,
        "PolicyNotAuthorized"
    );
    assert_eq!(
        other.get(&target).await.expect(200).json["network"]["shared"],
        true
    );
    assert_eq!(
        member.get(&target).await.expect(200).json["network"]["shared"],
        false
    );
    let port = make(&other, "port", json!({"network_id": network})).await;
    let policy = format!("/v2.0/rbac-policies/{policy}");
    assert_eq!(
        fault(&member.delete(&policy).await.expect(409)),
        "RbacPolicyInUse"
    );
    // Who owns the network may take the port away; a stranger to both may not.
    member
        .delete(&format!("/v2.0/ports/{port}"))
        .await
        .expect(204);
    other.get(&policy).await.expect(404);
    member.delete(&policy).await.expect(204);
    other.get(&target).await.expect(404);
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn limits_are_set_checked_and_reset() {
    let cloud = Cloud::new().await;
    let (member, admin) = (cloud.member(), cloud.admin());
    let target = format!("/v2.0/quotas/{}", Persona::Member.project());
    assert_eq!(
        member.get(&target).await.expect(200).json["quota"]["network"],
        100
    );
    let one = json!({"quota": {"network": 1}});
    member.put(&target, one.clone()).await.expect(403);
    admin.put(&target, one.clone()).await.expect(200);
    cloud.net().await;
    assert_eq!(
        refused(&member, "network", json!({}), 409).await,
        "OverQuota"
    );
    let details = member
        .get(&format!("{target}/details.json"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        details["quota"]["network"],
        json!({"limit": 1, "used": 1, "reserved": 0})
    );
    admin
        .put(&target, json!({"quota": {"network": 0}}))
        .await
        .expect(400);
    admin
        .put(&target, json!({"quota": {"network": 0, "force": true}}))
        .await
        .expect(200);
    admin
        .put(&target, json!({"quota": {"nonsense": 1}}))
        .await
        .expect(400);
    let listed = admin.get("/v2.0/quotas").await.expect(200).json;
    assert_eq!(listed["quotas"][0]["project_id"], Persona::Member.project());
    admin.delete(&target).await.expect(204);
    assert_eq!(
        member.get(&target).await.expect(200).json["quota"]["network"],
        100
    );
    cloud.other().get(&target).await.expect(403);
}

#[tokio::test]
async fn addresses_left_are_counted() {
    let cloud = Cloud::new().await;
    let (network, subnet) = cloud.wired("10.0.0.0/24").await;
    make(&cloud.member(), "port", json!({"network_id": network})).await;
    let target = format!("/v2.0/network-ip-availabilities/{network}");
    let shown =
        cloud.admin().get(&target).await.expect(200).json["network_ip_availability"].clone();
    assert_eq!(
        (&shown["total_ips"], &shown["used_ips"]),
        (&json!(253), &json!(1))
    );
    assert_eq!(shown["subnet_ip_availability"][0]["subnet_id"], subnet);
    cloud.member().get(&target).await.expect(403);
}

#[tokio::test]
async fn hosts_are_agents_that_live_while_they_report() {
    let cloud = Cloud::new().await;
    cloud.host("h1", "192.0.2.1").await;
    let admin = cloud.admin();
    let agents = admin
        .get("/v2.0/agents?host=h1&agent_type=L3%20agent")
        .await
        .expect(200)
        .json["agents"]
        .clone();
    assert_eq!(agents[0]["alive"], true);
    cloud
        .world
        .clock
        .advance(std::time::Duration::from_secs(300));
    let target = format!("/v2.0/agents/{}", agents[0]["id"].as_str().unwrap());
    assert_eq!(
        admin.get(&target).await.expect(200).json["agent"]["alive"],
        false
    );
    let off = admin
        .put(&target, json!({"agent": {"admin_state_up": false}}))
        .await
        .expect(200)
        .json;
    assert_eq!(off["agent"]["admin_state_up"], false);
    admin.delete(&target).await.expect(204);
    assert_eq!(ids(&admin, "agent", "").await, Vec::<String>::new());
}

#[tokio::test]
async fn every_extension_that_is_listed_can_be_shown() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let listed = member.get("/v2.0/extensions").await.expect(200).json["extensions"].clone();
    for extension in listed.as_array().unwrap() {
        let target = format!("/v2.0/extensions/{}", extension["alias"].as_str().unwrap());
        assert_eq!(
            member.get(&target).await.expect(200).json["extension"],
            *extension
        );
    }
    member.get("/v2.0/extensions/nonsense").await.expect(404);
    let root = cloud.ask.get("/").await.expect(200).json;
    assert_eq!(root["versions"][0]["id"], "v2.0");
    let resources = cloud.ask.get("/v2.0/").await.expect(200).json;
    let named = |name: &str| {
        resources["resources"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == name)
    };
    assert!(named("network") && named("subnet") && named("port"));
}
