//! What is known of a resource: what stands for it, and its attributes.

use serde_json::{Map, Value, json};

use super::function::{Trouble, shown, walk};
use super::kind::How;

/// What is known of a resource that is there.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// A thing.
    Plain {
        reference: Value,
        attributes: Map<String, Value>,
    },
    /// A stack of its own whose outputs are its attributes.
    Stack {
        reference: Value,
        name: String,
        /// Each with its value, or why it has none.
        outputs: Vec<(String, Result<Value, String>)>,
        members: Vec<(String, Fact)>,
    },
    /// A group of alike things.
    Group {
        reference: Value,
        how: How,
        members: Vec<(String, Fact)>,
        /// The names of members that were removed for good.
        removed: Vec<String>,
    },
}

fn unknown(resource: &str, attribute: &str) -> Trouble {
    Trouble::wrong(format!(
        "The Referenced Attribute ({resource} {attribute}) is incorrect."
    ))
}

impl Fact {
    /// What stands for the resource where it is referred to.
    pub fn reference(&self) -> &Value {
        match self {
            Self::Plain { reference, .. }
            | Self::Stack { reference, .. }
            | Self::Group { reference, .. } => reference,
        }
    }

    /// An attribute, or all of them, and in it what the path leads to; `resource` is the name for complaints. The
    /// attributes of a group's members are asked of each of them, path and all.
    pub fn attribute(
        &self,
        resource: &str,
        name: Option<&str>,
        path: &[Value],
    ) -> Result<Value, Trouble> {
        let Some(name) = name else {
            return Ok(Value::Object(self.all(resource)));
        };
        let within = |value: &Value| walk(value, path).unwrap_or(Value::Null);
        match self {
            Self::Plain { attributes, .. } => Ok(attributes.get(name).map_or(Value::Null, within)),
            Self::Stack {
                outputs,
                members,
                name: own,
                ..
            } => {
                if let Some(found) = member_attribute(members, name, path) {
                    return found;
                }
                match outputs.iter().find(|(output, _)| output == name) {
                    Some((_, Ok(value))) => Ok(within(value)),
                    Some((_, Err(why))) => Err(Trouble::wrong(format!(
                        "Error in {resource} output {name}: {why}"
                    ))),
                    None if name == "outputs" => {
                        let given = |(output, value): &(String, Result<Value, String>)| {
                            Some((output.clone(), value.clone().ok()?))
                        };
                        let all: Map<String, Value> = outputs.iter().filter_map(given).collect();
                        Ok(within(&Value::Object(all)))
                    }
                    None if name == "stack_name" => Ok(json!(own)),
                    None => Err(unknown(resource, name)),
                }
            }
            Self::Group {
                members,
                how,
                removed,
                ..
            } => match name {
                "removed_rsrc_list" => Ok(within(&json!(removed))),
                "attributes"
                    if path.is_empty() && matches!(how, How::ResourceGroup | How::Chain) =>
                {
                    Err(unknown(resource, name))
                }
                _other => group_attribute(members, *how, name, path),
            },
        }
    }

    fn all(&self, resource: &str) -> Map<String, Value> {
        match self {
            Self::Plain { attributes, .. } => attributes.clone(),
            Self::Stack { outputs, .. } => outputs
                .iter()
                .map(|(name, value)| (name.clone(), value.clone().unwrap_or(Value::Null)))
                .collect(),
            Self::Group { how, .. } => {
                let names: &[&str] = match how {
                    How::ScalingGroup => &["current_size", "refs", "refs_map"],
                    _other => &["refs", "refs_map"],
                };
                names
                    .iter()
                    .filter_map(|name| {
                        Some((
                            (*name).to_owned(),
                            self.attribute(resource, Some(name), &[]).ok()?,
                        ))
                    })
                    .collect()
            }
        }
    }
}

/// `resource.<name>` and `resource.<name>.<attribute>`, or the attribute as the first step of the path.
fn member_attribute(
    members: &[(String, Fact)],
    name: &str,
    path: &[Value],
) -> Option<Result<Value, Trouble>> {
    let rest = name.strip_prefix("resource.")?;
    let (member, attribute) = rest
        .split_once('.')
        .map_or((rest, None), |(member, attribute)| {
            (member, Some(attribute))
        });
    let Some((_, fact)) = members.iter().find(|(known, _)| known == member) else {
        return Some(Err(Trouble::wrong(format!(
            "Member '{member}' not found in group."
        ))));
    };
    Some(match (attribute, path.split_first()) {
        (Some(attribute), _) => fact.attribute(member, Some(attribute), path),
        (None, Some((first, path))) => fact.attribute(member, Some(&shown(first)), path),
        (None, None) => Ok(fact.reference().clone()),
    })
}

fn group_attribute(
    members: &[(String, Fact)],
    how: How,
    name: &str,
    path: &[Value],
) -> Result<Value, Trouble> {
    if let Some(found) = member_attribute(members, name, path) {
        return found;
    }
    let by_name = |attribute: &str, path: &[Value]| -> Result<Value, Trouble> {
        let of = |(member, fact): &(String, Fact)| {
            Ok((
                member.clone(),
                fact.attribute(member, Some(attribute), path)?,
            ))
        };
        let all: Result<Map<String, Value>, Trouble> = members.iter().map(of).collect();
        all.map(Value::Object)
    };
    let in_order = |attribute: &str, path: &[Value]| -> Result<Value, Trouble> {
        let of = |(member, fact): &(String, Fact)| fact.attribute(member, Some(attribute), path);
        members.iter().map(of).collect()
    };
    match (how, name) {
        (How::Deployments, "deploy_stdouts") => return by_name("deploy_stdout", path),
        (How::Deployments, "deploy_stderrs") => return by_name("deploy_stderr", path),
        (How::Deployments, "deploy_status_codes") => return by_name("deploy_status_code", path),
        _other => {}
    }
    let within = |value: Value| walk(&value, path).unwrap_or(Value::Null);
    match (name, path.split_first()) {
        ("refs", _) => Ok(within(
            members
                .iter()
                .map(|(_, fact)| fact.reference().clone())
                .collect(),
        )),
        ("refs_map", _) => Ok(within(Value::Object(
            members
                .iter()
                .map(|(member, fact)| (member.clone(), fact.reference().clone()))
                .collect(),
        ))),
        ("current_size", _) => Ok(json!(members.len())),
        ("attributes" | "outputs", Some((first, path))) => by_name(&shown(first), path),
        ("outputs_list", Some((first, path))) => in_order(&shown(first), path),
        ("attributes" | "outputs", None) => Ok(keyed(members, true)),
        ("outputs_list", None) => Ok(keyed(members, false)),
        (other, _) => in_order(other, path),
    }
}

/// For every attribute, the members' values of it, by name or in order.
fn keyed(members: &[(String, Fact)], by_name: bool) -> Value {
    let all: Vec<(&String, Map<String, Value>)> = members
        .iter()
        .map(|(name, fact)| (name, fact.all(name)))
        .collect();
    let mut attributes: Vec<&String> = all.iter().flat_map(|(_, map)| map.keys()).collect();
    attributes.sort_unstable();
    attributes.dedup();
    let value_of = |map: &Map<String, Value>, attribute: &String| {
        walk(&Value::Object(map.clone()), &[json!(attribute)]).unwrap_or_default()
    };
    let one = |attribute: &String| -> Value {
        if by_name {
            Value::Object(
                all.iter()
                    .map(|(name, map)| ((*name).clone(), value_of(map, attribute)))
                    .collect(),
            )
        } else {
            all.iter()
                .map(|(_, map)| value_of(map, attribute))
                .collect()
        }
    };
    Value::Object(
        attributes
            .iter()
            .map(|attribute| ((*attribute).clone(), one(attribute)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(id: &str, value: &str) -> Fact {
        Fact::Plain {
            reference: json!(id),
            attributes: json!({"output": value})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        }
    }

    #[track_caller]
    fn check(fact: &Fact, name: &str, expected: Value) {
        check_at(fact, name, json!([]), expected);
    }

    #[track_caller]
    fn check_at(fact: &Fact, name: &str, path: Value, expected: Value) {
        let path = path.as_array().unwrap();
        assert_eq!(
            fact.attribute("r", Some(name), path),
            Ok(expected),
            "{name}"
        );
    }

    #[test]
    fn a_group_shows_its_members() {
        let group = Fact::Group {
            reference: json!("g"),
            how: How::ResourceGroup,
            members: vec![
                ("0".to_owned(), plain("a", "x")),
                ("1".to_owned(), plain("b", "y")),
            ],
            removed: vec!["7".to_owned()],
        };
        check(&group, "refs", json!(["a", "b"]));
        check(&group, "refs_map", json!({"0": "a", "1": "b"}));
        check(&group, "output", json!(["x", "y"]));
        check(&group, "resource.1", json!("b"));
        check(&group, "resource.1.output", json!("y"));
        check(&group, "removed_rsrc_list", json!(["7"]));
        check(&group, "outputs", json!({"output": {"0": "x", "1": "y"}}));
        check_at(&group, "resource.1", json!(["output"]), json!("y"));
        check_at(&group, "refs", json!([1]), json!("b"));
        check_at(
            &group,
            "attributes",
            json!(["output"]),
            json!({"0": "x", "1": "y"}),
        );
        check_at(&group, "outputs_list", json!(["output"]), json!(["x", "y"]));
        assert!(group.attribute("r", Some("attributes"), &[]).is_err());
        check(&group, "outputs_list", json!({"output": ["x", "y"]}));
        check(&group, "current_size", json!(2));
        assert!(group.attribute("r", Some("resource.7"), &[]).is_err());
    }

    #[test]
    fn a_path_leads_into_each_member() {
        let member = |at: u32| Fact::Plain {
            reference: json!(at),
            attributes: json!({"networks": {"net": [format!("10.0.0.{at}")]}})
                .as_object()
                .cloned()
                .unwrap(),
        };
        let group = Fact::Group {
            reference: json!("g"),
            how: How::ResourceGroup,
            members: vec![("0".to_owned(), member(1)), ("1".to_owned(), member(2))],
            removed: Vec::new(),
        };
        let path = json!(["net", 0]);
        check_at(&group, "networks", path, json!(["10.0.0.1", "10.0.0.2"]));
        let path = json!(["networks", "net", 0]);
        check_at(
            &group,
            "attributes",
            path.clone(),
            json!({"0": "10.0.0.1", "1": "10.0.0.2"}),
        );
        check_at(
            &group,
            "outputs_list",
            path,
            json!(["10.0.0.1", "10.0.0.2"]),
        );
        let path = json!(["networks", "net", 0]);
        check_at(&group, "resource.1", path, json!("10.0.0.2"));
    }

    #[test]
    fn a_nested_stack_shows_its_outputs_and_why_one_has_none() {
        let stack = Fact::Stack {
            reference: json!("s"),
            name: "n".to_owned(),
            outputs: vec![
                ("a".to_owned(), Ok(json!(1))),
                ("b".to_owned(), Err("no".to_owned())),
            ],
            members: vec![("m".to_owned(), plain("id", "v"))],
        };
        check(&stack, "a", json!(1));
        check(&stack, "outputs", json!({"a": 1}));
        check(&stack, "resource.m.output", json!("v"));
        check_at(&stack, "resource.m", json!(["output"]), json!("v"));
        let why = stack
            .attribute("parent", Some("b"), &[])
            .unwrap_err()
            .to_string();
        assert_eq!(why, "Error in parent output b: no");
        assert!(stack.attribute("parent", Some("c"), &[]).is_err());
    }
}
