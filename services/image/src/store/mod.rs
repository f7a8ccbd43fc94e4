//! SQL: one file per aggregate, one statement per function.

pub(crate) mod blobs;
pub(crate) mod check;
pub(crate) mod images;
pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod metadefs;
pub(crate) mod tasks;

use nephos_db::Error;

/// A word of the database as our enum; another can only have been written by a newer version.
pub(crate) fn word<T>(parsed: Option<T>, what: &str, text: &str) -> Result<T, Error> {
    parsed.ok_or_else(|| Error::damaged(format!("{text} is no {what}")))
}
