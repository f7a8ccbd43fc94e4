//! Parameters of templates: their types, their constraints, the values that fit.

use serde_json::{Map, Value, json};

use super::constraint::{Constraint, Rule};
use super::function::shown;
use super::refusal::Refusal;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterType {
    Text,
    Number,
    List,
    Json,
    Boolean,
}

/// A parameter that a template declares.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub name: String,
    pub kind: ParameterType,
    pub label: Option<String>,
    pub description: String,
    pub default: Option<Value>,
    pub hidden: bool,
    pub immutable: bool,
    pub tags: Vec<String>,
    constraints: Vec<Constraint>,
}

const TYPES: [(&str, ParameterType); 5] = [
    ("string", ParameterType::Text),
    ("number", ParameterType::Number),
    ("comma_delimited_list", ParameterType::List),
    ("json", ParameterType::Json),
    ("boolean", ParameterType::Boolean),
];
const KEYS: [&str; 9] = [
    "type",
    "label",
    "description",
    "default",
    "hidden",
    "immutable",
    "constraints",
    "tags",
    "NoEcho",
];

impl ParameterType {
    /// As the validation of a template shows it.
    fn title(self) -> &'static str {
        match self {
            Self::Text => "String",
            Self::Number => "Number",
            Self::List => "CommaDelimitedList",
            Self::Json => "Json",
            Self::Boolean => "Boolean",
        }
    }
}

impl Parameter {
    /// Reads one declaration of a template.
    pub fn parse(name: &str, value: &Value) -> Result<Self, Refusal> {
        let schema = |what: String| Refusal::of("InvalidSchemaError", what);
        let map = value
            .as_object()
            .ok_or_else(|| schema(format!("Parameter {name}: a map is expected.")))?;
        if let Some(unknown) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(schema(format!(
                "Invalid key '{unknown}' for parameter ({name})"
            )));
        }
        let kind = map.get("type").and_then(Value::as_str);
        let kind =
            kind.ok_or_else(|| schema(format!("Missing parameter type for parameter: {name}")))?;
        let found = TYPES
            .iter()
            .find(|(word, _)| *word == kind.to_ascii_lowercase());
        let (_, kind) =
            found.ok_or_else(|| schema(format!("Invalid type ({kind}) for parameter ({name})")))?;
        let text = |key: &str| map.get(key).filter(|value| !value.is_null()).map(shown);
        let flag = |key: &str| match map.get(key) {
            None => Ok(false),
            Some(value) => truth(value)
                .ok_or_else(|| schema(format!("Parameter {name}: {key} is true or false."))),
        };
        let constraints = match map.get("constraints") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| Constraint::parse(name, item))
                .collect::<Result<_, _>>()?,
            Some(_) => {
                return Err(schema(format!(
                    "Invalid parameter constraints for parameter {name}, expected a list"
                )));
            }
        };
        let parameter = Self {
            name: name.to_owned(),
            kind: *kind,
            label: text("label"),
            description: text("description").unwrap_or_default(),
            default: map.get("default").filter(|value| !value.is_null()).cloned(),
            hidden: flag("hidden")?,
            immutable: flag("immutable")?,
            tags: map
                .get("tags")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(shown)
                .collect(),
            constraints,
        };
        if let Some(default) = &parameter.default {
            let checked = parameter.value(default);
            checked.map_err(|why| {
                schema(format!(
                    "Invalid default {} ({})",
                    shown(default),
                    why.message
                ))
            })?;
        }
        Ok(parameter)
    }

    /// The value that a caller's means, if it fits.
    pub fn value(&self, given: &Value) -> Result<Value, Refusal> {
        let wrong =
            |why: String| Refusal::invalid(format!("Parameter '{}' is invalid: {why}", self.name));
        let value = match self.kind {
            ParameterType::Text => match given {
                Value::Array(_) | Value::Object(_) => {
                    return Err(wrong("Value must be a string".to_owned()));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    Value::String(shown(given))
                }
            },
            ParameterType::Number => number(given)
                .ok_or_else(|| wrong(format!("\"{}\" is not a number", shown(given))))?,
            ParameterType::Boolean => {
                let truth = truth(given);
                Value::Bool(truth.ok_or_else(|| wrong(format!("Unrecognized value '{}', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'", shown(given))))?)
            }
            ParameterType::List => match given {
                Value::Array(items) => Value::Array(
                    items
                        .iter()
                        .map(|item| Value::String(shown(item)))
                        .collect(),
                ),
                Value::String(text) if text.is_empty() => Value::Array(Vec::new()),
                Value::String(text) => text
                    .split(',')
                    .map(|item| Value::from(item.trim()))
                    .collect(),
                other => Value::Array(vec![Value::String(shown(other))]),
            },
            ParameterType::Json => match given {
                Value::Array(_) | Value::Object(_) => given.clone(),
                Value::String(text) if text.is_empty() => Value::Object(Map::new()),
                other => serde_json::from_str(&shown(other))
                    .map_err(|_| wrong("Value must be valid JSON".to_owned()))?,
            },
        };
        for constraint in &self.constraints {
            constraint.check(&value).map_err(|why| {
                wrong(
                    constraint
                        .description
                        .clone()
                        .filter(|text| !text.is_empty())
                        .map_or(why.clone(), |text| format!("{why} ({text})")),
                )
            })?;
        }
        Ok(value)
    }

    /// How a stack shows the value: always text.
    pub fn shown(&self, value: &Value) -> String {
        if self.hidden {
            return "******".to_owned();
        }
        match value {
            Value::Array(items) if self.kind == ParameterType::List => {
                items.iter().map(shown).collect::<Vec<_>>().join(",")
            }
            other => shown(other),
        }
    }

    /// How the validation of a template shows it; `given` is what the caller's environment says.
    pub fn described(&self, given: Option<&Value>) -> Value {
        let mut out = Map::new();
        let mut put = |key: &str, value: Value| {
            out.insert(key.to_owned(), value);
        };
        put("Type", json!(self.kind.title()));
        put("Description", json!(self.description));
        put("NoEcho", json!(if self.hidden { "true" } else { "false" }));
        put("Label", json!(self.label.as_deref().unwrap_or(&self.name)));
        if let Some(default) = &self.default {
            put("Default", default.clone());
        }
        if let Some(given) = given.filter(|value| !value.is_null()) {
            put("Value", given.clone());
        }
        if !self.tags.is_empty() {
            put("Tags", json!(self.tags));
        }
        let mut words = Vec::new();
        for constraint in &self.constraints {
            let mut pair = |low: &str, high: &str, (min, max): (Option<Value>, Option<Value>)| {
                if let Some(min) = min {
                    put(low, min);
                }
                if let Some(max) = max {
                    put(high, max);
                }
            };
            match &constraint.rule {
                Rule::Length(min, max) => pair(
                    "MinLength",
                    "MaxLength",
                    (min.map(Value::from), max.map(Value::from)),
                ),
                Rule::Range(min, max) => {
                    pair("MinValue", "MaxValue", (min.map(tidy), max.map(tidy)))
                }
                Rule::Modulo(step, offset) => {
                    pair("Step", "Offset", (Some(json!(step)), Some(json!(offset))))
                }
                Rule::Allowed(values) => put("AllowedValues", json!(values)),
                Rule::Pattern(pattern) => put("AllowedPattern", json!(pattern)),
                Rule::Custom(name) => put("CustomConstraint", json!(name)),
            }
            words.extend(constraint.description.clone());
        }
        if !words.is_empty() {
            put("ConstraintDescription", json!(words.join(" ")));
        }
        Value::Object(out)
    }
}

/// A whole number stays one.
fn tidy(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and far below 2^53")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::from(number as i64);
    }
    Value::from(number)
}

/// A number, also out of a text.
pub(crate) fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => {
            let text = text.trim();
            text.parse::<i64>().map(Value::from).ok().or_else(|| {
                let number: f64 = text.parse().ok()?;
                serde_json::Number::from_f64(number).map(Value::Number)
            })
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A truth value in any of the words that OpenStack takes for one.
pub(crate) fn truth(value: &Value) -> Option<bool> {
    if let Value::Bool(value) = value {
        return Some(*value);
    }
    match shown(value).to_ascii_lowercase().as_str() {
        "t" | "true" | "on" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "off" | "n" | "no" | "0" => Some(false),
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: Value, given: Value, expected: Result<Value, &str>) {
        let got = Parameter::parse("p", &schema).unwrap().value(&given);
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(why), Err(words)) => assert!(why.message.contains(words), "{why}"),
            (got, expected) => panic!("{got:?} and not {expected:?}"),
        }
    }

    #[test]
    fn values_become_what_their_type_says() {
        check(json!({"type": "string"}), json!(5), Ok(json!("5")));
        check(
            json!({"type": "string"}),
            json!([1]),
            Err("must be a string"),
        );
        check(json!({"type": "number"}), json!("5"), Ok(json!(5)));
        check(json!({"type": "number"}), json!("1.5"), Ok(json!(1.5)));
        check(
            json!({"type": "number"}),
            json!("x"),
            Err("is not a number"),
        );
        check(json!({"type": "boolean"}), json!("On"), Ok(json!(true)));
        check(
            json!({"type": "boolean"}),
            json!("maybe"),
            Err("Unrecognized value"),
        );
        check(
            json!({"type": "comma_delimited_list"}),
            json!("a, b"),
            Ok(json!(["a", "b"])),
        );
        check(
            json!({"type": "json"}),
            json!("{\"a\": 1}"),
            Ok(json!({"a": 1})),
        );
        check(json!({"type": "json"}), json!("{"), Err("valid JSON"));
    }

    #[test]
    fn constraints_hold() {
        let with =
            |kind: &str, constraint: Value| json!({"type": kind, "constraints": [constraint]});
        check(
            with("string", json!({"length": {"min": 2, "max": 3}})),
            json!("a"),
            Err("length (1) is out of range (min: 2, max: 3)"),
        );
        check(
            with("number", json!({"range": {"min": 2}})),
            json!(1),
            Err("1 is out of range (min: 2, max: None)"),
        );
        check(
            with("number", json!({"modulo": {"step": 2, "offset": 1}})),
            json!(4),
            Err("multiple of 2"),
        );
        check(
            with("string", json!({"allowed_values": ["a", "b"]})),
            json!("c"),
            Err("\"c\" is not an allowed value [a, b]"),
        );
        check(
            with(
                "comma_delimited_list",
                json!({"allowed_values": ["a", "b"]}),
            ),
            json!("a,b"),
            Ok(json!(["a", "b"])),
        );
        check(
            with(
                "string",
                json!({"allowed_pattern": "[a-z]+", "description": "letters"}),
            ),
            json!("a1"),
            Err("does not match pattern \"[a-z]+\" (letters)"),
        );
        check(
            with("string", json!({"custom_constraint": "nova.flavor"})),
            json!("x"),
            Ok(json!("x")),
        );
    }

    #[track_caller]
    fn refused(schema: Value, words: &str) {
        let why = Parameter::parse("p", &schema).unwrap_err();
        assert!(why.message.contains(words), "{why}");
    }

    #[test]
    fn wrong_declarations_are_refused() {
        refused(json!({}), "Missing parameter type");
        refused(json!({"type": "color"}), "Invalid type (color)");
        refused(
            json!({"type": "string", "colour": 1}),
            "Invalid key 'colour'",
        );
        refused(
            json!({"type": "number", "default": "x"}),
            "Invalid default x",
        );
        refused(
            json!({"type": "string", "constraints": [{"allowed_pattern": "("}]}),
            "cannot be used",
        );
        refused(
            json!({"type": "string", "constraints": [{"prime": 1}]}),
            "Invalid constraint 'prime'",
        );
        refused(
            json!({"type": "string", "constraints": {}}),
            "expected a list",
        );
    }

    #[test]
    fn hidden_values_are_not_shown() {
        let parameter = Parameter::parse("p", &json!({"type": "string", "hidden": true})).unwrap();
        assert_eq!(parameter.shown(&json!("secret")), "******");
        assert_eq!(parameter.described(None)["NoEcho"], "true");
    }
}
