//! What the host tells of what it did: once per change, everything again now and then.

use std::collections::{BTreeMap, BTreeSet};

use nephos_peer::feed::{FeedClient, Made};
use nephos_runtime::Clock;
use nephos_types::feed::Observed;
use serde_json::{Value, json};

use super::Settings;
use super::documents::{Documents, Owner};
use crate::model::spec::{
    HostReport, KIND_HOST, KIND_NETWORK, KIND_PORT, KIND_ROUTER, KIND_SECURITY_GROUP,
};

/// What is seen of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub generation: i64,
    pub state: &'static str,
    pub detail: Value,
}

/// What was told last.
#[derive(Debug, Default)]
pub struct Reports {
    now: BTreeMap<Owner, Seen>,
    told: BTreeMap<Owner, Seen>,
}

impl Reports {
    /// Notes what there is after a pass; `there` says whether something is left of a thing.
    pub fn note(
        &mut self,
        documents: &Documents,
        problems: &BTreeMap<Owner, String>,
        there: &dyn Fn(&Owner) -> bool,
    ) {
        let before = std::mem::take(&mut self.now);
        for (owner, generation) in &documents.generations {
            let seen = state(documents, owner, problems);
            let detail = seen
                .1
                .map_or(Value::Null, |reason| json!({"reason": reason}));
            let seen = Seen {
                generation: *generation,
                state: seen.0,
                detail,
            };
            self.now.insert(owner.clone(), seen);
        }
        for (owner, seen) in before {
            if self.now.contains_key(&owner) {
                continue;
            }
            if owner.kind == KIND_HOST {
                self.now.insert(owner, seen);
                continue;
            }
            let gone = Seen {
                state: if there(&owner) { seen.state } else { "gone" },
                ..seen
            };
            self.now.insert(owner, gone);
        }
    }

    /// What of `all` or of what changed is to be told.
    pub fn due(&self, all: bool, clock: &Clock) -> Vec<Observed> {
        let due = self.now.iter().filter(|(owner, seen)| {
            let told = self.told.get(*owner) == Some(*seen);
            !told || all && seen.state != "gone"
        });
        let at = clock.now();
        due.map(|(owner, seen)| Observed {
            kind: owner.kind.to_owned(),
            id: owner.id.clone(),
            generation_seen: seen.generation,
            state: seen.state.to_owned(),
            detail: seen.detail.clone(),
            at,
        })
        .collect()
    }

    /// They were told; what is gone is forgotten.
    pub fn told(&mut self) {
        self.told.clone_from(&self.now);
        self.now.retain(|_, seen| seen.state != "gone");
    }

    /// What the host says of itself. `ways_out`: the networks outside that it really reaches.
    pub fn host(
        &mut self,
        settings: &Settings,
        ways_out: &BTreeSet<String>,
        problems: Vec<String>,
    ) {
        let report = HostReport {
            host: settings.host.clone(),
            vtep: settings.vtep,
            physical_networks: ways_out.iter().cloned().collect(),
            problems,
            gateway: !ways_out.is_empty(),
        };
        let seen = Seen {
            generation: 0,
            state: "up",
            detail: serde_json::to_value(report).unwrap_or(Value::Null),
        };
        self.now.insert(Owner::new(KIND_HOST, &settings.host), seen);
    }
}

/// Says what came of a thing on behalf of the request that wanted it.
pub fn made(teller: &FeedClient, seen: &Observed) {
    let reason = seen.detail.get("reason").and_then(Value::as_str);
    teller.made(Made {
        kind: &seen.kind,
        id: &seen.id,
        generation: (seen.state != "gone").then_some(seen.generation_seen),
        state: &seen.state,
        failed: (seen.state == "failed").then(|| reason.unwrap_or_default()),
    });
}

fn state(
    documents: &Documents,
    owner: &Owner,
    problems: &BTreeMap<Owner, String>,
) -> (&'static str, Option<String>) {
    if let Some(why) = problems.get(owner) {
        return ("failed", Some(why.clone()));
    }
    let network = |id: &str| problems.get(&Owner::new(KIND_NETWORK, id)).cloned();
    match owner.kind {
        KIND_PORT => match documents.ports.get(&owner.id) {
            Some(port) if !port.admin_state_up => ("down", None),
            Some(port) => match network(&port.network_id) {
                Some(why) => ("failed", Some(why)),
                None => ("up", None),
            },
            None => ("failed", None),
        },
        KIND_ROUTER => match documents.routers.get(&owner.id) {
            Some(router) if !router.admin_state_up => ("down", None),
            _up => ("up", None),
        },
        KIND_NETWORK | KIND_SECURITY_GROUP => ("up", None),
        _other => ("up", None),
    }
}
