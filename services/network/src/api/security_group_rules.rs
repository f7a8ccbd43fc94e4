//! Rules of security groups.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::Tx;
use nephos_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{self, Keys, Kind, Made, Many, One};
use crate::api::input::{self, Int, Name};
use crate::api::listing::{Filter, Listing, asked_fields, visible};
use crate::api::resource;
use crate::api::security_groups::ensure_own_default;
use crate::api::{ById, allow};
use crate::model::refusal::Refusal;
use crate::model::security_group::{Rule, SecurityGroup, Wanted, direction_word};
use crate::model::spec::{Direction, KIND_SECURITY_GROUP};
use crate::rules;
use crate::store::{Reader, publish, quotas, rules as store, security_groups, stale};

pub(crate) struct RuleKind;

impl Kind for RuleKind {
    const ONE: &'static str = "security_group_rule";
    const MANY: &'static str = "security_group_rules";
    type View = RuleView;
    type New = NewRule;
    type Change = NewRule;
}

/// A protocol: its name, or its number as number or text.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String)]
pub(crate) struct Protocol(String);

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            serde_json::Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(serde::de::Error::custom(format!(
                "'{other}' is no protocol name or number"
            ))),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRule {
    security_group_id: String,
    direction: Option<String>,
    ethertype: Option<String>,
    protocol: Option<Protocol>,
    port_range_min: Option<Int>,
    port_range_max: Option<Int>,
    remote_group_id: Option<String>,
    remote_ip_prefix: Option<String>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
    /// There are no address groups here.
    remote_address_group_id: Option<String>,
    project_id: Option<String>,
    tenant_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleView {
    id: String,
    tenant_id: String,
    project_id: String,
    security_group_id: String,
    ethertype: &'static str,
    direction: &'static str,
    protocol: Option<String>,
    port_range_min: Option<u16>,
    port_range_max: Option<u16>,
    remote_group_id: Option<String>,
    remote_ip_prefix: Option<String>,
    normalized_cidr: Option<String>,
    description: String,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

pub(super) fn rule_view(rule: &Rule) -> RuleView {
    RuleView {
        id: rule.id.clone(),
        tenant_id: rule.project_id.clone(),
        project_id: rule.project_id.clone(),
        security_group_id: rule.security_group_id.clone(),
        ethertype: rule.ethertype(),
        direction: direction_word(rule.direction),
        protocol: rule.protocol.clone(),
        port_range_min: rule.port_min,
        port_range_max: rule.port_max,
        remote_group_id: rule.remote_group_id.clone(),
        remote_ip_prefix: rule.remote_ip_prefix.clone(),
        normalized_cidr: rule.cidr().map(|cidr| cidr.to_string()),
        description: rule.description.clone(),
        revision_number: rule.revision,
        created_at: rule.created_at,
        updated_at: rule.updated_at,
    }
}

const LISTING: Listing = Listing {
    id: "r.id",
    updated_at: "r.updated_at",
    marker: "SELECT r.id, r.project_id, r.security_group_id, r.direction, r.ethertype, r.protocol, r.created_at, \
        r.updated_at, r.revision, r.description FROM security_group_rules r",
    filters: &[
        ("id", Filter::Text("r.id")),
        ("project_id", Filter::Text("r.project_id")),
        ("tenant_id", Filter::Text("r.project_id")),
        ("security_group_id", Filter::Text("r.security_group_id")),
        (
            "direction",
            Filter::Mapped("r.direction", str::to_ascii_lowercase),
        ),
        ("ethertype", Filter::Mapped("r.ethertype", ethertype_word)),
        (
            "protocol",
            Filter::Mapped("r.protocol", str::to_ascii_lowercase),
        ),
        ("port_range_min", Filter::Int("r.port_min")),
        ("port_range_max", Filter::Int("r.port_max")),
        ("remote_group_id", Filter::Text("r.remote_group_id")),
        ("remote_ip_prefix", Filter::Text("r.remote_ip_prefix")),
        ("description", Filter::Text("r.description")),
        ("revision_number", Filter::Int("r.revision")),
    ],
    sorts: &[
        ("project_id", "r.project_id"),
        ("tenant_id", "r.project_id"),
        ("security_group_id", "r.security_group_id"),
        ("direction", "r.direction"),
        ("ethertype", "r.ethertype"),
        ("protocol", "r.protocol"),
        ("description", "r.description"),
        ("revision_number", "r.revision"),
        ("created_at", "r.created_at"),
        ("updated_at", "r.updated_at"),
    ],
};

fn ethertype_word(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "ipv4" => "IPv4".to_owned(),
        "ipv6" => "IPv6".to_owned(),
        _other => text.to_owned(),
    }
}

endpoint! {
    /// List rules of security groups.
    ListSecurityGroupRules: GET "/v2.0/security-group-rules" => 200,
    policy: Loaded<rules::GetSecurityGroupRule>,
    query: Params,
    reply: Json<Many<RuleKind>>,
    handler: list_rules,
}
async fn list_rules(cx: Cx, req: Req<ListSecurityGroupRules>) -> Reply<ListSecurityGroupRules> {
    let own = resource::own(&cx.caller);
    let target = Target::of_project(own).with("security_group:project_id", own);
    cx.require(rules::GetSecurityGroupRule, &target)?;
    ensure_own_default(&cx).await?;
    let query = visible(
        &cx,
        store::query(),
        "{} IN (r.project_id, g.project_id)",
        "r.security_group_id IN (SELECT object_id FROM rbac_policies WHERE object_type = 'security_group' AND target_project IN ('*', {}))",
    );
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = store::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for rule in &found {
        rows.push((
            rule.id.clone(),
            envelope::show(&rule_view(rule), &asked.keys)?,
        ));
    }
    Ok(Json(asked.page(&cx, "/v2.0/security-group-rules", rows)))
}

endpoint! {
    /// Show a rule.
    ShowSecurityGroupRule: GET "/v2.0/security-group-rules/{id}" => 200,
    policy: Loaded<rules::GetSecurityGroupRule>,
    path: ById,
    query: Params,
    reply: Json<One<RuleKind>>,
    handler: show_rule,
}
async fn show_rule(cx: Cx, req: Req<ShowSecurityGroupRule>) -> Reply<ShowSecurityGroupRule> {
    let id = req.path.id.as_str();
    let found = store::get(&mut Reader::Db(cx.db()), id).await?;
    let rule = allow(&cx, rules::GetSecurityGroupRule, (id, found))?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&rule_view(&rule), &keys)?))
}

endpoint! {
    /// Create one or more rules.
    CreateSecurityGroupRules: POST "/v2.0/security-group-rules" => 201,
    policy: Loaded<rules::CreateSecurityGroupRule>,
    body: envelope::New<RuleKind>,
    reply: Json<Made<RuleKind>>,
    handler: create_rules,
}
async fn create_rules(
    cx: Cx,
    req: Req<CreateSecurityGroupRules>,
) -> Reply<CreateSecurityGroupRules> {
    let body = &req.body;
    let group_id = single_group(&body.items)?;
    let mut tx = cx.write().await?;
    let found = security_groups::get(&mut Reader::Tx(&mut tx), group_id).await?;
    let Some(mut group) =
        found.filter(|group| nephos_auth::Resource::visible_to(group, &cx.caller))
    else {
        return Err(Refusal::no_group(group_id).into());
    };
    let target = Target::of_project(&group.project_id)
        .with("security_group:project_id", group.project_id.as_str());
    cx.require(rules::CreateSecurityGroupRule, &target)?;
    group.updated_at = cx.now();
    let count = i64::try_from(body.items.len()).unwrap_or_default();
    quotas::take(&mut tx, &group.project_id, "security_group_rule", count).await?;
    let mut views = Vec::new();
    for new in &body.items {
        let rule = insert(&cx, &mut tx, &group, new).await?;
        views.push(rule_view(&rule));
    }
    security_groups::bump(&mut tx, &group.id, cx.now()).await?;
    publish::group(&mut tx, cx.now(), &group.id).await?;
    for remote in body
        .items
        .iter()
        .filter_map(|new| new.remote_group_id.as_deref())
    {
        stale::mark(&mut tx, cx.now(), KIND_SECURITY_GROUP, remote).await?;
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, body.bulk, &Keys::default())?))
}

fn single_group(items: &[NewRule]) -> Result<&str, Refusal> {
    let first = items.first().map(|new| new.security_group_id.as_str());
    let same = items
        .iter()
        .all(|new| Some(new.security_group_id.as_str()) == first);
    match first.filter(|_| same) {
        Some(id) => Ok(id),
        None => Err(Refusal::invalid(
            "SecurityGroupNotSingleGroupRules",
            "Only allowed to update rules for one security profile at a time",
        )),
    }
}

async fn insert(cx: &Cx, tx: &mut Tx, group: &SecurityGroup, new: &NewRule) -> Result<Rule, Fault> {
    input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
    let wanted = wanted(new)?;
    if let Some(remote) = &wanted.remote_group_id {
        let ids = [remote.clone()];
        let usable = security_groups::usable(&mut Reader::Tx(tx), &ids, &group.project_id).await?;
        if usable.is_empty() {
            return Err(Refusal::no_group(remote).into());
        }
    }
    let description = new.description.clone().unwrap_or_default().0;
    Ok(security_groups::insert_rule(tx, group, wanted, description).await?)
}

fn wanted(new: &NewRule) -> Result<Wanted, Refusal> {
    let direction = match new.direction.as_deref() {
        Some("ingress") => Direction::Ingress,
        Some("egress") => Direction::Egress,
        Some(other) => {
            return Err(Refusal::request(format!(
                "Invalid input for direction. Reason: '{other}' is not in ['ingress', 'egress']."
            )));
        }
        None => {
            return Err(Refusal::request(
                "Failed to parse request. Required attribute 'direction' not specified",
            ));
        }
    };
    let ethertype = new.ethertype.as_deref().unwrap_or("IPv4");
    let ip_version = match ethertype_word(ethertype).as_str() {
        "IPv4" => 4,
        "IPv6" => 6,
        other => {
            return Err(Refusal::invalid(
                "SecurityGroupRuleInvalidEtherType",
                format!(
                    "Security group rule for ethertype '{other}' not supported. Allowed values are ['IPv4', 'IPv6']."
                ),
            ));
        }
    };
    if new.remote_address_group_id.is_some() {
        return Err(Refusal::missing(
            "AddressGroupNotFound",
            "There are no address groups in this cloud; name a remote_ip_prefix or a remote_group_id.",
        ));
    }
    Ok(Wanted {
        direction,
        ip_version,
        protocol: new.protocol.as_ref().map(|protocol| protocol.0.clone()),
        port_min: new.port_range_min.map(|int| int.0),
        port_max: new.port_range_max.map(|int| int.0),
        remote_group_id: new.remote_group_id.clone().filter(|id| !id.is_empty()),
        remote_ip_prefix: new.remote_ip_prefix.clone().filter(|text| !text.is_empty()),
    })
}

endpoint! {
    /// Delete a rule.
    DeleteSecurityGroupRule: DELETE "/v2.0/security-group-rules/{id}" => 204,
    policy: Loaded<rules::DeleteSecurityGroupRule>,
    path: ById,
    reply: Empty,
    handler: delete_rule,
}
async fn delete_rule(cx: Cx, req: Req<DeleteSecurityGroupRule>) -> Reply<DeleteSecurityGroupRule> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = store::get(&mut Reader::Tx(&mut tx), id).await?;
    let rule = allow(&cx, rules::DeleteSecurityGroupRule, (id, found))?;
    input::check_if_match(req.header("if-match"), rule.revision)?;
    let now = cx.now();
    if store::remove(&mut tx, id).await? {
        quotas::give(&mut tx, &rule.project_id, "security_group_rule", 1).await?;
        security_groups::bump(&mut tx, &rule.security_group_id, now).await?;
        publish::group(&mut tx, now, &rule.security_group_id).await?;
        if let Some(remote) = &rule.remote_group_id {
            publish::unnamed(&mut tx, now, remote).await?;
        }
    }
    tx.commit().await?;
    Ok(Empty)
}
