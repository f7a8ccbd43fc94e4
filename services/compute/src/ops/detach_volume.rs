//! Taking a volume out of a server. A guest that runs must let go of it, and has its time for that: one that does not
//! keeps the volume.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use serde_json::json;

use super::attach_volume::which;
use super::attachment::{self, Verb};
use super::{
    Asked, HostSays, LOOK_AGAIN, OPS, Work, begin, host_says, place, publish, step_error, volumes,
};
use crate::model::server::Server;
use crate::model::volume::Volume;
use crate::{Compute, store};

/// Nova asks a guest eight times and waits 20 s for each answer.
const PATIENCE_SECS: i64 = 160;
/// The block service may be away before the guest is asked.
const DEADLINE_SECS: i64 = 600;

/// A host that went away while it was to open a volume is waited for that long.
const CLEAN_UP_SECS: i64 = 24 * 3600;

pub(crate) struct DetachVolume;

/// Wants a volume out of a server.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    volume: &Volume,
) -> Result<(), EnqueueError> {
    let work = Work {
        kind: DetachVolume::KIND,
        server: &server.id,
        action: "detach_volume",
        args: json!({"place": volume.id}),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(());
    };
    for one in &mut fresh.volumes {
        one.leaving |= one.id == volume.id;
    }
    volumes::changed(&mut fresh, asked.now);
    store::servers::update(tx, &fresh).await?;
    Ok(())
}

impl DetachVolume {
    /// After an attachment that failed half-way: the same work, for the same operation's volume.
    pub(super) async fn clean_up(
        cx: &OpCx<Compute>,
        op: &Operation,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let new = New {
            topic: OPS,
            kind: Self::KIND,
            resource_id: &op.resource_id,
            args: op.args.clone(),
            caller: &op.caller,
            request_id: &op.request_id,
            deadline_secs: CLEAN_UP_SECS,
        };
        match nephos_ops::enqueue(tx, cx.now(), new).await {
            Err(EnqueueError::Db(why)) => Err(why),
            // Busy: whatever it is, it has the server now.
            _begun_or_busy => Ok(()),
        }
    }
}

impl Reconcile<Compute> for DetachVolume {
    const KIND: &'static str = "server.detach_volume";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        let Some(volume) = which(op, &server) else {
            return finish(cx, op, &server).await;
        };
        // On no host, there is nobody who would have to let go.
        let Some(host) = &server.host else {
            return finish(cx, op, &server).await;
        };
        let told = feed::published(cx.db(), place(host, &server.id)).await?;
        if told != Some(server.generation) {
            return tell_host(cx, &server, volume).await;
        }
        match host_says(cx, &server).await? {
            HostSays::Working if cx.now() < op.created_at.plus_secs(PATIENCE_SECS) => {
                Ok(Next::After(LOOK_AGAIN))
            }
            // Whether the guest has what could not be attached, only its host can say.
            HostSays::Working if !volume.complete && !is_up(cx, host).await? => {
                Ok(Next::After(LOOK_AGAIN))
            }
            HostSays::Working => Ok(Next::Fail(Failure::new(format!(
                "Device detach failed for {}: the guest has not released it within {PATIENCE_SECS} seconds. The volume \
                 stays attached. A guest that is still booting cannot release it, nor can one without ACPI hotplug: try \
                 again later, or stop the server first.",
                volume.device
            )))),
            HostSays::Failed(why) => Ok(Next::Fail(Failure::new(why))),
            HostSays::Settled(_) => finish(cx, op, &server).await,
        }
    }

    /// The volume stays where it is, and everybody is told so.
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
        if let Some(volume) = which(op, &server).cloned() {
            let verb = match volume.complete {
                true => Verb::Keep,
                // The guest has it after all.
                false => Verb::Complete,
            };
            attachment::request(tx, cx.now(), op, (&server, &volume, verb)).await?;
            for one in server.volumes.iter_mut().filter(|one| one.id == volume.id) {
                one.leaving = false;
                one.complete = true;
            }
        }
        volumes::changed(&mut server, cx.now());
        store::servers::update(tx, &server).await?;
        if let Some(host) = &server.host {
            let place = place(host, &server.id);
            feed::publish(tx, cx.now(), place, server.generation, &server.spec()).await?;
        }
        history(cx, op, &server, Some(&failure.message), tx).await
    }
}

async fn is_up(cx: &OpCx<Compute>, host: &str) -> Result<bool, StepError> {
    let row = store::hosts::get(cx.db(), host).await?;
    Ok(row.is_some_and(|row| row.is_up(cx.now(), cx.config.host_down_after_secs)))
}

/// First the block service shows that the volume is leaving, then the host is told.
async fn tell_host(
    cx: &OpCx<Compute>,
    server: &Server,
    volume: &Volume,
) -> Result<Next, StepError> {
    let project = server.project_id.as_str();
    let shown = cx.siblings.volume(project, &volume.volume_id).await;
    let in_use = match shown {
        Ok(shown) => shown.status == "in-use",
        Err(why) if why.is_not_found() => false,
        Err(why) => return Err(step_error(why)),
    };
    if in_use {
        crash_point!("detach_volume.before_shown");
        let said = cx
            .siblings
            .show_detaching(project, &volume.volume_id, true)
            .await;
        said.map_err(step_error)?;
        crash_point!("detach_volume.shown");
    }
    let mut tx = cx.write("tell_host").await?;
    let Some(fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    publish(&mut tx, cx.now(), &fresh).await?;
    tx.commit().await?;
    crash_point!("detach_volume.told_host");
    Ok(Next::Again)
}

async fn finish(cx: &OpCx<Compute>, op: &Operation, server: &Server) -> Result<Next, StepError> {
    crash_point!("detach_volume.before_finish");
    let mut tx = cx.finish("finish").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    if let Some(volume) = which(op, &fresh).cloned() {
        let told = (&fresh, &volume, Verb::Remove);
        attachment::request(&mut tx, cx.now(), op, told).await?;
        fresh.volumes.retain(|one| one.id != volume.id);
    }
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    history(cx, op, &fresh, None, &mut tx).await?;
    tx.commit().await?;
    crash_point!("detach_volume.finished");
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
        event: "compute_detach_volume",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
