//! Resources of stacks.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::Timestamp;
use serde_json::{Value, json};

use super::{json as parsed, json_opt, word};
use crate::model::stack::{Action, Resource, ResourceId, StackId, Status};

impl FromRow for Resource {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            stack_id: row.get("stack_id")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            target: row.get("target")?,
            description: row.get("description")?,
            action: word(row, "action", Action::parse)?,
            status: word(row, "status", Status::parse)?,
            reason: row.get("reason")?,
            physical_id: row.get("physical_id")?,
            properties: parsed(row, "properties")?,
            changing_to: json_opt(row, "changing_to")?,
            data: parsed(row, "data")?,
            observed: parsed(row, "observed")?,
            metadata: parsed(row, "metadata")?,
            requires: parsed(row, "requires")?,
            generation: row.get("generation")?,
            superseded: row.get("superseded")?,
            retain: row.get("retain")?,
            external: row.get("external")?,
            held: row.get("held")?,
            cleared: row.get("cleared")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

const SELECT: &str = "SELECT id, stack_id, name, kind, target, description, action, status, reason, physical_id, properties, \
     changing_to, data, observed, metadata, requires, generation, superseded, retain, external, held, cleared, created_at, \
     updated_at FROM resources";

/// All of a stack, in the order of their making.
pub(crate) async fn of_stack(db: &Db, stack: &StackId) -> Result<Vec<Resource>, Error> {
    let sort = vec![
        ("created_at", Direction::Asc),
        ("name", Direction::Asc),
        ("id", Direction::Asc),
    ];
    let page = Page {
        sort,
        ..Page::default()
    };
    db.fetch_where(&Where::new(SELECT).eq("stack_id", stack).page(page))
        .await
}

/// The same, within a transaction.
pub(crate) async fn of_stack_in(tx: &mut Tx, stack: &StackId) -> Result<Vec<Resource>, Error> {
    tx.fetch_where(&Where::new(SELECT).eq("stack_id", stack))
        .await
}

/// The one of this name that is not superseded.
pub(crate) async fn named(db: &Db, stack: &StackId, name: &str) -> Result<Option<Resource>, Error> {
    let select = Where::new(SELECT)
        .eq("stack_id", stack)
        .eq("name", name)
        .eq("superseded", false);
    Ok(db.fetch_where(&select).await?.pop())
}

pub(crate) async fn find(db: &Db, id: &ResourceId) -> Result<Option<Resource>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .pop())
}

/// The same, within a transaction.
pub(crate) async fn find_in(tx: &mut Tx, id: &ResourceId) -> Result<Option<Resource>, Error> {
    Ok(tx
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .pop())
}

/// Those that are the thing of this id.
pub(crate) async fn by_physical_id(db: &Db, id: &str) -> Result<Vec<Resource>, Error> {
    db.fetch_where(&Where::new(SELECT).eq("physical_id", id))
        .await
}

/// A new one; nothing when there is one of this id or name already.
pub(crate) async fn insert(tx: &mut Tx, resource: &Resource) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO resources (id, stack_id, name, kind, target, description, action, status, reason, physical_id, properties, \
         changing_to, data, observed, metadata, requires, generation, superseded, retain, external, held, cleared, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, $12, $13, $14, $15, $16, $17, $18, $19, NULL, \
         NULL, $20, $20) ON CONFLICT DO NOTHING",
        args![
            resource.id,
            resource.stack_id,
            resource.name,
            resource.kind,
            resource.target,
            resource.description,
            resource.action.word(),
            resource.status.word(),
            resource.reason,
            resource.physical_id,
            Value::Object(resource.properties.clone()).to_string(),
            Value::Object(resource.data.clone()).to_string(),
            resource.observed.to_string(),
            resource.metadata.to_string(),
            json!(resource.requires).to_string(),
            resource.generation,
            resource.superseded,
            resource.retain,
            resource.external,
            resource.created_at,
        ],
    )
    .await?;
    Ok(())
}

/// Everything that changes in a resource's life.
pub(crate) async fn update(tx: &mut Tx, resource: &Resource, now: Timestamp) -> Result<(), Error> {
    tx.exec(
        "UPDATE resources SET kind = $1, target = $2, description = $3, action = $4, status = $5, reason = $6, physical_id = $7, \
         properties = $8, changing_to = $9, data = $10, observed = $11, metadata = $12, requires = $13, generation = $14, \
         superseded = $15, retain = $16, external = $17, held = $18, cleared = $19, updated_at = $20 WHERE id = $21",
        args![
            resource.kind,
            resource.target,
            resource.description,
            resource.action.word(),
            resource.status.word(),
            resource.reason,
            resource.physical_id,
            Value::Object(resource.properties.clone()).to_string(),
            resource.changing_to.clone().map(|map| Value::Object(map).to_string()),
            Value::Object(resource.data.clone()).to_string(),
            resource.observed.to_string(),
            resource.metadata.to_string(),
            json!(resource.requires).to_string(),
            resource.generation,
            resource.superseded,
            resource.retain,
            resource.external,
            resource.held,
            resource.cleared,
            now,
            resource.id,
        ],
    )
    .await?;
    Ok(())
}

/// Lets go of a resource that is held at a hook; false when it is held at none of this name.
pub(crate) async fn clear_hook(tx: &mut Tx, id: &ResourceId, hook: &str) -> Result<bool, Error> {
    let sql = "UPDATE resources SET held = NULL, cleared = $1 WHERE id = $2 AND held = $1";
    Ok(tx.exec(sql, args![hook, id]).await? == 1)
}

/// Says how a resource is: what somebody found, and what is kept in mind of it.
pub(crate) async fn set_health(tx: &mut Tx, row: &Resource, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE resources SET action = $1, status = $2, reason = $3, data = $4, updated_at = $5 WHERE id = $6";
    let data = Value::Object(row.data.clone()).to_string();
    tx.exec(
        sql,
        args![
            row.action.word(),
            row.status.word(),
            row.reason,
            data,
            now,
            row.id
        ],
    )
    .await?;
    Ok(())
}

/// A document that only the service knows.
pub(crate) async fn set_data(tx: &mut Tx, id: &ResourceId, data: &Value) -> Result<(), Error> {
    tx.exec(
        "UPDATE resources SET data = $1 WHERE id = $2",
        args![data.to_string(), id],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &ResourceId) -> Result<(), Error> {
    tx.exec("DELETE FROM resources WHERE id = $1", args![id])
        .await?;
    Ok(())
}
