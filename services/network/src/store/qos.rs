//! Policies that say how fast packets pass, and their rules.

use std::collections::HashMap;

use nephos_db::{Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::port::Port;
use crate::model::qos::{self as model, BandwidthRule, Policy};
use crate::model::security_group::direction_word;
use crate::model::sharing::Grants;
use crate::model::spec::{Direction, Limits};
use crate::store::{Pair, Reader, Result, rbac, tags};

const SELECT: &str = "SELECT id, project_id, name, description, is_default, revision, created_at, updated_at \
     FROM qos_policies";
const RULES: &str =
    "SELECT id, policy_id, direction, max_kbps, max_burst_kbps FROM qos_bandwidth_rules";

impl FromRow for Policy {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            is_default: row.get("is_default")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            grants: Grants::default(),
            rules: Vec::new(),
            tags: Vec::new(),
        })
    }
}

impl FromRow for BandwidthRule {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let direction: String = row.get("direction")?;
        Ok(Self {
            id: row.get("id")?,
            policy_id: row.get("policy_id")?,
            direction: [Direction::Ingress, Direction::Egress]
                .into_iter()
                .find(|known| direction_word(*known) == direction)
                .ok_or_else(|| Error::damaged(format!("no direction: {direction}")))?,
            max_kbps: row.get("max_kbps")?,
            max_burst_kbps: row.get("max_burst_kbps")?,
        })
    }
}

/// All policies, to be narrowed.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// The rules of all policies, to be narrowed.
pub(crate) fn rules() -> Where {
    Where::new(RULES)
}

/// With rules, grants and tags.
pub(crate) async fn find(reader: &mut Reader<'_>, query: &Where) -> Result<Vec<Policy>, Error> {
    let mut found: Vec<Policy> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|policy| policy.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let of_policies = |ids: &[String]| rules().in_("policy_id", ids).tail("ORDER BY direction");
    let mut by_policy: HashMap<String, Vec<BandwidthRule>> = HashMap::new();
    for rule in reader.find_for::<BandwidthRule>(&ids, of_policies).await? {
        let of_policy = by_policy.entry(rule.policy_id.clone());
        of_policy.or_default().push(rule);
    }
    let mut grants = rbac::of(reader, &ids).await?;
    let mut tags = tags::of(reader, &ids).await?;
    for policy in &mut found {
        policy.rules = by_policy.remove(&policy.id).unwrap_or_default();
        policy.grants = grants.remove(&policy.id).unwrap_or_default();
        policy.tags = tags.remove(&policy.id).unwrap_or_default();
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Policy>, Error> {
    Ok(find(reader, &query().eq("id", id)).await?.pop())
}

/// The policy that a rule belongs to.
pub(crate) async fn policy_of_rule(
    reader: &mut Reader<'_>,
    rule: &str,
) -> Result<Option<String>, Error> {
    let query = rules().eq("id", rule);
    let found: Vec<BandwidthRule> = reader.find(&query).await?;
    Ok(found.into_iter().next().map(|rule| rule.policy_id))
}

/// The policy of those networks of a project that were given none.
pub(crate) async fn default_of(tx: &mut Tx, project: &str) -> Result<Option<String>, Error> {
    tx.fetch_opt(
        "SELECT id FROM qos_policies WHERE project_id = $1 AND is_default",
        args![project],
    )
    .await
}

/// How fast the packets of a port pass.
pub(crate) async fn limits_of(tx: &mut Tx, port: &Port) -> Result<Limits, Error> {
    let Some(policy) = port.qos() else {
        return Ok(Limits::default());
    };
    let found: Vec<BandwidthRule> = tx.fetch_where(&rules().eq("policy_id", policy)).await?;
    Ok(model::limits(&found))
}

pub(crate) async fn insert(tx: &mut Tx, policy: &Policy) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO qos_policies (id, project_id, name, description, is_default, revision, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            policy.id,
            policy.project_id,
            policy.name,
            policy.description,
            policy.is_default,
            policy.revision,
            policy.created_at,
            policy.updated_at,
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, if nobody changed it since it was read.
pub(crate) async fn update(tx: &mut Tx, policy: &Policy) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE qos_policies SET name = $1, description = $2, is_default = $3, revision = revision + 1, \
         updated_at = $4 WHERE id = $5 AND revision = $6",
        args![
            policy.name,
            policy.description,
            policy.is_default,
            policy.updated_at,
            policy.id,
            policy.revision,
        ],
    )
    .await?;
    Ok(())
}

/// Counts a change of its rules.
pub(crate) async fn bump(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), Error> {
    tx.exec(
        "UPDATE qos_policies SET revision = revision + 1, updated_at = $1 WHERE id = $2",
        args![now, id],
    )
    .await?;
    Ok(())
}

/// Takes the policy and its rules away.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tags::clear(tx, id).await?;
    rbac::clear(tx, id).await?;
    tx.exec(
        "DELETE FROM qos_bandwidth_rules WHERE policy_id = $1",
        args![id],
    )
    .await?;
    tx.exec_some("DELETE FROM qos_policies WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Somebody who has the policy: which kind of thing, and its id.
pub(crate) async fn user_of(tx: &mut Tx, id: &str) -> Result<Option<Pair>, Error> {
    tx.fetch_opt(
        "SELECT 'port' AS a, id AS b FROM ports WHERE qos_policy_id = $1 \
         UNION ALL SELECT 'network' AS a, id AS b FROM networks WHERE qos_policy_id = $1 LIMIT 1",
        args![id],
    )
    .await
}

pub(crate) async fn insert_rule(tx: &mut Tx, rule: &BandwidthRule) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO qos_bandwidth_rules (id, policy_id, direction, max_kbps, max_burst_kbps) \
         VALUES ($1, $2, $3, $4, $5)",
        args![
            rule.id,
            rule.policy_id,
            direction_word(rule.direction),
            rule.max_kbps,
            rule.max_burst_kbps,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update_rule(tx: &mut Tx, rule: &BandwidthRule) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE qos_bandwidth_rules SET direction = $1, max_kbps = $2, max_burst_kbps = $3 WHERE id = $4",
        args![
            direction_word(rule.direction),
            rule.max_kbps,
            rule.max_burst_kbps,
            rule.id,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove_rule(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM qos_bandwidth_rules WHERE id = $1", args![id])
        .await?;
    Ok(())
}
