//! What a resized server was, goes: its former disk, its former room.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;
use serde_json::json;

use super::moving::{both, end, leave_source, lock_both};
use super::{Asked, Work, begin, give_up, publish, step_error};
use crate::model::migration::Status;
use crate::model::server::{Server, VmState, power};
use crate::{Compute, store};

/// A silent host is waited for: it has the disk.
const DEADLINE_SECS: i64 = 24 * 3600;

pub(crate) struct Confirm;

/// Asks for it; the caller has checked the state and the lock.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
) -> Result<(), EnqueueError> {
    let work = Work {
        kind: Confirm::KIND,
        server: &server.id,
        action: "confirmResize",
        args: json!({}),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
    let Some((mut fresh, mut migration)) = lock_both(tx, server).await? else {
        return Ok(());
    };
    // One that was cut off goes on where it was.
    if migration.status != Status::Confirming {
        migration.turn_to(Status::Confirming);
    }
    fresh.task_state = Some("resize_confirming".to_owned());
    fresh.updated_at = asked.now;
    store::migrations::update(tx, asked.now, &migration).await?;
    store::servers::update(tx, &fresh).await?;
    Ok(())
}

impl Reconcile<Compute> for Confirm {
    const KIND: &'static str = "server.confirm";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some((server, migration)) = both(cx, op).await? else {
            return Ok(Next::Done);
        };
        if let Some(next) = leave_source(cx, &server, &migration).await? {
            return Ok(next);
        }
        crash_point!("confirm.before_room");
        cx.siblings
            .release_holder(&migration.uuid)
            .await
            .map_err(step_error)?;
        crash_point!("confirm.room");
        let mut tx = cx.finish("finish").await?;
        let Some((mut fresh, mut migration)) = lock_both(&mut tx, &server).await? else {
            return Ok(Next::Done);
        };
        store::quota::give_back(&mut tx, fresh.project_id.as_str(), migration.extra()).await?;
        migration.turn_to(Status::Confirmed);
        end(&mut migration, cx.now());
        // From now on its host keeps no other disk of it.
        fresh.image.disk_from = None;
        fresh.generation += 1;
        let is_off = matches!(fresh.power_state, power::SHUTDOWN | power::CRASHED);
        (fresh.vm_state, fresh.want) = if is_off {
            (VmState::Stopped, "stopped".to_owned())
        } else {
            (VmState::Active, "running".to_owned())
        };
        fresh.task_state = None;
        fresh.updated_at = cx.now();
        store::servers::update(&mut tx, &fresh).await?;
        store::servers::update_content(&mut tx, &fresh).await?;
        store::migrations::update(&mut tx, cx.now(), &migration).await?;
        publish(&mut tx, cx.now(), &fresh).await?;
        history(cx, op, &fresh, None, &mut tx).await?;
        tx.commit().await?;
        crash_point!("confirm.finished");
        Ok(Next::Done)
    }

    /// It can be asked for again once its state is reset.
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
        event: "compute_confirm_resize",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
