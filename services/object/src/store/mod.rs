//! SQL: one file per aggregate, one statement per function.

pub(crate) mod accounts;
pub(crate) mod blobs;
pub(crate) mod check;
pub(crate) mod containers;
pub(crate) mod listing;
pub(crate) mod objects;
pub(crate) mod owner;
pub(crate) mod uploads;

use nephos_db::{Error, Row};

use crate::model::meta::Meta;

/// A word of the database as our enum; another can only have been written by a newer version.
pub(crate) fn word<T>(parsed: Option<T>, what: &str, text: &str) -> Result<T, Error> {
    parsed.ok_or_else(|| Error::damaged(format!("{text} is no {what}")))
}

/// Metadata as it is stored.
pub(crate) fn meta(row: &Row) -> Result<Meta, Error> {
    let text: String = row.get("meta")?;
    serde_json::from_str(&text).map_err(|why| Error::damaged(why.to_string()))
}

/// JSON as it is stored.
pub(crate) fn json(meta: &Meta) -> String {
    serde_json::to_string(meta).unwrap_or_else(|_| "{}".to_owned())
}

/// What a change adds to the counts of a container and its account; negative, it takes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub objects: i64,
    pub bytes: i64,
}
