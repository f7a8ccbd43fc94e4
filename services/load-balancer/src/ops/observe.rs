//! What hosts see, and what follows from it.

use nephos_db::{Error, Tx};
use nephos_ops::{EnqueueError, feed, nudge};
use nephos_types::feed::Observed;

use super::{Asked, TOPIC, apply, place};
use crate::model::refusal::Refusal;
use crate::model::spec::{HostReport, KIND_HOST, KIND_LOAD_BALANCER, LoadBalancerSeen};
use crate::model::status::Provisioning;
use crate::model::tree::{BalancerId, Tree};
use crate::store::{balancers, hosts, parts};

/// Takes in what one host reports.
pub(crate) async fn take(
    tx: &mut Tx,
    asked: Asked<'_>,
    host: &str,
    observed: &[Observed],
) -> Result<Result<(), Refusal>, EnqueueError> {
    let changed = feed::record_observed(tx, [(host, observed)]).await?;
    // What a host says of itself is written down in any case: it says that it lives.
    for seen in observed.iter().filter(|seen| seen.kind == KIND_HOST) {
        let report = match serde_json::from_value::<HostReport>(seen.detail.clone()) {
            Ok(report) => report,
            Err(why) => {
                return Ok(Err(Refusal::invalid(format!(
                    "the report is not readable: {why}"
                ))));
            }
        };
        if report.host != host {
            let words = format!("host {host} reports for {}", report.host);
            return Ok(Err(Refusal::invalid(words)));
        }
        hosts::report(tx, asked.now, &report).await?;
    }
    for (_, seen) in changed {
        if seen.kind == KIND_LOAD_BALANCER {
            note(tx, asked, host, seen).await?;
        }
    }
    Ok(Ok(()))
}

/// What follows from one thing that a host saw anew.
async fn note(
    tx: &mut Tx,
    asked: Asked<'_>,
    host: &str,
    seen: &Observed,
) -> Result<(), EnqueueError> {
    let id = BalancerId::from(seen.id.as_str());
    if seen.state == "gone" {
        feed::forget_on(tx, host, KIND_LOAD_BALANCER, id.as_str()).await?;
        nudge(tx, asked.now, TOPIC, id.as_str()).await?;
        return Ok(());
    }
    let Some(tree) = balancers::tree_in(tx, &id).await? else {
        return Ok(());
    };
    // What a host still sees that it is to leave says nothing of how the load balancer is.
    if tree.balancer.host.as_deref() != Some(host) {
        return Ok(());
    }
    let detail =
        serde_json::from_value::<LoadBalancerSeen>(seen.detail.clone()).unwrap_or_default();
    let wanted = feed::published_in(tx, place(host, &id)).await?;
    let is_news = tree.balancer.provisioning != Provisioning::Active;
    if is_news && wanted == Some(seen.generation_seen) {
        let told = nudge(tx, asked.now, TOPIC, id.as_str()).await?;
        // It was given up, and came to pass all the same.
        let late = tree.balancer.provisioning == Provisioning::Error
            && !tree.balancer.going
            && matches!(seen.state.as_str(), "up" | "down");
        if !told && late {
            apply::request(tx, asked, &id).await?;
        }
    }
    write_statuses(tx, &tree, Some(&detail)).await?;
    Ok(())
}

/// Writes how everything works, where that has changed.
pub(crate) async fn write_statuses(
    tx: &mut Tx,
    tree: &Tree,
    seen: Option<&LoadBalancerSeen>,
) -> Result<(), Error> {
    let (own, by_id) = tree.statuses(seen);
    let changed: Vec<_> = tree
        .parts
        .iter()
        .filter_map(|part| {
            let status = by_id.get(part.id.as_str()).copied()?;
            (status != part.operating).then_some((&part.id, status))
        })
        .collect();
    if !changed.is_empty() {
        parts::set_operating(tx, &changed).await?;
    }
    if own != tree.balancer.operating {
        balancers::set_operating(tx, &tree.balancer.id, own).await?;
    }
    Ok(())
}
