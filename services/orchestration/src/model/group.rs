//! The templates of groups: what the nested stack of each is made of.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::function::shown;
use super::kind::How;
use super::property::{Prop, Rule, fill, float, integer, map};
use super::refusal::Refusal;

/// What a group is at present.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Present<'a> {
    /// The members it has.
    pub members: &'a [String],
    /// What refers to members, and the member of each.
    pub references: &'a [(String, String)],
    /// The members that were removed by name, for good.
    pub removed: &'a [String],
    /// The size that policies gave it.
    pub size: Option<i64>,
}

/// The nested template of a group with these properties.
pub(crate) fn template(
    how: How,
    props: &Map<String, Value>,
    present: Present<'_>,
) -> Result<Value, Refusal> {
    match how {
        How::ResourceGroup => Ok(resource_group(props, present.removed)),
        How::Chain => Ok(chain(props)),
        How::ScalingGroup => scaling_group(props, present.members, present.size),
        How::Deployments => Ok(deployments(props)),
        _other => Err(Refusal::invalid("this type has no nested template")),
    }
}

fn wrapped(resources: Map<String, Value>) -> Value {
    json!({"heat_template_version": "2016-10-14", "resources": resources})
}

/// The members that a group does not have any more, for good: those that were removed by name before, and those that
/// are to be removed now.
pub(crate) fn removed(props: &Map<String, Value>, present: Present<'_>) -> Vec<String> {
    let known = |given: String| {
        if present.members.contains(&given) || present.removed.contains(&given) {
            return Some(given);
        }
        let mut references = present.references.iter();
        let found = references.find(|(reference, _)| *reference == given);
        found.map(|(_, name)| name.clone())
    };
    let listed = props
        .get("removal_policies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|policy| policy.get("resource_list")?.as_array())
        .flatten()
        .map(shown)
        .filter_map(known);
    let update = props.get("removal_policies_mode").and_then(Value::as_str) == Some("update");
    let before = present.removed.iter().filter(|_| !update).cloned();
    let all: BTreeSet<String> = listed.chain(before).collect();
    all.into_iter().collect()
}

fn resource_group(props: &Map<String, Value>, removed: &[String]) -> Value {
    let count = props.get("count").and_then(Value::as_u64).unwrap_or(1);
    let variable = props.get("index_var").map(shown).unwrap_or_default();
    let definition = props.get("resource_def").cloned().unwrap_or_default();
    let names = (0..)
        .map(|at: u64| at.to_string())
        .filter(|name| !removed.contains(name));
    let resources = names.take(usize::try_from(count).unwrap_or(0)).map(|name| {
        let definition = replaced(&definition, &variable, &name);
        (name, definition)
    });
    wrapped(resources.collect())
}

/// One resource for each type of a chain, called by its number.
fn chain(props: &Map<String, Value>) -> Value {
    let types = props.get("resources").and_then(Value::as_array);
    let at_once = props.get("concurrent").and_then(Value::as_bool) == Some(true);
    let properties = props.get("resource_properties");
    let one = |(at, kind): (usize, &Value)| {
        let mut definition = json!({ "type": kind });
        if let Some(map) = definition.as_object_mut() {
            if let Some(properties) = properties.filter(|given| !given.is_null()) {
                map.insert("properties".to_owned(), properties.clone());
            }
            if let Some(before) = at.checked_sub(1).filter(|_| !at_once) {
                map.insert("depends_on".to_owned(), json!([before.to_string()]));
            }
        }
        (at.to_string(), definition)
    };
    wrapped(types.into_iter().flatten().enumerate().map(one).collect())
}

/// The definition with the variable replaced in every text.
fn replaced(value: &Value, variable: &str, index: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(variable, index)),
        Value::Array(items) => items
            .iter()
            .map(|item| replaced(item, variable, index))
            .collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), replaced(value, variable, index)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The size that a scaling group has or is to have, within its bounds.
pub(crate) fn size(props: &Map<String, Value>, asked: Option<i64>) -> Result<i64, Refusal> {
    let number = |name: &str| props.get(name).and_then(Value::as_i64);
    let (min, max) = (
        number("min_size").unwrap_or(0),
        number("max_size").unwrap_or(0),
    );
    if min > max {
        return Err(Refusal::invalid("MinSize can not be greater than MaxSize"));
    }
    if let Some(desired) =
        number("desired_capacity").filter(|desired| *desired < min || *desired > max)
    {
        return Err(Refusal::invalid(format!(
            "DesiredCapacity must be between MinSize and MaxSize ({desired} is not between {min} and {max})"
        )));
    }
    Ok(asked
        .or_else(|| number("desired_capacity"))
        .unwrap_or(min)
        .clamp(min, max))
}

/// What a scaling policy makes of a size.
pub(crate) fn adjusted(now: i64, props: &Map<String, Value>) -> i64 {
    let adjustment = props
        .get("scaling_adjustment")
        .and_then(Value::as_f64)
        .unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, reason = "sizes of groups are small")]
    let rounded = |number: f64| number.clamp(-1e6, 1e6) as i64;
    match props.get("adjustment_type").and_then(Value::as_str) {
        Some("exact_capacity") => rounded(adjustment),
        Some("percent_change_in_capacity") => {
            #[expect(clippy::cast_precision_loss, reason = "sizes of groups are small")]
            let delta = now as f64 * adjustment / 100.0;
            // Away from zero, so that a small group changes at all.
            let delta = if delta.abs() < 1.0 {
                delta.signum() * delta.abs().ceil()
            } else {
                delta.trunc()
            };
            let least = props
                .get("min_adjustment_step")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            let step = rounded(delta).abs().max(least);
            now + if delta < 0.0 { -step } else { step }
        }
        _change => now + rounded(adjustment),
    }
}

fn scaling_group(
    props: &Map<String, Value>,
    now: &[String],
    asked: Option<i64>,
) -> Result<Value, Refusal> {
    let wanted = usize::try_from(size(props, asked)?).unwrap_or(0);
    let definition = props.get("resource").cloned().unwrap_or_default();
    if definition.get("type").and_then(Value::as_str).is_none() {
        return Err(Refusal::invalid("resource: Property type not assigned"));
    }
    // The oldest go; new ones take the next free numbers.
    let mut names: Vec<String> = now.to_vec();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names.drain(..names.len().saturating_sub(wanted));
    let mut next: u64 = names
        .iter()
        .filter_map(|name| name.strip_prefix("member")?.parse::<u64>().ok())
        .max()
        .map_or(0, |last| last + 1);
    while names.len() < wanted {
        names.push(format!("member{next}"));
        next += 1;
    }
    Ok(wrapped(
        names
            .into_iter()
            .map(|name| (name, definition.clone()))
            .collect(),
    ))
}

fn deployments(props: &Map<String, Value>) -> Value {
    let servers = props
        .get("servers")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let kind = if props.contains_key("input_key") {
        "OS::Heat::StructuredDeployment"
    } else {
        "OS::Heat::SoftwareDeployment"
    };
    let one = |server: &Value| {
        let mut own: Map<String, Value> = props
            .iter()
            .filter(|(name, _)| *name != "servers")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        own.insert("server".to_owned(), server.clone());
        json!({"type": kind, "properties": own})
    };
    wrapped(
        servers
            .iter()
            .map(|(name, server)| (name.clone(), one(server)))
            .collect(),
    )
}

/// How a group changes its members: how many at once, with how many staying as they are, and the pause between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rolling {
    pub batch: usize,
    pub pause_secs: f64,
}

const BATCH: Prop = integer("max_batch_size", "How many at once.")
    .default("1")
    .rule(Rule::Range(1, 1000));
const PAUSE: Prop = float("pause_time", "Seconds between batches.")
    .default("0")
    .rule(Rule::Range(0, 3600));
/// What the update policy of a resource group may say.
const POLICY: &[Prop] = &[
    map("rolling_update", "How members are changed.").of(&[
        integer("min_in_service", "How many stay as they are meanwhile.")
            .default("0")
            .rule(Rule::Range(0, 1000)),
        BATCH,
        PAUSE,
    ]),
    map("batch_create", "How members are made.").of(&[BATCH, PAUSE]),
];

/// The update policy of a resource group, checked.
pub(crate) fn policy(given: &Value) -> Result<Map<String, Value>, Refusal> {
    let nothing = Map::new();
    fill(POLICY, given.as_object().unwrap_or(&nothing), &[])
}

/// The way of rolling updates that a group asks for.
pub(crate) fn rolling(policy: Option<&Value>, members: usize) -> Option<Rolling> {
    let policy = policy?.as_object()?;
    let number = |name: &str| {
        policy
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|number| usize::try_from(number).ok())
    };
    let most = number("max_batch_size").unwrap_or(1).max(1);
    let stay = number("min_in_service").unwrap_or(0);
    Some(Rolling {
        batch: most.min(members.saturating_sub(stay)).max(1),
        pause_secs: policy
            .get("pause_time")
            .and_then(Value::as_f64)
            .unwrap_or(0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn members(how: How, value: Value, now: &[&str], size: Option<i64>) -> Vec<String> {
        let now: Vec<String> = now.iter().map(|name| (*name).to_owned()).collect();
        let present = |removed| Present {
            members: &now,
            removed,
            size,
            ..Present::default()
        };
        let removed = removed(&props(value.clone()), present(&[]));
        let made = template(how, &props(value), present(&removed)).unwrap();
        made["resources"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    #[test]
    fn a_resource_group_has_its_members_by_number() {
        let group = json!({"count": 2, "index_var": "%index%", "resource_def": {"type": "T", "properties": {"n": ["x-%index%"]}}});
        let made = template(
            How::ResourceGroup,
            &props(group.clone()),
            Present::default(),
        )
        .unwrap();
        assert_eq!(made["resources"]["1"]["properties"]["n"], json!(["x-1"]));
        let mut without = group;
        without["removal_policies"] = json!([{"resource_list": ["0", "9"]}]);
        assert_eq!(
            members(How::ResourceGroup, without.clone(), &["0", "1"], None),
            ["1", "2"]
        );
        assert_eq!(
            members(How::ResourceGroup, without.clone(), &[], None),
            ["0", "1"]
        );
        // What was removed once does not come back, unless the mode says so.
        let (one, two) = (["1".to_owned()], ["1".to_owned(), "2".to_owned()]);
        let present = Present {
            members: &two,
            references: &[("id-of-two".to_owned(), "2".to_owned())],
            removed: &one,
            size: None,
        };
        without["removal_policies"] = json!([{"resource_list": ["id-of-two", "id-of-none"]}]);
        assert_eq!(removed(&props(without.clone()), present), ["1", "2"]);
        without["removal_policies"] = json!([{"resource_list": ["2"]}]);
        assert_eq!(removed(&props(without.clone()), present), ["1", "2"]);
        without["removal_policies_mode"] = json!("update");
        assert_eq!(removed(&props(without), present), ["2"]);
    }

    #[test]
    fn a_chain_has_one_resource_for_each_type() {
        let chain = |at_once: bool| json!({"resources": ["A", "B"], "concurrent": at_once, "resource_properties": {"x": 1}});
        let made = |at_once: bool| template(How::Chain, &props(chain(at_once)), Present::default());
        assert_eq!(
            made(false).unwrap()["resources"],
            json!({
                "0": {"type": "A", "properties": {"x": 1}},
                "1": {"type": "B", "properties": {"x": 1}, "depends_on": ["0"]},
            })
        );
        let at_once = made(true).unwrap();
        assert_eq!(at_once["resources"]["1"].get("depends_on"), None);
    }

    #[test]
    fn a_scaling_group_lets_its_oldest_members_go() {
        let group =
            json!({"resource": {"type": "T"}, "min_size": 1, "max_size": 4, "desired_capacity": 2});
        assert_eq!(
            members(How::ScalingGroup, group.clone(), &[], None),
            ["member0", "member1"]
        );
        assert_eq!(
            members(
                How::ScalingGroup,
                group.clone(),
                &["member0", "member1"],
                Some(1)
            ),
            ["member1"]
        );
        assert_eq!(
            members(
                How::ScalingGroup,
                group.clone(),
                &["member1", "member10"],
                Some(3)
            ),
            ["member1", "member10", "member11"]
        );
        assert_eq!(members(How::ScalingGroup, group, &[], Some(99)).len(), 4);
        let wrong = json!({"resource": {"type": "T"}, "min_size": 5, "max_size": 4});
        assert!(template(How::ScalingGroup, &props(wrong), Present::default()).is_err());
    }

    #[track_caller]
    fn check(kind: &str, adjustment: f64, now: i64, expected: i64) {
        let policy = props(json!({"adjustment_type": kind, "scaling_adjustment": adjustment}));
        assert_eq!(adjusted(now, &policy), expected);
    }

    #[test]
    fn policies_adjust_sizes() {
        check("change_in_capacity", 2.0, 1, 3);
        check("change_in_capacity", -2.0, 5, 3);
        check("exact_capacity", 7.0, 1, 7);
        check("percent_change_in_capacity", 50.0, 4, 6);
        check("percent_change_in_capacity", 10.0, 2, 3);
        check("percent_change_in_capacity", -10.0, 2, 1);
    }

    #[test]
    fn rolling_updates_leave_members_in_service() {
        let group = |min: u64, batch: u64| {
            props(
                json!({"rolling_updates": {"min_in_service": min, "max_batch_size": batch, "pause_time": 3}}),
            )
        };
        let rolling = |props: &Map<String, Value>, members| {
            super::rolling(props.get("rolling_updates"), members)
        };
        assert_eq!(
            rolling(&group(1, 2), 4),
            Some(Rolling {
                batch: 2,
                pause_secs: 3.0
            })
        );
        assert_eq!(rolling(&group(3, 2), 4).unwrap().batch, 1);
        assert_eq!(rolling(&group(9, 2), 4).unwrap().batch, 1);
        assert_eq!(rolling(&Map::new(), 4), None);
    }
}
