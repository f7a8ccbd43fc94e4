//! Nephos image.
