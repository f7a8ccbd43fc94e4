//! Which versions there are.

use nephos_api::{Json, Public, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::Cx;
use super::versions::{MAX, MIN};
use crate::rules;

endpoint! {
    /// List the versions of the API.
    ListVersions: GET "/" => 200,
    policy: Public,
    reply: Json<Value>,
    handler: list_versions,
}

async fn list_versions(cx: Cx, _req: Req<ListVersions>) -> Reply<ListVersions> {
    Ok(Json(
        json!({ "versions": [older_version(&cx), version(&cx)] }),
    ))
}

endpoint! {
    /// Show version 2.1 of the API and its microversions.
    ShowVersion: GET "/v2.1" => 200,
    policy: Public,
    reply: Json<Value>,
    handler: show_version,
}

async fn show_version(cx: Cx, _req: Req<ShowVersion>) -> Reply<ShowVersion> {
    Ok(Json(detailed(version(&cx), "2.1")))
}

endpoint! {
    /// Show version 2.0 of the API: version 2.1 for clients that know no microversions.
    ShowOlderVersion: GET "/v2" => 200,
    policy: Public,
    reply: Json<Value>,
    handler: show_older_version,
}

async fn show_older_version(cx: Cx, _req: Req<ShowOlderVersion>) -> Reply<ShowOlderVersion> {
    Ok(Json(detailed(older_version(&cx), "2")))
}

fn detailed(mut version: Value, media: &str) -> Value {
    if let Some(version) = version.as_object_mut() {
        let media = format!("application/vnd.openstack.compute+json;version={media}");
        version.insert(
            "media-types".to_owned(),
            json!([{"base": "application/json", "type": media}]),
        );
    }
    json!({ "version": version })
}

fn older_version(cx: &Cx) -> Value {
    json!({
        "id": "v2.0", "status": "SUPPORTED", "version": "", "min_version": "", "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": cx.url("/v2/")}],
    })
}

fn version(cx: &Cx) -> Value {
    json!({
        "id": "v2.1", "status": "CURRENT", "version": MAX.to_string(), "min_version": MIN.to_string(),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": cx.url("/v2.1/")}],
    })
}

endpoint! {
    /// List extensions: there are none, all is in the microversions.
    ListExtensions: GET "/v2.1/extensions" => 200,
    policy: rules::ListExtensions,
    reply: Json<Value>,
    handler: list_extensions,
}

async fn list_extensions(_cx: Cx, _req: Req<ListExtensions>) -> Reply<ListExtensions> {
    Ok(Json(json!({ "extensions": [] })))
}
