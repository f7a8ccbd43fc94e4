//! Trunks. Their subports come and go by calls of their own, and only while the trunk is switched on.

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::rest::{self, id_of};
use super::{Did, Outcome, Why, Work};
use crate::model::kind::Rest;
use crate::peers::Ask;

/// Trunks as a collection.
pub(super) const TRUNKS: Rest = Rest {
    service: "network",
    path: "/v2.0/trunks",
    one: "trunk",
    many: "trunks",
    names: &[("port", "port_id", "ports")],
    updates: true,
    by_name: false,
};

/// Makes the trunk with its subports, or goes on with it.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    if work.row.changing_to.is_some() && work.physical().is_some() {
        return change(work).await;
    }
    rest::ensure(work, &TRUNKS).await
}

async fn change(work: &Work<'_>) -> Did {
    // What is to be switched off gets its subports before, and what is to be switched on after.
    let off = work.prop("admin_state_up") == Some(&json!(false));
    if off {
        change_subports(work).await?;
        return rest::change(work, &TRUNKS).await;
    }
    rest::change(work, &TRUNKS).await?;
    change_subports(work).await?;
    rest::look(work, &TRUNKS).await
}

/// Subports as the network service writes them, by what a template says.
pub(super) async fn subports(work: &Work<'_>, given: &Value) -> Result<Vec<Value>, Why> {
    let mut all = Vec::new();
    for one in given.as_array().into_iter().flatten() {
        let port = one.get("port").and_then(Value::as_str).unwrap_or_default();
        all.push(json!({
            "port_id": id_of(work, "ports", port).await?,
            "segmentation_type": one.get("segmentation_type"),
            "segmentation_id": one.get("segmentation_id"),
        }));
    }
    Ok(all)
}

/// Takes those away that were wanted before and are not now, then gives those that are missing: a port or a tag may be free
/// only then. Others that somebody gave the trunk stay.
async fn change_subports(work: &Work<'_>) -> Result<(), Why> {
    let id = work.physical().unwrap_or_default();
    let given = work.prop("sub_ports").unwrap_or(&Value::Null);
    let wanted = subports(work, given).await?;
    let shown = Ask::get("network", format!("/v2.0/trunks/{id}"));
    let shown = work.ask(&shown).await?;
    let there = shown.pointer("/trunk/sub_ports").and_then(Value::as_array);
    let there = there.cloned().unwrap_or_default();
    let before = ports_before(&work.row.properties);
    let port = |one: &Value| one.get("port_id").cloned().unwrap_or_default();
    let ours = |one: &Value| {
        let mut others = wanted.iter().map(port);
        before.contains(&port(one)) || others.any(|other| other == port(one))
    };
    let over: Vec<Value> = there
        .iter()
        .filter(|one| !wanted.contains(one) && ours(one))
        .map(|one| json!({"port_id": port(one)}))
        .collect();
    let new: Vec<Value> = wanted
        .iter()
        .filter(|one| !there.contains(one))
        .cloned()
        .collect();
    for (verb, some) in [("remove_subports", over), ("add_subports", new)] {
        if !some.is_empty() {
            let body = json!({ "sub_ports": some });
            let target = format!("/v2.0/trunks/{id}/{verb}");
            crash_point!("trunk.change");
            work.ask(&Ask::put("network", target, &body)).await?;
            crash_point!("trunk.changed");
        }
    }
    Ok(())
}

/// The ports that were to be subports before a change, as far as they were named by id.
fn ports_before(properties: &Map<String, Value>) -> Vec<Value> {
    let before = properties.get("sub_ports").and_then(Value::as_array);
    let before = before.into_iter().flatten();
    before.filter_map(|one| one.get("port").cloned()).collect()
}

pub(super) async fn remove(work: &Work<'_>) -> Did {
    match rest::remove(work, &TRUNKS).await? {
        // Nothing of the stack is in its way: it is switched off.
        Outcome::Wait(seen, _) => {
            let why = seen.data.get("blocked").and_then(Value::as_str);
            let why = why.unwrap_or("the trunk is in use").to_owned();
            Ok(Outcome::Failed(seen, why))
        }
        other => Ok(other),
    }
}
