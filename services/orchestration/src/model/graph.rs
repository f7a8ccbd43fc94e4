//! Which resource needs which, and in what order they can be made.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::follow::follow;
use super::function::{Trouble, call_of, holds};
use super::refusal::Refusal;
use super::scene::Scene;
use super::template::Definition;
use super::version::function;

/// For each resource, those that it needs.
pub(crate) type Needs = BTreeMap<String, BTreeSet<String>>;

/// What the enabled resources of a template need.
pub(crate) fn needs(scene: &Scene) -> Result<Needs, Refusal> {
    let enabled = scene
        .enabled()
        .map_err(|why| Refusal::invalid(why.to_string()))?;
    let names: BTreeSet<&str> = enabled
        .iter()
        .map(|definition| definition.name.as_str())
        .collect();
    let mut needs = Needs::new();
    for definition in &enabled {
        let own = of(scene, definition, &names)?;
        needs.insert(definition.name.clone(), own);
    }
    follow(scene, &enabled, &mut needs);
    Ok(needs)
}

fn of(
    scene: &Scene,
    definition: &Definition,
    names: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, Refusal> {
    let place = &definition.name;
    let mut found = BTreeSet::new();
    for name in &definition.depends_on {
        if !scene.has_resource(name) {
            return Err(incorrect(name, place));
        }
        if names.contains(name.as_str()) {
            found.insert(name.clone());
        }
    }
    let mut referred = BTreeSet::new();
    for value in definition
        .properties
        .values()
        .chain([&definition.metadata])
        .chain(&definition.external_id)
    {
        references(scene, value, &mut referred)
            .map_err(|why| Refusal::invalid(format!("resources.{place}: {why}")))?;
    }
    for name in referred {
        if !names.contains(name.as_str()) {
            return Err(incorrect(&name, place));
        }
        found.insert(name);
    }
    Ok(found)
}

fn incorrect(name: &str, place: &str) -> Refusal {
    Refusal::of(
        "InvalidTemplateReference",
        format!("The specified reference \"{name}\" (in {place}) is incorrect."),
    )
}

/// What a function refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reference<'a> {
    Resource(&'a str),
    /// An attribute of a resource, if its name is just text.
    Attribute(&'a str, Option<&'a str>),
}

/// The name of a resource that a function gives, if that can be known now.
fn named<'a>(scene: &Scene, value: &'a Value) -> Option<Cow<'a, str>> {
    match value {
        Value::String(name) => Some(Cow::Borrowed(name)),
        Value::Object(_) => match scene.work_out(value).ok()? {
            (Value::String(name), false) => Some(Cow::Owned(name)),
            _no_name_or_later => None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// The resources that functions in a value refer to; of an `if`, only in the part that counts.
pub(crate) fn references(
    scene: &Scene,
    value: &Value,
    found: &mut BTreeSet<String>,
) -> Result<(), Trouble> {
    visit(scene, value, &mut |reference| {
        let (Reference::Resource(name) | Reference::Attribute(name, _)) = reference;
        found.insert(name.to_owned());
    })
}

/// Meets everything that functions in a value refer to; of an `if`, only in the part that counts.
pub(crate) fn visit(
    scene: &Scene,
    value: &Value,
    meet: &mut dyn FnMut(Reference<'_>),
) -> Result<(), Trouble> {
    if let Some((name, args)) = call_of(value)
        && function(name, scene.template.version, false).is_some()
    {
        match (name, args) {
            ("get_resource", args) => {
                if let Some(name) = named(scene, args) {
                    meet(Reference::Resource(&name));
                }
            }
            ("Ref", Value::String(name)) if scene.has_resource(name) => {
                meet(Reference::Resource(name));
            }
            ("get_attr", Value::Array(items)) => {
                if let Some(name) = items.first().and_then(|name| named(scene, name)) {
                    let attribute = items.get(1).and_then(Value::as_str);
                    meet(Reference::Attribute(&name, attribute));
                }
            }
            ("if", Value::Array(parts)) => {
                if let [test, rest @ ..] = parts.as_slice() {
                    let chosen = if holds(scene, test)? {
                        rest.first()
                    } else {
                        rest.get(1)
                    };
                    return chosen.map_or(Ok(()), |part| visit(scene, part, meet));
                }
            }
            _other => {}
        }
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| visit(scene, item, meet)),
        Value::Object(map) => map.values().try_for_each(|value| visit(scene, value, meet)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// The resources in an order in which each comes after those it needs.
pub(crate) fn order(needs: &Needs) -> Result<Vec<String>, Refusal> {
    let mut left: BTreeMap<&str, usize> = needs
        .iter()
        .map(|(name, own)| (name.as_str(), own.len()))
        .collect();
    let mut needed_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, own) in needs {
        for other in own {
            needed_by.entry(other).or_default().push(name);
        }
    }
    let mut ready: Vec<&str> = left
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(name, _)| *name)
        .collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(name) = ready.pop() {
        left.remove(name);
        order.push(name.to_owned());
        for next in needed_by.get(name).into_iter().flatten() {
            if let Some(count) = left.get_mut(next) {
                *count -= 1;
                if *count == 0 {
                    ready.push(next);
                }
            }
        }
    }
    if left.is_empty() {
        return Ok(order);
    }
    Err(Refusal::of(
        "CircularDependencyException",
        format!("Circular Dependency Found: {}", circle(needs, &left)),
    ))
}

/// One circle among what is left, as people read it.
fn circle(needs: &Needs, left: &BTreeMap<&str, usize>) -> String {
    let mut path: Vec<&str> = Vec::new();
    let mut here = left.keys().next().copied();
    while let Some(name) = here {
        if let Some(start) = path.iter().position(|seen| *seen == name) {
            let mut circle: Vec<&str> = path.iter().skip(start).copied().collect();
            circle.push(name);
            return circle.join(" -> ");
        }
        path.push(name);
        here = needs.get(name).and_then(|own| {
            own.iter()
                .map(String::as_str)
                .find(|other| left.contains_key(other))
        });
    }
    path.join(", ")
}

/// The resources that need this one.
pub(crate) fn needed_by(needs: &Needs, name: &str) -> Vec<String> {
    needs
        .iter()
        .filter(|(_, own)| own.contains(name))
        .map(|(other, _)| other.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::environment::Environment;
    use crate::model::scene::Names;
    use crate::model::template::Template;

    fn scene(resources: Value) -> Scene {
        let template = Template::parse(json!({"heat_template_version": "2016-10-14", "conditions": {"no": false}, "resources": resources})).unwrap();
        Scene::new(
            template,
            Environment::default(),
            BTreeMap::new(),
            Names::default(),
            false,
        )
        .unwrap()
    }

    #[test]
    fn references_anywhere_are_needs() {
        let scene = scene(json!({
            "a": {"type": "T"}, "b": {"type": "T", "depends_on": "a"},
            "c": {"type": "T", "properties": {"x": [{"list_join": ["", [{"get_attr": ["a", "y"]}]]}], "z": {"get_resource": "b"}}},
            "d": {"type": "T", "properties": {"x": {"if": ["no", {"get_resource": "c"}, {"get_resource": "a"}]}}},
            "e": {"type": "T", "condition": "no"}, "f": {"type": "T", "depends_on": "e"},
        }));
        let needs = needs(&scene).unwrap();
        let of = |name: &str| needs[name].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(of("b"), ["a"]);
        assert_eq!(of("c"), ["a", "b"]);
        assert_eq!(of("d"), ["a"]);
        assert!(of("f").is_empty());
        assert!(!needs.contains_key("e"));
        let order = order(&needs).unwrap();
        let at = |name: &str| order.iter().position(|found| found == name).unwrap();
        assert!(at("a") < at("b") && at("b") < at("c") && at("a") < at("d"));
        assert_eq!(needed_by(&needs, "a"), ["b", "c", "d"]);
    }

    #[test]
    fn a_reference_of_the_first_version_is_a_need() {
        let template = json!({"heat_template_version": "2013-05-23", "parameters": {"p": {"type": "string", "default": "x"}}, "resources": {
            "a": {"type": "T", "properties": {"x": {"Ref": "p"}}},
            "b": {"type": "T", "properties": {"x": {"Fn::Join": ["", [{"Ref": "a"}]]}}},
        }});
        let template = Template::parse(template).unwrap();
        let (environment, files) = (Environment::default(), BTreeMap::new());
        let scene = Scene::new(template, environment, files, Names::default(), false).unwrap();
        let needs = needs(&scene).unwrap();
        assert!(needs["a"].is_empty());
        assert!(needs["b"].contains("a"));
    }

    #[track_caller]
    fn refused(resources: Value, kind: &str, words: &str) {
        let why = needs(&scene(resources))
            .and_then(|needs| order(&needs))
            .unwrap_err();
        assert_eq!(why.kind, kind);
        assert!(why.message.contains(words), "{why}");
    }

    #[test]
    fn circles_and_missing_resources_are_named() {
        refused(
            json!({"a": {"type": "T", "depends_on": "b"}, "b": {"type": "T", "depends_on": "c"}, "c": {"type": "T", "depends_on": "a"}}),
            "CircularDependencyException",
            "a -> b -> c -> a",
        );
        refused(
            json!({"a": {"type": "T", "depends_on": "x"}}),
            "InvalidTemplateReference",
            "The specified reference \"x\" (in a) is incorrect.",
        );
        refused(
            json!({"a": {"type": "T", "properties": {"p": {"get_resource": "x"}}}}),
            "InvalidTemplateReference",
            "\"x\" (in a)",
        );
        refused(
            json!({"e": {"type": "T", "condition": "no"}, "a": {"type": "T", "properties": {"p": {"get_resource": "e"}}}}),
            "InvalidTemplateReference",
            "\"e\" (in a)",
        );
    }
}
