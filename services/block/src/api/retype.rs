//! Giving a volume another type.

use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::Target;
use serde_json::Value;

use super::fault::{busy, invalid_input, invalid_volume, no_volume};
use super::{ItemPath, volume};
use crate::model::body::Fields;
use crate::model::encryption::is_same;
use crate::model::qos::Qos;
use crate::model::volume::Status;
use crate::ops::{self, Asked};
use crate::rules;
use crate::store::{encryption, qos, types, volumes as rows};

endpoint! {
    /// Give a volume another type.
    RetypeVolume: POST "/v3/{project_id}/volumes/{id}/action" ["os-retype"] => 202,
    policy: Loaded<rules::Retype>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: retype_volume,
}
async fn retype_volume(cx: crate::Cx, req: Req<RetypeVolume>) -> Reply<RetypeVolume> {
    let volume = volume(&cx, rules::Retype, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "os-retype").map_err(Fault::bad_request)?;
    fields
        .only(&["new_type", "migration_policy"])
        .map_err(Fault::bad_request)?;
    let wanted = fields.text("new_type").map_err(Fault::bad_request)?;
    let wanted = wanted.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute new_type. 'new_type' is a required property",
        )
    })?;
    let policy = fields
        .text("migration_policy")
        .map_err(Fault::bad_request)?;
    let may_move = match policy.as_deref() {
        None | Some("never") => false,
        Some("on-demand") => true,
        Some(other) => {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute migration_policy. Value: {other}. '{other}' is not one of ['on-demand', 'never']"
            )));
        }
    };
    let unknown = || invalid_input(format!("Invalid volume_type passed: {wanted}."));
    let kind = types::find(cx.db(), &wanted).await?.ok_or_else(unknown)?;
    let project = volume.owner.project_id.as_str();
    if !kind.is_public && !cx.caller.is_admin() {
        let may = types::access(cx.db(), &kind.id).await?;
        if !may.iter().any(|one| one == project) {
            return Err(unknown());
        }
    }
    if let Some(why) = kind.refuses(volume.size_gib) {
        return Err(invalid_input(why));
    }
    if kind.is_multiattach() {
        cx.require(rules::Multiattach, &Target::of_project(project))?;
    }
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(&req.path.id))?;
    let free = matches!(now.status, Status::Available | Status::InUse);
    if !free || now.type_id == kind.id || now.group_id.is_some() {
        return Err(invalid_volume(
            "Retype needs volume to be in available or in-use state, not be part of an active migration or a consistency \
             group, requested type has to be different that the one from the volume, and for in-use volumes front-end qos \
             specs cannot change.",
        ));
    }
    let before = encryption::of_type_in(&mut tx, &now.type_id).await?;
    let after = encryption::of_type_in(&mut tx, &kind.id).await?;
    if !is_same(before.as_ref(), after.as_ref()) {
        return Err(invalid_input(
            "Retype cannot change how a volume is encrypted. Make a volume of the other type, and copy what is in this one \
             within a server.",
        ));
    }
    if now.status == Status::InUse {
        let told = |qos: Option<Qos>| qos.and_then(|qos| qos.for_host(now.size_gib));
        let before = told(qos::of_type_in(&mut tx, &now.type_id).await?);
        if before != told(qos::of_type_in(&mut tx, &kind.id).await?) {
            return Err(invalid_input(format!(
                "Retype cannot change front-end qos specs for in-use volume: {}. Detach it first.",
                now.id
            )));
        }
    }
    if now.multiattach != kind.is_multiattach() && now.status != Status::Available {
        return Err(invalid_input(
            "Invalid volume_type passed, retyping between multiattach and non-multiattach types requires volume to be \
             available.",
        ));
    }
    let requested = ops::retype::request(&mut tx, Asked::of(&cx), &now.id, (&kind.id, may_move));
    requested
        .await
        .map_err(|why| busy("volume", now.id.as_str(), why))?;
    let mut marked = now.clone();
    marked.status_before = now.status;
    marked.status = Status::Retyping;
    marked.migration = None;
    marked.updated_at = cx.now();
    rows::update(&mut tx, &marked).await?;
    tx.commit().await?;
    Ok(Accepted)
}
