//! Trusts.

use std::collections::BTreeSet;

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use super::{json, parse};
use crate::model::trust::Trust;

const SELECT: &str = "SELECT id, trustor_user_id, trustee_user_id, project_id, impersonation, \
     expires_at, remaining_uses, redelegated_trust_id, redelegation_count, role_ids, deleted_at, \
     extra FROM trusts";

impl FromRow for Trust {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            trustor_user_id: row.get("trustor_user_id")?,
            trustee_user_id: row.get("trustee_user_id")?,
            project_id: row.get("project_id")?,
            impersonation: row.get("impersonation")?,
            expires_at: row.get("expires_at")?,
            remaining_uses: row.get("remaining_uses")?,
            redelegated_trust_id: row.get("redelegated_trust_id")?,
            redelegation_count: row.get("redelegation_count")?,
            role_ids: parse(row, "role_ids")?,
            deleted_at: row.get("deleted_at")?,
            extra: parse(row, "extra")?,
        })
    }
}

/// The trust, unless it was taken back.
pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<Trust>, Error> {
    let query = Where::new(SELECT).eq("id", id).is_null("deleted_at");
    Ok(db.fetch_where(&query).await?.pop())
}

/// Trusts in force, of one trustor and of one trustee where asked.
pub(crate) async fn list(
    db: &Db,
    trustor: Option<&str>,
    trustee: Option<&str>,
) -> Result<Vec<Trust>, Error> {
    let query = Where::new(SELECT)
        .is_null("deleted_at")
        .eq_opt("trustor_user_id", trustor)
        .eq_opt("trustee_user_id", trustee);
    db.fetch_where(&query).await
}

/// The trust, unless it was taken back, inside a transaction that relies on it.
pub(crate) async fn get_in(tx: &mut Tx, id: &str) -> Result<Option<Trust>, Error> {
    let query = Where::new(SELECT).eq("id", id).is_null("deleted_at");
    Ok(tx.fetch_where(&query).await?.pop())
}

/// A new row; users, project and roles are there.
pub(crate) async fn insert(tx: &mut Tx, trust: &Trust) -> Result<(), Error> {
    for user in [&trust.trustor_user_id, &trust.trustee_user_id] {
        super::users::there(tx, user.as_str()).await?;
    }
    if let Some(project) = &trust.project_id {
        super::projects::there(tx, project.as_str()).await?;
    }
    for role in &trust.role_ids {
        super::roles::there(tx, role).await?;
    }
    tx.exec(
        "INSERT INTO trusts (id, trustor_user_id, trustee_user_id, project_id, impersonation, \
         expires_at, remaining_uses, redelegated_trust_id, redelegation_count, role_ids, \
         deleted_at, extra) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $11)",
        args![
            trust.id,
            trust.trustor_user_id,
            trust.trustee_user_id,
            trust.project_id,
            trust.impersonation,
            trust.expires_at,
            trust.remaining_uses,
            trust.redelegated_trust_id,
            trust.redelegation_count,
            json(&trust.role_ids),
            json(&trust.extra)
        ],
    )
    .await?;
    Ok(())
}

/// Uses a trust once; says whether a use was left. Two log-ins at once cannot share the last one.
pub(crate) async fn consume(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let changed = tx
        .exec(
            "UPDATE trusts SET remaining_uses = remaining_uses - 1 \
             WHERE id = $1 AND deleted_at IS NULL AND (remaining_uses IS NULL OR remaining_uses > 0)",
            args![id],
        )
        .await?;
    Ok(changed > 0)
}

/// Takes back a trust that is in force.
pub(crate) async fn remove(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE trusts SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL",
        args![now, id],
    )
    .await?;
    Ok(())
}

/// A trust and all that were made from it and are in force, however far; itself first.
pub(crate) async fn with_offspring(tx: &mut Tx, id: &str) -> Result<Vec<String>, Error> {
    let mut found = vec![id.to_owned()];
    let mut seen = 0;
    while let Some(next) = found.get(seen).cloned() {
        let sql = "SELECT id FROM trusts WHERE redelegated_trust_id = $1 AND deleted_at IS NULL";
        let made: Vec<String> = tx.fetch_all(sql, args![next]).await?;
        found.extend(made);
        seen += 1;
    }
    Ok(found)
}

/// The trusts from and to a user, and all that were made from them, each once.
pub(crate) async fn of_user(tx: &mut Tx, user_id: &str) -> Result<Vec<String>, Error> {
    let own: Vec<String> = tx
        .fetch_all(
            "SELECT id FROM trusts WHERE trustor_user_id = $1 OR trustee_user_id = $1",
            args![user_id],
        )
        .await?;
    let mut found = BTreeSet::new();
    for id in own {
        if !found.contains(&id) {
            found.extend(with_offspring(tx, &id).await?);
        }
    }
    Ok(found.into_iter().collect())
}
