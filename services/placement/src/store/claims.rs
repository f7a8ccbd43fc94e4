//! Claims, written: every consumer of a request gets what it asks for, or nobody gets anything.

use std::collections::{BTreeMap, BTreeSet};

use nephos_db::{Error, args};

use super::consumers::{self, Allocation, Consumer};
use super::{Writing, inventories, names, providers};
use crate::model::claim::{self, Amounts, Claim, Share, Stock, Unfit};
use crate::model::provider::Provider;
use crate::model::{ClassName, ConsumerId, ProviderId};

/// Why claims are refused.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("cannot write claims")]
    Write(#[from] Error),
    #[error("Allocation for resource provider '{0}' that does not exist.")]
    NoProvider(ProviderId),
    #[error("No such resource class {0}.")]
    NoClass(ClassName),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("consumer generation conflict - expected {expected} but got {got}")]
    Generation { expected: String, got: String },
}

/// What the claims of one request stand on.
struct Before {
    consumers: BTreeMap<ConsumerId, Consumer>,
    held: Vec<Allocation>,
    providers: BTreeMap<ProviderId, Provider>,
    stock: Stock,
}

/// Replaces what the consumers hold.
pub(crate) async fn replace(w: &mut Writing, claims: &[Claim]) -> Result<(), Refused> {
    let mut before = read(w, claims).await?;
    let shares: Vec<&Share> = claims.iter().flat_map(|claim| &claim.shares).collect();
    let mut change = Amounts::new();
    for old in &before.held {
        *change
            .entry((old.provider.clone(), old.class.clone()))
            .or_default() += old.used;
    }
    check_classes(w, &shares, &before.stock).await?;
    claim::check(&shares, &before.stock, &change)?;
    change.values_mut().for_each(|amount| *amount = -*amount);
    for share in &shares {
        *change
            .entry((share.provider.clone(), share.class.clone()))
            .or_default() += share.amount;
    }
    for claim in claims {
        write(w, claim, before.consumers.get(&claim.consumer)).await?;
    }
    inventories::add_all_used(w, &change).await?;
    // Only the providers named by the request get a new generation; upstream leaves those that only lose something.
    let named = named_providers(claims, &before.held);
    for (provider, _class) in change.keys() {
        if !named.contains(provider) {
            providers::touch(w, provider).await?;
        }
    }
    for provider in before.providers.values_mut() {
        if named.contains(&provider.id) {
            providers::raise(w, provider).await?;
        }
    }
    Ok(())
}

/// Removes everything a consumer holds; whether it held anything.
pub(crate) async fn remove(w: &mut Writing, consumer: &ConsumerId) -> Result<bool, Error> {
    let held = consumers::held(w, consumer).await?;
    let mut change = Amounts::new();
    for old in &held {
        *change
            .entry((old.provider.clone(), old.class.clone()))
            .or_default() -= old.used;
    }
    inventories::add_all_used(w, &change).await?;
    let touched: BTreeSet<&ProviderId> = held.iter().map(|old| &old.provider).collect();
    for provider in touched {
        providers::touch(w, provider).await?;
    }
    forget(w, consumer).await?;
    Ok(!held.is_empty())
}

async fn read(w: &mut Writing, claims: &[Claim]) -> Result<Before, Refused> {
    let mut before = Before {
        consumers: BTreeMap::new(),
        held: Vec::new(),
        providers: BTreeMap::new(),
        stock: Stock::new(),
    };
    for claim in claims {
        let consumer = consumers::get(w, &claim.consumer).await?;
        check_generation(claim, consumer.as_ref())?;
        if let Some(consumer) = consumer {
            before.held.extend(consumers::held(w, &consumer.id).await?);
            before.consumers.insert(consumer.id.clone(), consumer);
        }
    }
    let shares = claims.iter().flat_map(|claim| &claim.shares);
    let asked: BTreeSet<ProviderId> = shares.map(|share| share.provider.clone()).collect();
    let held: Vec<ProviderId> = before.held.iter().map(|old| old.provider.clone()).collect();
    for id in asked.iter().chain(&held) {
        if before.providers.contains_key(id) {
            continue;
        }
        let provider = providers::get(w, id).await?;
        let provider = provider.ok_or_else(|| Refused::NoProvider(id.clone()))?;
        before.providers.insert(id.clone(), provider);
        if asked.contains(id) {
            let stock = inventories::of_provider(w, id).await?.into_iter();
            let stock = stock.map(|(class, inventory)| ((id.clone(), class), inventory));
            before.stock.extend(stock);
        }
    }
    Ok(before)
}

pub(super) fn check_generation(claim: &Claim, consumer: Option<&Consumer>) -> Result<(), Refused> {
    let Some(expected) = claim.generation else {
        return Ok(());
    };
    let stands = consumer.map(|consumer| consumer.generation);
    if stands == expected {
        return Ok(());
    }
    let text = |generation: Option<i64>, none: &str| {
        generation.map_or_else(|| none.to_owned(), |number| number.to_string())
    };
    Err(Refused::Generation {
        expected: text(stands, "null"),
        got: text(expected, "None"),
    })
}

pub(super) async fn check_classes(
    w: &mut Writing,
    shares: &[&Share],
    stock: &Stock,
) -> Result<(), Refused> {
    // What a provider has stock of is a class.
    let in_doubt = shares
        .iter()
        .filter(|share| !stock.contains_key(&(share.provider.clone(), share.class.clone())));
    let classes: BTreeSet<&ClassName> = in_doubt.map(|share| &share.class).collect();
    for class in classes {
        if !names::has_class(w, class).await? {
            return Err(Refused::NoClass(class.clone()));
        }
    }
    Ok(())
}

/// The providers that the claims name, and for a consumer that gives everything back those that it held something of.
fn named_providers(claims: &[Claim], held: &[Allocation]) -> BTreeSet<ProviderId> {
    let shares = claims.iter().flat_map(|claim| &claim.shares);
    let mut named: BTreeSet<ProviderId> = shares.map(|share| share.provider.clone()).collect();
    for claim in claims.iter().filter(|claim| claim.shares.is_empty()) {
        let old = held.iter().filter(|old| old.consumer == claim.consumer);
        named.extend(old.map(|old| old.provider.clone()));
    }
    named
}

async fn write(w: &mut Writing, claim: &Claim, old: Option<&Consumer>) -> Result<(), Error> {
    if claim.shares.is_empty() {
        return match old {
            Some(_) => forget(w, &claim.consumer).await,
            None => Ok(()),
        };
    }
    if old.is_some() {
        w.tx.exec(
            "DELETE FROM allocations WHERE consumer_uuid = $1",
            args![claim.consumer],
        )
        .await?;
    }
    put_consumer(w, claim, old).await?;
    let mut shares = claim.shares.as_slice();
    // Processors, memory and disk are what nearly every claim is of: one round trip.
    while let [a, b, c, rest @ ..] = shares {
        w.tx.exec(
            "INSERT INTO allocations (consumer_uuid, provider_uuid, resource_class, used, created_at) \
             VALUES ($1, $2, $3, $4, $5), ($1, $6, $7, $8, $5), ($1, $9, $10, $11, $5)",
            args![
                claim.consumer,
                a.provider,
                a.class,
                a.amount,
                w.now,
                b.provider,
                b.class,
                b.amount,
                c.provider,
                c.class,
                c.amount
            ],
        )
        .await?;
        shares = rest;
    }
    for share in shares {
        w.tx.exec(
            "INSERT INTO allocations (consumer_uuid, provider_uuid, resource_class, used, created_at) \
             VALUES ($1, $2, $3, $4, $5)",
            args![
                claim.consumer,
                share.provider,
                share.class,
                share.amount,
                w.now
            ],
        )
        .await?;
    }
    Ok(())
}

async fn put_consumer(w: &mut Writing, claim: &Claim, old: Option<&Consumer>) -> Result<(), Error> {
    let generation = old.map_or(0, |old| old.generation) + 1;
    let kept = old.and_then(|old| old.consumer_type.clone());
    let consumer_type = claim.consumer_type.clone().or(kept);
    w.tx.exec(
        "INSERT INTO consumers (uuid, generation, project_id, user_id, consumer_type, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (uuid) DO UPDATE SET generation = excluded.generation, \
         project_id = excluded.project_id, user_id = excluded.user_id, consumer_type = excluded.consumer_type",
        args![
            claim.consumer,
            generation,
            claim.project_id,
            claim.user_id,
            consumer_type,
            w.now
        ],
    )
    .await?;
    Ok(())
}

async fn forget(w: &mut Writing, consumer: &ConsumerId) -> Result<(), Error> {
    for statement in [
        "DELETE FROM allocations WHERE consumer_uuid = $1",
        "DELETE FROM consumers WHERE uuid = $1",
    ] {
        w.tx.exec(statement, args![consumer]).await?;
    }
    Ok(())
}
