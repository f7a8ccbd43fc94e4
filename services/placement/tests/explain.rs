//! The explanation says which constraint removed how many, and what would fit.

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::{Cloud, uuid};

async fn cloud() -> Cloud {
    let cloud = Cloud::new().await;
    cloud
        .provider(1, None, &[("VCPU", 2), ("MEMORY_MB", 100)])
        .await;
    cloud
        .provider(2, None, &[("VCPU", 8), ("MEMORY_MB", 200)])
        .await;
    cloud
        .provider(3, None, &[("VCPU", 8), ("MEMORY_MB", 900)])
        .await;
    cloud
        .provider(4, None, &[("VCPU", 9), ("MEMORY_MB", 900)])
        .await;
    cloud.traits(3, &["CUSTOM_GPU"]).await;
    cloud.aggregates(3, &[50]).await;
    cloud
}

#[tokio::test]
async fn each_constraint_says_what_it_removed() {
    let cloud = cloud().await;
    let query = format!(
        "/nephos/v1/explain?resources=VCPU:4,MEMORY_MB:500&required=CUSTOM_GPU&member_of={}",
        uuid(51)
    );
    let told = cloud.admin.get(&query).await.expect(200).json;
    assert_eq!((&told["total"], &told["left"]), (&json!(4), &json!(0)));
    let steps: Vec<(&str, i64, i64)> = told["constraints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            let number = |key: &str| step[key].as_i64().unwrap();
            (
                step["constraint"].as_str().unwrap(),
                number("removed"),
                number("left"),
            )
        })
        .collect();
    let expected = [
        ("resources", 1, 3),
        ("resources", 1, 2),
        ("required", 1, 1),
        ("member_of", 1, 0),
    ];
    assert_eq!(steps, expected);
    assert_eq!(told["constraints"][1]["resource_class"], "MEMORY_MB");
    assert_eq!(told["largest_free"], json!({"MEMORY_MB": 900, "VCPU": 9}));
    let names: Vec<&Value> = told["admin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["host-1", "host-2", "host-4", "host-3"]);
}

#[tokio::test]
async fn names_are_for_the_operator_and_the_largest_portion_follows_usage() {
    let cloud = cloud().await;
    let some = json!({ uuid(4): {"resources": {"VCPU": 5}} });
    cloud.claim(9, Value::Null, some).await.expect(204);
    let query = "/nephos/v1/explain?resources=VCPU:100";
    let told = cloud.peer().get(query).await.expect(200).json;
    assert_eq!(told["largest_free"], json!({"VCPU": 8}));
    assert_eq!(told["constraints"][0]["removed"], 4);
    assert_eq!(told.get("admin"), None);
    cloud
        .admin
        .as_persona(Persona::Manager)
        .get(query)
        .await
        .expect(403);
    cloud
        .admin
        .get("/nephos/v1/explain?resources=NONE:1")
        .await
        .expect(400);
}
