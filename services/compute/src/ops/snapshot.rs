//! An image is made of a server's root disk: its host is told which, reads the disk and brings it to the image service.
//!
//! The image is there before the work begins. Whether it has its data, the image service says and nobody else; the host is
//! let in there only while it is told of this image here.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::feed::{self, Place};
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use nephos_types::feed::Observed;
use serde_json::json;

use super::{Asked, FEED, LOOK_AGAIN, Work, begin, discard_image, step_error};
use crate::model::server::{Refused, Server, VmState};
use crate::model::snapshot::{KIND_SNAPSHOT, SnapshotSeen, SnapshotWish};
use crate::model::spec::{ImageId, ServerId};
use crate::{Compute, store};

/// A large disk takes its time.
const DEADLINE_SECS: i64 = 12 * 3600;

/// Where an image may be made of a server (nova.compute.api `snapshot`).
pub(crate) const FROM: &[VmState] = &[
    VmState::Active,
    VmState::Stopped,
    VmState::Paused,
    VmState::Suspended,
];

pub(crate) struct Snapshot;

/// Asks for it; the image is there, without data. Refused: the server is not what it was.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    image: &ImageId,
) -> Result<Result<(), Refused>, EnqueueError> {
    let work = Work {
        kind: Snapshot::KIND,
        server: &server.id,
        action: "createImage",
        args: json!({ "image": image }),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(Err(Refused::State("task_state deleting".to_owned())));
    };
    if let Err(why) = fresh.check_can(FROM) {
        return Ok(Err(why));
    }
    fresh.task_state = Some("image_snapshot_pending".to_owned());
    fresh.updated_at = asked.now;
    store::servers::update(tx, &fresh).await?;
    Ok(Ok(()))
}

fn image_of(op: &Operation) -> ImageId {
    let image = op.args.get("image").and_then(|image| image.as_str());
    image.unwrap_or_default().into()
}

fn place<'a>(host: &'a str, server: &'a ServerId) -> Place<'a> {
    Place {
        topic: FEED,
        host,
        kind: KIND_SNAPSHOT,
        id: server.as_str(),
    }
}

impl Reconcile<Compute> for Snapshot {
    const KIND: &'static str = "server.snapshot";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        let image = image_of(op);
        let Some(host) = &server.host else {
            return Ok(Next::Fail(Failure::new("The server is on no host.")));
        };
        let off = || {
            Ok(Next::Fail(Failure::new(format!(
                "Host {host} was declared to be off before the disk of the server had been read."
            ))))
        };
        let fenced = store::hosts::is_fenced(cx.db(), host).await?;
        let Some(told) = feed::published(cx.db(), place(host, &server.id)).await? else {
            if fenced {
                return off();
            }
            return tell_host(cx, &server, image).await;
        };
        // A host that is off may have brought all of it before.
        let status = cx.siblings.image_status(&image).await.map_err(step_error)?;
        match status.as_deref() {
            Some("active" | "deactivated") => finish(cx, op, &server).await,
            Some("queued" | "saving") if fenced => off(),
            Some("queued" | "saving") => follow(cx, &server, (host, told)).await,
            Some(other) => Ok(Next::Fail(Failure::new(format!(
                "Image {image} was given no data: it is {other}."
            )))),
            None => Ok(Next::Fail(Failure::new(format!(
                "Image {image} was deleted before it had its data."
            )))),
        }
    }

    /// The server stays what it is; the image goes.
    async fn failed(
        &self,
        cx: &OpCx<Compute>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let server: ServerId = op.resource_id.as_str().into();
        if let Some(mut fresh) = store::servers::lock(tx, &server).await? {
            fresh.task_state = None;
            fresh.updated_at = cx.now();
            store::servers::update(tx, &fresh).await?;
        }
        give_up(tx, cx.now(), op, &failure.message).await
    }
}

/// The work ends in this transaction and comes to nothing: no host is told of it any more, and the image goes.
pub(super) async fn give_up(
    tx: &mut Tx,
    now: Timestamp,
    op: &Operation,
    why: &str,
) -> Result<(), nephos_db::Error> {
    let server: ServerId = op.resource_id.as_str().into();
    let hosts = feed::hosts_of(tx, KIND_SNAPSHOT, server.as_str()).await?;
    for host in &hosts {
        forget(tx, now, host, &server).await?;
    }
    discard_image::request(tx, now, op, &image_of(op)).await?;
    let host = hosts.first().map(String::as_str);
    history(tx, now, op, (host, Some(why))).await
}

/// A host is told nothing of it any more.
async fn forget(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    server: &ServerId,
) -> Result<(), nephos_db::Error> {
    feed::withdraw_present(tx, now, place(host, server)).await?;
    feed::forget(tx, KIND_SNAPSHOT, server.as_str()).await
}

/// What a host says of an image that it is told nothing of any more is no use to anybody.
pub(super) async fn forget_late(
    tx: &mut Tx,
    host: &str,
    seen: &Observed,
) -> Result<(), nephos_db::Error> {
    let server = ServerId::from(seen.id.as_str());
    if feed::published_in(tx, place(host, &server))
        .await?
        .is_none()
    {
        feed::forget_on(tx, host, KIND_SNAPSHOT, &seen.id).await?;
    }
    Ok(())
}

async fn tell_host(cx: &OpCx<Compute>, server: &Server, image: ImageId) -> Result<Next, StepError> {
    let mut tx = cx.write("tell_host").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    let Some(host) = fresh.host.clone() else {
        return Ok(Next::Again);
    };
    let wish = SnapshotWish {
        image,
        epoch: fresh.disk_epoch,
        on: matches!(fresh.vm_state, VmState::Active | VmState::Paused),
    };
    let place = place(&host, &fresh.id);
    feed::publish_changed(&mut tx, cx.now(), place, &wish).await?;
    fresh.task_state = Some("image_snapshot".to_owned());
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    crash_point!("snapshot.told_host");
    Ok(Next::After(LOOK_AGAIN))
}

/// The image has no data yet: how far its host is, the server shows.
async fn follow(
    cx: &OpCx<Compute>,
    server: &Server,
    (host, told): (&str, i64),
) -> Result<Next, StepError> {
    let seen = feed::observed(cx.db(), KIND_SNAPSHOT, server.id.as_str()).await?;
    let seen = seen
        .into_iter()
        .find(|seen| seen.host == host && seen.observed.generation_seen >= told);
    let seen = seen.and_then(|seen| serde_json::from_value(seen.observed.detail).ok());
    let task_state = match seen {
        Some(SnapshotSeen::Failed { reason }) => return Ok(Next::Fail(Failure::new(reason))),
        Some(seen) => seen.task_state(),
        None => return Ok(Next::After(LOOK_AGAIN)),
    };
    if server.task_state.as_deref() != Some(task_state) {
        let mut tx = cx.write("follow").await?;
        if let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? {
            fresh.task_state = Some(task_state.to_owned());
            fresh.updated_at = cx.now();
            store::servers::update(&mut tx, &fresh).await?;
        }
        tx.commit().await?;
        crash_point!("snapshot.followed");
    }
    Ok(Next::After(LOOK_AGAIN))
}

async fn finish(cx: &OpCx<Compute>, op: &Operation, server: &Server) -> Result<Next, StepError> {
    crash_point!("snapshot.before_finish");
    let mut tx = cx.finish("finish").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    fresh.task_state = None;
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    let hosts = feed::hosts_of(&mut tx, KIND_SNAPSHOT, server.id.as_str()).await?;
    for host in &hosts {
        forget(&mut tx, cx.now(), host, &server.id).await?;
    }
    history(&mut tx, cx.now(), op, (fresh.host.as_deref(), None)).await?;
    tx.commit().await?;
    crash_point!("snapshot.finished");
    Ok(Next::Done)
}

async fn history(
    tx: &mut Tx,
    now: Timestamp,
    op: &Operation,
    (host, failure): (Option<&str>, Option<&str>),
) -> Result<(), nephos_db::Error> {
    let server = op.resource_id.as_str().into();
    let outcome = store::actions::Outcome {
        server: &server,
        request_id: &op.request_id,
        event: "compute_snapshot_instance",
        host,
        failure,
        started_at: op.created_at,
        at: now,
    };
    store::actions::finish(tx, outcome).await
}
