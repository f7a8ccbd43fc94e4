//! Rules of security groups.

use nephos_db::{Error, FromRow, Row, Tx, Where, args};

use crate::model::security_group::{Checked, Rule, direction_word};
use crate::model::spec::Direction;
use crate::store::{Reader, Result};

const SELECT: &str = "SELECT r.id, r.project_id, r.security_group_id, r.description, r.direction, r.ethertype, \
     r.protocol, r.port_min, r.port_max, r.remote_group_id, r.remote_ip_prefix, r.revision, r.created_at, \
     r.updated_at, g.project_id AS group_project FROM security_group_rules r \
     JOIN security_groups g ON g.id = r.security_group_id";

impl FromRow for Rule {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let direction: String = row.get("direction")?;
        let ethertype: String = row.get("ethertype")?;
        let some = |text: String| (!text.is_empty()).then_some(text);
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            security_group_id: row.get("security_group_id")?,
            description: row.get("description")?,
            direction: if direction == "ingress" {
                Direction::Ingress
            } else {
                Direction::Egress
            },
            ip_version: if ethertype == "IPv6" { 6 } else { 4 },
            protocol: some(row.get("protocol")?),
            port_min: row.get("port_min")?,
            port_max: row.get("port_max")?,
            remote_group_id: row.get("remote_group_id")?,
            remote_ip_prefix: some(row.get("remote_ip_prefix")?),
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            group_project: row.get("group_project")?,
        })
    }
}

/// All rules, to be narrowed; columns are `r.…` and the group's `g.…`.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

pub(crate) async fn find(reader: &mut Reader<'_>, query: &Where) -> Result<Vec<Rule>, Error> {
    reader.find(query).await
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Rule>, Error> {
    Ok(find(reader, &query().eq("r.id", id)).await?.pop())
}

/// Says no when the group has the same rule already.
pub(crate) async fn insert(tx: &mut Tx, rule: &Rule, checked: &Checked) -> Result<bool, Error> {
    let made = tx
        .exec(
            "INSERT INTO security_group_rules (id, project_id, security_group_id, description, direction, ethertype, \
             protocol, port_min, port_max, remote_group_id, remote_ip_prefix, remote_cidr, same, revision, created_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
             ON CONFLICT (security_group_id, same) DO NOTHING",
            args![
                rule.id,
                rule.project_id,
                rule.security_group_id,
                rule.description,
                direction_word(rule.direction),
                rule.ethertype(),
                rule.protocol.clone().unwrap_or_default(),
                rule.port_min,
                rule.port_max,
                rule.remote_group_id,
                rule.remote_ip_prefix.clone().unwrap_or_default(),
                checked.cidr.map(|cidr| cidr.to_string()).unwrap_or_default(),
                checked.same(),
                rule.revision,
                rule.created_at,
                rule.updated_at,
            ],
        )
        .await?;
    Ok(made > 0)
}

/// The rule that is the same as this one.
pub(crate) async fn same(tx: &mut Tx, group: &str, same: &str) -> Result<Option<String>, Error> {
    tx.fetch_opt(
        "SELECT id FROM security_group_rules WHERE security_group_id = $1 AND same = $2",
        args![group, same],
    )
    .await
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM security_group_rules WHERE id = $1";
    Ok(tx.exec(sql, args![id]).await? > 0)
}

/// Rules of other groups that name this one.
pub(crate) async fn naming(tx: &mut Tx, group: &str) -> Result<Vec<Rule>, Error> {
    tx.fetch_where(&query().eq("r.remote_group_id", group))
        .await
}
