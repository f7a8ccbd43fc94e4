//! Metadata definitions: the limits of names and what a property may say.

use serde_json::{Map, Value};

/// Names of namespaces, objects, properties and tags.
const MAX_NAME: usize = 80;
/// Descriptions of namespaces.
const MAX_DESCRIPTION: usize = 500;

/// What a property may say besides its name.
const KEYS: &[&str] = &[
    "title",
    "type",
    "description",
    "operators",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "additionalItems",
    "items",
    "pattern",
    "default",
    "readonly",
];
const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

/// Refuses a name that is empty, too long or cannot be stored.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("The {what} needs a name."));
    }
    check_text(what, Some(name), MAX_NAME)
}

/// Refuses a description that is too long or cannot be stored.
pub(crate) fn check_description(what: &str, text: Option<&str>) -> Result<(), String> {
    check_text(what, text, MAX_DESCRIPTION)
}

fn check_text(what: &str, text: Option<&str>, max: usize) -> Result<(), String> {
    let Some(text) = text else {
        return Ok(());
    };
    if text.chars().count() > max {
        return Err(format!("The {what} is longer than {max} characters."));
    }
    if text.contains('\0') {
        return Err(format!("The {what} contains a NUL character."));
    }
    Ok(())
}

/// Refuses a property that says what no property says.
pub(crate) fn check_property(name: &str, body: &Map<String, Value>) -> Result<(), String> {
    check_name("property", name)?;
    let refuse = |why: String| Err(format!("The property '{name}' {why}."));
    for required in ["title", "type"] {
        if !body.contains_key(required) {
            return refuse(format!("needs a '{required}'"));
        }
    }
    if let Some(unknown) = body.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return refuse(format!("has the unknown key '{unknown}'"));
    }
    for (key, value) in body {
        let good = match key.as_str() {
            "title" | "description" | "pattern" => value.is_string(),
            "type" => value.as_str().is_some_and(|kind| TYPES.contains(&kind)),
            "operators" => value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string)),
            "enum" => value.is_array(),
            "minimum" | "maximum" => value.is_number(),
            "minLength" | "maxLength" | "minItems" | "maxItems" => value.is_u64(),
            "uniqueItems" | "additionalItems" | "readonly" => value.is_boolean(),
            "items" => value.is_object(),
            _default => true,
        };
        if !good {
            return refuse(format!("has a wrong value for '{key}': {value}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: Value, good: bool) {
        let outcome = check_property("p", body.as_object().unwrap());
        assert_eq!(outcome.is_ok(), good, "{body}: {outcome:?}");
    }

    #[test]
    fn a_property_says_what_properties_say() {
        check(
            json!({"title": "t", "type": "string", "enum": ["a"], "default": 5}),
            true,
        );
        check(
            json!({"title": "t", "type": "array", "items": {"type": "string"}, "minItems": 1}),
            true,
        );
        check(json!({"title": "t"}), false);
        check(json!({"type": "string"}), false);
        check(json!({"title": "t", "type": "color"}), false);
        check(
            json!({"title": "t", "type": "string", "color": "red"}),
            false,
        );
        check(
            json!({"title": "t", "type": "string", "minLength": -1}),
            false,
        );
        assert!(check_name("tag", "").is_err());
        assert!(check_name("tag", &"x".repeat(81)).is_err());
        assert!(check_description("x", Some("a\0")).is_err());
    }
}
