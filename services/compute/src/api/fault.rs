//! Nova's words for refusals, and the one place where errors of this service become HTTP.

use nephos_api::{Dialect, Fault, Older, Versioning, Wrong, presentable, quoted, shown};
use nephos_ops::EnqueueError;
use nephos_peer::PeerError;
use nephos_types::RequestId;
use serde_json::{Value, json};

use super::versions::{MAX, MIN};
use crate::model::server::{NoPlace, Refused, Server};
use crate::model::volume::MAX_DISKS;
use crate::store::quota::Over;

/// How compute answers.
pub(crate) static DIALECT: Dialect = Dialect {
    versioning: Versioning::Microversion {
        service: "compute",
        legacy_header: Some("X-OpenStack-Nova-API-Version"),
        min: MIN,
        max: MAX,
    },
    request_id_header: Some("x-compute-request-id"),
    wrong,
    hides_methods: true,
    strict_slash: true,
    older: Some(Older {
        path: "/v2",
        served_at: "/v2.1",
    }),
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
        413 => "overLimit",
        415 => "badMediaType",
        429 => "overLimit",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _other => "computeFault",
    };
    let mut inner = json!({"code": code, "message": fault.message});
    // Nova names the versions of a 406 in the message only.
    let extra = fault.extra.as_ref().filter(|_| code != 406);
    if let (Some(inner), Some(extra)) = (inner.as_object_mut(), extra) {
        inner.extend(extra.as_object().cloned().unwrap_or_default());
    }
    json!({ name: inner })
}

/// Nova's words for a body that its schema refuses: the last step of the way to the value names the field.
fn wrong(wrong: &Wrong<'_>) -> Fault {
    let said = wrong.in_schema_words();
    match wrong.path.last() {
        None => Fault::bad_request(said),
        Some(field) => worded(field, wrong.value, said),
    }
}

fn worded(field: &str, value: &Value, said: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!(
        "Invalid input for field/attribute {field}. Value: {}. {said}",
        shown(value)
    ))
}

/// 400 for a value of a body: what is wrong with it in JSON schema's words, behind the value if they begin with it.
pub(crate) fn invalid(field: &str, value: &Value, said: impl std::fmt::Display) -> Fault {
    worded(field, &presentable(field, value), said)
}

/// 400 for a text of a body that its schema refuses: `'…' is too long`.
pub(crate) fn invalid_text(field: &str, text: &str, is: impl std::fmt::Display) -> Fault {
    let value = Value::from(text);
    let value = presentable(field, &value);
    worded(field, &value, format!("{} {is}", quoted(&value)))
}

/// 404 for a server.
pub(crate) fn no_server(id: &str) -> Fault {
    Fault::not_found(format!("Instance {id} could not be found."))
}

/// 409 for an action that the server's state forbids.
pub(crate) fn refused(server: &Server, verb: &str, why: Refused) -> Fault {
    let id = &server.id;
    match why {
        Refused::State(state) => Fault::conflict(format!(
            "Cannot '{verb}' instance {id} while it is in {state}"
        )),
        Refused::Locked => Fault::conflict(format!("Instance {id} is locked")),
    }
}

/// Why a server takes no further volume, in Nova's words.
pub(crate) fn no_place(why: &NoPlace) -> Fault {
    match why {
        NoPlace::There(volume) => {
            Fault::bad_request(format!("Invalid volume: volume {volume} already attached"))
        }
        NoPlace::DeviceTaken(path) => {
            Fault::conflict(format!("The supplied device path ({path}) is in use."))
        }
        NoPlace::Full => Fault::forbidden(format!(
            "The maximum allowed number of disk devices ({MAX_DISKS}) to attach to a single instance has been exceeded."
        )),
    }
}

/// 409 for work that other work forbids.
pub(crate) fn busy(server: &Server, verb: &str, why: EnqueueError) -> Fault {
    match why {
        EnqueueError::Busy { kind } => Fault::conflict(format!(
            "Cannot '{verb}' instance {} while {kind} is under way. Try again when it is done.",
            server.id
        )),
        EnqueueError::Db(why) => why.into(),
        EnqueueError::Store(why) => {
            tracing::error!(%why, "an operation cannot be stored");
            Fault::internal("The request could not be carried out.")
        }
    }
}

/// 403 for more than the quota.
pub(crate) fn over_quota(over: &Over) -> Fault {
    Fault::forbidden(format!(
        "Quota exceeded for {}: Requested {}, but already used {} of {} {}. Delete what is not needed, or ask an \
         administrator for more.",
        over.resource, over.wanted, over.used, over.limit, over.resource
    ))
}

/// 500 for what a host could not do; for people.
pub(crate) fn host_refused(why: &str) -> Fault {
    Fault::new(
        http::StatusCode::INTERNAL_SERVER_ERROR,
        format!("The host could not do it: {why}"),
    )
}

/// What a sibling's refusal means for the caller of compute.
pub(crate) fn from_peer(why: &PeerError) -> Fault {
    match why.status {
        Some(401) => Fault::unauthorized(why.message.clone()),
        Some(403) => Fault::forbidden(why.message.clone()),
        Some(400 | 404 | 409 | 422) => Fault::bad_request(why.message.clone()),
        _no_answer => {
            tracing::warn!(%why, "a sibling does not answer; `nephos status` says which process is away");
            Fault::unavailable(format!(
                "The {} service does not answer at the moment. Try again later.",
                why.service
            ))
        }
    }
}

/// What a sibling's refusal means where the call was only handed on: the same, in this service's words.
pub(crate) fn handed_on(why: &PeerError) -> Fault {
    match why.status {
        Some(404) => Fault::not_found(why.message.clone()),
        // Nova answers 400 where Neutron answers 409: in use, there already, the default group.
        _other => from_peer(why),
    }
}
