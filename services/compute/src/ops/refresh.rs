//! The addresses of a server are a copy of what the network service has; its news make the copy anew.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, StepError};
use serde_json::json;

use super::{Asked, OPS, step_error};
use crate::model::spec::ServerId;
use crate::{Compute, store};

/// Older news than this are of no use.
const DEADLINE_SECS: i64 = 600;

pub(crate) struct Refresh;

/// Notes that there is news about a server's ports. It runs beside other work on the server: it changes no wish.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &ServerId,
) -> Result<(), EnqueueError> {
    let resource = format!("{PREFIX}{server}");
    let new = New {
        topic: OPS,
        kind: Refresh::KIND,
        resource_id: &resource,
        args: json!({}),
        caller: asked.caller,
        request_id: asked.request_id,
        deadline_secs: DEADLINE_SECS,
    };
    nephos_ops::enqueue_or_nudge(tx, asked.now, new).await
}

const PREFIX: &str = "addresses/";

impl Reconcile<Compute> for Refresh {
    const KIND: &'static str = "server.addresses";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let id = op.resource_id.strip_prefix(PREFIX).unwrap_or_default();
        let Some(server) = super::server(cx, id).await? else {
            return Ok(Next::Done);
        };
        let mut news = Vec::new();
        for port in cx.siblings.ports_of(&server.id).await.map_err(step_error)? {
            let bound = cx
                .siblings
                .describe(&port, false)
                .await
                .map_err(step_error)?;
            news.push((port.id, bound));
        }
        let mut tx = cx.finish("finish").await?;
        if let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? {
            for (port, bound) in news {
                let nic = fresh
                    .nics
                    .iter_mut()
                    .find(|nic| nic.port_id == port && nic.bound.is_some());
                if let Some(nic) = nic {
                    nic.bound = Some(bound);
                }
            }
            store::servers::update(&mut tx, &fresh).await?;
        }
        tx.commit().await?;
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        _cx: &OpCx<Compute>,
        _op: &Operation,
        _failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        // The copy stays as it was; the next news make it anew.
        Ok(())
    }
}
