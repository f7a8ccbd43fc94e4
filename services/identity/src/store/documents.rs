//! Records of kinds that have no table of their own.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use super::{json, parse};
use crate::model::extra::Extra;

struct Body(Extra);

impl FromRow for Body {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(parse(row, "body")?))
    }
}

/// The record.
pub(crate) async fn get(
    db: &Db,
    kind: &str,
    parent: &str,
    id: &str,
) -> Result<Option<Extra>, Error> {
    let found: Option<Body> = db
        .fetch_opt(
            "SELECT body FROM documents WHERE kind = $1 AND parent = $2 AND id = $3",
            args![kind, parent, id],
        )
        .await?;
    Ok(found.map(|body| body.0))
}

/// Every record of a kind below a parent.
pub(crate) async fn list(db: &Db, kind: &str, parent: &str) -> Result<Vec<Extra>, Error> {
    let found: Vec<Body> = db
        .fetch_all(
            "SELECT body FROM documents WHERE kind = $1 AND parent = $2 ORDER BY id",
            args![kind, parent],
        )
        .await?;
    Ok(found.into_iter().map(|body| body.0).collect())
}

/// Every record of a kind below a parent, inside a transaction that changes one.
pub(crate) async fn list_in(tx: &mut Tx, kind: &str, parent: &str) -> Result<Vec<Extra>, Error> {
    let found: Vec<Body> = tx
        .fetch_all(
            "SELECT body FROM documents WHERE kind = $1 AND parent = $2 ORDER BY id",
            args![kind, parent],
        )
        .await?;
    Ok(found.into_iter().map(|body| body.0).collect())
}

/// Where a record stands: kind, parent, id.
pub(crate) type Place<'a> = (&'a str, &'a str, &'a str);

/// A new record; the one that it stands below is there.
pub(crate) async fn insert(tx: &mut Tx, place: Place<'_>, body: &Extra) -> Result<(), Error> {
    let (kind, parent, id) = place;
    for (above, _) in BELOW.iter().filter(|(_, below)| *below == kind) {
        let sql = "SELECT id FROM documents WHERE kind = $1 AND parent = '' AND id = $2";
        tx.still_there(sql, args![above, parent]).await?;
    }
    tx.exec(
        "INSERT INTO documents (kind, parent, id, body) VALUES ($1, $2, $3, $4)",
        args![kind, parent, id, json(body)],
    )
    .await?;
    Ok(())
}

/// The record as it is now, unless it is no longer `before`.
pub(crate) async fn update(
    tx: &mut Tx,
    place: Place<'_>,
    (before, body): (&Extra, &Extra),
) -> Result<(), Error> {
    let (kind, parent, id) = place;
    tx.exec_some(
        "UPDATE documents SET body = $1 WHERE kind = $2 AND parent = $3 AND id = $4 AND body = $5",
        args![json(body), kind, parent, id, json(before)],
    )
    .await?;
    Ok(())
}

/// Kinds that have something below them, and what that is.
const BELOW: [(&str, &str); 1] = [("identity_provider", "protocol")];

/// Removes a record and what stands below it; says whether it was there.
pub(crate) async fn remove(tx: &mut Tx, place: Place<'_>) -> Result<bool, Error> {
    let (kind, parent, id) = place;
    for (_, below) in BELOW.iter().filter(|(above, _)| *above == kind) {
        let sql = "DELETE FROM documents WHERE parent = $1 AND kind = $2";
        tx.exec(sql, args![id, below]).await?;
    }
    let changed = tx
        .exec(
            "DELETE FROM documents WHERE kind = $1 AND parent = $2 AND id = $3",
            args![kind, parent, id],
        )
        .await?;
    Ok(changed > 0)
}
