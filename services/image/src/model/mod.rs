//! What an image is. Pure.

pub(crate) mod address;
pub(crate) mod attribute;
pub(crate) mod image;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod metadef;
pub(crate) mod patch;
pub(crate) mod range;
pub(crate) mod schema;
