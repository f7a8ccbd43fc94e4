//! The one place where errors become HTTP.

use http::StatusCode;
use nephos_api::version::{Version, v};
use nephos_api::{Dialect, Fault, HtmlFaults, VersionWords, Versioning};
use nephos_types::RequestId;
use serde_json::{Map, Value, json};

use crate::store::claims::Refused;

/// Oldest and newest version.
pub(crate) const MIN: Version = v(1, 0);
pub(crate) const MAX: Version = v(1, 39);
/// The first version with error codes.
const WITH_CODES: Version = v(1, 23);

pub(crate) const CONCURRENT_UPDATE: &str = "placement.concurrent_update";
pub(crate) const INVENTORY_IN_USE: &str = "placement.inventory.inuse";
pub(crate) const DUPLICATE_NAME: &str = "placement.duplicate_name";
pub(crate) const PROVIDER_IN_USE: &str = "placement.resource_provider.inuse";
pub(crate) const PROVIDER_HAS_CHILDREN: &str = "placement.resource_provider.cannot_delete_parent";
pub(crate) const PROVIDER_NOT_FOUND: &str = "placement.resource_provider.not_found";
pub(crate) const QUERY_DUPLICATE: &str = "placement.query.duplicate_key";
pub(crate) const QUERY_BAD: &str = "placement.query.bad_value";
pub(crate) const QUERY_MISSING: &str = "placement.query.missing_value";
const UNDEFINED: &str = "placement.undefined_code";

/// How placement words its answers.
pub(crate) static DIALECT: Dialect = Dialect {
    versioning: Versioning::Microversion {
        service: "placement",
        legacy_header: None,
        min: MIN,
        max: MAX,
    },
    version_words: VersionWords {
        malformed: |asked| format!("invalid version string: {asked}"),
        refused: |asked, _min, _max| format!("Unacceptable version header: {asked}"),
        vary: "openstack-api-version",
    },
    forbidden: |rule| format!("Policy does not allow {rule} to be performed."),
    render_fault_at: Some(render),
    html_faults: HtmlFaults::Asked,
    max_body_bytes: 16 * 1024 * 1024,
    ..Dialect::plain(|fault, id| render(fault, id, Some(MAX)))
};

fn render(fault: &Fault, id: &RequestId, version: Option<Version>) -> Value {
    let mut error = Map::new();
    let title = fault.status.canonical_reason().unwrap_or("Error");
    error.insert("status".into(), json!(fault.status.as_u16()));
    error.insert("title".into(), json!(title));
    error.insert("detail".into(), json!(fault.message));
    if version.is_some_and(|version| version >= WITH_CODES) {
        let known = fault.kind.starts_with("placement.");
        let code = if known { &fault.kind } else { UNDEFINED };
        error.insert("code".into(), json!(code));
    }
    error.insert("request_id".into(), json!(id.as_str()));
    if version.is_none() && fault.status == StatusCode::NOT_ACCEPTABLE {
        error.insert("max_version".into(), json!(MAX.to_string()));
        error.insert("min_version".into(), json!(MIN.to_string()));
    }
    json!({"errors": [error]})
}

/// 404 for a provider.
pub(crate) fn no_provider(id: &impl std::fmt::Display) -> Fault {
    Fault::not_found(format!("No resource provider with uuid {id} found"))
}

/// 409 because the generation is another.
pub(crate) fn conflict(message: impl Into<String>) -> Fault {
    Fault::conflict(message).kind(CONCURRENT_UPDATE)
}

/// 400 for a value of the query.
pub(crate) fn bad_value(message: impl Into<String>) -> Fault {
    Fault::bad_request(message).kind(QUERY_BAD)
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Write(why) => why.into(),
            why @ Refused::NoProvider(_) => Self::bad_request(why.to_string()),
            why @ Refused::NoClass(_) => {
                Self::bad_request(format!("Unable to allocate inventory: {why}"))
            }
            why @ Refused::Unfit(_) => {
                Self::conflict(format!("Unable to allocate inventory: {why}"))
            }
            why @ Refused::Generation { .. } => conflict(why.to_string()),
        }
    }
}
