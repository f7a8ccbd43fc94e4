//! What a process remembers that nobody can ask, because it does not listen: it tells a listener, bounded, and never in
//! the way of what it is there for.

use std::sync::Arc;
use std::time::Duration;

use nephos_peer::{Account, Peers};
use nephos_runtime::journal::{Entry, journal};
use nephos_runtime::{Clock, Shutdown, Task};

use super::Notes;
use super::desk::NOTES;
use crate::accounts;
use crate::services::{Ground, Parts, Role, SERVICES};

/// What comes so soon after the first goes with it.
const GATHER: Duration = Duration::from_millis(300);
/// A listener that does not answer is told again after this long.
const AGAIN: Duration = Duration::from_secs(2);

/// Starts telling; none for a process that listens.
///
/// # Errors
/// What the process lacks to speak in its own name.
pub fn start(
    ground: &Ground<'_>,
    parts: &Parts,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Task>> {
    let of_parts = SERVICES.iter().find(|offer| {
        let mut roles = offer.roles.iter();
        roles.any(|role| parts.has(offer.name, *role))
    });
    let Some(offer) = of_parts.filter(|_| !parts.any(Role::Api)) else {
        return Ok(None);
    };
    let account: Account = match &ground.settings().membership {
        Some(joined) => joined.key().into(),
        None => accounts::of_service(offer.account, ground.secrets)?.into(),
    };
    let telling = Telling {
        peers: ground.peers_as(account)?,
        service: offer.name,
        clock: ground.clock.clone(),
    };
    let until = shutdown.clone();
    Ok(Some(nephos_runtime::spawn("journal.tell", async move {
        tokio::select! { () = until.wait() => {} () = telling.on() => {} }
    })))
}

struct Telling {
    peers: Peers,
    service: &'static str,
    clock: Clock,
}

impl Telling {
    async fn on(self) {
        let mut after = 0;
        loop {
            journal().changed(after, true).await;
            self.clock.sleep(GATHER).await;
            let page = journal().after(self.clock.now(), after, true);
            let told = page.entries.iter().filter(|entry| is_told(entry));
            let told: Vec<_> = told.map(|entry| self.of_ours(entry)).collect();
            for some in told.chunks(NOTES) {
                self.tell(some.to_vec()).await;
            }
            after = page.last;
        }
    }

    fn of_ours(&self, entry: &Arc<Entry>) -> Entry {
        let mut entry = Entry::clone(entry);
        entry.service.get_or_insert_with(|| self.service.into());
        entry
    }

    /// Until somebody takes it, or refuses for good. Nothing is said of it: that would be something to tell.
    async fn tell(&self, entries: Vec<Entry>) {
        let notes = Notes { entries };
        loop {
            let call = self.peers.post(self.service, "/journal/v1/notes");
            match call.json(&notes).as_service().send().await {
                Err(why) if why.is_transient() || why.status == Some(401) => {
                    self.clock.sleep(AGAIN).await;
                }
                _taken_or_refused => return,
            }
        }
    }
}

/// What nobody asked for and nobody needs to know stays here.
fn is_told(entry: &Entry) -> bool {
    entry.request_id.is_some() || entry.is_news()
}
