//! Things of the network service that are no plain members of a collection.

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::rest::{self, id_of};
use super::{Did, Outcome, Seen, Why, Work, gone};
use crate::model::kind::Rest;
use crate::peers::{Ask, encoded};

/// Security groups as a collection.
pub(super) const GROUPS: Rest = Rest {
    service: "network",
    path: "/v2.0/security-groups",
    one: "security_group",
    many: "security_groups",
    names: &[],
    updates: true,
    by_name: false,
};

/// A security group and its rules: those that are missing are made, those that nobody wants are removed.
pub(super) async fn security_group(work: &Work<'_>) -> Did {
    let Some(id) = work.physical() else {
        return make_group(work).await;
    };
    let mut fields = json!({"name": work.thing_name(), "description": work.text("description").unwrap_or_default()});
    if let (Some(map), Some(stateful)) = (fields.as_object_mut(), work.prop("stateful")) {
        map.insert("stateful".to_owned(), stateful.clone());
    }
    let body = json!({ "security_group": fields });
    work.ask(&Ask::put(
        "network",
        format!("/v2.0/security-groups/{id}"),
        &body,
    ))
    .await?;
    let target = format!(
        "/v2.0/security-group-rules?security_group_id={}",
        encoded(id)
    );
    let list = work.ask(&Ask::get("network", target)).await?;
    let there = list
        .get("security_group_rules")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut wanted = wanted_rules(work, id).await?;
    // Without a rule for what goes out, everything may, as for any group.
    if !wanted.iter().any(is_egress) {
        wanted.extend(everything_out(id));
    }
    for rule in &there {
        let kept = wanted.iter().any(|wanted| same_rule(wanted, rule));
        if !kept {
            let rule = rule.get("id").and_then(Value::as_str).unwrap_or_default();
            crash_point!("group.remove_rule");
            gone(
                work.ask(&Ask::delete(
                    "network",
                    format!("/v2.0/security-group-rules/{rule}"),
                ))
                .await,
            )?;
        }
    }
    for rule in wanted
        .iter()
        .filter(|wanted| !there.iter().any(|rule| same_rule(wanted, rule)))
    {
        let body = json!({ "security_group_rule": rule });
        crash_point!("group.create_rule");
        work.ask(&Ask::post("network", "/v2.0/security-group-rules", &body))
            .await?;
    }
    rest::look(work, &GROUPS).await
}

fn is_egress(rule: &Value) -> bool {
    rule.get("direction").and_then(Value::as_str) == Some("egress")
}

/// The rules that a new group has.
fn everything_out(group: &str) -> [Value; 2] {
    ["IPv4", "IPv6"].map(
        |version| json!({"security_group_id": group, "direction": "egress", "ethertype": version}),
    )
}

async fn make_group(work: &Work<'_>) -> Did {
    let id = |thing: &Value| {
        thing
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if !work.fresh {
        let target = format!(
            "/v2.0/security-groups?description={}",
            encoded(&work.mark())
        );
        let list = work.ask(&Ask::get("network", target)).await?;
        if let Some(found) = list.pointer("/security_groups/0") {
            return Ok(Outcome::Wait(
                Seen::id(id(found)),
                std::time::Duration::ZERO,
            ));
        }
    }
    let body = json!({"security_group": {"name": work.thing_name(), "description": work.mark()}});
    crash_point!("group.create");
    let made = work
        .ask(&Ask::post("network", "/v2.0/security-groups", &body))
        .await?;
    crash_point!("group.created");
    Ok(Outcome::Wait(
        Seen::id(id(&super::inner(&made, "security_group"))),
        std::time::Duration::ZERO,
    ))
}

async fn wanted_rules(work: &Work<'_>, group: &str) -> Result<Vec<Value>, Why> {
    let mut out = Vec::new();
    for rule in work
        .prop("rules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let mut body = Map::new();
        body.insert("security_group_id".to_owned(), json!(group));
        for name in [
            "direction",
            "ethertype",
            "protocol",
            "port_range_min",
            "port_range_max",
            "description",
        ] {
            if let Some(value) = rule.get(name).filter(|value| !value.is_null()) {
                body.insert(name.to_owned(), value.clone());
            }
        }
        if rule.get("remote_mode").and_then(Value::as_str) == Some("remote_group_id") {
            let remote = match rule.get("remote_group_id").and_then(Value::as_str) {
                Some(remote) => id_of(work, "security-groups", remote).await?,
                None => group.to_owned(),
            };
            body.insert("remote_group_id".to_owned(), json!(remote));
        } else if let Some(prefix) = rule
            .get("remote_ip_prefix")
            .filter(|given| !given.is_null())
        {
            // The one counts that the mode says.
            body.insert("remote_ip_prefix".to_owned(), prefix.clone());
        }
        out.push(Value::Object(body));
    }
    Ok(out)
}

fn same_rule(wanted: &Value, there: &Value) -> bool {
    [
        "direction",
        "ethertype",
        "protocol",
        "port_range_min",
        "port_range_max",
        "remote_ip_prefix",
        "remote_group_id",
    ]
    .iter()
    .all(|name| {
        wanted.get(*name).unwrap_or(&Value::Null) == there.get(*name).unwrap_or(&Value::Null)
    })
}

pub(super) async fn remove_group(work: &Work<'_>) -> Did {
    rest::remove(work, &GROUPS).await
}

/// The router, and the subnet or port by which the leg is given.
async fn leg(work: &Work<'_>) -> Result<(String, Value, String), Why> {
    let router = work
        .text("router")
        .or_else(|| work.text("router_id"))
        .unwrap_or_default();
    let router = id_of(work, "routers", router).await?;
    if let Some(port) = work.text("port").or_else(|| work.text("port_id")) {
        let port = id_of(work, "ports", port).await?;
        return Ok((router, json!({"port_id": port}), format!("port_id={port}")));
    }
    let subnet = work
        .text("subnet")
        .or_else(|| work.text("subnet_id"))
        .unwrap_or_default();
    let subnet = id_of(work, "subnets", subnet).await?;
    Ok((
        router,
        json!({"subnet_id": subnet}),
        format!("subnet_id={subnet}"),
    ))
}

pub(super) async fn interface(work: &Work<'_>) -> Did {
    if let Some(id) = work.physical() {
        return Ok(Outcome::done(id));
    }
    let (router, body, name) = leg(work).await?;
    let id = format!("{router}:{name}");
    if !work.fresh {
        // The leg of a try that was cut off.
        let query = match body.get("port_id").and_then(Value::as_str) {
            Some(port) => format!("id={port}&device_id={router}"),
            None => format!(
                "device_id={router}&fixed_ips=subnet_id%3D{}",
                body.get("subnet_id")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            ),
        };
        let list = work
            .ask(&Ask::get("network", format!("/v2.0/ports?{query}")))
            .await?;
        if list.pointer("/ports/0").is_some() {
            return Ok(Outcome::done(id));
        }
    }
    crash_point!("interface.add");
    let sent = work
        .ask(&Ask::put(
            "network",
            format!("/v2.0/routers/{router}/add_router_interface"),
            &body,
        ))
        .await;
    crash_point!("interface.added");
    sent?;
    Ok(Outcome::done(id))
}

pub(super) async fn remove_interface(work: &Work<'_>) -> Did {
    let known = work.physical().and_then(|id| {
        let (router, leg) = id.split_once(':')?;
        let (key, value) = leg.split_once('=')?;
        Some((router.to_owned(), json!({ key: value })))
    });
    let (router, body) = match known {
        Some(known) => known,
        None if !work.row.begun() => return Ok(Outcome::Done(Seen::default())),
        None => match leg(work).await {
            Ok((router, body, _)) => (router, body),
            Err(Why::Refused(_)) => return Ok(Outcome::Done(Seen::default())),
            Err(why) => return Err(why),
        },
    };
    crash_point!("interface.remove");
    let sent = work
        .ask(&Ask::put(
            "network",
            format!("/v2.0/routers/{router}/remove_router_interface"),
            &body,
        ))
        .await;
    crash_point!("interface.removed");
    gone(sent)
}

pub(super) async fn gateway(work: &Work<'_>) -> Did {
    let router = id_of(work, "routers", work.text("router_id").unwrap_or_default()).await?;
    let network = work
        .text("network")
        .or_else(|| work.text("network_id"))
        .unwrap_or_default();
    let network = id_of(work, "networks", network).await?;
    let body = json!({"router": {"external_gateway_info": {"network_id": network}}});
    crash_point!("gateway.set");
    work.ask(&Ask::put(
        "network",
        format!("/v2.0/routers/{router}"),
        &body,
    ))
    .await?;
    crash_point!("gateway.was_set");
    Ok(Outcome::done(format!("{router}:{network}")))
}

pub(super) async fn remove_gateway(work: &Work<'_>) -> Did {
    let Some((router, _)) = work.physical().and_then(|id| id.split_once(':')) else {
        return Ok(Outcome::Done(Seen::default()));
    };
    let body = json!({"router": {"external_gateway_info": {}}});
    gone(
        work.ask(&Ask::put(
            "network",
            format!("/v2.0/routers/{router}"),
            &body,
        ))
        .await,
    )
}

pub(super) async fn associate(work: &Work<'_>) -> Did {
    let floating = work.text("floatingip_id").unwrap_or_default().to_owned();
    if let Some(before) = work.physical().filter(|before| *before != floating) {
        // Another address than before: the old one is let go first.
        let body = json!({"floatingip": {"port_id": null}});
        gone(
            work.ask(&Ask::put(
                "network",
                format!("/v2.0/floatingips/{before}"),
                &body,
            ))
            .await,
        )?;
    }
    let mut fields = json!({"port_id": work.text("port_id")});
    if let (Some(map), Some(fixed)) = (fields.as_object_mut(), work.prop("fixed_ip_address")) {
        map.insert("fixed_ip_address".to_owned(), fixed.clone());
    }
    let body = json!({ "floatingip": fields });
    crash_point!("association.set");
    work.ask(&Ask::put(
        "network",
        format!("/v2.0/floatingips/{floating}"),
        &body,
    ))
    .await?;
    crash_point!("association.was_set");
    Ok(Outcome::done(floating))
}

pub(super) async fn dissociate(work: &Work<'_>) -> Did {
    let Some(floating) = work.physical() else {
        return Ok(Outcome::Done(Seen::default()));
    };
    let body = json!({"floatingip": {"port_id": null}});
    gone(
        work.ask(&Ask::put(
            "network",
            format!("/v2.0/floatingips/{floating}"),
            &body,
        ))
        .await,
    )
}
