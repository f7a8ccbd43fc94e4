//! Security groups and their rules.

use serde_json::json;

use crate::cloud::{Cloud, create, fault, ids, make, refused};

#[tokio::test]
async fn every_project_has_a_default_group_that_stays() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let groups = ids(&member, "security_group", "").await;
    assert_eq!(groups.len(), 1);
    let target = format!("/v2.0/security-groups/{}", groups[0]);
    let group = member.get(&target).await.expect(200).json["security_group"].clone();
    assert_eq!(group["name"], "default");
    assert_eq!(group["security_group_rules"].as_array().unwrap().len(), 4);
    let answer = member.delete(&target).await.expect(409);
    assert_eq!(fault(&answer), "SecurityGroupCannotRemoveDefault");
    let rename = json!({"security_group": {"name": "x"}});
    assert_eq!(
        fault(&member.put(&target, rename).await.expect(409)),
        "SecurityGroupCannotUpdateDefault"
    );
    let second = json!({"name": "default"});
    assert_eq!(
        refused(&member, "security_group", second, 409).await,
        "SecurityGroupDefaultAlreadyExists"
    );
    assert_ne!(ids(&cloud.other(), "security_group", "").await, groups);
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn rules_are_made_once_and_go_with_their_group() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let group = create(&member, "security_group", json!({"name": "web"})).await;
    assert_eq!(group["security_group_rules"].as_array().unwrap().len(), 2);
    let id = group["id"].as_str().unwrap();
    let body = json!({"security_group_id": id, "direction": "ingress", "protocol": "tcp",
        "port_range_min": 80, "port_range_max": 80, "remote_ip_prefix": "10.1.2.3/8"});
    let rule = create(&member, "security_group_rule", body.clone()).await;
    assert_eq!(rule["normalized_cidr"], "10.0.0.0/8");
    assert_eq!(rule["remote_ip_prefix"], "10.1.2.3/8");
    assert_eq!(rule["ethertype"], "IPv4");
    assert_eq!(
        refused(&member, "security_group_rule", body, 409).await,
        "SecurityGroupRuleExists"
    );
    let missing = json!({"security_group_id": "nonsense", "direction": "ingress"});
    assert_eq!(
        refused(&member, "security_group_rule", missing, 404).await,
        "SecurityGroupNotFound"
    );
    let remote =
        json!({"security_group_id": id, "direction": "ingress", "remote_group_id": "nonsense"});
    assert_eq!(
        refused(&member, "security_group_rule", remote, 404).await,
        "SecurityGroupNotFound"
    );
    let theirs = make(&cloud.other(), "security_group", json!({"name": "o"})).await;
    let foreign = json!({"security_group_id": theirs, "direction": "ingress"});
    assert_eq!(
        refused(&member, "security_group_rule", foreign, 404).await,
        "SecurityGroupNotFound"
    );
    member
        .delete(&format!("/v2.0/security-groups/{id}"))
        .await
        .expect(204);
    let rule = format!(
        "/v2.0/security-group-rules/{}",
        rule["id"].as_str().unwrap()
    );
    member.get(&rule).await.expect(404);
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn a_group_in_use_stays() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let (network, _) = cloud.wired("10.0.0.0/24").await;
    let group = make(&member, "security_group", json!({"name": "g"})).await;
    let port = make(
        &member,
        "port",
        json!({"network_id": network, "security_groups": [group]}),
    )
    .await;
    let target = format!("/v2.0/security-groups/{group}");
    let answer = member.delete(&target).await.expect(409);
    assert_eq!(fault(&answer), "SecurityGroupInUse");
    assert!(
        answer.json["NeutronError"]["message"]
            .as_str()
            .unwrap()
            .contains(&port)
    );
    member
        .put(
            &format!("/v2.0/ports/{port}"),
            json!({"port": {"security_groups": []}}),
        )
        .await
        .expect(200);
    member.delete(&target).await.expect(204);
}
