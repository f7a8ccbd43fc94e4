//! Identity as its clients see it.

mod access;
mod auth;
mod catalog;
mod cloud;
mod directory;
mod grants;
mod policy;
mod trusts;
