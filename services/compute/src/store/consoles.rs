//! Links to consoles in SQL.

use nephos_db::{Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use crate::model::console::ConsoleKind;
use crate::model::spec::ServerId;

/// What a link opens.
#[derive(Debug)]
pub(crate) struct Link {
    pub server_id: ServerId,
    pub kind: ConsoleKind,
}

impl FromRow for Link {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let word: String = row.get("kind")?;
        let kind = ConsoleKind::parse(&word);
        Ok(Self {
            server_id: row.get("server_id")?,
            kind: kind.ok_or_else(|| Error::damaged(format!("console_links.kind: {word}")))?,
        })
    }
}

pub(crate) async fn insert(
    tx: &mut Tx,
    token_hash: &str,
    link: &Link,
    expires_at: Timestamp,
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO console_links (token_hash, server_id, kind, expires_at) VALUES ($1, $2, $3, $4)",
        args![token_hash, link.server_id, link.kind.word(), expires_at],
    )
    .await?;
    Ok(())
}

pub(crate) async fn find(
    tx: &mut Tx,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<Link>, Error> {
    let sql = "SELECT server_id, kind FROM console_links WHERE token_hash = $1 AND expires_at > $2";
    let found: Vec<Link> = tx.fetch_all(sql, args![token_hash, now]).await?;
    Ok(found.into_iter().next())
}

/// Uses a link up; says whether nobody was quicker.
pub(crate) async fn remove(tx: &mut Tx, token_hash: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM console_links WHERE token_hash = $1";
    Ok(tx.exec(sql, args![token_hash]).await? == 1)
}

/// Links that nobody used in time.
pub(crate) async fn prune(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    let sql = "DELETE FROM console_links WHERE expires_at <= $1";
    tx.exec(sql, args![now]).await
}
