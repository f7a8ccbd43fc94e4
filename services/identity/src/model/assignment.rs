//! Who has which role where, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

/// Who a role is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ActorKind {
    User,
    Group,
}

/// What a role is given on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TargetKind {
    Project,
    Domain,
    System,
}

/// The id under which assignments on the system stand.
pub(crate) const SYSTEM: &str = "system";

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Assignment {
    pub actor_kind: ActorKind,
    pub actor_id: String,
    pub target_kind: TargetKind,
    pub target_id: String,
    pub role_id: String,
    /// On the projects below the target instead of the target.
    pub inherited: bool,
}

impl ActorKind {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::User, Self::Group]
            .into_iter()
            .find(|kind| kind.text() == text)
    }
}

impl TargetKind {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Domain => "domain",
            Self::System => "system",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Project, Self::Domain, Self::System]
            .into_iter()
            .find(|kind| kind.text() == text)
    }
}

/// Something that roles can be had on, with the ids above it: parents first, the domain last.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub kind: TargetKind,
    pub id: String,
    pub above: Vec<String>,
}

impl Place {
    pub(crate) fn system() -> Self {
        Self {
            kind: TargetKind::System,
            id: SYSTEM.to_owned(),
            above: Vec::new(),
        }
    }

    pub(crate) fn domain(id: &str) -> Self {
        Self {
            kind: TargetKind::Domain,
            id: id.to_owned(),
            above: Vec::new(),
        }
    }

    /// Whether the assignment gives its role here.
    pub(crate) fn has(&self, assignment: &Assignment) -> bool {
        if !assignment.inherited {
            return assignment.target_kind == self.kind && assignment.target_id == self.id;
        }
        // What is inherited goes to projects only.
        self.kind == TargetKind::Project && self.above.contains(&assignment.target_id)
    }
}

/// Which roles imply which, directly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Implications(pub BTreeMap<String, BTreeSet<String>>);

impl Implications {
    /// The role and everything that follows from it; ends on cycles too.
    pub(crate) fn closure(&self, role_id: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![role_id.to_owned()];
        while let Some(next) = open.pop() {
            if let Some(implied) = self.0.get(&next) {
                open.extend(implied.iter().filter(|id| !found.contains(*id)).cloned());
            }
            found.insert(next);
        }
        found
    }

    /// The ids of roles that the assignments give at a place, what they imply included.
    pub(crate) fn effective(&self, place: &Place, assignments: &[Assignment]) -> BTreeSet<String> {
        assignments
            .iter()
            .filter(|assignment| place.has(assignment))
            .flat_map(|assignment| self.closure(&assignment.role_id))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(target_kind: TargetKind, target: &str, inherited: bool) -> Assignment {
        Assignment {
            actor_kind: ActorKind::User,
            actor_id: "u".to_owned(),
            target_kind,
            target_id: target.to_owned(),
            role_id: "admin".to_owned(),
            inherited,
        }
    }

    #[track_caller]
    fn check(place: &Place, assignment: &Assignment, has: bool) {
        assert_eq!(place.has(assignment), has, "{place:?} {assignment:?}");
    }

    #[test]
    fn inherited_roles_hold_below_their_target_and_not_on_it() {
        let above = vec!["parent".to_owned(), "domain".to_owned()];
        let child = Place {
            kind: TargetKind::Project,
            id: "child".to_owned(),
            above,
        };
        check(&child, &given(TargetKind::Project, "child", false), true);
        check(&child, &given(TargetKind::Project, "child", true), false);
        check(&child, &given(TargetKind::Project, "parent", true), true);
        check(&child, &given(TargetKind::Project, "parent", false), false);
        check(&child, &given(TargetKind::Domain, "domain", true), true);
        check(&child, &given(TargetKind::Domain, "domain", false), false);
        check(
            &Place::domain("domain"),
            &given(TargetKind::Domain, "domain", true),
            false,
        );
        check(
            &Place::domain("domain"),
            &given(TargetKind::Domain, "domain", false),
            true,
        );
        check(
            &Place::system(),
            &given(TargetKind::System, SYSTEM, false),
            true,
        );
        check(
            &Place::system(),
            &given(TargetKind::Project, SYSTEM, false),
            false,
        );
    }

    #[test]
    fn implied_roles_follow_and_a_cycle_ends() {
        let pair = |from: &str, to: &str| (from.to_owned(), BTreeSet::from([to.to_owned()]));
        let implies = Implications(BTreeMap::from([
            pair("admin", "member"),
            pair("member", "reader"),
            pair("reader", "admin"),
        ]));
        let all: Vec<String> = implies.closure("member").into_iter().collect();
        assert_eq!(all, ["admin", "member", "reader"]);
    }
}
