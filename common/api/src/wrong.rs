//! What is wrong with a body: found once, worded by each service's dialect.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Dialect, Fault};

/// Longest text of a value in a fault, in characters.
const SHOWN: usize = 1000;

/// A value of a body that cannot be taken.
#[derive(Debug)]
pub struct Wrong<'a> {
    /// Names and indices from the top of the body down to the value; empty: the body itself.
    pub path: &'a [String],
    /// The value.
    pub value: &'a Value,
    /// What is wrong with it.
    pub mistake: Mistake<'a>,
}

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
pub enum Mistake<'a> {
    /// It has keys that it must not have.
    Unexpected(Vec<&'a str>),
    /// It lacks a key.
    Missing(&'a str),
    /// It is not of this type, as JSON schema calls it: `string`, `integer`, `array`.
    Type(&'static str),
    /// What its reader says.
    Other(String),
}

impl Wrong<'_> {
    /// The path as people write it: `toy.parts[0].size`.
    #[must_use]
    pub fn place(&self) -> String {
        let mut place = String::new();
        for step in self.path {
            if step.bytes().all(|byte| byte.is_ascii_digit()) {
                place.push_str(&format!("[{step}]"));
            } else {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(step);
            }
        }
        place
    }

    /// The mistake in JSON schema's words.
    #[must_use]
    pub fn in_schema_words(&self) -> String {
        match &self.mistake {
            Mistake::Unexpected(keys) => {
                let quoted: Vec<String> = keys.iter().map(|key| format!("'{key}'")).collect();
                let were = if keys.len() == 1 { "was" } else { "were" };
                format!(
                    "Additional properties are not allowed ({} {were} unexpected)",
                    quoted.join(", ")
                )
            }
            Mistake::Missing(key) => format!("'{key}' is a required property"),
            Mistake::Type(kind) => format!("{} is not of type '{kind}'", quoted(self.value)),
            Mistake::Other(what) => what.clone(),
        }
    }

    /// The words of a service that has none of its own.
    #[must_use]
    pub fn plain(&self) -> String {
        let what = self.in_schema_words();
        match self.path.last() {
            None => format!("Invalid input for the body: {what}."),
            Some(name) => {
                let place = self.place();
                format!("Invalid input for field/attribute {name} ({place}): {what}.")
            }
        }
    }
}

/// A value as Python's `str` shows it, which is how the originals quote what they refuse; cut when it is long.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text.clone()),
        other => quoted(other),
    }
}

/// A value as Python's `repr` shows it: texts in quotes; cut when it is long.
#[must_use]
pub fn quoted(value: &Value) -> String {
    cut(repr(value))
}

fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| format!("'{key}': {}", repr(value));
            let entries: Vec<String> = map.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Reads a value; what is wrong with it is said in the service's words.
///
/// # Errors
/// A 400.
pub fn from_value<T: DeserializeOwned>(value: &Value, dialect: &Dialect) -> Result<T, Fault> {
    serde_path_to_error::deserialize(value).map_err(|why| {
        let mut path: Vec<String> = why.path().iter().filter_map(step).collect();
        let said = why.inner().to_string();
        // A value has one line as far as a client is concerned: "at line 1 column 40" only hides the point.
        let said = said.split(" at line ").next().unwrap_or(&said);
        let mut mistake = mistake(said);
        if let Mistake::Unexpected(_) = mistake {
            path.pop();
        }
        let value = at(value, &path);
        // The names of our types say nothing to a client.
        if said.starts_with("data did not match any variant of untagged enum") {
            let value = quoted(value);
            mistake = Mistake::Other(format!(
                "{value} is not valid under any of the given schemas"
            ));
        }
        let wrong = Wrong {
            path: &path,
            value,
            mistake,
        };
        (dialect.wrong)(&wrong)
    })
}

fn step(segment: &serde_path_to_error::Segment) -> Option<String> {
    match segment {
        serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
        serde_path_to_error::Segment::Map { key } => Some(key.clone()),
        serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => None,
    }
}

fn at<'a>(top: &'a Value, path: &[String]) -> &'a Value {
    path.iter()
        .try_fold(top, |value, step| match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            other => other.get(step),
        })
        .unwrap_or(&Value::Null)
}

/// Reads serde's words.
fn mistake(said: &str) -> Mistake<'_> {
    let name = |rest: &'static str| {
        said.strip_prefix(rest)
            .and_then(|rest| rest.split('`').next())
    };
    if let Some(key) = name("unknown field `") {
        return Mistake::Unexpected(vec![key]);
    }
    if let Some(key) = name("missing field `") {
        return Mistake::Missing(key);
    }
    if let Some(given) = name("unknown variant `") {
        let known = said.split_once("expected ").map_or("", |(_, known)| known);
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        return Mistake::Other(format!(
            "'{given}' is not one of ['{}']",
            known.join("', '")
        ));
    }
    let expected = said.split_once(", expected ").map(|(_, expected)| expected);
    if let Some(kind) = expected.and_then(|expected| type_of(said, expected)) {
        return Mistake::Type(kind);
    }
    Mistake::Other(said.trim_end_matches('.').to_owned())
}

fn type_of(said: &str, expected: &str) -> Option<&'static str> {
    // A list where an object is wanted is refused by its length when it is empty.
    if expected.starts_with("struct ") {
        return Some("object");
    }
    if !said.starts_with("invalid type: ") {
        return None;
    }
    match expected {
        "a string" | "a borrowed string" => Some("string"),
        "a boolean" => Some("boolean"),
        "a sequence" => Some("array"),
        "a map" => Some("object"),
        "f32" | "f64" => Some("number"),
        whole if whole.starts_with(['i', 'u']) && whole.len() <= 5 => Some("integer"),
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Toy {
        #[expect(dead_code, reason = "only read")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only read")]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        #[expect(dead_code, reason = "only read")]
        size: u8,
    }

    #[track_caller]
    fn check(value: Value, message: &str) {
        let dialect = Dialect::plain(|_, _| Value::Null);
        let fault = from_value::<Toy>(&value, &dialect).unwrap_err();
        assert_eq!(fault.message, message);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        check(
            json!({"name": 5}),
            "Invalid input for field/attribute name (name): 5 is not of type 'string'.",
        );
        check(
            json!({}),
            "Invalid input for the body: 'name' is a required property.",
        );
        check(
            json!([]),
            "Invalid input for the body: [] is not of type 'object'.",
        );
        check(
            json!({"name": "x", "parts": [{"size": 1, "bla": 2}]}),
            "Invalid input for field/attribute 0 (parts[0]): Additional properties are not allowed ('bla' was unexpected).",
        );
        check(
            json!({"name": "x", "parts": {"size": null}}),
            "Invalid input for field/attribute parts (parts): {'size': None} is not of type 'array'.",
        );
        check(
            json!({"name": "x", "parts": [{"size": 256}]}),
            "Invalid input for field/attribute size (parts[0].size): invalid value: integer `256`, expected u8.",
        );
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shown(&json!("a")), "a");
        assert_eq!(quoted(&json!("a")), "'a'");
        assert_eq!(shown(&json!("ä".repeat(2000))).chars().count(), SHOWN + 1);
    }
}
