//! Ports and their addresses.

use serde_json::json;

use crate::cloud::{Cloud, create, fault, ids, make, refused};

#[tokio::test]
async fn a_port_gets_an_address_a_mac_and_the_default_group() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (network, subnet) = cloud.wired("10.0.0.0/29").await;
    let port = create(&member, "port", json!({"network_id": network, "name": "p"})).await;
    assert_eq!(port["status"], "DOWN");
    assert_eq!(
        port["fixed_ips"],
        json!([{"subnet_id": subnet, "ip_address": "10.0.0.2"}])
    );
    assert!(
        port["mac_address"]
            .as_str()
            .unwrap()
            .starts_with("fa:16:3e:")
    );
    let groups = ids(&member, "security_group", "name=default").await;
    assert_eq!(port["security_groups"], json!(groups));
    assert_eq!(port.get("binding:host_id"), None);
    let target = format!("/v2.0/ports/{}", port["id"].as_str().unwrap());
    let admin = cloud.admin().get(&target).await.expect(200).json;
    assert_eq!(admin["port"]["binding:vif_type"], "unbound");
    cloud.other().get(&target).await.expect(404);
    member.delete(&target).await.expect(204);
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn addresses_run_out_and_come_back() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (network, subnet) = cloud.wired("10.0.0.0/29").await;
    let body = json!({"network_id": network});
    let mut addresses = Vec::new();
    let mut last = String::new();
    for _ in 0..5 {
        let port = create(&member, "port", body.clone()).await;
        addresses.push(
            port["fixed_ips"][0]["ip_address"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        last = port["id"].as_str().unwrap().to_owned();
    }
    addresses.sort();
    assert_eq!(
        addresses,
        ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
    );
    assert_eq!(
        refused(&member, "port", body.clone(), 409).await,
        "IpAddressGenerationFailure"
    );
    let taken = json!({"network_id": network, "fixed_ips": [{"ip_address": "10.0.0.3"}]});
    assert_eq!(
        refused(&member, "port", taken, 409).await,
        "IpAddressAlreadyAllocated"
    );
    member
        .delete(&format!("/v2.0/ports/{last}"))
        .await
        .expect(204);
    make(&member, "port", body).await;
    let busy = member
        .delete(&format!("/v2.0/networks/{network}"))
        .await
        .expect(409);
    assert_eq!(fault(&busy), "NetworkInUse");
    let busy = member
        .delete(&format!("/v2.0/subnets/{subnet}"))
        .await
        .expect(409);
    assert_eq!(fault(&busy), "SubnetInUse");
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn wished_addresses_must_fit() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (network, subnet) = cloud.wired("10.0.0.0/24").await;
    let (_, foreign) = cloud.wired("10.7.0.0/24").await;
    let wish = |wish: serde_json::Value| json!({"network_id": network, "fixed_ips": [wish]});
    let refuse = |body| {
        let member = member.clone();
        async move { refused(&member, "port", body, 400).await }
    };
    assert_eq!(
        refuse(wish(json!({"ip_address": "10.9.9.9"}))).await,
        "InvalidIpForNetwork"
    );
    let outside = json!({"subnet_id": subnet, "ip_address": "10.9.9.9"});
    assert_eq!(refuse(wish(outside)).await, "InvalidIpForSubnet");
    assert_eq!(
        refuse(wish(json!({"subnet_id": foreign}))).await,
        "InvalidInput"
    );
    assert_eq!(refuse(wish(json!({}))).await, "InvalidInput");
    let two = json!({"network_id": network, "fixed_ips": [{"subnet_id": subnet}, {"ip_address": "10.0.0.77"}]});
    let port = create(&member, "port", two).await;
    assert_eq!(port["fixed_ips"].as_array().unwrap().len(), 2);
    let target = format!("/v2.0/ports/{}", port["id"].as_str().unwrap());
    let one = json!({"port": {"fixed_ips": [{"subnet_id": subnet, "ip_address": "10.0.0.77"}]}});
    let changed = member.put(&target, one).await.expect(200).json;
    assert_eq!(
        changed["port"]["fixed_ips"],
        json!([{"subnet_id": subnet, "ip_address": "10.0.0.77"}])
    );
    let query = "fixed_ips=ip_address%3D10.0.0.77";
    assert_eq!(ids(&member, "port", query).await.len(), 1);
    assert_eq!(
        ids(&member, "port", "fixed_ips=ip_address_substr%3D0.0.7")
            .await
            .len(),
        1
    );
    assert_eq!(
        ids(&member, "port", "fixed_ips=ip_address%3D10.0.0.2")
            .await
            .len(),
        0
    );
}

#[tokio::test]
async fn guests_make_their_own_ipv6_addresses_where_the_subnet_says_so() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let before = create(
        &member,
        "port",
        json!({"network_id": network, "mac_address": "fa:16:3e:00:00:01"}),
    )
    .await;
    let slaac = json!({"network_id": network, "cidr": "2001:db8::/64", "ip_version": 6,
        "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"});
    let subnet = create(&member, "subnet", slaac).await;
    let body = json!({"network_id": network, "mac_address": "fa:16:3e:00:00:02"});
    let port = create(&member, "port", body).await;
    assert_eq!(
        port["fixed_ips"][1]["ip_address"],
        "2001:db8::f816:3eff:fe00:2"
    );
    let target = format!("/v2.0/ports/{}", before["id"].as_str().unwrap());
    let shown = member.get(&target).await.expect(200).json;
    assert_eq!(
        shown["port"]["fixed_ips"][1]["ip_address"],
        "2001:db8::f816:3eff:fe00:1"
    );
    let wish = json!({"network_id": network, "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "2001:db8::5"}]});
    assert_eq!(
        refused(&member, "port", wish, 400).await,
        "AllocationOnAutoAddressSubnet"
    );
    member
        .delete(&format!("/v2.0/subnets/{}", subnet["id"].as_str().unwrap()))
        .await
        .expect(204);
    let shown = member.get(&target).await.expect(200).json;
    assert_eq!(shown["port"]["fixed_ips"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_member_may_not_choose_is_refused_and_a_service_may() {
    let cloud = Cloud::new().await;
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let shared = make(&cloud.admin(), "network", json!({"shared": true})).await;
    let member = cloud.member();
    let bind = json!({"network_id": network, "binding:host_id": "h1"});
    assert_eq!(
        refused(&member, "port", bind, 403).await,
        "PolicyNotAuthorized"
    );
    make(&member, "port", json!({"network_id": shared})).await;
    let mac = json!({"network_id": shared, "mac_address": "fa:16:3e:00:00:09"});
    assert_eq!(
        refused(&member, "port", mac, 403).await,
        "PolicyNotAuthorized"
    );
    let owner = json!({"network_id": shared, "device_owner": "network:dhcp"});
    assert_eq!(
        refused(&member, "port", owner, 403).await,
        "PolicyNotAuthorized"
    );
    let project = nephos_testkit::Persona::Member.project();
    let port = json!({"network_id": network, "project_id": project, "binding:host_id": "h1",
        "device_id": "server", "device_owner": "compute:nova"});
    let made = create(&cloud.service(), "port", port).await;
    assert_eq!(made["project_id"], project);
    assert_eq!(made["binding:vif_type"], "tap");
    assert_eq!(ids(&member, "port", "device_id=server").await.len(), 1);
    assert_eq!(
        refused(&cloud.other(), "port", json!({"network_id": network}), 404).await,
        "NetworkNotFound"
    );
}

#[tokio::test]
async fn only_services_and_administrators_have_ports_of_load_balancers_or_change_them() {
    let cloud = Cloud::new().await;
    let (network, subnet) = cloud.wired("10.0.0.0/24").await;
    let member = cloud.member();
    let project = nephos_testkit::Persona::Member.project();
    let balances = json!({"network_id": network, "device_owner": "Octavia"});
    assert_eq!(
        refused(&member, "port", balances, 403).await,
        "PolicyNotAuthorized"
    );
    let own = make(&member, "port", json!({"network_id": network})).await;
    let own = format!("/v2.0/ports/{own}");
    let becomes = json!({"port": {"device_owner": "Octavia"}});
    member.put(&own, becomes.clone()).await.expect(403);
    cloud.service().put(&own, becomes).await.expect(200);
    let port = json!({"network_id": network, "project_id": project, "binding:host_id": "h1", "device_id": "lb-1",
        "device_owner": "Octavia", "port_security_enabled": false});
    let made = create(&cloud.service(), "port", port).await;
    let target = format!("/v2.0/ports/{}", made["id"].as_str().unwrap());
    for change in [
        json!({"device_owner": ""}),
        json!({"device_owner": "compute:nova"}),
        json!({"device_id": ""}),
        json!({"admin_state_up": false}),
        json!({"fixed_ips": [{"subnet_id": subnet}]}),
        json!({"mac_address": "fa:16:3e:00:00:09"}),
        json!({"allowed_address_pairs": [{"ip_address": "10.0.0.0/24"}]}),
        json!({"port_security_enabled": true}),
        json!({"binding:vnic_type": "direct"}),
    ] {
        let answer = member.put(&target, json!({ "port": change })).await;
        assert_eq!(answer.status, 403, "{change}: {}", answer.json);
        assert_eq!(answer.json["NeutronError"]["type"], "PolicyNotAuthorized");
    }
    member.delete(&target).await.expect(403);
    let shown = member.get(&target).await.expect(200).json;
    assert_eq!(
        (&shown["port"]["device_owner"], &shown["port"]["device_id"]),
        (&json!("Octavia"), &json!("lb-1"))
    );
    // What it is called is its owner's.
    member
        .put(
            &target,
            json!({"port": {"name": "vip", "description": "d"}}),
        )
        .await
        .expect(200);
    let freed = json!({"port": {"device_owner": "", "device_id": "", "binding:host_id": ""}});
    cloud.service().put(&target, freed).await.expect(200);
    member.delete(&target).await.expect(204);
    cloud.admin().delete(&own).await.expect(204);
}

#[tokio::test]
async fn port_security_and_groups_exclude_each_other() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let group = make(&member, "security_group", json!({"name": "g"})).await;
    let both =
        json!({"network_id": network, "port_security_enabled": false, "security_groups": [group]});
    assert_eq!(
        refused(&member, "port", both, 409).await,
        "PortSecurityPortHasSecurityGroup"
    );
    let pairs = json!({"network_id": network, "port_security_enabled": false,
        "allowed_address_pairs": [{"ip_address": "10.0.0.9"}]});
    assert_eq!(
        refused(&member, "port", pairs, 409).await,
        "AddressPairAndPortSecurityRequired"
    );
    let open = create(
        &member,
        "port",
        json!({"network_id": network, "port_security_enabled": false}),
    )
    .await;
    assert_eq!(open["security_groups"], json!([]));
    for (group, status, kind) in [
        ("nonsense", 400, "HTTPBadRequest"),
        (
            "6e1b1d27-0a5c-4c9e-9d6d-0d3a3a3f0000",
            404,
            "SecurityGroupNotFound",
        ),
    ] {
        let body = json!({"network_id": network, "security_groups": [group]});
        assert_eq!(refused(&member, "port", body, status).await, kind);
    }
}

#[tokio::test]
async fn a_dhcp_option_has_a_value_or_is_taken_away() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (network, _subnet) = cloud.wired("10.0.0.0/24").await;
    let option =
        |value: serde_json::Value| json!({"network_id": network, "extra_dhcp_opts": [value]});
    let nothing = option(json!({"opt_name": "bootfile-name"}));
    refused(&member, "port", nothing, 400).await;
    let lines = option(json!({"opt_name": "bootfile-name", "opt_value": "a\nb"}));
    refused(&member, "port", lines, 400).await;
    let port = option(json!({"opt_name": "bootfile-name", "opt_value": "a"}));
    let port = create(&member, "port", port).await;
    assert_eq!(port["extra_dhcp_opts"][0]["opt_value"], "a");
    let target = format!("/v2.0/ports/{}", port["id"].as_str().unwrap());
    let away =
        json!({"port": {"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": null}]}});
    let port = member.put(&target, away).await.expect(200).json;
    assert_eq!(port["port"]["extra_dhcp_opts"], json!([]));
}

#[tokio::test]
async fn a_page_larger_than_any_is_the_largest() {
    let cloud = Cloud::new().await;
    cloud.net().await;
    let target = "/v2.0/networks?limit=99999999999999999999999";
    let page = cloud.member().get(target).await.expect(200).json;
    assert_eq!(page["networks"].as_array().unwrap().len(), 1);
    let target = "/v2.0/networks?limit=1.5";
    cloud.member().get(target).await.expect(400);
}
