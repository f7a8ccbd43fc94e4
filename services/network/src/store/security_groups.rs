//! Security groups.

use std::collections::HashMap;

use nephos_db::{Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;
use uuid::Uuid;

use crate::model::refusal::Refusal;
use crate::model::security_group::{self as model, Checked, Rule, SecurityGroup, Wanted};
use crate::model::sharing::Grants;
use crate::store::{Reader, Result, quotas, rbac, rules, tags};

const SELECT: &str = "SELECT id, project_id, name, description, is_default, stateful, revision, created_at, updated_at \
     FROM security_groups";
/// Default groups have ids derived from their project, so that two requests that make one make the same.
const NAMESPACE: Uuid = Uuid::from_u128(0x6e65_7068_6f73_4d65_b661_756c_7473_6721);

impl FromRow for SecurityGroup {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            is_default: row.get("is_default")?,
            stateful: row.get("stateful")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            rules: Vec::new(),
            grants: Grants::default(),
            tags: Vec::new(),
        })
    }
}

/// All groups, to be narrowed.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// With rules, grants and tags.
pub(crate) async fn find(
    reader: &mut Reader<'_>,
    query: &Where,
) -> Result<Vec<SecurityGroup>, Error> {
    let mut found = with_rules(reader, query).await?;
    let ids: Vec<String> = found.iter().map(|group| group.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let mut grants = rbac::of(reader, &ids).await?;
    let mut tags = tags::of(reader, &ids).await?;
    for group in &mut found {
        group.grants = grants.remove(&group.id).unwrap_or_default();
        group.tags = tags.remove(&group.id).unwrap_or_default();
    }
    Ok(found)
}

/// With rules only.
pub(crate) async fn with_rules(
    reader: &mut Reader<'_>,
    query: &Where,
) -> Result<Vec<SecurityGroup>, Error> {
    let mut found: Vec<SecurityGroup> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|group| group.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let of_groups = |ids: &[String]| {
        rules::query()
            .in_("r.security_group_id", ids)
            .tail("ORDER BY r.created_at, r.id")
    };
    let mut by_group: HashMap<String, Vec<Rule>> = HashMap::new();
    for rule in reader.find_for::<Rule>(&ids, of_groups).await? {
        by_group
            .entry(rule.security_group_id.clone())
            .or_default()
            .push(rule);
    }
    for group in &mut found {
        group.rules = by_group.remove(&group.id).unwrap_or_default();
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<SecurityGroup>, Error> {
    Ok(find(reader, &query().eq("id", id)).await?.pop())
}

/// Those of these ids that the project may use: its own and what is shared with it.
pub(crate) async fn usable(
    reader: &mut Reader<'_>,
    ids: &[String],
    project: &str,
) -> Result<Vec<String>, Error> {
    let own = Where::group().eq("project_id", project);
    let shared = Where::group().raw(
        "id IN (SELECT object_id FROM rbac_policies WHERE object_type = 'security_group' \
         AND target_project IN ('*', {}))",
        args![project],
    );
    let query = Where::new("SELECT id FROM security_groups")
        .in_("id", ids)
        .any(vec![own, shared]);
    reader.find(&query).await
}

/// The project's default group, if it has been made.
pub(crate) async fn default_of(
    reader: &mut Reader<'_>,
    project: &str,
) -> Result<Option<String>, Error> {
    let query = Where::new("SELECT id FROM security_groups")
        .eq("project_id", project)
        .raw("is_default", args![]);
    Ok(reader.find(&query).await?.pop())
}

/// The project's default group, made now if need be.
pub(crate) async fn ensure_default(tx: &mut Tx, project: &str, now: Timestamp) -> Result<String> {
    if let Some(id) = default_of(&mut Reader::Tx(tx), project).await? {
        return Ok(id);
    }
    let id = nephos_runtime::ids::derived(&NAMESPACE, project).to_string();
    let group = SecurityGroup {
        id: id.clone(),
        project_id: project.to_owned(),
        name: model::DEFAULT.to_owned(),
        description: "Default security group".to_owned(),
        is_default: true,
        stateful: true,
        revision: 1,
        created_at: now,
        updated_at: now,
        rules: Vec::new(),
        grants: Grants::default(),
        tags: Vec::new(),
    };
    if insert(tx, &group).await? {
        quotas::add(tx, project, "security_group", 1).await?;
        let made = insert_first_rules(tx, &group).await?;
        let count = i64::try_from(made.len()).unwrap_or_default();
        quotas::add(tx, project, "security_group_rule", count).await?;
    }
    Ok(id)
}

/// Says no when it is there already.
pub(crate) async fn insert(tx: &mut Tx, group: &SecurityGroup) -> Result<bool, Error> {
    let made = tx
        .exec(
            "INSERT INTO security_groups (id, project_id, name, description, is_default, stateful, revision, created_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
            args![
                group.id,
                group.project_id,
                group.name,
                group.description,
                group.is_default,
                group.stateful,
                group.revision,
                group.created_at,
                group.updated_at,
            ],
        )
        .await?;
    Ok(made > 0)
}

/// The rules that a new group begins with.
pub(crate) async fn insert_first_rules(tx: &mut Tx, group: &SecurityGroup) -> Result<Vec<Rule>> {
    let mut made = Vec::new();
    for wanted in model::first_rules(&group.id, group.is_default) {
        made.push(insert_rule(tx, group, wanted, String::new()).await?);
    }
    Ok(made)
}

/// One rule of a group, checked.
pub(crate) async fn insert_rule(
    tx: &mut Tx,
    group: &SecurityGroup,
    wanted: Wanted,
    description: String,
) -> Result<Rule> {
    let checked: Checked = wanted.check()?;
    let wanted = checked.wanted.clone();
    let rule = Rule {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id: group.project_id.clone(),
        security_group_id: group.id.clone(),
        description,
        direction: wanted.direction,
        ip_version: wanted.ip_version,
        protocol: wanted.protocol,
        port_min: checked.port_min,
        port_max: checked.port_max,
        remote_group_id: wanted.remote_group_id,
        remote_ip_prefix: wanted.remote_ip_prefix,
        revision: 0,
        created_at: group.updated_at,
        updated_at: group.updated_at,
        group_project: group.project_id.clone(),
    };
    if rules::insert(tx, &rule, &checked).await? {
        return Ok(rule);
    }
    let other = rules::same(tx, &group.id, &checked.same())
        .await?
        .unwrap_or_default();
    Err(Refusal::conflict(
        "SecurityGroupRuleExists",
        format!("Security group rule already exists. Rule id is {other}."),
    )
    .into())
}

/// The row as it is now, if nobody changed it since it was read.
pub(crate) async fn update(tx: &mut Tx, group: &SecurityGroup) -> Result<(), Error> {
    tx.exec_some(
            "UPDATE security_groups SET name = $1, description = $2, stateful = $3, revision = revision + 1, \
             updated_at = $4 WHERE id = $5 AND revision = $6",
            args![
                group.name,
                group.description,
                group.stateful,
                group.updated_at,
                group.id,
                group.revision,
            ],
        )
        .await?;
    Ok(())
}

/// Counts a change of its rules.
pub(crate) async fn bump(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), Error> {
    tx.exec(
        "UPDATE security_groups SET revision = revision + 1, updated_at = $1 WHERE id = $2",
        args![now, id],
    )
    .await?;
    Ok(())
}

/// Takes the group and its rules away.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<i64, Error> {
    tags::clear(tx, id).await?;
    rbac::clear(tx, id).await?;
    let rules = tx
        .exec(
            "DELETE FROM security_group_rules WHERE security_group_id = $1",
            args![id],
        )
        .await?;
    tx.exec_some("DELETE FROM security_groups WHERE id = $1", args![id])
        .await?;
    Ok(i64::try_from(rules).unwrap_or(i64::MAX))
}
