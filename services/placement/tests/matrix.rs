//! Who may call what.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use nephos_placement::Placement;
use nephos_testkit::{check_matrix, matrix};
use serde_json::{Value, json};

use crate::{Cloud, claim, uuid};

static NEXT: AtomicU64 = AtomicU64::new(1000);

#[tokio::test]
async fn every_call_has_its_callers() {
    let cloud = Cloud::new().await;
    let table = matrix::<Placement, _, _>(&cloud.admin, |name| row(&cloud, name)).await;
    check_matrix(
        &table,
        Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/matrix.txt"
        )),
    );
}

/// A fresh provider with an inventory, held by a fresh consumer when `held`.
async fn fresh(cloud: &Cloud, held: bool) -> (String, u64) {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let host = cloud.provider(n, None, &[("VCPU", 8)]).await;
    if held {
        let some = json!({ host.clone(): {"resources": {"VCPU": 1}} });
        cloud.claim(n, Value::Null, some).await.expect(204);
    }
    (format!("/resource_providers/{host}"), n)
}

async fn custom(cloud: &Cloud, collection: &str) -> String {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let target = format!("/{collection}/CUSTOM_{n}");
    cloud
        .admin
        .send(http::Method::PUT, &target, "".into())
        .await
        .expect(201);
    target
}

async fn row(cloud: &Cloud, name: &'static str) -> Option<(String, Value)> {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let new_name = format!("CUSTOM_NEW_{n}");
    let inventory = json!({"total": 4, "resource_provider_generation": 1});
    let old_claim = |host: &str| {
        let listed = json!([{"resource_provider": {"uuid": host}, "resources": {"VCPU": 1}}]);
        json!({ "allocations": listed })
    };
    let project = nephos_testkit::Persona::Member.project();
    let found = match name {
        "Discover" => ("/".to_owned(), Value::Null),
        "ListProviders" => ("/resource_providers".to_owned(), Value::Null),
        "CreateProvider" | "CreateProviderSilently" => (
            "/resource_providers".to_owned(),
            json!({"name": format!("new-{n}")}),
        ),
        "ShowProvider" | "DeleteProvider" => (fresh(cloud, false).await.0, Value::Null),
        "UpdateProvider" => (
            fresh(cloud, false).await.0,
            json!({"name": format!("other-{n}")}),
        ),
        "ListInventories" | "DeleteInventories" | "DeleteInventoriesUnknown" => (
            format!("{}/inventories", fresh(cloud, false).await.0),
            Value::Null,
        ),
        "CreateInventory" => {
            let body = json!({"resource_class": "DISK_GB", "total": 4});
            (format!("{}/inventories", fresh(cloud, false).await.0), body)
        }
        "SetInventories" => {
            let body =
                json!({"resource_provider_generation": 1, "inventories": {"VCPU": {"total": 4}}});
            (format!("{}/inventories", fresh(cloud, false).await.0), body)
        }
        "ShowInventory" | "DeleteInventory" => (
            format!("{}/inventories/VCPU", fresh(cloud, false).await.0),
            Value::Null,
        ),
        "UpdateInventory" => (
            format!("{}/inventories/VCPU", fresh(cloud, false).await.0),
            inventory,
        ),
        "ListAggregates" => (
            format!("{}/aggregates", fresh(cloud, false).await.0),
            Value::Null,
        ),
        "SetAggregates" => (
            format!("{}/aggregates", fresh(cloud, false).await.0),
            json!([uuid(5)]),
        ),
        "ListProviderTraits" | "DeleteProviderTraits" => (
            format!("{}/traits", fresh(cloud, false).await.0),
            Value::Null,
        ),
        "SetProviderTraits" => {
            let body = json!({"traits": ["HW_CPU_X86_AVX2"], "resource_provider_generation": 1});
            (format!("{}/traits", fresh(cloud, false).await.0), body)
        }
        "ListProviderUsages" => (
            format!("{}/usages", fresh(cloud, true).await.0),
            Value::Null,
        ),
        "ListProviderAllocations" => (
            format!("{}/allocations", fresh(cloud, true).await.0),
            Value::Null,
        ),
        "ListAllocations" | "DeleteAllocations" => (
            format!("/allocations/{}", uuid(fresh(cloud, true).await.1)),
            Value::Null,
        ),
        "SetAllocations" => {
            let host = uuid(fresh(cloud, false).await.1);
            (format!("/allocations/{}", uuid(n)), old_claim(&host))
        }
        "SetManyAllocations" => {
            let host = uuid(fresh(cloud, false).await.1);
            let mut body = claim(Value::Null, json!({ host: {"resources": {"VCPU": 1}} }));
            body.as_object_mut()?
                .retain(|key, _| !key.starts_with("consumer"));
            ("/allocations".to_owned(), json!({ uuid(n): body }))
        }
        "Reshape" => {
            let host = uuid(fresh(cloud, false).await.1);
            let inventories =
                json!({ host: {"resource_provider_generation": 1, "inventories": {}} });
            (
                "/reshaper".to_owned(),
                json!({"inventories": inventories, "allocations": {}}),
            )
        }
        "ListCandidates" => (
            "/allocation_candidates?resources=VCPU:1".to_owned(),
            Value::Null,
        ),
        "ExplainCandidates" => (
            "/nephos/v1/explain?resources=VCPU:1".to_owned(),
            Value::Null,
        ),
        "ListClasses" => ("/resource_classes".to_owned(), Value::Null),
        "CreateClass" => ("/resource_classes".to_owned(), json!({ "name": new_name })),
        "ShowClass" | "DeleteClass" => (custom(cloud, "resource_classes").await, Value::Null),
        "RenameClass" => (
            custom(cloud, "resource_classes").await,
            json!({ "name": new_name }),
        ),
        "EnsureClass" => (format!("/resource_classes/{new_name}"), Value::Null),
        "ListTraits" => ("/traits".to_owned(), Value::Null),
        "ShowTrait" | "DeleteTrait" => (custom(cloud, "traits").await, Value::Null),
        "CreateTrait" => (format!("/traits/{new_name}"), Value::Null),
        "ListUsages" | "ListUsagesUntyped" => {
            (format!("/usages?project_id={project}"), Value::Null)
        }
        _unknown => return None,
    };
    Some(found)
}
