//! A server becomes another size, or moves to another host: its guest is stopped, its disk goes with it, and what it was
//! is kept until its owner decides.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use serde_json::json;

use super::live_migrate;
use super::moving::{at_rest, both, kept, lock_both, with_export};
use super::revert::Revert;
use super::{
    Asked, HostSays, LOOK_AGAIN, OPS, Work, begin, host_says, observe, place, ports, publish, room,
    step_error, volumes,
};
use crate::model::disk::{Carried, DiskFrom};
use crate::model::flavor::Flavor;
use crate::model::migration::{Kind, Migration, Phase, Status};
use crate::model::schedule::{Host, Wish};
use crate::model::server::{Server, VmState};
use crate::peers::Candidate;
use crate::store::hosts::HostState;
use crate::{Compute, store};

/// A large disk takes its time from host to host.
const DEADLINE_SECS: i64 = 12 * 3600;

pub(crate) struct Resize;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    /// How large it should be; for a migration, as large as it is.
    pub flavor: Flavor,
    /// Whether it must go to another host.
    pub kind: Kind,
    /// The host to go to; otherwise one is chosen.
    pub to: Option<String>,
}

/// Asks for it; the caller has checked state, lock and size, and taken [`Migration::extra`] of the quota.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    migration: &Migration,
) -> Result<(), EnqueueError> {
    let work = Work {
        kind: Resize::KIND,
        server: &server.id,
        action: action(migration.kind),
        args: json!({}),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(());
    };
    fresh.task_state = Some("resize_prep".to_owned());
    fresh.updated_at = asked.now;
    store::migrations::insert(tx, migration).await?;
    store::servers::update(tx, &fresh).await?;
    Ok(())
}

/// The move that is asked for, as it begins.
pub(crate) fn planned(asked: Asked<'_>, server: &Server, wish: Move) -> Migration {
    let mut migration = Migration {
        id: 0,
        uuid: nephos_runtime::ids::uuid().to_string(),
        server_id: server.id.clone(),
        project_id: server.project_id.to_string(),
        user_id: asked.caller.user_id.to_string(),
        kind: wish.kind,
        status: Status::PreMigrating,
        phase: Phase::Begun,
        source_host: server.host.clone().unwrap_or_default(),
        dest_host: None,
        wanted_host: wish.to,
        old_flavor: server.flavor.clone(),
        new_flavor: wish.flavor,
        old_epoch: server.disk_epoch,
        old_want: if server.vm_state == VmState::Stopped {
            "stopped".to_owned()
        } else {
            "running".to_owned()
        },
        source_generation: 0,
        session: String::new(),
        extra_cores: 0,
        extra_ram: 0,
        message: None,
        created_at: asked.now,
        updated_at: asked.now,
        ended_at: None,
    };
    migration.hold_beside(&server.flavor);
    migration
}

/// Nova's name in the history.
const fn action(kind: Kind) -> &'static str {
    match kind {
        Kind::Resize => "resize",
        Kind::Migration => "migrate",
        Kind::Evacuation => "evacuate",
        Kind::Live => "live-migration",
    }
}

impl Reconcile<Compute> for Resize {
    const KIND: &'static str = "server.resize";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some((server, migration)) = both(cx, op).await? else {
            return Ok(Next::Done);
        };
        match migration.status {
            Status::PreMigrating => claim(cx, &server, &migration).await,
            Status::Migrating if migration.phase == Phase::Begun => stop(cx, &server).await,
            Status::Migrating => hand_over(cx, &server, &migration).await,
            Status::PostMigrating => arrive(cx, op, &server).await,
            Status::Finished
            | Status::Confirming
            | Status::Confirmed
            | Status::Reverting
            | Status::Reverted
            | Status::Error
            | Status::Accepted
            | Status::Done
            | Status::Failed
            | Status::Preparing
            | Status::Running
            | Status::Completed
            | Status::Cancelled => Ok(Next::Done),
        }
    }

    /// However far it came, the server becomes again what it was, and says nothing but in its history.
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
        migration.turn_to(Status::Reverting);
        migration.message = Some(failure.message.clone());
        store::migrations::update(tx, cx.now(), &migration).await?;
        let Some(server) = store::servers::lock(tx, &id).await? else {
            return Ok(());
        };
        history(cx, op, &server, Some(&failure.message), tx).await?;
        let back = New {
            topic: OPS,
            kind: Revert::KIND,
            resource_id: &op.resource_id,
            args: json!({}),
            caller: &op.caller,
            request_id: &op.request_id,
            deadline_secs: 24 * 3600,
        };
        match nephos_ops::enqueue(tx, cx.now(), back).await {
            Err(EnqueueError::Db(why)) => Err(why),
            // Busy: whatever it is, it has the server now.
            _begun_or_busy => Ok(()),
        }
    }
}

/// Finds room and claims it, while the move takes over what the server has.
pub(super) async fn claim(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
) -> Result<Next, StepError> {
    // It holds something: a try that was cut off had come so far.
    if cx
        .siblings
        .holds(&migration.uuid)
        .await
        .map_err(step_error)?
        && let Some(provider) = cx.siblings.claimed(&server.id).await.map_err(step_error)?
        && let Some(row) = store::hosts::of_provider(cx.db(), &provider).await?
    {
        if let Some(next) = settle_on(cx, server, row).await? {
            return Ok(next);
        }
        // Another member of its group was placed there meanwhile.
        crash_point!("resize.before_giving_up_room");
        let back = cx.siblings.rejoin_claim(server, &migration.uuid).await;
        back.map_err(step_error)?;
        return Ok(Next::Again);
    }
    let (_, offer) = match find(cx, server, migration).await? {
        Ok(found) => found,
        Err(why) => return Ok(Next::Fail(why)),
    };
    crash_point!("resize.before_claim");
    cx.siblings
        .split_claim(server, &migration.uuid, &offer)
        .await
        .map_err(step_error)?;
    crash_point!("resize.claimed");
    Ok(Next::Again)
}

/// A resize stays where it is if it can: then nothing has to be carried.
async fn find(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
) -> Result<Result<(Host, Candidate), Failure>, StepError> {
    let source = &migration.source_host;
    let moves = migration.kind != Kind::Resize;
    let room = match migration.kind {
        // A root disk that is a volume takes no room of a host.
        Kind::Migration | Kind::Live | Kind::Evacuation => server.room(),
        Kind::Resize => room_of(server, &migration.new_flavor),
    };
    let mut excluded: Vec<String> = moves.then(|| source.clone()).into_iter().collect();
    if migration.kind == Kind::Live {
        excluded.extend(live_migrate::unfit(cx, source).await?);
    }
    let mut wish = Wish {
        zone: server.wanted_zone.clone(),
        host: migration.wanted_host.clone(),
        excluded,
        room: room::words(&room),
        group: room::group(cx, server).await?,
        spread: room::spread(&server.id),
    };
    if !moves && wish.host.is_none() {
        wish.host = Some(source.clone());
        if let Ok(found) = room::find(cx, &room, &wish).await? {
            return Ok(Ok(found));
        }
        wish.host = None;
    }
    room::find(cx, &room, &wish).await
}

/// What a server takes of a host once it is of this size.
fn room_of(server: &Server, flavor: &Flavor) -> Flavor {
    let mut larger = server.clone();
    larger.flavor = flavor.clone();
    larger.room()
}

/// The server will go to this host. None: another member of its group was placed there meanwhile.
async fn settle_on(
    cx: &OpCx<Compute>,
    server: &Server,
    row: HostState,
) -> Result<Option<Next>, StepError> {
    let mut tx = cx.write("schedule").await?;
    let others = match &server.group_id {
        Some(group) => store::server_groups::others_for_sure(&mut tx, group, &server.id).await?,
        None => None,
    };
    if others.is_some_and(|others| !others.allow(&row.host)) {
        return Ok(None);
    }
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Some(Next::Done));
    };
    migration.dest_host = Some(row.host);
    if migration.kind != Kind::Live {
        migration.turn_to(Status::Migrating);
        fresh.task_state = Some("resize_migrating".to_owned());
    }
    fresh.updated_at = cx.now();
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    store::servers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    crash_point!("resize.placed");
    Ok(Some(Next::Again))
}

/// Tells the host to stop the guest, and to make its disk ready if it is to go elsewhere.
async fn stop(cx: &OpCx<Compute>, server: &Server) -> Result<Next, StepError> {
    let mut tx = cx.write("stop").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    "stopped".clone_into(&mut fresh.want);
    fresh.generation += 1;
    migration.source_generation = fresh.generation;
    migration.phase = Phase::Told;
    let spec = if migration.stays() {
        fresh.spec()
    } else {
        with_export(&fresh)
    };
    let source = place(&migration.source_host, &fresh.id);
    feed::publish(&mut tx, cx.now(), source, fresh.generation, &spec).await?;
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("resize.told_source");
    Ok(Next::Again)
}

/// Once the guest is off and its disk is ready, the server belongs to where it goes.
async fn hand_over(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
) -> Result<Next, StepError> {
    let (source, told) = (&migration.source_host, migration.source_generation);
    if store::hosts::is_fenced(cx.db(), source).await? {
        return Ok(Next::Fail(Failure::new(format!(
            "Host {source} was declared to be off before the server had left it."
        ))));
    }
    let seen = match at_rest(cx, source, server, told).await? {
        Ok(Some(seen)) => seen,
        Ok(None) => return Ok(Next::After(LOOK_AGAIN)),
        Err(why) => return Ok(Next::Fail(Failure::new(why))),
    };
    let carried = if migration.stays() || server.boots_from_volume() {
        None
    } else {
        let ready = seen.export.filter(|one| one.epoch == server.disk_epoch);
        let Some(export) = ready else {
            return Ok(Next::After(LOOK_AGAIN));
        };
        Some(Carried {
            host: source.clone(),
            size_bytes: export.size_bytes,
            sha256: export.sha256,
        })
    };
    let dest = migration.dest_host.as_deref().unwrap_or_default();
    let zone = store::hosts::get(cx.db(), dest).await?.map(|row| row.zone);
    let mut tx = cx.write("hand_over").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    if !migration.stays() {
        for nic in &mut fresh.nics {
            nic.bound = None;
        }
    }
    fresh.host.clone_from(&migration.dest_host);
    fresh.zone = zone.or(fresh.zone);
    fresh.flavor = migration.new_flavor.clone();
    // A root disk that is a volume goes along by itself.
    fresh.image.disk_from = (!fresh.boots_from_volume()).then_some(DiskFrom {
        epoch: fresh.disk_epoch,
        carried,
    });
    fresh.disk_epoch += 1;
    fresh.generation += 1;
    fresh.want.clone_from(&migration.old_want);
    fresh.task_state = Some("resize_finish".to_owned());
    fresh.updated_at = cx.now();
    migration.turn_to(Status::PostMigrating);
    migration.hold_beside(&fresh.flavor);
    store::servers::update(&mut tx, &fresh).await?;
    store::servers::update_content(&mut tx, &fresh).await?;
    store::servers::update_size(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("resize.handed_over");
    Ok(Next::Again)
}

/// Plugs the ports in where the server is now, and waits for its guest.
async fn arrive(cx: &OpCx<Compute>, op: &Operation, server: &Server) -> Result<Next, StepError> {
    let Some(host) = &server.host else {
        return Ok(Next::Fail(Failure::new("The server is on no host.")));
    };
    if store::hosts::is_fenced(cx.db(), host).await? {
        return Ok(Next::Fail(Failure::new(format!(
            "Host {host} was declared to be off before the server had come there."
        ))));
    }
    if let Some(next) = volumes::ensure(cx, server).await? {
        return Ok(next);
    }
    let plugged = ports::ensure(cx, server).await?.unwrap_or_default();
    let told = feed::published(cx.db(), place(host, &server.id)).await?;
    if !plugged.is_empty() || told != Some(server.generation) {
        let mut tx = cx.write("spawn").await?;
        let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
            return Ok(Next::Done);
        };
        ports::note(&mut tx, &mut fresh, plugged);
        store::servers::update(&mut tx, &fresh).await?;
        publish(&mut tx, cx.now(), &fresh).await?;
        tx.commit().await?;
        crash_point!("resize.told_host");
        return Ok(Next::After(LOOK_AGAIN));
    }
    let state = match host_says(cx, server).await? {
        HostSays::Working => return Ok(Next::After(LOOK_AGAIN)),
        HostSays::Failed(why) => return Ok(Next::Fail(Failure::new(why))),
        HostSays::Settled(state) => state,
    };
    if let Some(next) = volumes::complete(cx, server).await? {
        return Ok(next);
    }
    crash_point!("resize.before_finish");
    let mut tx = cx.finish("finish").await?;
    let Some((mut fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Next::Done);
    };
    observe::take_state(&mut fresh, state, cx.now());
    fresh.vm_state = VmState::Resized;
    fresh.task_state = None;
    fresh.fault = None;
    migration.turn_to(Status::Finished);
    if let Some(source) = migration.left_behind(&fresh).map(str::to_owned) {
        // What was made ready to be carried has arrived.
        migration.source_generation += 1;
        let spec = kept(&fresh, &migration);
        let place = place(&source, &fresh.id);
        feed::publish(&mut tx, cx.now(), place, spec.generation, &spec).await?;
    }
    store::servers::update(&mut tx, &fresh).await?;
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    history(cx, op, &fresh, None, &mut tx).await?;
    tx.commit().await?;
    crash_point!("resize.finished");
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
        event: "compute_finish_resize",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
