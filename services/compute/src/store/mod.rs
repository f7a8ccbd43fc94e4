//! SQL. One file per aggregate; one function, one statement.

pub(crate) mod actions;
pub(crate) mod aggregates;
pub(crate) mod check;
pub(crate) mod consoles;
pub(crate) mod flavors;
pub(crate) mod guest_passwords;
pub(crate) mod hosts;
pub(crate) mod keypairs;
pub(crate) mod late_ports;
pub(crate) mod migrations;
pub(crate) mod quota;
pub(crate) mod server_groups;
pub(crate) mod servers;
pub(crate) mod standings;

use nephos_db::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A column that holds JSON.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|why| Error::damaged(why.to_string()))
}

/// What such a column holds.
pub(crate) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|why| Error::damaged(why.to_string()))
}
