//! Packet filters, through `nft`.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher as _};

use serde_json::Value;

use super::child;
use crate::driver::plane::TableName;
use crate::driver::{DriverError, Listing};

/// Tables that may be ours.
const OURS: [TableName; 4] = [
    TableName {
        family: "inet",
        name: "nephos_ct",
    },
    TableName {
        family: "bridge",
        name: "nephos_sg",
    },
    TableName {
        family: "ip",
        name: "nephos_nat",
    },
    TableName {
        family: "inet",
        name: "nephos_filter",
    },
];

/// One transaction.
pub fn load(script: &str) -> Result<(), DriverError> {
    let loaded = child::run("nft", &["-f", "-"], script);
    loaded
        .map(|_nothing| ())
        .map_err(|why| DriverError::new("change the packet filters", why))
}

/// What is in our tables. Nobody else's are read: they may be large, and of forms that we do not know.
pub fn list() -> Result<BTreeMap<TableName, Listing>, DriverError> {
    let mut found = BTreeMap::new();
    for table in OURS {
        let args = ["-j", "-s", "list", "table", table.family, table.name];
        match child::run("nft", &args, "") {
            Ok(json) => found.insert(table, listing(&json)?),
            Err(why) if why.contains("No such file") => None,
            Err(why) => return Err(DriverError::new(format!("list table {table}"), why)),
        };
    }
    Ok(found)
}

fn listing(json: &[u8]) -> Result<Listing, DriverError> {
    let unread = |why| DriverError::new("read nft's answer", why);
    let value: Value = serde_json::from_slice(json).map_err(unread)?;
    let mut listing = Listing::default();
    let mut hasher = std::hash::DefaultHasher::new();
    let items = value.get("nftables").and_then(Value::as_array);
    for item in items.into_iter().flatten() {
        let text = |value: &Value, key: &str| {
            let text = value.get(key).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        if let Some(chain) = item.get("chain") {
            listing.chains.entry(text(chain, "name")).or_default();
        } else if let Some(rule) = item.get("rule") {
            *listing.chains.entry(text(rule, "chain")).or_default() += 1;
        } else if let Some(set) = item.get("set").or_else(|| item.get("map")) {
            let elements = set.get("elem").and_then(Value::as_array);
            listing
                .sets
                .insert(text(set, "name"), elements.map_or(0, Vec::len));
        }
        item.to_string().hash(&mut hasher);
    }
    listing.digest = hasher.finish();
    Ok(listing)
}

/// Chains of others that drop what guests send: bridged packets pass them because of br_netfilter.
pub fn problems() -> Result<Vec<String>, DriverError> {
    let json = child::run("nft", &["-j", "list", "chains"], "");
    let json = json.map_err(|why| DriverError::new("list the host's chains", why))?;
    let value: Value =
        serde_json::from_slice(&json).map_err(|why| DriverError::new("read nft's answer", why))?;
    let items = value.get("nftables").and_then(Value::as_array);
    let chains = items
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("chain"));
    let text = |chain: &Value, key: &str| {
        let text = chain.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let dropping = chains.filter(|chain| {
        let family = text(chain, "family");
        text(chain, "hook") == "forward"
            && text(chain, "policy") == "drop"
            && ["ip", "ip6", "inet"].contains(&family.as_str())
            && !text(chain, "table").starts_with("nephos_")
    });
    let problems = dropping.map(|chain| {
        format!(
            "the host's own firewall (table {} {}, chain {}) drops what its rules do not let through, and packets \
             between guests pass it: accept what comes in by br+ there",
            text(chain, "family"),
            text(chain, "table"),
            text(chain, "name"),
        )
    });
    Ok(problems.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_elements_are_counted() {
        let json = br#"{"nftables": [{"metainfo": {}}, {"table": {"name": "t"}},
            {"chain": {"name": "a"}}, {"chain": {"name": "b"}}, {"rule": {"chain": "a"}}, {"rule": {"chain": "a"}},
            {"map": {"name": "m", "elem": [["x", 1], ["y", 2]]}}, {"set": {"name": "s"}}]}"#;
        let listing = listing(json).unwrap();
        let count = |map: &BTreeMap<String, usize>, key: &str| map.get(key).copied();
        assert_eq!(count(&listing.chains, "a"), Some(2));
        assert_eq!(count(&listing.chains, "b"), Some(0));
        assert_eq!(count(&listing.sets, "m"), Some(2));
        assert_eq!(count(&listing.sets, "s"), Some(0));
    }
}
