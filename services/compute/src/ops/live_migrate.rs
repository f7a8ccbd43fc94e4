//! A server goes to another host while it runs.
//!
//! Room is claimed there and the ports are made ready; the host that it goes to listens, and the one that it leaves is told
//! where. Then the two see to it that the guest is on exactly one of them, and what they see decides: once it runs there
//! it belongs there, and the host that it left keeps nothing. What goes wrong before is taken back by `live_back.rs`.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use serde_json::json;

use super::live_back::LiveBack;
use super::moving::{both, end, leave_source, lock_both};
use super::ports::{self, Spot};
use super::resize::claim;
use super::{Asked, LOOK_AGAIN, OPS, Work, begin, observe, place, publish, seen_by, step_error};
use crate::model::live::LiveWish;
use crate::model::migration::{Migration, Phase, Status};
use crate::model::schedule::fits_alive;
use crate::model::server::{Server, VmState};
use crate::model::spec::{GuestState, ObservedServer, Progress, ServerSpec};
use crate::{Compute, store};

/// A large disk, and a guest that writes a lot, take their time from host to host.
const DEADLINE_SECS: i64 = 12 * 3600;

pub(crate) struct LiveMigrate;

/// Asks for it; the caller has checked state, lock and hosts. False, and nothing is to be stored: the server is not any
/// more what was checked.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    migration: &Migration,
) -> Result<bool, EnqueueError> {
    let work = Work {
        kind: LiveMigrate::KIND,
        server: &server.id,
        action: "live-migration",
        args: json!({}),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(false);
    };
    let is_there = fresh.host.as_deref() == Some(migration.source_host.as_str());
    let is_on = matches!(fresh.vm_state, VmState::Active | VmState::Paused);
    if !is_there || !is_on || !fresh.volumes.is_empty() {
        return Ok(false);
    }
    fresh.task_state = Some("migrating".to_owned());
    fresh.updated_at = asked.now;
    store::migrations::insert(tx, migration).await?;
    store::servers::update(tx, &fresh).await?;
    Ok(true)
}

/// Has the guest frozen, so that it gets there; the caller has checked that it is on its way.
pub(crate) async fn request_force<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
) -> Result<(), nephos_db::Error> {
    let Some((mut fresh, migration)) = lock_both(tx, server).await? else {
        return Ok(());
    };
    // It got there since, or is to stay.
    if migration.status != Status::Running {
        return Ok(());
    }
    let source = place(&migration.source_host, &fresh.id);
    let told: Option<ServerSpec> = feed::spec_in(tx, source).await?;
    let Some(mut told) = told else {
        return Ok(());
    };
    if let Some(LiveWish::Depart { force, .. }) = &mut told.live {
        *force = true;
        fresh.generation += 1;
        told.generation = fresh.generation;
        feed::publish(tx, asked.now, source, told.generation, &told).await?;
        store::servers::update(tx, &fresh).await?;
    }
    Ok(())
}

/// Hosts that a guest of this one cannot run on.
pub(super) async fn unfit(cx: &OpCx<Compute>, source: &str) -> Result<Vec<String>, StepError> {
    let Some(from) = store::hosts::get(cx.db(), source).await? else {
        return Ok(Vec::new());
    };
    let all = store::hosts::list(cx.db()).await?;
    let unfit = all
        .into_iter()
        .filter(|row| fits_alive(&from.inventory, &row.inventory).is_err());
    Ok(unfit.map(|row| row.host).collect())
}

impl Reconcile<Compute> for LiveMigrate {
    const KIND: &'static str = "server.live_migrate";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some((server, migration)) = both(cx, op).await? else {
            return Ok(Next::Done);
        };
        forward(cx, op, &server, &migration).await
    }

    async fn failed(
        &self,
        cx: &OpCx<Compute>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = op.resource_id.as_str().into();
        let Some(mut migration) = store::migrations::lock(tx, &id).await? else {
            return Ok(());
        };
        // Where it has gone already it stays, however long the host that it left is silent.
        if migration.status != Status::PostMigrating {
            migration.turn_to(Status::Reverting);
            migration.message = Some(failure.message.clone());
            store::migrations::update(tx, cx.now(), &migration).await?;
        }
        go_back(tx, cx.now(), op).await
    }
}

/// Begins the work that finds out where the guest is, and ends the move there.
pub(super) async fn go_back(
    tx: &mut Tx,
    now: Timestamp,
    op: &Operation,
) -> Result<(), nephos_db::Error> {
    let back = New {
        topic: OPS,
        kind: LiveBack::KIND,
        resource_id: &op.resource_id,
        args: json!({}),
        caller: &op.caller,
        request_id: &op.request_id,
        deadline_secs: super::live_back::DEADLINE_SECS,
    };
    match nephos_ops::enqueue(tx, now, back).await {
        Err(EnqueueError::Db(why)) => Err(why),
        // Busy: whatever it is, it has the server now.
        _begun_or_busy => Ok(()),
    }
}

/// The next thing towards the server being there.
pub(super) async fn forward(
    cx: &OpCx<Compute>,
    op: &Operation,
    server: &Server,
    migration: &Migration,
) -> Result<Next, StepError> {
    match (migration.status, &migration.dest_host) {
        (Status::Preparing, None) => claim(cx, server, migration).await,
        (Status::Preparing, Some(dest)) if migration.phase == Phase::Begun => {
            prepare(cx, server, dest).await
        }
        (Status::Preparing, Some(dest)) => send(cx, server, migration, dest).await,
        (Status::Running, Some(dest)) => watch(cx, server, migration, dest).await,
        (Status::PostMigrating, Some(_)) => tidy(cx, op, server, migration).await,
        _ended_or_going_back => Ok(Next::Done),
    }
}

/// What the host that the guest goes to is told.
pub(super) fn arriving(server: &Server, migration: &Migration, give_up: bool) -> ServerSpec {
    let mut spec = server.spec();
    // Another disk than the one that it has now, should this host ever have had that.
    spec.disk_epoch += 1;
    spec.live = Some(LiveWish::Arrive {
        session: migration.session.clone(),
        from: migration.source_host.clone(),
        give_up,
    });
    spec
}

/// Makes the ports ready there, and has the host listen.
async fn prepare(cx: &OpCx<Compute>, server: &Server, dest: &str) -> Result<Next, StepError> {
    for nic in server.nics.iter().filter(|nic| nic.bound.is_some()) {
        ports::turn(cx, server, &nic.port_id, Spot::Next(dest)).await?;
    }
    let mut tx = cx.write("pre_live_migration").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    fresh.generation += 1;
    migration.source_generation = fresh.generation;
    migration.phase = Phase::Told;
    let spec = arriving(&fresh, &migration, false);
    feed::publish(
        &mut tx,
        cx.now(),
        place(dest, &fresh.id),
        fresh.generation,
        &spec,
    )
    .await?;
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("live.told_dest");
    Ok(Next::After(LOOK_AGAIN))
}

/// Why a host will never do what it was told, if it will not.
async fn hopeless(
    cx: &OpCx<Compute>,
    host: &str,
    seen: Option<&ObservedServer>,
) -> Result<Option<Failure>, StepError> {
    if store::hosts::is_fenced(cx.db(), host).await? {
        let why =
            format!("Host {host} was declared to be off before the server had come from or to it.");
        return Ok(Some(Failure::new(why)));
    }
    Ok(match seen.map(|seen| &seen.progress) {
        Some(Progress::Failed { reason }) => Some(Failure::new(reason.clone())),
        _under_way => None,
    })
}

/// Once it listens there, tells the host that the guest leaves where.
async fn send(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
    dest: &str,
) -> Result<Next, StepError> {
    let seen = seen_by(cx, dest, &server.id, migration.source_generation).await?;
    if let Some(why) = hopeless(cx, dest, seen.as_ref()).await? {
        return Ok(Next::Fail(why));
    }
    let live = seen.and_then(|seen| seen.live);
    let Some((address, key)) = live.and_then(|live| Some((live.address?, live.key?))) else {
        return Ok(Next::After(LOOK_AGAIN));
    };
    let mut tx = cx.write("live_migration").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    fresh.generation += 1;
    let mut spec = fresh.spec();
    spec.live = Some(LiveWish::Depart {
        session: migration.session.clone(),
        to: dest.to_owned(),
        address,
        key,
        force: false,
        give_up: false,
    });
    migration.turn_to(Status::Running);
    let source = place(&migration.source_host, &fresh.id);
    feed::publish(&mut tx, cx.now(), source, fresh.generation, &spec).await?;
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("live.told_source");
    Ok(Next::After(LOOK_AGAIN))
}

/// Whether a host has the guest.
pub(super) fn has_it(seen: Option<&ObservedServer>) -> bool {
    seen.is_some_and(|seen| matches!(seen.state, GuestState::Running | GuestState::Paused))
}

/// Waits until one of the two hosts says what came of it.
async fn watch(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
    dest: &str,
) -> Result<Next, StepError> {
    let there = seen_by(cx, dest, &server.id, migration.source_generation).await?;
    if has_it(there.as_ref()) {
        return turn(cx, server, dest).await;
    }
    let source = &migration.source_host;
    let here = seen_by(cx, source, &server.id, server.generation).await?;
    for (host, seen) in [(source.as_str(), here.as_ref()), (dest, there.as_ref())] {
        if let Some(why) = hopeless(cx, host, seen).await? {
            return Ok(Next::Fail(why));
        }
    }
    // It has left, and soon is there; or it was switched off on its way, or is gone with its host's guests.
    let off = here.is_some_and(|seen| {
        let states = [GuestState::Stopped, GuestState::Crashed, GuestState::Absent];
        seen.progress == Progress::Settled && states.contains(&seen.state) && seen.live.is_none()
    });
    if off {
        let why = "The guest went off before it was there.";
        return Ok(Next::Fail(Failure::new(why)));
    }
    Ok(Next::After(LOOK_AGAIN))
}

/// The guest runs there: first its traffic follows it, then the books.
pub(super) async fn turn(
    cx: &OpCx<Compute>,
    server: &Server,
    dest: &str,
) -> Result<Next, StepError> {
    for nic in server.nics.iter().filter(|nic| nic.bound.is_some()) {
        ports::turn(cx, server, &nic.port_id, Spot::On(dest)).await?;
    }
    let zone = store::hosts::get(cx.db(), dest).await?.map(|row| row.zone);
    let mut tx = cx.write("post_live_migration").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    // What the host that it left was told last, and with what number it is told more.
    migration.source_generation = fresh.generation;
    migration.turn_to(Status::PostMigrating);
    migration.message = None;
    fresh.host = Some(dest.to_owned());
    fresh.zone = zone.or(fresh.zone);
    fresh.disk_epoch += 1;
    fresh.generation += 1;
    fresh.image.disk_from = None;
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    store::servers::update_content(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    publish(&mut tx, cx.now(), &fresh).await?;
    tx.commit().await?;
    crash_point!("live.arrived");
    Ok(Next::Again)
}

/// The host that it left keeps nothing, and its room is given back.
async fn tidy(
    cx: &OpCx<Compute>,
    op: &Operation,
    server: &Server,
    migration: &Migration,
) -> Result<Next, StepError> {
    if let Some(next) = leave_source(cx, server, migration).await? {
        return Ok(next);
    }
    let host = server.host.as_deref().unwrap_or_default();
    let seen = seen_by(cx, host, &server.id, server.generation).await?;
    let fenced = store::hosts::is_fenced(cx.db(), host).await?;
    let settled = seen
        .as_ref()
        .is_some_and(|seen| !seen.progress.is_under_way());
    if !settled && !fenced {
        return Ok(Next::After(LOOK_AGAIN));
    }
    crash_point!("live.before_room");
    let released = cx.siblings.release_holder(&migration.uuid).await;
    released.map_err(step_error)?;
    crash_point!("live.room");
    let mut tx = cx.finish("finish").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    if let Some(seen) = seen {
        observe::take_state(&mut fresh, seen.state, cx.now());
    }
    fresh.task_state = None;
    fresh.fault = None;
    migration.turn_to(Status::Completed);
    end(&mut migration, cx.now());
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    history(cx, op, &fresh, None, &mut tx).await?;
    tx.commit().await?;
    crash_point!("live.finished");
    Ok(Next::Done)
}

pub(super) async fn history(
    cx: &OpCx<Compute>,
    op: &Operation,
    server: &Server,
    failure: Option<&str>,
    tx: &mut Tx,
) -> Result<(), nephos_db::Error> {
    let outcome = store::actions::Outcome {
        server: &server.id,
        request_id: &op.request_id,
        event: "compute_live_migration",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
