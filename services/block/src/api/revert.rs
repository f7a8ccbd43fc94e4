//! Bringing a volume back to its latest snapshot.

use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, endpoint};
use serde_json::Value;

use super::fault::{busy, no_volume};
use super::{ItemPath, volume};
use crate::model::body::Fields;
use crate::model::snapshot::SnapshotStatus;
use crate::model::volume::Status;
use crate::ops::{self, Asked};
use crate::store::{layers, snapshots, volumes as rows};
use crate::{Cx, rules};

endpoint! {
    /// Bring a volume back to its latest snapshot; what was written since is lost.
    RevertVolume: POST "/v3/{project_id}/volumes/{id}/action" ["revert"] => 202,
    versions: 3.40..,
    policy: Loaded<rules::Revert>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: revert_volume,
}
async fn revert_volume(cx: Cx, req: Req<RevertVolume>) -> Reply<RevertVolume> {
    let volume = volume(&cx, rules::Revert, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "revert").map_err(Fault::bad_request)?;
    fields.only(&["snapshot_id"]).map_err(Fault::bad_request)?;
    let wanted = fields.uuid("snapshot_id").map_err(Fault::bad_request)?;
    let wanted = wanted.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute revert. 'snapshot_id' is a required property",
        )
    })?;
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &volume.id).await?;
    let now = now.ok_or_else(|| no_volume(&req.path.id))?;
    // What stayed with a former owner is not this one's to read.
    let of_it = snapshots::own_of(&mut tx, &now).await?;
    let latest = of_it.into_iter().max_by_key(|one| one.created_at);
    let mut latest = latest.ok_or_else(|| {
        Fault::bad_request(format!("Volume {} doesn't have any snapshots.", now.id))
    })?;
    if latest.id.as_str() != wanted {
        return Err(Fault::bad_request(format!(
            "Specified snapshot {wanted} is None or not the latest one of volume {}. The latest is {}.",
            now.id, latest.id
        )));
    }
    let cannot = |why: String| {
        format!(
            "Can't revert volume {} to its latest snapshot {}. {why}",
            now.id, latest.id
        )
    };
    if now.size_gib != latest.size_gib {
        return Err(Fault::bad_request(cannot(format!(
            "The volume size must be equal to the snapshot size: it has {} GiB, the snapshot {}.",
            now.size_gib, latest.size_gib
        ))));
    }
    if now.status != Status::Available {
        let why = format!(
            "Volume's status must be 'available', but it is '{}'.",
            now.status.as_str()
        );
        let why = cannot(why);
        return Err(Fault::conflict(format!("Invalid volume: {why}")));
    }
    if latest.status != SnapshotStatus::Available {
        let why = format!(
            "Snapshot's status must be 'available', but it is '{}'.",
            latest.status.as_str()
        );
        let why = cannot(why);
        return Err(Fault::conflict(format!("Invalid snapshot: {why}")));
    }
    let layer = match &latest.layer {
        Some(layer) => layers::find_in(&mut tx, layer).await?,
        None => None,
    };
    if layer.is_none_or(|layer| Some(&layer.backend) != now.backend.as_ref()) {
        let why = cannot("It is not in the volume's back end.".to_owned());
        return Err(Fault::bad_request(why));
    }
    let requested = ops::revert::request(&mut tx, Asked::of(&cx), &now.id, &latest.id).await;
    requested.map_err(|why| busy("volume", now.id.as_str(), why))?;
    let moves = (Status::Available, Status::Reverting);
    rows::move_status(&mut tx, &now.id, moves, cx.now()).await?;
    latest.status = SnapshotStatus::Restoring;
    latest.updated_at = cx.now();
    snapshots::update(&mut tx, &latest).await?;
    tx.commit().await?;
    Ok(Accepted)
}
