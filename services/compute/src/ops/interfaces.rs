//! Plugging interfaces in and out of a server.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use nephos_types::Wake;
use serde_json::json;

use super::{
    Asked, HostSays, LOOK_AGAIN, PORTS, Work, begin, host_says, late_ports, place, ports, publish,
};
use crate::model::server::{Nic, Server};
use crate::{Compute, store};

/// A guest that does not let go of an interface is asked again until then.
const DEADLINE_SECS: i64 = 300;

pub(crate) struct Interfaces;

/// Wants another interface; the id that it bears from now on. That of the request will not do: callers may name one for
/// all their requests.
pub(crate) async fn attach<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    mut nic: Nic,
) -> Result<String, EnqueueError> {
    begin(tx, asked, work(&server.id, "attach_interface")).await?;
    let id = nephos_runtime::ids::hex();
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(id);
    };
    nic.id = Some(id.clone());
    // A port that its owner took away and gives again takes the place that it had.
    let same = |old: &&mut Nic| !nic.port_id.is_empty() && old.port_id == nic.port_id;
    match fresh.nics.iter_mut().find(same) {
        Some(old) => *old = nic,
        None => fresh.nics.push(nic),
    }
    fresh.generation += 1;
    fresh.updated_at = asked.now;
    store::servers::update(tx, &fresh).await?;
    Ok(id)
}

/// Wants an interface gone.
pub(crate) async fn detach<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    port: &str,
) -> Result<(), EnqueueError> {
    begin(tx, asked, work(&server.id, "detach_interface")).await?;
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(());
    };
    for nic in fresh.nics.iter_mut().filter(|nic| nic.port_id == port) {
        nic.leaving = true;
    }
    fresh.generation += 1;
    fresh.updated_at = asked.now;
    store::servers::update(tx, &fresh).await?;
    Ok(())
}

fn work<'a>(server: &'a crate::model::spec::ServerId, action: &'static str) -> Work<'a> {
    Work {
        kind: Interfaces::KIND,
        server,
        action,
        args: json!({}),
        deadline_secs: DEADLINE_SECS,
    }
}

impl Reconcile<Compute> for Interfaces {
    const KIND: &'static str = "server.interfaces";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        if let Some(plugged) = ports::ensure(cx, &server).await? {
            let mut tx = cx.write("network").await?;
            let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
                return Ok(Next::Done);
            };
            ports::note(&mut tx, &mut fresh, plugged);
            store::servers::update(&mut tx, &fresh).await?;
            tx.commit().await?;
            crash_point!("interfaces.port_noted");
            return Ok(Next::Again);
        }
        if let Some(host) = &server.host {
            let told = feed::published(cx.db(), place(host, &server.id)).await?;
            if told != Some(server.generation) {
                let mut tx = cx.write("tell_host").await?;
                let Some(fresh) = store::servers::lock(&mut tx, &server.id).await? else {
                    return Ok(Next::Done);
                };
                publish(&mut tx, cx.now(), &fresh).await?;
                tx.commit().await?;
                crash_point!("interfaces.told_host");
                return Ok(Next::Again);
            }
            match host_says(cx, &server).await? {
                HostSays::Working => return Ok(Next::After(LOOK_AGAIN)),
                HostSays::Failed(why) => return Ok(Next::Fail(Failure::new(why))),
                HostSays::Settled(_) => {}
            }
        }
        let leaving = |port: &crate::peers::Port| {
            server
                .nics
                .iter()
                .any(|nic| nic.leaving && nic.port_id == port.id)
        };
        if ports::release(cx, &server, leaving).await? {
            return Ok(Next::Again);
        }
        crash_point!("interfaces.before_finish");
        let mut tx = cx.finish("finish").await?;
        let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
            return Ok(Next::Done);
        };
        fresh.nics.retain(|nic| !nic.leaving);
        fresh.updated_at = cx.now();
        store::servers::update(&mut tx, &fresh).await?;
        history(cx, op, &fresh, None, &mut tx).await?;
        tx.wake(Wake::new(PORTS, server.id.as_str()));
        tx.commit().await?;
        crash_point!("interfaces.finished");
        Ok(Next::Done)
    }

    /// The server goes on with the interfaces it has: one that could not be had goes from its wishes,
    /// one that the guest did not let go stays.
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
        late_ports::give_up(tx, &server, cx.now()).await?;
        server.nics.retain(|nic| nic.bound.is_some());
        for nic in &mut server.nics {
            nic.leaving = false;
        }
        server.generation += 1;
        server.updated_at = cx.now();
        store::servers::update(tx, &server).await?;
        if let Some(host) = &server.host {
            let place = place(host, &server.id);
            feed::publish(tx, cx.now(), place, server.generation, &server.spec()).await?;
        }
        history(cx, op, &server, Some(&failure.message), tx).await?;
        tx.wake(Wake::new(PORTS, server.id.as_str()));
        Ok(())
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
        event: "compute_interfaces",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
