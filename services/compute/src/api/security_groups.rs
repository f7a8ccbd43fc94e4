//! `/os-security-groups` and `/os-security-group-rules`: handed on to the network service, in the old form.

use std::collections::BTreeMap;

use http::Method;
use ipnet::IpNet;
use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Cx, ServerPath, fault, name_it, server};
use crate::model::name;
use crate::peers::encoded;
use crate::rules;

#[derive(Debug, Deserialize)]
pub(crate) struct GroupPath {
    id: String,
}

async fn ask(cx: &Cx, method: Method, target: &str, body: Option<&Value>) -> Result<Value, Fault> {
    let token = cx.token().unwrap_or_default();
    let answer = cx
        .siblings
        .hand_on(token, "network", (method, target), body)
        .await;
    answer.map_err(|why| fault::handed_on(&why))
}

fn list<'v>(answer: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    answer
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text(row: &Value, key: &str) -> String {
    row.get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A group and its incoming rules; the old API knew no others.
fn view(group: &Value, names: &BTreeMap<String, (String, String)>) -> Value {
    let rules =
        list(group, "security_group_rules").filter(|rule| text(rule, "direction") != "egress");
    json!({
        "id": text(group, "id"), "name": text(group, "name"), "description": text(group, "description"),
        "tenant_id": owner(group), "rules": rules.map(|rule| rule_view(rule, names)).collect::<Vec<_>>(),
    })
}

fn owner(row: &Value) -> String {
    let project = text(row, "project_id");
    if project.is_empty() {
        text(row, "tenant_id")
    } else {
        project
    }
}

fn rule_view(rule: &Value, names: &BTreeMap<String, (String, String)>) -> Value {
    let protocol = rule.get("protocol").cloned().unwrap_or_default();
    let port = |key: &str| rule.get(key).filter(|port| !port.is_null()).cloned();
    let (from, to) = match (port("port_range_min"), port("port_range_max")) {
        (None, None) => match protocol.as_str() {
            None => (Value::Null, Value::Null),
            Some("tcp" | "udp") => (json!(1), json!(65535)),
            Some(_) => (json!(-1), json!(-1)),
        },
        (from, to) => (from.unwrap_or_default(), to.unwrap_or_default()),
    };
    let (mut group, mut range) = (Map::new(), Map::new());
    if let Some(remote) = rule.get("remote_group_id").and_then(Value::as_str) {
        if let Some((name, tenant)) = names.get(remote) {
            group.insert("name".into(), json!(name));
            group.insert("tenant_id".into(), json!(tenant));
        }
    } else {
        let any = if text(rule, "ethertype") == "IPv6" {
            "::/0"
        } else {
            "0.0.0.0/0"
        };
        let prefix = rule
            .get("remote_ip_prefix")
            .and_then(Value::as_str)
            .unwrap_or(any);
        range.insert("cidr".into(), json!(prefix));
    }
    json!({
        "id": text(rule, "id"), "parent_group_id": text(rule, "security_group_id"), "ip_protocol": protocol,
        "from_port": from, "to_port": to, "group": group, "ip_range": range,
    })
}

/// Names of the groups that rules may point at.
fn names(answer: &Value) -> BTreeMap<String, (String, String)> {
    list(answer, "security_groups")
        .map(|group| (text(group, "id"), (text(group, "name"), owner(group))))
        .collect()
}

endpoint! {
    /// List security groups, as it was.
    ListSecurityGroups: GET "/v2.1/os-security-groups" => 200,
    versions: 2.1..=2.35,
    policy: rules::ListSecurityGroups,
    query: Params,
    reply: Json<Value>,
    handler: list_security_groups,
}

async fn list_security_groups(cx: Cx, req: Req<ListSecurityGroups>) -> Reply<ListSecurityGroups> {
    let everybody = cx.caller.is_admin()
        && req
            .query
            .get("all_tenants")
            .and_then(super::truth)
            .unwrap_or(false);
    let project = cx
        .caller
        .project_id()
        .map(ToString::to_string)
        .unwrap_or_default();
    let target = match everybody {
        true => "/v2.0/security-groups".to_owned(),
        false => format!("/v2.0/security-groups?project_id={project}"),
    };
    let answer = ask(&cx, Method::GET, &target, None).await?;
    let names = names(&answer);
    let mut shown: Vec<Value> = list(&answer, "security_groups")
        .map(|group| view(group, &names))
        .collect();
    shown.sort_by_key(|group| (text(group, "tenant_id"), text(group, "name")));
    let number = |key: &str, otherwise| match req.query.get(key).map(nephos_types::count) {
        None => Ok(otherwise),
        Some(Some(number)) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        Some(None) => Err(Fault::bad_request(
            "limit and offset must be whole numbers.",
        )),
    };
    let offset = number("offset", 0)?;
    let limit = number("limit", usize::MAX)?;
    let shown: Vec<Value> = shown.into_iter().skip(offset).take(limit).collect();
    Ok(Json(json!({ "security_groups": shown })))
}

async fn one(cx: &Cx, id: &str) -> Result<Value, Fault> {
    let answer = ask(
        cx,
        Method::GET,
        &format!("/v2.0/security-groups/{}", encoded(id)),
        None,
    )
    .await?;
    Ok(answer.get("security_group").cloned().unwrap_or_default())
}

async fn shown(cx: &Cx, group: &Value) -> Result<Value, Fault> {
    let remote =
        list(group, "security_group_rules").any(|rule| !text(rule, "remote_group_id").is_empty());
    let names = if remote {
        names(&ask(cx, Method::GET, "/v2.0/security-groups", None).await?)
    } else {
        BTreeMap::new()
    };
    Ok(json!({"security_group": view(group, &names)}))
}

endpoint! {
    /// Show a security group, as it was.
    ShowSecurityGroup: GET "/v2.1/os-security-groups/{id}" => 200,
    versions: 2.1..=2.35,
    policy: rules::ShowSecurityGroup,
    path: GroupPath,
    reply: Json<Value>,
    handler: show_security_group,
}

async fn show_security_group(cx: Cx, req: Req<ShowSecurityGroup>) -> Reply<ShowSecurityGroup> {
    let group = one(&cx, &req.path.id).await?;
    Ok(Json(shown(&cx, &group).await?))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct GroupBody {
    security_group: NewGroup,
}

#[derive(Deserialize, ToSchema)]
struct NewGroup {
    name: String,
    #[serde(default)]
    description: Option<String>,
}

fn checked(group: &NewGroup) -> Result<Value, Fault> {
    // Nova looks at the name without the blanks around it and keeps it with them.
    name::check("name", &group.name).map_err(Fault::bad_request)?;
    let name = &group.name;
    let description = group.description.clone().unwrap_or_default();
    if description.chars().count() > name::MAX_NAME {
        return Err(Fault::bad_request(
            "Security group description should not be greater than 255 characters.",
        ));
    }
    Ok(json!({"security_group": {"name": name, "description": description}}))
}

endpoint! {
    /// Make a security group, as it was.
    CreateSecurityGroup: POST "/v2.1/os-security-groups" => 200,
    versions: 2.1..=2.35,
    policy: rules::CreateSecurityGroup,
    body: Json<GroupBody>,
    reply: Json<Value>,
    handler: create_security_group,
}

async fn create_security_group(
    cx: Cx,
    req: Req<CreateSecurityGroup>,
) -> Reply<CreateSecurityGroup> {
    let body = checked(&req.body.security_group)?;
    let made = ask(&cx, Method::POST, "/v2.0/security-groups", Some(&body)).await?;
    let group = made.get("security_group").cloned().unwrap_or_default();
    Ok(Json(shown(&cx, &group).await?))
}

endpoint! {
    /// Change a security group, as it was.
    UpdateSecurityGroup: PUT "/v2.1/os-security-groups/{id}" => 200,
    versions: 2.1..=2.35,
    policy: rules::UpdateSecurityGroup,
    path: GroupPath,
    body: Json<GroupBody>,
    reply: Json<Value>,
    handler: update_security_group,
}

async fn update_security_group(
    cx: Cx,
    req: Req<UpdateSecurityGroup>,
) -> Reply<UpdateSecurityGroup> {
    let body = checked(&req.body.security_group)?;
    let target = format!("/v2.0/security-groups/{}", encoded(&req.path.id));
    let changed = ask(&cx, Method::PUT, &target, Some(&body)).await?;
    let group = changed.get("security_group").cloned().unwrap_or_default();
    Ok(Json(shown(&cx, &group).await?))
}

endpoint! {
    /// Delete a security group, as it was.
    DeleteSecurityGroup: DELETE "/v2.1/os-security-groups/{id}" => 202,
    versions: 2.1..=2.35,
    policy: rules::DeleteSecurityGroup,
    path: GroupPath,
    reply: Accepted,
    handler: delete_security_group,
}

async fn delete_security_group(
    cx: Cx,
    req: Req<DeleteSecurityGroup>,
) -> Reply<DeleteSecurityGroup> {
    ask(
        &cx,
        Method::DELETE,
        &format!("/v2.0/security-groups/{}", encoded(&req.path.id)),
        None,
    )
    .await?;
    Ok(Accepted)
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct RuleBody {
    security_group_rule: NewRule,
}

#[derive(Deserialize, ToSchema)]
struct NewRule {
    parent_group_id: Value,
    #[serde(default)]
    ip_protocol: Option<Value>,
    #[serde(default)]
    from_port: Option<Value>,
    #[serde(default)]
    to_port: Option<Value>,
    #[serde(default)]
    cidr: Option<String>,
    #[serde(default)]
    group_id: Option<String>,
}

/// The rule in the network service's form.
fn rule(new: &NewRule) -> Result<Value, Fault> {
    let parent = new
        .parent_group_id
        .as_str()
        .filter(|id| uuid::Uuid::try_parse(id).is_ok());
    let parent = parent.ok_or_else(|| {
        Fault::bad_request(format!(
            "Security group id {} should be uuid",
            new.parent_group_id
        ))
    })?;
    let protocol = match &new.ip_protocol {
        None | Some(Value::Null) => None,
        Some(Value::String(word)) => Some(word.to_ascii_lowercase()),
        Some(other) => Some(other.to_string()),
    };
    if let Some(word) = &protocol
        && !["tcp", "udp", "icmp"].contains(&word.as_str())
    {
        return Err(Fault::bad_request(format!("Invalid IP protocol {word}.")));
    }
    let port = |asked: &Option<Value>| -> Result<Option<i64>, Fault> {
        let number = match asked {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        let number = number.filter(|number| (-1..=65535).contains(number));
        let shown = asked.clone().unwrap_or_default();
        number
            .map(|number| Some(number).filter(|number| *number >= 0))
            .ok_or_else(|| {
                Fault::bad_request(format!(
                    "Invalid port range {shown}. Valid TCP ports should be between 1-65535"
                ))
            })
    };
    let (from, to) = (port(&new.from_port)?, port(&new.to_port)?);
    if protocol.is_none() && new.group_id.is_none() && (from.is_some() || to.is_some()) {
        return Err(Fault::bad_request("Ports need an IP protocol."));
    }
    if protocol.as_deref() != Some("icmp") && from > to {
        return Err(Fault::bad_request(format!(
            "Invalid port range {}:{}. Former value cannot be greater than the later",
            from.unwrap_or(-1),
            to.unwrap_or(-1)
        )));
    }
    let mut rule = json!({
        "direction": "ingress", "security_group_id": parent, "protocol": protocol, "port_range_min": from,
        "port_range_max": to, "ethertype": "IPv4",
    });
    let Some(keys) = rule.as_object_mut() else {
        return Ok(rule);
    };
    match (
        &new.group_id,
        new.cidr.as_deref().filter(|cidr| !cidr.is_empty()),
    ) {
        (Some(group), _) => {
            keys.insert("remote_group_id".into(), json!(group));
        }
        (None, cidr) => {
            let cidr = cidr.unwrap_or("0.0.0.0/0");
            let net: IpNet = cidr
                .parse()
                .map_err(|_| Fault::bad_request(format!("Invalid cidr {cidr}.")))?;
            keys.insert(
                "ethertype".into(),
                json!(if net.addr().is_ipv6() { "IPv6" } else { "IPv4" }),
            );
            keys.insert("remote_ip_prefix".into(), json!(net.to_string()));
        }
    }
    Ok(json!({ "security_group_rule": rule }))
}

endpoint! {
    /// Make a rule of a security group, as it was.
    CreateGroupRule: POST "/v2.1/os-security-group-rules" => 200,
    versions: 2.1..=2.35,
    policy: rules::CreateGroupRule,
    body: Json<RuleBody>,
    reply: Json<Value>,
    handler: create_group_rule,
}

async fn create_group_rule(cx: Cx, req: Req<CreateGroupRule>) -> Reply<CreateGroupRule> {
    let body = rule(&req.body.security_group_rule)?;
    let made = ask(&cx, Method::POST, "/v2.0/security-group-rules", Some(&body)).await?;
    let made = made.get("security_group_rule").cloned().unwrap_or_default();
    let names = match made.get("remote_group_id").and_then(Value::as_str) {
        Some(_) => names(&ask(&cx, Method::GET, "/v2.0/security-groups", None).await?),
        None => BTreeMap::new(),
    };
    Ok(Json(
        json!({"security_group_rule": rule_view(&made, &names)}),
    ))
}

endpoint! {
    /// Delete a rule of a security group, as it was.
    DeleteGroupRule: DELETE "/v2.1/os-security-group-rules/{id}" => 202,
    versions: 2.1..=2.35,
    policy: rules::DeleteGroupRule,
    path: GroupPath,
    reply: Accepted,
    handler: delete_group_rule,
}

async fn delete_group_rule(cx: Cx, req: Req<DeleteGroupRule>) -> Reply<DeleteGroupRule> {
    ask(
        &cx,
        Method::DELETE,
        &format!("/v2.0/security-group-rules/{}", encoded(&req.path.id)),
        None,
    )
    .await?;
    Ok(Accepted)
}

endpoint! {
    /// List the security groups of a server.
    ListServerSecurityGroups: GET "/v2.1/servers/{id}/os-security-groups" => 200,
    policy: Loaded<rules::ListServerGroups>,
    path: ServerPath,
    reply: Json<Value>,
    handler: list_server_security_groups,
}

async fn list_server_security_groups(
    cx: Cx,
    req: Req<ListServerSecurityGroups>,
) -> Reply<ListServerSecurityGroups> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ListServerGroups, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let ports = cx
        .siblings
        .ports_of(&server.id)
        .await
        .map_err(|why| fault::from_peer(&why))?;
    let mut ids: Vec<String> = ports
        .into_iter()
        .flat_map(|port| port.security_groups)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Json(json!({"security_groups": []})));
    }
    let query: String = ids
        .iter()
        .map(|id| format!("id={}&", encoded(id)))
        .collect();
    let answer = ask(
        &cx,
        Method::GET,
        &format!("/v2.0/security-groups?{query}"),
        None,
    )
    .await?;
    let names = names(&answer);
    let shown: Vec<Value> = list(&answer, "security_groups")
        .map(|group| view(group, &names))
        .collect();
    Ok(Json(json!({ "security_groups": shown })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: Value, expected: Result<Value, &str>) {
        let new: NewRule = serde_json::from_value(body).unwrap();
        match (rule(&new), expected) {
            (Ok(rule), Ok(expected)) => {
                for (key, value) in expected.as_object().unwrap() {
                    assert_eq!(&rule["security_group_rule"][key], value, "{key}");
                }
            }
            (Err(fault), Err(words)) => assert!(fault.message.contains(words), "{}", fault.message),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn old_rules_become_new_ones() {
        let id = "11111111-1111-4111-8111-111111111111";
        check(
            json!({"parent_group_id": id, "ip_protocol": "TCP", "from_port": "22", "to_port": 22}),
            Ok(
                json!({"protocol": "tcp", "port_range_min": 22, "remote_ip_prefix": "0.0.0.0/0", "ethertype": "IPv4"}),
            ),
        );
        check(
            json!({"parent_group_id": id, "ip_protocol": "icmp", "from_port": -1, "to_port": -1, "cidr": "::/0"}),
            Ok(json!({"protocol": "icmp", "port_range_min": null, "ethertype": "IPv6"})),
        );
        check(
            json!({"parent_group_id": id, "group_id": id}),
            Ok(json!({"remote_group_id": id})),
        );
        check(json!({"parent_group_id": 5}), Err("should be uuid"));
        check(
            json!({"parent_group_id": id, "ip_protocol": "999"}),
            Err("Invalid IP protocol"),
        );
        let ports = |from, to| json!({"parent_group_id": id, "ip_protocol": "tcp", "from_port": from, "to_port": to});
        check(ports(22, 21), Err("Invalid port range 22:21"));
        check(ports(22, 65536), Err("Invalid port range"));
    }
}
