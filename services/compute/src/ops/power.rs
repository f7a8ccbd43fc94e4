//! Start, stop, reboot, pause, suspend: the host is told another wish, and the server is what the host then says it is.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, feed};
use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::{
    Asked, HostSays, LOOK_AGAIN, Work, begin, give_up, host_says, observe, place, publish,
};
use crate::model::server::{Server, VmState};
use crate::{Compute, store};

/// A guest has 60 s to shut down by itself; the rest is the host's.
const DEADLINE_SECS: i64 = 600;

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
}

pub(crate) const START: Verb = Verb {
    action: "start",
    event: "compute_start_instance",
    task_state: "powering-on",
    want: "running",
    reboot: None,
    from: &[VmState::Stopped],
};
pub(crate) const STOP: Verb = Verb {
    action: "stop",
    event: "compute_stop_instance",
    task_state: "powering-off",
    want: "stopped",
    reboot: None,
    from: &[VmState::Active, VmState::Error],
};
pub(crate) const SOFT_REBOOT: Verb = Verb {
    action: "reboot",
    event: "compute_reboot_instance",
    task_state: "rebooting",
    want: "running",
    reboot: Some("soft"),
    from: &[VmState::Active],
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
};
pub(crate) const PAUSE: Verb = Verb {
    action: "pause",
    event: "compute_pause_instance",
    task_state: "pausing",
    want: "paused",
    reboot: None,
    from: &[VmState::Active],
};
pub(crate) const UNPAUSE: Verb = Verb {
    action: "unpause",
    event: "compute_unpause_instance",
    task_state: "unpausing",
    want: "running",
    reboot: None,
    from: &[VmState::Paused],
};
pub(crate) const SUSPEND: Verb = Verb {
    action: "suspend",
    event: "compute_suspend_instance",
    task_state: "suspending",
    want: "suspended",
    reboot: None,
    from: &[VmState::Active],
};
pub(crate) const RESUME: Verb = Verb {
    action: "resume",
    event: "compute_resume_instance",
    task_state: "resuming",
    want: "running",
    reboot: None,
    from: &[VmState::Suspended],
};

/// Asks for it; the caller has checked the state and the lock.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    verb: Verb,
) -> Result<(), EnqueueError> {
    let work = Work {
        kind: Power::KIND,
        server: &server.id,
        action: verb.action,
        args: json!({"event": verb.event}),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
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
            HostSays::Working => Ok(Next::After(LOOK_AGAIN)),
            HostSays::Failed(why) => Ok(Next::Fail(Failure::new(why))),
            HostSays::Settled(state) => {
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
                history(cx, op, &fresh, None, &mut tx).await?;
                tx.commit().await?;
                crash_point!("power.finished");
                Ok(Next::Done)
            }
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
        history(cx, op, &server, Some(&failure.message), tx).await
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
