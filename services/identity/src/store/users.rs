//! Users, their passwords and their failed log-ins.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::{Timestamp, UserId};

use super::{json, parse};
use crate::model::directory::User;
use crate::model::password::{Failures, Lockout};

const SELECT: &str = "SELECT u.id, u.name, u.domain_id, u.enabled, u.default_project_id, \
     u.options, u.extra FROM users u";

impl FromRow for User {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            domain_id: row.get("domain_id")?,
            enabled: row.get("enabled")?,
            default_project_id: row.get("default_project_id")?,
            password_expires_at: None,
            options: parse(row, "options")?,
            extra: parse(row, "extra")?,
        })
    }
}

impl FromRow for Failures {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            failures: row.get("failures")?,
            last_at: row.get("last_at")?,
        })
    }
}

/// The user.
pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<User>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("u.id", id))
        .await?
        .pop())
}

/// The user of that name in a domain.
pub(crate) async fn find(db: &Db, domain_id: &str, name: &str) -> Result<Option<User>, Error> {
    let query = Where::new(SELECT)
        .eq("u.domain_id", domain_id)
        .eq("u.name", name);
    Ok(db.fetch_where(&query).await?.pop())
}

/// Users, of one domain or of one name where asked.
pub(crate) async fn list(
    db: &Db,
    domain_id: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<User>, Error> {
    fetch(db, &query(domain_id, name)).await
}

/// The query for users, of one domain or of one name where asked.
pub(crate) fn query(domain_id: Option<&str>, name: Option<&str>) -> Where {
    Where::new(SELECT)
        .eq_opt("u.domain_id", domain_id)
        .eq_opt("u.name", name)
}

/// The users of a query.
pub(crate) async fn fetch(db: &Db, query: &Where) -> Result<Vec<User>, Error> {
    db.fetch_where(query).await
}

/// The users of a group.
pub(crate) async fn of_group(db: &Db, group_id: &str) -> Result<Vec<User>, Error> {
    let query = Where::new(SELECT).raw(
        "u.id IN (SELECT user_id FROM memberships WHERE group_id = {})",
        args![group_id],
    );
    db.fetch_where(&query).await
}

/// A new row.
pub(crate) async fn insert(tx: &mut Tx, user: &User) -> Result<(), Error> {
    super::projects::there(tx, user.domain_id.as_str()).await?;
    tx.exec(
        "INSERT INTO users (id, name, domain_id, enabled, default_project_id, options, extra) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            user.id,
            user.name,
            user.domain_id,
            user.enabled,
            user.default_project_id,
            json(&user.options),
            json(&user.extra)
        ],
    )
    .await?;
    Ok(())
}

/// Makes sure that a user that was read is still as it was.
pub(crate) async fn still(tx: &mut Tx, before: &User) -> Result<(), Error> {
    let row = Where::new(SELECT).eq("u.id", &before.id);
    tx.still(&row, before).await
}

/// Makes sure that a user that was seen is still there.
pub(super) async fn there(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "SELECT id FROM users WHERE id = $1";
    tx.still_there(sql, args![id]).await
}

/// The ids of a domain's users.
pub(crate) async fn of_domain(tx: &mut Tx, domain_id: &str) -> Result<Vec<String>, Error> {
    let sql = "SELECT id FROM users WHERE domain_id = $1";
    tx.fetch_all(sql, args![domain_id]).await
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update(tx: &mut Tx, before: &User, user: &User) -> Result<(), Error> {
    still(tx, before).await?;
    tx.exec(
        "UPDATE users SET name = $1, enabled = $2, default_project_id = $3, options = $4, \
         extra = $5 WHERE id = $6",
        args![
            user.name,
            user.enabled,
            user.default_project_id,
            json(&user.options),
            json(&user.extra),
            user.id
        ],
    )
    .await?;
    Ok(())
}

/// The user and everything that only hangs on it; gives the trusts that ended with it.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<Vec<String>, Error> {
    let trusts = super::trusts::of_user(tx, id).await?;
    for trust in &trusts {
        tx.exec("DELETE FROM trusts WHERE id = $1", args![trust])
            .await?;
    }
    for statement in [
        "DELETE FROM passwords WHERE user_id = $1",
        "DELETE FROM login_failures WHERE subject = $1",
        "DELETE FROM memberships WHERE user_id = $1",
        "DELETE FROM assignments WHERE actor_id = $1 AND actor_kind = 'user'",
        "DELETE FROM credentials WHERE user_id = $1",
        "DELETE FROM app_credential_rules WHERE app_credential_id IN \
         (SELECT id FROM app_credentials WHERE user_id = $1)",
        "DELETE FROM app_credentials WHERE user_id = $1",
        "DELETE FROM access_rules WHERE user_id = $1",
    ] {
        tx.exec(statement, args![id]).await?;
    }
    tx.exec_some("DELETE FROM users WHERE id = $1", args![id])
        .await?;
    Ok(trusts)
}

/// The hashes of a user's last passwords, the one in force first.
pub(crate) async fn passwords(db: &Db, id: &UserId) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT hash FROM passwords WHERE user_id = $1 ORDER BY created_at DESC LIMIT 50",
        args![id],
    )
    .await
}

/// Makes sure that a password is still the one in force.
pub(crate) async fn still_in_force(tx: &mut Tx, id: &UserId, hash: &str) -> Result<(), Error> {
    tx.still_there(
        "SELECT hash FROM passwords WHERE user_id = $1 AND hash = $2 AND created_at = \
         (SELECT MAX(created_at) FROM passwords WHERE user_id = $1)",
        args![id, hash],
    )
    .await
}

/// A new password in force; of the older ones so many stay.
pub(crate) async fn set_password(
    tx: &mut Tx,
    id: &UserId,
    hash: &str,
    keep: (Timestamp, usize),
) -> Result<(), Error> {
    let (now, older) = keep;
    // Two changes in one microsecond would be one row: the newer wins.
    tx.exec(
        "INSERT INTO passwords (user_id, created_at, hash) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id, created_at) DO UPDATE SET hash = excluded.hash",
        args![id, now, hash],
    )
    .await?;
    let all: Vec<i64> = tx
        .fetch_all(
            "SELECT created_at FROM passwords WHERE user_id = $1 ORDER BY created_at DESC",
            args![id],
        )
        .await?;
    if let Some(oldest) = all.get(older) {
        tx.exec(
            "DELETE FROM passwords WHERE user_id = $1 AND created_at < $2",
            args![id, *oldest],
        )
        .await?;
    }
    Ok(())
}

/// Leaves the user without any password.
pub(crate) async fn remove_passwords(tx: &mut Tx, id: &UserId) -> Result<(), Error> {
    tx.exec("DELETE FROM passwords WHERE user_id = $1", args![id])
        .await?;
    Ok(())
}

/// Failed log-ins of a user; of users that do not exist under ''.
pub(crate) async fn failures(db: &Db, subject: &str) -> Result<Failures, Error> {
    let found = db
        .fetch_opt(
            "SELECT failures, last_at FROM login_failures WHERE subject = $1",
            args![subject],
        )
        .await?;
    Ok(found.unwrap_or_default())
}

/// One more, unless the user is gone. Failures before a lock that is over do not count; counted by the database, so
/// that none is lost.
pub(crate) async fn count_failure(
    tx: &mut Tx,
    subject: &str,
    lockout: Lockout,
    now: Timestamp,
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO login_failures (subject, failures, last_at) \
         SELECT CAST($1 AS TEXT), 1, CAST($2 AS BIGINT) \
         WHERE $1 = '' OR EXISTS (SELECT 1 FROM users WHERE id = $1) \
         ON CONFLICT (subject) DO UPDATE SET last_at = excluded.last_at, \
         failures = CASE WHEN login_failures.failures >= $3 AND login_failures.last_at < $4 \
         THEN 1 ELSE login_failures.failures + 1 END",
        args![subject, now, lockout.tries, now.plus_secs(-lockout.secs)],
    )
    .await?;
    Ok(())
}

/// Forgets them.
pub(crate) async fn clear_failures(tx: &mut Tx, subject: &str) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM login_failures WHERE subject = $1",
        args![subject],
    )
    .await?;
    Ok(())
}
