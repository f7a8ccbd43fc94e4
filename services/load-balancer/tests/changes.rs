//! Changes, also of what is under way, and what becomes of those that cannot be carried out.

use serde_json::{Value, json};

use crate::kit::{both, cloud, id, statuses};

#[tokio::test]
async fn a_change_meanwhile_is_taken_in_by_the_same_work() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let (listener, pool, _) = cloud.chain(&lb).await;
    for name in ["a", "b"] {
        let target = format!("/v2/lbaas/listeners/{listener}");
        let body = json!({"listener": {"name": name, "connection_limit": 5}});
        let changed = cloud.member().put(&target, body).await.expect(200).json;
        assert_eq!(changed["listener"]["provisioning_status"], "PENDING_UPDATE");
        assert_eq!(cloud.status(&lb).await.0, "PENDING_UPDATE");
        // The host has not said yet that it is so.
        cloud.service.worker().drain().await.unwrap();
    }
    let target = format!("/v2/lbaas/pools/{pool}");
    cloud.member().delete(&target).await.expect(204);
    cloud
        .member()
        .put(&target, json!({"pool": {"name": "x"}}))
        .await
        .expect(404);
    assert_eq!(
        cloud.show(&format!("pools/{pool}"), "pool").await["provisioning_status"],
        "PENDING_DELETE"
    );
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    cloud.member().get(&target).await.expect(404);
    let shown = cloud
        .show(&format!("listeners/{listener}"), "listener")
        .await;
    assert_eq!(shown["name"], "b");
    assert_eq!(shown["default_pool_id"], Value::Null);
    let told = cloud.told(&lb)[0].1.clone();
    assert_eq!(told["listeners"][0]["connection_limit"], 5);
    assert_eq!(told["pools"], json!([]));
}

#[tokio::test]
async fn what_a_host_cannot_do_is_an_error_with_its_cause_until_it_can() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    cloud.on(0, |host| {
        host.broken = Some("haproxy: cannot bind".to_owned())
    });
    let body = json!({"loadbalancer_id": lb, "protocol": "TCP", "protocol_port": 22});
    let listener = id(&cloud.make("listeners", "listener", body).await);
    cloud.settle().await;
    let shown = cloud
        .show(&format!("loadbalancers/{lb}"), "loadbalancer")
        .await;
    assert_eq!(statuses(&shown), both("ERROR", "ERROR"));
    assert!(
        shown["fault"]
            .as_str()
            .unwrap()
            .contains("haproxy: cannot bind"),
        "{shown}"
    );
    let shown = cloud
        .show(&format!("listeners/{listener}"), "listener")
        .await;
    assert_eq!(shown["provisioning_status"], "ERROR");
    // A change is taken all the same, and what was in the way may go by itself.
    let target = format!("/v2/lbaas/listeners/{listener}");
    cloud
        .member()
        .put(&target, json!({"listener": {"name": "n"}}))
        .await
        .expect(200);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await.0, "ERROR");
    cloud.on(0, |host| host.broken = None);
    cloud.settle().await;
    let shown = cloud
        .show(&format!("loadbalancers/{lb}"), "loadbalancer")
        .await;
    assert_eq!(statuses(&shown), both("ACTIVE", "ONLINE"));
    assert_eq!(shown.get("fault"), None);
    assert_eq!(
        cloud
            .show(&format!("listeners/{listener}"), "listener")
            .await["provisioning_status"],
        "ACTIVE"
    );
}

#[tokio::test]
async fn health_goes_up_the_tree() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let (listener, pool, first) = cloud.chain(&lb).await;
    let body = json!({"address": "10.0.0.6", "protocol_port": 8080});
    let second = id(&cloud
        .make(&format!("pools/{pool}/members"), "member", body)
        .await);
    let body = json!({"pool_id": pool, "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1});
    let monitor = id(&cloud.make("healthmonitors", "healthmonitor", body).await);
    cloud.settle().await;
    let operating = async |target: String, key: &str| {
        let shown = cloud.show(&target, key).await;
        shown["operating_status"].as_str().unwrap().to_owned()
    };
    let all = async || {
        let member = |id: &str| format!("pools/{pool}/members/{id}");
        [
            operating(member(&first), "member").await,
            operating(member(&second), "member").await,
            operating(format!("pools/{pool}"), "pool").await,
            operating(format!("listeners/{listener}"), "listener").await,
            cloud.status(&lb).await.1,
        ]
    };
    assert_eq!(all().await, ["ONLINE"; 5]);
    assert_eq!(
        operating(format!("healthmonitors/{monitor}"), "healthmonitor").await,
        "ONLINE"
    );
    cloud.on(0, |host| host.down.insert(format!("{pool}/{first}")));
    cloud.settle().await;
    assert_eq!(
        all().await,
        ["ERROR", "ONLINE", "DEGRADED", "DEGRADED", "DEGRADED"]
    );
    cloud.on(0, |host| host.down.insert(format!("{pool}/{second}")));
    cloud.settle().await;
    assert_eq!(
        all().await,
        ["ERROR", "ERROR", "ERROR", "ERROR", "DEGRADED"]
    );
    cloud.on(0, |host| host.down.clear());
    let target = format!("/v2/lbaas/pools/{pool}/members/{first}");
    cloud
        .member()
        .put(&target, json!({"member": {"weight": 0}}))
        .await
        .expect(200);
    let target = format!("/v2/lbaas/pools/{pool}/members/{second}");
    cloud
        .member()
        .put(&target, json!({"member": {"admin_state_up": false}}))
        .await
        .expect(200);
    cloud.settle().await;
    assert_eq!(
        all().await,
        ["DRAINING", "OFFLINE", "ONLINE", "ONLINE", "ONLINE"]
    );
    let target = format!("/v2/lbaas/loadbalancers/{lb}");
    cloud
        .member()
        .put(&target, json!({"loadbalancer": {"admin_state_up": false}}))
        .await
        .expect(200);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "OFFLINE"));
}

#[tokio::test]
async fn members_are_replaced_at_once() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let (_, pool, first) = cloud.chain(&lb).await;
    let target = format!("/v2/lbaas/pools/{pool}/members");
    let members = json!({"members": [
        {"address": "10.0.0.5", "protocol_port": 8080, "weight": 7},
        {"address": "10.0.0.7", "protocol_port": 8080, "name": "new"},
    ]});
    cloud.member().put(&target, members).await.expect(202);
    cloud.settle().await;
    let shown = cloud
        .show(&format!("pools/{pool}/members"), "members")
        .await;
    assert_eq!(shown.as_array().unwrap().len(), 2);
    assert_eq!(
        (&shown[0]["id"], &shown[0]["weight"]),
        (&json!(first), &json!(7))
    );
    let one = json!({"members": [{"address": "10.0.0.8", "protocol_port": 1}]});
    cloud
        .member()
        .put(&format!("{target}?additive_only=true"), one.clone())
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(
        cloud
            .show(&format!("pools/{pool}/members"), "members")
            .await
            .as_array()
            .unwrap()
            .len(),
        3
    );
    cloud.member().put(&target, one).await.expect(202);
    cloud.settle().await;
    let shown = cloud
        .show(&format!("pools/{pool}/members"), "members")
        .await;
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert_eq!(shown[0]["address"], "10.0.0.8");
    let twice = json!({"address": "10.0.0.9", "protocol_port": 1});
    cloud
        .member()
        .put(&target, json!({"members": [twice, twice]}))
        .await
        .expect(409);
    let own = json!({"members": [{"address": "10.0.0.11", "protocol_port": 80}]});
    let refused = cloud.member().put(&target, own).await.expect(400).json;
    let words = refused["faultstring"].as_str().unwrap();
    assert!(
        words.contains("listener of this load balancer itself"),
        "{words}"
    );
}

#[tokio::test]
async fn of_many_members_at_once_those_that_stay_as_they_are_are_not_touched() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let (_, pool, _) = cloud.chain(&lb).await;
    let target = format!("/v2/lbaas/pools/{pool}/members");
    let member = |number: usize, weight: u16| json!({"address": format!("10.1.{}.{}", number / 250, number % 250 + 1), "protocol_port": 80, "weight": weight});
    let members: Vec<_> = (0..1000).map(|number| member(number, 1)).collect();
    let many = json!({ "members": members });
    cloud.member().put(&target, many).await.expect(202);
    cloud.settle().await;
    let mut members: Vec<_> = (1..1000).map(|number| member(number, 1)).collect();
    members[0] = member(1, 5);
    let again = json!({ "members": members });
    cloud.member().put(&target, again).await.expect(202);
    let shown = cloud
        .show(&format!("pools/{pool}/members?limit=1000"), "members")
        .await;
    let of = |status: &str| {
        let all = shown.as_array().unwrap().iter();
        all.filter(|one| one["provisioning_status"] == status)
            .count()
    };
    assert_eq!(
        (of("ACTIVE"), of("PENDING_UPDATE"), of("PENDING_DELETE")),
        (998, 1, 1)
    );
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await.0, "ACTIVE");
    let told = cloud.told(&lb)[0].1.clone();
    assert_eq!(told["pools"][0]["members"].as_array().unwrap().len(), 999);
    let many: Vec<_> = (0..1001).map(|number| member(number, 1)).collect();
    let many = json!({ "members": many });
    cloud.member().put(&target, many).await.expect(400);
    // A listener where a member is would lead to itself.
    let own = json!({"address": "10.0.0.11", "protocol_port": 81});
    cloud
        .make(&format!("pools/{pool}/members"), "member", own)
        .await;
    let body =
        json!({"listener": {"loadbalancer_id": lb, "protocol": "HTTP", "protocol_port": 81}});
    cloud
        .member()
        .post("/v2/lbaas/listeners", body)
        .await
        .expect(400);
}

#[tokio::test]
async fn policies_stand_in_their_order() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let (listener, pool, _) = cloud.chain(&lb).await;
    let mut ids = Vec::new();
    for position in [None, None, Some(1)] {
        let mut body = json!({"listener_id": listener, "action": "REDIRECT_TO_POOL", "redirect_pool_id": pool});
        if let Some(position) = position {
            body["position"] = json!(position);
        }
        let made = cloud.make("l7policies", "l7policy", body).await;
        let rule = json!({"type": "PATH", "compare_type": "REGEX", "value": "^/a"});
        cloud
            .make(&format!("l7policies/{}/rules", id(&made)), "rule", rule)
            .await;
        ids.push(id(&made));
    }
    let order = async || {
        let shown = cloud
            .show(
                &format!("l7policies?listener_id={listener}&sort=position:asc"),
                "l7policies",
            )
            .await;
        shown
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (id(one), one["position"].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    let [a, b, c] = ids.as_slice() else {
        unreachable!()
    };
    assert_eq!(
        order().await,
        [(c.clone(), 1), (a.clone(), 2), (b.clone(), 3)]
    );
    let target = format!("/v2/lbaas/l7policies/{c}");
    let changed = cloud
        .member()
        .put(&target, json!({"l7policy": {"position": 3}}))
        .await
        .expect(200)
        .json;
    assert_eq!(changed["l7policy"]["position"], 3);
    assert_eq!(
        order().await,
        [(a.clone(), 1), (b.clone(), 2), (c.clone(), 3)]
    );
    // What requests are sent to cannot go.
    cloud
        .member()
        .delete(&format!("/v2/lbaas/pools/{pool}"))
        .await
        .expect(409);
    cloud
        .member()
        .delete(&format!("/v2/lbaas/l7policies/{a}"))
        .await
        .expect(204);
    cloud.settle().await;
    assert_eq!(order().await, [(b.clone(), 1), (c.clone(), 2)]);
    let told = cloud.told(&lb)[0].1.clone();
    assert_eq!(told["listeners"][0]["l7"][0]["id"], b.as_str());
    assert_eq!(
        told["listeners"][0]["l7"][0]["rules"][0]["compare"],
        "regex"
    );
}
