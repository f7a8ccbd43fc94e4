//! The one place where bodies with things are read: first their names, then their values, in Neutron's order and words.

use std::collections::BTreeMap;

use nephos_api::openapi::{SchemaRef, Schemas};
use nephos_api::{Body, Fault, Mistake, Parts, Shape, Wrong, from_value, quoted, shown};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, Schema};

use crate::api::envelope::{Change, Kind, New};
use crate::api::fault::DIALECT;
use crate::model::refusal::Refusal;

/// What the words of a converter begin with: Neutron refuses what cannot be converted before it validates, and calls
/// that `InvalidInput`.
pub(super) const CONVERTING: &str = "Invalid input for operation: ";

/// What bodies of actions wrap their attributes in.
const WRAPPERS: &[&str] = &["quota", "router"];

/// What is done with a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Post,
    Put,
}

impl<K: Kind> Body for New<K> {
    fn read(parts: &mut Parts<'_>, _shape: Option<&Shape>) -> Result<Self, Fault> {
        let body = object(parts)?;
        if let Some(many) = body.get(K::MANY) {
            check_alone(&body, K::MANY)?;
            let many = match many {
                Value::Array(many) if !many.is_empty() => many,
                Value::Array(_) | Value::Null => {
                    return Err(Refusal::request("Resources required").into());
                }
                _other => return Err(Refusal::request("Body contains invalid data").into()),
            };
            let items: Result<_, Fault> = many
                .iter()
                .map(|one| thing::<K, _>(one, Verb::Post))
                .collect();
            return Ok(Self {
                items: items?,
                bulk: true,
            });
        }
        let one = body.get(K::ONE).unwrap_or(&Value::Null);
        let items = vec![thing::<K, _>(one, Verb::Post)?];
        check_alone(&body, K::ONE)?;
        Ok(Self { items, bulk: false })
    }

    fn schema(schemas: &mut Schemas) -> Option<SchemaRef> {
        Some(schemas.add::<Self>())
    }
}

impl<K: Kind> Body for Change<K> {
    fn read(parts: &mut Parts<'_>, _shape: Option<&Shape>) -> Result<Self, Fault> {
        let body = object(parts)?;
        if body.contains_key(K::MANY) {
            return Err(Refusal::request("Bulk operation not supported").into());
        }
        let one = body.get(K::ONE).unwrap_or(&Value::Null);
        let change = thing::<K, _>(one, Verb::Put)?;
        check_alone(&body, K::ONE)?;
        Ok(Self(change))
    }

    fn schema(schemas: &mut Schemas) -> Option<SchemaRef> {
        Some(schemas.add::<Self>())
    }
}

fn object(parts: &mut Parts<'_>) -> Result<Map<String, Value>, Fault> {
    match parts.json()? {
        Value::Object(body) if body.is_empty() => {
            Err(Refusal::request("Resource body required").into())
        }
        Value::Object(body) => Ok(body),
        _other => Err(Refusal::request("Body contains invalid data").into()),
    }
}

fn unrecognized<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), Fault> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("Unrecognized attribute(s) '{}'", names.join(", "));
    Err(Refusal::request(message).into())
}

/// Neutron takes no notice of what stands beside the thing; who writes it there means it to be in it.
fn check_alone(body: &Map<String, Value>, name: &str) -> Result<(), Fault> {
    unrecognized(body.keys().filter(|key| *key != name))
}

fn thing<K: Kind, T: serde::de::DeserializeOwned>(value: &Value, verb: Verb) -> Result<T, Fault> {
    let name = K::ONE;
    match value {
        Value::Object(attributes) => {
            // The types of bodies refuse wrong names as well; only what is refused is looked at more closely.
            from_value(value, &DIALECT)
                .or_else(|why| check_names::<K>(attributes, verb).and(Err(why)))
        }
        Value::Null => {
            Err(Refusal::request(format!("Unable to find '{name}' in request body")).into())
        }
        _other => Err(Refusal::request(format!("Object '{name}' contains invalid data")).into()),
    }
}

/// What can be named is what is shown or can be set; what can be set now is what the body's type has.
fn check_names<K: Kind>(given: &Map<String, Value>, verb: Verb) -> Result<(), Fault> {
    let (new, change, view) = (
        properties::<K::New>(),
        properties::<K::Change>(),
        properties::<K::View>(),
    );
    let known = |name: &String| {
        [&new, &change, &view]
            .iter()
            .any(|all| all.contains_key(name))
    };
    unrecognized(given.keys().filter(|name| !known(name)))?;
    let here = if verb == Verb::Post { &new } else { &change };
    if let Some(name) = given.keys().find(|name| !here.contains_key(*name)) {
        let message = match verb {
            Verb::Post => format!("Attribute '{name}' not allowed in POST"),
            Verb::Put => format!("Cannot update read-only attribute {name}"),
        };
        return Err(Refusal::request(message).into());
    }
    let missing = here
        .iter()
        .find(|(name, required)| **required && !given.contains_key(*name));
    match missing {
        None => Ok(()),
        Some((name, _)) => Err(Refusal::request(format!(
            "Failed to parse request. Required attribute '{name}' not specified"
        ))
        .into()),
    }
}

/// The attributes of a body or view, and whether each is required.
fn properties<T: ToSchema>() -> BTreeMap<String, bool> {
    match T::schema() {
        RefOr::T(Schema::Object(Object {
            properties,
            required,
            ..
        })) => properties
            .into_keys()
            .map(|name| {
                let required = required.contains(&name);
                (name, required)
            })
            .collect(),
        _no_object => BTreeMap::new(),
    }
}

/// Neutron's words for a value of a body that cannot be taken.
pub(super) fn wrong(wrong: &Wrong<'_>) -> Fault {
    if let Mistake::Other(what) = &wrong.mistake
        && what.starts_with(CONVERTING)
    {
        return Refusal::invalid("InvalidInput", format!("{what}.")).into();
    }
    let path = match wrong.path {
        [wrapper, within @ ..] if WRAPPERS.contains(&wrapper.as_str()) => within,
        path => path,
    };
    let Some(attribute) = path.first() else {
        return Refusal::request(match &wrong.mistake {
            Mistake::Unexpected(names) => {
                format!("Unrecognized attribute(s) '{}'", names.join(", "))
            }
            Mistake::Missing(name) => {
                format!("Failed to parse request. Required attribute '{name}' not specified")
            }
            Mistake::Type(_) => "Body contains invalid data".to_owned(),
            Mistake::Other(what) => format!("Body contains invalid data: {what}"),
        })
        .into();
    };
    let reason = match &wrong.mistake {
        Mistake::Other(what) if what == "invalid IP address syntax" => {
            format!("'{}' is not a valid IP address", shown(wrong.value))
        }
        Mistake::Other(what) => what.clone(),
        Mistake::Unexpected(names) => format!("Unexpected keys supplied: {}", names.join(", ")),
        Mistake::Missing(name) => format!(
            "Validation of dictionary's keys failed. Expected keys: {{'{name}'}} Provided keys: {}",
            keys(wrong.value)
        ),
        Mistake::Type(kind) => of_kind(attribute, shown(wrong.value), kind),
    };
    Refusal::request(format!("Invalid input for {attribute}. Reason: {reason}.")).into()
}

fn of_kind(attribute: &str, value: String, kind: &str) -> String {
    match (attribute, kind) {
        ("fixed_ips", "array" | "object") => format!("Invalid data format for fixed IP: '{value}'"),
        ("host_routes" | "routes", "array") => {
            format!("Invalid data format for hostroute: '{value}'")
        }
        ("dns_nameservers", "array") => format!("Invalid data format for nameserver: '{value}'"),
        ("allocation_pools", "array") => format!("Invalid data format for IP pool: '{value}'"),
        (_, "array") => format!("'{value}' is not a list"),
        (_, "object") => format!("'{value}' is not a dictionary"),
        (_, "string") => format!("'{value}' is not a valid string"),
        (_, "boolean") => format!("'{value}' is not a valid boolean value"),
        _number => format!("'{value}' is not an integer"),
    }
}

fn keys(value: &Value) -> String {
    let keys = value.as_object().into_iter().flat_map(Map::keys);
    let keys: Vec<String> = keys.map(|key| quoted(&Value::from(key.as_str()))).collect();
    format!("{{{}}}", keys.join(", "))
}
