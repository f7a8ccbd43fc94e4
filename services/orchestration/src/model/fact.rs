//! What is known of a resource: what stands for it, and its attributes.

use serde_json::{Map, Value, json};

use super::function::{Trouble, walk};
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
    },
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

    /// An attribute, or all of them; `resource` is the name for complaints.
    pub fn attribute(&self, resource: &str, name: Option<&str>) -> Result<Value, Trouble> {
        let Some(name) = name else {
            return Ok(Value::Object(self.all(resource)));
        };
        let unknown = || {
            Trouble::wrong(format!(
                "The Referenced Attribute ({resource} {name}) is incorrect."
            ))
        };
        match self {
            Self::Plain { attributes, .. } => {
                Ok(attributes.get(name).cloned().unwrap_or(Value::Null))
            }
            Self::Stack {
                outputs,
                members,
                name: own,
                ..
            } => {
                if let Some(found) = member_attribute(members, name) {
                    return found;
                }
                match outputs.iter().find(|(output, _)| output == name) {
                    Some((_, Ok(value))) => Ok(value.clone()),
                    Some((_, Err(why))) => Err(Trouble::wrong(format!(
                        "Error in {resource} output {name}: {why}"
                    ))),
                    None if name == "outputs" => Ok(outputs
                        .iter()
                        .filter_map(|(output, value)| Some((output.clone(), value.clone().ok()?)))
                        .collect::<Map<_, _>>()
                        .into()),
                    None if name == "stack_name" => Ok(json!(own)),
                    None => Err(unknown()),
                }
            }
            Self::Group { members, how, .. } => group_attribute(members, *how, name),
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
                            self.attribute(resource, Some(name)).ok()?,
                        ))
                    })
                    .collect()
            }
        }
    }
}

/// `resource.<name>` and `resource.<name>.<attribute>`.
fn member_attribute(members: &[(String, Fact)], name: &str) -> Option<Result<Value, Trouble>> {
    let rest = name.strip_prefix("resource.")?;
    let (member, attribute) = rest
        .split_once('.')
        .map_or((rest, None), |(member, attribute)| {
            (member, Some(attribute))
        });
    let found = members
        .iter()
        .find(|(known, _)| known == member)
        .map(|(_, fact)| fact);
    Some(match (found, attribute) {
        (None, _) => Err(Trouble::wrong(format!(
            "Member '{member}' not found in group."
        ))),
        (Some(fact), None) => Ok(fact.reference().clone()),
        (Some(fact), Some(attribute)) => fact.attribute(member, Some(attribute)),
    })
}

fn group_attribute(members: &[(String, Fact)], how: How, name: &str) -> Result<Value, Trouble> {
    if let Some(found) = member_attribute(members, name) {
        return found;
    }
    let plain = match (how, name) {
        (How::Deployments, "deploy_stdouts") => Some("deploy_stdout"),
        (How::Deployments, "deploy_stderrs") => Some("deploy_stderr"),
        (How::Deployments, "deploy_status_codes") => Some("deploy_status_code"),
        _other => None,
    };
    if let Some(attribute) = plain {
        let of = |(member, fact): &(String, Fact)| {
            Ok((member.clone(), fact.attribute(member, Some(attribute))?))
        };
        return Ok(Value::Object(
            members.iter().map(of).collect::<Result<_, Trouble>>()?,
        ));
    }
    match name {
        "refs" => Ok(members
            .iter()
            .map(|(_, fact)| fact.reference().clone())
            .collect()),
        "refs_map" => Ok(Value::Object(
            members
                .iter()
                .map(|(member, fact)| (member.clone(), fact.reference().clone()))
                .collect(),
        )),
        "current_size" => Ok(json!(members.len())),
        "removed_rsrc_list" => Ok(json!([])),
        // `[group, attributes, x]`: the map is made of every attribute, the path picks one.
        "attributes" | "outputs" => Ok(keyed(members, true)),
        "outputs_list" => Ok(keyed(members, false)),
        other => members
            .iter()
            .map(|(member, fact)| fact.attribute(member, Some(other)))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array),
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
        assert_eq!(fact.attribute("r", Some(name)), Ok(expected), "{name}");
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
        };
        check(&group, "refs", json!(["a", "b"]));
        check(&group, "refs_map", json!({"0": "a", "1": "b"}));
        check(&group, "output", json!(["x", "y"]));
        check(&group, "resource.1", json!("b"));
        check(&group, "resource.1.output", json!("y"));
        check(
            &group,
            "attributes",
            json!({"output": {"0": "x", "1": "y"}}),
        );
        check(&group, "outputs_list", json!({"output": ["x", "y"]}));
        check(&group, "current_size", json!(2));
        assert!(group.attribute("r", Some("resource.7")).is_err());
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
        let why = stack
            .attribute("parent", Some("b"))
            .unwrap_err()
            .to_string();
        assert_eq!(why, "Error in parent output b: no");
        assert!(stack.attribute("parent", Some("c")).is_err());
    }
}
