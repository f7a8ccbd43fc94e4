//! Version discovery.

use nephos_api::{Json, Public, Reply, Req, With, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use super::dated;
use super::fault::{MAX, MIN};
use super::form::Bodiless;
use crate::Cx;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionsView {
    versions: Vec<VersionView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    id: String,
    max_version: String,
    min_version: String,
    status: &'static str,
    links: Vec<RootLink>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RootLink {
    rel: &'static str,
    href: &'static str,
}

endpoint! {
    /// Say which versions there are.
    Discover: GET "/" => 200,
    policy: Public,
    body: Bodiless,
    reply: With<Json<VersionsView>>,
    handler: discover,
}

async fn discover(cx: Cx, _req: Req<Discover>) -> Reply<Discover> {
    let version = VersionView {
        id: format!("v{MIN}"),
        max_version: MAX.to_string(),
        min_version: MIN.to_string(),
        status: "CURRENT",
        // Relative, as upstream has it: this same URL.
        links: vec![RootLink {
            rel: "self",
            href: "",
        }],
    };
    let view = VersionsView {
        versions: vec![version],
    };
    Ok(dated(&cx, Json(view), cx.now()))
}
