//! Checks on the source itself: arrows, sizes and words.
