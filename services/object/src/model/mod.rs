//! What accounts, containers and objects are. Pure.

pub(crate) mod acl;
pub(crate) mod condition;
pub(crate) mod listing;
pub(crate) mod manifest;
pub(crate) mod meta;
pub(crate) mod names;
pub(crate) mod object;
pub(crate) mod range;
pub(crate) mod temp_url;
pub(crate) mod versions;
