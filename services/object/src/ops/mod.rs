//! What goes on behind requests: writing, reading, removing, and the housekeeping.

pub(crate) mod access;
pub(crate) mod check;
pub(crate) mod collect;
pub(crate) mod copy;
pub(crate) mod hold;
pub(crate) mod parts;
pub(crate) mod publish;
pub(crate) mod read;
pub(crate) mod remove;
pub(crate) mod sweep;
pub(crate) mod write;
