//! Reading bodies: each field once, with what is wrong in Cinder's words.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::volume::{MAX_GIB, is_uuid};

/// A sentence for whoever asked.
pub(crate) type Refusal = String;

/// Longest names, keys and values.
const MAX_TEXT: usize = 255;

/// An object of a body.
pub(crate) struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The object at `key` of a body.
    pub(crate) fn inside(body: &'a Value, key: &str) -> Result<Self, Refusal> {
        let inner = body.get(key).and_then(Value::as_object);
        inner.map(Self).ok_or_else(|| {
            format!("Invalid input for field/attribute {key}. '{key}' is a required property and an object.")
        })
    }

    /// Refuses keys other than these.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let unknown = self.0.keys().find(|key| !known.contains(&key.as_str()));
        unknown.map_or(Ok(()), |key| {
            Err(format!(
                "Additional properties are not allowed ('{key}' was unexpected)"
            ))
        })
    }

    /// A value that is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Text of at most 255 characters without spaces around it.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or_else(|| wrong(key, value, "is not of type 'string'"))?;
        let text = text.trim();
        if text.chars().count() > MAX_TEXT {
            return Err(format!(
                "{key} has {} characters, more than {MAX_TEXT}.",
                text.chars().count()
            ));
        }
        Ok(Some(text.to_owned()))
    }

    /// The first of two names under which something may be given; `Some(None)` where it is given as null.
    pub(crate) fn either(&self, new: &str, old: &str) -> Result<Option<Option<String>>, Refusal> {
        for key in [new, old] {
            if self.has(key) {
                return Ok(Some(self.text(key)?));
            }
        }
        Ok(None)
    }

    /// A UUID; empty is none.
    pub(crate) fn uuid(&self, key: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(key)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        if is_uuid(&text) {
            Ok(Some(text))
        } else {
            Err(format!(
                "Invalid input for field/attribute {key}. Value: {text}. '{text}' is not a 'uuid'"
            ))
        }
    }

    /// A whole number, also written as text.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _other => None,
        };
        let number = number.ok_or_else(|| wrong(key, value, "is not an integer"))?;
        Ok(Some(number))
    }

    /// A size in GiB: at least 1.
    pub(crate) fn size(&self, key: &str) -> Result<Option<i64>, Refusal> {
        let number = self.number(key)?;
        match number {
            Some(gib) if gib < 1 => Err(format!(
                "Invalid input for field/attribute {key}. Value: {gib}. {gib} is less than the minimum of 1"
            )),
            Some(gib) if gib > MAX_GIB => Err(format!(
                "Invalid input for field/attribute {key}. Value: {gib}. {gib} is greater than the maximum of {MAX_GIB}"
            )),
            fine => Ok(fine),
        }
    }

    /// Truth in any of the ways in which Cinder takes it.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let read = match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_i64().and_then(|number| match number {
                0 => Some(false),
                1 => Some(true),
                _other => None,
            }),
            Value::String(text) => truth(text),
            _other => None,
        };
        read.map(Some)
            .ok_or_else(|| wrong(key, value, "is not of type 'boolean'"))
    }

    /// Names with text.
    pub(crate) fn metadata(&self, key: &str) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let object = value
            .as_object()
            .ok_or_else(|| wrong(key, value, "is not of type 'object'"))?;
        texts(object).map(Some)
    }
}

/// Names with text, each with 1 to 255 characters, values with up to 255.
pub(crate) fn texts(object: &Map<String, Value>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut all = BTreeMap::new();
    for (name, value) in object {
        let length = name.chars().count();
        if length == 0 || length > MAX_TEXT {
            return Err(format!(
                "Metadata property key '{name}' must have 1 to {MAX_TEXT} characters."
            ));
        }
        let text = value
            .as_str()
            .ok_or_else(|| format!("Invalid input for field/attribute {name}. Value: {value}. It is not of type 'string'."))?;
        if text.chars().count() > MAX_TEXT {
            return Err(format!(
                "Metadata property value of '{name}' is longer than {MAX_TEXT} characters."
            ));
        }
        all.insert(name.clone(), text.to_owned());
    }
    Ok(all)
}

/// oslo's words for yes and no.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _other => None,
    }
}

fn wrong(key: &str, value: &Value, what: &str) -> Refusal {
    let shown: String = value.to_string().chars().take(80).collect();
    format!("Invalid input for field/attribute {key}. Value: {shown}. {shown} {what}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_are_at_least_one_and_whole() {
        let check = |value: Value, expected: Option<i64>| {
            let body = json!({"volume": {"size": value}});
            let fields = Fields::inside(&body, "volume").unwrap();
            assert_eq!(fields.size("size").ok().flatten(), expected, "{body}");
        };
        check(json!(1), Some(1));
        check(json!("2"), Some(2));
        for odd in [
            json!(0),
            json!(-1),
            json!("#$%"),
            json!(1.5),
            json!([]),
            json!(1i64 << 40),
        ] {
            check(odd, None);
        }
    }

    #[test]
    fn metadata_is_text() {
        let body = json!({"v": {"metadata": {"a": "b"}, "odd": {"a": 1}, "empty": {"": "x"}}});
        let fields = Fields::inside(&body, "v").unwrap();
        assert_eq!(fields.metadata("metadata").unwrap().unwrap()["a"], "b");
        assert!(fields.metadata("odd").is_err());
        assert!(fields.metadata("empty").is_err());
    }
}
