//! Moving a volume to another back end.

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, endpoint};
use serde_json::Value;

use super::fault::{busy, invalid_volume, no_volume};
use super::{ItemPath, volume};
use crate::model::body::Fields;
use crate::model::volume::Status;
use crate::ops::{self, Asked};
use crate::store::{backends, snapshots, unmanaged, volumes as rows};
use crate::{Cx, rules};

endpoint! {
    /// Move a volume that nobody uses to another back end; it is in maintenance meanwhile.
    MigrateVolume: POST "/v3/{project_id}/volumes/{id}/action" ["os-migrate_volume"] => 202,
    policy: Loaded<rules::Migrate>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: migrate_volume,
}
async fn migrate_volume(cx: Cx, req: Req<MigrateVolume>) -> Reply<MigrateVolume> {
    let volume = volume(&cx, rules::Migrate, &req.path).await?;
    let wanted = destination(&cx, &req.body.0)?;
    let known = backends::list(cx.db()).await?;
    let named = |pool: String, service: String| wanted == pool || wanted == service;
    let target = known
        .iter()
        .find(|one| named(one.pool(), one.service_host()) && !one.disabled && one.is_up(cx.now()));
    let target = target.ok_or_else(|| {
        Fault::bad_request(format!(
            "Invalid host: No available service named '{wanted}'. `volume backend pool list` shows what there is, as \
             host@backend#pool."
        ))
    })?;
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &volume.id).await?;
    let mut now = now.ok_or_else(|| no_volume(&req.path.id))?;
    let has_snapshots = !snapshots::of_volume(&mut tx, &now.id).await?.is_empty();
    let why = if now.status != Status::Available {
        Some(format!("it is {}", now.status.as_str()))
    } else if has_snapshots {
        Some("it has snapshots".to_owned())
    } else if unmanaged::is_kept_of_in(&mut tx, &now.id).await? {
        Some("it has snapshots that are kept without being managed".to_owned())
    } else if now.group_id.is_some() {
        Some("it is part of a group".to_owned())
    } else if now.backend.as_deref() == Some(target.name.as_str()) {
        Some(format!("it is in {} already", target.pool()))
    } else {
        None
    };
    if let Some(why) = why {
        return Err(invalid_volume(format!(
            "Volume {} status must be available, must not be migrating, have snapshots, be replicated, be part of a group \
             and destination host/cluster must be different than the current one: {why}.",
            now.id
        )));
    }
    let requested = ops::migrate::request(&mut tx, Asked::of(&cx), &now.id, &target.name).await;
    requested.map_err(|why| busy("volume", now.id.as_str(), why))?;
    now.status_before = now.status;
    now.status = Status::Maintenance;
    now.migration = Some("migrating".to_owned());
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}

/// Where it is to go. `force_host_copy` and `lock_volume` say what is done here anyway.
fn destination(cx: &Cx, body: &Value) -> Result<String, Fault> {
    let fields = Fields::inside(body, "os-migrate_volume").map_err(Fault::bad_request)?;
    let with_clusters = cx.version >= v(3, 16);
    let mut known = vec!["host", "force_host_copy", "lock_volume"];
    if with_clusters {
        known.push("cluster");
    }
    fields.only(&known).map_err(Fault::bad_request)?;
    for flag in ["force_host_copy", "lock_volume"] {
        fields.flag(flag).map_err(Fault::bad_request)?;
    }
    let host = fields.text("host").map_err(Fault::bad_request)?;
    let cluster = fields.text("cluster").map_err(Fault::bad_request)?;
    match (host, cluster) {
        (Some(host), None) if !host.is_empty() => Ok(host),
        (None, Some(cluster)) => Ok(cluster),
        (Some(_), Some(_)) => Err(Fault::bad_request(
            "Cluster and host can't be set at the same time.",
        )),
        _neither if with_clusters => Err(Fault::bad_request(
            "Must pass one of: host, cluster, which say where the volume is to go.",
        )),
        _neither => Err(Fault::bad_request(
            "Invalid input for field/attribute os-migrate_volume. 'host' is a required property",
        )),
    }
}
