//! What things are: pure rules, no I/O, no clock.

pub(crate) mod body;
pub(crate) mod document;
pub(crate) mod health;
pub(crate) mod l7;
pub(crate) mod listener;
pub(crate) mod member;
pub(crate) mod monitor;
pub(crate) mod pool;
pub(crate) mod quota;
pub(crate) mod refusal;
pub(crate) mod render;
pub mod spec;
pub(crate) mod status;
pub(crate) mod tree;
pub(crate) mod words;
