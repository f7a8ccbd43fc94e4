//! Changes of an image by JSON patch, in both of Glance's forms.

use serde_json::{Map, Value};

use super::attribute::{Attribute, Refusal, check_counts};
use super::image::Image;

/// The form of the operations: which media type the body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{"replace": "/name", "value": …}`.
    V20,
    /// `{"op": "replace", "path": "/name", "value": …}`.
    V21,
}

impl Form {
    /// The media types, as `Accept-Patch` lists them.
    pub(crate) const TYPES: [&str; 2] = [
        "application/openstack-images-v2.0-json-patch",
        "application/openstack-images-v2.1-json-patch",
    ];

    /// The form of a media type.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        match content_type {
            "application/openstack-images-v2.0-json-patch" => Some(Self::V20),
            "application/openstack-images-v2.1-json-patch" => Some(Self::V21),
            _other => None,
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// Sets an attribute; in the older form it must not be there yet.
    Add {
        name: String,
        attribute: Attribute,
        must_be_new: bool,
    },
    /// Sets an attribute that is there.
    Replace { name: String, attribute: Attribute },
    /// Removes a property.
    Remove { name: String },
}

impl Change {
    /// The attribute that it sets, if it sets one.
    pub(crate) const fn sets(&self) -> Option<&Attribute> {
        match self {
            Self::Add { attribute, .. } | Self::Replace { attribute, .. } => Some(attribute),
            Self::Remove { .. } => None,
        }
    }
}

/// Reads a body.
pub(crate) fn parse(form: Form, body: &Value) -> Result<Vec<Change>, Refusal> {
    let list = body.as_array().ok_or_else(|| {
        Refusal::Invalid("Request body must be a JSON array of operation objects.".to_owned())
    })?;
    list.iter()
        .map(|change| {
            let change = change
                .as_object()
                .ok_or_else(|| Refusal::Invalid("Operations must be JSON objects.".to_owned()))?;
            parse_one(form, change)
        })
        .collect()
}

/// Makes the changes, one after the other, all or none.
pub(crate) fn apply(changes: Vec<Change>, image: &mut Image) -> Result<(), Refusal> {
    for change in changes {
        match change {
            Change::Add {
                name,
                attribute,
                must_be_new,
            } => {
                if must_be_new && has(image, &name) {
                    return Err(Refusal::Conflict(format!(
                        "Property {name} already present."
                    )));
                }
                attribute.apply(image)?;
            }
            Change::Replace { name, attribute } => {
                if !has(image, &name) {
                    return Err(Refusal::Conflict(format!(
                        "Property {name} does not exist."
                    )));
                }
                attribute.apply(image)?;
            }
            Change::Remove { name } => {
                if Attribute::BASE.contains(&name.as_str()) {
                    return Err(Refusal::Forbidden(format!(
                        "Property {name} may not be removed."
                    )));
                }
                if image.properties.remove(&name).is_none() {
                    return Err(Refusal::Conflict(format!(
                        "Property {name} does not exist."
                    )));
                }
            }
        }
    }
    check_counts(image)
}

fn has(image: &Image, name: &str) -> bool {
    Attribute::BASE.contains(&name) || image.properties.contains_key(name)
}

fn parse_one(form: Form, change: &Map<String, Value>) -> Result<Change, Refusal> {
    let (op, pointer) = match form {
        Form::V21 => operation_v21(change)?,
        Form::V20 => operation_v20(change)?,
    };
    let name = name_of(pointer)?;
    Attribute::check_settable(&name)?;
    if op == "remove" {
        return Ok(Change::Remove { name });
    }
    let value = change.get("value").ok_or_else(|| {
        Refusal::Invalid(format!(
            "Operation \"{op}\" requires a member named \"value\"."
        ))
    })?;
    let attribute = Attribute::parse(&name, value)?;
    Ok(if op == "add" {
        Change::Add {
            name,
            attribute,
            must_be_new: form == Form::V20,
        }
    } else {
        Change::Replace { name, attribute }
    })
}

const OPERATIONS: [&str; 3] = ["add", "remove", "replace"];

fn operation_v21(change: &Map<String, Value>) -> Result<(&'static str, &Value), Refusal> {
    let available = OPERATIONS.join(", ");
    let asked = change.get("op").ok_or_else(|| {
        Refusal::Invalid(format!(
            "Unable to find `op` in JSON Schema change. It must be one of the following: {available}."
        ))
    })?;
    let op = OPERATIONS
        .into_iter()
        .find(|op| asked.as_str() == Some(op))
        .ok_or_else(|| {
            Refusal::Invalid(format!(
                "Invalid operation: `{}`. It must be one of the following: {available}.",
                asked.as_str().unwrap_or_default()
            ))
        })?;
    let path = change.get("path").ok_or_else(|| {
        Refusal::Invalid("Unable to find 'path' in JSON Schema change".to_owned())
    })?;
    Ok((op, path))
}

fn operation_v20(change: &Map<String, Value>) -> Result<(&'static str, &Value), Refusal> {
    let mut found = OPERATIONS
        .into_iter()
        .filter_map(|op| Some((op, change.get(op)?)));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Refusal::Invalid(
            "Operation objects must contain only one member named \"add\", \"remove\", or \"replace\"."
                .to_owned(),
        )),
        (None, _) => Err(Refusal::Invalid(
            "Operation objects must contain exactly one member named \"add\", \"remove\", or \"replace\"."
                .to_owned(),
        )),
    }
}

/// The attribute that a JSON pointer of one part names.
fn name_of(pointer: &Value) -> Result<String, Refusal> {
    let pointer = pointer
        .as_str()
        .ok_or_else(|| Refusal::Invalid(format!("Pointer `{pointer}` is not a string.")))?;
    let refuse = |why: &str| Err(Refusal::Invalid(format!("Pointer `{pointer}` {why}.")));
    let Some(rest) = pointer.strip_prefix('/') else {
        return refuse("does not start with \"/\"");
    };
    let parts: Vec<&str> = rest.split('/').collect();
    if parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
        return refuse("end with \"/\"");
    }
    if parts.len() > 1 && parts.iter().any(|part| part.trim().is_empty()) {
        return refuse("contains adjacent \"/\"");
    }
    let mut escapes = rest.split('~');
    let _before_the_first = escapes.next();
    if !escapes.all(|after| after.starts_with(['0', '1'])) {
        return refuse("contains \"~\" not part of a recognized escape sequence");
    }
    let decode = |part: &str| part.replace("~1", "/").replace("~0", "~").trim().to_owned();
    match parts.as_slice() {
        [one] if !one.trim().is_empty() => Ok(decode(one)),
        // A longer pointer is only good for what is refused by its name.
        [first, ..] if *first == "locations" => Ok(decode(first)),
        _other => Err(Refusal::Invalid(format!(
            "Invalid JSON pointer for this resource: '{pointer}'"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::image::Visibility;

    #[track_caller]
    fn check(form: Form, body: &Value, refused: &str) {
        match parse(form, body) {
            Err(Refusal::Invalid(why) | Refusal::Forbidden(why)) => {
                assert!(why.contains(refused), "{why}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn both_forms_are_read() {
        let newer = json!([{"op": "replace", "path": "/visibility", "value": "public"}]);
        let older = json!([{"replace": "/visibility", "value": "public"}]);
        let expected = Change::Replace {
            name: "visibility".into(),
            attribute: Attribute::Visibility(Visibility::Public),
        };
        for parsed in [parse(Form::V21, &newer), parse(Form::V20, &older)] {
            assert_eq!(parsed.unwrap().as_slice(), std::slice::from_ref(&expected));
        }
        let escaped = json!([{"op": "add", "path": "/a~1b~0c", "value": "x"}]);
        let Some(Change::Add { name, .. }) = parse(Form::V21, &escaped).unwrap().pop() else {
            panic!("no add");
        };
        assert_eq!(name, "a/b~c");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let op = |op: &str, path: &str| json!([{"op": op, "path": path, "value": "x"}]);
        check(Form::V21, &json!({}), "JSON array");
        check(Form::V21, &json!([1]), "JSON objects");
        check(Form::V21, &json!([{"path": "/x"}]), "Unable to find `op`");
        check(Form::V21, &json!([{"op": "add"}]), "Unable to find 'path'");
        check(Form::V21, &op("move", "/x"), "Invalid operation: `move`");
        check(Form::V21, &op("add", "x"), "does not start");
        check(Form::V21, &op("add", "/x/"), "end with");
        check(Form::V21, &op("add", "/x//y"), "adjacent");
        check(Form::V21, &op("add", "/x~2"), "escape sequence");
        check(Form::V21, &op("add", "/x/y"), "Invalid JSON pointer");
        check(Form::V21, &op("replace", "/status"), "read-only");
        check(Form::V21, &op("add", "/locations/-"), "reserved");
        check(Form::V21, &op("add", "/deleted"), "reserved");
        check(
            Form::V21,
            &json!([{"op": "add", "path": "/x"}]),
            "requires a member",
        );
        check(
            Form::V20,
            &json!([{"add": "/x", "remove": "/y"}]),
            "only one member",
        );
        check(Form::V20, &json!([{"value": 1}]), "exactly one member");
    }

    proptest! {
        #[test]
        fn no_pointer_panics(pointer in "\\PC{0,20}|[/~01a ]{0,10}") {
            let body = json!([{"op": "add", "path": pointer, "value": "x"}]);
            let _outcome = parse(Form::V21, &body);
        }
    }
}
