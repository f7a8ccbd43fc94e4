//! The volumes of a server, step by step: made, related to the server, opened for its host; and back again.
//!
//! Every relation is found again after a crash: the block service answers the same unfinished one when it is asked
//! for again, and a volume that was made for a place of a server carries a name that only that place has.

use nephos_ops::{Failure, Next, OpCx, StepError};
use nephos_peer::PeerError;
use nephos_runtime::crash_point;
use nephos_types::{Timestamp, Wake};

use super::{VOLUMES, step_error};
use crate::model::server::{Server, VmState};
use crate::model::volume::{Source, Volume};
use crate::peers::{Connector, ShownVolume};
use crate::{Compute, store};

/// A volume that is being made is looked at again.
const MADE_SOON: std::time::Duration = std::time::Duration::from_millis(500);
/// A volume that cannot be deleted yet is tried again.
const FREE_SOON: std::time::Duration = std::time::Duration::from_secs(2);
/// What a volume is in while something is done with it that comes to its end by itself.
const BUSY: &[&str] = &[
    "creating",
    "downloading",
    "detaching",
    "extending",
    "uploading",
    "backing-up",
    "retyping",
];

/// Does the next thing towards the host being able to open every volume of the server. None: it is.
pub(super) async fn ensure(cx: &OpCx<Compute>, server: &Server) -> Result<Option<Next>, StepError> {
    let Some(host) = server.host.as_deref() else {
        return Ok(None);
    };
    let lacks = |volume: &&Volume| {
        let open = volume.connection.as_ref().map(|way| way.host.as_str()) == Some(host);
        !volume.leaving && (!open || volume.former_attachment_id.is_some())
    };
    let Some(volume) = server.volumes.iter().find(lacks) else {
        return Ok(None);
    };
    match (&volume.source, &volume.attachment_id, &volume.connection) {
        (Some(source), _, _) if volume.volume_id.is_empty() => {
            make(cx, server, volume, source).await
        }
        (_, Some(_), Some(way)) if way.host != host => turn(cx, server, volume).await,
        (_, _, Some(_)) => drop_former(cx, server, volume).await,
        (source, None, None) => {
            if source.is_some()
                && let Some(next) = unready(cx, server, volume).await?
            {
                return Ok(Some(next));
            }
            relate(cx, server, volume).await
        }
        (_, Some(attachment), None) => open(cx, server, volume, attachment).await,
    }
    .map(Some)
}

/// Writes what came of one of a server's volumes.
async fn note(
    cx: &OpCx<Compute>,
    server: &Server,
    volume: &Volume,
    change: impl FnOnce(&mut Server, usize) + Send,
) -> Result<Next, StepError> {
    let mut tx = cx.write("block_device_mapping").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    let place = fresh.volumes.iter().position(|one| one.id == volume.id);
    if let Some(place) = place {
        change(&mut fresh, place);
    }
    if fresh.vm_state == VmState::Building && fresh.task_state.is_some() {
        fresh.task_state = Some("block_device_mapping".to_owned());
    }
    store::servers::update(&mut tx, &fresh).await?;
    tx.wake(Wake::new(VOLUMES, server.id.as_str()));
    tx.commit().await?;
    crash_point!("volume.noted");
    Ok(Next::Again)
}

fn at(server: &mut Server, place: usize, change: impl FnOnce(&mut Volume)) {
    if let Some(volume) = server.volumes.get_mut(place) {
        change(volume);
    }
}

async fn make(
    cx: &OpCx<Compute>,
    server: &Server,
    volume: &Volume,
    source: &Source,
) -> Result<Next, StepError> {
    let there = cx.siblings.volume_made_for(server, volume).await;
    let made = match there.map_err(step_error)? {
        Some(made) => made,
        None => {
            crash_point!("volume.before_create");
            let made = cx.siblings.create_volume(server, volume, source).await;
            let made = made.map_err(refusal)?;
            crash_point!("volume.created");
            made
        }
    };
    note(cx, server, volume, |fresh, place| {
        at(fresh, place, |volume| {
            volume.volume_id = made.id;
            volume.size_gib = made.size;
        });
    })
    .await
}

/// What there is to do about a volume that is not made yet. None: it is.
async fn unready(
    cx: &OpCx<Compute>,
    server: &Server,
    volume: &Volume,
) -> Result<Option<Next>, StepError> {
    let shown = shown(cx, server, volume).await.map_err(step_error)?;
    Ok(match shown.status.as_str() {
        "creating" | "downloading" => Some(Next::After(MADE_SOON)),
        status if status.starts_with("error") => Some(Next::Fail(Failure::new(format!(
            "Volume {} did not finish being created. And its status is {status}.",
            volume.volume_id
        )))),
        _ready => None,
    })
}

async fn shown(
    cx: &OpCx<Compute>,
    server: &Server,
    volume: &Volume,
) -> Result<ShownVolume, PeerError> {
    let project = server.project_id.as_str();
    cx.siblings.volume(project, &volume.volume_id).await
}

/// A volume in use elsewhere or a quota that is used up does not pass by itself; its words are for whoever asked.
fn refusal(why: PeerError) -> StepError {
    match why.status {
        Some(400 | 403 | 404 | 409 | 413) => StepError::Permanent(why.message),
        _other => step_error(why),
    }
}

async fn relate(cx: &OpCx<Compute>, server: &Server, volume: &Volume) -> Result<Next, StepError> {
    crash_point!("volume.before_attachment");
    let made = cx
        .siblings
        .ensure_attachment(server, &volume.volume_id)
        .await;
    let attachment = made.map_err(refusal)?;
    crash_point!("volume.attachment");
    note(cx, server, volume, |fresh, place| {
        at(fresh, place, |volume| {
            if volume.former_attachment_id.as_ref() == Some(&attachment) {
                volume.former_attachment_id = None;
            }
            volume.attachment_id = Some(attachment);
        });
    })
    .await
}

async fn open(
    cx: &OpCx<Compute>,
    server: &Server,
    volume: &Volume,
    attachment: &str,
) -> Result<Next, StepError> {
    let host = server.host.as_deref().unwrap_or_default();
    let row = store::hosts::get(cx.db(), host).await?;
    let ip = row.map(|row| row.inventory.host_ip).unwrap_or_default();
    let connector = Connector {
        host,
        ip: &ip,
        device: &volume.device,
    };
    crash_point!("volume.before_connect");
    let project = server.project_id.as_str();
    let way = cx.siblings.connect(project, attachment, connector).await;
    let way = way.map_err(refusal)?;
    crash_point!("volume.connected");
    note(cx, server, volume, |fresh, place| {
        // What the host was told of this generation does not have it.
        fresh.generation += 1;
        at(fresh, place, |volume| volume.connection = Some(way));
    })
    .await
}

/// The server is on another host: that one needs a relation of its own.
async fn turn(cx: &OpCx<Compute>, server: &Server, volume: &Volume) -> Result<Next, StepError> {
    note(cx, server, volume, |fresh, place| {
        at(fresh, place, |volume| {
            volume.former_attachment_id = volume.attachment_id.take();
            volume.connection = None;
            volume.complete = false;
        });
    })
    .await
}

async fn drop_former(
    cx: &OpCx<Compute>,
    server: &Server,
    volume: &Volume,
) -> Result<Next, StepError> {
    if let Some(former) = &volume.former_attachment_id {
        remove_attachment(cx, server, former).await?;
    }
    note(cx, server, volume, |fresh, place| {
        at(fresh, place, |volume| volume.former_attachment_id = None);
    })
    .await
}

async fn remove_attachment(
    cx: &OpCx<Compute>,
    server: &Server,
    attachment: &str,
) -> Result<(), StepError> {
    crash_point!("volume.before_detach");
    let project = server.project_id.as_str();
    let gone = cx.siblings.remove_attachment(project, attachment).await;
    gone.map_err(step_error)?;
    crash_point!("volume.detached");
    Ok(())
}

/// Says of the next volume that the server uses it. None: all are known to be in use.
pub(super) async fn complete(
    cx: &OpCx<Compute>,
    server: &Server,
) -> Result<Option<Next>, StepError> {
    let news = |volume: &&Volume| !volume.complete && volume.connection.is_some();
    let Some(volume) = server.volumes.iter().find(news) else {
        return Ok(None);
    };
    if let Some(attachment) = &volume.attachment_id {
        crash_point!("volume.before_complete");
        let project = server.project_id.as_str();
        let said = cx.siblings.complete_attachment(project, attachment).await;
        said.map_err(step_error)?;
        crash_point!("volume.complete");
    }
    let noted = note(cx, server, volume, |fresh, place| {
        at(fresh, place, |volume| volume.complete = true);
    });
    noted.await.map(Some)
}

/// Does the next thing towards the server having no volumes; its guest is gone. None: it has none.
pub(super) async fn release(
    cx: &OpCx<Compute>,
    server: &Server,
) -> Result<Option<Next>, StepError> {
    for volume in &server.volumes {
        let relation = volume
            .former_attachment_id
            .as_ref()
            .or(volume.attachment_id.as_ref());
        if let Some(attachment) = relation {
            remove_attachment(cx, server, attachment).await?;
            let noted = note(cx, server, volume, |fresh, place| {
                at(fresh, place, |volume| {
                    if volume.former_attachment_id.take().is_none() {
                        volume.attachment_id = None;
                    }
                    volume.connection = None;
                    volume.complete = false;
                });
            });
            return noted.await.map(Some);
        }
        if volume.volume_id.is_empty() && volume.source.is_some() {
            return forget_made(cx, server, volume).await.map(Some);
        }
        if volume.delete_on_termination && !volume.volume_id.is_empty() {
            return remove(cx, server, volume).await.map(Some);
        }
    }
    Ok(None)
}

/// A volume that was made by a step that was cut off belongs to nobody: it goes with the server.
async fn forget_made(
    cx: &OpCx<Compute>,
    server: &Server,
    volume: &Volume,
) -> Result<Next, StepError> {
    let there = cx.siblings.volume_made_for(server, volume).await;
    let there = there.map_err(step_error)?;
    note(cx, server, volume, |fresh, place| {
        at(fresh, place, |volume| match there {
            Some(made) => {
                volume.volume_id = made.id;
                volume.delete_on_termination = true;
            }
            None => volume.source = None,
        });
    })
    .await
}

async fn remove(cx: &OpCx<Compute>, server: &Server, volume: &Volume) -> Result<Next, StepError> {
    crash_point!("volume.before_delete");
    let project = server.project_id.as_str();
    match cx.siblings.remove_volume(project, &volume.volume_id).await {
        Ok(()) => {}
        Err(why) if why.is_transient() || why.status == Some(401) => return Err(step_error(why)),
        Err(why) => {
            let now = shown(cx, server, volume).await;
            if now.is_ok_and(|now| BUSY.contains(&now.status.as_str())) {
                return Ok(Next::After(FREE_SOON));
            }
            // Snapshots of it, or another server that has it: it stays, as in Nova.
            tracing::warn!(volume = volume.volume_id, %why, "a volume stays after its server; its owner can delete it by `openstack volume delete`");
        }
    }
    crash_point!("volume.deleted");
    note(cx, server, volume, |fresh, place| {
        at(fresh, place, |volume| {
            volume.volume_id.clear();
            volume.source = None;
        });
    })
    .await
}

/// The host is to be told of something else than before; a guest that switched itself off is not started by that.
pub(super) fn changed(server: &mut Server, now: Timestamp) {
    server.generation += 1;
    server.updated_at = now;
    if server.vm_state == VmState::Stopped {
        "stopped".clone_into(&mut server.want);
    }
}
