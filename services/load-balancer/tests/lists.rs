//! Lists: whose, filters, order, pages, fields.

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::cloud;
use crate::network::SUBNET;

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn filters_order_and_pages() {
    let cloud = cloud().await;
    for (name, tags) in [
        ("b", json!(["x"])),
        ("a", json!(["x", "y"])),
        ("c", json!([])),
    ] {
        let body = json!({"name": name, "vip_subnet_id": SUBNET, "tags": tags});
        cloud.make("loadbalancers", "loadbalancer", body).await;
    }
    cloud.settle().await;
    for (query, expected) in [
        ("sort=name", vec!["a", "b", "c"]),
        ("sort=name:desc", vec!["c", "b", "a"]),
        ("sort_key=name&sort_dir=desc", vec!["c", "b", "a"]),
        ("name=a", vec!["a"]),
        ("name=a&admin_state_up=false", vec![]),
        ("provisioning_status=ACTIVE&sort=name", vec!["a", "b", "c"]),
        ("vip_address=10.0.0.12", vec!["a"]),
        ("tags=x&sort=name", vec!["a", "b"]),
        ("tags=x,y", vec!["a"]),
        ("tags-any=y,z", vec!["a"]),
        ("not-tags=x,y&sort=name", vec!["b", "c"]),
        ("not-tags-any=x", vec!["c"]),
        (
            "created_at=2026-01-02T03:04:05&sort=name",
            vec!["a", "b", "c"],
        ),
        (
            "project_id=11111111111111111111111111111111&name=c",
            vec!["c"],
        ),
    ] {
        let list = cloud
            .show(&format!("loadbalancers?{query}"), "loadbalancers")
            .await;
        assert_eq!(names(&list), expected, "{query}");
    }
    let list = cloud
        .show("loadbalancers?fields=name&name=a", "loadbalancers")
        .await;
    assert_eq!(list, json!([{"name": "a"}]));
    for odd in [
        "sort=colour",
        "sort=name:up",
        "limit=x",
        "marker=none",
        "colour=red",
    ] {
        cloud
            .member()
            .get(&format!("/v2/lbaas/loadbalancers?{odd}"))
            .await
            .expect(400);
    }
    let mut target = "/v2/lbaas/loadbalancers?limit=1&sort=name".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = cloud.member().get(&target).await.expect(200).json;
        let Some(one) = page["loadbalancers"].get(0) else {
            break;
        };
        seen.push(one["name"].as_str().unwrap().to_owned());
        let links = page["loadbalancers_links"].as_array().unwrap();
        let next = links.iter().find(|link| link["rel"] == "next").unwrap();
        let href = next["href"].as_str().unwrap();
        target = href.split_once("/load-balancer").unwrap().1.to_owned();
    }
    assert_eq!(seen, ["a", "b", "c"]);
}

#[tokio::test]
async fn everybody_sees_his_own_and_operators_all() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let (listener, pool, _) = cloud.chain(&lb).await;
    let other = cloud.ask.as_persona(Persona::OtherProject);
    for kind in [
        "loadbalancers",
        "listeners",
        "pools",
        "healthmonitors",
        "l7policies",
    ] {
        let list = other
            .get(&format!("/v2/lbaas/{kind}"))
            .await
            .expect(200)
            .json;
        assert_eq!(list[kind], json!([]));
        other
            .get(&format!(
                "/v2/lbaas/{kind}?project_id={}",
                Persona::Member.project()
            ))
            .await
            .expect(403);
    }
    for (kind, filter) in [
        ("loadbalancers", format!("id={lb}")),
        (
            "listeners",
            format!("loadbalancer_id={lb}&protocol_port=80"),
        ),
        (
            "pools",
            format!("loadbalancer_id={lb}&lb_algorithm=ROUND_ROBIN"),
        ),
    ] {
        let list = cloud
            .admin()
            .get(&format!("/v2/lbaas/{kind}?{filter}"))
            .await
            .expect(200)
            .json;
        assert_eq!(list[kind].as_array().unwrap().len(), 1, "{kind}");
    }
    let shown = cloud
        .show(&format!("loadbalancers/{lb}"), "loadbalancer")
        .await;
    assert_eq!(shown["listeners"], json!([{"id": listener}]));
    assert_eq!(shown["pools"], json!([{"id": pool}]));
    for target in [
        format!("loadbalancers/{lb}"),
        format!("listeners/{listener}"),
        format!("pools/{pool}"),
    ] {
        other.get(&format!("/v2/lbaas/{target}")).await.expect(404);
        other
            .delete(&format!("/v2/lbaas/{target}"))
            .await
            .expect(404);
    }
}
