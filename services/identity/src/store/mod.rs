//! SQL. One file per aggregate.

pub(crate) mod access;
pub(crate) mod assignments;
pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod documents;
pub(crate) mod groups;
pub(crate) mod hosts;
pub(crate) mod limits;
pub(crate) mod passwords;
pub(crate) mod policies;
pub(crate) mod projects;
pub(crate) mod revocations;
pub(crate) mod roles;
pub(crate) mod signing_keys;
pub(crate) mod snapshot;
pub(crate) mod trusts;
pub(crate) mod users;

use nephos_db::{Error, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A JSON column's text.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// A JSON column's value.
fn parse<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, Error> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|why| Error::damaged(format!("column {column}: {why}")))
}

/// An optional text that is stored as '' where it takes part in a unique index.
fn none_if_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
