//! What block storage is about: pure rules.

pub(crate) mod attachment;
pub(crate) mod backend;
pub(crate) mod backup;
pub(crate) mod body;
pub(crate) mod encryption;
pub(crate) mod group;
pub(crate) mod layer;
pub(crate) mod list;
pub(crate) mod message;
pub(crate) mod qos;
pub(crate) mod quota;
pub(crate) mod snapshot;
pub(crate) mod transfer;
pub(crate) mod volume;
pub(crate) mod volume_type;
