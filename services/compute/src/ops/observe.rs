//! What hosts report: it wakes the operation that waits for it, and where none does, the server is what it is seen to be.

use nephos_db::Tx;
use nephos_ops::feed;
use nephos_types::feed::Observed;
use nephos_types::{Timestamp, Wake};

use super::{CONSOLES, OPS};
use crate::model::server::{Server, VmState, power};
use crate::model::spec::{GuestState, KIND_CONSOLE, KIND_SERVER, ObservedServer, Progress};
use crate::store;

/// Takes in one report of a host, in one transaction.
pub(crate) async fn take(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    observed: &[Observed],
) -> Result<(), nephos_db::Error> {
    feed::record_observed(tx, now, host, observed).await?;
    for seen in observed {
        if seen.kind == KIND_CONSOLE {
            tx.wake(Wake::new(CONSOLES, seen.id.as_str()));
        }
        if seen.kind != KIND_SERVER {
            continue;
        }
        let guest = serde_json::from_value::<ObservedServer>(seen.detail.clone());
        // What is still under way there is progress for people, and nothing that an operation waits for.
        let under_way = guest
            .as_ref()
            .is_ok_and(|guest| guest.progress.is_under_way() && !says_where(guest));
        if !under_way {
            nephos_ops::nudge(tx, now, OPS, &seen.id).await?;
        }
        match (
            store::servers::lock(tx, &seen.id.as_str().into()).await?,
            guest,
        ) {
            (Some(server), Ok(guest)) => follow(tx, now, host, server, &guest).await?,
            // Its row is gone: nothing will ever ask what was seen of it.
            (None, _) => feed::forget(tx, KIND_SERVER, &seen.id).await?,
            (Some(_), Err(why)) => {
                tracing::warn!(host, server = seen.id, %why, "a report is not readable")
            }
        }
    }
    Ok(())
}

/// Whether it is the host's word for where a guest may be brought, or that one has come.
fn says_where(guest: &ObservedServer) -> bool {
    guest
        .live
        .as_ref()
        .is_some_and(|live| live.address.is_some())
}

/// A guest that changed its power state by itself: the server follows, unless somebody is at work on it.
async fn follow(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    mut server: Server,
    guest: &ObservedServer,
) -> Result<(), nephos_db::Error> {
    let settled = guest.progress == Progress::Settled && guest.generation_seen >= server.generation;
    let idle = server.task_state.is_none() && server.host.as_deref() == Some(host);
    let known = !matches!(server.vm_state, VmState::Building | VmState::Error);
    if !(settled && idle && known) {
        return Ok(());
    }
    let before = (server.vm_state, server.power_state);
    take_state(&mut server, guest.state, now);
    // Whether it is on or off, its owner has not decided yet.
    if before.0 == VmState::Resized {
        server.vm_state = VmState::Resized;
    }
    if (server.vm_state, server.power_state) == before {
        return Ok(());
    }
    store::servers::update(tx, &server).await
}

/// Makes the server what the guest is.
pub(crate) fn take_state(server: &mut Server, state: GuestState, now: Timestamp) {
    let (vm_state, power_state) = match state {
        GuestState::Running => (VmState::Active, power::RUNNING),
        GuestState::Stopped => (VmState::Stopped, power::SHUTDOWN),
        GuestState::Paused => (VmState::Paused, power::PAUSED),
        // Saved to disk, it is off for the hypervisor.
        GuestState::Suspended => (VmState::Suspended, power::SHUTDOWN),
        GuestState::Crashed => (VmState::Stopped, power::CRASHED),
        GuestState::Absent | GuestState::Migrating => (server.vm_state, power::NOSTATE),
    };
    server.vm_state = vm_state;
    server.power_state = power_state;
    server.updated_at = now;
}
