//! Which versions there are. Glance's minor versions are no microversions: they say which calls exist.

use nephos_api::{Json, Public, Reply, Req, With, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Cx;

/// Newest first. 2.14, 2.16 and 2.18 are the image cache, 2.17 is the locations API: not offered.
const VERSIONS: [&str; 15] = [
    "2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2",
    "2.1", "2.0",
];

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionsView {
    versions: Vec<VersionView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    id: String,
    status: &'static str,
    links: Vec<VersionLink>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionLink {
    rel: &'static str,
    href: String,
}

fn versions(cx: &Cx) -> VersionsView {
    let view = |(at, version): (usize, &&str)| VersionView {
        id: format!("v{version}"),
        status: if at == 0 { "CURRENT" } else { "SUPPORTED" },
        links: vec![VersionLink {
            rel: "self",
            href: cx.url("/v2/"),
        }],
    };
    VersionsView {
        versions: VERSIONS.iter().enumerate().map(view).collect(),
    }
}

endpoint! {
    /// Say which versions there are to choose from.
    ListVersions: GET "/" => 300,
    policy: Public,
    reply: With<Json<VersionsView>>,
    handler: list_versions,
}
async fn list_versions(cx: Cx, _req: Req<ListVersions>) -> Reply<ListVersions> {
    Ok(With::new(Json(versions(&cx))))
}

endpoint! {
    /// Say which versions there are.
    ListVersionsExplicitly: GET "/versions" => 200,
    policy: Public,
    reply: Json<VersionsView>,
    handler: list_versions_explicitly,
}
async fn list_versions_explicitly(
    cx: Cx,
    _req: Req<ListVersionsExplicitly>,
) -> Reply<ListVersionsExplicitly> {
    Ok(Json(versions(&cx)))
}

endpoint! {
    /// The root of version 2 says the same: clients look for versions there, too.
    ShowV2: GET "/v2" => 300,
    policy: Public,
    reply: Json<VersionsView>,
    handler: show_v2,
}
async fn show_v2(cx: Cx, _req: Req<ShowV2>) -> Reply<ShowV2> {
    Ok(Json(versions(&cx)))
}
