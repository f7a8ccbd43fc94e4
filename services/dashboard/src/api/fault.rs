//! How the dashboard words its refusals: as identity does, so that the interface reads one form.

use nephos_api::{Dialect, Fault};
use nephos_peer::PeerError;
use serde_json::{Value, json};

pub(crate) static DIALECT: Dialect = Dialect {
    max_body_bytes: 64 * 1024,
    ..Dialect::plain(render)
};

pub(crate) fn render(fault: &Fault, request_id: &nephos_types::RequestId) -> Value {
    json!({"error": {
        "code": fault.status.as_u16(),
        "title": fault.status.canonical_reason().unwrap_or("Error"),
        "message": fault.message,
        "request_id": request_id.as_str(),
    }})
}

/// 401: nobody is signed in.
pub(crate) fn not_signed_in() -> Fault {
    Fault::unauthorized("You are not signed in, or your session has ended. Sign in again.")
}

/// A sibling's refusal in its own words; its own trouble is 503.
pub(crate) fn peer(error: &PeerError) -> Fault {
    let status = error
        .status
        .and_then(|code| http::StatusCode::from_u16(code).ok());
    match status {
        Some(status) if status.is_client_error() => Fault::new(status, error.message.clone()),
        _silent_or_in_trouble => {
            tracing::warn!(%error, "a service did not answer the dashboard; `nephos status` says which process is away");
            Fault::unavailable(format!(
                "The service {} does not answer. Try again in a moment.",
                error.service
            ))
        }
    }
}
