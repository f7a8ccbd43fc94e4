//! Deleting a server: everything outside is given back first, the row goes last.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use serde_json::json;

use super::{Asked, Work, late_ports, moving, release, supersede, volumes};
use crate::model::server::{Server, ServerFault, VmState};
use crate::model::snapshot::KIND_SNAPSHOT;
use crate::model::spec::KIND_SERVER;
use crate::{Compute, store};

/// A dead host is not waited for, so this is only about siblings that do not answer.
const DEADLINE_SECS: i64 = 24 * 3600;

pub(crate) struct Delete;

/// Wants a server gone, whatever is being done to it.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
) -> Result<(), EnqueueError> {
    let work = Work {
        kind: Delete::KIND,
        server: &server.id,
        action: "delete",
        args: json!({}),
        deadline_secs: DEADLINE_SECS,
    };
    // The operation first, the server after it: as every step does, so that none waits for the other.
    supersede(tx, asked, work).await?;
    if let Some(mut fresh) = store::servers::lock(tx, &server.id).await? {
        fresh.task_state = Some("deleting".to_owned());
        fresh.updated_at = asked.now;
        store::servers::update(tx, &fresh).await?;
    }
    Ok(())
}

impl Reconcile<Compute> for Delete {
    const KIND: &'static str = "server.delete";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        if let Some(next) = moving::end_for_delete(cx, &server).await? {
            return Ok(next);
        }
        if let Some(next) = release::release_next(cx, &server).await? {
            return Ok(next);
        }
        if let Some(next) = volumes::release(cx, &server).await? {
            return Ok(next);
        }
        crash_point!("delete.before_row");
        let mut tx = cx.finish("delete").await?;
        late_ports::expect(&mut tx, &server, cx.now()).await?;
        store::quota::give_back(&mut tx, server.project_id.as_str(), server.usage()).await?;
        let outcome = store::actions::Outcome {
            server: &server.id,
            request_id: &op.request_id,
            event: "compute_terminate_instance",
            host: None,
            failure: None,
            started_at: op.created_at,
            at: cx.now(),
        };
        store::actions::finish(&mut tx, outcome).await?;
        for kind in [KIND_SERVER, KIND_SNAPSHOT] {
            feed::forget(&mut tx, kind, server.id.as_str()).await?;
        }
        store::servers::remove(&mut tx, &server.id).await?;
        tx.commit().await?;
        crash_point!("delete.row");
        Ok(Next::Done)
    }

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
        server.vm_state = VmState::Error;
        server.task_state = None;
        server.updated_at = cx.now();
        server.fault = Some(ServerFault {
            code: failure.code,
            message: format!(
                "It could not be deleted: {} Deleting it again tries again.",
                failure.message
            ),
            details: failure.details.clone(),
            created: cx.now(),
        });
        store::servers::update(tx, &server).await
    }
}
