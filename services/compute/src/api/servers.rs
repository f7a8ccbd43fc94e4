//! `/servers/{id}`: show, update, delete. Making them is `server_create.rs`, listing them `server_list.rs`.

use nephos_api::{Empty, Fault, Json, Loaded, Reply, Req, Shape, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::server_fields::{address, disk_config, hostname};
use super::server_view::{ServerView, Viewer};
use super::versions::{SERVER_UPDATE, SERVER_UPDATED, SERVER_VIEW};
use super::{Cx, ServerPath, asked, fault, name_it, server};
use crate::model::name;
use crate::{ops, rules, store};

#[derive(Serialize, ToSchema)]
pub(crate) struct ServerReply {
    pub server: ServerView,
}

endpoint! {
    /// Show a server.
    ShowServer: GET "/v2.1/servers/{id}" => 200,
    policy: Loaded<rules::ShowServer>,
    path: ServerPath,
    reply: Json<ServerReply> as Shape::one("server", SERVER_VIEW),
    handler: show_server,
}

async fn show_server(cx: Cx, req: Req<ShowServer>) -> Reply<ShowServer> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ShowServer, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let view = Viewer::new(&cx, true).await?.view(server.into_inner());
    Ok(Json(ServerReply { server: view }))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct UpdateBody {
    server: ServerUpdate,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct ServerUpdate {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    #[serde(default, rename = "accessIPv4")]
    access_ipv4: Option<String>,
    #[serde(default, rename = "accessIPv6")]
    access_ipv6: Option<String>,
    #[serde(default, rename = "OS-DCF:diskConfig")]
    disk_config: Option<String>,
    #[serde(default)]
    hostname: Option<String>,
}

endpoint! {
    /// Change what a server is called and described as.
    UpdateServer: PUT "/v2.1/servers/{id}" => 200,
    policy: Loaded<rules::UpdateServer>,
    path: ServerPath,
    body: Json<UpdateBody> as Shape::one("server", SERVER_UPDATE).keys(&["name", "description", "accessIPv4",
        "accessIPv6", "OS-DCF:diskConfig", "hostname"]),
    reply: Json<ServerReply> as Shape::one("server", SERVER_UPDATED),
    handler: update_server,
}

/// What is asked for, checked and in its final form, before the server is looked at.
fn fields(cx: &Cx, mut asked: ServerUpdate) -> Result<ServerUpdate, Fault> {
    if let Some(given) = &mut asked.name {
        *given = name::check("name", given).map_err(Fault::bad_request)?;
    }
    let description = asked.description.as_ref().and_then(Option::as_deref);
    name::check_description(description, name::MAX_NAME).map_err(Fault::bad_request)?;
    if let Some(text) = &mut asked.access_ipv4 {
        *text = address("accessIPv4", text, false)?;
    }
    if let Some(text) = &mut asked.access_ipv6 {
        *text = address("accessIPv6", text, true)?;
    }
    if let Some(config) = &asked.disk_config {
        disk_config(config)?;
    }
    if let Some(given) = &asked.hostname {
        hostname(cx, given)?;
    }
    Ok(asked)
}

async fn update_server(cx: Cx, req: Req<UpdateServer>) -> Reply<UpdateServer> {
    let id = &req.path.id;
    let asked = fields(&cx, req.body.0.server)?;
    let allowed = cx
        .allow(rules::UpdateServer, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let mut tx = cx.write().await?;
    let fresh = store::servers::lock(&mut tx, &allowed.id).await?;
    let mut server = fresh.ok_or_else(|| fault::no_server(id.as_str()))?;
    if let Some(name) = asked.name {
        server.name = name;
    }
    if let Some(description) = asked.description {
        server.description = description;
    }
    if let Some(address) = asked.access_ipv4 {
        server.access_ipv4 = address;
    }
    if let Some(address) = asked.access_ipv6 {
        server.access_ipv6 = address;
    }
    if let Some(config) = asked.disk_config {
        server.disk_config = config;
    }
    if let Some(hostname) = asked.hostname {
        server.hostname = hostname;
    }
    server.updated_at = cx.now();
    store::servers::update(&mut tx, &server).await?;
    tx.commit().await?;
    let view = Viewer::new(&cx, true).await?.view(server);
    Ok(Json(ServerReply { server: view }))
}

endpoint! {
    /// Delete a server.
    DeleteServer: DELETE "/v2.1/servers/{id}" => 204,
    policy: Loaded<rules::DeleteServer>,
    path: ServerPath,
    reply: Empty,
    handler: delete_server,
}

async fn delete_server(cx: Cx, req: Req<DeleteServer>) -> Reply<DeleteServer> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::DeleteServer, server(&cx, id).await?)
        .map_err(name_it(id))?;
    server
        .check_unlocked(cx.caller.is_admin())
        .map_err(|why| fault::refused(&server, "delete", why))?;
    let mut tx = cx.write().await?;
    let begun = ops::delete::request(&mut tx, asked(&cx), &server).await;
    begun.map_err(|why| fault::busy(&server, "delete", why))?;
    tx.commit().await?;
    Ok(Empty)
}
