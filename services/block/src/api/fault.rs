//! Cinder's words for refusals, and the one place where errors of this service become HTTP.

use nephos_api::{Dialect, Fault, Versioning};
use nephos_ops::EnqueueError;
use nephos_peer::PeerError;
use nephos_types::RequestId;
use serde_json::{Value, json};

use super::versions::{MAX, MIN};
use crate::model::quota::Over;

/// How block storage answers.
pub(crate) static DIALECT: Dialect = Dialect {
    versioning: Versioning::Microversion {
        service: "volume",
        legacy_header: None,
        min: MIN,
        max: MAX,
    },
    request_id_header: Some("x-compute-request-id"),
    hides_methods: true,
    strict_slash: true,
    rewrite: Some(super::name_project),
    ..Dialect::plain(render)
};

/// `{"itemNotFound": {"code": 404, "message": "…"}}`.
fn render(fault: &Fault, _id: &RequestId) -> Value {
    let code = fault.status.as_u16();
    let name = match code {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _other => "computeFault",
    };
    let mut inner = json!({"code": code, "message": fault.message});
    if let (Some(inner), Some(extra)) = (inner.as_object_mut(), &fault.extra) {
        inner.extend(extra.as_object().cloned().unwrap_or_default());
    }
    json!({ name: inner })
}

pub(crate) fn no_volume(id: &str) -> Fault {
    Fault::not_found(format!("Volume {id} could not be found."))
}

pub(crate) fn no_snapshot(id: &str) -> Fault {
    Fault::not_found(format!("Snapshot {id} could not be found."))
}

pub(crate) fn no_type(id: &str) -> Fault {
    Fault::not_found(format!("Volume type {id} could not be found."))
}

/// 400: a value that cannot be.
pub(crate) fn invalid_input(why: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!("Invalid input received: {why}"))
}

/// 400: a volume in a state that does not allow it.
pub(crate) fn invalid_volume(why: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!("Invalid volume: {why}"))
}

/// 400: a snapshot in a state that does not allow it.
pub(crate) fn invalid_snapshot(why: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!("Invalid snapshot: {why}"))
}

pub(crate) fn no_backup(id: &str) -> Fault {
    Fault::not_found(format!("Backup {id} could not be found."))
}

/// 400: a backup in a state that does not allow it.
pub(crate) fn invalid_backup(why: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!("Invalid backup: {why}"))
}

pub(crate) fn no_group_type(id: &str) -> Fault {
    Fault::not_found(format!("Group type {id} could not be found."))
}

pub(crate) fn no_group(id: &str) -> Fault {
    Fault::not_found(format!("Group {id} could not be found."))
}

pub(crate) fn no_group_snapshot(id: &str) -> Fault {
    Fault::not_found(format!("GroupSnapshot {id} could not be found."))
}

/// 400: a group in a state that does not allow it.
pub(crate) fn invalid_group(why: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!("Invalid Group: {why}"))
}

/// 400: a group snapshot in a state that does not allow it.
pub(crate) fn invalid_group_snapshot(why: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!("Invalid GroupSnapshot: {why}"))
}

/// 413: more than the quota.
pub(crate) fn over_quota(over: &Over) -> Fault {
    Fault::too_large(over.words())
}

/// 409 for work that other work forbids.
pub(crate) fn busy(what: &str, id: &str, why: EnqueueError) -> Fault {
    match why {
        EnqueueError::Busy { kind } => Fault::conflict(format!(
            "{kind} is under way on {what} {id}. Try again when it is done."
        )),
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
        Some(400..=499) => Fault::bad_request(why.message.clone()),
        _no_answer => {
            tracing::warn!(%why, "a sibling does not answer; `nephos status` says which process is away");
            Fault::unavailable(format!(
                "The {} service does not answer at the moment. Try again later.",
                why.service
            ))
        }
    }
}
