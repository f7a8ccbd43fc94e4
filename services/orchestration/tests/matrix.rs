//! Every endpoint, asked by every kind of caller.

use std::path::Path;
use std::sync::Arc;

use nephos_orchestration::Orchestration;
use nephos_testkit::{check_matrix, matrix};
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, path, template};

#[tokio::test]
async fn tenants_are_separate() {
    let cloud = Arc::new(cloud().await);
    let ask = cloud.ask.clone();
    let table = matrix::<Orchestration, _, _>(&ask, |endpoint| {
        let cloud = Arc::clone(&cloud);
        async move { fixture(&cloud, endpoint).await }
    })
    .await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/matrix.txt");
    check_matrix(&table, &golden);
}

fn test_template() -> Value {
    let mut body = template(
        json!({"t": {"type": "OS::Heat::TestResource"}, "h": {"type": "OS::Heat::WaitConditionHandle"}}),
    );
    body["outputs"] = json!({"o": {"value": 1}});
    body
}

/// A fresh thing for each call.
async fn fixture(cloud: &Cloud, endpoint: &'static str) -> Option<(String, Value)> {
    if let Some(found) = without_stack(cloud, endpoint).await {
        return Some(found);
    }
    let name = format!("s{}", nephos_runtime::ids::hex());
    let stack = cloud
        .create(&name, json!({"template": test_template()}))
        .await;
    cloud.settle().await;
    let of = |rest: &str| path(&format!("/stacks/{stack}{rest}"));
    let by_name = |rest: &str| path(&format!("/stacks/{name}{rest}"));
    let update = || json!({"template": test_template()});
    Some(match endpoint {
        "FindStack" | "FindStackToDelete" | "FindStackToPatch" | "FindStackToUpdate" => {
            (by_name(""), Value::Null)
        }
        "FindStackActions" => (by_name("/actions"), Value::Null),
        "FindStackEnvironment" => (by_name("/environment"), Value::Null),
        "FindStackEvents" => (by_name("/events"), Value::Null),
        "FindStackFiles" => (by_name("/files"), Value::Null),
        "FindStackResources" => (by_name("/resources"), Value::Null),
        "FindStackTemplate" => (by_name("/template"), Value::Null),
        "ShowStack" | "DeleteStack" => (of(""), Value::Null),
        "UpdateStack" => (of(""), update()),
        "PatchStack" => (of(""), json!({})),
        "PreviewUpdate" => (of("/preview"), update()),
        "PreviewPatch" => (of("/preview"), json!({})),
        "ShowTemplate" => (of("/template"), Value::Null),
        "ShowEnvironment" => (of("/environment"), Value::Null),
        "ShowFiles" => (of("/files"), Value::Null),
        "ListOutputs" => (of("/outputs"), Value::Null),
        "ShowOutput" => (of("/outputs/o"), Value::Null),
        "ListResources" => (of("/resources"), Value::Null),
        "ShowResource" => (of("/resources/t"), Value::Null),
        "ShowMetadata" => (of("/resources/t/metadata"), Value::Null),
        "MarkUnhealthy" => (of("/resources/t"), json!({"mark_unhealthy": true})),
        "PutSignal" | "SignalResource" => (of("/resources/h/signal"), json!({})),
        "ListStackEvents" => (of("/events"), Value::Null),
        "ListResourceEvents" => (of("/resources/t/events"), Value::Null),
        "ShowEvent" => {
            let list = cloud
                .get(&stack, "/resources/t/events")
                .await
                .expect(200)
                .json;
            (
                of(&format!(
                    "/resources/t/events/{}",
                    list["events"][0]["id"].as_str()?
                )),
                Value::Null,
            )
        }
        "ActOnStack" => (of("/actions"), json!({"check": null})),
        _unknown => return None,
    })
}

async fn without_stack(cloud: &Cloud, endpoint: &str) -> Option<(String, Value)> {
    let whole = || json!({"stack_name": format!("s{}", nephos_runtime::ids::hex()), "template": test_template()});
    Some(match endpoint {
        "ListVersions" => ("/".to_owned(), Value::Null),
        "ShowBuildInfo" => (path("/build_info"), Value::Null),
        "CreateStack" => (path("/stacks"), whole()),
        "PreviewStack" => (path("/stacks/preview"), whole()),
        "ListStacks" => (path("/stacks"), Value::Null),
        "ListStackDetails" => (path("/stacks/detail"), Value::Null),
        "ValidateTemplate" => (path("/validate"), json!({"template": test_template()})),
        "ListTemplateVersions" => (path("/template_versions"), Value::Null),
        "ListTemplateFunctions" => (
            path("/template_versions/heat_template_version.2016-10-14/functions"),
            Value::Null,
        ),
        "ListResourceTypes" => (path("/resource_types"), Value::Null),
        "ShowResourceType" => (path("/resource_types/OS::Heat::TestResource"), Value::Null),
        "MakeTemplate" => (
            path("/resource_types/OS::Heat::TestResource/template"),
            Value::Null,
        ),
        "ListConfigs" => (path("/software_configs"), Value::Null),
        "CreateConfig" => (path("/software_configs"), json!({"name": "c"})),
        "ShowConfig" | "DeleteConfig" => (
            path(&format!("/software_configs/{}", config(cloud).await)),
            Value::Null,
        ),
        "ListDeployments" => (path("/software_deployments"), Value::Null),
        "CreateDeployment" => (
            path("/software_deployments"),
            json!({"config_id": config(cloud).await, "server_id": "s"}),
        ),
        "ShowDeployment" | "DeleteDeployment" => (
            path(&format!(
                "/software_deployments/{}",
                deployment(cloud).await
            )),
            Value::Null,
        ),
        "UpdateDeployment" => (
            path(&format!(
                "/software_deployments/{}",
                deployment(cloud).await
            )),
            json!({"status": "COMPLETE"}),
        ),
        "ShowServerMetadata" => (path("/software_deployments/metadata/s"), Value::Null),
        _other => return None,
    })
}

async fn config(cloud: &Cloud) -> String {
    let made = cloud
        .member()
        .post(
            &path("/software_configs"),
            json!({"name": "c", "config": "x"}),
        )
        .await
        .expect(200);
    made.json["software_config"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn deployment(cloud: &Cloud) -> String {
    let body = json!({"config_id": config(cloud).await, "server_id": "s"});
    let made = cloud
        .member()
        .post(&path("/software_deployments"), body)
        .await
        .expect(200);
    made.json["software_deployment"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}
