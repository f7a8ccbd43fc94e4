//! SQL: one file per table or aggregate.

pub(crate) mod attachments;
pub(crate) mod backends;
pub(crate) mod backups;
pub(crate) mod chains;
pub(crate) mod check;
pub(crate) mod encryption;
pub(crate) mod group_snapshots;
pub(crate) mod group_types;
pub(crate) mod groups;
pub(crate) mod layers;
pub(crate) mod messages;
pub(crate) mod metadata;
pub(crate) mod qos;
pub(crate) mod quota;
pub(crate) mod snapshots;
pub(crate) mod transfers;
pub(crate) mod types;
pub(crate) mod unmanaged;
pub(crate) mod volumes;
