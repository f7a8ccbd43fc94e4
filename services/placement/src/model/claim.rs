//! Claims: what a consumer is to hold from now on, and whether the providers can give it.

use std::collections::BTreeMap;

use super::inventory::Inventory;
use super::{ClassName, ConsumerId, ProviderId};

/// What one consumer is to hold; what it held before is released. Of nothing, it is gone.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub consumer: ConsumerId,
    pub project_id: String,
    pub user_id: String,
    /// None: the version does not know types; what is there stays.
    pub consumer_type: Option<String>,
    /// None: not checked. Some of none: the consumer must not exist yet.
    pub generation: Option<Option<i64>>,
    pub shares: Vec<Share>,
}

/// So much of a class from a provider.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Share {
    pub provider: ProviderId,
    pub class: ClassName,
    pub amount: i64,
}

/// Why stock is not given. The words are upstream's, which clients show and some compare.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("Inventory for '{classes}' on resource provider '{provider}' invalid.")]
    NoInventory {
        classes: String,
        provider: ProviderId,
    },
    #[error(
        "Unable to create allocation for '{class}' on resource provider '{provider}'. The requested amount would violate inventory constraints."
    )]
    Portion {
        class: ClassName,
        provider: ProviderId,
    },
    #[error(
        "Unable to create allocation for '{class}' on resource provider '{provider}'. The requested amount would exceed the capacity."
    )]
    Capacity {
        class: ClassName,
        provider: ProviderId,
    },
}

/// Amounts by provider and class.
pub(crate) type Amounts = BTreeMap<(ProviderId, ClassName), i64>;
/// Stock by provider and class.
pub(crate) type Stock = BTreeMap<(ProviderId, ClassName), Inventory>;

/// Checks the shares of all claims of one request together, in their order; `released` is what the same consumers held
/// and give back in the same moment.
pub(crate) fn check(shares: &[&Share], stock: &Stock, released: &Amounts) -> Result<(), Unfit> {
    let mut sums = Amounts::new();
    check_providers(shares, stock)?;
    for share in shares {
        let key = (share.provider.clone(), share.class.clone());
        let (class, provider) = (share.class.clone(), share.provider.clone());
        let Some(inventory) = stock.get(&key) else {
            let classes = class.to_string();
            return Err(Unfit::NoInventory { classes, provider });
        };
        if !inventory.takes(share.amount) {
            return Err(Unfit::Portion { class, provider });
        }
        let before = inventory.used;
        let used = before.saturating_sub(released.get(&key).copied().unwrap_or(0));
        let sum = sums.entry(key).or_default();
        *sum = sum.saturating_add(share.amount);
        // Stock that is overdrawn (its inventory shrank) may be changed as long as it does not get worse.
        let better = before > 0 && used.saturating_add(*sum) <= before;
        if !inventory.has_room(used, *sum) && !better {
            return Err(Unfit::Capacity { class, provider });
        }
    }
    Ok(())
}

/// Every provider must have at least one of the classes that are asked for.
fn check_providers(shares: &[&Share], stock: &Stock) -> Result<(), Unfit> {
    let has_any = |provider: &ProviderId| {
        let mut classes = shares.iter().map(|share| &share.class);
        classes.any(|class| stock.contains_key(&(provider.clone(), class.clone())))
    };
    let missing = shares.iter().find(|share| !has_any(&share.provider));
    match missing {
        None => Ok(()),
        Some(share) => {
            let mut classes: Vec<&str> = shares.iter().map(|share| share.class.as_str()).collect();
            classes.sort_unstable();
            classes.dedup();
            Err(Unfit::NoInventory {
                classes: classes.join(", "),
                provider: share.provider.clone(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(amount: i64) -> Share {
        Share {
            provider: "p".into(),
            class: "VCPU".into(),
            amount,
        }
    }

    fn stock(total: i64, used: i64) -> Stock {
        let inventory = Inventory {
            total,
            reserved: 0,
            min_unit: 1,
            max_unit: 8,
            step_size: 1,
            allocation_ratio: 1.0,
            used,
        };
        Stock::from([(("p".into(), "VCPU".into()), inventory)])
    }

    #[track_caller]
    fn check_all(amounts: &[i64], stock: &Stock, released: i64, expected: Result<(), &str>) {
        let shares: Vec<Share> = amounts.iter().map(|amount| share(*amount)).collect();
        let shares: Vec<&Share> = shares.iter().collect();
        let released = Amounts::from([(("p".into(), "VCPU".into()), released)]);
        let found = check(&shares, stock, &released).map_err(|why| why.to_string());
        match expected {
            Ok(()) => assert_eq!(found, Ok(())),
            Err(text) => assert!(found.clone().unwrap_err().contains(text), "{found:?}"),
        }
    }

    #[test]
    fn shares_of_one_request_are_summed() {
        check_all(&[4, 4], &stock(8, 0), 0, Ok(()));
        check_all(&[4, 5], &stock(8, 0), 0, Err("exceed the capacity"));
        check_all(&[4], &stock(8, 5), 0, Err("exceed the capacity"));
        check_all(&[9], &stock(80, 0), 0, Err("violate inventory constraints"));
    }

    #[test]
    fn what_is_released_is_free_and_an_overdraft_may_only_shrink() {
        check_all(&[4], &stock(8, 8), 4, Ok(()));
        check_all(&[3], &stock(2, 8), 4, Ok(()));
        check_all(&[4], &stock(2, 8), 4, Ok(()));
        check_all(&[5], &stock(2, 8), 4, Err("exceed the capacity"));
        check_all(&[1], &Stock::new(), 0, Err("invalid"));
    }
}
