//! What identity keeps: pure data and rules.

pub(crate) mod access;
pub(crate) mod assignment;
pub(crate) mod catalog;
pub(crate) mod directory;
pub(crate) mod extra;
pub(crate) mod host;
pub(crate) mod key;
pub(crate) mod limit;
pub(crate) mod password;
pub(crate) mod trust;
