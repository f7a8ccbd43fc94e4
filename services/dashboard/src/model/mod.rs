//! What sessions and watched things are: pure, no I/O, no clock.

pub(crate) mod cookie;
pub(crate) mod kinds;
pub(crate) mod seal;
