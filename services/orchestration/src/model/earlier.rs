//! Going back: what was replaced stays until all of an update is done, so that another update, or the way back from a
//! failed one, has it again instead of a third thing in its place.

use serde_json::{Map, Value};

use super::kind::Kind;
use super::plan::{Fate, fate};
use super::stack::{Action, Resource, Status};

/// Where a server that was replaced notes that it lets go of its ports (`begun`) or has done so (`done`).
pub(crate) const RELEASED: &str = "released";

/// Where a resource notes that its thing turned out to be gone.
pub(crate) const GONE: &str = "gone";

/// What a resource is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub kind: Option<&'a Kind>,
    pub target: &'a str,
    pub properties: &'a Map<String, Value>,
    /// The properties that are not known yet.
    pub later: &'a [String],
}

impl Wish<'_> {
    fn fate(&self, row: &Resource) -> Fate {
        fate(row, self.kind, self.target, self.properties, self.later)
    }

    /// How far a resource is from what it is to be.
    fn distance(&self, row: &Resource) -> u8 {
        match self.fate(row) {
            Fate::Unchanged => 0,
            Fate::InPlace(_) => 1,
            Fate::Replaced(..) => 2,
        }
    }
}

/// Whether what a row stands for was there, whole, when it was last worked on.
pub(crate) fn stands(row: &Resource) -> bool {
    let half_made =
        matches!(row.action, Action::Create | Action::Check) && row.status == Status::Failed;
    let made = !matches!(row.action, Action::Init | Action::Delete) && !half_made;
    let gone = row.data.contains_key(GONE);
    made && !gone && !row.external && row.status != Status::InProgress
}

/// Which of those that were replaced comes closer to what is wanted than what is there now: the same thing rather than
/// one that is changed, and one that is changed rather than another one. The newest, if several do.
pub(crate) fn closer<'a>(
    now: &Resource,
    replaced: impl Iterator<Item = &'a Resource>,
    wish: &Wish<'_>,
) -> Option<&'a Resource> {
    let planned = now.action == Action::Init;
    let never_made = now.action == Action::Create && now.status == Status::Failed && !now.begun();
    let own = if planned || never_made || now.action == Action::Delete {
        2
    } else {
        wish.distance(now)
    };
    let found = replaced.map(|row| (wish.distance(row), row));
    found
        .filter(|(distance, _)| *distance < own)
        .min_by_key(|(distance, row)| (*distance, std::cmp::Reverse(row.created_at)))
        .map(|(_, row)| row)
}

/// Whether a server that was replaced has let go of ports, wholly or in part, that it has to have again.
pub(crate) fn has_let_go(row: &Resource) -> bool {
    row.data.get(RELEASED).is_some_and(Value::is_string)
}

/// Whether a row is a server that has ports or floating IPs of the template, which can be in one server only.
pub(crate) fn holds_ports(row: &Resource) -> bool {
    let nics = row.properties.get("networks").and_then(Value::as_array);
    let mut nics = nics.into_iter().flatten();
    let released = row.data.get(RELEASED).and_then(Value::as_str) == Some("done");
    row.target == "OS::Nova::Server"
        && !released
        && nics.any(|nic| {
            ["port", "floating_ip"]
                .iter()
                .any(|name| nic.get(name).is_some_and(Value::is_string))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::kind;
    use crate::model::stack::sample;

    fn row(action: Action, status: Status, salt: &str, at: i64) -> Resource {
        let mut row = sample("OS::Heat::RandomString", json!({"salt": salt}));
        (row.action, row.status) = (action, status);
        row.created_at = nephos_types::Timestamp(at);
        row
    }

    #[test]
    fn the_same_thing_is_closer_than_another_one() {
        let wanted = json!({"salt": "1"});
        let name = "OS::Heat::RandomString";
        let wish = Wish {
            kind: kind::find(name),
            target: name,
            properties: wanted.as_object().unwrap(),
            later: &[],
        };
        let other = row(Action::Create, Status::Complete, "2", 9);
        let (old, older) = (
            row(Action::Update, Status::Complete, "1", 2),
            row(Action::Create, Status::Complete, "1", 1),
        );
        let found = |now: &Resource, replaced: &[Resource]| {
            closer(now, replaced.iter(), &wish).map(|row| row.created_at.0)
        };
        assert_eq!(found(&other, &[older.clone(), old.clone()]), Some(2));
        // What is there already is closer than what was before it; and nothing is, of what is something else, too.
        assert_eq!(found(&old, std::slice::from_ref(&older)), None);
        assert_eq!(
            found(&other, &[row(Action::Create, Status::Complete, "3", 1)]),
            None
        );
        let planned = row(Action::Init, Status::Complete, "1", 9);
        assert_eq!(found(&planned, &[older]), Some(1));
    }

    #[test]
    fn what_is_half_made_or_gone_does_not_stand() {
        for (action, status, is) in [
            (Action::Create, Status::Complete, true),
            (Action::Update, Status::Failed, true),
            (Action::Create, Status::Failed, false),
            (Action::Check, Status::Failed, false),
            (Action::Create, Status::InProgress, false),
            (Action::Delete, Status::Failed, false),
            (Action::Init, Status::Complete, false),
        ] {
            assert_eq!(
                stands(&row(action, status, "1", 1)),
                is,
                "{action:?} {status:?}"
            );
        }
        let mut gone = row(Action::Update, Status::Failed, "1", 1);
        gone.data.insert(GONE.to_owned(), json!(true));
        assert!(!stands(&gone));
    }
}
