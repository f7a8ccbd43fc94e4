//! Bad input gets a clear answer, never a 500 and never a half-made thing.

use http::Method;
use serde_json::{Value, json};

use crate::{Cloud, claim, detail, uuid};

#[tokio::test]
async fn bodies_that_make_no_sense_are_refused_with_the_reason() {
    let cloud = Cloud::new().await;
    let host = cloud.provider(1, None, &[("VCPU", 4)]).await;
    let inventories = format!("/resource_providers/{host}/inventories");
    let one = format!("/allocations/{}", uuid(9));
    let huge = json!({ host.clone(): {"resources": {"VCPU": u64::MAX}} });
    let cases: Vec<(Method, &str, Value, &str)> = vec![
        (
            Method::POST,
            "/resource_providers",
            json!({"name": 5}),
            "5 is not of type 'string'",
        ),
        (
            Method::POST,
            "/resource_providers",
            json!({"name": ""}),
            "name is required",
        ),
        (
            Method::POST,
            "/resource_providers",
            json!({"name": "x".repeat(201)}),
            "is too long",
        ),
        (
            Method::POST,
            "/resource_providers",
            json!({"name": "x", "uuid": "y"}),
            "'y' is not a 'uuid'",
        ),
        (
            Method::POST,
            "/resource_providers",
            json!({"name": "x", "parent_provider_uuid": uuid(9)}),
            "does not exist",
        ),
        (
            Method::PUT,
            &inventories,
            json!({"resource_provider_generation": 1, "inventories": {"VCPU": {"total": 1, "reserved": 2}}}),
            "greater than total",
        ),
        (
            Method::PUT,
            &inventories,
            json!({"resource_provider_generation": 1, "inventories": {"NONE": {"total": 1}}}),
            "No such resource class NONE",
        ),
        (
            Method::PUT,
            &inventories,
            json!({"resource_provider_generation": 1, "inventories": {"VCPU": {"total": i64::MAX}}}),
            "greater than the maximum",
        ),
        (
            Method::PUT,
            &one,
            claim(Value::Null, json!({"x": {"resources": {"VCPU": 1}}})),
            "does not match any of the regexes",
        ),
        (
            Method::PUT,
            &one,
            claim(Value::Null, json!({uuid(8): {"resources": {"VCPU": 1}}})),
            "that does not exist",
        ),
        (
            Method::PUT,
            &one,
            claim(Value::Null, huge),
            "greater than the maximum",
        ),
        (
            Method::PUT,
            "/allocations/me",
            claim(Value::Null, json!({})),
            "Malformed consumer_uuid: me",
        ),
        (
            Method::POST,
            "/allocations",
            json!({}),
            "should be non-empty",
        ),
    ];
    for (method, target, body, expected) in cases {
        let answer = cloud.admin.json(method, target, &body).await.expect(400);
        assert!(
            detail(&answer).contains(expected),
            "{body}: {}",
            detail(&answer)
        );
    }
    let over = claim(
        Value::Null,
        json!({ host.clone(): {"resources": {"VCPU": i64::MAX}} }),
    );
    cloud.admin.put(&one, over).await.expect(409);
    cloud
        .admin
        .send(Method::POST, "/allocations", "{".into())
        .await
        .expect(400);
    let plain = cloud.admin.with_header("content-type", "text/plain");
    let answer = plain
        .send(Method::POST, "/resource_providers", "x".into())
        .await
        .expect(415);
    assert!(detail(&answer).contains("text/plain is not supported"));
    assert_eq!(cloud.used(1).await, json!({"VCPU": 0}));
    cloud.check().await;
}

#[tokio::test]
async fn queries_that_make_no_sense_are_refused_with_the_reason() {
    let cloud = Cloud::new().await;
    cloud.provider(1, None, &[("VCPU", 4)]).await;
    for (query, expected) in [
        ("", "There must be at least one resources"),
        ("resources=", "Got: empty string"),
        ("resources=VCPU", "Badly formed resources parameter"),
        ("resources=VCPU:0", "requires amount >= 1"),
        ("resources=VCPU:x", "expected positive integer amount"),
        ("resources=NONE:1", "No such resource class NONE"),
        ("resources=VCPU:1&required=NONE", "No such trait(s): NONE"),
        ("resources=VCPU:1&required=A,,B", "Got an empty trait in"),
        ("resources=VCPU:1&member_of=x", "valid UUID(s)"),
        ("resources=VCPU:1&in_tree=x", "format of uuid"),
        ("resources=VCPU:1&limit=0", "does not match"),
        (
            "resources=VCPU:1&color=red",
            "'color' does not match any of the regexes",
        ),
        (
            "resources=VCPU:1&resources1=VCPU:1&resources2=VCPU:1",
            "group_policy",
        ),
        (
            "resources=VCPU:1&required1=HW_CPU_X86_AVX2",
            "Resourceless suffixed group",
        ),
        ("resources1=VCPU:1&same_subtree=2", "Real suffixes"),
        (
            "resources=VCPU:1&root_required=HW_CPU_X86_AVX2,!HW_CPU_X86_AVX2",
            "Conflicting required and forbidden",
        ),
        ("resources=VCPU:%ff", "can't decode"),
    ] {
        let answer = cloud
            .admin
            .get(&format!("/allocation_candidates?{query}"))
            .await
            .expect(400);
        assert!(
            detail(&answer).contains(expected),
            "{query}: {}",
            detail(&answer)
        );
    }
    let large = "/allocation_candidates?resources=VCPU:99999999999999999999999&limit=99999999999999999999999";
    let answer = cloud.admin.get(large).await.expect(200);
    assert_eq!(answer.json["allocation_requests"], json!([]));
}

#[tokio::test]
async fn faults_have_upstreams_form() {
    let cloud = Cloud::new().await;
    let target = format!("/resource_providers/{}", uuid(9));
    let fault = cloud.admin.get(&target).await.expect(404).json["errors"][0].clone();
    assert_eq!(fault["title"], "Not Found");
    assert_eq!(fault["code"], "placement.undefined_code");
    assert!(fault["request_id"].as_str().unwrap().starts_with("req-"));
    let old = cloud.at(22).get(&target).await.expect(404);
    assert_eq!(old.json["errors"][0].get("code"), None);
    let unknown = cloud.admin.at("placement 1.40").get("/").await.expect(406);
    assert_eq!(unknown.json["errors"][0]["max_version"], "1.39");
    assert!(detail(&unknown).contains("Unacceptable version header: 1.40"));
    let method = cloud.admin.delete("/resource_providers").await.expect(405);
    assert_eq!(method.header("allow"), Some("GET, POST"));
    let page = cloud
        .admin
        .with_header("accept", "text/html")
        .get("/<b>")
        .await
        .expect(404);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=UTF-8")
    );
    let json = cloud.admin.with_header("accept", "text/plain");
    json.get("/resource_providers").await.expect(406);
}
