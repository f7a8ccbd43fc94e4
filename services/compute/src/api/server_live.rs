//! Moving a server to another host while it runs.

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, Shape, endpoint};
use nephos_auth::{Authorized, Target};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::versions::{MIGRATE_LIVE, MIGRATE_LIVE_KEYS};
use super::{Cx, ServerPath, asked, fault, name_it, server, truth};
use crate::model::migration::{Kind, Migration, Status};
use crate::model::schedule::fits_alive;
use crate::model::server::{Server, VmState};
use crate::ops::resize::{Move, planned};
use crate::store::hosts::HostRow;
use crate::{ops, rules, store};

/// Offers of placement that are looked at before it is said that there is no room.
const OFFERS: usize = 1000;

#[derive(Deserialize, ToSchema)]
pub(crate) struct MigrateLiveBody {
    #[serde(rename = "os-migrateLive")]
    wish: MigratingLive,
}

#[derive(Deserialize, ToSchema)]
struct MigratingLive {
    /// Must be said, if only as null.
    #[serde(default, deserialize_with = "said")]
    host: Option<Option<String>>,
    #[serde(default)]
    block_migration: Option<Value>,
    #[serde(default)]
    disk_over_commit: Option<Value>,
    #[serde(default)]
    force: Option<Value>,
}

/// Tells null from nothing.
fn said<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

endpoint! {
    /// Move a server to another host while it runs.
    MigrateLive: POST "/v2.1/servers/{id}/action" ["os-migrateLive"] => 202,
    policy: Loaded<rules::MigrateServerLive>,
    path: ServerPath,
    body: Json<MigrateLiveBody> as Shape::one("os-migrateLive", MIGRATE_LIVE).keys(MIGRATE_LIVE_KEYS),
    reply: Accepted,
    handler: migrate_live,
}

async fn migrate_live(cx: Cx, req: Req<MigrateLive>) -> Reply<MigrateLive> {
    let wish = req.body.0.wish;
    let shared = says_shared(&cx, &wish)?;
    let to = wish.host.flatten().filter(|host| !host.is_empty());
    let id = &req.path.id;
    let server = cx
        .allow(rules::MigrateServerLive, server(&cx, id).await?)
        .map_err(name_it(id))?;
    if to.is_some() {
        let target = Target::new().with("project_id", server.project_id.as_str());
        cx.require(rules::MigrateServerLiveToHost, &target)?;
    }
    server
        .check_unlocked(cx.caller.is_admin())
        .map_err(|why| fault::refused(&server, "os-migrateLive", why))?;
    check_server(&server, shared)?;
    if store::migrations::live(cx.db(), id).await?.is_some() {
        return Err(Fault::conflict(format!(
            "Cannot 'os-migrateLive' instance {id} while a move of it has not ended."
        )));
    }
    check_hosts(&cx, &server, to.as_deref()).await?;
    let migration = Migration {
        status: Status::Preparing,
        session: nephos_runtime::ids::hex(),
        old_want: server.want.clone(),
        ..planned(
            asked(&cx),
            &server,
            Move {
                flavor: server.flavor.clone(),
                kind: Kind::Live,
                to,
            },
        )
    };
    let mut tx = cx.write().await?;
    let begun = ops::live_migrate::request(&mut tx, asked(&cx), &server, &migration).await;
    if !begun.map_err(|why| fault::busy(&server, "os-migrateLive", why))? {
        return Err(Fault::conflict(format!(
            "Cannot 'os-migrateLive' instance {id}: it has changed meanwhile. Look at it and try again."
        )));
    }
    tx.commit().await?;
    Ok(Accepted)
}

/// Whether the caller says that no disk has to be copied.
fn says_shared(cx: &Cx, wish: &MigratingLive) -> Result<bool, Fault> {
    let wrong = |key: &str, value: &Value| {
        Fault::bad_request(format!(
            "Invalid input for field/attribute {key}. Value: {value}. {value} is not a boolean."
        ))
    };
    let missing = |key: &str| {
        Fault::bad_request(format!(
            "Invalid input for field/attribute os-migrateLive. '{key}' is a required property"
        ))
    };
    let boolean = |key: &str, value: &Value| match value {
        Value::Bool(yes) => Ok(*yes),
        Value::String(word) => truth(word).ok_or_else(|| wrong(key, value)),
        _other => Err(wrong(key, value)),
    };
    let Some(host) = &wish.host else {
        return Err(missing("host"));
    };
    let blocks = wish.block_migration.as_ref();
    let blocks = blocks.ok_or_else(|| missing("block_migration"))?;
    // 2.25: it finds out by itself.
    let auto = cx.version >= v(2, 25) && blocks.as_str() == Some("auto");
    let shared = !auto && !boolean("block_migration", blocks)?;
    if cx.version < v(2, 25) {
        let over = wish.disk_over_commit.as_ref();
        boolean(
            "disk_over_commit",
            over.ok_or_else(|| missing("disk_over_commit"))?,
        )?;
    }
    // 2.30 to 2.67: hosts are looked at all the same, as from 2.68 on.
    if let Some(force) = &wish.force
        && boolean("force", force)?
        && host.is_none()
    {
        return Err(Fault::bad_request(
            "Can't force to a non-provided destination",
        ));
    }
    Ok(shared)
}

/// Whether this server can go while it runs.
fn check_server(server: &Server, shared: bool) -> Result<(), Fault> {
    server
        .check_can(&[VmState::Active, VmState::Paused])
        .map_err(|why| fault::refused(server, "os-migrateLive", why))?;
    if !server.volumes.is_empty() {
        return Err(Fault::conflict(format!(
            "Cannot 'os-migrateLive' instance {}: this cloud moves servers with volumes switched off only. Migrate it, or \
             detach them first.",
            server.id
        )));
    }
    if shared {
        return Err(Fault::bad_request(format!(
            "{} is not on shared storage: disks of servers are on their hosts here. Say block_migration true, or auto.",
            server.host.as_deref().unwrap_or_default()
        )));
    }
    Ok(())
}

/// Whether there is a host that it can go to.
async fn check_hosts<R>(
    cx: &Cx,
    server: &Authorized<Server, R>,
    to: Option<&str>,
) -> Result<(), Fault> {
    let hosts = store::hosts::list(cx.db()).await?;
    let is_up = |row: &HostRow| row.is_up(cx.now(), cx.config.host_down_after_secs);
    let here = hosts
        .iter()
        .find(|row| Some(&row.host) == server.host.as_ref());
    let here = here.filter(|row| is_up(row)).ok_or_else(|| {
        Fault::conflict(
            "Service is unavailable at this time: the server's host does not report. Try again when it does.",
        )
    })?;
    let only = match to {
        None => None,
        Some(name) => Some(named(server, &hosts, name)?),
    };
    if let Some(row) = only.filter(|row| !is_up(row) || row.disabled) {
        return Err(Fault::bad_request(format!(
            "Compute service of {} is unavailable at this time.",
            row.host
        )));
    }
    let mut why_not = Vec::new();
    let candidates: Vec<&HostRow> = hosts
        .iter()
        .filter(|row| only.is_none_or(|only| only.host == row.host))
        .filter(|row| row.host != here.host && is_up(row) && !row.disabled)
        .filter(|row| match fits_alive(&here.inventory, &row.inventory) {
            Ok(()) => true,
            Err(why) => {
                why_not.push(why);
                false
            }
        })
        .collect();
    let none = |why: String| Fault::bad_request(format!("No valid host was found. {why}"));
    if candidates.is_empty() {
        let why = match why_not.into_iter().next() {
            Some(why) => why,
            None => format!("No other host than {} is up and enabled.", here.host),
        };
        return Err(none(why));
    }
    let room = server.room();
    let provider = only.map(|row| row.provider_id.as_str());
    let offers = cx.siblings.candidates(&room, provider, OFFERS).await;
    let offers = offers.map_err(|why| fault::from_peer(&why))?;
    let has_room = |row: &&HostRow| offers.iter().any(|one| one.provider == row.provider_id);
    if candidates.iter().any(has_room) {
        return Ok(());
    }
    let names: Vec<&str> = candidates.iter().map(|row| row.host.as_str()).collect();
    Err(none(format!(
        "There is no room for {} VCPU, {} MEMORY_MB and {} DISK_GB on {}.",
        room.vcpus,
        room.ram_mib,
        room.disk_gib,
        names.join(", ")
    )))
}

fn named<'a>(server: &Server, hosts: &'a [HostRow], name: &str) -> Result<&'a HostRow, Fault> {
    let found = hosts.iter().find(|row| row.host == name);
    let found = found
        .ok_or_else(|| Fault::bad_request(format!("Compute host {name} could not be found.")))?;
    if server.host.as_deref() == Some(name) {
        return Err(Fault::bad_request(format!(
            "Unable to migrate instance ({}) to current host ({name}).",
            server.id
        )));
    }
    Ok(found)
}
