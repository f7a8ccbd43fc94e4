//! Deleting a load balancer: its host lets go, its port goes, its rows last.

use std::time::Duration;

use nephos_db::Tx;
use nephos_ops::{
    EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, feed, supersede,
};
use nephos_runtime::crash_point;

use super::{Asked, place, refused};
use crate::Svc;
use crate::model::spec::KIND_LOAD_BALANCER;
use crate::model::status::Provisioning;
use crate::model::tree::{Balancer, BalancerId};
use crate::store::{balancers, hosts};

pub(crate) struct Delete;

/// Without news, it is looked again so often.
const LOOK: Duration = Duration::from_secs(2);
/// What somebody else just changed is looked at again after this.
const SOON: Duration = Duration::from_millis(200);
/// A host that has not let go by then is not waited for: it hears of it when it listens again.
const LET_GO_SECS: i64 = 60;

/// Wants a load balancer gone, whatever is being done to it.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    balancer: &mut Balancer,
) -> Result<(), EnqueueError> {
    let work = asked.work(<Delete as Reconcile<Svc>>::KIND, &balancer.id);
    supersede(tx, asked.now, work).await?;
    balancer.provisioning = Provisioning::PendingDelete;
    balancer.going = true;
    balancer.updated_at = Some(asked.now);
    balancers::update(tx, balancer).await?;
    Ok(())
}

impl Reconcile<Svc> for Delete {
    const KIND: &'static str = "load_balancer.delete";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = BalancerId::from(op.resource_id.as_str());
        if balancers::find(cx.db(), &id).await?.is_none() {
            return Ok(Next::Done);
        }
        let mut tx = cx.write("withdraw").await?;
        let told = feed::hosts_of(&mut tx, KIND_LOAD_BALANCER, id.as_str()).await?;
        for host in &told {
            feed::withdraw_present(&mut tx, cx.now(), place(host, &id)).await?;
        }
        tx.commit().await?;
        crash_point!("delete.withdrawn");
        let waited = cx.now() >= op.created_at.plus_secs(LET_GO_SECS);
        if !waited && somebody_has_it(cx, &id).await? {
            return Ok(Next::After(LOOK));
        }
        let ports = cx.siblings.ports_of(&id).await;
        let ports = ports.map_err(|why| refused(&why))?;
        for port in ports.iter().filter(|port| port.is_of(&id)) {
            match super::give_up(&cx.siblings, port).await {
                Err(why) if crate::peers::has_changed(&why) => return Ok(Next::After(SOON)),
                gone => gone.map_err(|why| refused(&why))?,
            }
            crash_point!("delete.port");
        }
        let mut tx = cx.finish("delete").await?;
        feed::forget(&mut tx, KIND_LOAD_BALANCER, id.as_str()).await?;
        balancers::remove(&mut tx, &id).await?;
        tx.commit().await?;
        crash_point!("delete.row");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = BalancerId::from(op.resource_id.as_str());
        let Some(mut balancer) = balancers::find_in(tx, &id).await? else {
            return Ok(());
        };
        balancer.provisioning = Provisioning::Error;
        balancer.problem = Some(failure.message.clone());
        balancer.updated_at = Some(cx.now());
        balancers::update(tx, &balancer).await
    }
}

/// Whether a host that lives still has it.
async fn somebody_has_it(cx: &OpCx<Svc>, id: &BalancerId) -> Result<bool, StepError> {
    let seen = feed::observed(cx.db(), KIND_LOAD_BALANCER, id.as_str()).await?;
    if seen.is_empty() {
        return Ok(false);
    }
    let hosts = hosts::all(cx.db()).await?;
    let now = cx.now();
    let lives = |name: &str| {
        let down_after = cx.config.host_down_after_secs;
        let host = hosts.iter().find(|host| host.host == name);
        host.is_some_and(|host| host.lives(now, down_after))
    };
    let has = |seen: &feed::Seen| seen.observed.state != "gone" && lives(&seen.host);
    Ok(seen.iter().any(has))
}
