//! Tells the compute service of servers whose addresses changed: it shows them with its servers.

use std::sync::Arc;
use std::time::Duration;

use nephos_db::Error;
use nephos_peer::Peers;
use nephos_runtime::crash_point;
use serde_json::json;

use crate::Network;
use crate::store::server_news;

/// Without a wake, and after a failure, it is told this much later.
const AGAIN: Duration = Duration::from_secs(5);

/// Tells what is to be told, for ever.
pub(super) async fn for_ever(network: Arc<Network>) -> Result<(), Error> {
    let mut wakes = network.bus.subscribe(server_news::TOPIC);
    loop {
        all(&network).await?;
        let _woken_or_time = network.core.clock.timeout(AGAIN, wakes.next()).await;
    }
}

/// Tells everything that is to be told now; what the compute service does not hear stays for the next time.
pub(super) async fn all(network: &Network) -> Result<(), Error> {
    let Some(peers) = &network.peers else {
        return Ok(());
    };
    loop {
        let news = server_news::some(&network.core.db).await?;
        if news.is_empty() {
            return Ok(());
        }
        let servers: Vec<&str> = news.iter().map(|(server, _)| server.as_str()).collect();
        crash_point!("tell.before_events");
        if !is_heard(peers, &servers).await {
            return Ok(());
        }
        crash_point!("tell.events_sent");
        let mut tx = network.core.db.write().await?;
        for (server, since) in &news {
            server_news::told(&mut tx, server, *since).await?;
        }
        tx.commit().await?;
    }
}

/// Whether the compute service answered, be it that it knows none of them any more.
async fn is_heard(peers: &Peers, servers: &[&str]) -> bool {
    let event = |server: &&str| json!({"name": "network-changed", "server_uuid": server});
    let body = json!({"events": servers.iter().map(event).collect::<Vec<_>>()});
    let call = peers.post("compute", "/v2.1/os-server-external-events");
    match call.json(&body).as_service().send().await {
        Err(why) if why.is_transient() => {
            tracing::warn!(%why, "cannot tell the compute service of changed addresses; telling it again");
            false
        }
        Err(_) | Ok(_) => true,
    }
}
