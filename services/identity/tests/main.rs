//! Identity as its clients see it.

mod auth;
mod catalog;
mod cloud;
mod directory;
