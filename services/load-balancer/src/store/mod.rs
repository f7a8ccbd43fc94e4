//! SQL: one file per table or aggregate.

pub(crate) mod balancers;
pub(crate) mod check;
pub(crate) mod hosts;
pub(crate) mod listing;
pub(crate) mod parts;
pub(crate) mod quotas;

use nephos_db::{Error, FromRow, Row, Tx, args};

/// A text of a closed vocabulary, or JSON, as the database has it.
fn read<T>(row: &Row, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| Error::damaged(format!("{column}: {text}")))
}

fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, Error> {
    read(row, column, |text| serde_json::from_str(text).ok())
}

fn text<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|why| Error::damaged(why.to_string()))
}

/// Writes what lists are filtered by.
async fn set_tags(tx: &mut Tx, owner: &str, tags: &[String]) -> Result<(), Error> {
    tx.exec("DELETE FROM tags WHERE owner_id = $1", args![owner])
        .await?;
    let rows: Vec<_> = tags.iter().map(|tag| args![owner, tag]).collect();
    if !rows.is_empty() {
        tx.exec_rows("INSERT INTO tags (owner_id, tag)", &rows, "")
            .await?;
    }
    Ok(())
}

/// A number that a query counts.
struct Count(i64);

impl FromRow for Count {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("number")?))
    }
}
