//! How Glance words its refusals, and where errors become HTTP.

use nephos_api::{Dialect, Fault, HtmlFaults};
use nephos_ops::EnqueueError;
use serde_json::{Value, json};

use crate::model::attribute::Refusal;
use crate::model::image::Status;
use crate::ops::upload::UploadError;

/// Glance's words: what its HTTP library writes for a client that takes JSON.
pub(crate) static DIALECT: Dialect = Dialect {
    forbidden: |rule| format!("You are not authorized to complete {rule} action."),
    strict_slash: true,
    html_faults: HtmlFaults::UnlessJson,
    ..Dialect::plain(render)
};

fn render(fault: &Fault, _request_id: &nephos_types::RequestId) -> Value {
    let title = fault.status.canonical_reason().unwrap_or("Error");
    json!({
        "message": fault.message,
        "code": format!("{} {title}", fault.status.as_u16()),
        "title": title,
    })
}

/// 404 of an image.
pub(crate) fn no_image(id: &str) -> Fault {
    Fault::not_found(format!("No image found with ID {id}"))
}

/// 409: the image is in a state that does not allow it.
pub(crate) fn wrong_status(from: Status, to: Status) -> Fault {
    Fault::conflict(format!(
        "Image status transition from {} to {} is not allowed",
        from.as_str(),
        to.as_str()
    ))
}

/// 409: two requests changed the image at once.
pub(crate) fn changed_meanwhile(id: &str) -> Fault {
    Fault::conflict(format!(
        "Image {id} was changed by another request meanwhile. Try again."
    ))
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(why) => Self::bad_request(why),
            Refusal::Forbidden(why) => Self::forbidden(why),
            Refusal::Conflict(why) => Self::conflict(why),
            Refusal::TooMany(why) => Self::too_large(why),
        }
    }
}

/// What an upload came to.
pub(crate) fn upload(id: &str, error: UploadError) -> Fault {
    match error {
        UploadError::Aborted(_) => {
            Fault::bad_request("The upload ended before its end. The image is queued again.")
        }
        UploadError::Length { seen, expected } => Fault::bad_request(format!(
            "{seen} bytes came, but {expected} were declared. The image is queued again."
        )),
        UploadError::Stalled => Fault::new(
            http::StatusCode::REQUEST_TIMEOUT,
            "The upload stalled. The image is queued again.",
        ),
        UploadError::TooLarge(limit) => too_large(limit),
        UploadError::Format(why) => Fault::unsupported_media_type(why),
        UploadError::Gone => Fault::gone(format!(
            "Image {id} could not be found after upload. The image may have been deleted during the upload, \
             cleaning up the chunks uploaded."
        )),
        UploadError::Blob(nephos_blob::Error::Full) => Fault::too_large(
            "Image storage media is full: There is not enough disk space on the image storage media.",
        ),
        UploadError::Blob(why) => {
            tracing::error!(%why, cause = ?why, "image data cannot be stored");
            Fault::unavailable(
                "The image store cannot be written now. The image is queued again; try again later.",
            )
        }
        UploadError::Db(why) => why.into(),
    }
}

/// 413 of an image beyond the configured limit.
pub(crate) fn too_large(limit: u64) -> Fault {
    Fault::too_large(format!(
        "The incoming image is too large: The provided image is too large. At most {limit} bytes are accepted."
    ))
}

/// Why durable work did not begin.
pub(crate) fn enqueue(id: &str, error: EnqueueError) -> Fault {
    match error {
        EnqueueError::Busy { .. } => Fault::conflict(format!(
            "New operation on image '{id}' is not permitted as prior operation is still in progress"
        )),
        EnqueueError::Store(why) => {
            tracing::error!(%why, "an operation cannot be stored");
            Fault::internal("The operation could not be stored.")
        }
        EnqueueError::Db(why) => why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_glance_tells_it() {
        let fault = upload("x", UploadError::Blob(nephos_blob::Error::Full));
        assert_eq!(fault.status, 413);
        assert!(fault.message.starts_with("Image storage media is full: "));
    }
}
