//! What is wrong with a body: found once, worded by each service's dialect.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Dialect, Fault};

/// Longest text of a value in a fault, in characters.
const SHOWN: usize = 1000;
/// What names of secrets have in them, in small letters.
const SECRET_PARTS: [&str; 5] = ["pass", "secret", "token", "private_key", "auth_key"];
/// Names that are secrets' as a whole, in small letters.
const SECRET_NAMES: [&str; 4] = ["blob", "privatekey", "psk", "user_data"];

/// A value of a body that cannot be taken.
#[derive(Debug)]
pub struct Wrong<'a> {
    /// Names and indices from the top of the body down to the value; empty: the body itself.
    pub path: &'a [String],
    /// The value, as [`presentable`] makes it.
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
            Mistake::Type(kind) if is_within_secret(self.path) => {
                format!("{} is not of type '{kind}'", shown(self.value))
            }
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

/// Whether what has this name is nobody's to read, neither in an answer nor in a log: passwords, keys, and what users have
/// their guests told.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

fn is_within_secret(path: &[String]) -> bool {
    path.iter().any(|step| is_secret(step))
}

/// What can be said of the value of this name: itself, or its type where it is a secret.
#[must_use]
pub fn presentable<'a>(name: &str, value: &'a Value) -> Cow<'a, Value> {
    match is_secret(name) {
        true => Cow::Owned(Value::String(hidden(value))),
        false => Cow::Borrowed(value),
    }
}

/// What can be said of the value at this place.
pub(crate) fn presentable_at<'a>(path: &[String], value: &'a Value) -> Cow<'a, Value> {
    let secret = path.iter().find(|step| is_secret(step));
    secret.map_or(Cow::Borrowed(value), |step| presentable(step, value))
}

fn hidden(value: &Value) -> String {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("({kind}, not shown)")
}

/// Whether there is a secret anywhere in it.
fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| is_secret(key) || holds_secret(value)),
        _one => false,
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
            let entry = |(key, value): (&String, &Value)| match is_secret(key) {
                true => format!("'{key}': {}", hidden(value)),
                false => format!("'{key}': {}", repr(value)),
            };
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
        let given = at(value, &path);
        let value = presentable_at(&path, given);
        let value = &*value;
        // Serde's own words name the value that it does not take.
        if let Mistake::Other(_) = mistake
            && (is_within_secret(&path) || holds_secret(given))
            && names_value(said, given)
        {
            mistake = Mistake::Other("it has a form that is not taken".to_owned());
        }
        // The names of our types say nothing to a client.
        if said.starts_with("data did not match any variant of untagged enum") {
            let value = match is_within_secret(&path) {
                true => shown(value),
                false => quoted(value),
            };
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

fn names_value(said: &str, given: &Value) -> bool {
    let begins = ["invalid ", "unknown variant "];
    let text = given.as_str().filter(|text| !text.is_empty());
    begins.iter().any(|words| said.starts_with(words))
        || text.is_some_and(|text| said.contains(text))
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

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Lock {
        #[serde(rename = "adminPass")]
        #[expect(dead_code, reason = "only read")]
        password: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Door {
        #[serde(rename = "changePassword")]
        #[expect(dead_code, reason = "only read")]
        lock: Option<Lock>,
        #[serde(default, rename = "secretDigits")]
        #[expect(dead_code, reason = "only read")]
        digits: u8,
    }

    #[track_caller]
    fn check_door(value: Value, message: &str) {
        let dialect = Dialect::plain(|_, _| Value::Null);
        let fault = from_value::<Door>(&value, &dialect).unwrap_err();
        assert_eq!(fault.message, message);
    }

    #[test]
    fn of_a_secret_its_type_is_said_and_not_its_value() {
        for (given, kind) in [
            (json!(12_345_678), "number"),
            (json!(["hunter2"]), "array"),
            (json!({"x": "hunter2"}), "object"),
            (json!(true), "boolean"),
            (json!(null), "null"),
        ] {
            check_door(
                json!({"changePassword": {"adminPass": given}}),
                &format!(
                    "Invalid input for field/attribute adminPass (changePassword.adminPass): ({kind}, not shown) is not of type 'string'."
                ),
            );
        }
        check_door(
            json!({"changePassword": "hunter2"}),
            "Invalid input for field/attribute changePassword (changePassword): (string, not shown) is not of type 'object'.",
        );
        check_door(
            json!({"changePassword": null, "secretDigits": 1234}),
            "Invalid input for field/attribute secretDigits (secretDigits): it has a form that is not taken.",
        );
    }

    #[test]
    fn a_secret_within_a_value_is_not_shown() {
        let value = json!({"name": "a", "adminPass": "hunter2", "of": [{"user_password": 5}]});
        assert_eq!(
            shown(&value),
            "{'name': 'a', 'adminPass': (string, not shown), 'of': [{'user_password': (number, not shown)}]}"
        );
        assert_eq!(
            shown(&presentable("adminPass", &json!("x"))),
            "(string, not shown)"
        );
        assert_eq!(shown(&presentable("name", &json!("x"))), "x");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shown(&json!("a")), "a");
        assert_eq!(quoted(&json!("a")), "'a'");
        assert_eq!(shown(&json!("ä".repeat(2000))).chars().count(), SHOWN + 1);
    }
}
