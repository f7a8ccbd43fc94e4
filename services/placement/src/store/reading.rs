//! Keeps [`Providers`] up to date: one look at the revision row, and only what changed since is read again.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use nephos_db::{Db, Error, FromRow, Row, args};
use tokio::sync::Mutex;

use crate::model::inventory::Inventory;
use crate::model::provider::{Dated, Provider, Stocked};
use crate::model::providers::{Names, Providers, Revision};
use crate::model::{AggregateId, ClassName, ProviderId, TraitName};
use crate::store::names;

/// The providers in memory.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    latest: RwLock<Arc<Providers>>,
    /// One reader reads for all.
    refresh: Mutex<()>,
}

impl Reading {
    /// The providers as they stand in the database now: whoever was told that a write is done sees it.
    pub(crate) async fn now(&self, db: &Db) -> Result<Arc<Providers>, Error> {
        let latest = self.latest();
        if latest.revision == revision(db).await? {
            return Ok(latest);
        }
        let _one_reads = self.refresh.lock().await;
        let latest = self.latest();
        // Read before everything else: what is committed meanwhile has a higher number and is read again next time.
        let revision = revision(db).await?;
        if latest.revision == revision {
            return Ok(latest);
        }
        let fresh = Arc::new(read(db, &latest, revision).await?);
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
        Ok(fresh)
    }

    fn latest(&self) -> Arc<Providers> {
        Arc::clone(&self.latest.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl FromRow for Revision {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            number: row.get("number")?,
            names_at: row.get("names_at")?,
            removed_at: row.get("removed_at")?,
        })
    }
}

async fn revision(db: &Db) -> Result<Revision, Error> {
    db.fetch_one(
        "SELECT number, names_at, removed_at FROM revision WHERE id = $1",
        args![1_i64],
    )
    .await
}

async fn read(db: &Db, old: &Providers, revision: Revision) -> Result<Providers, Error> {
    let whole = old.revision.removed_at != revision.removed_at;
    let since = if whole { 0 } else { old.revision.number };
    let changed = changed_since(db, since).await?;
    let mut fresh = old.with(revision, changed, whole);
    if old.revision.names_at != revision.names_at {
        fresh.names = Arc::new(Names {
            classes: names::classes(db).await?,
            traits: names::traits(db).await?,
        });
    }
    Ok(fresh)
}

struct StockRow(ProviderId, ClassName, Dated);
struct TraitRow(ProviderId, TraitName);
struct AggregateRow(ProviderId, AggregateId);

impl FromRow for StockRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let inventory = Inventory::from_row(row)?;
        let updated_at = row.get("updated_at")?;
        Ok(Self(
            row.get("provider_uuid")?,
            row.get("resource_class")?,
            Dated {
                inventory,
                updated_at,
            },
        ))
    }
}

impl FromRow for TraitRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("provider_uuid")?, row.get("trait")?))
    }
}

impl FromRow for AggregateRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("provider_uuid")?, row.get("aggregate_uuid")?))
    }
}

/// Providers that changed after the write of that number, with everything that hangs on them.
async fn changed_since(db: &Db, number: i64) -> Result<Vec<Stocked>, Error> {
    let providers: Vec<Provider> = db
        .fetch_all(
            "SELECT uuid, name, generation, parent_uuid, root_uuid, created_in, created_at, updated_at \
             FROM resource_providers WHERE revision > $1 ORDER BY created_in",
            args![number],
        )
        .await?;
    let mut changed: Vec<Stocked> = providers.into_iter().map(Stocked::new).collect();
    let places: HashMap<ProviderId, usize> = changed
        .iter()
        .enumerate()
        .map(|(at, stocked)| (stocked.provider.id.clone(), at))
        .collect();
    // A row of a provider that is not in the first answer belongs to a later write; the next look takes it.
    let place = |id: &ProviderId| places.get(id).copied().unwrap_or(usize::MAX);
    for StockRow(id, class, dated) in stock_since(db, number).await? {
        if let Some(stocked) = changed.get_mut(place(&id)) {
            stocked.inventories.insert(class, dated);
        }
    }
    for TraitRow(id, name) in traits_since(db, number).await? {
        if let Some(stocked) = changed.get_mut(place(&id)) {
            stocked.traits.insert(name);
        }
    }
    for AggregateRow(id, aggregate) in aggregates_since(db, number).await? {
        if let Some(stocked) = changed.get_mut(place(&id)) {
            stocked.aggregates.push(aggregate);
        }
    }
    Ok(changed)
}

async fn stock_since(db: &Db, number: i64) -> Result<Vec<StockRow>, Error> {
    db.fetch_all(
        "SELECT i.provider_uuid, i.resource_class, i.total, i.reserved, i.min_unit, i.max_unit, i.step_size, \
         i.allocation_ratio, i.used, i.updated_at FROM inventories i \
         JOIN resource_providers p ON p.uuid = i.provider_uuid WHERE p.revision > $1",
        args![number],
    )
    .await
}

async fn traits_since(db: &Db, number: i64) -> Result<Vec<TraitRow>, Error> {
    db.fetch_all(
        "SELECT t.provider_uuid, t.trait FROM provider_traits t \
         JOIN resource_providers p ON p.uuid = t.provider_uuid WHERE p.revision > $1",
        args![number],
    )
    .await
}

async fn aggregates_since(db: &Db, number: i64) -> Result<Vec<AggregateRow>, Error> {
    db.fetch_all(
        "SELECT a.provider_uuid, a.aggregate_uuid FROM provider_aggregates a \
         JOIN resource_providers p ON p.uuid = a.provider_uuid WHERE p.revision > $1 ORDER BY a.position",
        args![number],
    )
    .await
}
