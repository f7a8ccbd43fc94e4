//! Which versions there are, and what this is.

use nephos_api::{Json, Public, Reply, Req, endpoint};
use serde_json::json;

use super::stacks::{ProjectPath, project};
use super::view::Document;
use crate::{Cx, rules};

endpoint! {
    /// Say which versions of the API there are.
    ListVersions: GET "/" => 300,
    policy: Public,
    reply: Json<Document>,
    handler: list_versions,
}
async fn list_versions(cx: Cx, _req: Req<ListVersions>) -> Reply<ListVersions> {
    let v1 = json!({"id": "v1.0", "status": "CURRENT", "links": [{"rel": "self", "href": cx.url("/v1/")}]});
    Ok(Json(Document(json!({ "versions": [v1] }))))
}

endpoint! {
    /// Say which build this is.
    ShowBuildInfo: GET "/v1/{tenant_id}/build_info" => 200,
    policy: rules::BuildInfo,
    path: ProjectPath,
    reply: Json<Document>,
    handler: show_build_info,
}
async fn show_build_info(cx: Cx, req: Req<ShowBuildInfo>) -> Reply<ShowBuildInfo> {
    project(&cx, &req.path.tenant_id)?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(Json(Document(
        json!({"api": {"revision": version}, "engine": {"revision": version}}),
    )))
}
