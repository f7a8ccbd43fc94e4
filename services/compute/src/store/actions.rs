//! The history of a server: what was asked for, by whom, and what came of it.

use nephos_auth::Caller;
use nephos_db::{Arg, Db, Error, FromRow, Row, Tx, args};
use nephos_types::{RequestId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{json, parsed};
use crate::model::spec::ServerId;

/// Something that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub action: String,
    pub server_id: ServerId,
    pub request_id: String,
    pub user_id: String,
    pub project_id: String,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    pub message: Option<String>,
    pub events: Vec<Event>,
}

/// A part of the work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub event: String,
    pub start_time: i64,
    pub finish_time: Option<i64>,
    pub result: Option<String>,
    pub host: Option<String>,
    /// What went wrong, for people.
    #[serde(default)]
    pub details: Option<String>,
}

impl FromRow for Action {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            action: row.get("action")?,
            server_id: row.get("server_id")?,
            request_id: row.get("request_id")?,
            user_id: row.get("user_id")?,
            project_id: row.get("project_id")?,
            started_at: row.get("started_at")?,
            updated_at: row.get("updated_at")?,
            message: row.get("message")?,
            events: parsed(&row.get::<String>("events")?)?,
        })
    }
}

/// Who asked for an action, when, under which request id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub caller: &'a Caller,
    pub request_id: &'a RequestId,
    pub at: Timestamp,
}

pub(crate) async fn insert(
    tx: &mut Tx,
    server: &ServerId,
    action: &str,
    asked: Asked<'_>,
) -> Result<(), Error> {
    insert_all(tx, &[server], action, asked).await
}

/// The same action of several servers.
pub(crate) async fn insert_all(
    tx: &mut Tx,
    servers: &[&ServerId],
    action: &str,
    asked: Asked<'_>,
) -> Result<(), Error> {
    let row = |server: &&ServerId| {
        args![
            nephos_runtime::ids::uuid().to_string(),
            server,
            action,
            asked.request_id,
            asked.caller.user_id,
            asked
                .caller
                .project_id()
                .map_or("", |project| project.as_str()),
            asked.at,
            asked.at,
            "[]",
        ]
    };
    let rows: Vec<Vec<Arg>> = servers.iter().map(row).collect();
    tx.exec_rows(
        "INSERT INTO actions (id, server_id, action, request_id, user_id, project_id, started_at, updated_at, events)",
        &rows,
        "",
    )
    .await?;
    Ok(())
}

/// What came of the action of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome<'a> {
    pub server: &'a ServerId,
    pub request_id: &'a RequestId,
    pub event: &'a str,
    pub host: Option<&'a str>,
    /// None: it went well.
    pub failure: Option<&'a str>,
    pub started_at: Timestamp,
    pub at: Timestamp,
}

pub(crate) async fn finish(tx: &mut Tx, outcome: Outcome<'_>) -> Result<(), Error> {
    let event = Event {
        event: outcome.event.to_owned(),
        start_time: outcome.started_at.0,
        finish_time: Some(outcome.at.0),
        result: Some(
            if outcome.failure.is_some() {
                "Error"
            } else {
                "Success"
            }
            .to_owned(),
        ),
        host: outcome.host.map(str::to_owned),
        details: outcome.failure.map(str::to_owned),
    };
    tx.exec(
        "UPDATE actions SET finished_at = $1, updated_at = $1, message = $2, events = $3 \
         WHERE server_id = $4 AND request_id = $5 AND finished_at IS NULL",
        args![
            outcome.at,
            outcome.failure.map(|_| "Error"),
            json(&[event])?,
            outcome.server,
            outcome.request_id,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn list(db: &Db, server: &str) -> Result<Vec<Action>, Error> {
    db.fetch_all(
        "SELECT action, server_id, request_id, user_id, project_id, started_at, updated_at, message, events \
         FROM actions WHERE server_id = $1 ORDER BY started_at DESC, id DESC LIMIT 1000",
        args![server],
    )
    .await
}

pub(crate) async fn get(db: &Db, server: &str, request: &str) -> Result<Option<Action>, Error> {
    db.fetch_opt(
        "SELECT action, server_id, request_id, user_id, project_id, started_at, updated_at, message, events \
         FROM actions WHERE server_id = $1 AND request_id = $2 ORDER BY started_at DESC LIMIT 1",
        args![server, request],
    )
    .await
}

/// Whose server it is or was: of whoever made it.
pub(crate) async fn owner(db: &Db, server: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT project_id FROM actions WHERE server_id = $1 ORDER BY started_at, id LIMIT 1";
    db.fetch_opt(sql, args![server]).await
}

pub(crate) async fn prune(tx: &mut Tx, before: Timestamp) -> Result<(), Error> {
    tx.exec("DELETE FROM actions WHERE started_at < $1", args![before])
        .await?;
    Ok(())
}
