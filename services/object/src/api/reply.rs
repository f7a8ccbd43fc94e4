//! Replies: a status, headers of any name, and perhaps a body.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use nephos_api::{Download, Payload, With};
use nephos_types::Timestamp;

use crate::model::condition::ceiling;
use crate::model::versions::stamp;

/// What every handler gives.
pub(crate) type Answer = With<Download>;

/// A status without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    With::new(Download {
        content_type: "text/html; charset=UTF-8",
        body: Payload::Empty,
    })
    .status(status)
}

/// A status with a text.
pub(crate) fn text(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    With::new(Download {
        content_type,
        body: Payload::Bytes(text.into()),
    })
    .status(status)
}

/// Sets a header; what no header can hold is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
        headers.insert(name, value);
    }
}

/// When something last changed, in HTTP's and in Swift's form.
pub(crate) fn set_times(headers: &mut HeaderMap, changed: Timestamp) {
    set(headers, "x-timestamp", &stamp(changed));
    set(
        headers,
        header::LAST_MODIFIED.as_str(),
        &ceiling(changed).http(),
    );
}
