//! Application credentials, access rules and other credentials.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};

use super::{json, parse};
use crate::model::access::{AccessRule, AppCredential, Credential};
use crate::model::assignment::ActorKind;

const SELECT_APP: &str = "SELECT id, name, user_id, project_id, hash, description, expires_at, \
     unrestricted, role_ids, has_rules FROM app_credentials";
const SELECT_RULE: &str = "SELECT id, user_id, service, method, path FROM access_rules";
const SELECT_CREDENTIAL: &str =
    "SELECT id, user_id, project_id, type, blob, extra FROM credentials";

impl FromRow for AppCredential {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            user_id: row.get("user_id")?,
            project_id: row.get("project_id")?,
            hash: row.get("hash")?,
            description: row.get("description")?,
            expires_at: row.get("expires_at")?,
            unrestricted: row.get("unrestricted")?,
            role_ids: parse(row, "role_ids")?,
            has_rules: row.get("has_rules")?,
        })
    }
}

impl FromRow for AccessRule {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            user_id: row.get("user_id")?,
            service: row.get("service")?,
            method: row.get("method")?,
            path: row.get("path")?,
        })
    }
}

impl FromRow for Credential {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            user_id: row.get("user_id")?,
            project_id: row.get("project_id")?,
            kind: row.get("type")?,
            blob: row.get("blob")?,
            extra: parse(row, "extra")?,
        })
    }
}

/// The application credential.
pub(crate) async fn app(db: &Db, id: &str) -> Result<Option<AppCredential>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT_APP).eq("id", id))
        .await?
        .pop())
}

/// A user's, of one name where asked.
pub(crate) async fn apps_of(
    db: &Db,
    user_id: &str,
    name: Option<&str>,
) -> Result<Vec<AppCredential>, Error> {
    let query = Where::new(SELECT_APP)
        .eq("user_id", user_id)
        .eq_opt("name", name);
    db.fetch_where(&query).await
}

/// A new row, whose user, project and roles are there, and its rules, which are there.
pub(crate) async fn insert_app(
    tx: &mut Tx,
    app: &AppCredential,
    rules: &[AccessRule],
) -> Result<(), Error> {
    super::users::there(tx, app.user_id.as_str()).await?;
    super::projects::there(tx, app.project_id.as_str()).await?;
    for role in &app.role_ids {
        super::roles::there(tx, role).await?;
    }
    tx.exec(
        "INSERT INTO app_credentials (id, name, user_id, project_id, hash, description, \
         expires_at, unrestricted, role_ids, has_rules) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        args![
            app.id,
            app.name,
            app.user_id,
            app.project_id,
            app.hash,
            app.description,
            app.expires_at,
            app.unrestricted,
            json(&app.role_ids),
            app.has_rules
        ],
    )
    .await?;
    for rule in rules {
        tx.exec(
            "INSERT INTO app_credential_rules (app_credential_id, access_rule_id) \
             VALUES ($1, $2) ON CONFLICT DO NOTHING",
            args![app.id, rule.id],
        )
        .await?;
    }
    Ok(())
}

/// Removes an application credential; its rules stay for others.
pub(crate) async fn remove_app(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM app_credential_rules WHERE app_credential_id = $1",
        args![id],
    )
    .await?;
    tx.exec_some("DELETE FROM app_credentials WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// The application credentials that may have had a role by an assignment: of one user, or of a group's users.
pub(crate) async fn apps_of_actor(
    tx: &mut Tx,
    kind: ActorKind,
    id: &str,
) -> Result<Vec<AppCredential>, Error> {
    let query = Where::new(SELECT_APP);
    let query = match kind {
        ActorKind::User => query.eq("user_id", id),
        ActorKind::Group => query.raw(
            "user_id IN (SELECT user_id FROM memberships WHERE group_id = {})",
            args![id],
        ),
    };
    tx.fetch_where(&query).await
}

/// The application credentials that name a role, and those of the users who have it somewhere.
pub(crate) async fn apps_of_role(tx: &mut Tx, role_id: &str) -> Result<Vec<AppCredential>, Error> {
    let quoted = format!("\"{role_id}\"");
    let named = Where::group().contains("role_ids", &quoted);
    let given = Where::group().raw(
        "user_id IN (SELECT actor_id FROM assignments WHERE actor_kind = 'user' AND role_id = {} \
         UNION SELECT m.user_id FROM memberships m JOIN assignments a ON a.actor_kind = 'group' \
         AND a.actor_id = m.group_id WHERE a.role_id = {})",
        args![role_id, role_id],
    );
    tx.fetch_where(&Where::new(SELECT_APP).any(vec![named, given]))
        .await
}

/// The rules of an application credential.
pub(crate) async fn rules_of_app(db: &Db, id: &str) -> Result<Vec<AccessRule>, Error> {
    let query = Where::new(SELECT_RULE).raw(
        "id IN (SELECT access_rule_id FROM app_credential_rules WHERE app_credential_id = {})",
        args![id],
    );
    db.fetch_where(&query).await
}

/// A user's access rules.
pub(crate) async fn rules_of_user(db: &Db, user_id: &str) -> Result<Vec<AccessRule>, Error> {
    db.fetch_where(&Where::new(SELECT_RULE).eq("user_id", user_id))
        .await
}

/// A user's access rules inside a transaction that uses or adds some.
pub(crate) async fn rules_of_user_in(tx: &mut Tx, user_id: &str) -> Result<Vec<AccessRule>, Error> {
    tx.fetch_where(&Where::new(SELECT_RULE).eq("user_id", user_id))
        .await
}

/// A new row of a user who is there.
pub(crate) async fn insert_rule(tx: &mut Tx, rule: &AccessRule) -> Result<(), Error> {
    super::users::there(tx, &rule.user_id).await?;
    tx.exec(
        "INSERT INTO access_rules (id, user_id, service, method, path) VALUES ($1, $2, $3, $4, $5)",
        args![rule.id, rule.user_id, rule.service, rule.method, rule.path],
    )
    .await?;
    Ok(())
}

/// The access rule.
pub(crate) async fn rule(db: &Db, id: &str) -> Result<Option<AccessRule>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT_RULE).eq("id", id))
        .await?
        .pop())
}

/// How many application credentials use a rule.
pub(crate) async fn count_uses(tx: &mut Tx, rule_id: &str) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM app_credential_rules WHERE access_rule_id = $1";
    tx.fetch_scalar(sql, args![rule_id]).await
}

/// Removes a rule.
pub(crate) async fn remove_rule(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM access_rules WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// The credential.
pub(crate) async fn credential(db: &Db, id: &str) -> Result<Option<Credential>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT_CREDENTIAL).eq("id", id))
        .await?
        .pop())
}

/// Credentials, of one user and of one type where asked.
pub(crate) async fn credentials(
    db: &Db,
    user_id: Option<&str>,
    kind: Option<&str>,
) -> Result<Vec<Credential>, Error> {
    let query = Where::new(SELECT_CREDENTIAL)
        .eq_opt("user_id", user_id)
        .eq_opt("type", kind);
    db.fetch_where(&query).await
}

/// A new row of a user who is there.
pub(crate) async fn insert_credential(tx: &mut Tx, new: &Credential) -> Result<(), Error> {
    super::users::there(tx, new.user_id.as_str()).await?;
    tx.exec(
        "INSERT INTO credentials (id, user_id, project_id, type, blob, extra) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            new.id,
            new.user_id,
            new.project_id,
            new.kind,
            new.blob,
            json(&new.extra)
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update_credential(
    tx: &mut Tx,
    before: &Credential,
    new: &Credential,
) -> Result<(), Error> {
    let row = Where::new(SELECT_CREDENTIAL).eq("id", &new.id);
    tx.still(&row, before).await?;
    super::users::there(tx, new.user_id.as_str()).await?;
    tx.exec(
        "UPDATE credentials SET user_id = $1, project_id = $2, type = $3, blob = $4, extra = $5 \
         WHERE id = $6",
        args![
            new.user_id,
            new.project_id,
            new.kind,
            new.blob,
            json(&new.extra),
            new.id
        ],
    )
    .await?;
    Ok(())
}

/// Removes it.
pub(crate) async fn remove_credential(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM credentials WHERE id = $1", args![id])
        .await?;
    Ok(())
}
