//! Functions of lists and maps.

use serde_json::{Map, Value};

use super::text::{shown, within};
use super::{Evaluated, TEXT_OF_ONE, Trouble, World, evaluate};
use crate::model::version::Version;

/// A repetition makes at most so many items.
const MAX_ITEMS: usize = 10_000;

pub(super) fn repeat(world: &dyn World, args: &Value) -> Evaluated {
    let wrong = || {
        Trouble::wrong(
            "Arguments to \"repeat\" must be a map with \"for_each\", \"template\" and optionally \"permutations\"",
        )
    };
    let map = args.as_object().ok_or_else(wrong)?;
    let template = map.get("template").ok_or_else(wrong)?;
    let each = evaluate(world, map.get("for_each").ok_or_else(wrong)?)?;
    let each = each.as_object().ok_or_else(|| {
        Trouble::wrong("The \"for_each\" argument to \"repeat\" must contain a map")
    })?;
    let permutations = match map.get("permutations") {
        None => true,
        Some(value) if world.version() >= Version::PIKE => {
            evaluate(world, value)?.as_bool().ok_or_else(|| {
                Trouble::wrong("\"permutations\" should be boolean type for \"repeat\" function.")
            })?
        }
        Some(_) => return Err(wrong()),
    };
    let mut lists: Vec<(&String, Vec<Value>)> = Vec::new();
    for (name, list) in each {
        let items = match list {
            Value::Array(items) => items.clone(),
            Value::Object(map) if world.version() >= Version::NEWTON => {
                map.keys().map(|key| Value::from(key.as_str())).collect()
            }
            Value::Null => Vec::new(),
            _other => {
                return Err(Trouble::wrong(format!(
                    "The values of the \"for_each\" argument to \"repeat\" must be lists, {name} is none"
                )));
            }
        };
        lists.push((name, items));
    }
    let mut rows: Vec<Vec<(&String, Value)>> = Vec::new();
    if permutations {
        let count = lists
            .iter()
            .try_fold(1_usize, |count, (_, items)| count.checked_mul(items.len()));
        if count.is_none_or(|count| count > MAX_ITEMS) {
            return Err(Trouble::wrong(format!(
                "\"repeat\" makes more than {MAX_ITEMS} items"
            )));
        }
        rows.push(Vec::new());
        for (name, items) in &lists {
            rows = rows
                .iter()
                .flat_map(|row| {
                    items.iter().map(move |item| {
                        let mut longer = row.clone();
                        longer.push((*name, item.clone()));
                        longer
                    })
                })
                .collect();
        }
    } else {
        let length = lists.first().map_or(0, |(_, items)| items.len());
        if lists.iter().any(|(_, items)| items.len() != length) {
            return Err(Trouble::wrong(
                "For \"repeat\" with permutations false, all lists in \"for_each\" must have the same length.",
            ));
        }
        for at in 0..length.min(MAX_ITEMS) {
            rows.push(
                lists
                    .iter()
                    .filter_map(|(name, items)| Some((*name, items.get(at)?.clone())))
                    .collect(),
            );
        }
    }
    // Functions in the template are carried out once, before the names in what they give are replaced.
    let template = evaluate(world, template)?;
    rows.iter()
        .map(|row| filled(world, &template, row))
        .collect::<Result<Vec<_>, _>>()
        .map(Value::Array)
}

/// How many values a value is made of, and its longer texts count as several.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        Value::String(text) => 1 + text.len() / TEXT_OF_ONE,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

/// The template with names replaced: where a text is nothing but the name, by the value itself.
fn filled(world: &dyn World, template: &Value, row: &[(&String, Value)]) -> Evaluated {
    Ok(match template {
        Value::String(text) => {
            if let Some((_, value)) = row.iter().find(|(name, _)| *name == text) {
                world.spend(size(value))?;
                return Ok(value.clone());
            }
            let mut names: Vec<&(&String, Value)> = row.iter().collect();
            names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
            let mut text = text.clone();
            for (name, value) in names {
                let found = text.matches(name.as_str()).count();
                if found > 0 {
                    let value = shown(value);
                    within(text.len().saturating_add(found.saturating_mul(value.len())))?;
                    text = text.replace(name.as_str(), &value);
                }
            }
            world.spend(1 + text.len() / TEXT_OF_ONE)?;
            Value::String(text)
        }
        Value::Array(items) => {
            world.spend(1)?;
            let items = items.iter().map(|item| filled(world, item, row));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            world.spend(1)?;
            let entry = |(key, value): (&String, &Value)| -> Result<(String, Value), Trouble> {
                let key = filled(world, &Value::String(key.clone()), row)?;
                Ok((shown(&key), filled(world, value, row)?))
            };
            let entries = map.iter().map(entry);
            Value::Object(entries.collect::<Result<_, Trouble>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            world.spend(1)?;
            template.clone()
        }
    })
}

pub(super) fn map_merge(args: &Value) -> Evaluated {
    let wrong = || {
        Trouble::wrong(
            "Incorrect arguments to \"map_merge\" should be: [{\"key1\": \"value1\"}, {\"key2\": \"value2\"}]",
        )
    };
    let mut merged = Map::new();
    for map in args.as_array().ok_or_else(wrong)? {
        match map {
            Value::Object(map) => merged.extend(map.clone()),
            Value::Null => {}
            _other => return Err(wrong()),
        }
    }
    Ok(Value::Object(merged))
}

pub(super) fn map_replace(args: &Value) -> Evaluated {
    let wrong = || {
        Trouble::wrong(
            "Incorrect arguments to \"map_replace\" should be: [{\"key1\": \"value1\"}, {\"keys\": {\"key1\": \"key2\"}, \"values\": {\"value1\": \"value2\"}}]",
        )
    };
    let (map, replacements) = match args.as_array().map(Vec::as_slice) {
        Some([Value::Object(map), Value::Object(replacements)]) => (map, replacements),
        Some([Value::Object(map), Value::Null]) => return Ok(Value::Object(map.clone())),
        Some([Value::Null, _]) => return Ok(Value::Object(Map::new())),
        _other => return Err(wrong()),
    };
    if replacements
        .keys()
        .any(|key| key != "keys" && key != "values")
    {
        return Err(wrong());
    }
    let of = |which: &str| {
        replacements
            .get(which)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let (keys, values) = (of("keys"), of("values"));
    let mut out = Map::new();
    for (key, value) in map {
        let replaced = keys.get(key).filter(|key| !key.is_null());
        let new_key = replaced.map_or_else(|| key.clone(), shown);
        if new_key != *key && map.contains_key(&new_key) {
            return Err(Trouble::wrong(format!(
                "key replacement {new_key} collides with a key in the input map"
            )));
        }
        let new = match value {
            Value::String(text) => values.get(text).unwrap_or(value),
            // A key of a map is a text, which no number is.
            _other => value,
        };
        if out.insert(new_key.clone(), new.clone()).is_some() {
            return Err(Trouble::wrong(format!(
                "key replacement {new_key} collides with a key in the output map"
            )));
        }
    }
    Ok(Value::Object(out))
}

pub(super) fn list_concat(args: &Value, unique: bool) -> Evaluated {
    let wrong = || {
        Trouble::wrong(
            "Incorrect arguments to \"list_concat\" should be: [[\"value1\"], [\"value2\"]]",
        )
    };
    let mut out: Vec<Value> = Vec::new();
    for list in args.as_array().ok_or_else(wrong)? {
        match list {
            Value::Array(items) => {
                for item in items {
                    if !unique || !out.contains(item) {
                        out.push(item.clone());
                    }
                }
            }
            Value::Null => {}
            _other => return Err(wrong()),
        }
    }
    Ok(Value::Array(out))
}

pub(super) fn filter(args: &Value) -> Evaluated {
    match args.as_array().map(Vec::as_slice) {
        Some([Value::Array(unwanted), Value::Array(items)]) => Ok(items
            .iter()
            .filter(|item| !unwanted.contains(item))
            .cloned()
            .collect()),
        Some([Value::Null, items @ (Value::Array(_) | Value::Null)])
        | Some([Value::Array(_), items @ Value::Null]) => Ok(items.clone()),
        _other => Err(Trouble::wrong(
            "Argument to \"filter\" must be of the form: [values, sequence]",
        )),
    }
}

pub(super) fn contains(args: &Value) -> Result<bool, Trouble> {
    match args.as_array().map(Vec::as_slice) {
        Some([value, Value::Array(items)]) => Ok(items.contains(value)),
        Some([Value::String(part), Value::String(text)]) => Ok(text.contains(part.as_str())),
        Some([value, Value::Object(map)]) => Ok(map.contains_key(&shown(value))),
        _other => Err(Trouble::wrong(
            "Arguments to \"contains\" must be of the form: [value1, [value1, value2]]",
        )),
    }
}
