//! Resource providers, their traits and aggregates.

use std::collections::BTreeSet;

use nephos_db::{Error, FromRow, Row, args};

use super::Writing;
use crate::model::provider::Provider;
use crate::model::{AggregateId, ProviderId, TraitName};

impl FromRow for Provider {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("uuid")?,
            name: row.get("name")?,
            generation: row.get("generation")?,
            parent: row.get("parent_uuid")?,
            root: row.get("root_uuid")?,
            created_in: row.get("created_in")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// One by its id.
pub(crate) async fn get(w: &mut Writing, id: &ProviderId) -> Result<Option<Provider>, Error> {
    w.tx.fetch_opt(
        "SELECT uuid, name, generation, parent_uuid, root_uuid, created_in, created_at, updated_at \
         FROM resource_providers WHERE uuid = $1",
        args![id],
    )
    .await
}

/// The id of the provider of that name.
pub(crate) async fn id_of_name(w: &mut Writing, name: &str) -> Result<Option<ProviderId>, Error> {
    let found: Option<String> =
        w.tx.fetch_opt(
            "SELECT uuid FROM resource_providers WHERE name = $1",
            args![name],
        )
        .await?;
    Ok(found.map(ProviderId))
}

/// Makes one.
pub(crate) async fn insert(w: &mut Writing, provider: &Provider) -> Result<(), Error> {
    w.tx.exec(
        "INSERT INTO resource_providers (uuid, name, generation, parent_uuid, root_uuid, created_in, revision, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $7)",
        args![
            provider.id,
            provider.name,
            provider.generation,
            provider.parent,
            provider.root,
            w.number,
            w.now
        ],
    )
    .await?;
    Ok(())
}

/// Writes its name and its place.
pub(crate) async fn update(w: &mut Writing, provider: &Provider) -> Result<(), Error> {
    w.tx.exec(
        "UPDATE resource_providers SET name = $1, parent_uuid = $2, root_uuid = $3, updated_at = $4, revision = $5 \
         WHERE uuid = $6",
        args![
            provider.name,
            provider.parent,
            provider.root,
            w.now,
            w.number,
            provider.id
        ],
    )
    .await?;
    Ok(())
}

/// It and everything below it.
pub(crate) async fn subtree(
    w: &mut Writing,
    top: &Provider,
) -> Result<BTreeSet<ProviderId>, Error> {
    let tree: Vec<Provider> = w
        .tx
        .fetch_all(
            "SELECT uuid, name, generation, parent_uuid, root_uuid, created_in, created_at, updated_at \
             FROM resource_providers WHERE root_uuid = $1",
            args![top.root],
        )
        .await?;
    let mut below = BTreeSet::from([top.id.clone()]);
    loop {
        let known = below.len();
        let next = tree.iter().filter(|provider| {
            let parent = provider.parent.as_ref();
            parent.is_some_and(|parent| below.contains(parent))
        });
        let next: Vec<ProviderId> = next.map(|provider| provider.id.clone()).collect();
        below.extend(next);
        if below.len() == known {
            return Ok(below);
        }
    }
}

/// Puts it under another root.
pub(crate) async fn set_root(
    w: &mut Writing,
    id: &ProviderId,
    root: &ProviderId,
) -> Result<(), Error> {
    w.tx.exec(
        "UPDATE resource_providers SET root_uuid = $1, revision = $2 WHERE uuid = $3",
        args![root, w.number, id],
    )
    .await?;
    Ok(())
}

/// Raises its generation: writers that read it before must read again.
pub(crate) async fn raise(w: &mut Writing, provider: &mut Provider) -> Result<(), Error> {
    provider.generation += 1;
    w.tx.exec(
        "UPDATE resource_providers SET generation = $1, revision = $2, updated_at = $3 WHERE uuid = $4",
        args![provider.generation, w.number, w.now, provider.id],
    )
    .await?;
    Ok(())
}

/// Says that something of it changed that no writer must know of.
pub(crate) async fn touch(w: &mut Writing, id: &ProviderId) -> Result<(), Error> {
    w.tx.exec(
        "UPDATE resource_providers SET revision = $1 WHERE uuid = $2",
        args![w.number, id],
    )
    .await?;
    Ok(())
}

/// How many stand directly below it.
pub(crate) async fn children(w: &mut Writing, id: &ProviderId) -> Result<i64, Error> {
    w.tx.fetch_scalar(
        "SELECT COUNT(*) FROM resource_providers WHERE parent_uuid = $1",
        args![id],
    )
    .await
}

/// How many allocations it carries.
pub(crate) async fn allocations(w: &mut Writing, id: &ProviderId) -> Result<i64, Error> {
    w.tx.fetch_scalar(
        "SELECT COUNT(*) FROM allocations WHERE provider_uuid = $1",
        args![id],
    )
    .await
}

/// Removes it and what hangs on it.
pub(crate) async fn remove(w: &mut Writing, id: &ProviderId) -> Result<(), Error> {
    for statement in [
        "DELETE FROM inventories WHERE provider_uuid = $1",
        "DELETE FROM provider_traits WHERE provider_uuid = $1",
        "DELETE FROM provider_aggregates WHERE provider_uuid = $1",
        "DELETE FROM resource_providers WHERE uuid = $1",
    ] {
        w.tx.exec(statement, args![id]).await?;
    }
    w.tx.exec(
        "UPDATE revision SET removed_at = $1 WHERE id = $2",
        args![w.number, 1_i64],
    )
    .await?;
    Ok(())
}

/// Its traits.
pub(crate) async fn traits(w: &mut Writing, id: &ProviderId) -> Result<BTreeSet<TraitName>, Error> {
    let names: Vec<String> =
        w.tx.fetch_all(
            "SELECT trait FROM provider_traits WHERE provider_uuid = $1",
            args![id],
        )
        .await?;
    Ok(names.into_iter().map(TraitName).collect())
}

/// Replaces its traits.
pub(crate) async fn set_traits(
    w: &mut Writing,
    id: &ProviderId,
    traits: &BTreeSet<TraitName>,
) -> Result<(), Error> {
    w.tx.exec(
        "DELETE FROM provider_traits WHERE provider_uuid = $1",
        args![id],
    )
    .await?;
    for name in traits {
        w.tx.exec(
            "INSERT INTO provider_traits (provider_uuid, trait) VALUES ($1, $2)",
            args![id, name],
        )
        .await?;
    }
    Ok(())
}

/// Replaces its aggregates.
pub(crate) async fn set_aggregates(
    w: &mut Writing,
    id: &ProviderId,
    aggregates: &[AggregateId],
) -> Result<(), Error> {
    w.tx.exec(
        "DELETE FROM provider_aggregates WHERE provider_uuid = $1",
        args![id],
    )
    .await?;
    for (position, aggregate) in aggregates.iter().enumerate() {
        w.tx.exec(
            "INSERT INTO provider_aggregates (provider_uuid, aggregate_uuid, position) VALUES ($1, $2, $3)",
            args![id, aggregate, position],
        )
        .await?;
    }
    Ok(())
}
