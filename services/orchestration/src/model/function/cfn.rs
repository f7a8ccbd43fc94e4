//! Functions of CloudFormation, which the first version of the language has too.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::text::{self, position, shown};
use super::{Evaluated, Trouble, World, evaluate};

/// A parameter, or what stands for a resource.
pub(super) fn reference(world: &dyn World, args: &Value) -> Evaluated {
    let name = args
        .as_str()
        .ok_or_else(|| Trouble::wrong("Argument to \"Ref\" must be a name"))?;
    if world.has_resource(name) {
        return world.resource(name);
    }
    world.parameter(name).map_err(|_| {
        Trouble::wrong(format!(
            "The specified reference \"{name}\" (in unknown) is incorrect."
        ))
    })
}

pub(super) fn select(args: &Value) -> Evaluated {
    let wrong =
        || Trouble::wrong("Arguments to \"Fn::Select\" must be of the form: [index, collection]");
    let Some([which, from]) = args.as_array().map(Vec::as_slice) else {
        return Err(wrong());
    };
    let read;
    let from = match from {
        // It may be JSON in a text.
        Value::String(text) if !text.is_empty() => {
            let value = serde_json::from_str::<Value>(text);
            read = value.map_err(|why| Trouble::wrong(format!("\"Fn::Select\": {why}")))?;
            &read
        }
        other => other,
    };
    let found = match from {
        Value::Array(items) => {
            let at = which
                .as_i64()
                .or_else(|| which.as_str()?.trim().parse().ok());
            let at =
                at.ok_or_else(|| Trouble::wrong("Index to \"Fn::Select\" must be an integer"))?;
            position(at, items.len()).and_then(|at| items.get(at).cloned())
        }
        Value::Object(map) => map.get(&shown(which)).cloned(),
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(wrong()),
    };
    Ok(found.unwrap_or_else(|| Value::String(String::new())))
}

/// `{"Fn::Replace": [{name: value}, text]}`.
pub(super) fn replace(args: &Value) -> Evaluated {
    match args.as_array().map(Vec::as_slice) {
        Some([params, template]) => text::put_in("Fn::Replace", params, template),
        _other => Err(Trouble::wrong(
            "Incorrect arguments to \"Fn::Replace\" should be: [{\"$var1\": \"foo\"}, \"$var1 is\"]",
        )),
    }
}

/// One list; `list_join` of later versions takes several.
pub(super) fn join(args: &Value) -> Evaluated {
    match args.as_array().map(Vec::as_slice) {
        Some([_delimiter, _list]) => text::join(args),
        _other => Err(Trouble::wrong(
            "Incorrect arguments to \"Fn::Join\" should be: [\" \", [\"str1\", \"str2\"]]",
        )),
    }
}

pub(super) fn split(args: &Value) -> Evaluated {
    match args.as_array().map(Vec::as_slice) {
        Some([_delimiter, _text]) => text::split(args),
        _other => Err(Trouble::wrong(
            "Incorrect arguments to \"Fn::Split\" should be: [\",\", \"str1,str2\"]",
        )),
    }
}

/// The text as it is: user data is encoded where it is sent.
pub(super) fn base64(value: Value) -> Evaluated {
    if value.is_string() || value.is_null() {
        return Ok(value);
    }
    Err(Trouble::wrong("\"Fn::Base64\" argument must be a string"))
}

/// `["Name", "Value", [".member.0.Name=key", ".member.0.Value=value"]]` is `{"key": "value"}`.
pub(super) fn members(args: &Value) -> Evaluated {
    let wrong = || {
        Trouble::wrong(
            "Wrong Arguments try: {\"Fn::MemberListToMap\": [\"Name\", \"Value\", [\".member.0.Name=key\", \".member.0.Value=door\"]]}",
        )
    };
    let (name, value, list) = match args.as_array().map(Vec::as_slice) {
        Some(
            [
                Value::String(name),
                Value::String(value),
                Value::Array(list),
            ],
        ) => (name, value, list),
        Some([Value::String(_), Value::String(_), Value::Null]) => return Ok(Value::Null),
        _other => return Err(wrong()),
    };
    let mut members: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    for item in list {
        let (place, value) = item
            .as_str()
            .and_then(|item| item.split_once('='))
            .ok_or_else(wrong)?;
        let place = place
            .strip_prefix(".member.")
            .and_then(|rest| rest.split_once('.'));
        if let Some((number, field)) = place
            && let Ok(number) = number.parse()
        {
            let member = members.entry(number).or_default();
            member.insert(field.to_owned(), Value::from(value));
        }
    }
    let pair =
        |member: &Map<String, Value>| Some((shown(member.get(name)?), member.get(value)?.clone()));
    Ok(Value::Object(members.values().filter_map(pair).collect()))
}

/// `Metadata`, `DeletionPolicy` or `UpdatePolicy` of the resource that this template is for its parent.
pub(super) fn facade(world: &dyn World, args: &Value) -> Evaluated {
    let what = match evaluate(world, args)?.as_str() {
        Some("Metadata") => "metadata",
        Some("DeletionPolicy") => "deletion_policy",
        Some("UpdatePolicy") => "update_policy",
        _other => {
            return Err(Trouble::wrong(
                "Incorrect arguments to \"Fn::ResourceFacade\" should be one of: Metadata, DeletionPolicy, UpdatePolicy",
            ));
        }
    };
    world.facade(what)
}
