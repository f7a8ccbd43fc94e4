//! What resizing, confirming and reverting have in common: a server with its move, and the host that it leaves.

use nephos_db::Tx;
use nephos_ops::feed;
use nephos_ops::{Next, OpCx, Operation, StepError};
use nephos_runtime::crash_point;

use super::{LOOK_AGAIN, place, release, seen_by};
use crate::model::disk::DiskWish;
use crate::model::migration::{Migration, Phase, Status};
use crate::model::server::Server;
use crate::model::spec::{GuestState, ObservedServer, Progress, ServerSpec};
use crate::{Compute, store};

/// A server and its move; none when either is over.
pub(super) async fn both(
    cx: &OpCx<Compute>,
    op: &Operation,
) -> Result<Option<(Server, Migration)>, StepError> {
    let Some(server) = super::server(cx, &op.resource_id).await? else {
        return Ok(None);
    };
    let live = store::migrations::live(cx.db(), &server.id).await?;
    Ok(live.map(|migration| (server, migration)))
}

/// Both as they are inside a transaction.
pub(super) async fn lock_both(
    tx: &mut Tx,
    server: &Server,
) -> Result<Option<(Server, Migration)>, nephos_db::Error> {
    let Some(fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(None);
    };
    let live = store::migrations::lock(tx, &server.id).await?;
    Ok(live.map(|migration| (fresh, migration)))
}

/// The server as it was, off.
pub(super) fn former(server: &Server, migration: &Migration) -> Server {
    let mut former = server.clone();
    former.flavor = migration.old_flavor.clone();
    former.disk_epoch = migration.old_epoch;
    former.image.disk_from = None;
    "stopped".clone_into(&mut former.want);
    // They go with the server: a host that it has left opens none of them.
    if migration.left_behind(server).is_some() {
        former.volumes.clear();
    }
    former
}

/// What the former host is told of a server that is elsewhere: it keeps what it has, off and without interfaces.
pub(super) fn kept(server: &Server, migration: &Migration) -> ServerSpec {
    let mut former = former(server, migration);
    former.generation = migration.source_generation;
    former.nics.clear();
    former.spec()
}

/// The same without a trace.
fn gone(server: &Server, migration: &Migration) -> ServerSpec {
    let mut former = kept(server, migration);
    former.want = crate::model::spec::Want::Absent;
    former
}

/// Whether nothing of a server is on a host any more, or an operator says that the host is off.
pub(super) async fn has_left(
    cx: &OpCx<Compute>,
    host: &str,
    server: &Server,
    generation: i64,
) -> Result<bool, StepError> {
    if store::hosts::is_fenced(cx.db(), host).await? {
        return Ok(true);
    }
    let seen = seen_by(cx, host, &server.id, generation).await?;
    Ok(seen
        .is_some_and(|seen| seen.progress == Progress::Settled && seen.state == GuestState::Absent))
}

/// Does the next thing towards the former host having nothing of the server; none: it has nothing.
pub(super) async fn leave_source(
    cx: &OpCx<Compute>,
    server: &Server,
    migration: &Migration,
) -> Result<Option<Next>, StepError> {
    let Some(source) = migration.left_behind(server) else {
        return Ok(None);
    };
    match migration.phase {
        Phase::Begun => {
            let mut tx = cx.write("tell_source").await?;
            let Some((fresh, mut migration)) = lock_both(&mut tx, server).await? else {
                return Ok(Some(Next::Done));
            };
            migration.source_generation += 1;
            migration.phase = Phase::Told;
            let told = gone(&fresh, &migration);
            feed::publish(
                &mut tx,
                cx.now(),
                place(source, &server.id),
                migration.source_generation,
                &told,
            )
            .await?;
            store::migrations::update(&mut tx, cx.now(), &migration).await?;
            tx.commit().await?;
            crash_point!("move.told_source");
            Ok(Some(Next::Again))
        }
        Phase::Told | Phase::Decided => {
            if !has_left(cx, source, server, migration.source_generation).await? {
                return Ok(Some(Next::After(LOOK_AGAIN)));
            }
            let mut tx = cx.write("left_source").await?;
            let Some((_, mut migration)) = lock_both(&mut tx, server).await? else {
                return Ok(Some(Next::Done));
            };
            migration.source_generation += 1;
            migration.phase = Phase::Left;
            let gone = (&server.id, migration.source_generation);
            release::forget_on_host(&mut tx, cx.now(), source, gone).await?;
            store::migrations::update(&mut tx, cx.now(), &migration).await?;
            tx.commit().await?;
            crash_point!("move.left_source");
            Ok(Some(Next::Again))
        }
        Phase::Left | Phase::Reclaimed => Ok(None),
    }
}

/// A server that goes away takes its move with it: what the former host and placement keep for the way back goes first.
/// None: there is no move.
pub(super) async fn end_for_delete(
    cx: &OpCx<Compute>,
    server: &Server,
) -> Result<Option<Next>, StepError> {
    let Some(migration) = store::migrations::live(cx.db(), &server.id).await? else {
        return Ok(None);
    };
    if migration.status != Status::Confirming {
        let mut tx = cx.write("end_move").await?;
        let Some((_, mut migration)) = lock_both(&mut tx, server).await? else {
            return Ok(Some(Next::Again));
        };
        migration.turn_to(Status::Confirming);
        store::migrations::update(&mut tx, cx.now(), &migration).await?;
        tx.commit().await?;
        crash_point!("move.ending");
        return Ok(Some(Next::Again));
    }
    if let Some(next) = leave_source(cx, server, &migration).await? {
        return Ok(Some(next));
    }
    crash_point!("move.before_room");
    cx.siblings
        .release_holder(&migration.uuid)
        .await
        .map_err(super::step_error)?;
    crash_point!("move.room");
    let mut tx = cx.write("ended_move").await?;
    let Some((fresh, mut migration)) = lock_both(&mut tx, server).await? else {
        return Ok(Some(Next::Again));
    };
    store::quota::give_back(&mut tx, fresh.project_id.as_str(), migration.extra()).await?;
    migration.turn_to(Status::Error);
    end(&mut migration, cx.now());
    store::migrations::update(&mut tx, cx.now(), &migration).await?;
    tx.commit().await?;
    crash_point!("move.ended");
    Ok(Some(Next::Again))
}

/// The move is over, and holds nothing any more.
pub(super) fn end(migration: &mut Migration, now: nephos_types::Timestamp) {
    migration.ended_at = Some(now);
    migration.extra_cores = 0;
    migration.extra_ram = 0;
}

/// What a host is told to do with the disk that it is to hand over, if it has one.
pub(super) fn with_export(server: &Server) -> ServerSpec {
    let mut spec = server.spec();
    spec.disk = DiskWish {
        export: !server.boots_from_volume(),
        ..spec.disk
    };
    spec
}

/// What the host has made of this generation, once it has come to rest with it; or why it cannot.
pub(super) async fn at_rest(
    cx: &OpCx<Compute>,
    host: &str,
    server: &Server,
    generation: i64,
) -> Result<Result<Option<ObservedServer>, String>, StepError> {
    let seen = seen_by(cx, host, &server.id, generation).await?;
    Ok(match seen {
        Some(seen) => match &seen.progress {
            Progress::Settled => Ok(Some(seen)),
            Progress::Failed { reason } => Err(reason.clone()),
            Progress::Working { .. } | Progress::Waiting { .. } => Ok(None),
        },
        None => Ok(None),
    })
}
