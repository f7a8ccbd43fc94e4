//! Environments on top of one another: whether a value of a parameter takes the place of an earlier one or joins it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::environment::Environment;
use super::function::shown;
use super::parameter::{Parameter, ParameterType, number};
use super::refusal::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    Overwrite,
    Merge,
    DeepMerge,
}

impl Strategy {
    fn parse(value: Option<&Value>) -> Option<Self> {
        match value?.as_str()? {
            "overwrite" => Some(Self::Overwrite),
            "merge" => Some(Self::Merge),
            "deep_merge" => Some(Self::DeepMerge),
            _other => None,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Merge => "merge",
            Self::DeepMerge => "deep_merge",
        }
    }
}

/// What is known while the files of a request are merged.
#[derive(Debug)]
pub(crate) struct Merging<'a> {
    parameters: &'a [Parameter],
    /// The strategy of each parameter that was met: the files must agree.
    chosen: BTreeMap<String, Strategy>,
}

impl<'a> Merging<'a> {
    /// `parameters` are those of the template; values of others take the place of earlier ones.
    pub const fn new(parameters: &'a [Parameter]) -> Self {
        Self {
            parameters,
            chosen: BTreeMap::new(),
        }
    }

    /// The environment of a file on top of what there is.
    pub fn merge(
        &mut self,
        environment: &mut Environment,
        mut later: Environment,
        file: &str,
    ) -> Result<(), Refusal> {
        let strategies = std::mem::take(&mut later.merge_strategies);
        let sections = [
            (&mut environment.parameters, &mut later.parameters),
            (
                &mut environment.parameter_defaults,
                &mut later.parameter_defaults,
            ),
        ];
        for (before, after) in sections {
            for (name, value) in std::mem::take(after) {
                let joined = self.value(&name, (before.get(&name), value), (&strategies, file))?;
                before.insert(name, joined);
            }
        }
        environment.merge(later);
        Ok(())
    }

    fn value(
        &mut self,
        name: &str,
        (before, after): (Option<&Value>, Value),
        (strategies, file): (&Map<String, Value>, &str),
    ) -> Result<Value, Refusal> {
        let known = |parameter: &&Parameter| parameter.name == name;
        let Some(parameter) = self.parameters.iter().find(known) else {
            return Ok(after);
        };
        if after.is_null() {
            return Ok(before.cloned().unwrap_or_default());
        }
        let usual = Strategy::parse(strategies.get("default")).unwrap_or(Strategy::Overwrite);
        let chosen = self.chosen.get(name).copied();
        let own = match strategies.get(name) {
            Some(given) => Strategy::parse(Some(given)).unwrap_or(usual),
            None => chosen.unwrap_or(usual),
        };
        if chosen.is_some_and(|chosen| chosen != own) {
            return Err(Refusal::of(
                "ConflictingMergeStrategyForParam",
                format!(
                    "Conflicting merge strategy '{}' for parameter '{name}' in file '{file}'.",
                    own.word()
                ),
            ));
        }
        self.chosen.insert(name.to_owned(), own);
        match (own, before) {
            (Strategy::Overwrite, _) | (_, None | Some(Value::Null)) => Ok(after),
            (own, Some(before)) => joined(parameter, before, after, own),
        }
    }
}

fn joined(
    parameter: &Parameter,
    before: &Value,
    after: Value,
    how: Strategy,
) -> Result<Value, Refusal> {
    let name = &parameter.name;
    let wrong = || Refusal::invalid(format!("Invalid parameter in environment: {name}"));
    match parameter.kind {
        ParameterType::Json => {
            let map = |value: &Value| match value {
                Value::Object(map) => Some(map.clone()),
                Value::String(text) => serde_json::from_str(text).ok(),
                _other => None,
            };
            let mut out = map(before).ok_or_else(wrong)?;
            merge_map(
                &mut out,
                map(&after).ok_or_else(wrong)?,
                how == Strategy::DeepMerge,
            );
            Ok(Value::Object(out))
        }
        ParameterType::List => Ok(match (before, after) {
            (Value::Array(before), Value::Array(after)) => {
                before.iter().cloned().chain(after).collect()
            }
            (before, after) => {
                let text = |value: &Value| match value {
                    Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
                    other => shown(other),
                };
                let (before, after) = (text(before), text(&after));
                let both = [before, after];
                let both = both.into_iter().filter(|text| !text.is_empty());
                Value::String(both.collect::<Vec<_>>().join(","))
            }
        }),
        ParameterType::Text => Ok(Value::String(shown(before) + &shown(&after))),
        ParameterType::Number => {
            let sum = match (number(before), number(&after)) {
                (Some(before), Some(after)) => match (before.as_i64(), after.as_i64()) {
                    (Some(before), Some(after)) => before.checked_add(after).map(Value::from),
                    _fractions => Some(Value::from(
                        before.as_f64().unwrap_or(0.0) + after.as_f64().unwrap_or(0.0),
                    )),
                },
                _other => None,
            };
            sum.ok_or_else(wrong)
        }
        ParameterType::Boolean => Err(Refusal::of(
            "InvalidMergeStrategyForParam",
            format!(
                "Invalid merge strategy '{}' for parameter '{name}'.",
                how.word()
            ),
        )),
    }
}

fn merge_map(map: &mut Map<String, Value>, later: Map<String, Value>, deep: bool) {
    for (key, value) in later {
        if value.is_null() {
            continue;
        }
        match (map.get_mut(&key), value) {
            (Some(Value::Object(before)), Value::Object(after)) if deep => {
                merge_map(before, after, deep);
            }
            (Some(Value::Array(before)), Value::Array(after)) if deep => before.extend(after),
            (Some(Value::String(before)), Value::String(after)) if deep => before.push_str(&after),
            (_, value) => {
                map.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters() -> Vec<Parameter> {
        [
            ("m", "json"),
            ("l", "comma_delimited_list"),
            ("s", "string"),
            ("n", "number"),
            ("b", "boolean"),
        ]
        .iter()
        .map(|(name, kind)| Parameter::parse(name, &json!({ "type": kind })).unwrap())
        .collect()
    }

    fn merged(files: &[Value]) -> Result<Value, Refusal> {
        let parameters = parameters();
        let mut merging = Merging::new(&parameters);
        let mut all = Environment::default();
        for file in files {
            merging.merge(&mut all, Environment::read(Some(file))?, "f.yaml")?;
        }
        Ok(json!(all.parameters))
    }

    #[test]
    fn values_join_as_their_strategy_says() {
        let first = json!({"m": {"a": {"x": 1}, "b": [1]}, "l": ["1"], "s": "x", "n": 1, "q": 1});
        let second = json!({"m": {"a": {"y": 2}, "b": [2]}, "l": ["2"], "s": "y", "n": 2, "q": 2});
        let with = |strategy: &str| {
            let file = |values: &Value| json!({"parameters": values, "parameter_merge_strategies": {"default": strategy}});
            merged(&[file(&first), file(&second)]).unwrap()
        };
        assert_eq!(with("overwrite"), second);
        assert_eq!(
            with("merge"),
            json!({"m": {"a": {"y": 2}, "b": [2]}, "l": ["1", "2"], "s": "xy", "n": 3, "q": 2})
        );
        assert_eq!(
            with("deep_merge")["m"],
            json!({"a": {"x": 1, "y": 2}, "b": [1, 2]})
        );
    }

    #[test]
    fn files_that_do_not_agree_are_refused() {
        let file = |strategy: &str, name: &str, value: Value| json!({"parameters": {name: value}, "parameter_merge_strategies": {name: strategy}});
        let why = merged(&[
            file("merge", "s", json!("a")),
            file("overwrite", "s", json!("b")),
        ])
        .unwrap_err();
        assert!(
            why.message.contains(
                "Conflicting merge strategy 'overwrite' for parameter 's' in file 'f.yaml'"
            ),
            "{why}"
        );
        let truth = file("merge", "b", json!(true));
        let why = merged(&[truth.clone(), truth]).unwrap_err();
        assert_eq!(why.kind, "InvalidMergeStrategyForParam");
    }
}
