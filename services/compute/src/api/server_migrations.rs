//! `/servers/{id}/migrations`: guests on their way to another host while they run.

use std::collections::BTreeMap;

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, Shape, endpoint};
use nephos_auth::{Authorized, Rule, Target};
use nephos_ops::feed;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::versions::SERVER_MIGRATION_VIEW;
use super::{Cx, ServerPath, asked, fault, name_it, server};
use crate::model::live::Carried;
use crate::model::migration::{Migration, Status};
use crate::model::server::Server;
use crate::model::spec::{KIND_SERVER, ObservedServer, ServerId};
use crate::store::hosts::HostRow;
use crate::{ops, rules, store};

/// `/servers/{id}/migrations/{number}`
#[derive(Debug, Deserialize)]
pub(crate) struct MigrationPath {
    id: ServerId,
    number: String,
}

/// A guest on its way, as the newest version shows it; sizes are null until they are known.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerMigrationView {
    id: i64,
    uuid: String,
    server_uuid: String,
    status: &'static str,
    source_compute: Option<String>,
    source_node: Option<String>,
    dest_compute: Option<String>,
    dest_node: Option<String>,
    dest_host: Option<String>,
    memory_total_bytes: Option<u64>,
    memory_processed_bytes: Option<u64>,
    memory_remaining_bytes: Option<u64>,
    disk_total_bytes: Option<u64>,
    disk_processed_bytes: Option<u64>,
    disk_remaining_bytes: Option<u64>,
    user_id: String,
    project_id: String,
    created_at: String,
    updated_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ServerMigrationList {
    migrations: Vec<ServerMigrationView>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ServerMigrationReply {
    migration: ServerMigrationView,
}

endpoint! {
    /// List how a server is on its way to another host while it runs.
    ListServerMigrations: GET "/v2.1/servers/{id}/migrations" => 200,
    versions: 2.23..,
    policy: Loaded<rules::ListServerMigrations>,
    path: ServerPath,
    reply: Json<ServerMigrationList> as Shape::each("migrations", SERVER_MIGRATION_VIEW),
    handler: list_server_migrations,
}

async fn list_server_migrations(
    cx: Cx,
    req: Req<ListServerMigrations>,
) -> Reply<ListServerMigrations> {
    let server = allowed(&cx, rules::ListServerMigrations, &req.path.id).await?;
    let target = Target::new().with("project_id", server.project_id.as_str());
    let sees_hosts = cx.may(rules::ShowServerMigrationHosts, &target);
    let mut migrations = Vec::new();
    let live = store::migrations::live(cx.db(), &server.id).await?;
    if let Some(live) = live.filter(Migration::is_on_its_way) {
        migrations.push(view(&cx, live, sees_hosts).await?);
    }
    Ok(Json(ServerMigrationList { migrations }))
}

endpoint! {
    /// Show how far a server is on its way to another host.
    ShowServerMigration: GET "/v2.1/servers/{id}/migrations/{number}" => 200,
    versions: 2.23..,
    policy: Loaded<rules::ShowServerMigration>,
    path: MigrationPath,
    reply: Json<ServerMigrationReply> as Shape::one("migration", SERVER_MIGRATION_VIEW),
    handler: show_server_migration,
}

async fn show_server_migration(
    cx: Cx,
    req: Req<ShowServerMigration>,
) -> Reply<ShowServerMigration> {
    let MigrationPath { id, number } = &req.path;
    let server = allowed(&cx, rules::ShowServerMigration, id).await?;
    let live = store::migrations::live(cx.db(), &server.id).await?;
    let live = live.filter(|live| live.is_on_its_way() && live.id.to_string() == *number);
    let live = live.ok_or_else(|| {
        Fault::not_found(format!(
            "In-progress live migration {number} is not found for server {id}."
        ))
    })?;
    let migration = view(&cx, live, true).await?;
    Ok(Json(ServerMigrationReply { migration }))
}

endpoint! {
    /// Freeze a server on its way, so that it gets there.
    ForceServerMigration: POST "/v2.1/servers/{id}/migrations/{number}/action" ["force_complete"] => 202,
    versions: 2.22..,
    policy: Loaded<rules::ForceServerMigration>,
    path: MigrationPath,
    reply: Accepted,
    handler: force_server_migration,
}

async fn force_server_migration(
    cx: Cx,
    req: Req<ForceServerMigration>,
) -> Reply<ForceServerMigration> {
    let MigrationPath { id, number } = &req.path;
    let server = allowed(&cx, rules::ForceServerMigration, id).await?;
    server
        .check_unlocked(cx.caller.is_admin())
        .map_err(|why| fault::refused(&server, "force_complete", why))?;
    // Nova answers 400 here, and 404 where one is to be given up.
    let live = on_its_way(&cx, &server, number).await?;
    let live = live.ok_or_else(|| Fault::bad_request(unknown(id, number)))?;
    check_status(&live, id, &[Status::Running], "force complete")?;
    let mut tx = cx.write().await?;
    ops::live_migrate::request_force(&mut tx, asked(&cx), &server).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Have a server that is on its way stay where it is.
    AbortServerMigration: DELETE "/v2.1/servers/{id}/migrations/{number}" => 202,
    versions: 2.24..,
    policy: Loaded<rules::AbortServerMigration>,
    path: MigrationPath,
    reply: Accepted,
    handler: abort_server_migration,
}

async fn abort_server_migration(
    cx: Cx,
    req: Req<AbortServerMigration>,
) -> Reply<AbortServerMigration> {
    let MigrationPath { id, number } = &req.path;
    let server = allowed(&cx, rules::AbortServerMigration, id).await?;
    let live = on_its_way(&cx, &server, number).await?;
    let live = live.ok_or_else(|| Fault::not_found(unknown(id, number)))?;
    // 2.65: also before the guest has begun to move.
    let early: &[Status] = if cx.version >= v(2, 65) {
        &[Status::Running, Status::Preparing]
    } else {
        &[Status::Running]
    };
    check_status(&live, id, early, "abort live migration")?;
    let mut tx = cx.write().await?;
    let begun = ops::live_back::request(&mut tx, asked(&cx), &server).await;
    if !begun.map_err(|why| fault::busy(&server, "abort live migration", why))? {
        return Err(Fault::bad_request(format!(
            "Migration {number} of instance {id} came to its end meanwhile. Cannot abort live migration any more."
        )));
    }
    tx.commit().await?;
    Ok(Accepted)
}

async fn allowed<R: Rule>(cx: &Cx, rule: R, id: &ServerId) -> Result<Authorized<Server, R>, Fault> {
    cx.allow(rule, server(cx, id).await?).map_err(name_it(id))
}

async fn on_its_way(cx: &Cx, server: &Server, number: &str) -> Result<Option<Migration>, Fault> {
    let live = store::migrations::live(cx.db(), &server.id).await?;
    Ok(live.filter(|live| live.is_on_its_way() && live.id.to_string() == number))
}

fn unknown(id: &ServerId, number: &str) -> String {
    format!("Migration {number} not found for instance {id}")
}

fn check_status(
    live: &Migration,
    id: &ServerId,
    known: &[Status],
    verb: &str,
) -> Result<(), Fault> {
    if known.contains(&live.status) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "Migration {} state of instance {id} is {}. Cannot {verb} while the migration is in this state.",
        live.id,
        live.status.word()
    )))
}

async fn view(cx: &Cx, one: Migration, sees_hosts: bool) -> Result<ServerMigrationView, Fault> {
    let hosts: BTreeMap<String, HostRow> = store::hosts::list(cx.db())
        .await?
        .into_iter()
        .map(|row| (row.host.clone(), row))
        .collect();
    let seen = |host: Option<String>| host.filter(|_| sees_hosts);
    let node = |host: Option<&String>| {
        let row = hosts.get(host?)?;
        Some(row.inventory.hypervisor_hostname.clone())
    };
    let address = |host: Option<&String>| Some(hosts.get(host?)?.inventory.host_ip.clone());
    let carried = carried(cx, &one).await?;
    let bytes = |of: fn(&Carried) -> u64| carried.as_ref().map(of);
    Ok(ServerMigrationView {
        id: one.id,
        server_uuid: one.server_id.to_string(),
        status: one.status.word(),
        source_node: seen(node(Some(&one.source_host))),
        dest_node: seen(node(one.dest_host.as_ref())),
        dest_host: seen(address(one.dest_host.as_ref())),
        source_compute: seen(Some(one.source_host)),
        dest_compute: seen(one.dest_host),
        memory_total_bytes: bytes(|carried| carried.memory_total),
        memory_processed_bytes: bytes(|carried| carried.memory_processed),
        memory_remaining_bytes: bytes(|carried| carried.memory_remaining),
        disk_total_bytes: bytes(|carried| carried.disk_total),
        disk_processed_bytes: bytes(|carried| carried.disk_processed),
        disk_remaining_bytes: bytes(|carried| carried.disk_remaining),
        uuid: one.uuid,
        user_id: one.user_id,
        project_id: one.project_id,
        created_at: one.created_at.iso_naive(),
        updated_at: Some(one.updated_at.iso_naive()),
    })
}

/// How far it is, as the host that it leaves has said last.
async fn carried(cx: &Cx, one: &Migration) -> Result<Option<Carried>, Fault> {
    let seen = feed::observed(cx.db(), KIND_SERVER, one.server_id.as_str()).await?;
    let seen = seen.into_iter().find(|seen| seen.host == one.source_host);
    let seen =
        seen.and_then(|seen| serde_json::from_value::<ObservedServer>(seen.observed.detail).ok());
    Ok(seen.and_then(|seen| seen.live?.carried))
}
