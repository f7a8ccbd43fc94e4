//! Work that no request asks for.

pub(crate) mod bootstrap;
pub(crate) mod keys;
