//! Giving a server a volume, while its guest runs or while it is off.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use nephos_types::Wake;
use serde_json::{Value, json};

use super::attachment::{self, Verb};
use super::detach_volume::DetachVolume;
use super::{
    Asked, HostSays, LOOK_AGAIN, VOLUMES, Work, begin, host_says, place, publish, volumes,
};
use crate::model::server::{NoPlace, Server};
use crate::model::volume::Volume;
use crate::{Compute, store};

/// A host that does not answer is waited for that long.
const DEADLINE_SECS: i64 = 300;

pub(crate) struct AttachVolume;

/// Why it does not begin.
#[derive(Debug)]
pub(crate) enum NotBegun {
    /// Something else is under way.
    Enqueue(EnqueueError),
    /// The server has no place for it.
    Place(NoPlace),
}

impl From<EnqueueError> for NotBegun {
    fn from(why: EnqueueError) -> Self {
        Self::Enqueue(why)
    }
}

impl From<nephos_db::Error> for NotBegun {
    fn from(why: nephos_db::Error) -> Self {
        Self::Enqueue(EnqueueError::Db(why))
    }
}

/// Wants a volume in a server; gives it with its place there.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    volume: Volume,
) -> Result<Volume, NotBegun> {
    let work = Work {
        kind: AttachVolume::KIND,
        server: &server.id,
        action: "attach_volume",
        args: json!({"place": volume.id}),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(volume);
    };
    let placed = fresh.place(volume).map_err(NotBegun::Place)?;
    volumes::changed(&mut fresh, asked.now);
    store::servers::update(tx, &fresh).await?;
    Ok(placed)
}

/// The volume that an operation is about.
pub(super) fn which<'a>(op: &Operation, server: &'a Server) -> Option<&'a Volume> {
    let place = op.args.get("place").and_then(Value::as_str);
    server
        .volumes
        .iter()
        .find(|volume| Some(volume.id.as_str()) == place)
}

impl Reconcile<Compute> for AttachVolume {
    const KIND: &'static str = "server.attach_volume";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        let Some(host) = &server.host else {
            return Ok(Next::Fail(Failure::new(
                "The server is on no host. Delete it and make it anew.",
            )));
        };
        if let Some(next) = volumes::ensure(cx, &server).await? {
            return Ok(next);
        }
        let told = feed::published(cx.db(), place(host, &server.id)).await?;
        if told != Some(server.generation) {
            let mut tx = cx.write("tell_host").await?;
            let Some(fresh) = store::servers::lock(&mut tx, &server.id).await? else {
                return Ok(Next::Done);
            };
            publish(&mut tx, cx.now(), &fresh).await?;
            tx.commit().await?;
            crash_point!("attach_volume.told_host");
            return Ok(Next::Again);
        }
        match host_says(cx, &server).await? {
            HostSays::Working => Ok(Next::After(LOOK_AGAIN)),
            HostSays::Failed(why) => Ok(Next::Fail(Failure::new(why))),
            HostSays::Settled(_) => finish(cx, op, &server).await,
        }
    }

    /// The server goes on without it. A host that may have it already is asked to let go first.
    async fn failed(
        &self,
        cx: &OpCx<Compute>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = op.resource_id.as_str().into();
        let Some(mut server) = store::servers::lock(tx, &id).await? else {
            return Ok(());
        };
        history(cx, op, &server, Some(&failure.message), tx).await?;
        let Some(volume) = which(op, &server).cloned() else {
            return Ok(());
        };
        if volume.connection.is_some() {
            for one in &mut server.volumes {
                one.leaving |= one.id == volume.id;
            }
        } else {
            server.volumes.retain(|one| one.id != volume.id);
            attachment::request(tx, cx.now(), op, (&server, &volume, Verb::Remove)).await?;
        }
        volumes::changed(&mut server, cx.now());
        store::servers::update(tx, &server).await?;
        if let Some(host) = &server.host {
            let place = place(host, &server.id);
            feed::publish(tx, cx.now(), place, server.generation, &server.spec()).await?;
        }
        if volume.connection.is_some() {
            DetachVolume::clean_up(cx, op, tx).await?;
        }
        tx.wake(Wake::new(VOLUMES, server.id.as_str()));
        Ok(())
    }
}

async fn finish(cx: &OpCx<Compute>, op: &Operation, server: &Server) -> Result<Next, StepError> {
    crash_point!("attach_volume.before_finish");
    let mut tx = cx.finish("finish").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    if let Some(volume) = which(op, &fresh).cloned() {
        let told = (&fresh, &volume, Verb::Complete);
        attachment::request(&mut tx, cx.now(), op, told).await?;
    }
    for volume in fresh.volumes.iter_mut().filter(|one| !one.leaving) {
        volume.complete = true;
    }
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    history(cx, op, &fresh, None, &mut tx).await?;
    tx.commit().await?;
    crash_point!("attach_volume.finished");
    Ok(Next::Done)
}

async fn history(
    cx: &OpCx<Compute>,
    op: &Operation,
    server: &Server,
    failure: Option<&str>,
    tx: &mut Tx,
) -> Result<(), nephos_db::Error> {
    let outcome = store::actions::Outcome {
        server: &server.id,
        request_id: &op.request_id,
        event: "compute_attach_volume",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
