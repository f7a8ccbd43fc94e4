//! Inventories. Invariant: `used` is the sum of the allocations, kept in the transaction that changes them.

use std::collections::BTreeMap;

use nephos_db::{Error, FromRow, Row, args};

use super::Writing;
use crate::model::inventory::Inventory;
use crate::model::{ClassName, ProviderId};

impl FromRow for Inventory {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            total: row.get("total")?,
            reserved: row.get("reserved")?,
            min_unit: row.get("min_unit")?,
            max_unit: row.get("max_unit")?,
            step_size: row.get("step_size")?,
            allocation_ratio: row.get("allocation_ratio")?,
            used: row.get("used")?,
        })
    }
}

struct OfClass(ClassName, Inventory);

impl FromRow for OfClass {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("resource_class")?, Inventory::from_row(row)?))
    }
}

/// All of a provider.
pub(crate) async fn of_provider(
    w: &mut Writing,
    provider: &ProviderId,
) -> Result<BTreeMap<ClassName, Inventory>, Error> {
    let rows: Vec<OfClass> = w
        .tx
        .fetch_all(
            "SELECT resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio, used \
             FROM inventories WHERE provider_uuid = $1",
            args![provider],
        )
        .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|OfClass(class, inventory)| (class, inventory))
        .collect())
}

/// Writes what the provider has of a class; what is used of it stays.
pub(crate) async fn put(
    w: &mut Writing,
    provider: &ProviderId,
    class: &ClassName,
    inventory: &Inventory,
) -> Result<(), Error> {
    w.tx.exec(
        "INSERT INTO inventories (provider_uuid, resource_class, total, reserved, min_unit, max_unit, step_size, \
         allocation_ratio, used, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (provider_uuid, resource_class) DO UPDATE SET total = excluded.total, \
         reserved = excluded.reserved, min_unit = excluded.min_unit, max_unit = excluded.max_unit, \
         step_size = excluded.step_size, allocation_ratio = excluded.allocation_ratio, \
         updated_at = excluded.updated_at",
        args![
            provider,
            class,
            inventory.total,
            inventory.reserved,
            inventory.min_unit,
            inventory.max_unit,
            inventory.step_size,
            inventory.allocation_ratio,
            0_i64,
            w.now
        ],
    )
    .await?;
    Ok(())
}

/// Adds to what is used.
pub(crate) async fn add_used(
    w: &mut Writing,
    provider: &ProviderId,
    class: &ClassName,
    amount: i64,
) -> Result<(), Error> {
    w.tx.exec(
        "UPDATE inventories SET used = used + $1 WHERE provider_uuid = $2 AND resource_class = $3",
        args![amount, provider, class],
    )
    .await?;
    Ok(())
}

/// Removes one that nobody uses.
pub(crate) async fn remove(
    w: &mut Writing,
    provider: &ProviderId,
    class: &ClassName,
) -> Result<(), Error> {
    w.tx.exec(
        "DELETE FROM inventories WHERE provider_uuid = $1 AND resource_class = $2",
        args![provider, class],
    )
    .await?;
    Ok(())
}
