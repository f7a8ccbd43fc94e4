//! The image service as clients see it.

mod data;
mod images;
mod kit;
mod lists;
mod members;
