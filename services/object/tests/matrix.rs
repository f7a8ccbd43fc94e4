//! Every endpoint, asked by every kind of caller.

use std::path::Path;
use std::sync::Arc;

use nephos_object::Object;
use nephos_testkit::{check_matrix, matrix};
use serde_json::Value;

use crate::kit::{Cloud, MINE, cloud, put};

#[tokio::test]
async fn tenants_are_separate() {
    let cloud = Arc::new(cloud().await);
    let ask = cloud.ask.clone();
    let table = matrix::<Object, _, _>(&ask, |endpoint| {
        let cloud = Arc::clone(&cloud);
        async move { fixture(&cloud, endpoint).await }
    })
    .await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/matrix.txt");
    check_matrix(&table, &golden);
}

/// A fresh container for each call, with an object in it where the call is about one.
async fn fixture(cloud: &Cloud, endpoint: &'static str) -> Option<(String, Value)> {
    let name = nephos_runtime::ids::hex();
    let container = format!("{MINE}/{name}");
    let target = match endpoint {
        "ShowInfo" => return Some(("/info".to_owned(), Value::Null)),
        "HeadAccount" | "ListContainers" | "UpdateAccount" | "DeleteManyObjects" => MINE.to_owned(),
        "CreateContainer" => return Some((container, Value::Null)),
        "DeleteContainer" | "HeadContainer" | "ListObjects" | "UpdateContainer" => {
            cloud.container(&name).await;
            container
        }
        "DeleteObject" | "UpdateObject" | "GetObject" | "HeadObject" | "PutObject" => {
            cloud.container(&name).await;
            let object = format!("{container}/o");
            put(&cloud.member(), &object, "x").await.expect(201);
            object
        }
        _unknown => return None,
    };
    Some((target, Value::Null))
}
