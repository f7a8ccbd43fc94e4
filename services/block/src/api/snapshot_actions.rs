//! States of snapshots by hand.

use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, endpoint};
use serde_json::Value;

use super::fault::no_snapshot;
use super::{ItemPath, snapshot, snapshots};
use crate::model::body::Fields;
use crate::model::snapshot::SnapshotStatus;
use crate::store::snapshots as rows;
use crate::{Cx, rules};

endpoint! {
    /// Set a snapshot's state by hand.
    ResetSnapshotStatus: POST "/v3/{project_id}/snapshots/{id}/action" ["os-reset_status"] => 202,
    policy: Loaded<rules::ResetSnapshotStatus>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: reset_status,
}
async fn reset_status(cx: Cx, req: Req<ResetSnapshotStatus>) -> Reply<ResetSnapshotStatus> {
    let snapshot = snapshot(&cx, rules::ResetSnapshotStatus, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "os-reset_status").map_err(Fault::bad_request)?;
    let word = fields
        .text("status")
        .map_err(Fault::bad_request)?
        .unwrap_or_default();
    let status = SnapshotStatus::parse(&word.to_ascii_lowercase())
        .ok_or_else(|| Fault::bad_request(format!("Must specify a valid status, not '{word}'.")))?;
    set(&cx, snapshot.id.as_str(), (status, None)).await
}

async fn set(
    cx: &Cx,
    id: &str,
    (status, progress): (SnapshotStatus, Option<String>),
) -> Result<Accepted, Fault> {
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &id.into()).await?;
    let mut now = now.ok_or_else(|| no_snapshot(id))?;
    now.status = status;
    now.progress = progress.unwrap_or(now.progress);
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Report a snapshot's progress.
    UpdateSnapshotStatus: POST "/v3/{project_id}/snapshots/{id}/action" ["os-update_snapshot_status"] => 202,
    policy: Loaded<rules::UpdateSnapshotStatus>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: update_status,
}
async fn update_status(cx: Cx, req: Req<UpdateSnapshotStatus>) -> Reply<UpdateSnapshotStatus> {
    let snapshot = snapshot(&cx, rules::UpdateSnapshotStatus, &req.path).await?;
    let fields =
        Fields::inside(&req.body.0, "os-update_snapshot_status").map_err(Fault::bad_request)?;
    let word = fields
        .text("status")
        .map_err(Fault::bad_request)?
        .unwrap_or_default();
    let progress = fields.text("progress").map_err(Fault::bad_request)?;
    if let Some(progress) = &progress {
        let number = progress
            .strip_suffix('%')
            .and_then(|number| number.parse::<u8>().ok());
        if number.is_none_or(|number| number > 100) {
            return Err(Fault::bad_request(format!(
                "progress must be a percentage, not '{progress}'."
            )));
        }
    }
    // Cinder's map of who may follow whom.
    let next = match (snapshot.status, word.as_str()) {
        (SnapshotStatus::Creating, "creating") => SnapshotStatus::Creating,
        (SnapshotStatus::Creating, "available") => SnapshotStatus::Available,
        (SnapshotStatus::Creating, "error") => SnapshotStatus::Error,
        (SnapshotStatus::Deleting, "deleting") => SnapshotStatus::Deleting,
        (SnapshotStatus::Deleting, "error_deleting") => SnapshotStatus::ErrorDeleting,
        (current, word) => {
            return Err(Fault::bad_request(format!(
                "Provided snapshot status {word} not allowed for snapshot with status {}.",
                current.as_str()
            )));
        }
    };
    set(&cx, snapshot.id.as_str(), (next, progress)).await
}

endpoint! {
    /// Delete a snapshot whatever its state.
    ForceDeleteSnapshot: POST "/v3/{project_id}/snapshots/{id}/action" ["os-force_delete"] => 202,
    policy: Loaded<rules::ForceDeleteSnapshot>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: force_delete,
}
async fn force_delete(cx: Cx, req: Req<ForceDeleteSnapshot>) -> Reply<ForceDeleteSnapshot> {
    let snapshot = snapshot(&cx, rules::ForceDeleteSnapshot, &req.path).await?;
    snapshots::delete(&cx, &snapshot.id, snapshots::How::FORCE).await?;
    Ok(Accepted)
}
