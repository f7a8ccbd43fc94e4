//! Software configurations and deployments.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::Timestamp;
use serde_json::{Map, Value};

use super::json as parsed;

/// A configuration; it never changes.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub id: String,
    pub project_id: String,
    pub name: String,
    pub group: String,
    /// `config`, `inputs`, `outputs`, `options`.
    pub body: Value,
    pub created_at: Timestamp,
}

impl FromRow for Config {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            group: row.get("config_group")?,
            body: parsed(row, "body")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// A configuration on its way to a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deployment {
    pub id: String,
    pub project_id: String,
    pub server_id: String,
    pub config_id: String,
    pub input_values: Map<String, Value>,
    pub output_values: Map<String, Value>,
    pub action: String,
    pub status: String,
    pub status_reason: String,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
}

impl FromRow for Deployment {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            server_id: row.get("server_id")?,
            config_id: row.get("config_id")?,
            input_values: parsed(row, "input_values")?,
            output_values: parsed(row, "output_values")?,
            action: row.get("action")?,
            status: row.get("status")?,
            status_reason: row.get("status_reason")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

const CONFIGS: &str =
    "SELECT id, project_id, name, config_group, body, created_at FROM software_configs";
const DEPLOYMENTS: &str = "SELECT id, project_id, server_id, config_id, input_values, output_values, action, status, status_reason, \
     created_at, updated_at FROM software_deployments";

pub(crate) async fn find_config(db: &Db, project: &str, id: &str) -> Result<Option<Config>, Error> {
    Ok(db
        .fetch_where(&Where::new(CONFIGS).eq("id", id).eq("project_id", project))
        .await?
        .pop())
}

/// A page of a project's, oldest first, behind the one that `after` is.
pub(crate) async fn page_configs(
    db: &Db,
    project: &str,
    after: Option<&Config>,
    limit: u32,
) -> Result<Vec<Config>, Error> {
    let sort = vec![("created_at", Direction::Asc), ("id", Direction::Asc)];
    let after = after.map(|config| args![config.created_at, config.id]);
    db.fetch_where(&Where::new(CONFIGS).eq("project_id", project).page(Page {
        sort,
        after,
        limit: Some(limit),
    }))
    .await
}

/// A new one; nothing when it is there.
pub(crate) async fn insert_config(tx: &mut Tx, config: &Config) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO software_configs (id, project_id, name, config_group, body, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT DO NOTHING",
        args![config.id, config.project_id, config.name, config.group, config.body.to_string(), config.created_at],
    )
    .await?;
    Ok(())
}

/// Removes one unless a deployment uses it; false when it is used or not there.
pub(crate) async fn remove_config(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM software_configs WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM software_deployments WHERE config_id = $1)";
    Ok(tx.exec(sql, args![id]).await? == 1)
}

pub(crate) async fn find_deployment(db: &Db, id: &str) -> Result<Option<Deployment>, Error> {
    Ok(db
        .fetch_where(&Where::new(DEPLOYMENTS).eq("id", id))
        .await?
        .pop())
}

/// A project's, all or of one server, oldest first.
pub(crate) async fn deployments(
    db: &Db,
    project: &str,
    server: Option<&str>,
) -> Result<Vec<Deployment>, Error> {
    let sort = vec![("created_at", Direction::Asc), ("id", Direction::Asc)];
    let page = Page {
        sort,
        after: None,
        limit: Some(1000),
    };
    db.fetch_where(
        &Where::new(DEPLOYMENTS)
            .eq("project_id", project)
            .eq_opt("server_id", server)
            .page(page),
    )
    .await
}

/// A new one; nothing when it is there.
pub(crate) async fn insert_deployment(tx: &mut Tx, deployment: &Deployment) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO software_deployments (id, project_id, server_id, config_id, input_values, output_values, action, status, \
         status_reason, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL) ON CONFLICT DO NOTHING",
        args![
            deployment.id,
            deployment.project_id,
            deployment.server_id,
            deployment.config_id,
            Value::Object(deployment.input_values.clone()).to_string(),
            Value::Object(deployment.output_values.clone()).to_string(),
            deployment.action,
            deployment.status,
            deployment.status_reason,
            deployment.created_at,
        ],
    )
    .await?;
    Ok(())
}

/// Makes sure that a deployment that was read is still as it was.
pub(crate) async fn still(tx: &mut Tx, before: &Deployment) -> Result<(), Error> {
    tx.still(&Where::new(DEPLOYMENTS).eq("id", &before.id), before)
        .await
}

/// Makes sure that a configuration that was seen is still there.
pub(crate) async fn config_there(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "SELECT id FROM software_configs WHERE id = $1";
    tx.still_there(sql, args![id]).await
}

pub(crate) async fn update_deployment(
    tx: &mut Tx,
    deployment: &Deployment,
    now: Timestamp,
) -> Result<(), Error> {
    tx.exec(
        "UPDATE software_deployments SET config_id = $1, input_values = $2, output_values = $3, action = $4, status = $5, \
         status_reason = $6, updated_at = $7 WHERE id = $8",
        args![
            deployment.config_id,
            Value::Object(deployment.input_values.clone()).to_string(),
            Value::Object(deployment.output_values.clone()).to_string(),
            deployment.action,
            deployment.status,
            deployment.status_reason,
            now,
            deployment.id,
        ],
    )
    .await?;
    Ok(())
}

/// Those that still wait for their server fail: whoever waited for them has given up.
pub(crate) async fn fail_waiting(tx: &mut Tx, id: &str, reason: &str) -> Result<(), Error> {
    let sql = "UPDATE software_deployments SET status = 'FAILED', status_reason = $1 WHERE id = $2 AND status = 'IN_PROGRESS'";
    tx.exec(sql, args![reason, id]).await?;
    Ok(())
}

/// Removes one; false when it is not there.
pub(crate) async fn remove_deployment(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    Ok(tx
        .exec("DELETE FROM software_deployments WHERE id = $1", args![id])
        .await?
        == 1)
}
