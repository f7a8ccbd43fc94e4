//! Key pairs and flavors.

use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::{Did, Outcome, Seen, Why, Work, gone, inner};
use crate::peers::{Ask, encoded};

/// Makes a key pair: of a key that is given, or a new one.
pub(super) async fn key_pair(work: &Work<'_>) -> Did {
    let name = work.thing_name();
    if work.physical().is_some() {
        return Ok(Outcome::done(name));
    }
    let target = format!("/v2.1/os-keypairs/{}", encoded(&name));
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
    let target = format!("/v2.1/os-keypairs/{}", encoded(&work.thing_name()));
    gone(work.ask(&Ask::delete("compute", target)).await)
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
    let seen = json!({"is_public": field("is_public"), "extra_specs": specs});
    Ok(Outcome::Done(Seen::thing(id, seen)))
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
