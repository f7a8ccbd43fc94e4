//! Tells hosts what was marked: where ports are, who is in groups, what is wanted no more.

use std::collections::BTreeSet;

use nephos_db::{Error, Tx};
use nephos_ops::feed::lists;
use nephos_runtime::crash_point;

use crate::Network;
use crate::model::spec::{KIND_NETWORK, KIND_PORT, KIND_SECURITY_GROUP};
use crate::store::stale::{self, GROUP_LEFT, LIMITS, NETWORK_LEFT};
use crate::store::{Pair, entries, publish, publish_qos};

/// Ports whose entries are written by one transaction.
const PORTS_AT_ONCE: usize = 500;

/// What a look at the marks came to.
pub(super) struct Told {
    /// There were marks.
    pub(super) something: bool,
    /// About how many hosts it woke.
    pub(super) hosts: u32,
}

/// Deals with what is marked at this moment.
pub(super) async fn marked(network: &Network) -> Result<Told, Error> {
    let marked = stale::all(&network.core.db).await?;
    let (ports, others): (Vec<_>, Vec<_>) = marked
        .into_iter()
        .partition(|Pair(kind, _)| kind == KIND_PORT);
    let something = !ports.is_empty() || !others.is_empty();
    let mut lists = BTreeSet::new();
    let ports: Vec<String> = ports.into_iter().map(|Pair(_, id)| id).collect();
    for some in ports.chunks(PORTS_AT_ONCE) {
        let tell = || of_ports(network, some);
        lists.extend(network.core.db.again(tell).await?);
    }
    for Pair(kind, id) in &others {
        let tell = || of_other(network, kind, id);
        network.core.db.again(tell).await?;
    }
    let lists: Vec<String> = lists.into_iter().collect();
    let hosts = match lists.is_empty() {
        true => 0,
        false => lists::readers(&network.core.db, &lists).await?,
    };
    Ok(Told {
        something,
        hosts: u32::try_from(hosts).unwrap_or(u32::MAX),
    })
}

/// Gives the lists that have changed.
async fn of_ports(network: &Network, ports: &[String]) -> Result<BTreeSet<String>, Error> {
    let now = network.core.clock.now();
    crash_point!("stale.before_rewrite");
    let limited = publish_qos::limited(&network.core.db, ports).await?;
    if !limited.is_empty() {
        let mut tx = network.core.db.write().await?;
        publish_qos::ports(&mut tx, now, &limited).await?;
        tx.commit().await?;
    }
    let mut tx = network.core.db.guarded().await?;
    let edit = entries::edit(&mut tx, now).await?;
    stale::take_all(&mut tx, KIND_PORT, ports).await?;
    let lists = entries::write(&mut tx, &edit, ports).await?;
    finish(tx).await?;
    Ok(lists)
}

async fn of_other(network: &Network, kind: &str, id: &str) -> Result<(), Error> {
    let left = match kind {
        NETWORK_LEFT => Some(KIND_NETWORK),
        GROUP_LEFT => Some(KIND_SECURITY_GROUP),
        _other => None,
    };
    crash_point!("stale.before_rewrite");
    match (left, id.rsplit_once('/')) {
        (Some(of), Some((thing, host))) => of_left(network, (kind, id), (of, thing), host).await,
        _not_left => of_whole(network, kind, id).await,
    }
}

/// A document that a host may want no more.
async fn of_left(
    network: &Network,
    (kind, id): (&str, &str),
    thing: (&'static str, &str),
    host: &str,
) -> Result<(), Error> {
    let mut tx = network.core.db.guarded().await?;
    lists::hold_host(&mut tx, host).await?;
    stale::take(&mut tx, kind, id).await?;
    publish::drop_unwanted(&mut tx, network.core.clock.now(), thing, host).await?;
    finish(tx).await
}

/// What was told anew to a host while it changed.
async fn of_whole(network: &Network, kind: &str, id: &str) -> Result<(), Error> {
    let now = network.core.clock.now();
    let mut tx = network.core.db.write().await?;
    stale::take(&mut tx, kind, id).await?;
    match kind {
        KIND_NETWORK => publish::network_again(&mut tx, now, id).await?,
        KIND_SECURITY_GROUP => {
            publish::group_again(&mut tx, now, id).await?;
            stale::members(&mut tx, now, id).await?;
        }
        LIMITS => publish_qos::ports(&mut tx, now, &[id.to_owned()]).await?,
        _of_newer_release => {}
    }
    finish(tx).await
}

async fn finish(tx: Tx) -> Result<(), Error> {
    crash_point!("stale.before_commit");
    tx.commit().await?;
    crash_point!("stale.rewritten");
    Ok(())
}
