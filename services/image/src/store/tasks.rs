//! What imports show of themselves.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::{RequestId, Timestamp};
use serde_json::Value;

use crate::model::image::{ImageId, TaskId};

/// An import as the tasks API shows it.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub id: TaskId,
    pub kind: String,
    pub status: String,
    pub owner: String,
    pub image_id: ImageId,
    pub user_id: String,
    pub request_id: RequestId,
    pub input: Value,
    pub result: Option<Value>,
    pub message: String,
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl FromRow for Task {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let parse = |text: String| {
            serde_json::from_str(&text).map_err(|why| Error::damaged(why.to_string()))
        };
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("type")?,
            status: row.get("status")?,
            owner: row.get("owner")?,
            image_id: row.get("image_id")?,
            user_id: row.get("user_id")?,
            request_id: row.get("request_id")?,
            input: parse(row.get("input")?)?,
            result: row
                .get::<Option<String>>("result")?
                .map(parse)
                .transpose()?,
            message: row.get("message")?,
            expires_at: row.get("expires_at")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

pub(crate) async fn insert(tx: &mut Tx, task: &Task) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO tasks (id, type, status, owner, image_id, user_id, request_id, input, result, message, \
         expires_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, $9, NULL, $10, $10)",
        args![
            task.id,
            task.kind,
            task.status,
            task.owner,
            task.image_id,
            task.user_id,
            task.request_id,
            task.input.to_string(),
            task.message,
            task.created_at,
        ],
    )
    .await?;
    Ok(())
}

/// How far a task is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress<'a> {
    pub status: &'static str,
    pub message: &'a str,
    pub expires_at: Option<Timestamp>,
    pub now: Timestamp,
}

/// A step of its life; once it has ended, nothing changes any more.
pub(crate) async fn update(tx: &mut Tx, id: &TaskId, progress: Progress<'_>) -> Result<(), Error> {
    let Progress {
        status,
        message,
        expires_at,
        now,
    } = progress;
    tx.exec(
        "UPDATE tasks SET status = $1, message = $2, expires_at = $3, updated_at = $4 WHERE id = $5 \
         AND status NOT IN ('success', 'failure')",
        args![status, message, expires_at, now, id],
    )
    .await?;
    Ok(())
}

/// The image is gone, and with it what was being done with it.
pub(crate) async fn end_of_image(
    tx: &mut Tx,
    image_id: &ImageId,
    expires_at: Timestamp,
) -> Result<(), Error> {
    tx.exec(
        "UPDATE tasks SET status = 'failure', message = 'The image was deleted.', expires_at = $1 \
         WHERE image_id = $2 AND status NOT IN ('success', 'failure')",
        args![expires_at, image_id],
    )
    .await?;
    Ok(())
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<Task>, Error> {
    db.fetch_opt(
        "SELECT id, type, status, owner, image_id, user_id, request_id, input, result, message, expires_at, \
         created_at, updated_at FROM tasks WHERE id = $1",
        args![id],
    )
    .await
}

pub(crate) async fn of_image(db: &Db, image_id: &ImageId) -> Result<Vec<Task>, Error> {
    db.fetch_all(
        "SELECT id, type, status, owner, image_id, user_id, request_id, input, result, message, expires_at, \
         created_at, updated_at FROM tasks WHERE image_id = $1 ORDER BY created_at DESC, id DESC",
        args![image_id],
    )
    .await
}

/// Which tasks are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskQuery {
    pub kind: Option<String>,
    pub status: Option<String>,
    pub sort: (&'static str, bool),
    pub limit: u32,
    pub after: Option<Task>,
}

pub(crate) async fn page(db: &Db, query: &TaskQuery) -> Result<Vec<Task>, Error> {
    let (column, descending) = query.sort;
    let direction = if descending {
        Direction::Desc
    } else {
        Direction::Asc
    };
    let after = query.after.as_ref().map(|task| {
        let value = match column {
            "updated_at" => args![task.updated_at],
            "status" => args![task.status],
            "type" => args![task.kind],
            _created => args![task.created_at],
        };
        value.into_iter().chain(args![task.id]).collect()
    });
    let select = Where::new(
        "SELECT id, type, status, owner, image_id, user_id, request_id, input, result, message, expires_at, \
         created_at, updated_at FROM tasks",
    )
    .eq_opt("type", query.kind.as_deref())
    .eq_opt("status", query.status.as_deref())
    .page(Page {
        sort: vec![(column, direction), ("id", direction)],
        after,
        limit: Some(query.limit),
    });
    db.fetch_where(&select).await
}

/// Forgets tasks whose time has come.
pub(crate) async fn remove_expired(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    let sql = "DELETE FROM tasks WHERE expires_at IS NOT NULL AND expires_at < $1";
    tx.exec(sql, args![now]).await?;
    Ok(())
}
