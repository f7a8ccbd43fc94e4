//! Which versions there are, which providers.

use nephos_api::{Json, Params, Public, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::listing::fields_of;
use crate::{Cx, rules};

/// Versions of the API of which everything is offered, as Octavia dates them. Each stands for what came with it: v2.1 for
/// timeouts and backup members; v2.2 and v2.3 would be UDP.
const VERSIONS: &[(&str, &str)] = &[
    ("v2.0", "2016-12-11T00:00:00Z"),
    ("v2.1", "2018-04-20T00:00:00Z"),
];

fn versions(cx: &Cx) -> Value {
    let newest = VERSIONS.len() - 1;
    let all: Vec<Value> = VERSIONS
        .iter()
        .enumerate()
        .map(|(index, (id, updated))| {
            json!({
                "id": id, "updated": updated, "status": if index == newest { "CURRENT" } else { "SUPPORTED" },
                "links": [{"rel": "self", "href": cx.url("/v2")}],
            })
        })
        .collect();
    json!({ "versions": all })
}

endpoint! {
    /// Say which versions there are to choose from.
    ListVersions: GET "/" => 200,
    policy: Public,
    reply: Json<Value>,
    handler: list_versions,
}
async fn list_versions(cx: Cx, _req: Req<ListVersions>) -> Reply<ListVersions> {
    Ok(Json(versions(&cx)))
}

endpoint! {
    /// Likewise, where version 2 is.
    ShowVersion: GET "/v2" => 200,
    policy: Public,
    reply: Json<Value>,
    handler: show_version,
}
async fn show_version(cx: Cx, _req: Req<ShowVersion>) -> Reply<ShowVersion> {
    Ok(Json(versions(&cx)))
}

/// Who makes load balancers. The others are names that clients ask for; it is always haproxy.
pub(crate) const PROVIDERS: [(&str, &str); 3] = [
    ("haproxy", "A haproxy in a network namespace of a host."),
    (
        "amphora",
        "Another name of haproxy, for clients that ask for it.",
    ),
    (
        "octavia",
        "Another name of haproxy, for clients that ask for it.",
    ),
];

endpoint! {
    /// List providers.
    ListProviders: GET "/v2/lbaas/providers" => 200,
    policy: rules::ListProviders,
    query: Params,
    reply: Json<Value>,
    handler: list_providers,
}
async fn list_providers(_cx: Cx, req: Req<ListProviders>) -> Reply<ListProviders> {
    let fields = fields_of(&req.query);
    let all: Vec<Value> = PROVIDERS
        .iter()
        .map(|(name, description)| {
            super::listing::only(json!({"name": name, "description": description}), &fields)
        })
        .collect();
    Ok(Json(json!({ "providers": all })))
}
