//! A volume grew while a server has it: its host is told the new size, and lets the guest see it.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use nephos_types::Wake;
use serde_json::{Value, json};

use super::{Asked, OPS, VOLUMES, place, step_error, volumes};
use crate::model::server::Server;
use crate::{Compute, store};

const DEADLINE_SECS: i64 = 600;

pub(crate) struct ExtendVolume;

/// Notes that a volume of a server grew. It runs beside other work on the server: the host is told of nothing else.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Server,
    volume: &str,
) -> Result<(), EnqueueError> {
    let by = store::actions::Asked {
        caller: asked.caller,
        request_id: asked.request_id,
        at: asked.now,
    };
    store::actions::insert(tx, &server.id, "extend_volume", by).await?;
    let request = asked.request_id;
    let new = New {
        topic: OPS,
        kind: ExtendVolume::KIND,
        resource_id: &format!("extend/{}/{volume}/{request}", server.id),
        args: json!({"server": server.id, "volume": volume}),
        caller: asked.caller,
        request_id: request,
        deadline_secs: DEADLINE_SECS,
    };
    match nephos_ops::enqueue(tx, asked.now, new).await {
        // The same request said it twice.
        Ok(_) | Err(EnqueueError::Busy { .. }) => Ok(()),
        Err(why) => Err(why),
    }
}

fn arg<'a>(op: &'a Operation, key: &str) -> &'a str {
    op.args.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Reconcile<Compute> for ExtendVolume {
    const KIND: &'static str = "server.extend_volume";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, arg(op, "server")).await? else {
            return Ok(Next::Done);
        };
        let id = arg(op, "volume");
        let project = server.project_id.as_str();
        let shown = cx.siblings.volume(project, id).await.map_err(step_error)?;
        crash_point!("extend_volume.before_finish");
        let mut tx = cx.finish("finish").await?;
        let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
            return Ok(Next::Done);
        };
        let mut grew = false;
        for volume in fresh.volumes.iter_mut().filter(|one| one.volume_id == id) {
            grew |= volume.size_gib != shown.size;
            volume.size_gib = shown.size;
        }
        if grew {
            volumes::changed(&mut fresh, cx.now());
            store::servers::update(&mut tx, &fresh).await?;
            if let Some(host) = &fresh.host {
                let place = place(host, &fresh.id);
                feed::publish(&mut tx, cx.now(), place, fresh.generation, &fresh.spec()).await?;
            }
            // Whoever waits for the host's word on the generation before waits for this one now.
            nephos_ops::nudge(&mut tx, cx.now(), OPS, fresh.id.as_str()).await?;
        }
        history(cx, op, &fresh, None, &mut tx).await?;
        tx.wake(Wake::new(VOLUMES, fresh.id.as_str()));
        tx.commit().await?;
        crash_point!("extend_volume.finished");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        cx: &OpCx<Compute>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        match store::servers::lock(tx, &arg(op, "server").into()).await? {
            Some(server) => history(cx, op, &server, Some(&failure.message), tx).await,
            None => Ok(()),
        }
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
        event: "compute_extend_volume",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
