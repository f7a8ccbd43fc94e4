//! What is done with a volume beside attaching it: extend, flags, states by hand.

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::Target;
use serde_json::Value;

use super::fault::{busy, invalid_input, invalid_volume, no_volume, over_quota};
use super::volume_create::check_one;
use super::{ItemPath, volume, volumes};
use crate::model::body::Fields;
use crate::model::quota::Usage;
use crate::model::volume::Status;
use crate::ops::{self, Asked};
use crate::store::{attachments, quota, types, volumes as rows};
use crate::{Cx, rules};

endpoint! {
    /// Extend a volume.
    ExtendVolume: POST "/v3/{project_id}/volumes/{id}/action" ["os-extend"] => 202,
    policy: Loaded<rules::Extend>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: extend_volume,
}
async fn extend_volume(cx: Cx, req: Req<ExtendVolume>) -> Reply<ExtendVolume> {
    let volume = volume(&cx, rules::Extend, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "os-extend").map_err(Fault::bad_request)?;
    let to = fields.size("new_size").map_err(Fault::bad_request)?;
    let to = to.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute new_size. 'new_size' is a required property",
        )
    })?;
    let attached = volume.status == Status::InUse && cx.version >= v(3, 42);
    if attached {
        let target = Target::of_project(volume.owner.project_id.as_str());
        cx.require(rules::ExtendAttached, &target)?;
        reachable(&cx, volume.id.as_str()).await?;
    }
    let project = volume.owner.project_id.clone();
    let limits = quota::limits(cx.db(), project.as_str()).await?;
    let kind = types::find(cx.db(), &volume.type_id).await?;
    if let Some(why) = kind.and_then(|kind| kind.refuses(to)) {
        return Err(invalid_input(why));
    }
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(&req.path.id))?;
    let expected = if attached {
        Status::InUse
    } else {
        Status::Available
    };
    if now.status != expected {
        return Err(invalid_volume(format!(
            "Volume {} status must be '{}' to extend, currently {}.",
            now.id,
            expected.as_str(),
            now.status.as_str()
        )));
    }
    if to <= now.size_gib {
        return Err(invalid_input(format!(
            "New size for extend must be greater than current size. (current: {}, extended: {to}).",
            now.size_gib
        )));
    }
    check_one(&limits, to)?;
    let requested = ops::extend::request(&mut tx, Asked::of(&cx), &now, to).await;
    requested.map_err(|why| busy("volume", now.id.as_str(), why))?;
    let growth = Usage::growth(to - now.size_gib, &now.type_id);
    if let Err(over) = quota::take(&mut tx, project.as_str(), &limits, &growth).await? {
        return Err(over_quota(&over));
    }
    rows::move_status(&mut tx, &now.id, (now.status, Status::Extending), cx.now()).await?;
    tx.commit().await?;
    Ok(Accepted)
}

/// A target over the network cannot tell its initiator of another size.
async fn reachable(cx: &Cx, id: &str) -> Result<(), Fault> {
    let users = attachments::of_volumes(cx.db(), &[id]).await?;
    let remote = users
        .iter()
        .find(|one| one.export != crate::model::attachment::Export::No);
    match remote.and_then(|one| one.host.as_deref()) {
        Some(host) => Err(invalid_volume(format!(
            "Volume {id} is used by host {host} over iSCSI, where a volume in use cannot be extended. Detach it first."
        ))),
        None => Ok(()),
    }
}

endpoint! {
    /// Say whether servers can boot from a volume.
    SetBootable: POST "/v3/{project_id}/volumes/{id}/action" ["os-set_bootable"] => 200,
    policy: Loaded<rules::UpdateVolume>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: set_bootable,
}
async fn set_bootable(cx: Cx, req: Req<SetBootable>) -> Reply<SetBootable> {
    let volume = volume(&cx, rules::UpdateVolume, &req.path).await?;
    let bootable = flag(&req.body.0, ("os-set_bootable", "bootable"))?;
    let mut tx = cx.write().await?;
    let mut now = rows::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(&req.path.id))?;
    now.bootable = bootable;
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Say whether a volume may be written.
    SetReadonly: POST "/v3/{project_id}/volumes/{id}/action" ["os-update_readonly_flag"] => 202,
    policy: Loaded<rules::UpdateReadonly>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: set_readonly,
}
async fn set_readonly(cx: Cx, req: Req<SetReadonly>) -> Reply<SetReadonly> {
    let volume = volume(&cx, rules::UpdateReadonly, &req.path).await?;
    let readonly = flag(&req.body.0, ("os-update_readonly_flag", "readonly"))?;
    let mut tx = cx.write().await?;
    let mut now = rows::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(&req.path.id))?;
    if now.status != Status::Available {
        return Err(invalid_volume(format!(
            "Volume {} status must be available to update readonly flag, but current status is: {}.",
            now.id,
            now.status.as_str()
        )));
    }
    now.readonly = readonly;
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    let shown = [(
        "readonly".to_owned(),
        if readonly { "True" } else { "False" }.to_owned(),
    )]
    .into();
    crate::store::metadata::set(
        &mut tx,
        crate::store::metadata::VOLUME,
        now.id.as_str(),
        &shown,
    )
    .await?;
    tx.commit().await?;
    Ok(Accepted)
}

fn flag(body: &Value, (action, key): (&str, &str)) -> Result<bool, Fault> {
    let fields = Fields::inside(body, action).map_err(Fault::bad_request)?;
    let flag = fields.flag(key).map_err(Fault::bad_request)?;
    flag.ok_or_else(|| {
        Fault::bad_request(format!(
            "Invalid input for field/attribute {key}. '{key}' is a required property"
        ))
    })
}

endpoint! {
    /// Set a volume's state by hand.
    ResetStatus: POST "/v3/{project_id}/volumes/{id}/action" ["os-reset_status"] => 202,
    policy: Loaded<rules::ResetStatus>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: reset_status,
}
async fn reset_status(cx: Cx, req: Req<ResetStatus>) -> Reply<ResetStatus> {
    let volume = volume(&cx, rules::ResetStatus, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "os-reset_status").map_err(Fault::bad_request)?;
    fields
        .only(&["status", "attach_status", "migration_status"])
        .map_err(Fault::bad_request)?;
    if fields.0.is_empty() {
        return Err(Fault::bad_request(
            "Must specify 'status', 'attach_status' or 'migration_status' for update.",
        ));
    }
    let status = fields.text("status").map_err(Fault::bad_request)?;
    let status = status.map(|word| {
        Status::parse(&word.to_ascii_lowercase()).ok_or_else(|| {
            Fault::bad_request(format!("Must specify a valid status, not '{word}'."))
        })
    });
    let status = status.transpose()?;
    let attach = fields.text("attach_status").map_err(Fault::bad_request)?;
    if let Some(word) = &attach
        && ![
            "detached",
            "attached",
            "reserved",
            "attaching",
            "detaching",
            "error_attaching",
            "error_detaching",
            "deleted",
        ]
        .contains(&word.as_str())
    {
        return Err(Fault::bad_request(format!(
            "Must specify a valid attach status, not '{word}'."
        )));
    }
    let mut tx = cx.write().await?;
    let mut now = rows::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(&req.path.id))?;
    if let Some(status) = status {
        now.status = status;
        now.status_before = status;
    }
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    if attach.as_deref() == Some("detached") {
        for one in attachments::of_volume_in(&mut tx, &now.id).await? {
            attachments::remove(&mut tx, &one.id).await?;
        }
    }
    tx.commit().await?;
    cx.service().house_now();
    Ok(Accepted)
}

endpoint! {
    /// Delete a volume whatever its state.
    ForceDeleteVolume: POST "/v3/{project_id}/volumes/{id}/action" ["os-force_delete"] => 202,
    policy: Loaded<rules::ForceDeleteAction>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: force_delete,
}
async fn force_delete(cx: Cx, req: Req<ForceDeleteVolume>) -> Reply<ForceDeleteVolume> {
    let volume = volume(&cx, rules::ForceDeleteAction, &req.path).await?;
    volumes::delete(&cx, &volume.id, volumes::How::of(false, true)).await?;
    Ok(Accepted)
}
