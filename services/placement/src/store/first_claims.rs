//! First claims of many consumers, written together.
//!
//! A burst of servers is a burst of claims, each of a consumer that has nothing yet, and all writers stand in line behind
//! the revision row. Those that wait while another's transaction is under way share the next one: one place in line, one
//! commit, and one statement per table.

use std::collections::BTreeMap;

use nephos_db::{Arg, Error, FromRow, Row, Where, args};

use super::Writing;
use super::claims::{Refused, check_classes, check_generation};
use super::consumers::Consumer;
use super::inventories::OfClass;
use crate::model::ProviderId;
use crate::model::claim::{self, Amounts, Claim, Share, Stock};

/// Whether a claim is one of those that can be written together: of a consumer that must have nothing before.
pub(crate) fn is_first(claim: &Claim) -> bool {
    claim.generation == Some(None) && !claim.shares.is_empty()
}

/// Gives each of these first claims what it asks for, in their order, or says why not; what one is refused changes nothing for
/// the others.
pub(crate) async fn write(
    w: &mut Writing,
    claims: &[Claim],
) -> Result<Vec<Result<(), Refused>>, Error> {
    let mut known = read(w, claims).await?;
    let mut given = Vec::new();
    let mut outcomes = Vec::new();
    for claim in claims {
        let outcome = match check(w, claim, &known).await {
            Err(Refused::Write(why)) => return Err(why),
            outcome => outcome,
        };
        if outcome.is_ok() {
            known.take(claim);
            given.push(claim);
        }
        outcomes.push(outcome);
    }
    put(w, &given).await?;
    Ok(outcomes)
}

/// What the claims stand on.
struct Known {
    consumers: BTreeMap<String, Consumer>,
    providers: Vec<ProviderId>,
    stock: Stock,
}

impl Known {
    /// A claim is given: the next ones find less.
    fn take(&mut self, claim: &Claim) {
        for share in &claim.shares {
            let key = (share.provider.clone(), share.class.clone());
            if let Some(inventory) = self.stock.get_mut(&key) {
                inventory.used += share.amount;
            }
        }
        let consumer = Consumer {
            id: claim.consumer.clone(),
            generation: 1,
            project_id: claim.project_id.clone(),
            user_id: claim.user_id.clone(),
            consumer_type: claim.consumer_type.clone(),
        };
        self.consumers.insert(claim.consumer.to_string(), consumer);
    }
}

/// Stock of a class, and of which provider.
struct OfProvider(ProviderId, OfClass);

impl FromRow for OfProvider {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("provider_uuid")?, OfClass::from_row(row)?))
    }
}

async fn read(w: &mut Writing, claims: &[Claim]) -> Result<Known, Error> {
    let consumers =
        Where::new("SELECT uuid, generation, project_id, user_id, consumer_type FROM consumers");
    let consumers = consumers.in_("uuid", claims.iter().map(|claim| &claim.consumer));
    let consumers: Vec<Consumer> = w.tx.fetch_where(&consumers).await?;
    let shares = claims.iter().flat_map(|claim| &claim.shares);
    let mut asked: Vec<&ProviderId> = shares.map(|share| &share.provider).collect();
    asked.sort_unstable();
    asked.dedup();
    let providers = Where::new("SELECT uuid FROM resource_providers");
    let providers: Vec<String> =
        w.tx.fetch_where(&providers.in_("uuid", asked.iter().copied()))
            .await?;
    let stock = Where::new(
        "SELECT provider_uuid, resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio, used \
         FROM inventories",
    );
    let stock: Vec<OfProvider> = w.tx.fetch_where(&stock.in_("provider_uuid", asked)).await?;
    let stock = stock.into_iter();
    Ok(Known {
        consumers: consumers
            .into_iter()
            .map(|consumer| (consumer.id.to_string(), consumer))
            .collect(),
        providers: providers.into_iter().map(ProviderId).collect(),
        stock: stock
            .map(|OfProvider(provider, OfClass(class, inventory))| ((provider, class), inventory))
            .collect(),
    })
}

async fn check(w: &mut Writing, claim: &Claim, known: &Known) -> Result<(), Refused> {
    check_generation(claim, known.consumers.get(claim.consumer.as_str()))?;
    let shares: Vec<&Share> = claim.shares.iter().collect();
    let unknown = shares
        .iter()
        .find(|share| !known.providers.contains(&share.provider));
    if let Some(share) = unknown {
        return Err(Refused::NoProvider(share.provider.clone()));
    }
    check_classes(w, &shares, &known.stock).await?;
    claim::check(&shares, &known.stock, &Amounts::new())?;
    Ok(())
}

async fn put(w: &mut Writing, claims: &[&Claim]) -> Result<(), Error> {
    let mut consumers: Vec<Vec<Arg>> = Vec::new();
    let mut allocations: Vec<Vec<Arg>> = Vec::new();
    let mut change = Amounts::new();
    let mut named: BTreeMap<&ProviderId, i64> = BTreeMap::new();
    for claim in claims {
        consumers.push(args![
            claim.consumer,
            1_i64,
            claim.project_id,
            claim.user_id,
            claim.consumer_type,
            w.now
        ]);
        let mut last = None;
        for share in &claim.shares {
            let Share {
                provider,
                class,
                amount,
            } = share;
            allocations.push(args![claim.consumer, provider, class, *amount, w.now]);
            *change.entry((provider.clone(), class.clone())).or_default() += amount;
            // Each claim raises the generation of a provider that it names once; its shares are sorted by provider.
            if last != Some(provider) {
                *named.entry(provider).or_default() += 1;
                last = Some(provider);
            }
        }
    }
    let head =
        "INSERT INTO consumers (uuid, generation, project_id, user_id, consumer_type, created_at)";
    w.tx.exec_rows(head, &consumers, "").await?;
    let head =
        "INSERT INTO allocations (consumer_uuid, provider_uuid, resource_class, used, created_at)";
    w.tx.exec_rows(head, &allocations, "").await?;
    let used = change.iter();
    let used: Vec<Vec<Arg>> = used
        .map(|((provider, class), amount)| args![provider, class, *amount])
        .collect();
    w.tx.exec_rows(
        "UPDATE inventories SET used = used + v.column3 FROM (",
        &used,
        ") AS v WHERE provider_uuid = v.column1 AND resource_class = v.column2",
    )
    .await?;
    let (number, now) = (w.number, w.now);
    let raised = named.iter();
    let raised: Vec<Vec<Arg>> = raised
        .map(|(provider, times)| args![provider, *times, number, now])
        .collect();
    w.tx.exec_rows(
        "UPDATE resource_providers SET generation = generation + v.column2, revision = v.column3, \
         updated_at = v.column4 FROM (",
        &raised,
        ") AS v WHERE uuid = v.column1",
    )
    .await?;
    Ok(())
}
