//! Which versions there are.

use nephos_api::{Json, Public, Reply, Req, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Cx, Svc};

/// The newest revision of the API whose resources are all here.
const ID: &str = "v3.14";
const UPDATED: &str = "2020-04-07T00:00:00Z";

/// A version of the API.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct VersionView {
    id: &'static str,
    status: &'static str,
    updated: &'static str,
    links: Vec<VersionLink>,
    media_types: Vec<MediaType>,
}

#[derive(Debug, Serialize, ToSchema)]
struct VersionLink {
    rel: &'static str,
    href: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct MediaType {
    base: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// All versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionsView {
    versions: VersionValues,
}

#[derive(Debug, Serialize, ToSchema)]
struct VersionValues {
    values: Vec<VersionView>,
}

/// One version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OneVersionView {
    version: VersionView,
}

fn version(cx: &Cx) -> VersionView {
    VersionView {
        id: ID,
        status: "stable",
        updated: UPDATED,
        links: vec![VersionLink {
            rel: "self",
            href: cx.url("/v3/"),
        }],
        media_types: vec![MediaType {
            base: "application/json",
            kind: "application/vnd.openstack.identity-v3+json",
        }],
    }
}

endpoint! {
    /// Say which versions there are.
    ListVersions: GET "/" => 300,
    policy: Public,
    reply: Json<VersionsView>,
    handler: list_versions,
}
async fn list_versions(cx: Cx, _req: Req<ListVersions>) -> Reply<ListVersions> {
    Ok(Json(VersionsView {
        versions: VersionValues {
            values: vec![version(&cx)],
        },
    }))
}

endpoint! {
    /// Show version 3.
    ShowVersion: GET "/v3" => 200,
    policy: Public,
    reply: Json<OneVersionView>,
    handler: show_version,
}
async fn show_version(cx: Cx, _req: Req<ShowVersion>) -> Reply<ShowVersion> {
    Ok(Json(OneVersionView {
        version: version(&cx),
    }))
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![ListVersions, ShowVersion]
}
