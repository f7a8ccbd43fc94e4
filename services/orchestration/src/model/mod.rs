//! What templates, environments and stacks are. Pure: no I/O, no clock.

pub(crate) mod change;
mod constraint;
mod custom;
pub(crate) mod earlier;
pub(crate) mod environment;
pub(crate) mod fact;
pub(crate) mod fitting;
mod follow;
pub(crate) mod function;
pub(crate) mod graph;
pub(crate) mod group;
pub(crate) mod kind;
mod kinds;
pub(crate) mod merge;
pub(crate) mod parameter;
mod pattern;
pub(crate) mod plan;
pub(crate) mod property;
pub(crate) mod reach;
pub(crate) mod refusal;
pub(crate) mod region;
pub(crate) mod scene;
pub(crate) mod stack;
pub(crate) mod template;
pub(crate) mod version;
pub(crate) mod yaml;
mod yaql;
