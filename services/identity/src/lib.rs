//! Nephos identity.
