//! Inventories. Invariant: `used` is the sum of the allocations, kept in the transaction that changes them.

use std::collections::BTreeMap;

use nephos_db::{Error, FromRow, Row, args};

use super::Writing;
use crate::model::claim::Amounts;
use crate::model::inventory::Inventory;
use crate::model::provider::Provider;
use crate::model::{ClassName, ProviderId, names};

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

/// Stock of a class.
pub(super) struct OfClass(pub ClassName, pub Inventory);

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

/// Adds to what is used of several, three of a provider at a time: processors, memory and disk in one round trip.
pub(crate) async fn add_all_used(w: &mut Writing, change: &Amounts) -> Result<(), Error> {
    let change: Vec<_> = change.iter().filter(|(_, amount)| **amount != 0).collect();
    let mut left = change.as_slice();
    while let [(a, x), rest @ ..] = left {
        if let [(b, y), (c, z), rest @ ..] = rest
            && a.0 == b.0
            && b.0 == c.0
        {
            w.tx.exec(
                "UPDATE inventories SET used = used + CASE resource_class WHEN $1 THEN CAST($2 AS BIGINT) \
                 WHEN $3 THEN CAST($4 AS BIGINT) ELSE CAST($5 AS BIGINT) END \
                 WHERE provider_uuid = $6 AND resource_class IN ($1, $3, $7)",
                args![a.1, **x, b.1, **y, **z, a.0, c.1],
            )
            .await?;
            left = rest;
        } else {
            add_used(w, &a.0, &a.1, **x).await?;
            left = rest;
        }
    }
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

/// Removes the inventories of all other classes; refuses when one of them is used.
pub(crate) async fn remove_others(
    w: &mut Writing,
    provider: &Provider,
    kept: &BTreeMap<ClassName, Inventory>,
) -> Result<Result<(), String>, Error> {
    let old = of_provider(w, &provider.id).await?;
    let gone = old.iter().filter(|(class, _)| !kept.contains_key(*class));
    let gone: Vec<(&ClassName, &Inventory)> = gone.collect();
    let used = gone.iter().filter(|(_, inventory)| inventory.used > 0);
    // Upstream lists the classes in the order of their ids, which is that of the standard list.
    let mut used: Vec<&str> = used.map(|(class, _)| class.as_str()).collect();
    used.sort_by_key(|class| {
        let standard = names::STANDARD_CLASSES.iter();
        standard
            .clone()
            .position(|name| name == class)
            .unwrap_or(usize::MAX)
    });
    if !used.is_empty() {
        return Ok(Err(in_use(&used.join(", "), &provider.id)));
    }
    for (class, _) in gone {
        remove(w, &provider.id, class).await?;
    }
    Ok(Ok(()))
}

/// What is said of stock that allocations lean on.
pub(crate) fn in_use(classes: &str, provider: &ProviderId) -> String {
    format!("Inventory for '{classes}' on resource provider '{provider}' in use.")
}
