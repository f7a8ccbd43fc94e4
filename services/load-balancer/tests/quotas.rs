//! What projects may have at most.

use nephos_testkit::Persona;
use serde_json::json;

use crate::kit::cloud;
use crate::network::SUBNET;

#[tokio::test]
async fn nobody_gets_past_a_limit() {
    let cloud = cloud().await;
    let target = format!("/v2/lbaas/quotas/{}", Persona::Member.project());
    let limits = json!({"quota": {"load_balancer": 1, "listener": 1, "member": 1}});
    cloud
        .member()
        .put(&target, limits.clone())
        .await
        .expect(403);
    let set = cloud.admin().put(&target, limits).await.expect(202).json;
    assert_eq!(
        (&set["quota"]["loadbalancer"], &set["quota"]["pool"]),
        (&json!(1), &json!(1000))
    );
    let lb = cloud.balancer().await;
    let body = json!({"loadbalancer": {"vip_subnet_id": SUBNET}});
    let refused = cloud
        .member()
        .post("/v2/lbaas/loadbalancers", body)
        .await
        .expect(403)
        .json;
    assert!(
        refused["faultstring"]
            .as_str()
            .unwrap()
            .contains("Quota has been met"),
        "{refused}"
    );
    assert_eq!(cloud.network.ports().len(), 1, "its port is gone again");
    let (_, pool, _) = cloud.chain(&lb).await;
    let body =
        json!({"listener": {"loadbalancer_id": lb, "protocol": "HTTP", "protocol_port": 81}});
    cloud
        .member()
        .post("/v2/lbaas/listeners", body)
        .await
        .expect(403);
    let body = json!({"members": [{"address": "10.0.0.6", "protocol_port": 1}, {"address": "10.0.0.7", "protocol_port": 1}]});
    cloud
        .member()
        .put(&format!("/v2/lbaas/pools/{pool}/members"), body)
        .await
        .expect(403);
    cloud.settle().await;
    assert_eq!(
        cloud
            .show(&format!("pools/{pool}/members"), "members")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let list = cloud.admin().get("/v2/lbaas/quotas").await.expect(200).json;
    assert_eq!(list["quotas"].as_array().unwrap().len(), 1);
    let own = cloud
        .show(&format!("quotas/{}", Persona::Member.project()), "quota")
        .await;
    assert_eq!(own["health_monitor"], own["healthmonitor"]);
    let other = format!("/v2/lbaas/quotas/{}", Persona::OtherProject.project());
    cloud.member().get(&other).await.expect(403);
    cloud
        .admin()
        .put(&target, json!({"quota": {"member": -2}}))
        .await
        .expect(400);
    cloud.admin().delete(&target).await.expect(204);
    let defaults = cloud.show("quotas/defaults", "quota").await;
    let own = cloud
        .show(&format!("quotas/{}", Persona::Member.project()), "quota")
        .await;
    assert_eq!(own["loadbalancer"], defaults["loadbalancer"]);
}
