//! Groups and who is in them.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};

use super::{json, parse};
use crate::model::directory::Group;

const SELECT: &str = "SELECT id, name, domain_id, description, extra FROM groups";

impl FromRow for Group {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            domain_id: row.get("domain_id")?,
            description: row.get("description")?,
            extra: parse(row, "extra")?,
        })
    }
}

/// The group.
pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<Group>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .pop())
}

/// Groups, of one domain or of one name where asked.
pub(crate) async fn list(
    db: &Db,
    domain_id: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Group>, Error> {
    let query = Where::new(SELECT)
        .eq_opt("domain_id", domain_id)
        .eq_opt("name", name);
    db.fetch_where(&query).await
}

/// The groups of a user.
pub(crate) async fn of_user(db: &Db, user_id: &str) -> Result<Vec<Group>, Error> {
    let query = Where::new(SELECT).raw(
        "id IN (SELECT group_id FROM memberships WHERE user_id = {})",
        args![user_id],
    );
    db.fetch_where(&query).await
}

/// The ids of a group's users.
pub(crate) async fn members(tx: &mut Tx, id: &str) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT user_id FROM memberships WHERE group_id = $1",
        args![id],
    )
    .await
}

/// Every membership: (group, user).
pub(crate) async fn memberships(db: &Db) -> Result<Vec<(String, String)>, Error> {
    let rows: Vec<Pair> = db
        .fetch_all(
            "SELECT group_id AS a, user_id AS b FROM memberships",
            args![],
        )
        .await?;
    Ok(rows.into_iter().map(|pair| (pair.0, pair.1)).collect())
}

/// Two texts of a row.
pub(super) struct Pair(pub String, pub String);

impl FromRow for Pair {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("a")?, row.get("b")?))
    }
}

/// Whether a user is in a group.
pub(crate) async fn is_member(db: &Db, id: &str, user_id: &str) -> Result<bool, Error> {
    let found: Option<String> = db
        .fetch_opt(
            "SELECT user_id FROM memberships WHERE group_id = $1 AND user_id = $2",
            args![id, user_id],
        )
        .await?;
    Ok(found.is_some())
}

/// A new row.
pub(crate) async fn insert(tx: &mut Tx, group: &Group) -> Result<(), Error> {
    super::projects::there(tx, group.domain_id.as_str()).await?;
    tx.exec(
        "INSERT INTO groups (id, name, domain_id, description, extra) VALUES ($1, $2, $3, $4, $5)",
        args![
            group.id,
            group.name,
            group.domain_id,
            group.description,
            json(&group.extra)
        ],
    )
    .await?;
    Ok(())
}

/// Makes sure that a group that was seen is still there.
pub(super) async fn there(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "SELECT id FROM groups WHERE id = $1";
    tx.still_there(sql, args![id]).await
}

/// The ids of a domain's groups.
pub(crate) async fn of_domain(tx: &mut Tx, domain_id: &str) -> Result<Vec<String>, Error> {
    let sql = "SELECT id FROM groups WHERE domain_id = $1";
    tx.fetch_all(sql, args![domain_id]).await
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update(tx: &mut Tx, before: &Group, group: &Group) -> Result<(), Error> {
    let row = Where::new(SELECT).eq("id", &group.id);
    tx.still(&row, before).await?;
    tx.exec(
        "UPDATE groups SET name = $1, description = $2, extra = $3 WHERE id = $4",
        args![group.name, group.description, json(&group.extra), group.id],
    )
    .await?;
    Ok(())
}

/// The group, its memberships and its assignments.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    for statement in [
        "DELETE FROM memberships WHERE group_id = $1",
        "DELETE FROM assignments WHERE actor_id = $1 AND actor_kind = 'group'",
    ] {
        tx.exec(statement, args![id]).await?;
    }
    tx.exec_some("DELETE FROM groups WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Puts a user into a group, both of which are there.
pub(crate) async fn add(tx: &mut Tx, id: &str, user_id: &str) -> Result<(), Error> {
    there(tx, id).await?;
    super::users::there(tx, user_id).await?;
    tx.exec(
        "INSERT INTO memberships (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        args![id, user_id],
    )
    .await?;
    Ok(())
}

/// Takes a user out of a group; says whether it was in.
pub(crate) async fn take_out(tx: &mut Tx, id: &str, user_id: &str) -> Result<bool, Error> {
    let changed = tx
        .exec(
            "DELETE FROM memberships WHERE group_id = $1 AND user_id = $2",
            args![id, user_id],
        )
        .await?;
    Ok(changed > 0)
}
