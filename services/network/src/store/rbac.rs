//! Who may use what of others.

use std::collections::HashMap;

use nephos_db::{FromRow, Row, Tx, Where, args};

use crate::model::sharing::{Grant, Grants};
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
    for policy in find(reader, &query().in_("object_id", ids)).await? {
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

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), nephos_db::Error> {
    tx.exec("DELETE FROM rbac_policies WHERE id = $1", args![id])
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
