//! Every endpoint, asked by every kind of caller.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use nephos_image::Image;
use nephos_testkit::{Persona, check_matrix, matrix};
use serde_json::{Value, json};

use crate::kit::{Cloud, Needs, cloud, created, patch, put_octets, upload};

#[tokio::test]
async fn tenants_are_separate() {
    let cloud = Arc::new(cloud().await);
    cloud.needs(Needs(nephos_testkit::HOST, None));
    let ask = cloud.ask.clone();
    let table = matrix::<Image, _, _>(&ask, |endpoint| {
        let cloud = Arc::clone(&cloud);
        async move { fixture(&cloud, endpoint).await }
    })
    .await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/matrix.txt");
    check_matrix(&table, &golden);
}

/// A fresh thing for each call.
async fn fixture(cloud: &Cloud, endpoint: &'static str) -> Option<(String, Value)> {
    if let Some(found) = discovery(endpoint) {
        return Some(found);
    }
    if let Some(found) = metadef(cloud, endpoint).await {
        return Some(found);
    }
    let private = || created_private(cloud);
    let image = |id: &str, rest: &str| format!("/v2/images/{id}{rest}");
    Some(match endpoint {
        "CreateImage" => ("/v2/images".to_owned(), json!({"name": "x"})),
        "ListImages" => ("/v2/images".to_owned(), Value::Null),
        "ShowImage" | "DeleteImage" => (image(&private().await, ""), Value::Null),
        // These want another media type: who gets as far as to be told so may make the call.
        "UpdateImage" => (image(&private().await, ""), json!([])),
        "UploadImage" => (image(&private().await, "/file"), Value::Null),
        "StageImage" => (image(&private().await, "/stage"), Value::Null),
        "ImportImage" => {
            let body = json!({"method": {"name": "glance-direct"}});
            (image(&staged(cloud).await, "/import"), body)
        }
        "DownloadImage" => (image(&active(cloud).await, "/file"), Value::Null),
        "DeactivateImage" => (
            image(&active(cloud).await, "/actions/deactivate"),
            Value::Null,
        ),
        "ReactivateImage" => (
            image(&active(cloud).await, "/actions/reactivate"),
            Value::Null,
        ),
        "DeleteImageFromStore" => (
            format!("/v2/stores/file/{}", active(cloud).await),
            Value::Null,
        ),
        "AddTag" => (image(&private().await, "/tags/t"), Value::Null),
        "DeleteTag" => {
            let id = private().await;
            let tag = json!([{"op": "replace", "path": "/tags", "value": ["t"]}]);
            patch(&cloud.member(), &id, tag).await.expect(200);
            (image(&id, "/tags/t"), Value::Null)
        }
        "ListImageTasks" => (image(&private().await, "/tasks"), Value::Null),
        "CreateMember" => (
            image(&cloud.queued().await, "/members"),
            json!({"member": "somebody"}),
        ),
        "ListMembers" => (image(&shared(cloud).await, "/members"), Value::Null),
        "ShowMember" | "DeleteMember" => (image(&shared(cloud).await, &member()), Value::Null),
        "UpdateMember" => (
            image(&shared(cloud).await, &member()),
            json!({"status": "accepted"}),
        ),
        "ListTasks" => ("/v2/tasks".to_owned(), Value::Null),
        "ShowTask" => (
            "/v2/tasks/0b6a2a8e-0000-4000-8000-000000000000".to_owned(),
            Value::Null,
        ),
        "CreateTask" => ("/v2/tasks".to_owned(), json!({})),
        _unknown => return None,
    })
}

fn discovery(endpoint: &str) -> Option<(String, Value)> {
    let target = match endpoint {
        "ListVersions" => "/",
        "ListVersionsExplicitly" => "/versions",
        "ShowV2" => "/v2",
        "ShowImportInfo" => "/v2/info/import",
        "ShowStores" => "/v2/info/stores",
        "ShowStoresDetail" => "/v2/info/stores/detail",
        "ShowSchema" => "/v2/schemas/image",
        "ShowMetadefSchema" => "/v2/schemas/metadefs/namespace",
        _other => return None,
    };
    Some((target.to_owned(), Value::Null))
}

async fn created_private(cloud: &Cloud) -> String {
    created(&cloud.member(), json!({"visibility": "private"})).await
}

async fn active(cloud: &Cloud) -> String {
    let id = created_private(cloud).await;
    upload(&cloud.member(), &id, Bytes::from_static(b"x"))
        .await
        .expect(204);
    id
}

async fn staged(cloud: &Cloud) -> String {
    let id = created_private(cloud).await;
    let target = format!("/v2/images/{id}/stage");
    put_octets(&cloud.member(), &target, Bytes::from_static(b"x"))
        .await
        .expect(204);
    id
}

/// Shared with the other project.
async fn shared(cloud: &Cloud) -> String {
    let id = cloud.queued().await;
    let body = json!({"member": Persona::OtherProject.project()});
    cloud
        .member()
        .post(&format!("/v2/images/{id}/members"), body)
        .await
        .expect(200);
    id
}

fn member() -> String {
    format!("/members/{}", Persona::OtherProject.project())
}

/// A private namespace of the project, with one of everything in it.
async fn metadef(cloud: &Cloud, endpoint: &str) -> Option<(String, Value)> {
    let root = "/v2/metadefs/namespaces";
    let (rest, body) = match endpoint {
        "CreateNamespace" => {
            let name = nephos_runtime::ids::hex();
            return Some((root.to_owned(), json!({"namespace": name})));
        }
        "ListNamespaces" => return Some((root.to_owned(), Value::Null)),
        "ListResourceTypes" => {
            return Some(("/v2/metadefs/resource_types".to_owned(), Value::Null));
        }
        "ShowNamespace" | "DeleteNamespace" => ("", Value::Null),
        "UpdateNamespace" => ("", json!({"namespace": nephos_runtime::ids::hex()})),
        "CreateObject" => ("/objects", json!({"name": "new"})),
        "ListObjects" | "DeleteObjects" => ("/objects", Value::Null),
        "ShowObject" | "DeleteObject" => ("/objects/o", Value::Null),
        "UpdateObject" => ("/objects/o", json!({"name": "o"})),
        "CreateProperty" => (
            "/properties",
            json!({"name": "new", "title": "t", "type": "string"}),
        ),
        "ListProperties" | "DeleteProperties" => ("/properties", Value::Null),
        "ShowProperty" | "DeleteProperty" => ("/properties/p", Value::Null),
        "UpdateProperty" => (
            "/properties/p",
            json!({"name": "p", "title": "t", "type": "string"}),
        ),
        "CreateTags" => ("/tags", json!({"tags": [{"name": "new"}]})),
        "ListTags" | "DeleteTags" => ("/tags", Value::Null),
        "CreateTag" => ("/tags/new", Value::Null),
        "ShowTag" | "DeleteMetadefTag" => ("/tags/t", Value::Null),
        "UpdateTag" => ("/tags/t", json!({"name": "t"})),
        "CreateAssociation" => ("/resource_types", json!({"name": "OS::Nova::Server"})),
        "ListAssociations" => ("/resource_types", Value::Null),
        "DeleteAssociation" => ("/resource_types/OS::Glance::Image", Value::Null),
        _other => return None,
    };
    let name = nephos_runtime::ids::hex();
    let whole = json!({
        "namespace": name, "owner": Persona::Member.project(),
        "objects": [{"name": "o"}], "tags": [{"name": "t"}],
        "properties": {"p": {"title": "t", "type": "string"}},
        "resource_type_associations": [{"name": "OS::Glance::Image"}],
    });
    cloud.admin().post(root, whole).await.expect(201);
    Some((format!("{root}/{name}{rest}"), body))
}
