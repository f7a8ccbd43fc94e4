//! A new password in a guest: its host is told that there is one, asks which, and hands it to the agent in the guest.
//!
//! The password is sealed in a row of its own, in no document, in no operation and in no log. The host that is told of it
//! gets it over its own connection when it asks, and keeps it nowhere. The row goes in the transaction that ends the work,
//! whatever comes of that: done, failed, too late, or superseded by other work.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::feed::{self, Place};
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;
use nephos_types::{Timestamp, Wake};
use serde_json::json;

use super::{Asked, FEED, LOOK_AGAIN, PASSWORDS, Work, begin};
use crate::model::guest_password::{KIND_PASSWORD, PasswordSeen, PasswordWish};
use crate::model::server::{Refused, Server, VmState};
use crate::model::spec::ServerId;
use crate::store::guest_passwords::Sealed;
use crate::{Compute, store};

/// A host that is away for longer does not set it any more when it comes back.
const DEADLINE_SECS: i64 = 60;

/// Where a password may be set (nova.compute.api `set_admin_password`).
pub(crate) const FROM: &[VmState] = &[VmState::Active];

/// What a failure's code is when no agent answers: Nova says that it is not implemented.
pub(crate) const NO_ANSWER: u16 = 501;
/// What is said then.
pub(crate) const NO_AGENT: &str = "The QEMU guest agent does not answer. Install qemu-guest-agent in the guest and start it; a guest that was started \
     before its image said hw_qemu_guest_agent=yes has to be started anew.";

pub(crate) struct SetPassword;

/// Asks for it. Refused: the server is not what it was.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    password: &Sealed,
) -> Result<Result<(), Refused>, EnqueueError> {
    let work = Work {
        kind: SetPassword::KIND,
        server: &server.id,
        action: "changePassword",
        args: json!({}),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
    let Some(mut fresh) = store::servers::lock(tx, &server.id).await? else {
        return Ok(Err(Refused::State("task_state deleting".to_owned())));
    };
    if let Err(why) = fresh.check_can(FROM) {
        return Ok(Err(why));
    }
    store::guest_passwords::put(tx, &fresh.id, password).await?;
    fresh.task_state = Some("updating_password".to_owned());
    fresh.updated_at = asked.now;
    store::servers::update(tx, &fresh).await?;
    Ok(Ok(()))
}

/// The place of a password in the feed of a host.
pub(crate) fn place<'a>(host: &'a str, server: &'a ServerId) -> Place<'a> {
    Place {
        topic: FEED,
        host,
        kind: KIND_PASSWORD,
        id: server.as_str(),
    }
}

impl Reconcile<Compute> for SetPassword {
    const KIND: &'static str = "server.set_password";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        let Some(host) = &server.host else {
            return Ok(Next::Fail(Failure::new("The server is on no host.")));
        };
        let Some(told) = feed::published(cx.db(), place(host, &server.id)).await? else {
            return tell_host(cx, &server.id, host).await;
        };
        let seen = feed::observed(cx.db(), KIND_PASSWORD, server.id.as_str()).await?;
        let seen = seen
            .into_iter()
            .find(|seen| seen.host == *host && seen.observed.generation_seen >= told);
        let seen = seen.and_then(|seen| serde_json::from_value(seen.observed.detail).ok());
        match seen {
            Some(PasswordSeen::Set) => finish(cx, op, &server).await,
            Some(PasswordSeen::NoAnswer) => Ok(Next::Fail(Failure {
                code: NO_ANSWER,
                ..Failure::new(NO_AGENT)
            })),
            Some(PasswordSeen::Failed { reason }) => Ok(Next::Fail(Failure::new(reason))),
            None => Ok(Next::After(LOOK_AGAIN)),
        }
    }

    /// The server stays what it is.
    async fn failed(
        &self,
        cx: &OpCx<Compute>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let server: ServerId = op.resource_id.as_str().into();
        if let Some(mut fresh) = store::servers::lock(tx, &server).await? {
            fresh.task_state = None;
            fresh.updated_at = cx.now();
            store::servers::update(tx, &fresh).await?;
        }
        give_up(tx, cx.now(), op, &failure.message).await
    }
}

/// The work ends in this transaction and comes to nothing: the password is forgotten.
pub(super) async fn give_up(
    tx: &mut Tx,
    now: Timestamp,
    op: &Operation,
    why: &str,
) -> Result<(), nephos_db::Error> {
    let server: ServerId = op.resource_id.as_str().into();
    let host = forget(tx, now, &server).await?;
    history(tx, now, op, (host.as_deref(), Some(why))).await
}

/// The password is nowhere any more. Gives the host that was told of it.
async fn forget(
    tx: &mut Tx,
    now: Timestamp,
    server: &ServerId,
) -> Result<Option<String>, nephos_db::Error> {
    store::guest_passwords::forget(tx, server).await?;
    let hosts = feed::hosts_of(tx, KIND_PASSWORD, server.as_str()).await?;
    for host in &hosts {
        feed::withdraw_present(tx, now, place(host, server)).await?;
    }
    feed::forget(tx, KIND_PASSWORD, server.as_str()).await?;
    tx.wake(Wake::new(PASSWORDS, server.as_str()));
    Ok(hosts.into_iter().next())
}

async fn tell_host(cx: &OpCx<Compute>, server: &ServerId, host: &str) -> Result<Next, StepError> {
    let mut tx = cx.write("tell_host").await?;
    let place = place(host, server);
    feed::publish_anew(&mut tx, cx.now(), place, &PasswordWish::default()).await?;
    tx.commit().await?;
    crash_point!("set_password.told_host");
    Ok(Next::After(LOOK_AGAIN))
}

async fn finish(cx: &OpCx<Compute>, op: &Operation, server: &Server) -> Result<Next, StepError> {
    crash_point!("set_password.before_finish");
    let mut tx = cx.finish("finish").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    fresh.task_state = None;
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    let host = forget(&mut tx, cx.now(), &server.id).await?;
    history(&mut tx, cx.now(), op, (host.as_deref(), None)).await?;
    tx.commit().await?;
    crash_point!("set_password.finished");
    Ok(Next::Done)
}

async fn history(
    tx: &mut Tx,
    now: Timestamp,
    op: &Operation,
    (host, failure): (Option<&str>, Option<&str>),
) -> Result<(), nephos_db::Error> {
    let server = op.resource_id.as_str().into();
    let outcome = store::actions::Outcome {
        server: &server,
        request_id: &op.request_id,
        event: "compute_set_admin_password",
        host,
        failure,
        started_at: op.created_at,
        at: now,
    };
    store::actions::finish(tx, outcome).await
}
