//! Roles and which imply which.

use std::collections::BTreeMap;

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::DomainId;

use super::groups::Pair;
use super::{json, none_if_empty, parse};
use crate::model::assignment::Implications;
use crate::model::directory::Role;

const SELECT: &str = "SELECT id, name, domain_id, description, options, extra FROM roles";

impl FromRow for Role {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            domain_id: none_if_empty(row.get("domain_id")?).map(DomainId),
            description: row.get("description")?,
            options: parse(row, "options")?,
            extra: parse(row, "extra")?,
        })
    }
}

/// The role.
pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<Role>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .pop())
}

/// Every role.
pub(crate) async fn list(db: &Db) -> Result<Vec<Role>, Error> {
    db.fetch_all(SELECT, args![]).await
}

/// Which roles imply which.
pub(crate) async fn implications(db: &Db) -> Result<Implications, Error> {
    let pairs: Vec<Pair> = db
        .fetch_all(
            "SELECT prior_id AS a, implied_id AS b FROM implied_roles",
            args![],
        )
        .await?;
    let mut found = BTreeMap::<_, std::collections::BTreeSet<_>>::new();
    for Pair(prior, implied) in pairs {
        found.entry(prior).or_default().insert(implied);
    }
    Ok(Implications(found))
}

/// Makes sure that a role that was read is still as it was.
pub(crate) async fn still(tx: &mut Tx, before: &Role) -> Result<(), Error> {
    let row = Where::new(SELECT).eq("id", &before.id);
    tx.still(&row, before).await
}

/// Makes sure that a role that was seen is still there.
pub(super) async fn there(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "SELECT id FROM roles WHERE id = $1";
    tx.still_there(sql, args![id]).await
}

/// A new row, of a domain that is there or of none.
pub(crate) async fn insert(tx: &mut Tx, role: &Role) -> Result<(), Error> {
    if let Some(domain) = &role.domain_id {
        super::projects::there(tx, domain.as_str()).await?;
    }
    tx.exec(
        "INSERT INTO roles (id, name, domain_id, description, options, extra) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            role.id,
            role.name,
            role.domain_id.as_ref().map_or("", DomainId::as_str),
            role.description,
            json(&role.options),
            json(&role.extra)
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update(tx: &mut Tx, before: &Role, role: &Role) -> Result<(), Error> {
    still(tx, before).await?;
    tx.exec(
        "UPDATE roles SET name = $1, description = $2, options = $3, extra = $4 WHERE id = $5",
        args![
            role.name,
            role.description,
            json(&role.options),
            json(&role.extra),
            role.id
        ],
    )
    .await?;
    Ok(())
}

/// The role, its assignments and its implications.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    for statement in [
        "DELETE FROM assignments WHERE role_id = $1",
        "DELETE FROM implied_roles WHERE prior_id = $1 OR implied_id = $1",
    ] {
        tx.exec(statement, args![id]).await?;
    }
    tx.exec_some("DELETE FROM roles WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// The ids of the roles that a domain owns.
pub(crate) async fn of_domain(tx: &mut Tx, domain_id: &str) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT id FROM roles WHERE domain_id = $1",
        args![domain_id],
    )
    .await
}

/// From now on, whoever has `prior` has `implied` too; both are there.
pub(crate) async fn imply(tx: &mut Tx, prior: &str, implied: &str) -> Result<(), Error> {
    there(tx, prior).await?;
    there(tx, implied).await?;
    tx.exec(
        "INSERT INTO implied_roles (prior_id, implied_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        args![prior, implied],
    )
    .await?;
    Ok(())
}

/// No longer; says whether it was so.
pub(crate) async fn unimply(tx: &mut Tx, prior: &str, implied: &str) -> Result<bool, Error> {
    let changed = tx
        .exec(
            "DELETE FROM implied_roles WHERE prior_id = $1 AND implied_id = $2",
            args![prior, implied],
        )
        .await?;
    Ok(changed > 0)
}
