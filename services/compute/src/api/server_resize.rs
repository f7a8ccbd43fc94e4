//! Another size, another host, and the way back.

use nephos_api::version::v;
use nephos_api::{Accepted, Empty, Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::{Authorized, Rule, Target};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::flavors::visible;
use super::server_fields::disk_config;
use super::server_references::{check_fits, flavor_ref};
use super::{Cx, ServerPath, asked, fault, name_it, server};
use crate::model::flavor::Flavor;
use crate::model::migration::{Kind, Migration, Status};
use crate::model::quota::Usage;
use crate::model::server::{Server, VmState};
use crate::ops::resize::{Move, planned};
use crate::{ops, rules, store};

#[derive(Deserialize, ToSchema)]
pub(crate) struct ResizeBody {
    resize: Resizing,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Resizing {
    #[serde(rename = "flavorRef")]
    flavor: Value,
    #[serde(default, rename = "OS-DCF:diskConfig")]
    disk_config: Option<String>,
}

endpoint! {
    /// Give a server another size.
    Resize: POST "/v2.1/servers/{id}/action" ["resize"] => 202,
    policy: Loaded<rules::ResizeServer>,
    path: ServerPath,
    body: Json<ResizeBody>,
    reply: Accepted,
    handler: resize,
}

async fn resize(cx: Cx, req: Req<Resize>) -> Reply<Resize> {
    let wish = req.body.0.resize;
    let id = flavor_ref(&wish.flavor)?;
    let config = wish.disk_config.as_deref().map(disk_config).transpose()?;
    let server = allowed(&cx, rules::ResizeServer, &req.path, "resize").await?;
    check_state(&server, "resize")?;
    let flavor = new_flavor(&cx, &server, &id).await?;
    let wish = Move {
        flavor,
        kind: Kind::Resize,
        to: None,
    };
    begin(&cx, &server, wish, config).await?;
    Ok(Accepted)
}

/// The flavor, when a server of the present one can become as large as that.
async fn new_flavor(cx: &Cx, server: &Server, id: &str) -> Result<Flavor, Fault> {
    let found = visible(cx, id)
        .await
        .map_err(|why| match why.status.as_u16() {
            404 => Fault::bad_request("Unable to locate requested flavor."),
            _other => why,
        })?;
    if found.id == server.flavor.id {
        return Err(Fault::bad_request(
            "When resizing, instances must change flavor!",
        ));
    }
    // A root disk that is a volume keeps its size.
    if server.boots_from_volume() {
        check_fits(&found, &server.image)?;
        return Ok(found);
    }
    if found.disk_gib == 0 && server.flavor.disk_gib != 0 {
        return Err(Fault::bad_request(
            "Resize to flavor with disk 0 is not allowed: the server's disk has a size of its own.",
        ));
    }
    if found.disk_gib < server.flavor.disk_gib {
        return Err(Fault::bad_request(format!(
            "Unable to resize disk down: it has {} GiB and flavor {} has {}.",
            server.flavor.disk_gib, found.name, found.disk_gib
        )));
    }
    check_fits(&found, &server.image)?;
    Ok(found)
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct MigrateBody {
    #[schema(value_type = Option<Object>)]
    migrate: Option<Value>,
}

endpoint! {
    /// Move a server to another host, switched off on the way.
    Migrate: POST "/v2.1/servers/{id}/action" ["migrate"] => 202,
    policy: Loaded<rules::MigrateServer>,
    path: ServerPath,
    body: Json<MigrateBody>,
    reply: Accepted,
    handler: migrate,
}

async fn migrate(cx: Cx, req: Req<Migrate>) -> Reply<Migrate> {
    let to = wanted_host(&cx, req.body.0.migrate.as_ref())?;
    let server = allowed(&cx, rules::MigrateServer, &req.path, "migrate").await?;
    check_state(&server, "migrate")?;
    if let Some(host) = &to {
        let target = Target::new().with("project_id", server.project_id.as_str());
        cx.require(rules::MigrateServerToHost, &target)?;
        if store::hosts::get(cx.db(), host).await?.is_none() {
            return Err(Fault::bad_request(format!(
                "Compute host {host} could not be found."
            )));
        }
        if server.host.as_ref() == Some(host) {
            return Err(Fault::bad_request(
                "Cannot migrate to the host where the server exists.",
            ));
        }
    }
    let wish = Move {
        flavor: server.flavor.clone(),
        kind: Kind::Migration,
        to,
    };
    begin(&cx, &server, wish, None).await?;
    Ok(Accepted)
}

/// From 2.56 on the body may name a host; before, what was in it did not matter.
fn wanted_host(cx: &Cx, body: Option<&Value>) -> Result<Option<String>, Fault> {
    if cx.version < v(2, 56) {
        return Ok(None);
    }
    let wrong = |why: String| {
        Fault::bad_request(format!("Invalid input for field/attribute migrate. {why}"))
    };
    let body = match body {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(body)) => body,
        Some(other) => return Err(wrong(format!("{other} is not of type 'object', 'null'"))),
    };
    if let Some(key) = body.keys().find(|key| *key != "host") {
        return Err(wrong(format!(
            "Additional properties are not allowed ('{key}' was unexpected)"
        )));
    }
    match body.get("host") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(host)) if !host.is_empty() => Ok(Some(host.clone())),
        Some(other) => Err(wrong(format!("{other} is no name of a host"))),
    }
}

/// The server, when the caller may do this to it and no lock is in the way.
async fn allowed<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &ServerPath,
    verb: &str,
) -> Result<Authorized<Server, R>, Fault> {
    let id = &path.id;
    let server = cx.allow(rule, server(cx, id).await?).map_err(name_it(id))?;
    server
        .check_unlocked(cx.caller.is_admin())
        .map_err(|why| fault::refused(&server, verb, why))?;
    Ok(server)
}

fn check_state(server: &Server, verb: &str) -> Result<(), Fault> {
    server
        .check_can(&[VmState::Active, VmState::Stopped])
        .map_err(|why| fault::refused(server, verb, why))
}

/// Begins a move, which holds the larger of both sizes of the quota until it ends.
async fn begin<R: Rule>(
    cx: &Cx,
    server: &Authorized<Server, R>,
    wish: Move,
    disk_config: Option<String>,
) -> Result<(), Fault> {
    let verb = match wish.kind {
        Kind::Migration => "migrate",
        Kind::Resize | Kind::Evacuation | Kind::Live => "resize",
    };
    if store::migrations::live(cx.db(), &server.id)
        .await?
        .is_some()
    {
        return Err(unfinished(server, verb));
    }
    host_is_up(cx, server).await?;
    let migration = planned(asked(cx), server, wish);
    let project = server.project_id.as_str();
    let limits = store::quota::limits(cx.db(), project).await?;
    let mut tx = cx.write().await?;
    take(&mut tx, project, &limits, migration.extra()).await?;
    let begun = ops::resize::request(&mut tx, asked(cx), server, &migration).await;
    begun.map_err(|why| fault::busy(server, verb, why))?;
    if let Some(config) = disk_config
        && let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await?
    {
        fresh.disk_config = config;
        store::servers::update(&mut tx, &fresh).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Only what grows is asked of the quota: a server may shrink in a project that has too much already.
async fn take(
    tx: &mut nephos_db::Tx,
    project: &str,
    limits: &std::collections::BTreeMap<String, i64>,
    extra: Usage,
) -> Result<(), Fault> {
    for (resource, amount) in extra.each().into_iter().filter(|(_, amount)| *amount > 0) {
        let taken = store::quota::take_one(tx, project, limits, (resource, amount)).await?;
        taken.map_err(|over| fault::over_quota(&over))?;
    }
    Ok(())
}

/// The guest is stopped by its host: one that does not answer would never do it.
async fn host_is_up(cx: &Cx, server: &Server) -> Result<(), Fault> {
    let Some(host) = &server.host else {
        return Err(Fault::conflict(format!(
            "Instance {} is on no host.",
            server.id
        )));
    };
    let row = store::hosts::get(cx.db(), host).await?;
    if row.is_some_and(|row| row.is_up(cx.now(), cx.config.host_down_after_secs)) {
        return Ok(());
    }
    Err(Fault::conflict(
        "Service is unavailable at this time: the server's host does not report. Try again when it does.",
    ))
}

fn unfinished(server: &Server, verb: &str) -> Fault {
    Fault::conflict(format!(
        "Cannot '{verb}' instance {} while a move of it has not ended. Confirm or revert that one first.",
        server.id
    ))
}

endpoint! {
    /// Keep a server as it was resized.
    ConfirmResize: POST "/v2.1/servers/{id}/action" ["confirmResize"] => 204,
    policy: Loaded<rules::ConfirmResize>,
    path: ServerPath,
    reply: Empty,
    handler: confirm_resize,
}

async fn confirm_resize(cx: Cx, req: Req<ConfirmResize>) -> Reply<ConfirmResize> {
    let server = allowed(&cx, rules::ConfirmResize, &req.path, "confirmResize").await?;
    let decided = [Status::Finished, Status::Confirming];
    check_resized(&cx, &server, "confirmResize", &decided).await?;
    let mut tx = cx.write().await?;
    let begun = ops::confirm::request(&mut tx, asked(&cx), &server).await;
    begun.map_err(|why| fault::busy(&server, "confirmResize", why))?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Make a resized server again what it was.
    RevertResize: POST "/v2.1/servers/{id}/action" ["revertResize"] => 202,
    policy: Loaded<rules::RevertResize>,
    path: ServerPath,
    reply: Accepted,
    handler: revert_resize,
}

async fn revert_resize(cx: Cx, req: Req<RevertResize>) -> Reply<RevertResize> {
    let server = allowed(&cx, rules::RevertResize, &req.path, "revertResize").await?;
    let decided = [Status::Finished, Status::Reverting];
    check_resized(&cx, &server, "revertResize", &decided).await?;
    let mut tx = cx.write().await?;
    let begun = ops::revert::request(&mut tx, asked(&cx), &server).await;
    begun.map_err(|why| fault::busy(&server, "revertResize", why))?;
    tx.commit().await?;
    Ok(Accepted)
}

/// The server waits for its owner's decision, or for its end.
async fn check_resized(
    cx: &Cx,
    server: &Server,
    verb: &str,
    decided: &[Status],
) -> Result<Migration, Fault> {
    server
        .check_can(&[VmState::Resized])
        .map_err(|why| fault::refused(server, verb, why))?;
    let live = store::migrations::live(cx.db(), &server.id).await?;
    let live = live.filter(|live| live.kind != Kind::Live);
    let live = live.ok_or_else(|| Fault::bad_request("Instance has not been resized."))?;
    if decided.contains(&live.status) {
        return Ok(live);
    }
    Err(Fault::conflict(format!(
        "Cannot '{verb}' instance {}: it was decided otherwise, and that is not done yet.",
        server.id
    )))
}
