//! The older actions by which volumes are attached: reserve, connect, attach, and the way back.

use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::attaching::{check_unused, connect, connection_of, end, settle};
use super::fault::{invalid_input, invalid_volume, no_volume};
use super::{ItemPath, volume};
use crate::model::attachment::{AttachStatus, Attachment, AttachmentId, Export, Mode};
use crate::model::body::Fields;
use crate::model::volume::{Owner, Status, Volume, VolumeId};
use crate::store::{attachments, layers, volumes};
use crate::{Cx, rules};

/// Moves a volume from one state to another, or says which it must be in.
async fn turn(
    cx: &Cx,
    id: &VolumeId,
    (from, to): (&[Status], Status),
    verb: &str,
) -> Result<(), Fault> {
    let mut tx = cx.write().await?;
    let mut now = volumes::find_in(&mut tx, id)
        .await?
        .ok_or_else(|| no_volume(id.as_str()))?;
    if !from.contains(&now.status) {
        let words: Vec<&str> = from.iter().map(|status| status.as_str()).collect();
        return Err(invalid_volume(format!(
            "Volume status must be {} to {verb}, but the status is {}.",
            words.join(" or "),
            now.status.as_str()
        )));
    }
    now.status_before = now.status;
    now.status = to;
    now.updated_at = cx.now();
    volumes::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(())
}

endpoint! {
    /// Mark a volume as about to be attached.
    ReserveVolume: POST "/v3/{project_id}/volumes/{id}/action" ["os-reserve"] => 202,
    policy: Loaded<rules::Reserve>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: reserve,
}
async fn reserve(cx: Cx, req: Req<ReserveVolume>) -> Reply<ReserveVolume> {
    let volume = volume(&cx, rules::Reserve, &req.path).await?;
    let from: &[Status] = if volume.multiattach {
        &[Status::Available, Status::InUse]
    } else {
        &[Status::Available]
    };
    turn(&cx, &volume.id, (from, Status::Attaching), "reserve").await?;
    Ok(Accepted)
}

endpoint! {
    /// Take back that a volume is about to be attached.
    UnreserveVolume: POST "/v3/{project_id}/volumes/{id}/action" ["os-unreserve"] => 202,
    policy: Loaded<rules::Unreserve>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: unreserve,
}
async fn unreserve(cx: Cx, req: Req<UnreserveVolume>) -> Reply<UnreserveVolume> {
    let volume = volume(&cx, rules::Unreserve, &req.path).await?;
    let mut tx = cx.write().await?;
    let mut now = volumes::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(&req.path.id))?;
    // What is not reserved needs nothing taken back (Cinder answers the same).
    if now.status == Status::Attaching {
        let used = attachments::of_volume_in(&mut tx, &now.id).await?;
        let used = used.iter().any(|one| one.status == AttachStatus::Attached);
        now.status = if used {
            Status::InUse
        } else {
            Status::Available
        };
        now.updated_at = cx.now();
        volumes::update(&mut tx, &now).await?;
    }
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Mark a volume as about to be detached.
    BeginDetaching: POST "/v3/{project_id}/volumes/{id}/action" ["os-begin_detaching"] => 202,
    policy: Loaded<rules::BeginDetaching>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: begin_detaching,
}
async fn begin_detaching(cx: Cx, req: Req<BeginDetaching>) -> Reply<BeginDetaching> {
    let volume = volume(&cx, rules::BeginDetaching, &req.path).await?;
    turn(
        &cx,
        &volume.id,
        (&[Status::InUse], Status::Detaching),
        "detach",
    )
    .await?;
    Ok(Accepted)
}

endpoint! {
    /// Take back that a volume is about to be detached.
    RollDetaching: POST "/v3/{project_id}/volumes/{id}/action" ["os-roll_detaching"] => 202,
    policy: Loaded<rules::RollDetaching>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: roll_detaching,
}
async fn roll_detaching(cx: Cx, req: Req<RollDetaching>) -> Reply<RollDetaching> {
    let volume = volume(&cx, rules::RollDetaching, &req.path).await?;
    let mut tx = cx.write().await?;
    volumes::move_status(
        &mut tx,
        &volume.id,
        (Status::Detaching, Status::InUse),
        cx.now(),
    )
    .await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Note that a volume is attached.
    AttachVolume: POST "/v3/{project_id}/volumes/{id}/action" ["os-attach"] => 202,
    policy: Loaded<rules::Attach>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: attach,
}
async fn attach(cx: Cx, req: Req<AttachVolume>) -> Reply<AttachVolume> {
    let volume = volume(&cx, rules::Attach, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "os-attach").map_err(Fault::bad_request)?;
    let server = fields.uuid("instance_uuid").map_err(Fault::bad_request)?;
    let host = fields.text("host_name").map_err(Fault::bad_request)?;
    if server.is_none() && host.is_none() {
        return Err(Fault::bad_request(
            "Invalid request to attach volume to an invalid target: name instance_uuid or host_name.",
        ));
    }
    let mountpoint = fields.text("mountpoint").map_err(Fault::bad_request)?;
    let mode = fields
        .text("mode")
        .map_err(Fault::bad_request)?
        .unwrap_or_else(|| "rw".to_owned());
    let mode = Mode::parse(&mode)
        .ok_or_else(|| invalid_input(format!("mode must be 'rw' or 'ro', not '{mode}'.")))?;
    if volume.readonly && mode == Mode::ReadWrite {
        return Err(invalid_volume(format!(
            "Invalid attaching mode 'rw' for volume {}: it is read-only.",
            volume.id
        )));
    }
    let mut tx = cx.write().await?;
    let mut now = volumes::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(&req.path.id))?;
    let users = attachments::of_volume_in(&mut tx, &now.id).await?;
    let free = match now.status {
        Status::Available | Status::Attaching | Status::Reserved => true,
        Status::InUse => now.multiattach,
        _other => false,
    };
    if now.held_by.is_some() || layers::made_of_in(&mut tx, now.id.as_str()).await? > 0 {
        return Err(Fault::unavailable(format!(
            "Volume {} is being copied. Attach it again in a moment.",
            now.id
        )));
    }
    if !free {
        return Err(invalid_volume(format!(
            "Volume {} status must be available or reserved to attach, but the status is {}.",
            now.id,
            now.status.as_str()
        )));
    }
    // The connection that was asked for becomes the attachment.
    let begun = users
        .into_iter()
        .find(|one| one.status == AttachStatus::Attaching && one.instance_id.is_none());
    let fresh = begun.is_none();
    let mut attachment = begun.unwrap_or_else(|| new(&cx, &now));
    attachment.instance_id = server;
    attachment.host = attachment.host.or(host);
    attachment.mountpoint = mountpoint.or(attachment.mountpoint);
    attachment.mode = mode;
    attachment.status = AttachStatus::Attached;
    attachment.attached_at = Some(cx.now());
    attachment.updated_at = cx.now();
    if fresh {
        attachments::insert(&mut tx, &attachment).await?;
    } else {
        attachments::update(&mut tx, &attachment).await?;
    }
    now.status = Status::InUse;
    now.updated_at = cx.now();
    volumes::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}

fn new(cx: &Cx, volume: &Volume) -> Attachment {
    Attachment {
        id: AttachmentId::from(nephos_runtime::ids::uuid()),
        volume_id: volume.id.clone(),
        owner: Owner {
            project_id: volume.owner.project_id.clone(),
            user_id: cx.caller.user_id.clone(),
        },
        instance_id: None,
        host: None,
        mountpoint: None,
        mode: if volume.readonly {
            Mode::ReadOnly
        } else {
            Mode::ReadWrite
        },
        status: AttachStatus::Attaching,
        connector: None,
        export: Export::No,
        chap: None,
        attached_at: None,
        created_at: cx.now(),
        updated_at: cx.now(),
    }
}

endpoint! {
    /// Note that a volume is detached.
    DetachVolume: POST "/v3/{project_id}/volumes/{id}/action" ["os-detach"] => 202,
    policy: Loaded<rules::Detach>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: detach,
}
async fn detach(cx: Cx, req: Req<DetachVolume>) -> Reply<DetachVolume> {
    let volume = volume(&cx, rules::Detach, &req.path).await?;
    end_one(&cx, &volume, (&req.body.0, "os-detach")).await?;
    Ok(Accepted)
}

endpoint! {
    /// End an attachment whatever its user says.
    ForceDetach: POST "/v3/{project_id}/volumes/{id}/action" ["os-force_detach"] => 202,
    policy: Loaded<rules::ForceDetach>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: force_detach,
}
async fn force_detach(cx: Cx, req: Req<ForceDetach>) -> Reply<ForceDetach> {
    let volume = volume(&cx, rules::ForceDetach, &req.path).await?;
    end_one(&cx, &volume, (&req.body.0, "os-force_detach")).await?;
    Ok(Accepted)
}

async fn end_one(cx: &Cx, volume: &Volume, (body, action): (&Value, &str)) -> Result<(), Fault> {
    let fields = match body.get(action).and_then(Value::as_object) {
        Some(fields) => Fields(fields),
        None => {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute {action}. It is not an object"
            )));
        }
    };
    let wanted = fields.uuid("attachment_id").map_err(Fault::bad_request)?;
    let users = attachments::of_volumes(cx.db(), &[volume.id.as_str()]).await?;
    let chosen = match (&wanted, users.as_slice()) {
        (Some(id), users) => users.iter().find(|one| one.id.as_str() == id),
        (None, [only]) => Some(only),
        (None, []) => {
            // Nobody uses it; the state follows.
            let mut tx = cx.write().await?;
            settle(&mut tx, cx, (&volume.id, &[])).await?;
            tx.commit().await?;
            return Ok(());
        }
        (None, _several) => {
            return Err(invalid_volume(
                "Volume is attached to more than one instance, an attachment_id must be provided.",
            ));
        }
    };
    let chosen = chosen.ok_or_else(|| {
        Fault::bad_request(format!(
            "Volume attachment could not be found with filter: attachment_id = {}.",
            wanted.unwrap_or_default()
        ))
    })?;
    check_unused(cx, chosen).await?;
    end(cx, chosen).await?;
    Ok(())
}

fn connector(body: &Value, action: &str) -> Result<Value, Fault> {
    let fields = Fields::inside(body, action).map_err(Fault::bad_request)?;
    let connector = fields
        .get("connector")
        .filter(|connector| connector.is_object());
    connector.cloned().ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute connector. It is a required object")
    })
}

endpoint! {
    /// Ask how a volume is reached from somewhere.
    InitializeConnection: POST "/v3/{project_id}/volumes/{id}/action" ["os-initialize_connection"] => 200,
    policy: Loaded<rules::InitializeConnection>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: initialize,
}
async fn initialize(cx: Cx, req: Req<InitializeConnection>) -> Reply<InitializeConnection> {
    let volume = volume(&cx, rules::InitializeConnection, &req.path).await?;
    let connector = connector(&req.body.0, "os-initialize_connection")?;
    let host = connector
        .get("host")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let users = attachments::of_volumes(cx.db(), &[volume.id.as_str()]).await?;
    let begun = users
        .into_iter()
        .find(|one| one.host.as_deref() == Some(host.as_str()));
    let attachment = match begun {
        Some(begun) => begun,
        None => {
            if !matches!(
                volume.status,
                Status::Available | Status::Attaching | Status::Reserved | Status::InUse
            ) {
                return Err(invalid_volume(format!(
                    "Volume {} is {}.",
                    volume.id,
                    volume.status.as_str()
                )));
            }
            let new = new(&cx, &volume);
            let mut tx = cx.write().await?;
            attachments::insert(&mut tx, &new).await?;
            tx.commit().await?;
            new
        }
    };
    let connected = match connect(&cx, &attachment.id, connector).await {
        Ok(connected) => connected,
        Err(fault) => {
            if attachment.status == AttachStatus::Attaching && attachment.host.is_none() {
                let mut tx = cx.write().await?;
                attachments::remove(&mut tx, &attachment.id).await?;
                tx.commit().await?;
            }
            return Err(fault);
        }
    };
    let connection = connection_of(&cx, &connected).await?;
    Ok(Json(json!({ "connection_info": connection })))
}

endpoint! {
    /// Say that a volume is reached from somewhere no longer.
    TerminateConnection: POST "/v3/{project_id}/volumes/{id}/action" ["os-terminate_connection"] => 202,
    policy: Loaded<rules::TerminateConnection>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: terminate,
}
async fn terminate(cx: Cx, req: Req<TerminateConnection>) -> Reply<TerminateConnection> {
    let volume = volume(&cx, rules::TerminateConnection, &req.path).await?;
    let connector = connector(&req.body.0, "os-terminate_connection")?;
    let host = connector.get("host").and_then(Value::as_str);
    let meant = |one: &Attachment| host.is_none() || one.host.as_deref() == host;
    let mut users = attachments::of_volumes(cx.db(), &[volume.id.as_str()]).await?;
    users.retain(meant);
    for one in &users {
        check_unused(&cx, one).await?;
    }
    let mut tx = cx.write().await?;
    // Those that were looked at, as they are by now.
    let mut now = attachments::of_volume_in(&mut tx, &volume.id).await?;
    now.retain(|one| users.iter().any(|seen| seen.id == one.id));
    for mut one in now {
        if one.status == AttachStatus::Attached {
            // Who has it says `os-detach`; the way to it ends here.
            one.export = Export::No;
            one.chap = None;
            one.connector = None;
            one.updated_at = cx.now();
            attachments::update(&mut tx, &one).await?;
        } else if one.instance_id.is_none() {
            attachments::remove(&mut tx, &one.id).await?;
        }
    }
    tx.commit().await?;
    cx.service().house_now();
    Ok(Accepted)
}
