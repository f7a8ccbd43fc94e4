//! SQL.

pub(crate) mod sessions;
