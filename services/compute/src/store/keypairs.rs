//! Key pairs in SQL.

use nephos_db::{Db, Error, FromRow, Page, Row, Tx, Where, args};

use crate::model::keypair::KeyPair;

impl FromRow for KeyPair {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            user_id: row.get("user_id")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            public_key: row.get("public_key")?,
            fingerprint: row.get("fingerprint")?,
            created_at: row.get("created_at")?,
        })
    }
}

const SELECT: &str =
    "SELECT user_id, name, kind, public_key, fingerprint, created_at FROM keypairs";

pub(crate) async fn list(db: &Db, user: &str, page: Page) -> Result<Vec<KeyPair>, Error> {
    db.fetch_where(&Where::new(SELECT).eq("user_id", user).page(page))
        .await
}

pub(crate) async fn get(db: &Db, user: &str, name: &str) -> Result<Option<KeyPair>, Error> {
    let query = Where::new(SELECT).eq("user_id", user).eq("name", name);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn count(tx: &mut Tx, user: &str) -> Result<i64, Error> {
    tx.fetch_scalar(
        "SELECT COUNT(*) FROM keypairs WHERE user_id = $1",
        args![user],
    )
    .await
}

/// Says whether the name was free.
pub(crate) async fn insert(tx: &mut Tx, key: &KeyPair) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO keypairs (user_id, name, kind, public_key, fingerprint, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            args![
                key.user_id,
                key.name,
                key.kind,
                key.public_key,
                key.fingerprint,
                key.created_at
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Says whether it was there.
pub(crate) async fn remove(tx: &mut Tx, user: &str, name: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM keypairs WHERE user_id = $1 AND name = $2";
    Ok(tx.exec(sql, args![user, name]).await? == 1)
}
