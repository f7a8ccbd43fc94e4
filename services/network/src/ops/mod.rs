//! What goes on without requests.

mod rewrite;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use nephos_db::Error;
use nephos_ops::feed;
use nephos_runtime::{Shutdown, Task, crash_point, supervise};

use crate::Network;
use crate::store::{publish_router, routers, stale};

/// How long changes of shared documents are collected at least before they are rewritten.
const COLLECT: Duration = Duration::from_millis(50);
/// From one rewriting to the next it takes this many times as long as the former did.
const COLLECT_TIMES: u32 = 4;
/// From one rewriting to the next it takes this long for each host that the former woke: a thousand hosts with a port of the
/// same network all hear of each new one, and a burst of them would otherwise be spent on telling.
const PER_HOST: Duration = Duration::from_millis(5);
/// Without a wake, somebody looks this often.
const POLL: Duration = Duration::from_secs(5);
/// How often old things are forgotten.
const TIDY: Duration = Duration::from_secs(600);

/// The background tasks.
pub(crate) fn start(network: &Arc<Network>, shutdown: &Shutdown) -> Vec<Task> {
    let clock = network.core.clock.clone();
    let rewriter = Arc::clone(network);
    let tidier = Arc::clone(network);
    let teller = Arc::clone(network);
    vec![
        supervise(
            "network.stale",
            clock.clone(),
            shutdown.clone(),
            move || rewrite_for_ever(Arc::clone(&rewriter)),
        ),
        supervise("network.news", clock.clone(), shutdown.clone(), move || {
            tell::for_ever(Arc::clone(&teller))
        }),
        supervise("network.tidy", clock, shutdown.clone(), move || {
            tidy_for_ever(Arc::clone(&tidier))
        }),
    ]
}

async fn rewrite_for_ever(network: Arc<Network>) -> Result<(), Error> {
    let clock = network.core.clock.clone();
    let mut wakes = network.bus.subscribe(stale::TOPIC);
    loop {
        let began = clock.monotonic();
        let told = rewrite::marked(&network).await?;
        place_routers(&network).await?;
        let ended = clock.monotonic();
        let took = ended.saturating_sub(began);
        let pause = (took * COLLECT_TIMES).max(PER_HOST * told.hosts).min(POLL);
        let woken = clock.timeout(POLL, wakes.next()).await;
        if woken.is_some() {
            let since = clock.monotonic().saturating_sub(ended);
            clock.sleep(pause.saturating_sub(since).max(COLLECT)).await;
        }
    }
}

async fn tidy_for_ever(network: Arc<Network>) -> Result<(), Error> {
    loop {
        let prune = || async {
            let mut tx = network.core.db.write().await?;
            feed::prune(&mut tx, network.core.clock.now()).await?;
            tx.commit().await
        };
        network.core.db.again(prune).await?;
        network.core.clock.sleep(TIDY).await;
    }
}

/// Rewrites everything that is marked, and gives routers a home that have none.
pub(crate) async fn settle(network: &Network) -> Result<(), Error> {
    while rewrite::marked(network).await?.something {}
    place_routers(network).await
}

/// Tells compute of what it was not told of yet.
pub(crate) async fn tell(network: &Network) -> Result<(), Error> {
    tell::once(network).await
}

async fn place_routers(network: &Network) -> Result<(), Error> {
    for id in routers::homeless(&network.core.db).await? {
        crash_point!("router.before_place");
        let place = || {
            Box::pin(async {
                let mut tx = network.core.db.write().await?;
                publish_router::router(&mut tx, network.core.clock.now(), &id).await?;
                tx.commit().await
            })
        };
        network.core.db.again(place).await?;
        crash_point!("router.placed");
    }
    Ok(())
}
