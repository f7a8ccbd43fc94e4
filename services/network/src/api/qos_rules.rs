//! Bandwidth limit rules of QoS policies; also found by their own ids alone, which Neutron calls aliases.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Authorized, Resource as _, Rule, Target};
use nephos_db::Tx;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{self, Keys, Kind, Made, Many, One};
use crate::api::input::Int;
use crate::api::listing::{Filter, Listing, asked_fields};
use crate::api::{ById, allow};
use crate::model::qos::{BANDWIDTH_LIMIT, BandwidthRule, MOST, Policy, no_rule};
use crate::model::security_group::direction_word;
use crate::model::spec::Direction;
use crate::rules;
use crate::store::{Reader, publish_qos, qos};

pub(crate) struct BandwidthRuleKind;

impl Kind for BandwidthRuleKind {
    const ONE: &'static str = "bandwidth_limit_rule";
    const MANY: &'static str = "bandwidth_limit_rules";
    type View = BandwidthRuleView;
    type New = NewBandwidthRule;
    type Change = BandwidthRuleChange;
}

/// The same, found without its policy.
pub(crate) struct AliasKind;

impl Kind for AliasKind {
    const ONE: &'static str = "alias_bandwidth_limit_rule";
    const MANY: &'static str = "alias_bandwidth_limit_rules";
    type View = BandwidthRuleView;
    type New = NewBandwidthRule;
    type Change = BandwidthRuleChange;
}

/// A number of thousands of bits.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = u32)]
pub(crate) struct Kbits(u32);

impl<'de> Deserialize<'de> for Kbits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Int(given) = Int::deserialize(deserializer)?;
        if given > MOST {
            let why = format!("'{given}' is too large - must be no larger than '{MOST}'");
            return Err(D::Error::custom(why));
        }
        let fits = u32::try_from(given);
        fits.map(Self)
            .map_err(|_| D::Error::custom(format!("'{given}' is too small - must be at least '0'")))
    }
}

/// `ingress` or `egress`.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String)]
pub(crate) struct Way(Direction);

impl<'de> Deserialize<'de> for Way {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let mut ways = [Direction::Ingress, Direction::Egress].into_iter();
        let way = ways.find(|way| value.as_str() == Some(direction_word(*way)));
        way.map(Self).ok_or_else(|| {
            let value = nephos_api::shown(&value);
            D::Error::custom(format!("'{value}' is not in ['ingress', 'egress']"))
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBandwidthRule {
    max_kbps: Kbits,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    max_burst_kbps: Option<Kbits>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    direction: Option<Way>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BandwidthRuleChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    max_kbps: Option<Kbits>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    max_burst_kbps: Option<Kbits>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    direction: Option<Way>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BandwidthRuleView {
    id: String,
    max_kbps: u32,
    max_burst_kbps: u32,
    direction: &'static str,
}

fn view(rule: &BandwidthRule) -> BandwidthRuleView {
    BandwidthRuleView {
        id: rule.id.clone(),
        max_kbps: rule.max_kbps,
        max_burst_kbps: rule.max_burst_kbps,
        direction: direction_word(rule.direction),
    }
}

/// A rule as part of its policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleOfPolicyView {
    id: String,
    qos_policy_id: String,
    r#type: &'static str,
    max_kbps: u32,
    max_burst_kbps: u32,
    direction: &'static str,
}

impl RuleOfPolicyView {
    pub(super) fn of(rule: &BandwidthRule) -> Self {
        Self {
            id: rule.id.clone(),
            qos_policy_id: rule.policy_id.clone(),
            r#type: BANDWIDTH_LIMIT,
            max_kbps: rule.max_kbps,
            max_burst_kbps: rule.max_burst_kbps,
            direction: direction_word(rule.direction),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct OfPolicy {
    policy: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RuleOfPolicy {
    policy: String,
    id: String,
}

const LISTING: Listing = Listing {
    id: "id",
    updated_at: "",
    marker: "SELECT id, direction, max_kbps, max_burst_kbps FROM qos_bandwidth_rules",
    filters: &[
        ("id", Filter::Text("id")),
        ("direction", Filter::Text("direction")),
        ("max_kbps", Filter::Int("max_kbps")),
        ("max_burst_kbps", Filter::Int("max_burst_kbps")),
    ],
    sorts: &[
        ("direction", "direction"),
        ("max_kbps", "max_kbps"),
        ("max_burst_kbps", "max_burst_kbps"),
    ],
};

/// The policy of rules, if the caller may do this with them.
async fn parent<R: Rule>(
    cx: &Cx,
    reader: &mut Reader<'_>,
    rule: R,
    id: &str,
) -> Result<Authorized<Policy, R>, Fault> {
    let found = qos::get(reader, id).await?;
    allow(cx, rule, (id, found))
}

/// The policy of a rule of which only the id is known.
async fn policy_of(reader: &mut Reader<'_>, rule: &str) -> Result<String, Fault> {
    let found = qos::policy_of_rule(reader, rule).await?;
    Ok(found.ok_or_else(|| no_rule("", rule))?)
}

fn target(policy: &Policy) -> Target {
    let mut target = Target::of_project(&policy.project_id);
    policy.target(&mut target);
    target
}

endpoint! {
    /// List the bandwidth limit rules of a QoS policy.
    ListBandwidthRules: GET "/v2.0/qos/policies/{policy}/bandwidth_limit_rules" => 200,
    policy: Loaded<rules::GetPolicyBandwidthLimitRule>,
    path: OfPolicy,
    query: Params,
    reply: Json<Many<BandwidthRuleKind>>,
    handler: list_rules,
}
async fn list_rules(cx: Cx, req: Req<ListBandwidthRules>) -> Reply<ListBandwidthRules> {
    let id = req.path.policy.as_str();
    let policy = parent(&cx, &mut Reader::Db(cx.db()), rules::GetPolicy, id).await?;
    let query = qos::rules().eq("policy_id", id);
    let asked = LISTING.read(&cx, query, req.query).await?;
    let mut rows = Vec::new();
    // To whom a policy is shared the rules are shown as part of it only, as with Neutron.
    if cx.may(rules::GetPolicyBandwidthLimitRule, &target(&policy)) {
        let found: Vec<BandwidthRule> = cx.db().fetch_where(&asked.query).await?;
        for rule in &found {
            rows.push((rule.id.clone(), envelope::show(&view(rule), &asked.keys)?));
        }
    }
    let path = format!("/v2.0/qos/policies/{id}/bandwidth_limit_rules");
    Ok(Json(asked.page(&cx, &path, rows)))
}

endpoint! {
    /// Show a bandwidth limit rule of a QoS policy.
    ShowBandwidthRule: GET "/v2.0/qos/policies/{policy}/bandwidth_limit_rules/{id}" => 200,
    policy: Loaded<rules::GetPolicyBandwidthLimitRule>,
    path: RuleOfPolicy,
    query: Params,
    reply: Json<One<BandwidthRuleKind>>,
    handler: show_rule,
}
async fn show_rule(cx: Cx, req: Req<ShowBandwidthRule>) -> Reply<ShowBandwidthRule> {
    let rule = rules::GetPolicyBandwidthLimitRule;
    let mut reader = Reader::Db(cx.db());
    let policy = parent(&cx, &mut reader, rule, &req.path.policy).await?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(policy.rule(&req.path.id)?), &keys)?))
}

endpoint! {
    /// Show a bandwidth limit rule, found by its id alone.
    ShowBandwidthRuleAlias: GET "/v2.0/qos/alias-bandwidth-limit-rules/{id}" => 200,
    policy: Loaded<rules::GetAliasBandwidthLimitRule>,
    path: ById,
    query: Params,
    reply: Json<One<AliasKind>>,
    handler: show_alias,
}
async fn show_alias(cx: Cx, req: Req<ShowBandwidthRuleAlias>) -> Reply<ShowBandwidthRuleAlias> {
    let id = req.path.id.as_str();
    let mut reader = Reader::Db(cx.db());
    let policy = policy_of(&mut reader, id).await?;
    let rule = rules::GetAliasBandwidthLimitRule;
    let policy = parent(&cx, &mut reader, rule, &policy).await?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(policy.rule(id)?), &keys)?))
}

endpoint! {
    /// Add bandwidth limit rules to a QoS policy, one for each direction at most.
    CreateBandwidthRules: POST "/v2.0/qos/policies/{policy}/bandwidth_limit_rules" => 201,
    policy: Loaded<rules::CreatePolicyBandwidthLimitRule>,
    path: OfPolicy,
    body: envelope::New<BandwidthRuleKind>,
    reply: Json<Made<BandwidthRuleKind>>,
    handler: create_rules,
}
async fn create_rules(cx: Cx, req: Req<CreateBandwidthRules>) -> Reply<CreateBandwidthRules> {
    let id = req.path.policy.as_str();
    let rule = rules::CreatePolicyBandwidthLimitRule;
    let mut tx = cx.write().await?;
    let found = qos::get(&mut Reader::Tx(&mut tx), id).await?;
    // Neutron looks at the rule before it looks whether the caller may know of the policy.
    if let Some(policy) = &found {
        cx.require(rule, &target(policy))?;
    }
    let mut policy = allow(&cx, rule, (id, found))?.into_inner();
    let mut views = Vec::new();
    for new in &req.body.items {
        let rule = BandwidthRule {
            id: nephos_runtime::ids::uuid().to_string(),
            policy_id: policy.id.clone(),
            direction: new.direction.map_or(Direction::Egress, |way| way.0),
            max_kbps: new.max_kbps.0,
            max_burst_kbps: new.max_burst_kbps.map_or(0, |kbits| kbits.0),
        };
        policy.check_room_for(&rule)?;
        qos::insert_rule(&mut tx, &rule).await?;
        views.push(view(&rule));
        policy.rules.push(rule);
    }
    tell(&cx, tx, &policy).await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

/// Counts the change as one of the policy, and tells the hosts that have ports with it.
async fn tell(cx: &Cx, mut tx: Tx, policy: &Policy) -> Result<(), Fault> {
    let now = cx.now();
    qos::bump(&mut tx, &policy.id, now).await?;
    publish_qos::policy(&mut tx, now, &policy.id).await?;
    tx.commit().await?;
    Ok(())
}

endpoint! {
    /// Change a bandwidth limit rule of a QoS policy.
    UpdateBandwidthRule: PUT "/v2.0/qos/policies/{policy}/bandwidth_limit_rules/{id}" => 200,
    policy: Loaded<rules::UpdatePolicyBandwidthLimitRule>,
    path: RuleOfPolicy,
    body: envelope::Change<BandwidthRuleKind>,
    reply: Json<One<BandwidthRuleKind>>,
    handler: update_rule,
}
async fn update_rule(cx: Cx, req: Req<UpdateBandwidthRule>) -> Reply<UpdateBandwidthRule> {
    let RuleOfPolicy { policy, id } = &req.path;
    let mut tx = cx.write().await?;
    let rule = rules::UpdatePolicyBandwidthLimitRule;
    let policy = parent(&cx, &mut Reader::Tx(&mut tx), rule, policy).await?;
    let rule = change(&cx, tx, (&policy, id), &req.body.0).await?;
    Ok(Json(One::of(&view(&rule), &Keys::default())?))
}

endpoint! {
    /// Change a bandwidth limit rule, found by its id alone.
    UpdateBandwidthRuleAlias: PUT "/v2.0/qos/alias-bandwidth-limit-rules/{id}" => 200,
    policy: Loaded<rules::UpdateAliasBandwidthLimitRule>,
    path: ById,
    body: envelope::Change<AliasKind>,
    reply: Json<One<AliasKind>>,
    handler: update_alias,
}
async fn update_alias(
    cx: Cx,
    req: Req<UpdateBandwidthRuleAlias>,
) -> Reply<UpdateBandwidthRuleAlias> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let policy = policy_of(&mut Reader::Tx(&mut tx), id).await?;
    let rule = rules::UpdateAliasBandwidthLimitRule;
    let policy = parent(&cx, &mut Reader::Tx(&mut tx), rule, &policy).await?;
    let rule = change(&cx, tx, (&policy, id), &req.body.0).await?;
    Ok(Json(One::of(&view(&rule), &Keys::default())?))
}

async fn change<R>(
    cx: &Cx,
    mut tx: Tx,
    (policy, id): (&Authorized<Policy, R>, &str),
    change: &BandwidthRuleChange,
) -> Result<BandwidthRule, Fault> {
    let mut rule = policy.rule(id)?.clone();
    if let Some(Kbits(max)) = change.max_kbps {
        rule.max_kbps = max;
    }
    if let Some(Kbits(max)) = change.max_burst_kbps {
        rule.max_burst_kbps = max;
    }
    if let Some(Way(direction)) = change.direction {
        rule.direction = direction;
    }
    policy.check_room_for(&rule)?;
    qos::update_rule(&mut tx, &rule).await?;
    tell(cx, tx, policy).await?;
    Ok(rule)
}

endpoint! {
    /// Take a bandwidth limit rule from a QoS policy.
    DeleteBandwidthRule: DELETE "/v2.0/qos/policies/{policy}/bandwidth_limit_rules/{id}" => 204,
    policy: Loaded<rules::DeletePolicyBandwidthLimitRule>,
    path: RuleOfPolicy,
    reply: Empty,
    handler: delete_rule,
}
async fn delete_rule(cx: Cx, req: Req<DeleteBandwidthRule>) -> Reply<DeleteBandwidthRule> {
    let RuleOfPolicy { policy, id } = &req.path;
    let mut tx = cx.write().await?;
    let rule = rules::DeletePolicyBandwidthLimitRule;
    let policy = parent(&cx, &mut Reader::Tx(&mut tx), rule, policy).await?;
    remove(&cx, tx, (&policy, id)).await
}

endpoint! {
    /// Delete a bandwidth limit rule, found by its id alone.
    DeleteBandwidthRuleAlias: DELETE "/v2.0/qos/alias-bandwidth-limit-rules/{id}" => 204,
    policy: Loaded<rules::DeleteAliasBandwidthLimitRule>,
    path: ById,
    reply: Empty,
    handler: delete_alias,
}
async fn delete_alias(
    cx: Cx,
    req: Req<DeleteBandwidthRuleAlias>,
) -> Reply<DeleteBandwidthRuleAlias> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let policy = policy_of(&mut Reader::Tx(&mut tx), id).await?;
    let rule = rules::DeleteAliasBandwidthLimitRule;
    let policy = parent(&cx, &mut Reader::Tx(&mut tx), rule, &policy).await?;
    remove(&cx, tx, (&policy, id)).await
}

async fn remove<R>(
    cx: &Cx,
    mut tx: Tx,
    (policy, id): (&Authorized<Policy, R>, &str),
) -> Result<Empty, Fault> {
    policy.rule(id)?;
    qos::remove_rule(&mut tx, id).await?;
    tell(cx, tx, policy).await?;
    Ok(Empty)
}
