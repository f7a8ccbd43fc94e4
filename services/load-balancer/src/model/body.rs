//! Reading bodies: each field once, with what is wrong in the words of Octavia's API.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Longest names, descriptions and tags.
const MAX_TEXT: usize = 255;
/// Most items of a list in a body.
const MAX_ITEMS: usize = 1000;
/// Most tags of one thing.
const MAX_TAGS: usize = 50;

/// An object of a body.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The object at `key` of a body, which has no other.
    pub(crate) fn inside(body: &'a Value, key: &str) -> Result<Self, Refusal> {
        let inner = body.get(key).and_then(Value::as_object).map(Self);
        inner.ok_or_else(|| {
            Refusal::plain(format!(
                "Missing argument: the body must be an object with '{key}'."
            ))
        })
    }

    /// The object itself.
    pub(crate) fn of(value: &'a Value, what: &str) -> Result<Self, Refusal> {
        let object = value.as_object().map(Self);
        object.ok_or_else(|| Refusal::input(what, value, "It must be an object."))
    }

    /// Refuses keys other than these.
    pub(crate) fn only(self, known: &[&[&str]]) -> Result<Self, Refusal> {
        let is_known = |key: &str| known.iter().any(|some| some.contains(&key));
        match self.0.keys().find(|key| !is_known(key)) {
            None => Ok(self),
            Some(key) => Err(Refusal::plain(format!(
                "Unknown attribute: {key} is not known here, or cannot be set."
            ))),
        }
    }

    pub(crate) fn has(self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// A value that is there and not null.
    pub(crate) fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// What is there must be a text of at most 255 characters.
    pub(crate) fn text(self, key: &str) -> Result<Option<&'a str>, Refusal> {
        self.long_text(key, MAX_TEXT)
    }

    fn long_text(self, key: &str, most: usize) -> Result<Option<&'a str>, Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or_else(|| Refusal::input(key, value, "It must be a string."))?;
        if text.chars().count() > most {
            let why = format!("Value should have a maximum character requirement of {most}.");
            return Err(Refusal::input(key, value, why));
        }
        Ok(Some(text))
    }

    /// A text that must be there.
    pub(crate) fn needed(self, key: &str) -> Result<&'a str, Refusal> {
        self.text(key)?.ok_or_else(|| missing(key))
    }

    /// A UUID.
    pub(crate) fn uuid(self, key: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match uuid::Uuid::try_parse(text) {
            Ok(id) => Ok(Some(id.hyphenated().to_string())),
            Err(_) => Err(Refusal::input(
                key,
                &text.into(),
                "Value should be UUID format",
            )),
        }
    }

    /// A UUID that must be there.
    pub(crate) fn needed_uuid(self, key: &str) -> Result<String, Refusal> {
        self.uuid(key)?.ok_or_else(|| missing(key))
    }

    /// A whole number within bounds, also written as text.
    pub(crate) fn number(self, key: &str, bounds: (i64, i64)) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _other => None,
        };
        let number = number.ok_or_else(|| Refusal::input(key, value, "It must be an integer."))?;
        let (least, most) = bounds;
        if number < least {
            let why = format!("Value should be greater or equal to {least}");
            return Err(Refusal::input(key, value, why));
        }
        if number > most {
            let why = format!("Value should be lower or equal to {most}");
            return Err(Refusal::input(key, value, why));
        }
        Ok(Some(number))
    }

    /// Likewise, one that must be there.
    pub(crate) fn needed_number(self, key: &str, bounds: (i64, i64)) -> Result<i64, Refusal> {
        self.number(key, bounds)?.ok_or_else(|| missing(key))
    }

    /// Truth in any of the ways in which WSME takes it.
    pub(crate) fn flag(self, key: &str) -> Result<Option<bool>, Refusal> {
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
        let read = read.ok_or_else(|| Refusal::input(key, value, "It must be a boolean."))?;
        Ok(Some(read))
    }

    /// One of these words.
    pub(crate) fn word(self, key: &str, known: &[&str]) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        if known.contains(&text) {
            return Ok(Some(text.to_owned()));
        }
        let why = format!("Value should be one of: {}", known.join(", "));
        Err(Refusal::input(key, &text.into(), why))
    }

    /// An address, as it is written.
    pub(crate) fn address(self, key: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Some(address.to_string())),
            Err(_) => Err(Refusal::input(
                key,
                &text.into(),
                "Value should be IPv4 or IPv6 format",
            )),
        }
    }

    /// A list; without one, an empty one.
    pub(crate) fn list(self, key: &str) -> Result<&'a [Value], Refusal> {
        self.short_list(key, MAX_ITEMS)
    }

    /// Likewise, one of so many items at most.
    pub(crate) fn short_list(self, key: &str, most: usize) -> Result<&'a [Value], Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(&[]);
        };
        let list = value
            .as_array()
            .ok_or_else(|| Refusal::input(key, value, "It must be a list."))?;
        if list.len() > most {
            let words = format!("{key} has {} items, more than {most}.", list.len());
            return Err(Refusal::invalid(words));
        }
        Ok(list)
    }

    /// Tags; none when they are not in the body, empty when they are null.
    pub(crate) fn tags(self) -> Result<Option<Vec<String>>, Refusal> {
        if !self.has("tags") {
            return Ok(None);
        }
        let mut tags: Vec<String> = Vec::new();
        for value in self.short_list("tags", MAX_TAGS)? {
            let text = value
                .as_str()
                .filter(|text| text.chars().count() <= MAX_TEXT);
            let why = "Each tag must be a string of at most 255 characters.";
            let text = text.ok_or_else(|| Refusal::input("tags", value, why))?;
            if !tags.iter().any(|tag| tag == text) {
                tags.push(text.to_owned());
            }
        }
        Ok(Some(tags))
    }
}

/// 400 for an attribute that must be there.
pub(crate) fn missing(key: &str) -> Refusal {
    Refusal::input(key, &Value::Null, "Mandatory field missing.")
}

/// Words for yes and no.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _other => None,
    }
}

/// What is changed on everything in the same way: its name, description, whether it is enabled, its tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Label {
    pub name: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
    pub tags: Option<Vec<String>>,
}

impl Label {
    /// The fields that [`Label::read`] reads.
    pub(crate) const FIELDS: &'static [&'static str] =
        &["name", "description", "admin_state_up", "tags"];

    /// Null stands for the default.
    pub(crate) fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        let text = |key: &str| -> Result<Option<String>, Refusal> {
            let text = fields.text(key)?.unwrap_or_default();
            Ok(fields.has(key).then(|| text.to_owned()))
        };
        let enabled = fields.flag("admin_state_up")?;
        Ok(Self {
            name: text("name")?,
            description: text("description")?,
            enabled: fields
                .has("admin_state_up")
                .then(|| enabled.unwrap_or(true)),
            tags: fields.tags()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_of_their_form() {
        let body = json!({"x": {"n": 5, "t": "7", "b": "yes", "id": "2b1c6d8e-0000-4000-8000-000000000001",
            "ip": "2001:DB8::1", "tags": ["a", "a", "b"], "odd": [], "null": null}});
        let fields = Fields::inside(&body, "x").unwrap();
        assert_eq!(fields.number("n", (0, 9)).unwrap(), Some(5));
        assert_eq!(fields.number("t", (0, 9)).unwrap(), Some(7));
        assert!(fields.number("n", (6, 9)).is_err());
        assert!(fields.number("n", (0, 4)).is_err());
        assert_eq!(fields.flag("b").unwrap(), Some(true));
        assert!(fields.uuid("id").unwrap().is_some());
        assert!(fields.uuid("b").is_err());
        assert_eq!(fields.address("ip").unwrap().unwrap(), "2001:db8::1");
        assert_eq!(fields.tags().unwrap().unwrap(), ["a", "b"]);
        for read in [
            fields.text("odd").is_err(),
            fields.flag("odd").is_err(),
            fields.address("b").is_err(),
        ] {
            assert!(read);
        }
        assert_eq!(fields.text("null").unwrap(), None);
        assert!(fields.needed("null").is_err());
        assert!(fields.only(&[&["n", "t"]]).is_err());
        assert!(Fields::inside(&body, "y").is_err());
    }
}
