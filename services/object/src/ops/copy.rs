//! Copies an object without moving its bytes: both have the same files.

use super::publish::{Files, Next, Place};
use super::write::WriteError;
use crate::Svc;
use crate::model::object::{Facts, Object};
use crate::store::objects;

impl Svc {
    /// A plain object, or a manifest as such, in another place under other metadata.
    pub(crate) async fn copy(
        &self,
        source: &Object,
        place: &Place,
        facts: Facts,
    ) -> Result<Object, WriteError> {
        let extents = objects::extents(&self.core.db, &source.id).await?;
        let segments = objects::segments(&self.core.db, &source.id).await?;
        let segments =
            (!segments.is_empty()).then(|| serde_json::to_string(&segments).unwrap_or_default());
        let next = Next {
            facts,
            files: Files::Shared(extents),
            segments: segments.as_deref(),
        };
        self.put(place, next).await
    }
}
