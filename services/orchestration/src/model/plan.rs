//! What an update means for each resource: nothing, a change in place, or another one in its place; and why.

use serde_json::{Map, Value};

use super::kind::{How, Kind};
use super::stack::{Action, Resource, Status};

/// What becomes of a resource.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    Unchanged,
    /// Changed as it is.
    InPlace(Vec<Difference>),
    /// Another one is made, then this one removed.
    Replaced(Vec<Difference>, String),
}

/// One property that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub property: String,
    pub before: Value,
    pub after: Value,
    pub in_place: bool,
    /// Whether the new value depends on something that does not exist yet.
    pub later: bool,
}

/// What becomes of `now` if it should be of `target` with these properties; `later` are those not known yet.
pub(crate) fn fate(
    now: &Resource,
    kind: Option<&Kind>,
    target: &str,
    wanted: &Map<String, Value>,
    later: &[String],
) -> Fate {
    if now.target != target {
        return Fate::Replaced(
            Vec::new(),
            format!("its type changes from {} to {target}", now.target),
        );
    }
    let unhealthy = now.status == Status::Failed && now.action == Action::Check;
    let half_made = now.status == Status::Failed
        && matches!(now.action, Action::Create | Action::Init)
        && now.begun();
    if unhealthy || half_made {
        let differences = differences(now, kind, wanted, later);
        let nested = kind.is_none_or(Kind::nested);
        let fixed = differences.iter().any(|found| !found.in_place);
        if nested || (kind.is_some_and(Kind::mends) && !fixed) {
            return Fate::InPlace(differences);
        }
        let why = if unhealthy {
            "it is not healthy"
        } else {
            "it could not be made completely"
        };
        return Fate::Replaced(differences, format!("{why}: {}", now.reason));
    }
    let differences = differences(now, kind, wanted, later);
    if kind.is_some_and(|kind| kind.name == "OS::Heat::UpdateWaitConditionHandle") {
        let why = "each update makes it anew".to_owned();
        return Fate::Replaced(differences, why);
    }
    if differences.is_empty() {
        let failed = now.status == Status::Failed && now.action != Action::Delete;
        // What failed to change is changed again.
        return if failed {
            Fate::InPlace(differences)
        } else {
            Fate::Unchanged
        };
    }
    let fixed: Vec<&str> = differences
        .iter()
        .filter(|found| !found.in_place)
        .map(|found| found.property.as_str())
        .collect();
    if kind.is_some_and(|kind| matches!(kind.how, How::Test))
        && wanted.get("update_replace").and_then(Value::as_bool) == Some(true)
    {
        return Fate::Replaced(differences, "update_replace asks for it".to_owned());
    }
    if wanted.get("replacement_policy").and_then(Value::as_str) == Some("REPLACE_ALWAYS") {
        let why = "replacement_policy asks for it".to_owned();
        return Fate::Replaced(differences, why);
    }
    if fixed.is_empty() {
        Fate::InPlace(differences)
    } else {
        let why = format!("{} cannot be changed in place", fixed.join(", "));
        Fate::Replaced(differences, why)
    }
}

/// What becomes of a resource that stands for a thing which is there already, or is to: such a thing is used, never
/// changed, and nothing becomes one or ceases to be one. `None` for what is no such resource.
pub(crate) fn external(
    now: &Resource,
    kind: &str,
    said: Option<&str>,
) -> Result<Option<Fate>, String> {
    let own = now.data.get("external_id").and_then(Value::as_str);
    let own = own.filter(|_| now.external);
    if !now.external && said.is_none() {
        return Ok(None);
    }
    if own != said {
        return Err(format!(
            "Update to property external_id of {} ({kind}) is not supported.",
            now.name
        ));
    }
    // It may have come into being since.
    if now.status == Status::Failed {
        let why = format!("it was not found: {}", now.reason);
        return Ok(Some(Fate::Replaced(Vec::new(), why)));
    }
    Ok(Some(Fate::Unchanged))
}

fn differences(
    now: &Resource,
    kind: Option<&Kind>,
    wanted: &Map<String, Value>,
    later: &[String],
) -> Vec<Difference> {
    let before = translated(kind, &now.properties);
    let after = translated(kind, wanted);
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    // What was not said is what it is when nothing is said, also for what was made before there was such a property.
    let usual = |name: &String| {
        let mut props = kind.into_iter().flat_map(|kind| kind.props);
        props.find(|prop| prop.name == name)?.default_value()
    };
    let said = |map: &Map<String, Value>, name: &String| {
        let value = map.get(name).filter(|value| !value.is_null()).cloned();
        value.or_else(|| usual(name)).unwrap_or_default()
    };
    let difference = |name: &String| {
        let before = said(&before, name);
        let later = later.contains(name) || later.contains(&format!("{name}_id"));
        let after = if later {
            Value::Null
        } else {
            said(&after, name)
        };
        // The id of what it has been called by name so far.
        let noted = now.observed.get(format!("{name}_id"));
        let named = !before.is_null() && !after.is_null() && noted == Some(&after);
        if (before == after || named) && !later {
            return None;
        }
        // The properties of a nested stack are its parameters: they change in place.
        let in_place = kind.is_none_or(|kind| {
            kind.props
                .iter()
                .any(|prop| prop.name == name && prop.in_place)
                && !kind.replaces(name, wanted)
        });
        Some(Difference {
            property: name.clone(),
            before,
            after,
            in_place,
            later,
        })
    };
    names.into_iter().filter_map(difference).collect()
}

/// Properties that have two names; the first is the one that counts.
const NAMES: &[(&str, &[&str])] = &[
    ("OS::Neutron::Subnet", &["network"]),
    ("OS::Neutron::Port", &["network"]),
    ("OS::Neutron::RouterGateway", &["network"]),
    (
        "OS::Neutron::RouterInterface",
        &["router", "subnet", "port"],
    ),
    ("OS::Neutron::FloatingIP", &["floating_network"]),
];

/// Other names that properties had once, and have still.
const OLDER: &[(&str, &str, &str)] = &[("OS::Cinder::Volume", "imageRef", "image")];

/// Properties under the names that count, so that another name for the same is no change.
fn translated(kind: Option<&Kind>, properties: &Map<String, Value>) -> Map<String, Value> {
    let name = kind.map_or("", |kind| kind.name);
    let own = NAMES.iter().find(|(kind, _)| *kind == name);
    let mut out = properties.clone();
    for name in own.into_iter().flat_map(|(_, names)| *names) {
        let older = out.shift_remove(&format!("{name}_id"));
        if out.get(*name).is_none_or(Value::is_null)
            && let Some(value) = older.filter(|value| !value.is_null())
        {
            out.insert((*name).to_owned(), value);
        }
    }
    for (_, older, newer) in OLDER.iter().filter(|(kind, ..)| *kind == name) {
        if let Some(value) = out.shift_remove(*older).filter(|value| !value.is_null()) {
            out.entry(*newer).or_insert(value);
        }
    }
    let nics = out
        .get_mut("networks")
        .filter(|_| name == "OS::Nova::Server");
    for nic in nics.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(nic) = nic.as_object_mut()
            && let Some(id) = nic.shift_remove("uuid")
        {
            nic.entry("network").or_insert(id);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::kind;
    use crate::model::stack::sample as resource;

    fn judged(now: &Resource, target: &str, wanted: Value) -> Fate {
        fate(
            now,
            kind::find(target),
            target,
            wanted.as_object().unwrap(),
            &[],
        )
    }

    #[test]
    fn a_change_is_made_in_place_where_all_of_it_can_be() {
        let now = resource("OS::Neutron::Net", json!({"name": "a", "shared": false}));
        assert_eq!(
            judged(
                &now,
                "OS::Neutron::Net",
                json!({"name": "a", "shared": false})
            ),
            Fate::Unchanged
        );
        assert!(
            matches!(judged(&now, "OS::Neutron::Net", json!({"name": "b", "shared": false})), Fate::InPlace(found) if found.len() == 1)
        );
        let Fate::Replaced(found, why) = judged(
            &now,
            "OS::Neutron::Net",
            json!({"name": "b", "shared": false, "availability_zone_hints": ["x"]}),
        ) else {
            panic!("it is replaced");
        };
        assert_eq!(found.len(), 2);
        assert_eq!(why, "availability_zone_hints cannot be changed in place");
        assert!(matches!(
            judged(&now, "OS::Neutron::Subnet", json!({})),
            Fate::Replaced(..)
        ));
    }

    #[test]
    fn another_name_for_the_same_is_no_change() {
        let mut port = resource(
            "OS::Neutron::Port",
            json!({"network_id": "net", "name": "p"}),
        );
        let kind = "OS::Neutron::Port";
        let same = json!({"network": "net", "name": "p"});
        assert_eq!(judged(&port, kind, same.clone()), Fate::Unchanged);
        let by_id = json!({"network": "id-of-net", "name": "p"});
        assert!(matches!(
            judged(&port, kind, by_id.clone()),
            Fate::Replaced(..)
        ));
        port.observed = json!({"network_id": "id-of-net"});
        assert_eq!(judged(&port, kind, by_id), Fate::Unchanged);
        let renamed = json!({"network": "net", "name": "q"});
        assert!(matches!(judged(&port, kind, renamed), Fate::InPlace(found) if found.len() == 1));
        let volume = resource("OS::Cinder::Volume", json!({"imageRef": "i", "size": 1}));
        let same = json!({"image": "i", "size": 1});
        assert_eq!(judged(&volume, "OS::Cinder::Volume", same), Fate::Unchanged);
        let server = resource("OS::Nova::Server", json!({"networks": [{"uuid": "n"}]}));
        let same = json!({"networks": [{"network": "n"}]});
        assert_eq!(judged(&server, "OS::Nova::Server", same), Fate::Unchanged);
    }

    #[test]
    fn a_property_that_has_come_since_is_no_change() {
        let volume = resource("OS::Cinder::Volume", json!({"size": 1}));
        let wanted = json!({"size": 1, "multiattach": false});
        assert_eq!(
            judged(&volume, "OS::Cinder::Volume", wanted),
            Fate::Unchanged
        );
    }

    #[test]
    fn a_port_that_is_always_replaced_is_when_anything_changes() {
        let port = resource("OS::Neutron::Port", json!({"network": "n", "name": "a"}));
        let kind = "OS::Neutron::Port";
        let wanted = json!({"network": "n", "name": "b", "replacement_policy": "REPLACE_ALWAYS"});
        assert!(matches!(judged(&port, kind, wanted), Fate::Replaced(..)));
        let wanted = json!({"network": "n", "name": "b", "replacement_policy": "AUTO"});
        assert!(matches!(judged(&port, kind, wanted), Fate::InPlace(found) if found.len() == 1));
    }

    #[test]
    fn what_failed_is_made_again() {
        let mut now = resource("OS::Neutron::Net", json!({"name": "a"}));
        now.status = Status::Failed;
        assert!(matches!(
            judged(&now, "OS::Neutron::Net", json!({"name": "a"})),
            Fate::Replaced(..)
        ));
        now.action = Action::Update;
        assert_eq!(
            judged(&now, "OS::Neutron::Net", json!({"name": "a"})),
            Fate::InPlace(Vec::new())
        );
        now.action = Action::Check;
        assert!(matches!(
            judged(&now, "OS::Neutron::Net", json!({"name": "a"})),
            Fate::Replaced(..)
        ));
    }
}
