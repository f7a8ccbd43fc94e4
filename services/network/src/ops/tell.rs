//! Tells compute of servers whose addresses changed, so that it shows their floating IPs.

use std::sync::Arc;
use std::time::Duration;

use nephos_db::Error;
use nephos_runtime::crash_point;
use tracing::info;

use crate::Network;
use crate::peers;
use crate::store::news;

/// Without a wake, and after a call that failed, somebody looks this often.
const POLL: Duration = Duration::from_secs(5);

pub(super) async fn for_ever(network: Arc<Network>) -> Result<(), Error> {
    let clock = network.core.clock.clone();
    let mut wakes = network.bus.subscribe(news::TOPIC);
    loop {
        once(&network).await?;
        let _woken_or_not = clock.timeout(POLL, wakes.next()).await;
    }
}

/// Tells of everything that waits. What compute did not take in waits on.
pub(crate) async fn once(network: &Network) -> Result<(), Error> {
    loop {
        let waiting = news::waiting(&network.core.db).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let servers: Vec<String> = waiting.iter().map(|news| news.server.clone()).collect();
        crash_point!("news.before_tell");
        if let Err(why) = peers::tell_of_addresses(&network.peers, &servers).await {
            info!(%why, "compute was not told of changed addresses; trying again");
            return Ok(());
        }
        crash_point!("news.told");
        let mut tx = network.core.db.guarded().await?;
        for news in &waiting {
            news::told(&mut tx, news).await?;
        }
        tx.commit().await?;
    }
}
