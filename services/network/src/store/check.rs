//! What does not fit together inside this service; `nephos fsck` asks.

use std::collections::{BTreeMap, BTreeSet};

use nephos_db::{Db, Error, FromRow, Row, args};
use nephos_types::Finding;

use crate::model::spec::{
    KIND_NETWORK, KIND_PORT, KIND_REMOTE_PORT, KIND_ROUTER, KIND_SECURITY_GROUP,
};
use crate::store::publish::place;
use crate::store::{Reader, ips, ports, quotas, trunks};

/// Everything that does not fit.
pub(crate) async fn run(db: &Db) -> Result<Vec<Finding>, Error> {
    let mut found = quotas_of(db).await?;
    for orphan in ips::orphans(db).await? {
        found.push(Finding {
            what: format!(
                "address {} in subnet {} belongs to no port",
                orphan.fixed.ip_address, orphan.fixed.subnet_id
            ),
            id: orphan.port_id,
            hint: "delete the row of port_ips".to_owned(),
        });
    }
    found.extend(floating_nowhere(db).await?);
    found.extend(feed_without_owner(db).await?);
    found.extend(ports_not_told(db).await?);
    found.extend(ports_not_listed(db).await?);
    found.extend(lists_unread(db).await?);
    let elsewhere = |id| Finding {
        what: "subport is not where its trunk's port is".to_owned(),
        id,
        hint: "take it from its trunk and give it again".to_owned(),
    };
    found.extend(trunks::elsewhere(db).await?.into_iter().map(elsewhere));
    Ok(found)
}

/// Floating IPs that lead to an address which their port does not have.
async fn floating_nowhere(db: &Db) -> Result<Vec<Finding>, Error> {
    let ids: Vec<String> = db
        .fetch_all(
            "SELECT f.id FROM floating_ips f WHERE f.port_id IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM port_ips i WHERE i.port_id = f.port_id AND i.ip = f.fixed_ip) ORDER BY f.id",
            args![],
        )
        .await?;
    let finding = |id| Finding {
        what: "floating IP leads to an address that its port does not have".to_owned(),
        id,
        hint: "take it from its port and give it again".to_owned(),
    };
    Ok(ids.into_iter().map(finding).collect())
}

async fn quotas_of(db: &Db) -> Result<Vec<Finding>, Error> {
    let table = |amounts: Vec<quotas::Amount>| -> BTreeMap<(String, String), i64> {
        amounts
            .into_iter()
            .map(|amount| ((amount.project_id, amount.resource), amount.amount))
            .collect()
    };
    let (counted, noted) = (
        table(quotas::count(db).await?),
        table(quotas::usage(&mut Reader::Db(db), None).await?),
    );
    let keys: BTreeSet<_> = counted.keys().chain(noted.keys()).cloned().collect();
    let mut found = Vec::new();
    for key in keys {
        let (is, says) = (
            counted.get(&key).copied().unwrap_or(0),
            noted.get(&key).copied().unwrap_or(0),
        );
        let (project, resource) = key;
        // What the cloud itself owns has no project and no quota.
        if is != says && !project.is_empty() {
            found.push(Finding {
                what: format!("quota of {resource} says {says}, there are {is}"),
                id: project,
                hint: format!("add {} to used in a row of quota_usage", is - says),
            });
        }
    }
    Ok(found)
}

struct Item {
    host: String,
    kind: String,
    id: String,
}

impl FromRow for Item {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            host: row.get("host")?,
            kind: row.get("kind")?,
            id: row.get("id")?,
        })
    }
}

/// Documents on hosts for things that are not there.
async fn feed_without_owner(db: &Db) -> Result<Vec<Finding>, Error> {
    let items: Vec<Item> = db
        .fetch_all(
            "SELECT f.host, f.kind, f.id FROM feed_items f WHERE f.spec IS NOT NULL AND ( \
             (f.kind = $1 AND NOT EXISTS (SELECT 1 FROM networks n WHERE n.id = f.id)) OR \
             (f.kind = $2 AND NOT EXISTS (SELECT 1 FROM ports p WHERE p.id = f.id AND (p.host = f.host OR p.next_host = f.host))) OR \
             (f.kind = $3 AND NOT EXISTS (SELECT 1 FROM routers r WHERE r.id = f.id AND r.host = f.host)) OR \
             (f.kind = $4 AND NOT EXISTS (SELECT 1 FROM security_groups g WHERE g.id = f.id))) ORDER BY f.host, f.id",
            args![KIND_NETWORK, KIND_PORT, KIND_ROUTER, KIND_SECURITY_GROUP],
        )
        .await?;
    Ok(items
        .into_iter()
        .map(|item| Finding {
            what: format!(
                "host {} is told of a {} that does not exist there",
                item.host, item.kind
            ),
            id: item.id,
            hint: "delete the row of feed_items, or mark the thing in stale".to_owned(),
        })
        .collect())
}

/// Ports that are bound to a host which has not been told.
async fn ports_not_told(db: &Db) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    for port in ports::on_hosts(db).await? {
        if port.is_router() {
            continue;
        }
        let spot = place(&port.host, KIND_PORT, &port.id);
        if nephos_ops::feed::published(db, spot).await?.is_none() {
            found.push(Finding {
                what: format!(
                    "port is bound to host {} which has not been told",
                    port.host
                ),
                id: port.id,
                hint: "update the port, which tells the host again".to_owned(),
            });
        }
    }
    Ok(found)
}

/// Ports of which other hosts do not know where they are, or of which they know though they are gone.
async fn ports_not_listed(db: &Db) -> Result<Vec<Finding>, Error> {
    let wrong: Vec<String> = db
        .fetch_all(
            "SELECT p.id FROM ports p JOIN hosts h ON h.host = p.host WHERE NOT EXISTS \
             (SELECT 1 FROM feed_entries e WHERE e.kind = $1 AND e.list = p.network_id AND e.name = p.id AND e.spec IS NOT NULL) \
             AND NOT EXISTS (SELECT 1 FROM stale s WHERE s.kind = $2 AND s.id = p.id) \
             UNION SELECT e.name FROM feed_entries e WHERE e.spec IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM ports p WHERE p.id = e.name) AND NOT EXISTS (SELECT 1 FROM stale s WHERE s.kind = $2 AND s.id = e.name)",
            args![KIND_REMOTE_PORT, KIND_PORT],
        )
        .await?;
    let finding = |id| Finding {
        what: "other hosts are told wrongly where the port is".to_owned(),
        id,
        hint: "update the port, which tells them again".to_owned(),
    };
    Ok(wrong.into_iter().map(finding).collect())
}

/// Documents on hosts without the lists that go with them.
async fn lists_unread(db: &Db) -> Result<Vec<Finding>, Error> {
    let items: Vec<Item> = db
        .fetch_all(
            "SELECT f.host, f.kind, f.id FROM feed_items f WHERE f.spec IS NOT NULL AND f.kind IN ($1, $2) AND NOT EXISTS \
             (SELECT 1 FROM feed_readers r WHERE r.host = f.host AND r.list = f.id) ORDER BY f.host, f.id",
            args![KIND_NETWORK, KIND_SECURITY_GROUP],
        )
        .await?;
    Ok(items
        .into_iter()
        .map(|item| Finding {
            what: format!(
                "host {} is not told of the ports of a {} it knows",
                item.host, item.kind
            ),
            id: item.id,
            hint: "add the row of feed_readers, with the host's revision in feed_hosts".to_owned(),
        })
        .collect())
}
