//! Reconcilers, one file per verb. Each step looks at the world, does one thing that can be repeated, and comes back.

mod aside;
pub(crate) mod attach_volume;
mod attachment;
pub(crate) mod boot;
pub mod check;
pub(crate) mod confirm;
pub(crate) mod consoles;
pub(crate) mod delete;
pub(crate) mod detach_volume;
mod discard_image;
pub(crate) mod evacuate;
pub(crate) mod extend_volume;
pub(crate) mod host;
pub(crate) mod interfaces;
mod late_ports;
pub(crate) mod live_back;
pub(crate) mod live_migrate;
mod moving;
pub(crate) mod observe;
mod ports;
pub(crate) mod power;
pub(crate) mod rebuild;
pub(crate) mod refresh;
mod release;
pub(crate) mod resize;
pub(crate) mod revert;
mod room;
pub(crate) mod set_password;
pub(crate) mod snapshot;
mod volumes;
pub(crate) mod watch;

use nephos_auth::Caller;
use nephos_db::Tx;
use nephos_ops::feed::{self, Place};
use nephos_ops::{
    EnqueueError, Failure, New, OpCx, Operation, Reconcile as _, Reconcilers, StepError,
};
use nephos_peer::PeerError;
use nephos_types::{RequestId, Timestamp};
use serde_json::Value;

use crate::model::server::{Server, ServerFault, VmState};
use crate::model::spec::{GuestState, KIND_SERVER, ObservedServer, Progress, ServerId};
use crate::{Compute, store};

/// Workers listen here.
pub(crate) const OPS: &str = "compute.ops";
/// Agents' polls listen here.
pub(crate) const FEED: &str = "compute.feed";
/// Whoever waits for a console log listens here.
pub(crate) const CONSOLES: &str = "compute.consoles";
/// Whoever waits for a server's volumes listens here.
pub(crate) const VOLUMES: &str = "compute.volumes";
/// Whoever waits until a password is set listens here.
pub(crate) const PASSWORDS: &str = "compute.passwords";
/// Whoever waits for a server's ports listens here.
pub(crate) const PORTS: &str = "compute.ports";

pub(crate) fn reconcilers() -> Reconcilers<Compute> {
    Reconcilers::new()
        .with(boot::Boot)
        .with(delete::Delete)
        .with(evacuate::Evacuate)
        .with(release::Release)
        .with(resize::Resize)
        .with(confirm::Confirm)
        .with(revert::Revert)
        .with(live_migrate::LiveMigrate)
        .with(live_back::LiveBack)
        .with(power::Power)
        .with(interfaces::Interfaces)
        .with(host::Register)
        .with(refresh::Refresh)
        .with(attach_volume::AttachVolume)
        .with(detach_volume::DetachVolume)
        .with(extend_volume::ExtendVolume)
        .with(attachment::Attachment)
        .with(snapshot::Snapshot)
        .with(discard_image::DiscardImage)
        .with(set_password::SetPassword)
}

/// Who asked for work, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub caller: &'a Caller,
    pub request_id: &'a RequestId,
    pub now: Timestamp,
}

impl<'a> Asked<'a> {
    fn of_actions(self) -> store::actions::Asked<'a> {
        store::actions::Asked {
            caller: self.caller,
            request_id: self.request_id,
            at: self.now,
        }
    }
}

/// Work on a server, with its entry in the server's history.
pub(crate) struct Work<'a> {
    pub kind: &'static str,
    pub server: &'a ServerId,
    /// Nova's name of the action in the history.
    pub action: &'static str,
    pub args: Value,
    pub deadline_secs: i64,
}

/// Begins work on a server; other work under way refuses it.
pub(crate) async fn begin(
    tx: &mut Tx,
    asked: Asked<'_>,
    work: Work<'_>,
) -> Result<(), EnqueueError> {
    history(tx, asked, &work).await?;
    nephos_ops::enqueue(tx, asked.now, new(asked, &work))
        .await
        .map(|_| ())
}

/// Begins the same work on servers that this transaction makes; `work` names one of them.
pub(crate) async fn begin_new(
    tx: &mut Tx,
    asked: Asked<'_>,
    work: Work<'_>,
    servers: &[&ServerId],
) -> Result<(), EnqueueError> {
    store::actions::insert_all(tx, servers, work.action, asked.of_actions()).await?;
    let mut all = Vec::new();
    for server in servers {
        all.push(New {
            resource_id: server.as_str(),
            ..new(asked, &work)
        });
    }
    nephos_ops::enqueue_new(tx, asked.now, &all).await
}

/// Begins work on a server in place of whatever is under way.
pub(crate) async fn supersede(
    tx: &mut Tx,
    asked: Asked<'_>,
    work: Work<'_>,
) -> Result<(), EnqueueError> {
    if let Some(live) = nephos_ops::live_in(tx, work.server.as_str()).await? {
        let why = format!(
            "It came to nothing: {} was asked for meanwhile.",
            work.action
        );
        match live.kind.as_str() {
            snapshot::Snapshot::KIND => snapshot::give_up(tx, asked.now, &live, &why).await?,
            set_password::SetPassword::KIND => {
                set_password::give_up(tx, asked.now, &live, &why).await?;
            }
            _other => {}
        }
    }
    history(tx, asked, &work).await?;
    nephos_ops::supersede(tx, asked.now, new(asked, &work))
        .await
        .map(|_| ())
}

async fn history(tx: &mut Tx, asked: Asked<'_>, work: &Work<'_>) -> Result<(), nephos_db::Error> {
    store::actions::insert(tx, work.server, work.action, asked.of_actions()).await
}

fn new<'a>(asked: Asked<'a>, work: &Work<'a>) -> New<'a> {
    New {
        topic: OPS,
        kind: work.kind,
        resource_id: work.server.as_str(),
        args: work.args.clone(),
        caller: asked.caller,
        request_id: asked.request_id,
        deadline_secs: work.deadline_secs,
    }
}

/// What a sibling's refusal means for a step: its own trouble passes, the rest does not.
pub(crate) fn step_error(why: PeerError) -> StepError {
    if why.status.is_none_or(|code| code == 503) {
        return StepError::Away(why.to_string());
    }
    // 401, 409 and 412 pass too: a token was replaced, another writer was quicker; the next look decides anew.
    let passes = why.is_transient() || why.is_conflict() || matches!(why.status, Some(401 | 412));
    if passes {
        StepError::Transient(why.to_string())
    } else {
        StepError::Permanent(why.to_string())
    }
}

/// The server an operation works on; none when it is gone.
pub(crate) async fn server(cx: &OpCx<Compute>, id: &str) -> Result<Option<Server>, StepError> {
    Ok(store::servers::get(cx.db(), id).await?)
}

/// The server is in ERROR from now on and says why; it is none when it is gone.
async fn give_up(
    cx: &OpCx<Compute>,
    op: &Operation,
    failure: &Failure,
    tx: &mut Tx,
) -> Result<Option<Server>, nephos_db::Error> {
    let id = op.resource_id.as_str().into();
    let Some(mut server) = store::servers::lock(tx, &id).await? else {
        return Ok(None);
    };
    server.vm_state = VmState::Error;
    server.task_state = None;
    server.updated_at = cx.now();
    server.fault = Some(ServerFault {
        code: failure.code,
        message: failure.message.clone(),
        details: failure.details.clone(),
        created: cx.now(),
    });
    store::servers::update(tx, &server).await?;
    Ok(Some(server))
}

/// The place of a server in the feed of a host.
pub(crate) fn place<'a>(host: &'a str, server: &'a ServerId) -> Place<'a> {
    Place {
        topic: FEED,
        host,
        kind: KIND_SERVER,
        id: server.as_str(),
    }
}

/// Tells the host what the server should be.
pub(crate) async fn publish(tx: &mut Tx, now: Timestamp, server: &Server) -> Result<(), StepError> {
    if let Some(host) = &server.host {
        feed::publish(
            tx,
            now,
            place(host, &server.id),
            server.generation,
            &server.spec(),
        )
        .await?;
    }
    Ok(())
}

/// What the host has made of the server's present generation.
#[derive(Debug)]
pub(crate) enum HostSays {
    /// Nothing yet.
    Working,
    /// It is as wanted.
    Settled(GuestState),
    /// It cannot be; for people.
    Failed(String),
}

/// What a host has seen of a server since it was told this generation.
pub(crate) async fn seen_by(
    cx: &OpCx<Compute>,
    host: &str,
    server: &ServerId,
    generation: i64,
) -> Result<Option<ObservedServer>, StepError> {
    let seen = feed::observed(cx.db(), KIND_SERVER, server.as_str()).await?;
    let seen = seen.into_iter().find(|seen| seen.host == host);
    let seen = seen.filter(|seen| seen.observed.generation_seen >= generation);
    Ok(seen.and_then(|seen| serde_json::from_value(seen.observed.detail).ok()))
}

pub(crate) async fn host_says(cx: &OpCx<Compute>, server: &Server) -> Result<HostSays, StepError> {
    let Some(host) = &server.host else {
        return Ok(HostSays::Working);
    };
    let Some(observed) = seen_by(cx, host, &server.id, server.generation).await? else {
        return Ok(HostSays::Working);
    };
    Ok(match observed.progress {
        Progress::Settled => HostSays::Settled(observed.state),
        Progress::Failed { reason } => HostSays::Failed(reason),
        Progress::Working { .. } | Progress::Waiting { .. } => HostSays::Working,
    })
}

/// A longer look than the nudge that usually comes first.
pub(crate) const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(10);
