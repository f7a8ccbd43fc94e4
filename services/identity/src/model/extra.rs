//! Keys that identity keeps without knowing them, and the texts that bodies may hold.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

/// A JSON object of any keys: what clients store besides the known attributes, and options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Extra(pub Map<String, Value>);

impl PartialSchema for Extra {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}
impl ToSchema for Extra {}

impl Extra {
    /// Takes over the keys of `newer`; `null` is kept, as Keystone keeps it.
    pub(crate) fn merge(&mut self, newer: Self) {
        self.0.extend(newer.0);
    }

    /// Removes and gives a text.
    pub(crate) fn take_text(&mut self, key: &str) -> Option<String> {
        match self.0.shift_remove(key) {
            Some(Value::String(text)) => Some(text),
            _absent_or_other => None,
        }
    }

    /// Whether the key is the boolean `true`.
    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.0.get(key) == Some(&Value::Bool(true))
    }

    /// The names of options that hold something else than a boolean, or that nobody knows.
    pub(crate) fn wrong_options(&self, booleans: &[&str], others: &[&str]) -> Vec<String> {
        self.0
            .iter()
            .filter(|(name, value)| {
                let boolean = value.is_boolean() || value.is_null();
                !(others.contains(&name.as_str()) || booleans.contains(&name.as_str()) && boolean)
            })
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// A text of 1 to `MAX` characters that is not blank: names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Name<const MAX: usize>(pub String);

impl<'de, const MAX: usize> Deserialize<'de> for Name<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let length = text.chars().count();
        if text.trim().is_empty() || length > MAX {
            return Err(serde::de::Error::custom(format!(
                "a text of 1 to {MAX} characters that is not blank is expected, not one of {length}"
            )));
        }
        Ok(Self(text))
    }
}

impl<const MAX: usize> PartialSchema for Name<MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX))
            .into()
    }
}
impl<const MAX: usize> ToSchema for Name<MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Name{MAX}").into()
    }
}

/// An id that a client chose: letters, digits and dashes, at most 64.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, good: bool) {
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(
            serde_json::from_str::<Name<3>>(&json).is_ok(),
            good,
            "{text:?}"
        );
    }

    #[test]
    fn names_are_not_blank_and_have_a_limit_in_characters() {
        check("a", true);
        check("äöü", true);
        check("", false);
        check("  ", false);
        check("abcd", false);
    }
}
