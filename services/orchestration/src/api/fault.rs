//! How Heat words its refusals, and where errors become HTTP.

use nephos_api::{Dialect, Fault};
use nephos_ops::EnqueueError;
use nephos_peer::PeerError;
use serde_json::{Value, json};

use crate::model::refusal::Refusal;
use crate::ops::facts::ViewError;

/// Heat's words.
pub(crate) static DIALECT: Dialect = Dialect {
    forbidden: |_rule| "You are not authorized to complete this action.".to_owned(),
    max_body_bytes: 2 * 1024 * 1024,
    ..Dialect::plain(render)
};

/// The largest template, in bytes of text.
pub(crate) const MAX_TEMPLATE_BYTES: usize = 512 * 1024;

fn render(fault: &Fault, _request_id: &nephos_types::RequestId) -> Value {
    let code = fault.status.as_u16();
    let explanation = match code {
        400 => {
            "The server could not comply with the request since it is either malformed or otherwise incorrect."
        }
        401 => {
            "This server could not verify that you are authorized to access the document you requested."
        }
        403 => "Access was denied to this resource.",
        404 => "The resource could not be found.",
        409 => "There was a conflict when trying to complete your request.",
        413 => "The body of your request was too large for this server.",
        503 => "The server is currently unavailable. Please try again at a later time.",
        _other => {
            "The server has either erred or is incapable of performing the requested operation."
        }
    };
    let kind = match (fault.kind.as_ref(), code) {
        ("" | "PolicyNotAuthorized", 403) => "Forbidden",
        ("", 404) => "EntityNotFound",
        ("", 400) => "HTTPBadRequest",
        ("", 413) => "RequestLimitExceeded",
        ("", _) => "HTTPInternalServerError",
        (kind, _) => kind,
    };
    json!({
        "code": code,
        "title": fault.status.canonical_reason().unwrap_or("Error"),
        "explanation": explanation,
        "error": {"message": fault.message, "traceback": null, "type": kind},
    })
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::bad_request(refusal.message).kind(refusal.kind)
    }
}

impl From<ViewError> for Fault {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Refused(why) => why.into(),
            ViewError::Db(why) => why.into(),
        }
    }
}

/// 404 of a stack.
pub(crate) fn no_stack(name: &str) -> Fault {
    Fault::not_found(format!("The Stack ({name}) could not be found.")).kind("EntityNotFound")
}

/// 404 of a resource.
pub(crate) fn no_resource(name: &str, stack: &str) -> Fault {
    Fault::not_found(format!(
        "The Resource ({name}) could not be found in Stack {stack}."
    ))
    .kind("ResourceNotFound")
}

/// 404 of anything else.
pub(crate) fn missing(what: &str, id: &str) -> Fault {
    Fault::not_found(format!("The {what} ({id}) could not be found.")).kind("EntityNotFound")
}

/// 403: the path names another project than the token.
pub(crate) fn other_project() -> Fault {
    Fault::forbidden("You are not authorized to complete this action.").kind("Forbidden")
}

/// 409: the stack is at something else.
pub(crate) fn in_progress(name: &str, action: &str) -> Fault {
    Fault::conflict(format!(
        "Stack {name} already has an action ({action}) in progress."
    ))
    .kind("ActionInProgress")
}

/// Why durable work did not begin.
pub(crate) fn enqueue(name: &str, error: EnqueueError) -> Fault {
    match error {
        EnqueueError::Busy { kind } => in_progress(name, &kind),
        EnqueueError::Store(why) => {
            tracing::error!(%why, "an operation cannot be stored");
            Fault::internal("The operation could not be stored.")
        }
        EnqueueError::Db(why) => why.into(),
    }
}

/// Why the caller did not lend their roles.
pub(crate) fn no_trust(error: &PeerError) -> Fault {
    if error.is_transient() {
        return Fault::unavailable(format!(
            "The identity service does not answer: {error}. Try again in a moment."
        ));
    }
    Fault::forbidden(format!(
        "A stack acts in your name after your token has ended, so it needs a trust of you, which the identity service refuses: {}. \
         Sign in with a password instead of a trust or an application credential.",
        error.message
    ))
    .kind("MissingCredentialError")
}
