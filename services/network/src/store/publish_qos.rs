//! What hosts are told of how fast packets pass: it is part of what they are told of ports and routers.

use std::collections::BTreeSet;

use nephos_db::{Db, Error, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::port::Port;
use crate::store::{Pair, Reader, Result, ports as store, publish, publish_router, stale};

/// Ports that are read at a time.
const AT_ONCE: usize = 500;
/// Their hosts, and their ids; in the order in which whoever tells hosts of ports does.
const PLUGGED: &str =
    "SELECT p.host AS a, p.id AS b FROM ports p JOIN networks n ON n.id = p.network_id";

/// A policy says something else: so do all ports that it is for. There may be many, so they are looked at afterwards.
pub(crate) async fn policy(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    let marks = "INSERT INTO stale (mark, kind, id, since) SELECT $1 || p.id, $2, p.id, $3 FROM ports p \
         JOIN networks n ON n.id = p.network_id WHERE (p.host <> '' OR p.next_host <> '') \
         AND (p.qos_policy_id = $4 OR (p.qos_policy_id IS NULL AND n.qos_policy_id = $4))";
    stale::limits(tx, now, marks, id).await
}

/// A network has another policy: so have its ports that have none of their own, as above.
pub(crate) async fn network(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    let marks = "INSERT INTO stale (mark, kind, id, since) SELECT $1 || p.id, $2, p.id, $3 FROM ports p \
         WHERE (p.host <> '' OR p.next_host <> '') AND p.qos_policy_id IS NULL AND p.network_id = $4";
    stale::limits(tx, now, marks, id).await
}

/// Tells the hosts of these ports, in this order, what they are now.
pub(crate) async fn ports(tx: &mut Tx, now: Timestamp, ids: &[String]) -> Result<(), Error> {
    let mut routers = BTreeSet::new();
    for some in ids.chunks(AT_ONCE) {
        let query = store::query()
            .in_("p.id", some)
            .tail("ORDER BY p.host, p.id");
        let found: Vec<Port> = store::find(&mut Reader::Tx(tx), &query).await?;
        for port in found {
            if port.is_router() {
                routers.insert(port.device_id);
            } else {
                publish::port_again(tx, now, &port).await?;
            }
        }
    }
    for router in routers {
        publish_router::router(tx, now, &router).await?;
    }
    Ok(())
}

/// Those of these guests' ports that are limited, or whose hosts were told that they are. Whoever makes a port reads in
/// passing what limits it, and who changes that meanwhile does not see the port yet: it is looked at again.
pub(crate) async fn limited(db: &Db, ids: &[String]) -> Result<Vec<String>, Error> {
    let query = Where::new(PLUGGED)
        .in_("p.id", ids)
        .raw("p.host <> ''", args![])
        .raw(
            "(p.qos_policy_id IS NOT NULL OR n.qos_policy_id IS NOT NULL OR EXISTS (SELECT 1 FROM feed_items f \
             WHERE f.host = p.host AND f.kind = 'port' AND f.id = p.id AND f.spec LIKE '%\"limits\":%'))",
            args![],
        )
        .tail("ORDER BY p.host, p.id");
    let found: Vec<Pair> = db.fetch_where(&query).await?;
    Ok(found.into_iter().map(|Pair(_, id)| id).collect())
}
