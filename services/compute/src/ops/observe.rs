//! What hosts report: it wakes the operation that waits for it, and where none does, the server is what it is seen to be.

use std::collections::{HashMap, HashSet};

use nephos_db::{Db, Tx};
use nephos_ops::feed;
use nephos_runtime::Together;
use nephos_types::feed::Observed;
use nephos_types::{Timestamp, Wake};

use super::{CONSOLES, OPS, snapshot};
use crate::model::guest_password::KIND_PASSWORD;
use crate::model::server::{Server, VmState, power};
use crate::model::snapshot::KIND_SNAPSHOT;
use crate::model::spec::{GuestState, KIND_CONSOLE, KIND_SERVER, ObservedServer, Progress};
use crate::store;
use crate::store::standings::Standing;

/// What one host says it sees, beside of itself.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub host: String,
    pub observed: Vec<Observed>,
}

/// Reports that are taken in together.
pub(crate) type Reports = Together<Report, Option<()>>;

/// Reports in one transaction that say that these hosts are up now.
pub(crate) async fn take_all(
    db: &Db,
    now: Timestamp,
    reports: &[Report],
) -> Result<Vec<()>, nephos_db::Error> {
    let mut tx = db.guarded().await?;
    let hosts: Vec<&str> = reports.iter().map(|one| one.host.as_str()).collect();
    store::hosts::seen(&mut tx, now, &hosts).await?;
    take(&mut tx, now, reports).await?;
    tx.commit().await?;
    Ok(vec![(); reports.len()])
}

/// Takes in reports, in a transaction that guards itself: they change single rows, each on its own condition, and hold the
/// server that follows its guest.
pub(crate) async fn take(
    tx: &mut Tx,
    now: Timestamp,
    reports: &[Report],
) -> Result<(), nephos_db::Error> {
    let all = all_of(reports);
    for (_, seen) in all.iter().filter(|(_, seen)| seen.kind == KIND_CONSOLE) {
        tx.wake(Wake::new(CONSOLES, seen.id.as_str()));
    }
    let of_servers = of_kind(&all, KIND_SERVER);
    let ids: Vec<&str> = of_servers
        .iter()
        .map(|(_, seen)| seen.id.as_str())
        .collect();
    let known = store::standings::of(tx, &ids).await?;
    let concerned = concerned(tx, &all, &known).await?;
    let noted: Vec<(&str, &[Observed])> = all
        .iter()
        .filter(|(host, seen)| seen.kind == KIND_SERVER || concerned.contains(&key(host, seen)))
        .map(|(host, seen)| (*host, std::slice::from_ref(*seen)))
        .collect();
    let news = feed::record_observed(tx, noted).await?;
    for (host, seen) in of_kind(&all, KIND_SNAPSHOT) {
        snapshot::forget_late(tx, host, seen).await?;
    }
    let news: Vec<&str> = news
        .iter()
        .filter(|(host, seen)| is_waited_for(seen) && concerned.contains(&key(host, seen)))
        .map(|(_, seen)| seen.id.as_str())
        .collect();
    nephos_ops::nudge_all(tx, now, OPS, &news).await?;
    for (host, seen) in of_servers {
        let guest = serde_json::from_value::<ObservedServer>(seen.detail.clone());
        match (known.get(seen.id.as_str()), guest) {
            (Some(standing), Ok(guest)) => {
                if followed(host, standing, &guest).is_some() {
                    follow(tx, now, host, &guest).await?;
                }
            }
            // Its row is gone: nothing will ever ask what was seen of it.
            (None, _) => feed::forget(tx, KIND_SERVER, &seen.id).await?,
            (Some(_), Err(why)) => {
                tracing::warn!(host, server = seen.id, %why, "a report is not readable")
            }
        }
    }
    Ok(())
}

/// Who says it, and what.
type Said<'a> = (&'a str, &'a Observed);
/// Host, kind and id of a thing.
type Thing<'a> = (&'a str, &'a str, &'a str);

fn all_of(reports: &[Report]) -> Vec<Said<'_>> {
    let mut all = Vec::new();
    for report in reports {
        all.extend(
            report
                .observed
                .iter()
                .map(|seen| (report.host.as_str(), seen)),
        );
    }
    all
}

fn of_kind<'a>(all: &[Said<'a>], kind: &str) -> Vec<Said<'a>> {
    all.iter()
        .filter(|(_, seen)| seen.kind == kind)
        .copied()
        .collect()
}

fn key<'a>(host: &'a str, seen: &'a Observed) -> Thing<'a> {
    (host, &seen.kind, &seen.id)
}

/// What concerns the host that says it: servers that live there, and whatever it is told of. Nobody waits for its word on
/// anything else, and only of servers is that noted.
async fn concerned<'a>(
    tx: &mut Tx,
    all: &[Said<'a>],
    known: &HashMap<String, Standing>,
) -> Result<HashSet<Thing<'a>>, nephos_db::Error> {
    let lives_there = |(host, seen): &Said<'_>| {
        let standing = known.get(&seen.id).filter(|_| seen.kind == KIND_SERVER);
        standing.is_some_and(|standing| standing.host.as_deref() == Some(host))
    };
    let (there, unsure): (Vec<_>, Vec<_>) = all.iter().copied().partition(lives_there);
    let unsure: Vec<Thing<'a>> = unsure.iter().map(|(host, seen)| key(host, seen)).collect();
    let mut concerned = feed::told(tx, &unsure).await?;
    concerned.extend(there.iter().map(|(host, seen)| key(host, seen)));
    Ok(concerned)
}

/// What is still under way there is progress for people, and nothing that an operation waits for.
fn is_waited_for(seen: &Observed) -> bool {
    let guest = serde_json::from_value::<ObservedServer>(seen.detail.clone());
    let under_way = guest.is_ok_and(|guest| guest.progress.is_under_way() && !says_where(&guest));
    (seen.kind == KIND_SERVER && !under_way)
        || [KIND_SNAPSHOT, KIND_PASSWORD].contains(&seen.kind.as_str())
}

/// Whether it is the host's word for where a guest may be brought, or that one has come.
fn says_where(guest: &ObservedServer) -> bool {
    guest
        .live
        .as_ref()
        .is_some_and(|live| live.address.is_some())
}

/// What a server is to be whose guest changed its power state by itself; none where nothing changes, or somebody is at work
/// on it.
fn followed(host: &str, server: &Standing, guest: &ObservedServer) -> Option<(VmState, i64)> {
    let settled = guest.progress == Progress::Settled && guest.generation_seen >= server.generation;
    let idle = server.task_state.is_none() && server.host.as_deref() == Some(host);
    let known = !matches!(server.vm_state, VmState::Building | VmState::Error);
    if !(settled && idle && known) {
        return None;
    }
    let (vm_state, power_state) = states_of(guest.state, server.vm_state);
    // Whether it is on or off, its owner has not decided yet.
    let vm_state = match server.vm_state {
        VmState::Resized => VmState::Resized,
        _other => vm_state,
    };
    Some((vm_state, power_state)).filter(|new| *new != (server.vm_state, server.power_state))
}

/// The server follows its guest. Its row is held, so that it is as it is read here: a report's transaction guards itself.
async fn follow(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    guest: &ObservedServer,
) -> Result<(), nephos_db::Error> {
    let Some(mut server) = store::servers::hold(tx, &guest.server_id).await? else {
        return Ok(());
    };
    let standing = Standing::of(&server);
    if let Some((vm_state, power_state)) = followed(host, &standing, guest) {
        (server.vm_state, server.power_state) = (vm_state, power_state);
        server.updated_at = now;
        store::servers::update(tx, &server).await?;
    }
    Ok(())
}

/// Makes the server what the guest is.
pub(crate) fn take_state(server: &mut Server, state: GuestState, now: Timestamp) {
    (server.vm_state, server.power_state) = states_of(state, server.vm_state);
    server.updated_at = now;
}

/// What a server is whose guest is this; `before` is what it was.
fn states_of(state: GuestState, before: VmState) -> (VmState, i64) {
    match state {
        GuestState::Running => (VmState::Active, power::RUNNING),
        GuestState::Stopped => (VmState::Stopped, power::SHUTDOWN),
        GuestState::Paused => (VmState::Paused, power::PAUSED),
        // Saved to disk, it is off for the hypervisor.
        GuestState::Suspended => (VmState::Suspended, power::SHUTDOWN),
        GuestState::Crashed => (VmState::Stopped, power::CRASHED),
        GuestState::Absent | GuestState::Migrating => (before, power::NOSTATE),
    }
}
