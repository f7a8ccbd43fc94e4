//! An image that was to be made of a server and came to nothing goes.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use serde_json::{Value, json};

use super::{OPS, step_error};
use crate::Compute;
use crate::model::spec::ImageId;

/// Only an image service that does not answer is waited for.
const DEADLINE_SECS: i64 = 24 * 3600;

pub(crate) struct DiscardImage;

/// Wants the image of this work gone, on behalf of whoever asked for the work.
pub(super) async fn request(
    tx: &mut Tx,
    now: Timestamp,
    of: &Operation,
    image: &ImageId,
) -> Result<(), nephos_db::Error> {
    let new = New {
        topic: OPS,
        kind: DiscardImage::KIND,
        resource_id: &format!("image/{image}"),
        args: json!({ "image": image }),
        caller: &of.caller,
        request_id: &of.request_id,
        deadline_secs: DEADLINE_SECS,
    };
    match nephos_ops::enqueue(tx, now, new).await {
        // Busy: it is on its way already.
        Ok(_) | Err(EnqueueError::Busy { .. }) => Ok(()),
        Err(EnqueueError::Db(why)) => Err(why),
        Err(EnqueueError::Store(why)) => Err(nephos_db::Error::damaged(why.to_string())),
    }
}

/// Whether the data came all the same: such an image is its owner's.
async fn has_data(cx: &OpCx<Compute>, image: &ImageId) -> Result<bool, StepError> {
    let status = cx.siblings.image_status(image).await.map_err(step_error)?;
    Ok(matches!(status.as_deref(), Some("active" | "deactivated")))
}

impl Reconcile<Compute> for DiscardImage {
    const KIND: &'static str = "image.discard";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let image = op.args.get("image").and_then(Value::as_str);
        let image = ImageId::from(image.unwrap_or_default());
        if has_data(cx, &image).await? {
            return Ok(Next::Done);
        }
        crash_point!("discard_image.before");
        if let Err(why) = cx.siblings.remove_image(image.as_str()).await {
            // It may have got its data since.
            if why.status == Some(403) && has_data(cx, &image).await? {
                return Ok(Next::Done);
            }
            return Err(step_error(why));
        }
        crash_point!("discard_image.removed");
        Ok(Next::Done)
    }

    /// One that its owner protects stays, without data, until its owner deletes it.
    async fn failed(
        &self,
        _cx: &OpCx<Compute>,
        op: &Operation,
        failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        tracing::warn!(
            image = op.resource_id,
            why = failure.message,
            "an image that got no data from its server is left; its owner can delete it"
        );
        Ok(())
    }
}
