//! Copies an object without moving its bytes: both have the same files.

use super::publish::{Files, Next, Place};
use super::write::WriteError;
use crate::Svc;
use crate::model::object::{Facts, Object};

impl Svc {
    /// A plain object, or a manifest as such, in another place under other metadata.
    pub(crate) async fn copy(
        &self,
        source: &Object,
        place: &Place,
        facts: Facts,
    ) -> Result<Object, WriteError> {
        let next = Next {
            facts,
            files: Files::Shared(source.id.clone()),
            segments: None,
        };
        self.put(place, next).await
    }
}
