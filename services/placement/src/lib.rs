//! Nephos placement.
