//! What a value must satisfy.

use serde_json::Value;

use super::custom;
use super::function::shown;
use super::parameter::number;
use super::pattern;
use super::refusal::Refusal;

/// A constraint of a parameter, and what is said of it.
#[derive(Clone, Debug)]
pub(super) struct Constraint {
    pub rule: Rule,
    pub description: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Rule {
    Length(Option<u64>, Option<u64>),
    Range(Option<f64>, Option<f64>),
    Modulo(i64, i64),
    Allowed(Vec<Value>),
    Pattern(String),
    /// What is to be a thing of this kind, or is written in this way.
    Custom(String),
}

impl Constraint {
    pub fn parse(name: &str, value: &Value) -> Result<Self, Refusal> {
        let schema = |what: String| Refusal::of("InvalidSchemaError", what);
        let wrong = || {
            schema(format!(
                "Invalid parameter constraints for parameter {name}, expected a mapping"
            ))
        };
        let map = value.as_object().ok_or_else(wrong)?;
        let mut rules = map.iter().filter(|(key, _)| *key != "description");
        let (kind, value) = rules
            .next()
            .ok_or_else(|| schema(format!("No constraint expressed for parameter {name}")))?;
        if rules.next().is_some() {
            return Err(schema(format!(
                "A constraint of parameter {name} is several at once"
            )));
        }
        let bounds = || {
            let of = |key: &str| value.get(key).and_then(number);
            (of("min"), of("max"))
        };
        let whole = |value: Option<Value>| value.and_then(|value| value.as_u64());
        let rule = match kind.as_str() {
            "length" => {
                let (min, max) = bounds();
                Rule::Length(whole(min), whole(max))
            }
            "range" => {
                let (min, max) = bounds();
                Rule::Range(
                    min.and_then(|value| value.as_f64()),
                    max.and_then(|value| value.as_f64()),
                )
            }
            "modulo" => {
                let of = |key: &str| value.get(key).and_then(Value::as_i64);
                let step = of("step").filter(|step| *step != 0);
                Rule::Modulo(
                    step.ok_or_else(|| {
                        schema(format!(
                            "modulo of parameter {name} needs a step that is not 0"
                        ))
                    })?,
                    of("offset").unwrap_or(0),
                )
            }
            "allowed_values" => Rule::Allowed(
                value
                    .as_array()
                    .cloned()
                    .ok_or_else(|| schema("AllowedValues must be a list".to_owned()))?,
            ),
            "allowed_pattern" => {
                let pattern = value
                    .as_str()
                    .ok_or_else(|| schema("AllowedPattern must be a string".to_owned()))?;
                if !pattern::is_usable(pattern) {
                    let why = format!("The pattern {pattern} of parameter {name} cannot be used");
                    return Err(schema(why));
                }
                Rule::Pattern(pattern.to_owned())
            }
            "custom_constraint" => {
                let custom = shown(value);
                if !custom::is_known(&custom) {
                    let why = format!("Invalid custom constraint '{custom}' for parameter {name}");
                    return Err(schema(why));
                }
                Rule::Custom(custom)
            }
            other => {
                return Err(schema(format!(
                    "Invalid constraint '{other}' for parameter {name}"
                )));
            }
        };
        Ok(Self {
            rule,
            description: map.get("description").map(shown),
        })
    }

    pub fn check(&self, value: &Value) -> Result<(), String> {
        if let (Value::Array(items), Rule::Allowed(_) | Rule::Pattern(_)) = (value, &self.rule) {
            return items
                .iter()
                .try_for_each(|item| check_rule(&self.rule, item));
        }
        check_rule(&self.rule, value)
    }
}

fn check_rule(rule: &Rule, value: &Value) -> Result<(), String> {
    match rule {
        Rule::Length(min, max) => length(value, (*min, *max)),
        Rule::Range(min, max) => range(value, (*min, *max)),
        Rule::Modulo(step, offset) => {
            let fits = value
                .as_i64()
                .is_some_and(|number| (number - offset) % step == 0);
            fits.then_some(()).ok_or_else(|| {
                format!(
                    "{} is not a multiple of {step} with an offset of {offset})",
                    shown(value)
                )
            })
        }
        Rule::Allowed(values) => allowed(value, values),
        Rule::Pattern(pattern) => pattern::matches(&shown(value), pattern),
        Rule::Custom(name) => custom::check(name, &shown(value)),
    }
}

pub(super) fn allowed(value: &Value, values: &[Value]) -> Result<(), String> {
    let fits = values
        .iter()
        .any(|known| known == value || shown(known) == shown(value));
    fits.then_some(()).ok_or_else(|| {
        let list: Vec<String> = values.iter().map(shown).collect();
        format!(
            "\"{}\" is not an allowed value [{}]",
            shown(value),
            list.join(", ")
        )
    })
}

pub(super) fn length(value: &Value, (min, max): (Option<u64>, Option<u64>)) -> Result<(), String> {
    let length = match value {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        other => shown(other).chars().count(),
    } as u64;
    if min.is_some_and(|min| length < min) || max.is_some_and(|max| length > max) {
        return Err(format!(
            "length ({length}) is out of range (min: {}, max: {})",
            bound(min),
            bound(max)
        ));
    }
    Ok(())
}

pub(super) fn range(value: &Value, (min, max): (Option<f64>, Option<f64>)) -> Result<(), String> {
    let number = value
        .as_f64()
        .ok_or_else(|| format!("\"{}\" is not a number", shown(value)))?;
    if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
        return Err(format!(
            "{} is out of range (min: {}, max: {})",
            shown(value),
            bound(min),
            bound(max)
        ));
    }
    Ok(())
}

fn bound(bound: Option<impl std::fmt::Display>) -> String {
    bound.map_or_else(|| "None".to_owned(), |bound| bound.to_string())
}
