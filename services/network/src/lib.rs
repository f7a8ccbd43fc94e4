//! Nephos network.
