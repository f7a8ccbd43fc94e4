//! Octavia's format of refusals, and the one place where errors of this service become HTTP.

use http::StatusCode;
use nephos_api::{Dialect, Fault, Request};
use nephos_ops::EnqueueError;
use nephos_peer::PeerError;
use nephos_types::RequestId;
use serde_json::{Value, json};

use crate::model::refusal::{Class, Refusal};

/// How load balancing answers.
pub(crate) static DIALECT: Dialect = Dialect {
    forbidden: |_rule| "Policy does not allow this request to be performed.".to_owned(),
    rewrite: Some(one_version),
    ..Dialect::plain(render)
};

/// Both names of the version are one.
fn one_version(request: &mut Request) -> Result<(), Fault> {
    if let Some(rest) = request.path.strip_prefix("/v2.0")
        && (rest.is_empty() || rest.starts_with('/'))
    {
        request.path = format!("/v2{rest}");
    }
    Ok(())
}

/// WSME's form.
fn render(fault: &Fault, _id: &RequestId) -> Value {
    let code = if fault.status.is_server_error() {
        "Server"
    } else {
        "Client"
    };
    json!({"faultcode": code, "faultstring": fault.message, "debuginfo": null})
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.class {
            Class::Invalid => StatusCode::BAD_REQUEST,
            Class::Quota => StatusCode::FORBIDDEN,
            Class::Missing => StatusCode::NOT_FOUND,
            Class::Conflict => StatusCode::CONFLICT,
            Class::Unsupported => StatusCode::NOT_IMPLEMENTED,
        };
        Self::new(status, refusal.words)
    }
}

/// 404 in Octavia's words.
pub(crate) fn not_found(kind: &str, id: &str) -> Fault {
    Refusal::missing(kind, id).into()
}

/// 409: it is being deleted.
pub(crate) fn immutable(id: &str) -> Fault {
    Fault::conflict(format!(
        "Load Balancer {id} is immutable and cannot be updated: it is being deleted."
    ))
}

/// Why work does not begin.
pub(crate) fn busy(id: &str, why: EnqueueError) -> Fault {
    match why {
        EnqueueError::Busy { .. } => immutable(id),
        EnqueueError::Db(why) => why.into(),
        EnqueueError::Store(why) => {
            tracing::error!(%why, "an operation cannot be stored");
            Fault::internal("The request could not be carried out.")
        }
    }
}

/// What a sibling's refusal means for the caller.
pub(crate) fn from_peer(why: &PeerError) -> Fault {
    match why.status {
        Some(401) => Fault::unauthorized(why.message.clone()),
        Some(409) => Fault::conflict(why.message.clone()),
        Some(400..=499) => Refusal::invalid(&why.message).into(),
        _no_answer => {
            tracing::warn!(%why, "a sibling does not answer; `nephos status` says which process is away");
            Fault::unavailable(format!(
                "The {} service does not answer at the moment. Try again later.",
                why.service
            ))
        }
    }
}
