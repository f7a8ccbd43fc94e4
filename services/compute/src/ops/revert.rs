//! A resized server becomes again what it was: what was made for it goes, its former disk and room are its own again.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use serde_json::json;

use super::moving::{at_rest, both, end, former, has_left, lock_both};
use super::{
    Asked, HostSays, LOOK_AGAIN, Work, begin, give_up, host_says, observe, place, ports, publish,
    release, step_error, volumes,
};
use crate::model::migration::{Migration, Phase, Status};
use crate::model::server::{Server, ServerFault, VmState};
use crate::model::spec::{GuestState, ServerSpec, Want};
use crate::{Compute, store};

/// A silent host is waited for: it may still run the guest.
const DEADLINE_SECS: i64 = 24 * 3600;

pub(crate) struct Revert;

/// Asks for it; the caller has checked the state and the lock.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
) -> Result<(), EnqueueError> {
    let work = Work {
        kind: Revert::KIND,
        server: &server.id,
        action: "revertResize",
        args: json!({}),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
    let Some((mut fresh, mut migration)) = lock_both(tx, server).await? else {
        return Ok(());
    };
    // One that was cut off goes on where it was.
    if migration.status != Status::Reverting {
        migration.turn_to(Status::Reverting);
    }
    fresh.task_state = Some("resize_reverting".to_owned());
    fresh.updated_at = asked.now;
    store::migrations::update(tx, asked.now, &migration).await?;
    store::servers::update(tx, &fresh).await?;
    Ok(())
}

impl Reconcile<Compute> for Revert {
    const KIND: &'static str = "server.revert";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some((server, migration)) = both(cx, op).await? else {
            return Ok(Next::Done);
        };
        let was_handed_over = server.disk_epoch != migration.old_epoch;
        match migration.phase {
            Phase::Begun if was_handed_over => undo(cx, &server).await,
            Phase::Told if was_handed_over => wait_for_end(cx, &server, &migration).await,
            Phase::Begun | Phase::Told | Phase::Decided => become_former(cx, &server).await,
            Phase::Left => reclaim(cx, &server, &migration).await,
            Phase::Reclaimed => come_back(cx, op, &server).await,
        }
    }

    /// Asked for again once the state is reset, it goes on where it was.
    async fn failed(
        &self,
        cx: &OpCx<Compute>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let Some(server) = give_up(cx, op, failure, tx).await? else {
            return Ok(());
        };
        history(cx, op, &server, Some(&failure.message), tx).await
    }
}

/// Tells the host to end what was made: all of it, or the guest alone where the former disk is too.
async fn undo(cx: &OpCx<Compute>, server: &Server) -> Result<Next, StepError> {
    let mut tx = cx.write("undo").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    fresh.generation += 1;
    let mut spec = if migration.stays() {
        former(&fresh, &migration).spec()
    } else {
        ServerSpec {
            want: Want::Absent,
            ..fresh.spec()
        }
    };
    // What it wrote since then is given up anyway.
    spec.stop_timeout_secs = 0;
    if let Some(host) = &fresh.host {
        let place = place(host, &fresh.id);
        feed::publish(&mut tx, cx.now(), place, fresh.generation, &spec).await?;
    }
    migration.phase = Phase::Told;
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("revert.told_host");
    Ok(Next::Again)
}

async fn wait_for_end(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
) -> Result<Next, StepError> {
    let host = server.host.as_deref().unwrap_or_default();
    let ended = if migration.stays() {
        let seen = at_rest(cx, host, server, server.generation).await?;
        match seen {
            Ok(seen) => seen.is_some(),
            Err(why) => return Ok(Next::Fail(Failure::new(why))),
        }
    } else {
        has_left(cx, host, server, server.generation).await?
    };
    if ended {
        return become_former(cx, server).await;
    }
    Ok(Next::After(LOOK_AGAIN))
}

/// The server is in the books again what it was.
async fn become_former(cx: &OpCx<Compute>, server: &Server) -> Result<Next, StepError> {
    let mut tx = cx.write("become_former").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    let source = store::hosts::zone_of(&mut tx, &migration.source_host).await?;
    if let Some(left) = fresh
        .host
        .clone()
        .filter(|host| *host != migration.source_host)
    {
        let gone = (&fresh.id, fresh.generation + 1);
        release::forget_on_host(&mut tx, cx.now(), &left, gone).await?;
        for nic in &mut fresh.nics {
            nic.bound = None;
        }
    }
    fresh.host = Some(migration.source_host.clone());
    fresh.zone = source.or(fresh.zone);
    fresh.flavor = migration.old_flavor.clone();
    fresh.disk_epoch = migration.old_epoch;
    fresh.image.disk_from = None;
    fresh.want.clone_from(&migration.old_want);
    fresh.generation = fresh.generation.max(migration.source_generation) + 1;
    fresh.updated_at = cx.now();
    migration.phase = Phase::Left;
    migration.hold_beside(&fresh.flavor);
    store::servers::update(&mut tx, &fresh).await?;
    store::servers::update_content(&mut tx, &fresh).await?;
    store::servers::update_size(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("revert.former");
    Ok(Next::Again)
}

/// Its former room is its own again, and what was claimed for the other size is given back.
async fn reclaim(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
) -> Result<Next, StepError> {
    crash_point!("revert.before_room");
    cx.siblings
        .rejoin_claim(server, &migration.uuid)
        .await
        .map_err(step_error)?;
    crash_point!("revert.room");
    let mut tx = cx.write("reclaimed").await?;
    let Some((_, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    migration.phase = Phase::Reclaimed;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("revert.reclaimed");
    Ok(Next::Again)
}

/// Plugs the ports in where they were, and waits for the guest.
async fn come_back(cx: &OpCx<Compute>, op: &Operation, server: &Server) -> Result<Next, StepError> {
    let host = server.host.as_deref().unwrap_or_default();
    // A host that is off is not waited for: what it had can be evacuated from there.
    if store::hosts::is_fenced(cx.db(), host).await? {
        return finish(cx, op, server, None).await;
    }
    if let Some(next) = volumes::ensure(cx, server).await? {
        return Ok(next);
    }
    let plugged = ports::ensure(cx, server).await?.unwrap_or_default();
    let told = feed::published(cx.db(), place(host, &server.id)).await?;
    if !plugged.is_empty() || told != Some(server.generation) {
        let mut tx = cx.write("tell_host").await?;
        let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
            return Ok(Next::Done);
        };
        ports::note(&mut tx, &mut fresh, plugged);
        store::servers::update(&mut tx, &fresh).await?;
        publish(&mut tx, cx.now(), &fresh).await?;
        tx.commit().await?;
        crash_point!("revert.told_source");
        return Ok(Next::After(LOOK_AGAIN));
    }
    match host_says(cx, server).await? {
        HostSays::Working => Ok(Next::After(LOOK_AGAIN)),
        HostSays::Failed(why) => Ok(Next::Fail(Failure::new(why))),
        HostSays::Settled(state) => {
            if let Some(next) = volumes::complete(cx, server).await? {
                return Ok(next);
            }
            finish(cx, op, server, Some(state)).await
        }
    }
}

/// The move is over; without a host, the server is in ERROR until somebody evacuates it.
async fn finish(
    cx: &OpCx<Compute>,
    op: &Operation,
    server: &Server,
    state: Option<GuestState>,
) -> Result<Next, StepError> {
    crash_point!("revert.before_finish");
    let mut tx = cx.finish("finish").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    store::quota::give_back(&mut tx, fresh.project_id.as_str(), migration.extra()).await?;
    let by_itself = migration.message.is_some();
    migration.turn_to(if by_itself {
        Status::Error
    } else {
        Status::Reverted
    });
    end(&mut migration, cx.now());
    fresh.fault = None;
    match state {
        Some(state) => observe::take_state(&mut fresh, state, cx.now()),
        None => {
            fresh.vm_state = VmState::Error;
            fresh.updated_at = cx.now();
            fresh.fault = Some(ServerFault {
                code: 500,
                message: "The server's host is off. It can be evacuated to another one.".to_owned(),
                details: String::new(),
                created: cx.now(),
            });
        }
    }
    fresh.task_state = None;
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    history(cx, op, &fresh, None, &mut tx).await?;
    tx.commit().await?;
    crash_point!("revert.finished");
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
        event: "compute_revert_resize",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
