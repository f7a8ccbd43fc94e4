//! Carries out the functions of the template language.

mod cfn;
mod collection;
mod depth;
mod query;
mod text;
mod url;

pub(crate) use depth::{Depth, check as check_depth};
pub(crate) use query::check_queries;
pub(crate) use text::shown;

use serde_json::Value;

use super::version::{Version, function, withheld};

/// Why a value cannot be worked out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// Never.
    #[error("{0}")]
    Wrong(String),
    /// Not before this resource is there.
    #[error("The resource {0} is not there yet.")]
    NotYet(String),
}

impl Trouble {
    pub fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong(message.into())
    }
}

type Evaluated = Result<Value, Trouble>;

/// What functions may ask about.
pub(crate) trait World {
    /// The version of the template.
    fn version(&self) -> Version;
    /// Takes note of so many values more; an error when there are too many.
    fn spend(&self, work: usize) -> Result<(), Trouble>;
    /// How deep the work stands at present.
    fn depth(&self) -> &Depth;
    /// A parameter's value.
    fn parameter(&self, name: &str) -> Evaluated;
    /// Whether the template has a resource of this name.
    fn has_resource(&self, name: &str) -> bool;
    /// What stands for a resource where it is referred to.
    fn resource(&self, name: &str) -> Evaluated;
    /// What a path leads to in an attribute of a resource, or all attributes.
    fn attribute(&self, name: &str, attribute: Option<&str>, path: &[Value]) -> Evaluated;
    /// A file that came with the template.
    fn file(&self, name: &str) -> Evaluated;
    /// Whether a named condition holds.
    fn condition(&self, name: &str) -> Result<bool, Trouble>;
    /// `metadata`, `deletion_policy` or `update_policy` of the resource that this template is for its parent.
    fn facade(&self, what: &str) -> Evaluated;
    /// The availability zones of the compute service, by name.
    fn zones(&self) -> Evaluated;
}

/// What an `if` without a third part leaves where its condition does not hold.
const DROPPED: &str = "\u{0}dropped";

/// Works out a value: every function in it is carried out.
pub(crate) fn evaluate(world: &dyn World, value: &Value) -> Evaluated {
    let worked_out = inner(world, value)?;
    if is_dropped(&worked_out) {
        return Ok(Value::Null);
    }
    // What functions put together can be deeper than any of its parts.
    check_depth(&worked_out)?;
    Ok(worked_out)
}

fn is_dropped(value: &Value) -> bool {
    value.as_str() == Some(DROPPED)
}

/// So many bytes of text count as one value more.
const TEXT_OF_ONE: usize = 256;

/// A text that functions make has at most so many bytes.
pub(crate) const MAX_TEXT: usize = 4 << 20;

fn inner(world: &dyn World, value: &Value) -> Evaluated {
    let _deeper = world.depth().enter()?;
    let text = value.as_str().map_or(0, str::len);
    world.spend(1 + text / TEXT_OF_ONE)?;
    match value {
        Value::Object(map) => {
            if let Some((name, args)) = call_of(value) {
                if function(name, world.version(), false).is_some() {
                    return call(world, name, args);
                }
                if withheld(name, world.version()) {
                    return Err(Trouble::wrong(format!(
                        "The template version is invalid: The function {name} is not supported."
                    )));
                }
            }
            let mut out = serde_json::Map::new();
            for (key, value) in map {
                let value = inner(world, value)?;
                if !is_dropped(&value) {
                    out.insert(key.clone(), value);
                }
            }
            Ok(Value::Object(out))
        }
        Value::Array(items) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                let item = inner(world, item)?;
                if !is_dropped(&item) {
                    out.push(item);
                }
            }
            Ok(Value::Array(out))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

/// The name and argument of what may be a call: a map of one key.
pub(crate) fn call_of(value: &Value) -> Option<(&str, &Value)> {
    let map = value.as_object()?;
    if map.len() != 1 {
        return None;
    }
    map.iter().next().map(|(name, args)| (name.as_str(), args))
}

fn call(world: &dyn World, name: &str, args: &Value) -> Evaluated {
    match name {
        "get_param" => get_param(world, args),
        "get_resource" => {
            let name = evaluate(world, args)?;
            let name = name.as_str().ok_or_else(|| {
                Trouble::wrong("get_resource: the name of a resource is expected.")
            })?;
            world.resource(name)
        }
        "get_attr" => get_attr(world, args),
        "get_file" => {
            let name = evaluate(world, args)?;
            let name = name
                .as_str()
                .ok_or_else(|| Trouble::wrong("Argument to \"get_file\" must be a string"))?;
            world.file(name)
        }
        "resource_facade" => {
            let what = args
                .as_str()
                .filter(|what| ["metadata", "deletion_policy", "update_policy"].contains(what));
            world.facade(what.ok_or_else(|| {
                Trouble::wrong("Incorrect arguments to \"resource_facade\" should be one of: metadata, deletion_policy, update_policy")
            })?)
        }
        "if" => choose(world, args),
        "repeat" => collection::repeat(world, args),
        "str_replace" | "str_replace_strict" | "str_replace_vstrict" => {
            text::replace(name, &evaluate(world, args)?)
        }
        "list_join" => text::join(&evaluate(world, args)?),
        "str_split" => text::split(&evaluate(world, args)?),
        "digest" => text::digest(&evaluate(world, args)?),
        "make_url" => url::make_url(&evaluate(world, args)?),
        "map_merge" => collection::map_merge(&evaluate(world, args)?),
        "map_replace" => collection::map_replace(&evaluate(world, args)?),
        "list_concat" => collection::list_concat(&evaluate(world, args)?, false),
        "list_concat_unique" => collection::list_concat(&evaluate(world, args)?, true),
        "filter" => collection::filter(&evaluate(world, args)?),
        "contains" => collection::contains(&evaluate(world, args)?).map(Value::Bool),
        "yaql" => query::query(world, args),
        "Fn::Base64" => cfn::base64(evaluate(world, args)?),
        // There is one region, whichever is named.
        "Fn::GetAZs" => world.zones(),
        "Fn::Join" => cfn::join(&evaluate(world, args)?),
        "Fn::MemberListToMap" => cfn::members(&evaluate(world, args)?),
        "Fn::Replace" => cfn::replace(&evaluate(world, args)?),
        "Fn::ResourceFacade" => cfn::facade(world, args),
        "Fn::Select" => cfn::select(&evaluate(world, args)?),
        "Fn::Split" => cfn::split(&evaluate(world, args)?),
        "Ref" => cfn::reference(world, args),
        other => Err(Trouble::wrong(format!("{other} is no function here."))),
    }
}

fn get_param(world: &dyn World, args: &Value) -> Evaluated {
    let args = evaluate(world, args)?;
    let (name, path) = match &args {
        Value::String(name) => (name.as_str(), &[][..]),
        Value::Array(items) => match items.split_first() {
            Some((Value::String(name), path)) => (name.as_str(), path),
            _other => {
                return Err(Trouble::wrong(
                    "Argument to \"get_param\" must be a parameter name, or a list that begins with one",
                ));
            }
        },
        _other => {
            return Err(Trouble::wrong(
                "Argument to \"get_param\" must be a parameter name, or a list that begins with one",
            ));
        }
    };
    let value = world.parameter(name)?;
    Ok(walk(&value, path).unwrap_or(Value::String(String::new())))
}

fn get_attr(world: &dyn World, args: &Value) -> Evaluated {
    let args = evaluate(world, args)?;
    let wrong = || {
        Trouble::wrong(
            "Arguments to \"get_attr\" must be of the form [resource_name, attribute, (path), ...]",
        )
    };
    let items = args.as_array().ok_or_else(wrong)?;
    let (name, rest) = items.split_first().ok_or_else(wrong)?;
    let name = name.as_str().ok_or_else(wrong)?;
    let Some((attribute, path)) = rest.split_first() else {
        if world.version() < Version::V2015_10 {
            return Err(wrong());
        }
        return world.attribute(name, None, &[]);
    };
    let attribute = as_text(attribute).ok_or_else(wrong)?;
    world.attribute(name, Some(&attribute), path)
}

/// Follows keys and positions; -1 is the last one.
pub(crate) fn walk(value: &Value, path: &[Value]) -> Option<Value> {
    let mut here = value;
    for step in path {
        here = match here {
            Value::Array(items) => {
                let at = step
                    .as_i64()
                    .or_else(|| step.as_str()?.trim().parse().ok())?;
                items.get(text::position(at, items.len())?)?
            }
            Value::Object(map) => map.get(&as_text(step)?)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    Some(here.clone())
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn choose(world: &dyn World, args: &Value) -> Evaluated {
    let wrong = || {
        Trouble::wrong(
            "Arguments to \"if\" must be of the form: [condition_name, value_if_true, value_if_false]",
        )
    };
    let parts = args.as_array().ok_or_else(wrong)?;
    let optional = world.version() >= Version::WALLABY;
    let (test, yes, no) = match parts.as_slice() {
        [test, yes, no] => (test, yes, Some(no)),
        [test, yes] if optional => (test, yes, None),
        _other => return Err(wrong()),
    };
    if holds(world, test)? {
        return inner(world, yes);
    }
    no.map_or_else(
        || Ok(Value::String(DROPPED.to_owned())),
        |no| inner(world, no),
    )
}

/// Whether a condition holds: a name, a truth value, or a function that gives one.
pub(crate) fn holds(world: &dyn World, condition: &Value) -> Result<bool, Trouble> {
    let _deeper = world.depth().enter()?;
    world.spend(1)?;
    match condition {
        Value::Bool(value) => Ok(*value),
        Value::String(name) => world.condition(name),
        Value::Object(_) => {
            let (name, args) = call_of(condition).ok_or_else(|| not_boolean(condition))?;
            if function(name, world.version(), true).is_none() {
                return Err(Trouble::wrong(format!(
                    "The function '{name}' is not allowed in a condition."
                )));
            }
            logic(world, name, args, condition)
        }
        Value::Null | Value::Number(_) | Value::Array(_) => Err(not_boolean(condition)),
    }
}

/// The function in a condition's arguments that tells of a resource: conditions hold before there are any.
fn refers(value: &Value) -> Option<&'static str> {
    const RESOURCES: [&str; 2] = ["get_attr", "get_resource"];
    match value {
        Value::Object(map) => {
            let called = call_of(value)
                .and_then(|(name, _)| RESOURCES.into_iter().find(|known| *known == name));
            called.or_else(|| map.values().find_map(refers))
        }
        Value::Array(items) => items.iter().find_map(refers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn logic(world: &dyn World, name: &str, args: &Value, whole: &Value) -> Result<bool, Trouble> {
    let several = || {
        let parts = args.as_array().filter(|parts| parts.len() >= 2);
        parts.ok_or_else(|| {
            Trouble::wrong(format!(
                "The minimum number of condition arguments to \"{name}\" is 2."
            ))
        })
    };
    if let Some(name) = refers(args) {
        return Err(Trouble::wrong(format!(
            "The function \"{name}\" is invalid in this context."
        )));
    }
    match name {
        "not" => Ok(!holds(world, args)?),
        "and" => {
            for part in several()? {
                if !holds(world, part)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        "or" => {
            for part in several()? {
                if holds(world, part)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        "equals" => match args.as_array().map(Vec::as_slice) {
            Some([left, right]) => Ok(same(&evaluate(world, left)?, &evaluate(world, right)?)),
            _other => Err(Trouble::wrong(
                "Arguments to \"equals\" must be of the form: [value_1, value_2]",
            )),
        },
        "contains" => collection::contains(&evaluate(world, args)?),
        _function => match inner(world, whole)? {
            Value::Bool(value) => Ok(value),
            other => Err(not_boolean(&other)),
        },
    }
}

/// Python's `==` makes no difference between 1, 1.0 and true.
fn same(left: &Value, right: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        other => other.as_f64(),
    };
    match (number(left), number(right)) {
        (Some(left), Some(right)) => (left - right).abs() < f64::EPSILON,
        _other => left == right,
    }
}

fn not_boolean(value: &Value) -> Trouble {
    Trouble::wrong(format!(
        "The condition value should be boolean, after resolved the value is: {value}"
    ))
}

#[cfg(test)]
mod tests;
