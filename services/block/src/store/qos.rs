//! QoS specs, and the types that they are of.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::qos::{Consumer, Qos};

const SELECT: &str = "SELECT id, name, consumer, specs, created_at, updated_at FROM qos_specs";

/// The keys that lists can be sorted by.
pub(crate) const SORT_KEYS: &[&str] = &["id", "name", "consumer", "created_at"];

impl FromRow for Qos {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let (consumer, specs): (String, String) = (row.get("consumer")?, row.get("specs")?);
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            consumer: Consumer::parse(&consumer)
                .ok_or_else(|| Error::damaged(format!("QoS consumer {consumer}")))?,
            specs: serde_json::from_str(&specs)
                .map_err(|why| Error::damaged(format!("QoS specs: {why}")))?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// All that fit, in the order of a key.
pub(crate) async fn list(
    db: &Db,
    filters: &[(&'static str, String)],
    (key, down): (&str, bool),
) -> Result<Vec<Qos>, Error> {
    let column = SORT_KEYS.iter().find(|known| **known == key);
    let direction = match down {
        true => Direction::Desc,
        false => Direction::Asc,
    };
    let mut select = Where::new(SELECT);
    for (name, value) in filters {
        select = select.eq(name, value);
    }
    let column = column.copied().unwrap_or("created_at");
    let select = select.page(Page {
        sort: vec![(column, direction), ("id", direction)],
        ..Page::default()
    });
    db.fetch_where(&select).await
}

pub(crate) async fn find(db: &Db, id: &str) -> Result<Option<Qos>, Error> {
    let found = db.fetch_where(&Where::new(SELECT).eq("id", id)).await?;
    Ok(found.into_iter().next())
}

pub(crate) async fn find_in(tx: &mut Tx, id: &str) -> Result<Option<Qos>, Error> {
    let found = tx.fetch_where(&Where::new(SELECT).eq("id", id)).await?;
    Ok(found.into_iter().next())
}

/// Those of a type, if any.
pub(crate) async fn of_type_in(tx: &mut Tx, type_id: &str) -> Result<Option<Qos>, Error> {
    let own = "id = (SELECT qos_id FROM types WHERE types.id = {})";
    let found = tx
        .fetch_where(&Where::new(SELECT).raw(own, args![type_id]))
        .await?;
    Ok(found.into_iter().next())
}

/// Likewise, outside a transaction.
pub(crate) async fn of_type(db: &Db, type_id: &str) -> Result<Option<Qos>, Error> {
    let own = "id = (SELECT qos_id FROM types WHERE types.id = {})";
    let found = db
        .fetch_where(&Where::new(SELECT).raw(own, args![type_id]))
        .await?;
    Ok(found.into_iter().next())
}

fn text(qos: &Qos) -> String {
    serde_json::to_string(&qos.specs).unwrap_or_default()
}

/// False when the name is taken.
pub(crate) async fn insert(tx: &mut Tx, new: &Qos) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO qos_specs (id, name, consumer, specs, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING",
            args![
                new.id,
                new.name,
                new.consumer.as_str(),
                text(new),
                new.created_at
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Writes who keeps to them, and what they are.
pub(crate) async fn update(tx: &mut Tx, changed: &Qos) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE qos_specs SET consumer = $1, specs = $2, updated_at = $3 WHERE id = $4",
        args![
            changed.consumer.as_str(),
            text(changed),
            changed.updated_at,
            changed.id
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM qos_specs WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// A type that QoS specs are of.
pub(crate) struct Association {
    pub type_id: String,
    pub name: String,
}

impl FromRow for Association {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            type_id: row.get("id")?,
            name: row.get("name")?,
        })
    }
}

const TYPES: &str = "SELECT id, name FROM types";

pub(crate) async fn associations(db: &Db, id: &str) -> Result<Vec<Association>, Error> {
    let sort = vec![("name", Direction::Asc)];
    let select = Where::new(TYPES).eq("qos_id", id).page(Page {
        sort,
        ..Page::default()
    });
    db.fetch_where(&select).await
}

/// The types that they are of, as the transaction sees them.
pub(crate) async fn associations_in(tx: &mut Tx, id: &str) -> Result<Vec<Association>, Error> {
    tx.fetch_where(&Where::new(TYPES).eq("qos_id", id)).await
}

/// Makes them those of a type; false when it is not there.
pub(crate) async fn associate(
    tx: &mut Tx,
    id: &str,
    type_id: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE types SET qos_id = $1, updated_at = $2 WHERE id = $3";
    Ok(tx.exec(sql, args![id, now, type_id]).await? == 1)
}

/// Makes them those of a type no longer, if they were; false when it is not there.
pub(crate) async fn disassociate(
    tx: &mut Tx,
    id: &str,
    type_id: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE types SET qos_id = CASE WHEN qos_id = $1 THEN NULL ELSE qos_id END, updated_at = $2 WHERE id = $3";
    Ok(tx.exec(sql, args![id, now, type_id]).await? == 1)
}

/// Makes them no type's.
pub(crate) async fn disassociate_all(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec(
        "UPDATE types SET qos_id = NULL WHERE qos_id = $1",
        args![id],
    )
    .await?;
    Ok(())
}
