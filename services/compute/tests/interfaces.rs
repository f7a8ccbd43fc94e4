//! Servers and their network: interfaces, addresses, security groups.

use nephos_testkit::Persona;
use serde_json::json;

use crate::cloud::Cloud;

#[tokio::test]
async fn interfaces_come_and_go_and_a_given_port_is_given_back() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let second = cloud
        .network
        .add_network("second", Persona::Member.project());
    let target = format!("/v2.1/servers/{id}/os-interface");
    let member = cloud.member().at("compute 2.96");
    let body = json!({"interfaceAttachment": {"net_id": second, "tag": "storage"}});
    let asking = member.post(&target, body.clone());
    let attached = cloud.run_beside(asking).await;
    let attached = attached.expect(200).json;
    // The guest has it: nothing is under way that would be in the way of the next action.
    assert_eq!(cloud.live().await, 0);
    // So also when another goes first.
    let port = attached["interfaceAttachment"]["port_id"].as_str().unwrap();
    member.delete(&format!("{target}/{port}")).await.expect(202);
    cloud.settle().await;
    let asking = member.post(&target, body.clone());
    let attached = cloud.run_beside(asking).await.expect(200).json;
    assert_eq!(attached["interfaceAttachment"]["net_id"], json!(second));
    cloud.settle().await;
    let listed = member.get(&target).await.expect(200).json;
    assert_eq!(listed["interfaceAttachments"].as_array().unwrap().len(), 2);
    let port = attached["interfaceAttachment"]["port_id"].as_str().unwrap();
    let shown = member
        .get(&format!("{target}/{port}"))
        .await
        .expect(200)
        .json;
    assert_eq!(shown["interfaceAttachment"]["tag"], "storage");
    assert_eq!(
        cloud
            .simulated
            .snapshot("one")
            .values()
            .next()
            .unwrap()
            .ports
            .len(),
        2
    );
    let addresses = member
        .get(&format!("/v2.1/servers/{id}/ips"))
        .await
        .expect(200)
        .json;
    assert_eq!(addresses["addresses"].as_object().unwrap().len(), 2);
    assert_eq!(
        addresses["addresses"]["second"][0]
            .as_object()
            .unwrap()
            .len(),
        2,
        "address and version only"
    );
    member
        .get(&format!("/v2.1/servers/{id}/ips/second"))
        .await
        .expect(200);
    member
        .get(&format!("/v2.1/servers/{id}/ips/third"))
        .await
        .expect(404);

    member.delete(&format!("{target}/{port}")).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.network.ports().len(), 1);
    member.delete(&format!("{target}/{port}")).await.expect(404);
    assert_eq!(
        cloud.show(&id).await["addresses"]
            .as_object()
            .unwrap()
            .len(),
        1
    );

    let given = cloud.network.add("ports", json!({"network_id": second, "device_id": "", "project_id": Persona::Member.project(),
        "mac_address": "fa:16:3e:aa:aa:aa", "status": "DOWN", "security_groups": [], "fixed_ips": []}));
    let other = cloud.create(&json!({"networks": [{"port": given}]})).await;
    cloud.settle().await;
    assert_eq!(cloud.show(&other).await["status"], "ACTIVE");
    for server in [id, other] {
        member
            .delete(&format!("/v2.1/servers/{server}"))
            .await
            .expect(204);
    }
    cloud.settle().await;
    let left = cloud.network.ports();
    assert_eq!(
        (left.len(), &left[0]["id"], &left[0]["device_id"]),
        (1, &json!(given), &json!(""))
    );
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_at_once() {
    let mut cloud = Cloud::new().await;
    let network = json!([{"uuid": cloud.network_id, "fixed_ip": "10.0.0.9"}]);
    cloud.create(&json!({"networks": network})).await;
    cloud.settle().await;
    let again = json!({"server": {"name": "b", "flavorRef": cloud.flavor_id, "imageRef": cloud.image_id,
        "networks": network}});
    let answer = cloud
        .member()
        .post("/v2.1/servers", again)
        .await
        .expect(400);
    let message = answer.json["badRequest"]["message"].as_str().unwrap();
    assert!(message.contains("10.0.0.9 is already in use"), "{message}");
}

#[tokio::test]
async fn a_port_that_cannot_be_had_says_so_and_leaves_nothing() {
    let mut cloud = Cloud::new().await;
    let taken = (
        409,
        json!({"NeutronError": {"type": "IpAddressAlreadyAllocated", "message": "IP address 10.0.0.9 already allocated"}}),
    );
    cloud.network.state().refuse_port = Some(taken);
    let id = cloud
        .create(&json!({"networks": [{"uuid": cloud.network_id, "fixed_ip": "10.0.0.9"}]}))
        .await;
    cloud.settle().await;
    let server = cloud.show(&id).await;
    assert_eq!(server["status"], "ERROR");
    assert!(
        server["fault"]["message"]
            .as_str()
            .unwrap()
            .contains("10.0.0.9 already allocated"),
        "{server}"
    );
    assert!(cloud.placement.state().allocations.is_empty());
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn news_of_the_network_reach_the_servers_addresses() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let port = cloud.network.ports()[0].clone();
    cloud.network.add(
        "floatingips",
        json!({"port_id": port["id"], "floating_ip_address": "198.51.100.7",
        "fixed_ip_address": port["fixed_ips"][0]["ip_address"]}),
    );
    let event = json!({"events": [{"name": "network-changed", "server_uuid": id}]});
    let told = cloud
        .ask
        .as_persona(Persona::Service)
        .post("/v2.1/os-server-external-events", event)
        .await
        .expect(200);
    assert_eq!(told.json["events"][0]["code"], 200);
    cloud.settle().await;
    let list = cloud.show(&id).await["addresses"]["private"].clone();
    assert_eq!(
        (&list[1]["addr"], &list[1]["OS-EXT-IPS:type"]),
        (&json!("198.51.100.7"), &json!("floating"))
    );
    let unknown = json!({"events": [{"name": "network-changed", "server_uuid": "11111111-1111-4111-8111-111111111111"}]});
    cloud
        .ask
        .as_persona(Persona::Service)
        .post("/v2.1/os-server-external-events", unknown)
        .await
        .expect(404);
}

#[tokio::test]
async fn security_groups_are_those_of_the_ports() {
    let mut cloud = Cloud::new().await;
    let group = json!({"name": "web", "description": "", "project_id": Persona::Member.project(), "tenant_id": Persona::Member.project()});
    let group = cloud.network.add("security-groups", group);
    let id = cloud
        .create(&json!({"security_groups": [{"name": "web"}]}))
        .await;
    cloud.settle().await;
    assert_eq!(
        cloud.show(&id).await["security_groups"],
        json!([{"name": "web"}])
    );
    assert_eq!(cloud.network.ports()[0]["security_groups"], json!([group]));
    cloud
        .act(&id, json!({"addSecurityGroup": {"name": "web"}}))
        .await
        .expect(409);
    cloud
        .act(&id, json!({"removeSecurityGroup": {"name": "web"}}))
        .await
        .expect(202);
    assert_eq!(cloud.network.ports()[0]["security_groups"], json!([]));
    cloud
        .act(&id, json!({"removeSecurityGroup": {"name": "web"}}))
        .await
        .expect(404);
    cloud
        .act(&id, json!({"addSecurityGroup": {"name": "web"}}))
        .await
        .expect(202);
    let listed = cloud
        .member()
        .get(&format!("/v2.1/servers/{id}/os-security-groups"))
        .await
        .expect(200)
        .json;
    assert_eq!(listed["security_groups"][0]["name"], "web");
    cloud
        .act(&id, json!({"addSecurityGroup": {"name": "none"}}))
        .await
        .expect(404);
}
