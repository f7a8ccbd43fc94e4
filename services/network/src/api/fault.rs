//! The one place where refusals become HTTP, in Neutron's format.

use http::StatusCode;
use nephos_api::{Dialect, Fault};
use nephos_types::RequestId;
use serde_json::{Value, json};

use crate::model::refusal::{Class, Refusal};
use crate::store::Error;

/// How this service words its answers.
pub(crate) static DIALECT: Dialect = Dialect {
    forbidden: |rule| format!("rule:{rule} is disallowed by policy"),
    hides_methods: false,
    wrong: super::attributes::wrong,
    ..Dialect::plain(render)
};

fn render(fault: &Fault, _id: &RequestId) -> Value {
    let kind = if fault.kind.is_empty() {
        by_status(fault.status)
    } else {
        &fault.kind
    };
    json!({"NeutronError": {"type": kind, "message": fault.message, "detail": ""}})
}

fn by_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "HTTPBadRequest",
        401 => "HTTPUnauthorized",
        403 => "HTTPForbidden",
        404 => "HTTPNotFound",
        405 => "HTTPMethodNotAllowed",
        409 => "HTTPConflict",
        412 => "HTTPPreconditionFailed",
        413 => "HTTPRequestEntityTooLarge",
        501 => "HTTPNotImplemented",
        503 => "HTTPServiceUnavailable",
        504 => "HTTPGatewayTimeout",
        _other => "HTTPInternalServerError",
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.class {
            Class::Invalid => StatusCode::BAD_REQUEST,
            Class::Denied => StatusCode::FORBIDDEN,
            Class::Missing => StatusCode::NOT_FOUND,
            Class::Conflict => StatusCode::CONFLICT,
            Class::Outdated => StatusCode::PRECONDITION_FAILED,
        };
        Self::new(status, refusal.message).kind(refusal.kind)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Db(error) => error.into(),
            Error::Refused(refusal) => refusal.into(),
        }
    }
}

/// What the thing of this kind and id is answered with when it is not there.
pub(super) fn not_found(kind: &'static str, id: &str) -> Refusal {
    let (name, message): (&'static str, String) = match kind {
        "Network" => return Refusal::no_network(id),
        "Subnet" => return Refusal::no_subnet(id),
        "Port" => return Refusal::no_port(id),
        "Router" => return Refusal::no_router(id),
        "SecurityGroup" => return Refusal::no_group(id),
        "SecurityGroupRule" => (
            "SecurityGroupRuleNotFound",
            format!("Security group rule {id} does not exist"),
        ),
        "FloatingIP" => (
            "FloatingIPNotFound",
            format!("Floating IP {id} could not be found"),
        ),
        "SubnetPool" => (
            "SubnetPoolNotFound",
            format!("Subnet pool {id} could not be found."),
        ),
        "AddressScope" => (
            "AddressScopeNotFound",
            format!("Address scope {id} could not be found"),
        ),
        "QosPolicy" => (
            "QosPolicyNotFound",
            format!("QoS policy {id} could not be found."),
        ),
        "Trunk" => ("TrunkNotFound", format!("Trunk {id} could not be found.")),
        "RbacPolicy" => (
            "RbacPolicyNotFound",
            format!("RBAC policy of type any with ID {id} not found"),
        ),
        _other => ("HTTPNotFound", format!("{kind} {id} could not be found.")),
    };
    Refusal::missing(name, message)
}
