//! Nephos compute.
