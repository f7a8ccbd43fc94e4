//! Key pairs, flavors and server groups.

use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::directory::named;
use super::{Did, Outcome, Seen, Why, Work, gone, inner};
use crate::peers::{Ask, encoded};

/// Makes a key pair: of a key that is given, or a new one.
pub(super) async fn key_pair(work: &Work<'_>) -> Did {
    let name = work.thing_name();
    if work.physical().is_some() {
        return Ok(Outcome::done(name));
    }
    let owner = owner(work).await?;
    let target = key_pair_at(&name, owner.as_deref());
    match work.ask(&Ask::get("compute", target.as_str())).await {
        Ok(found) => {
            let key = found
                .pointer("/keypair/public_key")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let same = work
                .text("public_key")
                .is_some_and(|wanted| wanted.trim() == key.trim());
            // What a try that was cut off has made of the same key is ours; any other is somebody's.
            if work.row.data.contains_key("free") && same {
                return Ok(Outcome::Done(Seen::id(name).with("public_key", key)));
            }
            if work.row.data.contains_key("free") && work.text("public_key").is_none() {
                gone(work.ask(&Ask::delete("compute", target.as_str())).await)?;
            } else {
                return Err(Why::Refused(format!("Key pair '{name}' already exists.")));
            }
        }
        Err(why) if why.is_not_found() => {
            if !work.row.data.contains_key("free") {
                // Noted before the key pair is made: whatever is of this name from now on is ours.
                return Ok(Outcome::Wait(
                    Seen::default().with("free", true),
                    std::time::Duration::ZERO,
                ));
            }
        }
        Err(why) => return Err(why.into()),
    }
    let mut body = json!({"keypair": {"name": name}});
    for field in ["public_key", "type"] {
        if let (Some(map), Some(value)) = (
            body.pointer_mut("/keypair").and_then(Value::as_object_mut),
            work.prop(field),
        ) {
            map.insert(field.to_owned(), value.clone());
        }
    }
    if let (Some(map), Some(owner)) = (
        body.pointer_mut("/keypair").and_then(Value::as_object_mut),
        owner,
    ) {
        map.insert("user_id".to_owned(), json!(owner));
    }
    crash_point!("keypair.create");
    let made = work
        .ask(&Ask::post("compute", "/v2.1/os-keypairs", &body))
        .await?;
    crash_point!("keypair.created");
    let made = inner(&made, "keypair");
    let field = |name: &str| made.get(name).cloned().unwrap_or_default();
    let mut seen = Seen::id(name).with("public_key", field("public_key"));
    if work.prop("save_private_key").and_then(Value::as_bool) == Some(true) {
        seen = seen.with("private_key", field("private_key"));
    }
    Ok(Outcome::Done(seen))
}

pub(super) async fn remove_key_pair(work: &Work<'_>) -> Did {
    let ours = work.physical().is_some() || work.row.data.contains_key("free");
    if !ours {
        return Ok(Outcome::Done(Seen::default()));
    }
    // A user who is gone has no key pairs either.
    let owner = match owner(work).await {
        Err(Why::Refused(_)) => return Ok(Outcome::Done(Seen::default())),
        other => other?,
    };
    let target = key_pair_at(&work.thing_name(), owner.as_deref());
    gone(work.ask(&Ask::delete("compute", target)).await)
}

fn key_pair_at(name: &str, owner: Option<&str>) -> String {
    let query = owner.map(|owner| format!("?user_id={}", encoded(owner)));
    format!(
        "/v2.1/os-keypairs/{}{}",
        encoded(name),
        query.unwrap_or_default()
    )
}

/// The id of whose key pair it is to be, if that is not whoever made the stack.
async fn owner(work: &Work<'_>) -> Result<Option<String>, Why> {
    let Some(given) = work.text("user") else {
        return Ok(None);
    };
    Ok(Some(named(work, "users", given).await?))
}

/// Makes a flavor; it has an id of the resource's own unless one is given, so that it is made once.
pub(super) async fn flavor(work: &Work<'_>) -> Did {
    let id = work
        .text("flavorid")
        .map_or_else(|| work.row.id.0.clone(), str::to_owned);
    let field = |name: &str| work.prop(name).cloned().unwrap_or_default();
    let target = format!("/v2.1/flavors/{}", encoded(&id));
    match work.ask(&Ask::get("compute", target.as_str())).await {
        Ok(_) if work.physical().is_none() && work.fresh => {
            return Err(Why::Refused(format!("Flavor with ID {id} already exists.")));
        }
        Ok(_) => {}
        Err(why) if why.is_not_found() => {
            let body = json!({"flavor": {
                "id": id, "name": work.thing_name(), "ram": field("ram"), "vcpus": field("vcpus"), "disk": field("disk"),
                "swap": field("swap"), "OS-FLV-EXT-DATA:ephemeral": field("ephemeral"), "rxtx_factor": field("rxtx_factor"),
                "os-flavor-access:is_public": field("is_public"),
            }});
            crash_point!("flavor.create");
            work.ask(&Ask::post("compute", "/v2.1/flavors", &body))
                .await?;
            crash_point!("flavor.created");
        }
        Err(why) => return Err(why.into()),
    }
    let specs = work
        .prop("extra_specs")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if !specs.is_empty() {
        let body = json!({ "extra_specs": specs });
        work.ask(&Ask::post(
            "compute",
            format!("{target}/os-extra_specs"),
            &body,
        ))
        .await?;
    }
    let before = work.row.properties.get("extra_specs");
    let before = before.and_then(Value::as_object).into_iter().flatten();
    for (key, _) in before.filter(|(key, _)| !specs.contains_key(*key)) {
        let target = format!("{target}/os-extra_specs/{}", encoded(key));
        gone(work.ask(&Ask::delete("compute", target)).await)?;
    }
    if field("is_public") == json!(false) {
        share(work, &target).await?;
    }
    let seen = json!({"is_public": field("is_public"), "extra_specs": specs});
    Ok(Outcome::Done(Seen::thing(id, seen)))
}

/// Lets the projects that are wanted use a flavor that is not public, and takes it from those that are not any more.
async fn share(work: &Work<'_>, target: &str) -> Result<(), Why> {
    let texts = |list: Option<&Value>| -> Vec<String> {
        let list = list.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let wanted = texts(work.prop("tenants"));
    let list = format!("{target}/os-flavor-access");
    let list = work.ask(&Ask::get("compute", list)).await?;
    let list = list.get("flavor_access").and_then(Value::as_array);
    let there: Vec<&str> = list
        .into_iter()
        .flatten()
        .filter_map(|access| access.get("tenant_id")?.as_str())
        .collect();
    let before = texts(work.row.properties.get("tenants"));
    let strange = before.iter().filter(|id| there.contains(&id.as_str()));
    let strange = strange.filter(|id| !wanted.contains(id));
    let strange = strange.map(|id| ("removeTenantAccess", id));
    let missing = wanted.iter().filter(|id| !there.contains(&id.as_str()));
    let missing = missing.map(|id| ("addTenantAccess", id));
    for (action, tenant) in strange.chain(missing) {
        let body = json!({ action: {"tenant": tenant} });
        work.ask(&Ask::post("compute", format!("{target}/action"), &body))
            .await?;
    }
    Ok(())
}

pub(super) async fn remove_flavor(work: &Work<'_>) -> Did {
    if !work.row.begun() {
        return Ok(Outcome::Done(Seen::default()));
    }
    // One of a given id that was there before is somebody else's.
    let Some(id) = work.physical().map(str::to_owned).or_else(|| {
        work.text("flavorid")
            .is_none()
            .then(|| work.row.id.0.clone())
    }) else {
        return Ok(Outcome::Done(Seen::default()));
    };
    gone(
        work.ask(&Ask::delete(
            "compute",
            format!("/v2.1/flavors/{}", encoded(&id)),
        ))
        .await,
    )
}

const GROUPS: &str = "/v2.1/os-server-groups";

/// Makes a server group. Names are not unique: those that were there before are noted, and the one that is not is ours.
pub(super) async fn server_group(work: &Work<'_>) -> Did {
    if work.physical().is_some() {
        return look_at_group(work).await;
    }
    let name = work.thing_name();
    let before = work.row.data.get("before").and_then(Value::as_array);
    let Some(before) = before else {
        let there = groups(work, &name).await?;
        let seen = Seen::default().with("before", there);
        return Ok(Outcome::Wait(seen, std::time::Duration::ZERO));
    };
    if !work.fresh
        && let Some(ours) = ours(work, &name, before).await?
    {
        return Ok(Outcome::Wait(Seen::id(ours), std::time::Duration::ZERO));
    }
    let policy = work.prop("policies").and_then(|list| list.get(0)).cloned();
    let mut group = json!({"name": name, "policy": policy});
    if let (Some(map), Some(rules)) = (group.as_object_mut(), work.prop("rules")) {
        map.insert("rules".to_owned(), rules.clone());
    }
    let body = json!({ "server_group": group });
    crash_point!("group.create");
    let made = work.ask(&Ask::post("compute", GROUPS, &body)).await?;
    crash_point!("group.created");
    let made = inner(&made, "server_group");
    let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(Outcome::Done(Seen::thing(id, made.clone())))
}

/// The ids of the groups of this name.
async fn groups(work: &Work<'_>, name: &str) -> Result<Vec<String>, Why> {
    let list = work.ask(&Ask::get("compute", GROUPS)).await?;
    let list = list.get("server_groups").and_then(Value::as_array);
    Ok(list
        .into_iter()
        .flatten()
        .filter(|group| group.get("name").and_then(Value::as_str) == Some(name))
        .filter_map(|group| Some(group.get("id")?.as_str()?.to_owned()))
        .collect())
}

/// The group of a try that was cut off.
async fn ours(work: &Work<'_>, name: &str, before: &[Value]) -> Result<Option<String>, Why> {
    let there = groups(work, name).await?;
    let new = |id: &String| !before.iter().any(|old| old == id);
    Ok(there.into_iter().find(new))
}

/// Whether the group is still there.
pub(super) async fn look_at_group(work: &Work<'_>) -> Did {
    let id = work.physical().unwrap_or_default();
    let target = format!("{GROUPS}/{}", encoded(id));
    match work.ask(&Ask::get("compute", target)).await {
        Ok(body) => Ok(Outcome::Done(Seen::thing(id, inner(&body, "server_group")))),
        Err(why) if why.is_not_found() => Ok(Outcome::Failed(
            Seen::default(),
            format!("server group {id} is not there any more"),
        )),
        Err(why) => Err(why.into()),
    }
}

pub(super) async fn remove_server_group(work: &Work<'_>) -> Did {
    let before = work.row.data.get("before").and_then(Value::as_array);
    let id = match (work.physical(), before) {
        (Some(id), _) => Some(id.to_owned()),
        (None, Some(before)) => ours(work, &work.thing_name(), before).await?,
        (None, None) => None,
    };
    match id {
        Some(id) => gone(
            work.ask(&Ask::delete(
                "compute",
                format!("{GROUPS}/{}", encoded(&id)),
            ))
            .await,
        ),
        None => Ok(Outcome::Done(Seen::default())),
    }
}
