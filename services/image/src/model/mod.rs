//! What an image is. Pure.

pub(crate) mod attribute;
pub(crate) mod image;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod patch;
pub(crate) mod range;
