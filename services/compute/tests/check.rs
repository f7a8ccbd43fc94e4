//! The consistency check finds nothing where all is well, and what was broken on purpose.

use nephos_api::Check as _;
use nephos_db::args;
use nephos_testkit::Persona;
use serde_json::json;

use crate::cloud::Cloud;

#[tokio::test]
async fn what_is_broken_on_purpose_is_found() {
    let mut cloud = Cloud::new().await;
    let (stuck, bare) = (cloud.running().await, cloud.running().await);
    assert_eq!(cloud.compute.check().await.unwrap(), []);

    let mut tx = cloud.db.write().await.unwrap();
    tx.exec(
        "UPDATE servers SET task_state = 'spawning' WHERE id = $1",
        args![stuck],
    )
    .await
    .unwrap();
    tx.exec(
        "UPDATE quota_usage SET used = 7 WHERE resource = 'cores'",
        args![],
    )
    .await
    .unwrap();
    tx.exec(
        "INSERT INTO feed_items (host, kind, id, generation, revision, spec, changed_at) VALUES ('one', 'server', 'ghost', 1, 99, '{}', 1)",
        args![],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let claim = cloud.placement.state().allocations.remove(&bare).unwrap();
    cloud
        .placement
        .state()
        .allocations
        .insert("nobody".to_owned(), claim);
    let port = cloud.network.add(
        "ports",
        json!({"network_id": cloud.network_id, "device_id": "gone", "device_owner": "compute:nova",
        "mac_address": "", "project_id": Persona::Member.project()}),
    );

    let findings = cloud.compute.check().await.unwrap();
    let found = |id: &str, words: &str| {
        let one = findings
            .iter()
            .find(|finding| finding.id == id)
            .unwrap_or_else(|| panic!("{id}: {findings:?}"));
        assert!(one.what.contains(words), "{one:?}");
        assert!(!one.hint.is_empty());
    };
    found(&stuck, "is spawning, and nobody works on it");
    found(Persona::Member.project(), "cores is noted as 7 and is 2");
    found("ghost", "is no server there");
    found(&bare, "has no room there");
    found("nobody", "is no server");
    found(&port, "which is no server");
    assert_eq!(findings.len(), 6, "{findings:?}");

    assert_eq!(cloud.compute.repair().await.unwrap(), 1);
    assert_eq!(cloud.compute.check().await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_volume_whose_attachment_was_ended_behind_its_server_is_found() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({}));
    let wish = json!({ "volumeId": volume });
    crate::volumes::attach(&mut cloud, &server, wish)
        .await
        .expect(200);
    cloud.settle().await;
    assert_eq!(cloud.compute.check().await.unwrap(), []);
    cloud.block.state().attachments.clear();
    let findings = cloud.compute.check().await.unwrap();
    let [finding] = &findings[..] else {
        panic!("{findings:?}");
    };
    assert_eq!(finding.id, server);
    assert!(finding.what.contains(&volume), "{finding:?}");
}

#[tokio::test]
async fn a_port_that_another_server_has_is_found() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let port = cloud.network.ports()[0]["id"].as_str().unwrap().to_owned();
    let other = cloud.running().await;
    assert_eq!(cloud.compute.check().await.unwrap(), []);
    {
        let mut network = cloud.network.state();
        let ports = network.rows.get_mut("ports").unwrap();
        ports.get_mut(&port).unwrap()["device_id"] = json!(other);
    }
    let findings = cloud.compute.check().await.unwrap();
    let [finding] = &findings[..] else {
        panic!("{findings:?}");
    };
    assert_eq!(finding.id, server);
    assert!(finding.what.contains(&port), "{finding:?}");
}
