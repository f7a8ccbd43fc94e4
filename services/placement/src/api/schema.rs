//! What a body or a query must look like, as data, and what is said when it does not: the words of Python's jsonschema,
//! which upstream's clients and tests know.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{is_uuid, names};

/// Longest value quoted in a message.
const QUOTED: usize = 200;

/// A form of a value.
#[derive(Debug)]
pub(crate) enum Schema {
    Text(Text),
    Integer {
        min: Option<i64>,
        max: Option<i64>,
    },
    Number {
        max: f64,
    },
    List {
        items: Box<Schema>,
        min: usize,
        unique: bool,
    },
    Object(Object),
    /// The form, or null.
    Nullable(Box<Schema>),
    /// One of these texts.
    OneOf(&'static [&'static str]),
}

/// The form of a text.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub min: usize,
    pub max: Option<usize>,
    pub pattern: Option<Pattern>,
    pub uuid: bool,
}

/// The form of an object.
#[derive(Debug, Default)]
pub(crate) struct Object {
    pub properties: Vec<(&'static str, Schema)>,
    pub patterns: Vec<(Pattern, Schema)>,
    pub required: Vec<&'static str>,
    /// Whether other keys may stand in it.
    pub open: bool,
    pub min: usize,
}

/// A regular expression, as clients see it, and what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    pub text: &'static str,
    pub matches: fn(&str) -> bool,
}

/// 36 hexadecimal digits and dashes.
pub(crate) const UUID: Pattern = Pattern {
    text: "^[0-9a-fA-F-]{36}$",
    matches: |text| {
        let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        text.len() == 36 && text.bytes().all(plain)
    },
};

/// A resource class, trait or consumer type.
pub(crate) const NAME: Pattern = Pattern {
    text: "^[A-Z0-9_]+$",
    matches: names::is_name,
};

/// A custom resource class or trait.
pub(crate) const CUSTOM: Pattern = Pattern {
    text: "^CUSTOM_[A-Z0-9_]+$",
    matches: |text| text.strip_prefix(names::CUSTOM).is_some_and(names::is_name),
};

/// The suffix of a request group since 1.33.
pub(crate) const SUFFIX: Pattern = Pattern {
    text: "^[a-zA-Z0-9_-]{1,64}$",
    matches: |text| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        (1..=64).contains(&text.len()) && text.bytes().all(plain)
    },
};

/// What is wrong with a value.
#[derive(Debug)]
struct Problem {
    keyword: &'static str,
    /// Where in the value.
    path: Vec<String>,
    /// Where in the schema.
    rule: String,
    message: String,
}

/// Where the check stands, in the value and in the schema.
#[derive(Default)]
struct Place {
    path: Vec<String>,
    rule: Vec<String>,
}

impl Place {
    fn enter(&mut self, key: String, rule: String) {
        self.path.push(key);
        self.rule.push(rule);
    }

    fn leave(&mut self) {
        self.path.pop();
        self.rule.pop();
    }
}

impl Schema {
    /// Any text of up to `max` characters.
    pub(crate) fn text(max: usize) -> Self {
        Self::Text(Text {
            max: Some(max),
            ..Text::default()
        })
    }

    /// A text that is not empty.
    pub(crate) fn filled(max: usize) -> Self {
        Self::Text(Text {
            min: 1,
            max: Some(max),
            ..Text::default()
        })
    }

    /// A UUID.
    pub(crate) fn uuid() -> Self {
        Self::Text(Text {
            uuid: true,
            ..Text::default()
        })
    }

    /// Any integer.
    pub(crate) const fn integer() -> Self {
        Self::Integer {
            min: None,
            max: None,
        }
    }

    /// An integer of at least `min`.
    pub(crate) const fn at_least(min: i64) -> Self {
        Self::Integer {
            min: Some(min),
            max: None,
        }
    }

    /// Checks a value.
    ///
    /// # Errors
    /// The message for the client.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        let mut problems = Vec::new();
        self.collect(value, &mut Place::default(), &mut problems);
        // As jsonschema's best match: what is wrong further up says more.
        let best = problems
            .into_iter()
            .min_by_key(|problem| problem.path.len());
        best.map_or(Ok(()), |problem| Err(problem.text()))
    }

    fn collect(&self, value: &Value, place: &mut Place, problems: &mut Vec<Problem>) {
        let before = problems.len();
        let mut found = |keyword, message| {
            problems.push(Problem {
                keyword,
                path: place.path.clone(),
                rule: place.rule.concat(),
                message,
            });
        };
        match (self, value) {
            (Self::Text(form), Value::String(text)) => form.check(text, &mut found),
            (Self::Integer { min, max }, Value::Number(number)) if !number.is_f64() => {
                check_range(number, (*min, *max), &mut found);
            }
            (Self::Number { max }, Value::Number(number)) => {
                if number.as_f64().is_none_or(|number| number > *max) {
                    found(
                        "maximum",
                        format!("{number} is greater than the maximum of {max:e}"),
                    );
                }
            }
            (Self::List { items, min, unique }, Value::Array(list)) => {
                check_list(list, (*min, *unique), &mut found);
                for (at, item) in list.iter().enumerate() {
                    place.enter(at.to_string(), "['items']".to_owned());
                    items.collect(item, place, problems);
                    place.leave();
                }
            }
            (Self::Object(form), Value::Object(object)) => {
                form.check(object, &mut found);
                for (key, item) in object {
                    for (rule, schema) in form.of_key(key) {
                        place.enter(format!("'{key}'"), rule);
                        schema.collect(item, place, problems);
                        place.leave();
                    }
                }
            }
            (Self::Nullable(_), Value::Null) => {}
            (Self::Nullable(inner), value) => {
                inner.collect(value, place, problems);
                if let Self::Integer { .. } = **inner
                    && let Some(problem) = problems.get_mut(before)
                    && problem.keyword == "type"
                {
                    problem.message = format!("{} is not of type 'integer', 'null'", quoted(value));
                }
            }
            (Self::OneOf(texts), value) => {
                if !value.as_str().is_some_and(|text| texts.contains(&text)) {
                    let texts: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
                    let message = format!("{} is not one of [{}]", quoted(value), texts.join(", "));
                    found("enum", message);
                }
            }
            (form, value) => {
                let message = format!("{} is not of type '{}'", quoted(value), form.type_name());
                found("type", message);
            }
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::OneOf(_) => "string",
            Self::Integer { .. } => "integer",
            Self::Number { .. } => "number",
            Self::List { .. } => "array",
            Self::Object(_) => "object",
            Self::Nullable(inner) => inner.type_name(),
        }
    }
}

impl Problem {
    fn text(&self) -> String {
        let place: String = self.path.iter().map(|key| format!("[{key}]")).collect();
        format!(
            "{}\n\nFailed validating '{}' in schema{}\n\nOn instance{place}",
            self.message, self.keyword, self.rule
        )
    }
}

type Found<'a> = dyn FnMut(&'static str, String) + 'a;

impl Text {
    fn check(&self, text: &str, found: &mut Found<'_>) {
        let length = text.chars().count();
        let value = quoted_text(text);
        if self.min == 1 && length == 0 {
            found("minLength", format!("{value} should be non-empty"));
        }
        if self.max.is_some_and(|max| length > max) {
            found("maxLength", format!("{value} is too long"));
        }
        if let Some(pattern) = self.pattern
            && !(pattern.matches)(text)
        {
            found(
                "pattern",
                format!("{value} does not match '{}'", pattern.text),
            );
        }
        if self.uuid && !is_uuid(text) {
            found("format", format!("{value} is not a 'uuid'"));
        }
    }
}

impl Object {
    /// An object of these keys and no others, all of them required.
    pub(crate) fn of(properties: Vec<(&'static str, Schema)>) -> Self {
        let required = properties.iter().map(|(key, _)| *key).collect();
        Self {
            properties,
            required,
            ..Self::default()
        }
    }

    /// More keys, which may be absent.
    #[must_use]
    pub(crate) fn optional(mut self, properties: Vec<(&'static str, Schema)>) -> Self {
        self.properties.extend(properties);
        self
    }

    /// The forms of the value of a key, and where they stand.
    fn of_key(&self, key: &str) -> Vec<(String, &Schema)> {
        let named = self.properties.iter().filter(|(name, _)| *name == key);
        let named = named.map(|(name, schema)| (format!("['properties']['{name}']"), schema));
        let matched = self.patterns.iter();
        let matched = matched.filter(|(pattern, _)| (pattern.matches)(key));
        let matched = matched.map(|(pattern, schema)| {
            (format!("['patternProperties']['{}']", pattern.text), schema)
        });
        named.chain(matched).collect()
    }

    fn check(&self, object: &serde_json::Map<String, Value>, found: &mut Found<'_>) {
        for key in &self.required {
            if !object.contains_key(*key) {
                found("required", format!("'{key}' is a required property"));
            }
        }
        if object.len() < self.min {
            found("minProperties", "{} should be non-empty".to_owned());
        }
        if self.open {
            return;
        }
        let unknown = object.keys().filter(|key| self.of_key(key).is_empty());
        let mut unknown: Vec<String> = unknown.map(|key| quoted_text(key)).collect();
        if unknown.is_empty() {
            return;
        }
        unknown.sort_unstable();
        let (many, names) = (unknown.len() > 1, unknown.join(", "));
        let message = if self.patterns.is_empty() {
            let were = if many { "were" } else { "was" };
            format!("Additional properties are not allowed ({names} {were} unexpected)")
        } else {
            let mut texts: Vec<String> = self
                .patterns
                .iter()
                .map(|(pattern, _)| format!("'{}'", pattern.text))
                .collect();
            texts.sort_unstable();
            let verb = if many { "do" } else { "does" };
            format!(
                "{names} {verb} not match any of the regexes: {}",
                texts.join(", ")
            )
        };
        found("additionalProperties", message);
    }
}

fn check_range(
    number: &serde_json::Number,
    (min, max): (Option<i64>, Option<i64>),
    found: &mut Found<'_>,
) {
    // A number beyond 63 bits is beyond every maximum, and too large to count with.
    let Some(value) = number.as_i64() else {
        let max = max.unwrap_or(i64::MAX);
        found(
            "maximum",
            format!("{number} is greater than the maximum of {max}"),
        );
        return;
    };
    if let Some(min) = min
        && value < min
    {
        found(
            "minimum",
            format!("{value} is less than the minimum of {min}"),
        );
    }
    if let Some(max) = max
        && value > max
    {
        found(
            "maximum",
            format!("{value} is greater than the maximum of {max}"),
        );
    }
}

fn check_list(list: &[Value], (min, unique): (usize, bool), found: &mut Found<'_>) {
    if list.len() < min {
        found("minItems", "[] should be non-empty".to_owned());
    }
    let texts: std::collections::BTreeSet<String> = list.iter().map(Value::to_string).collect();
    if unique && texts.len() < list.len() {
        let value = quoted(&Value::Array(list.to_vec()));
        found("uniqueItems", format!("{value} has non-unique elements"));
    }
}

/// The value as Python would write it.
fn quoted(value: &Value) -> String {
    shortened(python(value))
}

fn quoted_text(text: &str) -> String {
    shortened(format!("'{text}'"))
}

fn shortened(text: String) -> String {
    if text.chars().count() <= QUOTED {
        return text;
    }
    let start: String = text.chars().take(QUOTED).collect();
    format!("{start}…")
}

fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(python).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(object) => {
            let sorted: BTreeMap<&String, &Value> = object.iter().collect();
            let items: Vec<String> = sorted
                .iter()
                .map(|(key, value)| format!("'{key}': {}", python(value)))
                .collect();
            format!("{{{}}}", items.join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
