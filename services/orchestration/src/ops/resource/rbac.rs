//! Things of the network service that other projects may use. A policy has no name: it is known by what it says.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::rest::id_of;
use super::{Did, Outcome, Seen, Why, Work, gone, inner};
use crate::peers::{Ask, encoded};

const POLICIES: &str = "/v2.0/rbac-policies";

/// Makes the policy, unless there is one that says the same, or has it count for another project.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    if let Some(id) = work.physical() {
        if work.row.changing_to.is_some() {
            let body = json!({"rbac_policy": {"target_tenant": work.text("target_tenant")}});
            let target = format!("{POLICIES}/{}", encoded(id));
            work.ask(&Ask::put("network", target, &body)).await?;
        }
        return look(work, id).await;
    }
    let text = |name: &str| work.text(name).unwrap_or_default();
    let Some(object) = work.row.data.get("object").and_then(Value::as_str) else {
        let object = object(work).await?;
        if let Some(id) = same(work, &object).await? {
            return Err(Why::Refused(format!(
                "There is an RBAC policy that says the same: {id}."
            )));
        }
        // Noted before it is made: what says so from now on is ours.
        let seen = Seen::default().with("object", object);
        return Ok(Outcome::Wait(seen, Duration::ZERO));
    };
    if let Some(id) = same(work, object).await? {
        return look(work, &id).await;
    }
    let mut body = json!({"rbac_policy": {
        "object_type": text("object_type"), "object_id": object, "action": text("action"),
        "target_tenant": text("target_tenant"),
    }});
    if let (Some(map), Some(owner)) = (
        body.pointer_mut("/rbac_policy")
            .and_then(Value::as_object_mut),
        work.prop("tenant_id"),
    ) {
        map.insert("tenant_id".to_owned(), owner.clone());
    }
    crash_point!("rbac.create");
    let made = work.ask(&Ask::post("network", POLICIES, &body)).await?;
    crash_point!("rbac.created");
    let made = inner(&made, "rbac_policy");
    let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(Outcome::Done(Seen::thing(id, made.clone())))
}

/// The id of what the policy is for.
async fn object(work: &Work<'_>) -> Result<String, Why> {
    let collection = match work.text("object_type").unwrap_or_default() {
        "network" => "networks",
        "subnetpool" => "subnetpools",
        "address_scope" => "address-scopes",
        "qos_policy" => "qos/policies",
        _group => "security-groups",
    };
    id_of(work, collection, work.text("object_id").unwrap_or_default()).await
}

/// The policy that says what this one is to say.
async fn same(work: &Work<'_>, object: &str) -> Result<Option<String>, Why> {
    let pairs = ["object_type", "action", "target_tenant"].map(|name| {
        let value = work.text(name).unwrap_or_default();
        format!("{name}={}", encoded(value))
    });
    let target = format!(
        "{POLICIES}?object_id={}&{}",
        encoded(object),
        pairs.join("&")
    );
    let list = work.ask(&Ask::get("network", target)).await?;
    let id = list.pointer("/rbac_policies/0/id").and_then(Value::as_str);
    Ok(id.map(str::to_owned))
}

/// What the policy says now.
pub(super) async fn look(work: &Work<'_>, id: &str) -> Did {
    let target = format!("{POLICIES}/{}", encoded(id));
    match work.ask(&Ask::get("network", target)).await {
        Ok(body) => Ok(Outcome::Done(Seen::thing(id, inner(&body, "rbac_policy")))),
        Err(why) if why.is_not_found() => Ok(Outcome::Failed(
            Seen::missing(),
            format!("RBAC policy {id} is not there any more"),
        )),
        Err(why) => Err(why.into()),
    }
}

pub(super) async fn remove(work: &Work<'_>) -> Did {
    let noted = work.row.data.get("object").and_then(Value::as_str);
    let id = match (work.physical(), noted) {
        (Some(id), _) => Some(id.to_owned()),
        (None, Some(object)) => same(work, object).await?,
        (None, None) => None,
    };
    let Some(id) = id else {
        return Ok(Outcome::Done(Seen::default()));
    };
    crash_point!("rbac.remove");
    let target = format!("{POLICIES}/{}", encoded(&id));
    gone(work.ask(&Ask::delete("network", target)).await)
}
