//! Removes bytes: all of a deleted image, or one blob that is not wanted any more.

use std::time::Duration;

use nephos_auth::{Caller, Scope};
use nephos_db::Tx;
use nephos_ops::{
    EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, StepError, enqueue, supersede,
};
use nephos_runtime::crash_point;
use nephos_types::{RequestId, Timestamp};
use serde_json::json;
use tracing::error;

use super::{REMOVE_WITHIN_SECS, TOPIC};
use crate::Svc;
use crate::model::image::{BlobId, BlobState, ImageId};
use crate::store::blobs::{self, Blob};

/// How soon a blob is looked at again that a request may still be writing.
const WRITER_PAUSE: Duration = Duration::from_secs(5);

/// Removes every blob of an image that was deleted.
pub(crate) struct RemoveImage;

/// Removes one blob.
pub(crate) struct RemoveBlob;

/// Begins the removal of a deleted image's bytes in place of whatever else was under way with it.
pub(crate) async fn request_image(
    tx: &mut Tx,
    now: Timestamp,
    id: &ImageId,
    (caller, request_id): (&Caller, &RequestId),
) -> Result<(), EnqueueError> {
    let new = New {
        topic: TOPIC,
        kind: <RemoveImage as Reconcile<Svc>>::KIND,
        resource_id: id.as_str(),
        args: json!({}),
        caller,
        request_id,
        deadline_secs: REMOVE_WITHIN_SECS,
    };
    supersede(tx, now, new).await.map(|_operation| ())
}

/// Dooms a blob and begins its removal.
pub(crate) async fn request_blob(
    tx: &mut Tx,
    now: Timestamp,
    id: &BlobId,
) -> Result<(), EnqueueError> {
    if !blobs::doom(tx, id).await? {
        return Ok(());
    }
    // The service's own wish: nobody else may ask for it, and nobody else is answered.
    let new = New {
        topic: TOPIC,
        kind: <RemoveBlob as Reconcile<Svc>>::KIND,
        resource_id: id.as_str(),
        args: json!({}),
        caller: &Caller::new("", Scope::Unscoped, &[]),
        request_id: &nephos_runtime::ids::request_id(),
        deadline_secs: REMOVE_WITHIN_SECS,
    };
    enqueue(tx, now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for RemoveImage {
    const KIND: &'static str = "image.remove";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = ImageId::from(op.resource_id.as_str());
        let left = blobs::of_image(cx.db(), &id).await?;
        let written =
            |blob: &&Blob| blob.state == BlobState::Writing && blob.writer_until > cx.now();
        // A request that is still writing finds out that its image is gone, and cleans up itself.
        if let Some(blob) = left.iter().find(|blob| !written(blob)) {
            remove_bytes(cx, blob).await?;
            let mut tx = cx.write("remove").await?;
            blobs::remove(&mut tx, &blob.id).await?;
            tx.commit().await?;
            crash_point!("image.remove.forgotten");
            return Ok(Next::Again);
        }
        if left.is_empty() {
            Ok(Next::Done)
        } else {
            Ok(Next::After(WRITER_PAUSE))
        }
    }

    async fn failed(
        &self,
        _cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        error!(
            image = op.resource_id,
            why = failure.message,
            "image data cannot be removed"
        );
        Ok(())
    }
}

impl Reconcile<Svc> for RemoveBlob {
    const KIND: &'static str = "blob.remove";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = BlobId::from(op.resource_id.as_str());
        let Some(blob) = blobs::get(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        remove_bytes(cx, &blob).await?;
        let mut tx = cx.finish("remove").await?;
        blobs::remove(&mut tx, &id).await?;
        tx.commit().await?;
        crash_point!("blob.remove.forgotten");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        _cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        error!(
            blob = op.resource_id,
            why = failure.message,
            "a blob cannot be removed"
        );
        Ok(())
    }
}

async fn remove_bytes(cx: &OpCx<Svc>, blob: &Blob) -> Result<(), StepError> {
    let store = cx.store(&blob.store).ok_or_else(|| {
        StepError::Transient(format!(
            "the store '{}' is not configured any more; configure it, so that its data can be removed",
            blob.store
        ))
    })?;
    crash_point!("remove.before_bytes");
    store
        .remove(blob.id.as_str())
        .await
        .map_err(|why| StepError::Transient(format!("cannot remove {}: {why}", blob.id)))?;
    crash_point!("remove.bytes_gone");
    Ok(())
}
