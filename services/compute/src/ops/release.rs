//! Giving everything back that a server has outside its row: the guest, the ports, the room.

use nephos_db::Tx;
use nephos_ops::feed;
use nephos_ops::{Failure, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;

use super::{FEED, HostSays, LOOK_AGAIN, host_says, place, ports, publish, step_error, volumes};
use crate::model::console::KIND_CALL;
use crate::model::disk::KIND_DISK;
use crate::model::server::Server;
use crate::model::spec::{GuestState, KIND_CONSOLE, KIND_SERVER, ServerId};
use crate::{Compute, store};

/// Does the next thing towards nothing being left; none: nothing is.
pub(super) async fn release_next(
    cx: &OpCx<Compute>,
    server: &Server,
) -> Result<Option<Next>, StepError> {
    if let Some(host) = &server.host {
        return leave_host(cx, server, host).await.map(Some);
    }
    if ports::release(cx, server, |_| true).await? {
        return Ok(Some(Next::Again));
    }
    // Giving back what is not there any more is no error: it needs no look first.
    crash_point!("release.before_room");
    cx.siblings.release(&server.id).await.map_err(step_error)?;
    crash_point!("release.room");
    Ok(None)
}

async fn leave_host(cx: &OpCx<Compute>, server: &Server, host: &str) -> Result<Next, StepError> {
    // A host that is only silent may still run the guest: its addresses and its room are nobody else's until the host
    // has said that it is gone, or an operator has said that the host is off (`forced_down`).
    let gone = store::hosts::is_fenced(cx.db(), host).await?
        || matches!(
            host_says(cx, server).await?,
            HostSays::Settled(GuestState::Absent)
        );
    if !gone {
        if server.want == "absent" && is_told(cx, server, host).await? {
            return Ok(Next::After(LOOK_AGAIN));
        }
        let mut tx = cx.write("unplug").await?;
        let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
            return Ok(Next::Done);
        };
        if fresh.want != "absent" {
            "absent".clone_into(&mut fresh.want);
            fresh.generation += 1;
            store::servers::update(&mut tx, &fresh).await?;
        }
        publish(&mut tx, cx.now(), &fresh).await?;
        tx.commit().await?;
        crash_point!("release.told_host");
        return Ok(Next::Again);
    }
    let mut tx = cx.write("unplugged").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Ok(Next::Done);
    };
    forget_on_host(&mut tx, cx.now(), host, (&server.id, fresh.generation + 1)).await?;
    fresh.host = None;
    fresh.power_state = crate::model::server::power::NOSTATE;
    for nic in &mut fresh.nics {
        nic.bound = None;
    }
    store::servers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    crash_point!("release.left_host");
    Ok(Next::Again)
}

/// A host is told nothing of a server any more, and what it saw of it is forgotten. A question about its console log that
/// was once asked stands in the feed until the server leaves, as does a call to it or for
/// its disk.
pub(super) async fn forget_on_host(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    (server, generation): (&ServerId, i64),
) -> Result<(), nephos_db::Error> {
    feed::withdraw(tx, now, place(host, server), generation).await?;
    feed::forget_on(tx, host, KIND_SERVER, server.as_str()).await?;
    for kind in [KIND_CONSOLE, KIND_CALL, KIND_DISK] {
        let place = feed::Place {
            topic: FEED,
            host,
            kind,
            id: server.as_str(),
        };
        if let Some(asked) = feed::published_in(tx, place).await? {
            feed::withdraw(tx, now, place, asked + 1).await?;
            feed::forget_on(tx, host, kind, server.as_str()).await?;
        }
    }
    Ok(())
}

/// Whether the host's feed has the present generation.
async fn is_told(cx: &OpCx<Compute>, server: &Server, host: &str) -> Result<bool, StepError> {
    let published = feed::published(cx.db(), place(host, &server.id)).await?;
    Ok(published.is_some_and(|generation| generation >= server.generation))
}

/// Cleans up after a start that failed for good. The server stays, in ERROR, until its owner deletes it.
pub(super) struct Release;

impl Reconcile<Compute> for Release {
    const KIND: &'static str = "server.release";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let Some(server) = super::server(cx, &op.resource_id).await? else {
            return Ok(Next::Done);
        };
        if let Some(next) = release_next(cx, &server).await? {
            return Ok(next);
        }
        Ok(volumes::release(cx, &server).await?.unwrap_or(Next::Done))
    }

    async fn failed(
        &self,
        _cx: &OpCx<Compute>,
        _op: &Operation,
        _failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        // Deleting the server tries again.
        Ok(())
    }
}
