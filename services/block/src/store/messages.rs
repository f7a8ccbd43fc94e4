//! Messages to users.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::Timestamp;

/// A message as stored.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub id: String,
    pub project_id: String,
    pub request_id: String,
    pub resource_type: String,
    pub resource_id: String,
    /// Cinder's number of what was done.
    pub action: String,
    /// Cinder's number of what happened.
    pub detail: String,
    pub words: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl FromRow for Message {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            request_id: row.get("request_id")?,
            resource_type: row.get("resource_type")?,
            resource_id: row.get("resource_id")?,
            action: row.get("action")?,
            detail: row.get("detail")?,
            words: row.get("words")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

const SELECT: &str = "SELECT id, project_id, request_id, resource_type, resource_id, action, detail, words, created_at, \
     expires_at FROM messages";

/// The keys that lists of messages can be sorted by.
pub(crate) const SORT_KEYS: &[&str] = &[
    "id",
    "event_id",
    "resource_uuid",
    "resource_type",
    "request_id",
    "created_at",
    "message_level",
];

pub(crate) async fn insert(tx: &mut Tx, message: &Message) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO messages (id, project_id, request_id, resource_type, resource_id, action, detail, words, \
         created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        args![
            message.id,
            message.project_id,
            message.request_id,
            message.resource_type,
            message.resource_id,
            message.action,
            message.detail,
            message.words,
            message.created_at,
            message.expires_at,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn find(db: &Db, id: &str) -> Result<Option<Message>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

/// A page of a project's messages, or of everybody's.
pub(crate) async fn page(
    db: &Db,
    project: &str,
    filters: &[(String, String)],
    (after, limit): (Option<&Message>, u32),
) -> Result<Vec<Message>, Error> {
    let mut select = Where::new(SELECT).eq("project_id", project);
    for (key, value) in filters {
        select = match key.as_str() {
            "resource_uuid" => select.eq("resource_id", value),
            "resource_type" => select.eq("resource_type", value),
            "request_id" => select.eq("request_id", value),
            "event_id" => select.raw(
                "'VOLUME_' || resource_type || '_' || action || '_' || detail = {}",
                args![value],
            ),
            _no_filter => select,
        };
    }
    let page = Page {
        sort: vec![("created_at", Direction::Desc), ("id", Direction::Desc)],
        after: after.map(|message| args![message.created_at, message.id]),
        limit: Some(limit),
    };
    db.fetch_where(&select.page(page)).await
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM messages WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Removes those whose time is over.
pub(crate) async fn prune(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    tx.exec("DELETE FROM messages WHERE expires_at < $1", args![now])
        .await?;
    Ok(())
}
