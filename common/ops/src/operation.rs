//! The row of a piece of durable work.

use nephos_auth::Caller;
use nephos_db::{Db, Error, FromRow, Row, args};
use nephos_types::{RequestId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

nephos_types::id! {
    /// A piece of durable work.
    OperationId
}

/// A piece of durable work.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// Which reconciler drives it: `server.boot`.
    pub kind: String,
    /// The resource it works on; one live operation per resource.
    pub resource_id: String,
    /// The last step that wrote something, for people.
    pub step: String,
    /// What the request asked for.
    pub args: Value,
    /// Who asked, frozen: the decision, without the token.
    pub caller: Caller,
    /// The request that asked.
    pub request_id: RequestId,
    /// Failed tries of the present step.
    pub attempt: i64,
    /// When it is given up.
    pub deadline: Timestamp,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Changes whenever somebody has news for it.
    pub(crate) nudges: i64,
}

impl Operation {
    /// What the request asked for, as `T`.
    ///
    /// # Errors
    /// When the arguments have another form, as after a wrong upgrade.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, crate::StepError> {
        T::deserialize(&self.args).map_err(|why| {
            crate::StepError::Permanent(format!(
                "the arguments of the operation are damaged: {why}"
            ))
        })
    }
}

impl FromRow for Operation {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let args: String = row.get("args")?;
        let caller: String = row.get("caller")?;
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            resource_id: row.get("resource_id")?,
            step: row.get("step")?,
            args: parsed(&args)?,
            caller: parsed(&caller)?,
            request_id: row.get("request_id")?,
            attempt: row.get("attempt")?,
            deadline: row.get("deadline")?,
            created_at: row.get("created_at")?,
            finished_at: row.get("finished_at")?,
            nudges: row.get("nudges")?,
        })
    }
}

/// What became of a piece of durable work, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Brief {
    /// Its id.
    pub id: String,
    /// `server.boot`.
    pub kind: String,
    /// The resource it works on.
    pub resource_id: String,
    /// The last step that wrote something.
    pub step: String,
    /// Failed tries of the present step.
    pub attempt: i64,
    /// When it was asked for, in microseconds since 1970.
    pub created_at: i64,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
}

impl FromRow for Brief {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            resource_id: row.get("resource_id")?,
            step: row.get("step")?,
            attempt: row.get("attempt")?,
            created_at: row.get("created_at")?,
            finished_at: row.get("finished_at")?,
            error: row.get("error")?,
        })
    }
}

/// What a request began, the oldest first; 200 at most. Reads all operations that are kept: for people who ask now and
/// then.
///
/// # Errors
/// When the database refuses.
pub async fn of_request(db: &Db, id: &str) -> Result<Vec<Brief>, Error> {
    db.fetch_all(
        "SELECT id, kind, resource_id, step, attempt, created_at, finished_at, error FROM operations \
         WHERE request_id = $1 ORDER BY created_at, id LIMIT 200",
        args![id],
    )
    .await
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|why| Error::damaged(why.to_string()))
}
