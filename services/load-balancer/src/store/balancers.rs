//! Load balancers.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use super::{Count, json, parts, read, set_tags, text};
use crate::model::status::{Operating, Provisioning};
use crate::model::tree::{Balancer, BalancerId, Tree, Vip};

pub(super) const SELECT: &str = "SELECT id, project_id, name, description, enabled, provisioning_status, operating_status, \
     provider, vip_address, vip_port_id, vip_subnet_id, vip_network_id, own_port, additional_vips, tags, host, left_host, \
     going, problem, created_at, updated_at FROM balancers";

impl FromRow for Balancer {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            enabled: row.get("enabled")?,
            provisioning: read(row, "provisioning_status", Provisioning::parse)?,
            operating: read(row, "operating_status", Operating::parse)?,
            provider: row.get("provider")?,
            vip: Vip {
                address: row.get("vip_address")?,
                port_id: row.get("vip_port_id")?,
                subnet_id: row.get("vip_subnet_id")?,
                network_id: row.get("vip_network_id")?,
                own_port: row.get("own_port")?,
                additional: json(row, "additional_vips")?,
            },
            tags: json(row, "tags")?,
            host: row.get("host")?,
            left_host: row.get("left_host")?,
            going: row.get("going")?,
            problem: row.get("problem")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

fn by_id(id: &BalancerId) -> Where {
    Where::new(SELECT).eq("id", id)
}

pub(crate) async fn find(db: &Db, id: &BalancerId) -> Result<Option<Balancer>, Error> {
    Ok(db.fetch_where(&by_id(id)).await?.into_iter().next())
}

pub(crate) async fn find_in(tx: &mut Tx, id: &BalancerId) -> Result<Option<Balancer>, Error> {
    Ok(tx.fetch_where(&by_id(id)).await?.into_iter().next())
}

/// A load balancer with all its parts.
pub(crate) async fn tree(db: &Db, id: &BalancerId) -> Result<Option<Tree>, Error> {
    let Some(balancer) = find(db, id).await? else {
        return Ok(None);
    };
    let parts = db.fetch_where(&parts::of(id)).await?;
    Ok(Some(Tree { balancer, parts }))
}

/// Likewise, as this transaction sees it.
pub(crate) async fn tree_in(tx: &mut Tx, id: &BalancerId) -> Result<Option<Tree>, Error> {
    let Some(balancer) = find_in(tx, id).await? else {
        return Ok(None);
    };
    let parts = tx.fetch_where(&parts::of(id)).await?;
    Ok(Some(Tree { balancer, parts }))
}

/// Those that live on a host and are not being deleted, a thousand at most.
pub(crate) async fn of_host(db: &Db, host: &str) -> Result<Vec<BalancerId>, Error> {
    let ids: Vec<String> = db
        .fetch_all(
            "SELECT id FROM balancers WHERE host = $1 AND NOT going ORDER BY id LIMIT 1000",
            args![host],
        )
        .await?;
    Ok(ids.into_iter().map(BalancerId::from).collect())
}

/// Those that failed for want of a host, a thousand at most.
pub(crate) async fn homeless(db: &Db) -> Result<Vec<BalancerId>, Error> {
    let ids: Vec<String> = db
        .fetch_all(
            "SELECT id FROM balancers WHERE host IS NULL AND provisioning_status = 'ERROR' AND NOT going ORDER BY id LIMIT 1000",
            args![],
        )
        .await?;
    Ok(ids.into_iter().map(BalancerId::from).collect())
}

/// Those that failed on a host that was heard of since then, a thousand at most.
pub(crate) async fn failed(db: &Db, since: Timestamp) -> Result<Vec<BalancerId>, Error> {
    let ids: Vec<String> = db
        .fetch_all(
            "SELECT id FROM balancers WHERE provisioning_status = 'ERROR' AND NOT going \
             AND host IN (SELECT host FROM hosts WHERE seen_at > $1) ORDER BY id LIMIT 1000",
            args![since],
        )
        .await?;
    Ok(ids.into_iter().map(BalancerId::from).collect())
}

/// Those whose deletion failed, a thousand at most.
pub(crate) async fn undeleted(db: &Db) -> Result<Vec<BalancerId>, Error> {
    let ids: Vec<String> = db
        .fetch_all(
            "SELECT id FROM balancers WHERE provisioning_status = 'ERROR' AND going ORDER BY id LIMIT 1000",
            args![],
        )
        .await?;
    Ok(ids.into_iter().map(BalancerId::from).collect())
}

/// How many are on their way from one host to another.
pub(crate) async fn moving(db: &Db) -> Result<i64, Error> {
    let query = Where::new("SELECT CAST(COUNT(*) AS BIGINT) AS number FROM balancers")
        .eq("provisioning_status", Provisioning::PendingUpdate.as_str())
        .raw("left_host IS NOT NULL", Vec::new());
    let found: Vec<Count> = db.fetch_where(&query).await?;
    Ok(found.first().map_or(0, |count| count.0))
}

/// Whether a port is the VIP of one.
pub(crate) async fn by_port(tx: &mut Tx, port: &str) -> Result<bool, Error> {
    let found: Option<String> = tx
        .fetch_opt(
            "SELECT id FROM balancers WHERE vip_port_id = $1",
            args![port],
        )
        .await?;
    Ok(found.is_some())
}

pub(crate) async fn insert(tx: &mut Tx, one: &Balancer) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO balancers (id, project_id, name, description, enabled, provisioning_status, operating_status, provider, \
         vip_address, vip_port_id, vip_subnet_id, vip_network_id, own_port, additional_vips, tags, host, left_host, going, problem, \
         created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
        args![
            one.id,
            one.project_id,
            one.name,
            one.description,
            one.enabled,
            one.provisioning.as_str(),
            one.operating.as_str(),
            one.provider,
            one.vip.address,
            one.vip.port_id,
            one.vip.subnet_id,
            one.vip.network_id,
            one.vip.own_port,
            text(&one.vip.additional)?,
            text(&one.tags)?,
            one.host,
            one.left_host,
            one.going,
            one.problem,
            one.created_at,
            one.updated_at,
        ],
    )
    .await?;
    set_tags(tx, one.id.as_str(), &one.tags).await
}

/// Writes what of one can change.
pub(crate) async fn update(tx: &mut Tx, one: &Balancer) -> Result<(), Error> {
    tx.exec(
        "UPDATE balancers SET name = $1, description = $2, enabled = $3, provisioning_status = $4, operating_status = $5, \
         vip_port_id = $6, tags = $7, host = $8, left_host = $9, going = $10, problem = $11, updated_at = $12 WHERE id = $13",
        args![
            one.name,
            one.description,
            one.enabled,
            one.provisioning.as_str(),
            one.operating.as_str(),
            one.vip.port_id,
            text(&one.tags)?,
            one.host,
            one.left_host,
            one.going,
            one.problem,
            one.updated_at,
            one.id,
        ],
    )
    .await?;
    set_tags(tx, one.id.as_str(), &one.tags).await
}

/// Writes how it works, and nothing else.
pub(crate) async fn set_operating(
    tx: &mut Tx,
    id: &BalancerId,
    status: Operating,
) -> Result<(), Error> {
    tx.exec(
        "UPDATE balancers SET operating_status = $1 WHERE id = $2",
        args![status.as_str(), id],
    )
    .await?;
    Ok(())
}

/// Removes it with everything that it is made of.
pub(crate) async fn remove(tx: &mut Tx, id: &BalancerId) -> Result<(), Error> {
    for sql in [
        "DELETE FROM tags WHERE owner_id = $1 OR owner_id IN (SELECT id FROM parts WHERE balancer_id = $1)",
        "DELETE FROM parts WHERE balancer_id = $1",
        "DELETE FROM balancers WHERE id = $1",
    ] {
        tx.exec(sql, args![id]).await?;
    }
    Ok(())
}

/// How many a project has.
pub(crate) async fn count(tx: &mut Tx, project: &str) -> Result<i64, Error> {
    let query = Where::new("SELECT CAST(COUNT(*) AS BIGINT) AS number FROM balancers");
    let found: Vec<Count> = tx.fetch_where(&query.eq("project_id", project)).await?;
    Ok(found.first().map_or(0, |count| count.0))
}

/// Marks one as changed at this time, with work to follow.
pub(crate) async fn touch(tx: &mut Tx, one: &mut Balancer, now: Timestamp) -> Result<(), Error> {
    if one.provisioning != Provisioning::PendingCreate {
        one.provisioning = Provisioning::PendingUpdate;
    }
    one.updated_at = Some(now);
    update(tx, one).await
}
