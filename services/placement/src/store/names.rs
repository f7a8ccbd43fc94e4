//! Custom resource classes and traits.

use nephos_db::{Db, Error, FromRow, Row, args};

use super::Writing;
use crate::model::providers::Custom;
use crate::model::{ClassName, TraitName, names};

impl FromRow for Custom {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.get("name")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Custom classes, oldest first.
pub(crate) async fn classes(db: &Db) -> Result<Vec<Custom>, Error> {
    db.fetch_all(
        "SELECT name, created_at FROM resource_classes ORDER BY created_in, name",
        args![],
    )
    .await
}

/// Custom traits, oldest first.
pub(crate) async fn traits(db: &Db) -> Result<Vec<Custom>, Error> {
    db.fetch_all(
        "SELECT name, created_at FROM traits ORDER BY created_in, name",
        args![],
    )
    .await
}

/// Whether there is such a class.
pub(crate) async fn has_class(w: &mut Writing, name: &ClassName) -> Result<bool, Error> {
    if names::is_standard_class(name.as_str()) {
        return Ok(true);
    }
    let count: i64 =
        w.tx.fetch_scalar(
            "SELECT COUNT(*) FROM resource_classes WHERE name = $1",
            args![name],
        )
        .await?;
    Ok(count > 0)
}

/// Whether there is such a trait.
pub(crate) async fn has_trait(w: &mut Writing, name: &TraitName) -> Result<bool, Error> {
    if names::is_standard_trait(name.as_str()) {
        return Ok(true);
    }
    let count: i64 =
        w.tx.fetch_scalar("SELECT COUNT(*) FROM traits WHERE name = $1", args![name])
            .await?;
    Ok(count > 0)
}

/// Makes a class; whether it was not there.
pub(crate) async fn insert_class(w: &mut Writing, name: &ClassName) -> Result<bool, Error> {
    let made =
        w.tx.exec(
            "INSERT INTO resource_classes (name, created_in, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO NOTHING",
            args![name, w.number, w.now],
        )
        .await?;
    changed(w).await?;
    Ok(made > 0)
}

/// Makes a trait; whether it was not there.
pub(crate) async fn insert_trait(w: &mut Writing, name: &TraitName) -> Result<bool, Error> {
    let made =
        w.tx.exec(
            "INSERT INTO traits (name, created_in, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO NOTHING",
            args![name, w.number, w.now],
        )
        .await?;
    changed(w).await?;
    Ok(made > 0)
}

/// Gives a class another name.
pub(crate) async fn rename_class(
    w: &mut Writing,
    old: &ClassName,
    new: &ClassName,
) -> Result<(), Error> {
    w.tx.exec(
        "UPDATE resource_classes SET name = $1 WHERE name = $2",
        args![new, old],
    )
    .await?;
    w.tx.exec(
        "UPDATE resource_providers SET revision = $1 WHERE uuid IN \
         (SELECT provider_uuid FROM inventories WHERE resource_class = $2)",
        args![w.number, old],
    )
    .await?;
    w.tx.exec(
        "UPDATE inventories SET resource_class = $1 WHERE resource_class = $2",
        args![new, old],
    )
    .await?;
    w.tx.exec(
        "UPDATE allocations SET resource_class = $1 WHERE resource_class = $2",
        args![new, old],
    )
    .await?;
    changed(w).await
}

/// How many providers have an inventory of the class.
pub(crate) async fn class_users(w: &mut Writing, name: &ClassName) -> Result<i64, Error> {
    w.tx.fetch_scalar(
        "SELECT COUNT(*) FROM inventories WHERE resource_class = $1",
        args![name],
    )
    .await
}

/// How many providers have the trait.
pub(crate) async fn trait_users(w: &mut Writing, name: &TraitName) -> Result<i64, Error> {
    w.tx.fetch_scalar(
        "SELECT COUNT(*) FROM provider_traits WHERE trait = $1",
        args![name],
    )
    .await
}

/// Removes a class that nobody uses.
pub(crate) async fn remove_class(w: &mut Writing, name: &ClassName) -> Result<(), Error> {
    w.tx.exec("DELETE FROM resource_classes WHERE name = $1", args![name])
        .await?;
    changed(w).await
}

/// Removes a trait that nobody uses.
pub(crate) async fn remove_trait(w: &mut Writing, name: &TraitName) -> Result<(), Error> {
    w.tx.exec("DELETE FROM traits WHERE name = $1", args![name])
        .await?;
    changed(w).await
}

async fn changed(w: &mut Writing) -> Result<(), Error> {
    w.tx.exec(
        "UPDATE revision SET names_at = $1 WHERE id = $2",
        args![w.number, 1_i64],
    )
    .await?;
    Ok(())
}
