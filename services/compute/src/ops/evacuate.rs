//! A server whose host is lost is made anew on another, with its addresses and its name; its disk begins again.
//!
//! Nothing is taken from the lost host before an operator has declared that it is off: the caller has checked it, and
//! each step does.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::resize::{self, Move};
use super::{
    Asked, HostSays, LOOK_AGAIN, Work, aside, give_up, host_says, observe, place, ports, publish,
    release, room, step_error, supersede, volumes,
};
use crate::model::migration::{Kind, Status};
use crate::model::schedule::Wish;
use crate::model::server::Server;
use crate::store::hosts::HostState;
use crate::{Compute, store};

/// An image may have to be fetched first.
const DEADLINE_SECS: i64 = 1800;

pub(crate) struct Evacuate;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Evacuation {
    /// The lost host.
    pub from: String,
    /// The host to go to; otherwise one is chosen.
    pub to: Option<String>,
    /// What the new host should make of it: `running`, `stopped`.
    pub want: &'static str,
    /// Goes into the config drive.
    pub admin_pass: String,
}

/// Asks for it, in place of whatever waits for the lost host; the caller has checked the state of server and host.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    wish: Evacuation,
) -> Result<(), EnqueueError> {
    let mut record = resize::planned(
        asked,
        server,
        Move {
            flavor: server.flavor.clone(),
            kind: Kind::Evacuation,
            to: wish.to.clone(),
        },
    );
    // It holds nothing: the lost host's room is moved, not kept.
    record.status = Status::Accepted;
    record.ended_at = Some(asked.now);
    let live = nephos_ops::live_in(tx, server.id.as_str()).await?;
    let args = json!({"from": wish.from, "to": wish.to, "want": wish.want, "record": record.uuid});
    let work = Work {
        kind: Evacuate::KIND,
        server: &server.id,
        action: "evacuate",
        // What a guest was to let go of on the lost host is taken out of the new one.
        args: aside::with(args, live.as_ref())?,
        deadline_secs: DEADLINE_SECS,
    };
    supersede(tx, asked, work).await?;
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(());
    };
    fresh.task_state = Some("rebuilding".to_owned());
    fresh.updated_at = asked.now;
    fresh.admin_pass = Some(wish.admin_pass);
    store::migrations::insert(tx, &record).await?;
    store::servers::update(tx, &fresh).await?;
    store::servers::update_content(tx, &fresh).await?;
    Ok(())
}

fn arg<'a>(op: &'a Operation, key: &str) -> Option<&'a str> {
    op.args.get(key).and_then(Value::as_str)
}

impl Reconcile<Compute> for Evacuate {
    const KIND: &'static str = "server.evacuate";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        if server.host.as_deref() == arg(op, "from") {
            return leave(cx, op, &server).await;
        }
        if let Some(next) = volumes::ensure(cx, &server).await? {
            return Ok(next);
        }
        let plugged = ports::ensure(cx, &server).await?.unwrap_or_default();
        let Some(host) = &server.host else {
            return Ok(Next::Fail(Failure::new("The server is on no host.")));
        };
        let told = feed::published(cx.db(), place(host, &server.id)).await?;
        if !plugged.is_empty() || told != Some(server.generation) {
            return tell_host(cx, &server, plugged).await;
        }
        match host_says(cx, &server).await? {
            HostSays::Working => Ok(Next::After(LOOK_AGAIN)),
            HostSays::Failed(why) => Ok(Next::Fail(Failure::new(why))),
            HostSays::Settled(state) => {
                if let Some(next) = volumes::complete(cx, &server).await? {
                    return Ok(next);
                }
                crash_point!("evacuate.before_finish");
                let mut tx = cx.finish("finish").await?;
                let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
                    return Ok(Next::Done);
                };
                observe::take_state(&mut fresh, state, cx.now());
                fresh.task_state = None;
                fresh.fault = None;
                store::servers::update(&mut tx, &fresh).await?;
                aside::go_on(cx, op, &mut tx).await?;
                history(cx, op, &fresh, None, &mut tx).await?;
                tx.commit().await?;
                crash_point!("evacuate.finished");
                Ok(Next::Done)
            }
        }
    }

    /// It stays where it is in the books, and can be evacuated again.
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
        aside::go_on(cx, op, tx).await?;
        history(cx, op, &server, Some(&failure.message), tx).await
    }
}

/// Finds another host and moves the claim there, then the server. Until then everything stays as it was.
async fn leave(cx: &OpCx<Compute>, op: &Operation, server: &Server) -> Result<Next, StepError> {
    let from = arg(op, "from").unwrap_or_default();
    if !store::hosts::is_fenced(cx.db(), from).await? {
        return Ok(Next::Fail(Failure::new(format!(
            "Host {from} is not declared to be off any more, so what runs there stays there."
        ))));
    }
    // A claim elsewhere is that of a try that was cut off.
    let claimed = cx.siblings.claimed(&server.id).await.map_err(step_error)?;
    if let Some(provider) = claimed
        && let Some(row) = store::hosts::of_provider(cx.db(), &provider).await?
        && row.host != from
        && let Some(next) = settle_on(cx, op, server, row).await?
    {
        return Ok(next);
    }
    let wish = Wish {
        zone: server.wanted_zone.clone(),
        host: arg(op, "to").map(str::to_owned),
        excluded: vec![from.to_owned()],
        room: room::words(&server.room()),
        group: room::group(cx, server).await?,
        spread: room::spread(&server.id),
    };
    let (_, offer) = match room::find(cx, &server.room(), &wish).await? {
        Ok(found) => found,
        Err(why) => return Ok(Next::Fail(why)),
    };
    crash_point!("evacuate.before_claim");
    cx.siblings
        .move_claim(server, &offer)
        .await
        .map_err(step_error)?;
    crash_point!("evacuate.claimed");
    Ok(Next::Again)
}

/// The server belongs to the new host. None: another member of its group was placed there meanwhile.
async fn settle_on(
    cx: &OpCx<Compute>,
    op: &Operation,
    server: &Server,
    row: HostState,
) -> Result<Option<Next>, StepError> {
    let mut tx = cx.write("schedule").await?;
    let others = match &server.group_id {
        Some(group) => store::server_groups::others_for_sure(&mut tx, group, &server.id).await?,
        None => None,
    };
    if others.is_some_and(|others| !others.allow(&row.host)) {
        return Ok(None);
    }
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Some(Next::Done));
    };
    let from = fresh.host.replace(row.host).unwrap_or_default();
    fresh.zone = Some(row.zone);
    fresh.generation += 1;
    // What the lost host still has of the disk is never this server's again, should it ever return there.
    fresh.disk_epoch += 1;
    fresh.image.disk_from = None;
    arg(op, "want")
        .unwrap_or("running")
        .clone_into(&mut fresh.want);
    for nic in &mut fresh.nics {
        nic.bound = None;
    }
    fresh.updated_at = cx.now();
    let gone = (&server.id, fresh.generation);
    release::forget_on_host(&mut tx, cx.now(), &from, gone).await?;
    store::servers::update(&mut tx, &fresh).await?;
    store::servers::update_content(&mut tx, &fresh).await?;
    tx.commit().await?;
    crash_point!("evacuate.placed");
    Ok(Some(Next::Again))
}

async fn tell_host(
    cx: &OpCx<Compute>,
    server: &Server,
    plugged: Vec<ports::Plugged>,
) -> Result<Next, StepError> {
    let mut tx = cx.write("spawn").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    ports::note(&mut tx, &mut fresh, plugged);
    store::servers::update(&mut tx, &fresh).await?;
    publish(&mut tx, cx.now(), &fresh).await?;
    tx.commit().await?;
    crash_point!("evacuate.told_host");
    Ok(Next::After(LOOK_AGAIN))
}

async fn history(
    cx: &OpCx<Compute>,
    op: &Operation,
    server: &Server,
    failure: Option<&str>,
    tx: &mut Tx,
) -> Result<(), nephos_db::Error> {
    let outcome = match failure {
        None => (Status::Done, server.host.as_deref()),
        Some(_) => (Status::Failed, None),
    };
    let record = arg(op, "record").unwrap_or_default();
    store::migrations::note(tx, cx.now(), record, outcome).await?;
    let outcome = store::actions::Outcome {
        server: &server.id,
        request_id: &op.request_id,
        event: "compute_rebuild_instance",
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
