//! Start, stop, reboot, pause, suspend: the host is told another wish, and the server is what the host then says it is.

use std::time::Duration;

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::{
    Asked, HostSays, LOOK_AGAIN, Work, aside, begin, give_up, host_says, observe, place, publish,
    seen_by, supersede,
};
use crate::model::server::{Server, VmState};
use crate::model::spec::{GuestState, Progress};
use crate::{Compute, store};

/// A guest has 60 s to shut down by itself; the rest is the host's.
const DEADLINE_SECS: i64 = 600;
/// What a guest does meanwhile nobody reports by itself while it has something left to let go of.
const LOOK_SOON: Duration = Duration::from_secs(1);

pub(crate) struct Power;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verb {
    /// Nova's name of the action.
    pub action: &'static str,
    /// Nova's name of its part in the history.
    pub event: &'static str,
    /// Nova's word while it lasts.
    pub task_state: &'static str,
    /// What the host should make of it.
    pub want: &'static str,
    /// A reboot, and how.
    pub reboot: Option<&'static str>,
    /// The states in which it may be asked for.
    pub from: &'static [VmState],
    /// Whether it may be asked for while a guest is to let go of something. A guest that is saved to disk would come back
    /// with what was taken from it meanwhile.
    pub amid_detach: bool,
}

pub(crate) const START: Verb = Verb {
    action: "start",
    event: "compute_start_instance",
    task_state: "powering-on",
    want: "running",
    reboot: None,
    from: &[VmState::Stopped],
    amid_detach: true,
};
pub(crate) const STOP: Verb = Verb {
    action: "stop",
    event: "compute_stop_instance",
    task_state: "powering-off",
    want: "stopped",
    reboot: None,
    from: &[VmState::Active, VmState::Error],
    amid_detach: true,
};
pub(crate) const SOFT_REBOOT: Verb = Verb {
    action: "reboot",
    event: "compute_reboot_instance",
    task_state: "rebooting",
    want: "running",
    reboot: Some("soft"),
    from: &[VmState::Active],
    amid_detach: true,
};
pub(crate) const HARD_REBOOT: Verb = Verb {
    action: "reboot",
    event: "compute_reboot_instance",
    task_state: "rebooting_hard",
    want: "running",
    reboot: Some("hard"),
    from: &[
        VmState::Active,
        VmState::Stopped,
        VmState::Paused,
        VmState::Suspended,
        VmState::Error,
    ],
    amid_detach: true,
};
pub(crate) const PAUSE: Verb = Verb {
    action: "pause",
    event: "compute_pause_instance",
    task_state: "pausing",
    want: "paused",
    reboot: None,
    from: &[VmState::Active],
    amid_detach: true,
};
pub(crate) const UNPAUSE: Verb = Verb {
    action: "unpause",
    event: "compute_unpause_instance",
    task_state: "unpausing",
    want: "running",
    reboot: None,
    from: &[VmState::Paused],
    amid_detach: true,
};
pub(crate) const SUSPEND: Verb = Verb {
    action: "suspend",
    event: "compute_suspend_instance",
    task_state: "suspending",
    want: "suspended",
    reboot: None,
    from: &[VmState::Active],
    amid_detach: false,
};
pub(crate) const RESUME: Verb = Verb {
    action: "resume",
    event: "compute_resume_instance",
    task_state: "resuming",
    want: "running",
    reboot: None,
    from: &[VmState::Suspended],
    amid_detach: false,
};

/// Asks for it; the caller has checked the state and the lock.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    verb: Verb,
) -> Result<(), EnqueueError> {
    let live = nephos_ops::live_in(tx, server.id.as_str()).await?;
    let waits = live.filter(|op| verb.amid_detach && aside::is_patient(op));
    let work = Work {
        kind: Power::KIND,
        server: &server.id,
        action: verb.action,
        args: aside::with(json!({"event": verb.event}), waits.as_ref())?,
        deadline_secs: DEADLINE_SECS,
    };
    match waits {
        Some(_) => supersede(tx, asked, work).await?,
        None => begin(tx, asked, work).await?,
    }
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(());
    };
    fresh.task_state = Some(verb.task_state.to_owned());
    verb.want.clone_into(&mut fresh.want);
    fresh.generation += 1;
    fresh.updated_at = asked.now;
    if let Some(how) = verb.reboot {
        fresh.reboot_sequence += 1;
        how.clone_into(&mut fresh.reboot_kind);
    }
    store::servers::update(tx, &fresh).await?;
    Ok(())
}

impl Reconcile<Compute> for Power {
    const KIND: &'static str = "server.power";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        let Some(host) = &server.host else {
            return Ok(Next::Fail(Failure::new(
                "The server is on no host. Delete it and make it anew.",
            )));
        };
        let told = feed::published(cx.db(), place(host, &server.id)).await?;
        if told != Some(server.generation) {
            let mut tx = cx.write("tell_host").await?;
            let Some(fresh) = store::servers::lock(&mut tx, &server.id).await? else {
                return Ok(Next::Done);
            };
            publish(&mut tx, cx.now(), &fresh).await?;
            tx.commit().await?;
            crash_point!("power.told_host");
            return Ok(Next::Again);
        }
        match host_says(cx, &server).await? {
            HostSays::Working if aside::has(op) => match as_wanted(cx, &server, host).await? {
                Some(state) => finish(cx, op, &server, state).await,
                None => Ok(Next::After(LOOK_SOON)),
            },
            HostSays::Working => Ok(Next::After(LOOK_AGAIN)),
            HostSays::Failed(why) => Ok(Next::Fail(Failure::new(why))),
            HostSays::Settled(state) => finish(cx, op, &server, state).await,
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
        aside::go_on(cx, op, tx).await?;
        history(cx, op, &server, Some(&failure.message), tx).await
    }
}

/// The guest is as wanted, but for what it still has to let go of: that is waited for by the work that was put aside.
async fn as_wanted(
    cx: &OpCx<Compute>,
    server: &Server,
    host: &str,
) -> Result<Option<GuestState>, StepError> {
    let seen = seen_by(cx, host, &server.id, server.generation).await?;
    let seen = seen.filter(|seen| {
        let power = matches!(
            (server.want.as_str(), seen.state),
            ("running", GuestState::Running) | ("paused", GuestState::Paused)
        );
        let rebooted = seen.rebooted.unwrap_or_default() >= server.reboot_sequence;
        power && rebooted && matches!(seen.progress, Progress::Waiting { .. })
    });
    Ok(seen.map(|seen| seen.state))
}

async fn finish(
    cx: &OpCx<Compute>,
    op: &Operation,
    server: &Server,
    state: GuestState,
) -> Result<Next, StepError> {
    crash_point!("power.before_finish");
    let mut tx = cx.finish("finish").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    observe::take_state(&mut fresh, state, cx.now());
    fresh.task_state = None;
    fresh.fault = None;
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    aside::go_on(cx, op, &mut tx).await?;
    history(cx, op, &fresh, None, &mut tx).await?;
    tx.commit().await?;
    crash_point!("power.finished");
    Ok(Next::Done)
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
        event: op
            .args
            .get("event")
            .and_then(Value::as_str)
            .unwrap_or("compute_power"),
        host: server.host.as_deref(),
        failure,
        started_at: op.created_at,
        at: cx.now(),
    };
    store::actions::finish(tx, outcome).await
}
