//! What happened to stacks and their resources.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::Timestamp;
use serde_json::Value;

use super::json as parsed;
use crate::model::stack::{Resource, Stack, StackId};

/// A stack remembers so many.
const KEEP: i64 = 2000;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub id: String,
    pub stack_id: StackId,
    pub seq: i64,
    pub resource_name: String,
    pub physical_id: Option<String>,
    pub kind: String,
    pub action: String,
    pub status: String,
    pub reason: String,
    pub properties: Value,
    pub created_at: Timestamp,
}

impl FromRow for Event {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            stack_id: row.get("stack_id")?,
            seq: row.get("seq")?,
            resource_name: row.get("resource_name")?,
            physical_id: row.get("physical_id")?,
            kind: row.get("kind")?,
            action: row.get("action")?,
            status: row.get("status")?,
            reason: row.get("reason")?,
            properties: parsed(row, "properties")?,
            created_at: row.get("created_at")?,
        })
    }
}

const SELECT: &str = "SELECT id, stack_id, seq, resource_name, physical_id, kind, action, status, reason, properties, created_at FROM events";

/// Notes what a resource has become, in the transaction that makes it so.
pub(crate) async fn of_resource(
    tx: &mut Tx,
    resource: &Resource,
    now: Timestamp,
) -> Result<(), Error> {
    let event = Event {
        id: String::new(),
        stack_id: resource.stack_id.clone(),
        seq: 0,
        resource_name: resource.name.clone(),
        physical_id: resource.physical_id.clone(),
        kind: resource.kind.clone(),
        action: resource.action.word().to_owned(),
        status: resource.status.word().to_owned(),
        reason: resource.reason.clone(),
        properties: Value::Object(resource.properties.clone()),
        created_at: now,
    };
    insert(tx, &event).await
}

/// Notes what a stack has become.
pub(crate) async fn of_stack(tx: &mut Tx, stack: &Stack, now: Timestamp) -> Result<(), Error> {
    let event = Event {
        id: String::new(),
        stack_id: stack.id.clone(),
        seq: 0,
        resource_name: stack.name.clone(),
        physical_id: Some(stack.id.0.clone()),
        kind: "OS::Heat::Stack".to_owned(),
        action: stack.action.word().to_owned(),
        status: stack.status.word().to_owned(),
        reason: stack.reason.clone(),
        properties: Value::Object(serde_json::Map::new()),
        created_at: now,
    };
    insert(tx, &event).await
}

async fn insert(tx: &mut Tx, event: &Event) -> Result<(), Error> {
    let last: Option<i64> = tx
        .fetch_opt(
            "SELECT seq FROM events WHERE stack_id = $1 ORDER BY seq DESC LIMIT 1",
            args![event.stack_id],
        )
        .await?;
    let seq = last.unwrap_or(0) + 1;
    tx.exec(
        "INSERT INTO events (id, stack_id, seq, resource_name, physical_id, kind, action, status, reason, properties, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        args![
            nephos_runtime::ids::uuid().to_string(),
            event.stack_id,
            seq,
            event.resource_name,
            event.physical_id,
            event.kind,
            event.action,
            event.status,
            event.reason,
            event.properties.to_string(),
            event.created_at,
        ],
    )
    .await?;
    if seq % 100 == 0 {
        let sql = "DELETE FROM events WHERE stack_id = $1 AND seq <= $2";
        tx.exec(sql, args![event.stack_id, seq - KEEP]).await?;
    }
    Ok(())
}

/// Which events are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventQuery {
    pub stacks: Vec<String>,
    pub resource: Option<String>,
    pub descending: bool,
    pub after: Option<Event>,
    pub limit: Option<u32>,
}

pub(crate) async fn page(db: &Db, query: &EventQuery) -> Result<Vec<Event>, Error> {
    let direction = if query.descending {
        Direction::Desc
    } else {
        Direction::Asc
    };
    let sort = vec![
        ("created_at", direction),
        ("stack_id", direction),
        ("seq", direction),
    ];
    let after = query
        .after
        .as_ref()
        .map(|event| args![event.created_at, event.stack_id, event.seq]);
    let select = Where::new(SELECT)
        .in_("stack_id", &query.stacks)
        .eq_opt("resource_name", query.resource.as_deref())
        .page(Page {
            sort,
            after,
            limit: query.limit,
        });
    db.fetch_where(&select).await
}

pub(crate) async fn find(db: &Db, id: &str) -> Result<Option<Event>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .pop())
}
