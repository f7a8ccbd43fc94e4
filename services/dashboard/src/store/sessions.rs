//! Who is signed in, and the tokens of each, sealed.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

/// A session's row.
#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    /// SHA-256 of its id.
    pub id_hash: String,
    pub user_id: String,
    pub user_name: String,
    pub domain_name: String,
    /// The token without a scope, sealed.
    pub token: String,
    pub created_at: Timestamp,
    /// When somebody last did something.
    pub seen_at: Timestamp,
    /// The end of its token.
    pub expires_at: Timestamp,
}

impl FromRow for SessionRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id_hash: row.get("id_hash")?,
            user_id: row.get("user_id")?,
            user_name: row.get("user_name")?,
            domain_name: row.get("domain_name")?,
            token: row.get("token")?,
            created_at: row.get("created_at")?,
            seen_at: row.get("seen_at")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

/// The session of this hash.
pub(crate) async fn get(db: &Db, id_hash: &str) -> Result<Option<SessionRow>, Error> {
    db.fetch_opt(
        "SELECT id_hash, user_id, user_name, domain_name, token, created_at, seen_at, expires_at \
         FROM sessions WHERE id_hash = $1",
        args![id_hash],
    )
    .await
}

/// Begins a session.
pub(crate) async fn insert(tx: &mut Tx, row: &SessionRow) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO sessions (id_hash, user_id, user_name, domain_name, token, created_at, seen_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            row.id_hash,
            row.user_id,
            row.user_name,
            row.domain_name,
            row.token,
            row.created_at,
            row.seen_at,
            row.expires_at
        ],
    )
    .await?;
    Ok(())
}

/// The hashes of a user's sessions, newest first.
pub(crate) async fn of_user(tx: &mut Tx, user_id: &str) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT id_hash FROM sessions WHERE user_id = $1 ORDER BY created_at DESC, id_hash",
        args![user_id],
    )
    .await
}

/// Notes that somebody did something.
pub(crate) async fn touch(db: &Db, id_hash: &str, now: Timestamp) -> Result<(), Error> {
    let mut tx = db.write().await?;
    tx.exec(
        "UPDATE sessions SET seen_at = $1 WHERE id_hash = $2 AND seen_at < $1",
        args![now, id_hash],
    )
    .await?;
    tx.commit().await
}

/// Ends a session: its tokens first.
pub(crate) async fn remove(tx: &mut Tx, id_hash: &str) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM project_tokens WHERE id_hash = $1",
        args![id_hash],
    )
    .await?;
    tx.exec("DELETE FROM sessions WHERE id_hash = $1", args![id_hash])
        .await?;
    Ok(())
}

/// Removes sessions whose tokens have ended.
pub(crate) async fn remove_ended(db: &Db, now: Timestamp) -> Result<(), Error> {
    let mut tx = db.write().await?;
    tx.exec(
        "DELETE FROM project_tokens WHERE expires_at <= $1",
        args![now],
    )
    .await?;
    tx.exec("DELETE FROM sessions WHERE expires_at <= $1", args![now])
        .await?;
    tx.commit().await
}

/// The sealed token of a session for a project, unless it ends before `until`.
pub(crate) async fn project_token(
    db: &Db,
    (id_hash, project): (&str, &str),
    until: Timestamp,
) -> Result<Option<String>, Error> {
    db.fetch_opt(
        "SELECT token FROM project_tokens WHERE id_hash = $1 AND project_id = $2 AND expires_at > $3",
        args![id_hash, project, until],
    )
    .await
}

/// Keeps the token of a session for a project; a session that has ended meanwhile keeps none.
pub(crate) async fn keep_project_token(
    db: &Db,
    (id_hash, project): (&str, &str),
    token: &str,
    expires_at: Timestamp,
) -> Result<(), Error> {
    let mut tx = db.write().await?;
    tx.exec(
        "INSERT INTO project_tokens (id_hash, project_id, token, expires_at) \
         SELECT id_hash, $1, $2, $3 FROM sessions WHERE id_hash = $4 \
         ON CONFLICT (id_hash, project_id) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at",
        args![project, token, expires_at, id_hash],
    )
    .await?;
    tx.commit().await
}

/// The hashes of sessions that are not there but of which there are tokens.
pub(crate) async fn orphans(db: &Db) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT DISTINCT id_hash FROM project_tokens \
         WHERE id_hash NOT IN (SELECT id_hash FROM sessions) ORDER BY id_hash",
        args![],
    )
    .await
}
