//! A server that was to go to another host while it ran, and did not get there or is not to any more.
//!
//! Both hosts are told to give up, and once both have, what they see of the guest is the truth and stays so: where it has
//! come it stays, and the move ends there; else it goes on where it was, and nothing of it is left on the other host. A
//! host that is silent is waited for, because it may have the guest.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use serde_json::json;

use super::live_migrate::{arriving, forward, go_back, has_it, history, turn};
use super::moving::{both, end, has_left, lock_both};
use super::ports::{self, Spot};
use super::{
    Asked, LOOK_AGAIN, Work, give_up, observe, place, publish, release, seen_by, step_error,
    supersede,
};
use crate::model::live::LiveWish;
use crate::model::migration::{Migration, Phase, Status};
use crate::model::server::{Server, ServerFault, VmState};
use crate::model::spec::{ObservedServer, ServerSpec, Want};
use crate::{Compute, store};

/// After this long people are told that a host is still waited for.
pub(super) const DEADLINE_SECS: i64 = 24 * 3600;

pub(crate) struct LiveBack;

/// Asks for it, in place of the move. False, and nothing is to be stored: the move has ended since, or the server is
/// being deleted.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
) -> Result<bool, EnqueueError> {
    let work = Work {
        kind: LiveBack::KIND,
        server: &server.id,
        action: "live_migration_cancel",
        args: json!({}),
        deadline_secs: DEADLINE_SECS,
    };
    supersede(tx, asked, work).await?;
    let Some((mut fresh, mut migration)) = lock_both(tx, server).await? else {
        return Ok(false);
    };
    let early = matches!(migration.status, Status::Preparing | Status::Running);
    if !early || fresh.task_state.as_deref() != Some("migrating") {
        return Ok(false);
    }
    migration.turn_to(Status::Reverting);
    fresh.updated_at = asked.now;
    store::migrations::update(tx, asked.now, &migration).await?;
    store::servers::update(tx, &fresh).await?;
    Ok(true)
}

impl Reconcile<Compute> for LiveBack {
    const KIND: &'static str = "server.live_back";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some((server, migration)) = both(cx, op).await? else {
            return Ok(Next::Done);
        };
        if migration.status != Status::Reverting {
            return forward(cx, op, &server, &migration).await;
        }
        match (migration.phase, migration.dest_host.as_deref()) {
            (Phase::Begun, None) => tell_to_go_on(cx, &server).await,
            (Phase::Begun, Some(dest)) => tell_to_give_up(cx, &server, dest).await,
            (Phase::Told, Some(dest)) => decide(cx, &server, &migration, dest).await,
            (Phase::Told | Phase::Decided, None) => tell_to_go_on(cx, &server).await,
            (Phase::Decided, Some(dest)) => {
                if !has_left(cx, dest, &server, migration.source_generation).await? {
                    return Ok(Next::After(LOOK_AGAIN));
                }
                tell_to_go_on(cx, &server).await
            }
            (Phase::Left, _) => give_back(cx, &server, &migration).await,
            (Phase::Reclaimed, _) => finish(cx, op, &server, &migration).await,
        }
    }

    /// A silent host is waited for without an end: as long as nobody knows where the guest is, nothing else may become of
    /// the server. After any other failure an admin may reset its state, and delete it.
    async fn failed(
        &self,
        cx: &OpCx<Compute>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        if cx.now() >= op.deadline {
            tracing::warn!(
                server = op.resource_id,
                "nobody has said for a day where the guest of this server is, which was on its way from one host to another; \
                 it is waited for. Bring both hosts back, or declare the one that is off to be off"
            );
            return go_back(tx, cx.now(), op).await;
        }
        let Some(server) = give_up(cx, op, failure, tx).await? else {
            return Ok(());
        };
        history(cx, op, &server, Some(&failure.message), tx).await
    }
}

/// What the host that has the guest is told, when it is not to go from there.
fn staying(server: &Server, migration: &Migration, dest: &str) -> ServerSpec {
    let mut spec = server.spec();
    spec.live = Some(LiveWish::Depart {
        session: migration.session.clone(),
        to: dest.to_owned(),
        address: String::new(),
        key: String::new(),
        force: false,
        give_up: true,
    });
    spec
}

async fn tell_to_give_up(
    cx: &OpCx<Compute>,
    server: &Server,
    dest: &str,
) -> Result<Next, StepError> {
    let mut tx = cx.write("rollback").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    fresh.generation += 1;
    let generation = fresh.generation;
    migration.source_generation = generation;
    migration.phase = Phase::Told;
    let (here, there) = (
        staying(&fresh, &migration, dest),
        arriving(&fresh, &migration, true),
    );
    let source = place(&migration.source_host, &fresh.id);
    feed::publish(&mut tx, cx.now(), source, generation, &here).await?;
    feed::publish(
        &mut tx,
        cx.now(),
        place(dest, &fresh.id),
        generation,
        &there,
    )
    .await?;
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("live_back.told_both");
    Ok(Next::After(LOOK_AGAIN))
}

/// What a host sees once it has given up; of one that is off, nothing.
async fn at_rest(
    cx: &OpCx<Compute>,
    host: &str,
    server: &Server,
    generation: i64,
) -> Result<Option<Option<ObservedServer>>, StepError> {
    let seen = seen_by(cx, host, &server.id, generation).await?;
    let seen = seen.filter(|seen| !seen.progress.is_under_way());
    if seen.is_none() && !store::hosts::is_fenced(cx.db(), host).await? {
        return Ok(None);
    }
    Ok(Some(seen))
}

/// Both have given up: the guest is where it is.
async fn decide(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
    dest: &str,
) -> Result<Next, StepError> {
    let told = migration.source_generation;
    let here = at_rest(cx, &migration.source_host, server, told).await?;
    let there = at_rest(cx, dest, server, told).await?;
    let (Some(_), Some(there)) = (here, there) else {
        return Ok(Next::After(LOOK_AGAIN));
    };
    if has_it(there.as_ref()) {
        return turn(cx, server, dest).await;
    }
    let mut tx = cx.write("rollback_destination").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    fresh.generation += 1;
    migration.source_generation = fresh.generation;
    migration.phase = Phase::Decided;
    let gone = ServerSpec {
        want: Want::Absent,
        live: None,
        ..arriving(&fresh, &migration, true)
    };
    feed::publish(
        &mut tx,
        cx.now(),
        place(dest, &fresh.id),
        fresh.generation,
        &gone,
    )
    .await?;
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("live_back.told_dest");
    Ok(Next::After(LOOK_AGAIN))
}

/// Nothing of it is elsewhere: it goes on where it was, if it was frozen there.
async fn tell_to_go_on(cx: &OpCx<Compute>, server: &Server) -> Result<Next, StepError> {
    let mut tx = cx.write("go_on").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    if let Some(dest) = migration.dest_host.clone() {
        let gone = (&fresh.id, migration.source_generation + 1);
        release::forget_on_host(&mut tx, cx.now(), &dest, gone).await?;
    }
    fresh.generation += 1;
    migration.phase = Phase::Left;
    publish(&mut tx, cx.now(), &fresh).await?;
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("live_back.went_on");
    Ok(Next::Again)
}

/// Ports and room are as they were.
async fn give_back(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
) -> Result<Next, StepError> {
    for nic in server.nics.iter().filter(|nic| nic.bound.is_some()) {
        ports::turn(cx, server, &nic.port_id, Spot::On(&migration.source_host)).await?;
    }
    crash_point!("live_back.before_room");
    let back = cx.siblings.rejoin_claim(server, &migration.uuid).await;
    back.map_err(step_error)?;
    crash_point!("live_back.room");
    let mut tx = cx.write("gave_back").await?;
    let Some((_, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    migration.phase = Phase::Reclaimed;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("live_back.gave_back");
    Ok(Next::Again)
}

/// The server is what it was; on a host that is off, it is in ERROR until somebody evacuates it.
async fn finish(
    cx: &OpCx<Compute>,
    op: &Operation,
    server: &Server,
    migration: &Migration,
) -> Result<Next, StepError> {
    let host = &migration.source_host;
    let fenced = store::hosts::is_fenced(cx.db(), host).await?;
    let seen = seen_by(cx, host, &server.id, server.generation).await?;
    let seen = seen.filter(|seen| !seen.progress.is_under_way());
    if seen.is_none() && !fenced {
        return Ok(Next::After(LOOK_AGAIN));
    }
    crash_point!("live_back.before_finish");
    let mut tx = cx.finish("finish").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    let message = migration.message.clone();
    migration.turn_to(match &message {
        Some(_) => Status::Error,
        None => Status::Cancelled,
    });
    end(&mut migration, cx.now());
    fresh.task_state = None;
    fresh.updated_at = cx.now();
    match seen.filter(|_| !fenced) {
        Some(seen) => observe::take_state(&mut fresh, seen.state, cx.now()),
        None => {
            fresh.vm_state = VmState::Error;
            fresh.fault = Some(ServerFault {
                code: 500,
                message: "The server's host is off. It can be evacuated to another one.".to_owned(),
                details: String::new(),
                created: cx.now(),
            });
        }
    }
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    history(cx, op, &fresh, message.as_deref(), &mut tx).await?;
    tx.commit().await?;
    crash_point!("live_back.finished");
    Ok(Next::Done)
}
