//! The first start of a server: room, ports, then the host.

use nephos_db::Tx;
use nephos_ops::{Failure, New, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use serde_json::json;

use super::{
    HostSays, LOOK_AGAIN, OPS, give_up, host_says, place, ports, publish, release, room,
    step_error, volumes,
};
use crate::model::schedule::{Host, Wish};
use crate::model::server::{Server, ServerFault, VmState, power};
use crate::model::spec::GuestState;
use crate::peers::Candidate;
use crate::{Compute, store};

/// Hosts that are tried.
const TRIES: usize = 3;
/// After a claim that somebody else was quicker with.
const QUICK: std::time::Duration = std::time::Duration::from_millis(20);

pub(crate) struct Boot;

impl Boot {
    /// The kind of the operation.
    pub(crate) const NAME: &'static str = "server.boot";
}

impl Reconcile<Compute> for Boot {
    const KIND: &'static str = Boot::NAME;

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        if server.want == "absent" {
            return leave(cx, &server).await;
        }
        if server.host.is_none() {
            return claim(cx, &server).await;
        }
        if let Some(next) = volumes::ensure(cx, &server).await? {
            return Ok(next);
        }
        if let Some(plugged) = ports::ensure(cx, &server).await? {
            return tell_host(cx, &server, plugged).await;
        }
        match host_says(cx, &server).await? {
            HostSays::Settled(GuestState::Running) => match volumes::complete(cx, &server).await? {
                Some(next) => Ok(next),
                None => finish(cx, op, &server).await,
            },
            HostSays::Failed(why) => try_elsewhere(cx, &server, &why).await,
            HostSays::Settled(_) | HostSays::Working => wait(cx, &server).await,
        }
    }

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
        history(cx, op, &server, Some(&failure.message), tx).await?;
        let clean_up = New {
            topic: OPS,
            kind: "server.release",
            resource_id: &op.resource_id,
            args: json!({}),
            caller: &op.caller,
            request_id: &op.request_id,
            deadline_secs: 24 * 3600,
        };
        match nephos_ops::enqueue(tx, cx.now(), clean_up).await {
            Err(nephos_ops::EnqueueError::Db(why)) => Err(why),
            // Busy: whatever it is, it has the server now.
            _begun_or_busy => Ok(()),
        }
    }
}

/// Finds room and claims it.
async fn claim(cx: &OpCx<Compute>, server: &Server) -> Result<Next, StepError> {
    let why = match room::find(cx, &server.room(), &wish(cx, server).await?).await? {
        Ok((host, offer)) => return take_room(cx, server, &host, &offer).await,
        Err(why) => why,
    };
    // What was claimed by a try that was cut off may be the very room that is missing now.
    match cx.siblings.claimed(&server.id).await.map_err(step_error)? {
        Some(provider) => settle_on(cx, server, &provider).await,
        None => Ok(Next::Fail(why)),
    }
}

async fn take_room(
    cx: &OpCx<Compute>,
    server: &Server,
    host: &Host,
    offer: &Candidate,
) -> Result<Next, StepError> {
    crash_point!("boot.before_claim");
    match cx.siblings.claim(server, offer).await {
        Ok(()) => {}
        Err(why) if why.is_conflict() => {
            // It is our own claim of a try that was cut off, or somebody was quicker: look again.
            return match cx.siblings.claimed(&server.id).await.map_err(step_error)? {
                Some(provider) => settle_on(cx, server, &provider).await,
                None => Ok(Next::After(QUICK)),
            };
        }
        Err(why) => return Err(step_error(why)),
    }
    crash_point!("boot.claimed");
    let there = (host.name.as_str(), host.zone.as_str());
    // Where other servers are decides for one of a group, and one that was elsewhere may have ports already.
    if server.group_id.is_some() || !server.volumes.is_empty() || !server.excluded_hosts.is_empty()
    {
        return note_host(cx, server, there).await;
    }
    start_there(cx, server, there).await
}

/// Makes the ports of a server that was nowhere before, then notes the host and tells it in one. Whoever is cut off before
/// that finds the claim, and what was made for it, as [`settle_on`] does.
async fn start_there(
    cx: &OpCx<Compute>,
    server: &Server,
    there: (&str, &str),
) -> Result<Next, StepError> {
    let mut placed = server.clone();
    place_on(&mut placed, there);
    let plugged = ports::make(cx, &placed).await?;
    let mut tx = cx.rest_guarded("spawn", LOOK_AGAIN).await?;
    let Some(mut fresh) = store::servers::hold(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    place_on(&mut fresh, there);
    spawn_there(cx, tx, fresh, plugged).await
}

/// It has room there now.
fn place_on(server: &mut Server, (host, zone): (&str, &str)) {
    server.host = Some(host.to_owned());
    server.zone = Some(zone.to_owned());
    "running".clone_into(&mut server.want);
    server.generation += 1;
}

async fn wish(cx: &OpCx<Compute>, server: &Server) -> Result<Wish, StepError> {
    Ok(Wish {
        zone: server.wanted_zone.clone(),
        host: server.wanted_host.clone(),
        excluded: server.excluded_hosts.clone(),
        room: room::words(&server.room()),
        group: room::group(cx, server).await?,
        spread: room::spread(&server.id),
    })
}

/// Notes the host whose provider has the claim.
async fn settle_on(cx: &OpCx<Compute>, server: &Server, provider: &str) -> Result<Next, StepError> {
    let Some(row) = store::hosts::of_provider(cx.db(), provider).await? else {
        // A claim on a host that does not exist any more: it is given back, with what was made there, and chosen again.
        ports::release(cx, server, |_| true).await?;
        cx.siblings.release(&server.id).await.map_err(step_error)?;
        return Ok(Next::Again);
    };
    note_host(cx, server, (&row.host, &row.zone)).await
}

/// Notes the host, and its zone, where the server has room now.
async fn note_host(
    cx: &OpCx<Compute>,
    server: &Server,
    there: (&str, &str),
) -> Result<Next, StepError> {
    // Where other servers are decides only for one of a group.
    let (mut tx, others) = match &server.group_id {
        Some(group) => {
            let mut tx = cx.write("schedule").await?;
            let id = &server.id;
            let others = store::server_groups::others_for_sure(&mut tx, group, id).await?;
            (tx, others)
        }
        None => (cx.guarded("schedule").await?, None),
    };
    if others.is_some_and(|others| !others.allow(there.0)) {
        // Another member of its group was placed meanwhile: this host does not do any more.
        drop(tx);
        crash_point!("boot.before_giving_up_room");
        cx.siblings.release(&server.id).await.map_err(step_error)?;
        return Ok(Next::Again);
    }
    let Some(mut fresh) = store::servers::hold(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    place_on(&mut fresh, there);
    fresh.task_state = Some("networking".to_owned());
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    crash_point!("boot.placed");
    Ok(Next::Again)
}

/// The host has not said that the server runs: it is told once more, unless nobody expects a word from it any more.
async fn wait(cx: &OpCx<Compute>, server: &Server) -> Result<Next, StepError> {
    match &server.host {
        Some(host) if store::hosts::is_fenced(cx.db(), host).await? => {
            try_elsewhere(cx, server, &format!("host {host} was declared off")).await
        }
        _there => tell_host(cx, server, Vec::new()).await,
    }
}

/// Wants the server on its host, with the ports that were just plugged; told already, it waits for the host's word.
async fn tell_host(
    cx: &OpCx<Compute>,
    server: &Server,
    plugged: Vec<ports::Plugged>,
) -> Result<Next, StepError> {
    let Some(host) = &server.host else {
        return Ok(Next::Again);
    };
    if plugged.is_empty() {
        let told = feed::published(cx.db(), place(host, &server.id)).await?;
        if told == Some(server.generation) {
            return Ok(Next::After(LOOK_AGAIN));
        }
    }
    let mut tx = cx.rest_guarded("spawn", LOOK_AGAIN).await?;
    let Some(fresh) = store::servers::hold(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    spawn_there(cx, tx, fresh, plugged).await
}

/// Writes, and tells its host, that the server is to be there.
async fn spawn_there(
    cx: &OpCx<Compute>,
    mut tx: Tx,
    mut fresh: Server,
    plugged: Vec<ports::Plugged>,
) -> Result<Next, StepError> {
    fresh.task_state = Some("spawning".to_owned());
    fresh.updated_at = cx.now();
    ports::note(&mut tx, &mut fresh, plugged);
    store::servers::update(&mut tx, &fresh).await?;
    publish(&mut tx, cx.now(), &fresh).await?;
    tx.commit().await?;
    crash_point!("boot.told_host");
    Ok(Next::After(LOOK_AGAIN))
}

async fn finish(cx: &OpCx<Compute>, op: &Operation, server: &Server) -> Result<Next, StepError> {
    crash_point!("boot.before_finish");
    let mut tx = cx.finish_guarded("finish").await?;
    let Some(mut fresh) = store::servers::hold(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    fresh.vm_state = VmState::Active;
    fresh.task_state = None;
    fresh.power_state = power::RUNNING;
    fresh.fault = None;
    fresh.launched_at = fresh.launched_at.or_else(|| Some(cx.now()));
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    history(cx, op, &fresh, None, &mut tx).await?;
    tx.commit().await?;
    crash_point!("boot.finished");
    Ok(Next::Done)
}

/// The host could not: it is left, and another is tried.
async fn try_elsewhere(cx: &OpCx<Compute>, server: &Server, why: &str) -> Result<Next, StepError> {
    if server.excluded_hosts.len() + 1 >= TRIES || server.wanted_host.is_some() {
        let hosts = server
            .excluded_hosts
            .iter()
            .chain(&server.host)
            .cloned()
            .collect::<Vec<_>>();
        return Ok(Next::Fail(Failure {
            code: 500,
            message: format!("The server could not be started: {why}"),
            details: format!("tried: {}", hosts.join(", ")),
        }));
    }
    let mut tx = cx.write("reschedule").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    fresh.excluded_hosts.extend(fresh.host.clone());
    "absent".clone_into(&mut fresh.want);
    fresh.generation += 1;
    fresh.fault = Some(ServerFault {
        code: 500,
        message: why.to_owned(),
        details: String::new(),
        created: cx.now(),
    });
    store::servers::update(&mut tx, &fresh).await?;
    publish(&mut tx, cx.now(), &fresh).await?;
    tx.commit().await?;
    crash_point!("boot.rescheduled");
    Ok(Next::Again)
}

/// Leaves a host where the start failed; what was claimed there is given back before the next choice.
async fn leave(cx: &OpCx<Compute>, server: &Server) -> Result<Next, StepError> {
    if let Some(next) = release::release_next(cx, server).await? {
        return Ok(next);
    }
    let mut tx = cx.write("left").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    "running".clone_into(&mut fresh.want);
    fresh.task_state = Some("scheduling".to_owned());
    // What was made for it there is gone.
    for nic in fresh.nics.iter_mut().filter(|nic| nic.ours) {
        nic.port_id.clear();
    }
    store::servers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    crash_point!("boot.left");
    Ok(Next::Again)
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
        event: "compute__do_build_and_run_instance",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
