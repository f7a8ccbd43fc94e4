//! The difference between two sets of tables, as one transaction in nft's language. Pure.
//!
//! Only what changed is in it. A table whose form changed, or of which nobody knows what is in it, is replaced as a
//! whole: a transaction of nft has no instant in between.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::driver::Listing;
use crate::driver::plane::{Chain, Set, Table, TableName};

/// Tables by name.
pub type Tables = BTreeMap<TableName, Arc<Table>>;

/// What makes `known` into `wanted`; empty when they are the same. A table that is not in `known` is replaced. Tables
/// that are not wanted go only if they `may_go`.
pub fn script(known: &Tables, wanted: &Tables, may_go: bool) -> String {
    let mut text = String::new();
    for (name, table) in wanted {
        match known.get(name) {
            Some(old) if old == table => {}
            Some(old) if same_form(old, table) => change(&mut text, *name, old, table),
            _unknown_or_other => replace(&mut text, *name, table),
        }
    }
    for name in known
        .keys()
        .filter(|name| may_go && !wanted.contains_key(name))
    {
        remove(&mut text, *name);
    }
    text
}

/// Whether what is there is less, more or other than what was put there.
pub fn drifted(listing: &Listing, table: &Table) -> bool {
    let chains: BTreeMap<_, _> = table
        .chains
        .iter()
        .map(|(name, chain)| (name.clone(), chain.rules.len()))
        .collect();
    let sets: BTreeMap<_, _> = table
        .sets
        .iter()
        .map(|(name, set)| (name.clone(), set.elements.len()))
        .collect();
    chains != listing.chains || sets != listing.sets
}

/// Makes a table not be, whether it was or not.
pub fn remove(text: &mut String, name: TableName) {
    line(text, format_args!("add table {name}"));
    line(text, format_args!("delete table {name}"));
}

fn replace(text: &mut String, name: TableName, table: &Table) {
    remove(text, name);
    line(text, format_args!("add table {name}"));
    change(text, name, &Table::default(), table);
}

/// Hooks of chains and types of sets cannot be changed in place.
fn same_form(old: &Table, new: &Table) -> bool {
    let sets = old.sets.iter().all(|(name, set)| {
        let other = new.sets.get(name);
        other.is_none_or(|other| other.form == set.form)
    });
    let chains = old.chains.iter().all(|(name, chain)| {
        let other = new.chains.get(name);
        other.is_none_or(|other| other.hook == chain.hook)
    });
    sets && chains
}

/// In an order in which every name exists when it is used and nothing is removed while it is used.
fn change(text: &mut String, name: TableName, old: &Table, new: &Table) {
    for (set_name, set) in added(&old.sets, &new.sets) {
        let kind = if set.map { "map" } else { "set" };
        line(
            text,
            format_args!("add {kind} {name} {set_name} {{ {} }}", set.form),
        );
    }
    for (chain_name, chain) in added(&old.chains, &new.chains) {
        let hook = if chain.hook.is_empty() {
            String::new()
        } else {
            format!(" {{ {} }}", chain.hook)
        };
        line(text, format_args!("add chain {name} {chain_name}{hook}"));
    }
    for (chain_name, chain) in &new.chains {
        let before = old
            .chains
            .get(chain_name)
            .map_or(&[][..], |chain| &chain.rules);
        rules(text, name, chain_name, before, &chain.rules);
    }
    let nothing = Set::default();
    for (set_name, set) in &new.sets {
        elements(
            text,
            (name, set_name),
            old.sets.get(set_name).unwrap_or(&nothing),
            set,
        );
    }
    for (set_name, set) in added(&new.sets, &old.sets) {
        elements(text, (name, set_name), set, &nothing);
    }
    // First what they use is let go of, then they go themselves.
    let gone: Vec<(&String, &Chain)> = added(&new.chains, &old.chains).collect();
    for (chain_name, _) in &gone {
        line(text, format_args!("flush chain {name} {chain_name}"));
    }
    for (chain_name, _) in &gone {
        line(text, format_args!("delete chain {name} {chain_name}"));
    }
    for (set_name, set) in added(&new.sets, &old.sets) {
        let kind = if set.map { "map" } else { "set" };
        line(text, format_args!("delete {kind} {name} {set_name}"));
    }
}

fn added<'a, T>(
    old: &'a BTreeMap<String, T>,
    new: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = (&'a String, &'a T)> {
    new.iter().filter(|(name, _)| !old.contains_key(*name))
}

fn rules(text: &mut String, name: TableName, chain: &str, before: &[String], after: &[String]) {
    if before == after {
        return;
    }
    if !before.is_empty() {
        line(text, format_args!("flush chain {name} {chain}"));
    }
    for rule in after {
        line(text, format_args!("add rule {name} {chain} {rule}"));
    }
}

fn elements(text: &mut String, (name, set): (TableName, &str), old: &Set, new: &Set) {
    if Arc::ptr_eq(&old.elements, &new.elements) {
        return;
    }
    let gone: Vec<_> = old
        .elements
        .iter()
        .filter(|(key, value)| new.elements.get(*key) != Some(value))
        .map(|(key, _)| key.clone())
        .collect();
    let come: Vec<_> = new
        .elements
        .iter()
        .filter(|(key, value)| old.elements.get(*key) != Some(value))
        .map(|(key, value)| match value.as_str() {
            "" => key.clone(),
            value => format!("{key} : {value}"),
        })
        .collect();
    for (verb, which) in [("delete", gone), ("add", come)] {
        if !which.is_empty() {
            line(
                text,
                format_args!("{verb} element {name} {set} {{ {} }}", which.join(", ")),
            );
        }
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    let _writing_to_a_string_cannot_fail = writeln!(text, "{words}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: TableName = TableName {
        family: "bridge",
        name: "nephos_sg",
    };

    fn table(elements: &[(&str, &str)], chains: &[(&str, &[&str])]) -> Tables {
        let set = Set {
            form: "type ifname : verdict;",
            map: true,
            elements: Arc::new(
                elements
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            ),
        };
        let chains = chains.iter().map(|(name, rules)| {
            let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
            ((*name).to_owned(), Chain { hook: "", rules })
        });
        let table = Table {
            sets: BTreeMap::from([("m".to_owned(), set)]),
            chains: chains.collect(),
        };
        BTreeMap::from([(NAME, Arc::new(table))])
    }

    #[test]
    fn only_what_changed_is_sent_and_in_an_order_that_nft_takes() {
        let old = table(
            &[("a", "jump ca"), ("b", "jump cb")],
            &[("ca", &["drop"]), ("cb", &["drop"]), ("same", &["drop"])],
        );
        let new = table(
            &[("a", "jump cc"), ("c", "jump cc")],
            &[("ca", &["accept"]), ("cc", &["drop"]), ("same", &["drop"])],
        );
        let lines = script(&old, &new, true);
        let lines: Vec<_> = lines
            .lines()
            .map(|line| line.replace("bridge nephos_sg ", ""))
            .collect();
        assert_eq!(
            lines,
            [
                "add chain cc",
                "flush chain ca",
                "add rule ca accept",
                "add rule cc drop",
                "delete element m { a, b }",
                "add element m { a : jump cc, c : jump cc }",
                "flush chain cb",
                "delete chain cb",
            ]
        );
    }

    #[test]
    fn nothing_is_sent_when_nothing_changed() {
        let one = table(&[("a", "jump ca")], &[("ca", &["drop"])]);
        assert_eq!(script(&one, &one, true), "");
    }

    #[test]
    fn a_table_of_which_nothing_is_known_is_replaced_in_one_transaction() {
        let one = table(&[], &[("ca", &["drop"])]);
        let text = script(&Tables::new(), &one, true);
        assert!(text.starts_with("add table bridge nephos_sg\ndelete table bridge nephos_sg\nadd table bridge nephos_sg\n"), "{text}");
    }

    #[test]
    fn a_table_that_is_not_wanted_goes_only_when_it_may() {
        let one = table(&[], &[("ca", &["drop"])]);
        assert_eq!(script(&one, &Tables::new(), false), "");
        assert!(script(&one, &Tables::new(), true).contains("delete table bridge nephos_sg"));
    }

    #[test]
    fn a_missing_rule_or_element_is_noticed() {
        let one = table(&[("a", "jump ca")], &[("ca", &["drop"])]);
        let listing = |rules, elements| Listing {
            chains: BTreeMap::from([("ca".to_owned(), rules)]),
            sets: BTreeMap::from([("m".to_owned(), elements)]),
            digest: 0,
        };
        assert!(!drifted(&listing(1, 1), &one[&NAME]));
        assert!(drifted(&listing(0, 1), &one[&NAME]));
        assert!(drifted(&listing(1, 0), &one[&NAME]));
    }
}
