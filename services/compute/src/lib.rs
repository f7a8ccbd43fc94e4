//! Nephos compute.

pub mod agent;
pub mod driver;
pub mod model;
