//! Who may use what of others.

use std::collections::HashMap;

use nephos_db::{FromRow, Row, Tx, Where, args};

use crate::model::sharing::{EXTERNAL, Grant, Grants};
use crate::store::{Reader, Result, quotas};

/// One grant as its own resource.
#[derive(Clone, Debug)]
pub(crate) struct RbacPolicy {
    pub id: String,
    pub project_id: String,
    pub object_type: String,
    pub object_id: String,
    pub action: String,
    pub target_project: String,
}

const SELECT: &str =
    "SELECT id, project_id, object_type, object_id, action, target_project FROM rbac_policies";

impl FromRow for RbacPolicy {
    fn from_row(row: &Row) -> Result<Self, nephos_db::Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            object_type: row.get("object_type")?,
            object_id: row.get("object_id")?,
            action: row.get("action")?,
            target_project: row.get("target_project")?,
        })
    }
}

pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

pub(crate) async fn find(
    reader: &mut Reader<'_>,
    query: &Where,
) -> Result<Vec<RbacPolicy>, nephos_db::Error> {
    reader.find(query).await
}

/// The grants of these things.
pub(crate) async fn of(
    reader: &mut Reader<'_>,
    ids: &[String],
) -> Result<HashMap<String, Grants>, nephos_db::Error> {
    let mut found: HashMap<String, Grants> = HashMap::new();
    let of_some = |ids: &[String]| query().in_("object_id", ids);
    for policy in reader.find_for::<RbacPolicy>(ids, of_some).await? {
        let grant = Grant {
            action: policy.action,
            target: policy.target_project,
        };
        found.entry(policy.object_id).or_default().0.push(grant);
    }
    Ok(found)
}

/// Says whether it is new.
pub(crate) async fn insert(tx: &mut Tx, policy: &RbacPolicy) -> Result<bool, nephos_db::Error> {
    let made = tx
        .exec(
            "INSERT INTO rbac_policies (id, project_id, object_type, object_id, action, target_project) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (object_id, action, target_project) DO NOTHING",
            args![
                policy.id,
                policy.project_id,
                policy.object_type,
                policy.object_id,
                policy.action,
                policy.target_project,
            ],
        )
        .await?;
    Ok(made > 0)
}

/// Gives a grant another target.
pub(crate) async fn update(tx: &mut Tx, policy: &RbacPolicy) -> Result<(), nephos_db::Error> {
    tx.exec(
        "UPDATE rbac_policies SET target_project = $1 WHERE id = $2",
        args![policy.target_project, policy.id],
    )
    .await?;
    Ok(())
}

/// Keeps the grants of these things until the transaction ends: who takes one away waits, and sees what was made by it.
pub(crate) async fn hold(tx: &mut Tx, objects: &[String]) -> Result<(), nephos_db::Error> {
    for object in objects {
        let sql = "UPDATE rbac_policies SET action = action WHERE object_id = $1";
        tx.exec(sql, args![object]).await?;
    }
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), nephos_db::Error> {
    tx.exec_some("DELETE FROM rbac_policies WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Takes back what was granted to this target under this action.
pub(crate) async fn revoke(
    tx: &mut Tx,
    object: &str,
    action: &str,
    target: &str,
) -> Result<(), nephos_db::Error> {
    let query = query()
        .eq("object_id", object)
        .eq("action", action)
        .eq("target_project", target);
    drop_all(tx, &query).await
}

/// Forgets the grants of a thing that goes.
pub(crate) async fn clear(tx: &mut Tx, object: &str) -> Result<(), nephos_db::Error> {
    drop_all(tx, &query().eq("object_id", object)).await
}

async fn drop_all(tx: &mut Tx, query: &Where) -> Result<(), nephos_db::Error> {
    for policy in find(&mut Reader::Tx(tx), query).await? {
        remove(tx, &policy.id).await?;
        quotas::give(tx, &policy.project_id, "rbac_policy", 1).await?;
    }
    Ok(())
}

/// The projects, other than its owner, that use the thing.
pub(crate) async fn users_of(
    tx: &mut Tx,
    policy: &RbacPolicy,
) -> Result<Vec<String>, nephos_db::Error> {
    let sql = match (policy.object_type.as_str(), policy.action.as_str()) {
        ("network", EXTERNAL) => {
            "SELECT DISTINCT r.project_id FROM routers r JOIN networks n ON n.id = r.gateway_network_id \
             WHERE n.id = $1 AND r.project_id <> n.project_id"
        }
        ("network", _shared) => {
            "SELECT DISTINCT p.project_id FROM ports p JOIN networks n ON n.id = p.network_id \
             WHERE n.id = $1 AND p.project_id <> n.project_id AND p.project_id <> ''"
        }
        ("subnetpool", _) => {
            "SELECT DISTINCT s.project_id FROM subnets s JOIN subnet_pools p ON p.id = s.subnet_pool_id \
             WHERE p.id = $1 AND s.project_id <> p.project_id"
        }
        ("address_scope", _) => {
            "SELECT DISTINCT p.project_id FROM subnet_pools p JOIN address_scopes a ON a.id = p.address_scope_id \
             WHERE a.id = $1 AND p.project_id <> a.project_id"
        }
        // Of these its owner counts as well, as with Neutron's `get_bound_project_ids`.
        ("qos_policy", _) => {
            "SELECT project_id FROM ports WHERE qos_policy_id = $1 AND project_id <> '' \
             UNION SELECT project_id FROM networks WHERE qos_policy_id = $1 AND project_id <> ''"
        }
        _group => {
            "SELECT DISTINCT p.project_id FROM ports p JOIN port_groups l ON l.port_id = p.id \
             JOIN security_groups g ON g.id = l.security_group_id WHERE g.id = $1 AND p.project_id <> g.project_id"
        }
    };
    tx.fetch_all(sql, args![policy.object_id]).await
}
