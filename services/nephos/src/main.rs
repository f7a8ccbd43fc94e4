//! The Nephos binary.
fn main() {}
