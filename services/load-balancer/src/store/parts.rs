//! What load balancers are made of.

use std::collections::BTreeMap;

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::Timestamp;

use super::{Count, json, read, set_tags, text};
use crate::model::status::{Operating, Provisioning};
use crate::model::tree::{BalancerId, Detail, Kind, Part, PartId};

pub(super) const SELECT: &str = "SELECT id, kind, balancer_id, parent_id, project_id, name, description, enabled, \
     provisioning_status, operating_status, tags, detail, created_at, updated_at FROM parts";

impl FromRow for Part {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            balancer_id: row.get("balancer_id")?,
            parent_id: row.get("parent_id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            enabled: row.get("enabled")?,
            provisioning: read(row, "provisioning_status", Provisioning::parse)?,
            operating: read(row, "operating_status", Operating::parse)?,
            tags: json(row, "tags")?,
            detail: json(row, "detail")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// All of one load balancer, oldest first.
pub(super) fn of(id: &BalancerId) -> Where {
    Where::new(SELECT).eq("balancer_id", id).page(Page {
        sort: vec![("created_at", Direction::Asc), ("id", Direction::Asc)],
        ..Page::default()
    })
}

/// One of a kind; none that is of another.
pub(crate) async fn find(db: &Db, kind: Kind, id: &str) -> Result<Option<Part>, Error> {
    let query = Where::new(SELECT).eq("id", id).eq("kind", kind.as_str());
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

/// What lists are filtered by, beside what everything has.
struct Columns {
    protocol: String,
    port: i64,
    address: String,
    variant: String,
    pool_id: String,
}

impl Columns {
    fn of(part: &Part) -> Self {
        let mut columns = Self {
            protocol: String::new(),
            port: 0,
            address: String::new(),
            variant: String::new(),
            pool_id: String::new(),
        };
        match &part.detail {
            Detail::Listener(one) => {
                columns.protocol.clone_from(&one.protocol);
                columns.port = i64::from(one.protocol_port);
                columns.pool_id = one.default_pool_id.clone().unwrap_or_default();
            }
            Detail::Pool(one) => {
                columns.protocol.clone_from(&one.protocol);
                columns.variant.clone_from(&one.lb_algorithm);
            }
            Detail::Member(one) => {
                columns.address.clone_from(&one.address);
                columns.port = i64::from(one.protocol_port);
            }
            Detail::Monitor(one) => columns.variant.clone_from(&one.kind),
            Detail::Policy(one) => {
                columns.variant.clone_from(&one.action);
                columns.port = one.position;
                columns.pool_id = one.redirect_pool_id.clone().unwrap_or_default();
            }
            Detail::Rule(one) => {
                columns.variant.clone_from(&one.kind);
                columns.protocol.clone_from(&one.compare_type);
                columns.address.clone_from(&one.value);
            }
        }
        columns
    }
}

pub(crate) async fn insert(tx: &mut Tx, part: &Part) -> Result<(), Error> {
    let columns = Columns::of(part);
    tx.exec(
        "INSERT INTO parts (id, kind, balancer_id, parent_id, project_id, name, description, enabled, provisioning_status, \
         operating_status, tags, protocol, port, address, variant, pool_id, detail, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        args![
            part.id,
            part.kind().as_str(),
            part.balancer_id,
            part.parent_id,
            part.project_id,
            part.name,
            part.description,
            part.enabled,
            part.provisioning.as_str(),
            part.operating.as_str(),
            text(&part.tags)?,
            columns.protocol,
            columns.port,
            columns.address,
            columns.variant,
            columns.pool_id,
            text(&part.detail)?,
            part.created_at,
            part.updated_at,
        ],
    )
    .await?;
    set_tags(tx, part.id.as_str(), &part.tags).await
}

/// Writes what of one can change.
pub(crate) async fn update(tx: &mut Tx, part: &Part) -> Result<(), Error> {
    let columns = Columns::of(part);
    tx.exec(
        "UPDATE parts SET name = $1, description = $2, enabled = $3, provisioning_status = $4, operating_status = $5, \
         tags = $6, protocol = $7, port = $8, address = $9, variant = $10, pool_id = $11, detail = $12, updated_at = $13 \
         WHERE id = $14",
        args![
            part.name,
            part.description,
            part.enabled,
            part.provisioning.as_str(),
            part.operating.as_str(),
            text(&part.tags)?,
            columns.protocol,
            columns.port,
            columns.address,
            columns.variant,
            columns.pool_id,
            text(&part.detail)?,
            part.updated_at,
            part.id,
        ],
    )
    .await?;
    set_tags(tx, part.id.as_str(), &part.tags).await
}

/// Writes how some of them work, and nothing else.
pub(crate) async fn set_operating(
    tx: &mut Tx,
    changed: &[(&PartId, Operating)],
) -> Result<(), Error> {
    let mut by_status: BTreeMap<&'static str, Vec<&PartId>> = BTreeMap::new();
    for (id, status) in changed {
        by_status.entry(status.as_str()).or_default().push(id);
    }
    for (status, ids) in by_status {
        let change = Where::given("UPDATE parts SET operating_status = $1", args![status]);
        tx.exec_where(&change.in_("id", ids)).await?;
    }
    Ok(())
}

/// What was asked for is carried out: those that were to go are gone, and the others are as they should be.
pub(crate) async fn settle(tx: &mut Tx, balancer: &BalancerId) -> Result<(), Error> {
    for sql in [
        "DELETE FROM tags WHERE owner_id IN (SELECT id FROM parts WHERE balancer_id = $1 AND provisioning_status = 'PENDING_DELETE')",
        "DELETE FROM parts WHERE balancer_id = $1 AND provisioning_status = 'PENDING_DELETE'",
        "UPDATE parts SET provisioning_status = 'ACTIVE' WHERE balancer_id = $1 AND provisioning_status <> 'ACTIVE'",
    ] {
        tx.exec(sql, args![balancer]).await?;
    }
    Ok(())
}

/// What was asked for cannot be carried out. What is to go stays marked so.
pub(crate) async fn fail(tx: &mut Tx, balancer: &BalancerId) -> Result<(), Error> {
    tx.exec(
        "UPDATE parts SET provisioning_status = 'ERROR' WHERE balancer_id = $1 \
         AND provisioning_status IN ('PENDING_CREATE', 'PENDING_UPDATE')",
        args![balancer],
    )
    .await?;
    Ok(())
}

/// How many of a kind a project has.
pub(crate) async fn count(tx: &mut Tx, project: &str, kind: Kind) -> Result<i64, Error> {
    let query = Where::new("SELECT CAST(COUNT(*) AS BIGINT) AS number FROM parts")
        .eq("kind", kind.as_str())
        .eq("project_id", project);
    let found: Vec<Count> = tx.fetch_where(&query).await?;
    Ok(found.first().map_or(0, |count| count.0))
}

/// What hangs on what, for views.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub id: String,
    pub kind: String,
    pub balancer_id: String,
    pub parent_id: String,
    /// The pool that a listener or policy sends requests to.
    pub pool_id: String,
}

impl FromRow for Link {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            balancer_id: row.get("balancer_id")?,
            parent_id: row.get("parent_id")?,
            pool_id: row.get("pool_id")?,
        })
    }
}

/// What hangs on what in these load balancers, without what is being removed; oldest first.
pub(crate) async fn links<'a>(
    db: &Db,
    balancers: impl IntoIterator<Item = &'a BalancerId>,
) -> Result<Vec<Link>, Error> {
    let query =
        Where::new("SELECT id, kind, balancer_id, parent_id, pool_id, created_at FROM parts")
            .in_("balancer_id", balancers)
            .not_eq("provisioning_status", Provisioning::PendingDelete.as_str())
            .page(Page {
                sort: vec![("created_at", Direction::Asc), ("id", Direction::Asc)],
                ..Page::default()
            });
    db.fetch_where(&query).await
}

/// Marks one as changed at this time.
pub(crate) fn touch(part: &mut Part, now: Timestamp) {
    if part.provisioning != Provisioning::PendingCreate {
        part.provisioning = Provisioning::PendingUpdate;
    }
    part.updated_at = Some(now);
}
