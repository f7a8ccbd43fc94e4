//! What a preview of an update says: each resource with what becomes of it, as lists and as a text that people read.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::plan::{Difference, Fate};

/// A preview's entry for one resource.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub name: String,
    pub kind: String,
    pub what: What,
    /// Of a nested stack that stays, what becomes of its own resources.
    pub inside: Vec<Change>,
}

/// What a preview says of a resource.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Added,
    Deleted(String),
    Kept(Fate),
}

impl Change {
    /// The list of the preview that it stands in.
    pub const fn list(&self) -> &'static str {
        match &self.what {
            What::Added => "added",
            What::Deleted(_) => "deleted",
            What::Kept(Fate::Unchanged) => "unchanged",
            What::Kept(Fate::InPlace(_)) => "updated",
            What::Kept(Fate::Replaced(..)) => "replaced",
        }
    }

    /// Why, in words.
    pub fn why(&self) -> String {
        match &self.what {
            What::Added => "the template has it and the stack does not".to_owned(),
            What::Deleted(why) => why.clone(),
            What::Kept(Fate::Unchanged) => "nothing about it changes".to_owned(),
            What::Kept(Fate::InPlace(found)) if found.is_empty() && self.changes_inside() => {
                "what it is made of changes".to_owned()
            }
            What::Kept(Fate::InPlace(found)) if found.is_empty() => {
                "its last change failed and is made again".to_owned()
            }
            What::Kept(Fate::InPlace(found)) => {
                let names: Vec<&str> = found.iter().map(|found| found.property.as_str()).collect();
                format!("{} can be changed in place", names.join(", "))
            }
            What::Kept(Fate::Replaced(_, why)) => why.clone(),
        }
    }

    /// Whether anything becomes of the resources of a nested stack.
    pub fn changes_inside(&self) -> bool {
        self.inside.iter().any(|inner| inner.list() != "unchanged")
    }

    fn differences(&self) -> &[Difference] {
        match &self.what {
            What::Kept(Fate::InPlace(found) | Fate::Replaced(found, _)) => found,
            What::Added | What::Deleted(_) | What::Kept(Fate::Unchanged) => &[],
        }
    }

    /// Shows neither the old nor the new value of these properties.
    pub fn hide(&mut self, properties: &BTreeSet<String>) {
        let What::Kept(Fate::InPlace(found) | Fate::Replaced(found, _)) = &mut self.what else {
            return;
        };
        for difference in found {
            if properties.contains(&difference.property) {
                difference.before = json!("******");
                difference.after = json!("******");
            }
        }
    }

    /// Shows no value at all, of what is inside of it neither.
    pub fn hide_all(&mut self) {
        let all = self
            .differences()
            .iter()
            .map(|found| found.property.clone());
        let all: BTreeSet<String> = all.collect();
        self.hide(&all);
        self.inside.iter_mut().for_each(Self::hide_all);
    }

    /// The differing properties, as the preview shows them.
    pub fn shown(&self) -> Value {
        let one = |found: &Difference| json!({"property": found.property, "before": found.before, "after": found.after, "in_place": found.in_place, "known_after_update": found.later});
        self.differences().iter().map(one).collect()
    }
}

/// The lines of changes; those of nested stacks follow the one of their resource, with its name before theirs.
fn lines(changes: &[Change], before: &str, lines: &mut Vec<String>) {
    for change in changes {
        let name = format!("{before}{}", change.name);
        let sign = match change.list() {
            "added" => "+",
            "deleted" => "-",
            "updated" => "~",
            "replaced" => "-/+",
            _unchanged => continue,
        };
        lines.push(format!("{sign} {name} ({}): {}", change.kind, change.why()));
        for found in change.differences() {
            let after = if found.later {
                "(known after the update)".to_owned()
            } else {
                found.after.to_string()
            };
            let effect = if found.in_place { "" } else { "  # replaces" };
            lines.push(format!(
                "    {}: {} -> {after}{effect}",
                found.property, found.before
            ));
        }
        self::lines(&change.inside, &format!("{name}."), lines);
    }
}

fn count(changes: &[Change], list: &str) -> usize {
    let one = |change: &Change| {
        let inside = count(&change.inside, list);
        inside + usize::from(change.list() == list)
    };
    changes.iter().map(one).sum()
}

/// A preview as people read it: one line per resource, and one per property that differs.
pub(crate) fn diff(changes: &[Change]) -> String {
    let mut out = Vec::new();
    lines(changes, "", &mut out);
    let count = |list: &str| count(changes, list);
    out.push(format!(
        "{} to add, {} to change in place, {} to replace, {} to delete, {} unchanged",
        count("added"),
        count("updated"),
        count("replaced"),
        count("deleted"),
        count("unchanged"),
    ));
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kind;
    use crate::model::plan::fate;
    use crate::model::stack::sample as resource;

    #[test]
    fn a_preview_reads_well() {
        let now = resource(
            "OS::Neutron::Subnet",
            json!({"cidr": "10.0.0.0/24", "name": "a"}),
        );
        let wanted = json!({"cidr": "10.0.1.0/24", "name": "b"});
        let wanted = wanted.as_object().cloned().unwrap();
        let subnet = "OS::Neutron::Subnet";
        let changes = [
            Change {
                name: "net".to_owned(),
                kind: "OS::Neutron::Net".to_owned(),
                what: What::Added,
                inside: Vec::new(),
            },
            Change {
                name: "sub".to_owned(),
                kind: "OS::Neutron::Subnet".to_owned(),
                what: What::Kept(fate(&now, kind::find(subnet), subnet, &wanted, &[])),
                inside: Vec::new(),
            },
        ];
        assert_eq!(
            diff(&changes),
            "+ net (OS::Neutron::Net): the template has it and the stack does not\n\
            -/+ sub (OS::Neutron::Subnet): cidr cannot be changed in place\n    cidr: \"10.0.0.0/24\" -> \"10.0.1.0/24\"  # replaces\n    \
            name: \"a\" -> \"b\"\n1 to add, 0 to change in place, 1 to replace, 0 to delete, 0 unchanged"
        );
    }
}
