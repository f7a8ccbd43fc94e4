//! The feed of our own agents.

use nephos_api::{Empty, Fault, Hosts, Json, Reply, Req, endpoint};
use nephos_db::Tx;
use nephos_ops::feed;
use nephos_types::Timestamp;
use nephos_types::feed::{Known, Observed};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Cx;
use crate::model::port::PortStatus;
use crate::model::refusal::Refusal;
use crate::model::router::FloatingStatus;
use crate::model::spec::{HostReport, KIND_HOST, KIND_PORT, KIND_ROUTER};
use crate::rules;
use crate::store::publish::{self, place};
use crate::store::{Reader, floating_ips, hosts, ports, routers, stale};

/// Most things that a host reports at once.
const MAX_OBSERVED: usize = 20_000;

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Poll {
    /// Only for whoever wants to be sure; the token says it.
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    since: i64,
    #[serde(default)]
    lists: i64,
    #[serde(default)]
    wait: u64,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Report {
    /// As in the feed.
    #[serde(default)]
    host: Option<String>,
}

endpoint! {
    /// Ask what a host is to have, waiting until something changes.
    PollFeed: GET "/host/v1/feed" => 200,
    policy: Hosts<rules::HostFeed>,
    query: Poll,
    reply: Json<Value>,
    handler: poll_feed,
}
async fn poll_feed(cx: Cx, req: Req<PollFeed>) -> Reply<PollFeed> {
    let Poll {
        host,
        since,
        lists,
        wait,
    } = req.query;
    let host = cx.host(host.as_deref())?;
    let page = cx
        .feed
        .since(host.as_str(), Known { since, lists }, wait)
        .await?;
    let value = serde_json::to_value(&page)
        .map_err(|_| Fault::internal("The feed could not be written."))?;
    Ok(Json(value))
}

endpoint! {
    /// Tell what a host has.
    ReportObserved: PUT "/host/v1/observed" => 204,
    policy: Hosts<rules::HostFeed>,
    query: Report,
    body: Json<Value>,
    reply: Empty,
    handler: report_observed,
}
async fn report_observed(cx: Cx, req: Req<ReportObserved>) -> Reply<ReportObserved> {
    let host = cx.host(req.query.host.as_deref())?.as_str();
    let observed: Vec<Observed> = serde_json::from_value(req.body.0)
        .map_err(|why| Refusal::request(format!("Invalid input for the report: {why}.")))?;
    if observed.len() > MAX_OBSERVED {
        return Err(
            Refusal::request(format!("A report has at most {MAX_OBSERVED} things.")).into(),
        );
    }
    let now = cx.now();
    // What is said of ports changes single rows, each on its own condition; of routers, and of a host that is another than
    // it was, more follows.
    let mut tx = cx.guarded().await?;
    let mut news = take_in(&mut tx, now, host, &observed).await?;
    if news.iter().any(|seen| more_follows(seen)) {
        drop(tx);
        tx = cx.write().await?;
        news = take_in(&mut tx, now, host, &observed).await?;
    }
    let with = |up: bool| -> Vec<&str> {
        let ports = observed.iter().filter(|seen| seen.kind == KIND_PORT);
        let ports = ports.filter(|seen| (seen.state == "up") == up);
        ports.map(|seen| seen.id.as_str()).collect()
    };
    ports::set_statuses(&mut tx, host, PortStatus::Active, &with(true)).await?;
    ports::set_statuses(&mut tx, host, PortStatus::Down, &with(false)).await?;
    for seen in news {
        note(&mut tx, now, host, seen).await?;
    }
    tx.commit().await?;
    Ok(Empty)
}

/// Notes what a host has seen; gives what something follows from: what was not so before, routers in any case, and the host
/// itself when nobody knows it any more.
async fn take_in<'a>(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    observed: &'a [Observed],
) -> Result<Vec<&'a Observed>, Fault> {
    let known = hosts::seen(tx, now, host).await?;
    let changed = feed::record_observed(tx, host, observed).await?;
    let in_any_case = |seen: &&Observed| match seen.kind.as_str() {
        KIND_ROUTER => true,
        KIND_HOST => !known,
        _other => false,
    };
    let others = observed.iter().filter(in_any_case);
    let others: Vec<&Observed> = others
        .filter(|seen| !changed.iter().any(|one| std::ptr::eq(*one, *seen)))
        .collect();
    Ok(changed.into_iter().chain(others).collect())
}

/// Whether more follows from it than the rows that it is about.
fn more_follows(seen: &Observed) -> bool {
    matches!(seen.kind.as_str(), KIND_ROUTER | KIND_HOST)
}

/// What follows from one thing that a host saw.
async fn note(tx: &mut Tx, now: Timestamp, host: &str, seen: &Observed) -> Result<(), Fault> {
    match seen.kind.as_str() {
        KIND_ROUTER => note_router(tx, host, seen).await?,
        KIND_HOST => {
            let report: HostReport =
                serde_json::from_value(seen.detail.clone()).map_err(|why| {
                    Refusal::request(format!(
                        "Invalid input for the report of host {host}: {why}."
                    ))
                })?;
            if report.host != host {
                let words = format!("Host {host} reports for {}.", report.host);
                return Err(Refusal::request(words).into());
            }
            if hosts::report(tx, now, &report).await? {
                // The others learn where its tunnel ends.
                stale::host_moved(tx, now, host).await?;
            }
            // Routers that wait for a home may have found one.
            tx.wake(nephos_types::Wake::new(stale::TOPIC, ""));
        }
        _other => {}
    }
    if seen.state == "gone" {
        feed::forget_on(tx, host, &seen.kind, &seen.id).await?;
    }
    Ok(())
}

/// A router that is up as it was last wanted has its ports and floating IPs up.
async fn note_router(tx: &mut Tx, host: &str, seen: &Observed) -> Result<(), Fault> {
    let wanted = publish::generation(tx, place(host, KIND_ROUTER, &seen.id)).await?;
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let up = seen.state == "up";
    let found = routers::get(&mut Reader::Tx(tx), &seen.id).await?;
    let is_off = found.is_some_and(|router| !router.admin_state_up);
    // A router that is switched off and reported down is as it was wanted: its ports are plugged in.
    let as_wanted = up || (is_off && seen.state == "down");
    if as_wanted && seen.generation_seen < wanted {
        return Ok(());
    }
    let port = if as_wanted {
        PortStatus::Active
    } else {
        PortStatus::Down
    };
    let floating = if up {
        FloatingStatus::Active
    } else {
        FloatingStatus::Down
    };
    ports::set_router_status(tx, &seen.id, host, port).await?;
    floating_ips::set_status(tx, &seen.id, floating).await?;
    Ok(())
}
