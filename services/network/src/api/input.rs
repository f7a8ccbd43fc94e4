//! Values of bodies, read as leniently as Neutron does.

use nephos_api::Fault;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::attributes::CONVERTING;
use crate::api::resource;
use crate::model::refusal::{Class, Refusal};

/// A text of at most 255 characters.
#[derive(Clone, Debug, Default, ToSchema)]
#[schema(value_type = String)]
pub(crate) struct Name(pub String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.chars().count() > 255 {
            return Err(D::Error::custom(too_long(&text)));
        }
        if text.contains('\0') {
            return Err(D::Error::custom(format!("'{text}' is not a valid string")));
        }
        Ok(Self(text))
    }
}

fn too_long(text: &str) -> String {
    let text = nephos_api::shown(&text.into());
    format!("'{text}' exceeds maximum length of 255")
}

/// An id: a UUID in any of the forms that Python reads.
pub(crate) fn uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if uuid::Uuid::parse_str(&text).is_ok() {
        return Ok(text);
    }
    Err(D::Error::custom(format!("'{text}' is not a valid UUID")))
}

/// An id that may be left out or null.
pub(crate) fn uuid_or_none<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    let given = Option::<Id>::deserialize(deserializer)?;
    Ok(given.map(|id| id.0))
}

/// An id that may be left out, and null, which means none from now on.
pub(crate) fn uuid_or_null<'de, D>(deserializer: D) -> Result<Option<Option<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    uuid_or_none(deserializer).map(Some)
}

/// Ids, each once; null is the empty list.
pub(crate) fn uuids<'de, D>(deserializer: D) -> Result<Option<Vec<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    let given = Option::<Vec<Id>>::deserialize(deserializer)?.unwrap_or_default();
    let mut ids: Vec<String> = Vec::new();
    for Id(id) in given {
        if ids.contains(&id) {
            let message = format!("Duplicate items in the list: '{id}'");
            return Err(D::Error::custom(message));
        }
        ids.push(id);
    }
    Ok(Some(ids))
}

#[derive(Deserialize)]
struct Id(#[serde(deserialize_with = "uuid")] String);

/// A value that may be left out and must not be null, as Neutron's validators have it.
pub(crate) fn not_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A truth value: also `"true"`, `"False"`, 0, 1.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = bool)]
pub(crate) struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let read = match &value {
            serde_json::Value::Bool(bit) => Some(*bit),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _other => None,
            },
            serde_json::Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _other => None,
            },
            _other => None,
        };
        read.map(Self).ok_or_else(|| {
            let value = nephos_api::shown(&value);
            D::Error::custom(format!(
                "{CONVERTING}'{value}' cannot be converted to boolean"
            ))
        })
    }
}

/// A whole number, also as text.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = i64)]
pub(crate) struct Int(pub i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let read = match &value {
            serde_json::Value::Number(number) => number.as_i64(),
            serde_json::Value::String(text) => text.parse().ok(),
            _other => None,
        };
        read.map(Self).ok_or_else(|| {
            let value = nephos_api::shown(&value);
            D::Error::custom(format!("{CONVERTING}'{value}' is not an integer"))
        })
    }
}

/// The project that something is made for: the caller's own, or, for operators and services, the one named.
pub(super) fn project(
    cx: &Cx,
    project_id: Option<&String>,
    tenant_id: Option<&String>,
) -> Result<String, Fault> {
    let own = resource::own(&cx.caller);
    if let (Some(project), Some(tenant)) = (project_id, tenant_id)
        && project != tenant
    {
        return Err(Refusal::request("'project_id' and 'tenant_id' do not match").into());
    }
    let Some(named) = project_id.or(tenant_id) else {
        return Ok(own.to_owned());
    };
    if named.chars().count() > 255 {
        return Err(Refusal::request(format!(
            "Invalid input for project_id. Reason: {}.",
            too_long(named)
        ))
        .into());
    }
    if named == own || cx.caller.is_admin() || cx.caller.has_role("service") {
        return Ok(named.clone());
    }
    Err(Refusal::request(
        "Specifying 'project_id' other than the authenticated project in request is not allowed for the current user.",
    )
    .into())
}

/// Refuses when the client wants to change another revision than the one there is.
pub(super) fn check_if_match(header: Option<&str>, revision: i64) -> Result<(), Fault> {
    let Some(header) = header else {
        return Ok(());
    };
    let wanted: Option<i64> = header
        .split(',')
        .find_map(|part| part.trim().strip_prefix("revision_number="))
        .and_then(|text| text.parse().ok());
    let Some(wanted) = wanted else {
        return Err(Refusal::request(
            "Revision number in If-Match must be an integer: revision_number=N.",
        )
        .into());
    };
    if wanted == revision {
        return Ok(());
    }
    Err(Refusal::new(
        Class::Outdated,
        "RevisionNumberConstraintFailed",
        format!("Constrained to {wanted}, but current revision is {revision}"),
    )
    .into())
}

/// Tags given when something is made: none longer than 255 characters, each once, at most 50.
pub(super) fn check_tags(tags: &[String]) -> Result<Vec<String>, Refusal> {
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > 50 {
        return Err(Refusal::request(
            "Too many tags for resource: there can be 50.",
        ));
    }
    for tag in &tags {
        let length = tag.chars().count();
        if length == 0 || length > 255 {
            return Err(Refusal::request(format!(
                "Invalid input for tags. Reason: '{tag}' must have 1 to 255 characters."
            )));
        }
    }
    Ok(tags)
}
