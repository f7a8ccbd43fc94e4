//! What goes on without requests.

mod tell;

use std::sync::Arc;
use std::time::Duration;

use nephos_db::Error;
use nephos_ops::feed;
use nephos_runtime::{Shutdown, Task, crash_point, supervise};

use crate::Network;
use crate::model::spec::{KIND_NETWORK, KIND_SECURITY_GROUP};
use crate::store::{Pair, publish, publish_router, routers, stale};

/// How long changes of shared documents are collected at least before they are rewritten.
const COLLECT: Duration = Duration::from_millis(50);
/// Collecting takes this many times as long as the last rewriting did: every host with a port of a network has a document
/// that names all of the others, so that a burst of new ports would otherwise be spent on rewriting them.
const COLLECT_TIMES: u32 = 4;
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
        rewrite_marked(&network).await?;
        place_routers(&network).await?;
        let took = clock.monotonic().saturating_sub(began);
        let woken = clock.timeout(POLL, wakes.next()).await;
        if woken.is_some() {
            let pause = (took * COLLECT_TIMES).clamp(COLLECT, POLL);
            clock.sleep(pause).await;
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
    while rewrite_marked(network).await? {}
    place_routers(network).await
}

/// Rewrites what is marked at this moment; whether there was something.
async fn rewrite_marked(network: &Network) -> Result<bool, Error> {
    let marked = stale::all(&network.core.db).await?;
    for Pair(kind, id) in &marked {
        let rewrite = || rewrite(network, kind, id);
        network.core.db.again(rewrite).await?;
    }
    Ok(!marked.is_empty())
}

/// Tells compute of what it was not told of yet.
pub(crate) async fn tell(network: &Network) -> Result<(), Error> {
    tell::once(network).await
}

async fn rewrite(network: &Network, kind: &str, id: &str) -> Result<(), Error> {
    let now = network.core.clock.now();
    crash_point!("stale.before_rewrite");
    let mut tx = network.core.db.write().await?;
    stale::take(&mut tx, kind, id).await?;
    match kind {
        KIND_NETWORK => publish::network(&mut tx, now, id).await?,
        KIND_SECURITY_GROUP => publish::group(&mut tx, now, id).await?,
        _unknown => {}
    }
    crash_point!("stale.before_commit");
    tx.commit().await?;
    crash_point!("stale.rewritten");
    Ok(())
}

async fn place_routers(network: &Network) -> Result<(), Error> {
    for id in routers::homeless(&network.core.db).await? {
        crash_point!("router.before_place");
        let place = || async {
            let mut tx = network.core.db.write().await?;
            publish_router::router(&mut tx, network.core.clock.now(), &id).await?;
            tx.commit().await
        };
        network.core.db.again(place).await?;
        crash_point!("router.placed");
    }
    Ok(())
}
