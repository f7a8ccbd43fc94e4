//! SQL. One file per thing; rows come with what belongs to them.

pub(crate) mod address_scopes;
pub(crate) mod check;
pub(crate) mod entries;
pub(crate) mod floating_ips;
pub(crate) mod hosts;
pub(crate) mod ips;
pub(crate) mod networks;
pub(crate) mod news;
pub(crate) mod port_links;
pub(crate) mod ports;
pub(crate) mod publish;
pub(crate) mod publish_qos;
pub(crate) mod publish_router;
pub(crate) mod qos;
pub(crate) mod quotas;
pub(crate) mod rbac;
pub(crate) mod routers;
pub(crate) mod rules;
pub(crate) mod runs;
pub(crate) mod security_groups;
pub(crate) mod stale;
pub(crate) mod subnet_pools;
pub(crate) mod subnets;
pub(crate) mod tags;
pub(crate) mod trunks;

use nephos_db::{Db, FromRow, Row, Tx, Where};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::refusal::Refusal;

/// Why a change was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] nephos_db::Error),
    /// The rules, or what is stored already, do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Where rows are read: outside a transaction, or in one, where its own changes are seen.
pub(crate) enum Reader<'a> {
    Db(&'a Db),
    Tx(&'a mut Tx),
}

impl Reader<'_> {
    pub async fn find<T: FromRow>(&mut self, query: &Where) -> Result<Vec<T>, nephos_db::Error> {
        match self {
            Self::Db(db) => db.fetch_where(query).await,
            Self::Tx(tx) => tx.fetch_where(query).await,
        }
    }

    /// The rows that belong to these ids, however many; no statement takes more values than both engines can.
    pub async fn find_for<T: FromRow>(
        &mut self,
        ids: &[String],
        query: impl Fn(&[String]) -> Where,
    ) -> Result<Vec<T>, nephos_db::Error> {
        const AT_ONCE: usize = 10_000;
        let mut found = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            found.extend(self.find(&query(some)).await?);
        }
        Ok(found)
    }
}

/// A column that holds JSON.
fn json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, nephos_db::Error> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|why| nephos_db::Error::damaged(format!("column {column}: {why}")))
}

/// What a JSON column gets.
fn text<T: Serialize>(value: &T) -> Result<String, nephos_db::Error> {
    serde_json::to_string(value).map_err(|why| nephos_db::Error::damaged(why.to_string()))
}

/// A column that holds an address, a range or the like.
fn parsed<T: std::str::FromStr>(row: &Row, column: &str) -> Result<T, nephos_db::Error> {
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|_| nephos_db::Error::damaged(format!("column {column} holds {text}")))
}

/// The same where empty means none.
fn parsed_opt<T: std::str::FromStr>(
    row: &Row,
    column: &str,
) -> Result<Option<T>, nephos_db::Error> {
    let text: String = row.get(column)?;
    if text.is_empty() {
        return Ok(None);
    }
    parsed(row, column).map(Some)
}

/// A pair of texts: an id and what belongs to it.
pub(crate) struct Pair(pub String, pub String);

impl FromRow for Pair {
    fn from_row(row: &Row) -> Result<Self, nephos_db::Error> {
        Ok(Self(row.get("a")?, row.get("b")?))
    }
}
