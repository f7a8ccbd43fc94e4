//! What hosts report of networks, ports and routers, and what follows from it.

use std::collections::BTreeMap;

use nephos_api::Fault;
use nephos_db::{Db, Error, Tx};
use nephos_ops::feed;
use nephos_runtime::Together;
use nephos_types::Timestamp;
use nephos_types::feed::Observed;

use crate::Cx;
use crate::model::port::PortStatus;
use crate::model::refusal::Refusal;
use crate::model::router::FloatingStatus;
use crate::model::spec::{HostReport, KIND_HOST, KIND_PORT, KIND_ROUTER};
use crate::store::publish::{self, place};
use crate::store::{Reader, floating_ips, hosts, ports, routers, stale};

/// What one host says it sees.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub host: String,
    pub observed: Vec<Observed>,
}

impl Report {
    fn said(&self) -> (&str, &[Observed]) {
        (&self.host, &self.observed)
    }
}

/// Reports that are taken in together.
pub(crate) type Reports = Together<Report, Option<()>>;

/// Reports of more things are taken in each alone.
const FEW: usize = 32;

/// Takes in a report; while ports are made each host says little and often, and several become one transaction.
pub(super) async fn take(cx: &Cx, report: Report) -> Result<(), Fault> {
    if report.observed.len() > FEW || report.observed.iter().any(more_follows) {
        return take_alone(cx, &report).await;
    }
    let again = report.clone();
    let work = |reports: Vec<Report>| {
        let (db, now) = (cx.db().clone(), cx.now());
        async move { take_all(&db, now, &reports).await.ok() }
    };
    let clock = &cx.core.clock;
    match cx.reports.join_transaction(clock, report, work).await {
        Some(()) => Ok(()),
        // What is said twice is as said once.
        None => take_alone(cx, &again).await,
    }
}

async fn take_alone(cx: &Cx, report: &Report) -> Result<(), Fault> {
    // What is said of ports changes single rows, each on its own condition; of routers, and of a host that is another than
    // it was, more follows.
    let mut tx = cx.guarded().await?;
    let mut news = take_in(&mut tx, cx.now(), report).await?;
    if news.iter().any(|seen| more_follows(seen)) {
        drop(tx);
        tx = cx.write().await?;
        news = take_in(&mut tx, cx.now(), report).await?;
    }
    let statuses = statuses(std::slice::from_ref(report));
    ports::set_statuses(&mut tx, &statuses).await?;
    for seen in news {
        note(&mut tx, cx.now(), &report.host, seen).await?;
    }
    Ok(tx.commit().await?)
}

/// Takes in reports from which no more follows, in one transaction.
async fn take_all(db: &Db, now: Timestamp, reports: &[Report]) -> Result<Vec<()>, Error> {
    let mut tx = db.guarded().await?;
    let said: Vec<(&str, &[Observed])> = reports.iter().map(Report::said).collect();
    let hosts: Vec<&str> = said.iter().map(|(host, _)| *host).collect();
    hosts::seen(&mut tx, now, &hosts).await?;
    let changed = feed::record_observed(&mut tx, said).await?;
    ports::set_statuses(&mut tx, &statuses(reports)).await?;
    for (host, seen) in changed {
        forget_what_is_gone(&mut tx, host, seen).await?;
    }
    tx.commit().await?;
    Ok(vec![(); reports.len()])
}

/// What the hosts say of their ports, by port and host; the last word counts.
fn statuses(reports: &[Report]) -> BTreeMap<(&str, &str), PortStatus> {
    let said = reports.iter();
    let said = said.flat_map(|one| one.observed.iter().map(|seen| (one.host.as_str(), seen)));
    let of_ports = said.filter(|(_, seen)| seen.kind == KIND_PORT);
    let status = |seen: &Observed| match seen.state.as_str() {
        "up" => PortStatus::Active,
        _other => PortStatus::Down,
    };
    of_ports
        .map(|(host, seen)| ((seen.id.as_str(), host), status(seen)))
        .collect()
}

/// Notes what a host has seen; gives what something follows from: what was not so before, routers in any case, and the host
/// itself when nobody knows it any more.
async fn take_in<'a>(
    tx: &mut Tx,
    now: Timestamp,
    report: &'a Report,
) -> Result<Vec<&'a Observed>, Error> {
    let Report { host, observed } = report;
    let known = hosts::seen(tx, now, &[host]).await? > 0;
    let changed = feed::record_observed(tx, [report.said()]).await?;
    let changed: Vec<&Observed> = changed.into_iter().map(|(_, seen)| seen).collect();
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
    Ok(forget_what_is_gone(tx, host, seen).await?)
}

async fn forget_what_is_gone(tx: &mut Tx, host: &str, seen: &Observed) -> Result<(), Error> {
    match seen.state.as_str() {
        "gone" => feed::forget_on(tx, host, &seen.kind, &seen.id).await,
        _other => Ok(()),
    }
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
