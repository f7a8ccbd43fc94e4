//! Identity as its clients see it.

mod access;
mod auth;
mod catalog;
mod cloud;
mod directory;
mod federation;
mod grants;
mod limits;
mod policy;
mod trusts;
