//! What attaching is: a reservation, a way to the volume, and their end.

use nephos_api::Fault;
use nephos_auth::Target;
use serde_json::{Value, json};

use super::fault::{from_peer, invalid_input, invalid_volume, no_volume};
use crate::model::attachment::{
    AttachStatus, Attachment, AttachmentId, Export, Mode, Place, connection,
};
use crate::model::volume::{Owner, Status, Volume, VolumeId};
use crate::store::{attachments, backends, layers, qos, volumes};
use crate::{Cx, ops, rules};

pub(crate) fn no_attachment(id: &str) -> Fault {
    Fault::not_found(format!(
        "Volume attachment could not be found with filter: attachment_id = {id}."
    ))
}

pub(crate) fn parse_mode(word: &str) -> Result<Mode, Fault> {
    Mode::parse(word)
        .ok_or_else(|| invalid_input(format!("mode must be 'rw' or 'ro', not '{word}'.")))
}

/// Reserves a volume. Asked again by a sibling for the same server, the reservation that is there is the answer.
pub(crate) async fn reserve(
    cx: &Cx,
    volume: &Volume,
    (server, mode): (Option<&str>, Option<Mode>),
) -> Result<Attachment, Fault> {
    let mut tx = cx.write().await?;
    let now = volumes::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(volume.id.as_str()))?;
    let users = attachments::of_volume_in(&mut tx, &now.id).await?;
    let same = |one: &&Attachment| server.is_some() && one.instance_id.as_deref() == server;
    if cx.caller.has_role("service")
        && let Some(unfinished) = users
            .iter()
            .filter(same)
            .find(|one| one.status != AttachStatus::Attached)
    {
        return Ok(unfinished.clone());
    }
    let free = match now.status {
        Status::Available | Status::Downloading => true,
        Status::InUse => now.multiattach,
        _other => false,
    };
    // The same server once more: it moves to another host.
    let moves = matches!(now.status, Status::InUse | Status::Reserved)
        && users.iter().any(|one| same(&one));
    if !free && !moves {
        let statuses = if now.multiattach {
            "available, in-use or downloading"
        } else {
            "available or downloading"
        };
        return Err(invalid_volume(format!(
            "Volume {} status must be {statuses} to reserve, but the current status is {}.",
            now.id,
            now.status.as_str()
        )));
    }
    if now.multiattach && now.bootable && now.status == Status::InUse {
        cx.require(
            rules::MultiattachBootable,
            &Target::of_project(now.owner.project_id.as_str()),
        )?;
    }
    let mode = match (mode, now.readonly) {
        (Some(Mode::ReadWrite), true) => {
            return Err(invalid_volume(format!(
                "Invalid attaching mode 'rw' for volume {}: it is read-only.",
                now.id
            )));
        }
        (Some(mode), _) => mode,
        (None, true) => Mode::ReadOnly,
        (None, false) => Mode::ReadWrite,
    };
    let attachment = Attachment {
        id: AttachmentId::from(nephos_runtime::ids::uuid()),
        volume_id: now.id.clone(),
        owner: Owner {
            project_id: now.owner.project_id.clone(),
            user_id: cx.caller.user_id.clone(),
        },
        instance_id: server.map(str::to_owned),
        host: None,
        mountpoint: None,
        mode,
        status: AttachStatus::Reserved,
        connector: None,
        export: Export::No,
        chap: None,
        attached_at: None,
        created_at: cx.now(),
        updated_at: cx.now(),
    };
    attachments::insert(&mut tx, &attachment).await?;
    if !moves && now.status != Status::Downloading {
        volumes::move_status(&mut tx, &now.id, (now.status, Status::Reserved), cx.now()).await?;
    }
    tx.commit().await?;
    Ok(attachment)
}

/// Notes from where an attachment is used; over the network, a target is made for it.
pub(crate) async fn connect(
    cx: &Cx,
    id: &AttachmentId,
    connector: Value,
) -> Result<Attachment, Fault> {
    let host = connector
        .get("host")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let host = host.ok_or_else(|| invalid_input("the connector names no host."))?;
    let mut tx = cx.write().await?;
    let mut attachment = attachments::find_in(&mut tx, id)
        .await?
        .ok_or_else(|| no_attachment(id.as_str()))?;
    let volume = volumes::find_in(&mut tx, &attachment.volume_id).await?;
    let mut volume = volume.ok_or_else(|| no_volume(attachment.volume_id.as_str()))?;
    let settled = !matches!(
        volume.status,
        Status::Creating | Status::Downloading | Status::Error | Status::Deleting
    );
    let backend = volume.backend.clone().filter(|_| settled);
    let Some(backend) = backend else {
        return Err(invalid_volume(format!(
            "Volume {} is {}; it cannot be connected yet.",
            volume.id,
            volume.status.as_str()
        )));
    };
    // A snapshot or a copy that was accepted first has the file first; reserved it may be meanwhile.
    if volume.held_by.is_some() || layers::made_of_in(&mut tx, volume.id.as_str()).await? > 0 {
        return Err(Fault::unavailable(format!(
            "Volume {} is being copied. Connect it again in a moment.",
            volume.id
        )));
    }
    let backend = backends::find_in(&mut tx, &backend).await?;
    let backend =
        backend.ok_or_else(|| Fault::unavailable("The volume's back end has not reported yet."))?;
    let word = connector
        .get("mode")
        .and_then(Value::as_str)
        .filter(|word| *word != "null");
    if let Some(word) = word {
        attachment.mode = parse_mode(word)?;
        if volume.readonly && attachment.mode == Mode::ReadWrite {
            return Err(invalid_volume(format!(
                "Invalid attaching mode 'rw' for volume {}: it is read-only.",
                volume.id
            )));
        }
    }
    let remote = !cx.config.is_local(&host, &backend.host);
    if remote {
        exportable(&volume, (&host, &backend))?;
        if attachment.export == Export::No {
            attachment.export = Export::Wanted;
            attachment.chap = Some((attachment.id.to_string(), nephos_runtime::ids::hex()));
        }
    }
    attachment.host = Some(host);
    attachment.mountpoint = connector
        .get("mountpoint")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .or(attachment.mountpoint);
    attachment.connector = Some(connector);
    if attachment.status == AttachStatus::Reserved {
        attachment.status = AttachStatus::Attaching;
    }
    attachment.updated_at = cx.now();
    attachments::update(&mut tx, &attachment).await?;
    if volume.status == Status::Reserved {
        volume.status = Status::Attaching;
        volume.updated_at = cx.now();
        volumes::update(&mut tx, &volume).await?;
    }
    tx.commit().await?;
    if remote && !ops::attach::made(cx.service(), id).await? {
        return Err(Fault::unavailable(format!(
            "The target of attachment {id} is not there yet. Update the attachment again in a moment."
        )));
    }
    Ok(attachment)
}

fn exportable(
    volume: &Volume,
    (host, backend): (&str, &crate::model::backend::Backend),
) -> Result<(), Fault> {
    let elsewhere = format!(
        "Volume {} is on host {}, and host {host}",
        volume.id, backend.host
    );
    if backend.portal.is_none() {
        return Err(invalid_volume(format!(
            "{elsewhere} cannot reach it: `iscsi_listen` in [block] of nephos.toml offers volumes to other hosts."
        )));
    }
    if volume.format == crate::model::layer::Format::Qcow2 {
        return Err(invalid_volume(format!(
            "{elsewhere} cannot reach it: it is a qcow2 overlay, and only raw volumes are offered over iSCSI. A back end on \
             XFS or btrfs makes no overlays."
        )));
    }
    Ok(())
}

/// How the volume is reached, in Cinder's flat form; empty as long as nothing is known of where.
pub(crate) async fn connection_of(cx: &Cx, attachment: &Attachment) -> Result<Value, Fault> {
    let Some(volume) = volumes::find(cx.db(), &attachment.volume_id).await? else {
        return Ok(json!({}));
    };
    let backend = match &volume.backend {
        Some(name) => backends::find(cx.db(), name).await?,
        None => None,
    };
    let Some(backend) = backend else {
        return Ok(json!({}));
    };
    let place = Place {
        local: attachment
            .host
            .as_deref()
            .is_some_and(|host| cx.config.is_local(host, &backend.host)),
        folder: &backend.folder,
        portal: backend.portal.as_deref(),
    };
    let Some(mut found) = connection(attachment, &volume, &place) else {
        return Ok(json!({}));
    };
    let limits = qos::of_type(cx.db(), &volume.type_id).await?;
    let limits = limits.and_then(|limits| limits.for_host(volume.size_gib));
    if let Some(data) = found.get_mut("data").and_then(Value::as_object_mut) {
        data.insert("qos_specs".to_owned(), json!(limits));
    }
    // Nova reads the data, os-brick's callers the flat form: both stand there, as in Cinder.
    if let Some(object) = found.as_object_mut() {
        let data = object
            .get("data")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        object.extend(data);
        object.insert("attachment_id".to_owned(), json!(attachment.id));
    }
    Ok(found)
}

/// Refuses to end what a server uses: it lets go of the volume first, which compute sees to. Ended here, it would go on
/// writing where another volume may be next (Cinder: CVE-2023-2088).
pub(crate) async fn check_unused(cx: &Cx, attachment: &Attachment) -> Result<(), Fault> {
    let Some(server) = &attachment.instance_id else {
        return Ok(());
    };
    if cx.caller.has_role("service") {
        return Ok(());
    }
    let token = cx.token().unwrap_or_default();
    let place = (server.as_str(), attachment.volume_id.as_str());
    let used = cx
        .siblings
        .server_uses(token, place, attachment.id.as_str());
    if used.await.map_err(|why| from_peer(&why))? {
        return Err(Fault::conflict(format!(
            "Detach volume from instance {server} using the Compute API"
        )));
    }
    Ok(())
}

/// Ends an attachment; the volume's state follows from those that are left. Its target goes behind the answer.
pub(crate) async fn end(cx: &Cx, attachment: &Attachment) -> Result<Vec<Attachment>, Fault> {
    let mut tx = cx.write().await?;
    if !attachments::remove(&mut tx, &attachment.id).await? {
        return Err(no_attachment(attachment.id.as_str()));
    }
    let left = attachments::of_volume_in(&mut tx, &attachment.volume_id).await?;
    settle(&mut tx, cx, (&attachment.volume_id, &left)).await?;
    tx.commit().await?;
    cx.service().house_now();
    Ok(left)
}

/// The state that a volume has by those who use it, unless something else is being done to it.
pub(crate) async fn settle(
    tx: &mut nephos_db::Tx,
    cx: &Cx,
    (id, left): (&VolumeId, &[Attachment]),
) -> Result<(), Fault> {
    let Some(mut volume) = volumes::find_in(tx, id).await? else {
        return Ok(());
    };
    let by_use = matches!(
        volume.status,
        Status::InUse | Status::Reserved | Status::Attaching | Status::Detaching
    );
    if by_use {
        let has = |status| left.iter().any(|one: &Attachment| one.status == status);
        volume.status = if has(AttachStatus::Attached) {
            Status::InUse
        } else if has(AttachStatus::Attaching) {
            Status::Attaching
        } else if has(AttachStatus::Reserved) {
            Status::Reserved
        } else {
            Status::Available
        };
        volume.updated_at = cx.now();
        volumes::update(tx, &volume).await?;
    }
    Ok(())
}
