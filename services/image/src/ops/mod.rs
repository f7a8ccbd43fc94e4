//! Work on image data: imports and removals that outlive a request, uploads inside one, and recovery.

mod check;
pub(crate) mod fetch;
pub(crate) mod import;
pub(crate) mod recover;
pub(crate) mod remove;
pub(crate) mod upload;

use nephos_ops::Reconcilers;

use crate::Svc;

/// What the service's workers listen to.
pub(crate) const TOPIC: &str = "image.ops";
/// Removals are tried for a week: a store that is away comes back sooner.
pub(crate) const REMOVE_WITHIN_SECS: i64 = 7 * 24 * 3600;

pub(crate) fn reconcilers() -> Reconcilers<Svc> {
    Reconcilers::new()
        .with(import::Import)
        .with(remove::RemoveImage)
        .with(remove::RemoveBlob)
}
