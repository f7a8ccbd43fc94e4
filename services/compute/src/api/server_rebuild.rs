//! Rebuilding: the same server, with its disk made anew from an image.

use std::collections::BTreeMap;

use http::header;
use nephos_api::{Fault, Json, Loaded, Reply, Req, Shape, With, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::server_create::File;
use super::server_fields::{address, disk_config, files, hostname, user_data};
use super::server_references::{check_fits, image, image_id, key};
use super::server_view::{ServerView, Viewer};
use super::versions::{REBUILD, REBUILD_KEYS, SERVER_REBUILT};
use super::{Cx, ServerPath, asked, fault, name_it, server};
use crate::model::name;
use crate::model::server::{Server, VmState};
use crate::{ops, rules};

#[derive(Deserialize, ToSchema)]
pub(crate) struct RebuildBody {
    rebuild: Rebuilding,
}

#[derive(Deserialize, ToSchema)]
struct Rebuilding {
    #[serde(rename = "imageRef")]
    image: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "adminPass")]
    admin_pass: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "OS-DCF:diskConfig")]
    disk_config: Option<String>,
    #[serde(default, rename = "accessIPv4")]
    access_ipv4: Option<String>,
    #[serde(default, rename = "accessIPv6")]
    access_ipv6: Option<String>,
    #[serde(default)]
    personality: Option<Vec<File>>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    #[schema(value_type = Option<String>)]
    key_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    #[schema(value_type = Option<String>)]
    user_data: Option<Option<String>>,
    #[serde(default)]
    trusted_image_certificates: Option<Vec<String>>,
    #[serde(default)]
    hostname: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RebuiltReply {
    server: RebuiltView,
}

#[derive(Serialize, ToSchema)]
struct RebuiltView {
    #[serde(flatten)]
    server: ServerView,
    #[serde(rename = "adminPass")]
    admin_pass: String,
    user_data: Option<String>,
}

endpoint! {
    /// Make a server's disk anew from an image.
    Rebuild: POST "/v2.1/servers/{id}/action" ["rebuild"] => 202,
    policy: Loaded<rules::RebuildServer>,
    path: ServerPath,
    body: Json<RebuildBody> as Shape::one("rebuild", REBUILD).keys(REBUILD_KEYS),
    reply: With<Json<RebuiltReply>> as Shape::one("server", SERVER_REBUILT),
    handler: rebuild,
}

async fn rebuild(cx: Cx, req: Req<Rebuild>) -> Reply<Rebuild> {
    let id = &req.path.id;
    let asked_for = fields(&cx, req.body.0.rebuild)?;
    let allowed = cx
        .allow(rules::RebuildServer, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let refused = |why| fault::refused(&allowed, "rebuild", why);
    allowed
        .check_unlocked(cx.caller.is_admin())
        .map_err(refused)?;
    allowed
        .check_can(&[VmState::Active, VmState::Stopped, VmState::Error])
        .map_err(refused)?;
    // Its disk is a volume, which only the block service could fill anew.
    if allowed.boots_from_volume() {
        return Err(Fault::bad_request(
            "Unable to rebuild with a different image for a volume-backed server.",
        ));
    }
    let wanted = plan(&cx, &allowed, asked_for).await?;
    let mut tx = cx.write().await?;
    let begun = ops::rebuild::request(&mut tx, asked(&cx), &allowed, wanted).await;
    let rebuilt = begun.map_err(|why| fault::busy(&allowed, "rebuild", why))?;
    tx.commit().await?;
    let (admin_pass, user_data) = (
        rebuilt.admin_pass.clone().unwrap_or_default(),
        rebuilt.user_data.clone(),
    );
    let location = cx.url(&format!("/v2.1/servers/{id}"));
    let server = Viewer::new(&cx, true).await?.view(rebuilt);
    let reply = RebuiltReply {
        server: RebuiltView {
            server,
            admin_pass,
            user_data,
        },
    };
    Ok(With::new(Json(reply)).header(header::LOCATION, &location))
}

/// What is asked for, checked and in its final form, before the server is looked at.
fn fields(cx: &Cx, mut asked: Rebuilding) -> Result<Rebuilding, Fault> {
    asked.image = image_id(&asked.image)?;
    if let Some(given) = &mut asked.name {
        *given = name::check("name", given).map_err(Fault::bad_request)?;
    }
    let description = asked.description.as_ref().and_then(Option::as_deref);
    name::check_description(description, name::MAX_NAME).map_err(Fault::bad_request)?;
    if let Some(metadata) = &asked.metadata {
        super::server_metadata::check(metadata)?;
    }
    if let Some(config) = &asked.disk_config {
        disk_config(config)?;
    }
    if let Some(text) = &mut asked.access_ipv4 {
        *text = address("accessIPv4", text, false)?;
    }
    if let Some(text) = &mut asked.access_ipv6 {
        *text = address("accessIPv6", text, true)?;
    }
    if let Some(given) = &asked.personality {
        files(given)?;
    }
    if let Some(name) = &asked.hostname {
        hostname(cx, name)?;
    }
    if let Some(Some(text)) = &mut asked.user_data {
        *text = user_data(text)?;
    }
    Ok(asked)
}

/// The server as it should be; what is not named stays as it is.
async fn plan(cx: &Cx, server: &Server, asked: Rebuilding) -> Result<Server, Fault> {
    let mut wanted = server.clone();
    if asked
        .trusted_image_certificates
        .as_ref()
        .is_some_and(|ids| !ids.is_empty())
    {
        return Err(Fault::bad_request(
            "This cloud does not check image signatures: leave trusted_image_certificates out.",
        ));
    }
    if let Some(name) = asked.name {
        wanted.name = name;
    }
    if let Some(metadata) = asked.metadata {
        wanted.metadata = metadata;
    }
    if let Some(config) = asked.disk_config {
        wanted.disk_config = config;
    }
    if let Some(text) = asked.access_ipv4 {
        wanted.access_ipv4 = text;
    }
    if let Some(text) = asked.access_ipv6 {
        wanted.access_ipv6 = text;
    }
    if let Some(given) = &asked.personality {
        wanted.files = files(given)?;
    }
    if let Some(description) = asked.description {
        wanted.description = description;
    }
    if let Some(name) = asked.hostname {
        wanted.hostname = name;
    }
    if let Some(text) = asked.user_data {
        wanted.user_data = text;
    }
    if let Some(name) = asked.key_name {
        wanted.key = key(cx, name.as_deref()).await?;
    }
    let made = || nephos_runtime::ids::hex().chars().take(12).collect();
    wanted.admin_pass = Some(asked.admin_pass.unwrap_or_else(made));
    wanted.image = image(cx, &asked.image).await?;
    check_fits(&wanted.flavor, &wanted.image)?;
    Ok(wanted)
}
