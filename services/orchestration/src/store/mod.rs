//! SQL: one file per aggregate.

pub(crate) mod events;
pub(crate) mod resources;
pub(crate) mod signals;
pub(crate) mod software;
pub(crate) mod stacks;

use nephos_db::{Error, Row};
use serde::de::DeserializeOwned;

/// A column that holds a JSON document.
fn json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, Error> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|why| Error::damaged(format!("{column}: {why}")))
}

/// A column that holds a JSON document, or nothing.
fn json_opt<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, Error> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| {
        serde_json::from_str(&text).map_err(|why| Error::damaged(format!("{column}: {why}")))
    })
    .transpose()
}

/// A column that holds one of a few words.
fn word<T>(row: &Row, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| Error::damaged(format!("{column}: {text}")))
}
