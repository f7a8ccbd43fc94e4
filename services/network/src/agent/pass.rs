//! One pass: look, compare, change, judge connections, serve guests, report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nephos_runtime::crash_point;
use tracing::warn;

use super::Settings;
use super::answers::Answers;
use super::apply::{Outcome, apply};
use super::connections;
use super::documents::{Documents, Owner};
use super::metadata::{Metadata, Relay};
use super::picture::{self, Kept, Picture};
use super::plan::{Known, plan};
use super::report::Reports;
use super::tables::{self, Tables};
use crate::driver::plane::{Entries, Forward, HOST, Neighbour, Plane, Space, TableName};
use crate::driver::{Driver, DriverError, Listing, Step};
use crate::model::spec::{KIND_HOST, KIND_NETWORK, KIND_PORT, KIND_ROUTER, Segment};

/// A step may bring another one forth (an address that went took a route along): looked at again this often.
const ROUNDS: usize = 3;

/// What an agent remembers between passes. All of it can be lost.
pub struct Pass {
    driver: Arc<dyn Driver>,
    settings: Settings,
    /// What was put into the tables of each space.
    known: BTreeMap<String, Tables>,
    /// How each table was listed, when that was after its last change.
    listed: BTreeMap<(String, TableName), Listing>,
    /// What was drawn of long lists.
    kept: Kept,
    /// The host's forwarding entries and neighbours, which are many: as they were put there, or found to be. None: something
    /// happened since that may have changed them, so they are looked at.
    entries: Option<Ways>,
    answers: Answers,
    metadata: Metadata,
    /// Whether connections were judged since the start.
    judged: bool,
    /// The networks outside that this host reaches; none: nobody has looked.
    ways_out: Option<BTreeSet<String>>,
}

impl Pass {
    pub fn new(driver: Arc<dyn Driver>, settings: Settings, relay: Relay) -> Self {
        let answers = Answers::new(Arc::clone(&driver), relay.clock.clone());
        let metadata = Metadata::new(Arc::clone(&driver), relay);
        Self {
            driver,
            settings,
            known: BTreeMap::new(),
            listed: BTreeMap::new(),
            kept: Kept::default(),
            entries: None,
            answers,
            metadata,
            judged: false,
            ways_out: None,
        }
    }

    /// Brings the host to what the documents say. `everything`: also looks into the tables. Whether it went well.
    pub async fn run(
        &mut self,
        documents: &Documents,
        everything: bool,
        reports: &mut Reports,
    ) -> bool {
        let picture = picture::draw(documents, &self.settings, &mut self.kept);
        let mut problems = picture.problems.clone();
        if everything {
            self.entries = None;
            self.look_into_tables(&picture.plane).await;
        }
        let (there, went_well) = self.bring_about(documents, &picture, &mut problems).await;
        self.answers.serve(&picture.guests).await;
        self.metadata.serve(&picture.metadata).await;
        let mut of_host = Vec::new();
        if let Some(why) = problems.remove(&Owner::new(KIND_HOST, "")) {
            // Nobody knows what passes on a host that does not do as it is told.
            for port in documents.ports.values() {
                let port = Owner::new(KIND_PORT, &port.id);
                problems.entry(port).or_insert_with(|| why.clone());
            }
            of_host.push(why);
        }
        if everything {
            match self.driver.problems().await {
                Ok(more) => of_host.extend(more),
                Err(why) => of_host.push(why.to_string()),
            }
        }
        if everything || self.ways_out.is_none() {
            match self.look_for_ways_out().await {
                Ok(found) => self.ways_out = Some(found),
                Err(why) => of_host.push(why.to_string()),
            }
        }
        if let Some(ways_out) = &self.ways_out {
            self.shut_in(documents, ways_out, &mut problems);
            if everything || !of_host.is_empty() {
                reports.host(&self.settings, ways_out, of_host);
            }
        }
        let settings = &self.settings;
        let there = |owner: &Owner| {
            there
                .as_ref()
                .is_none_or(|found| is_there(found, settings, owner))
        };
        reports.note(documents, &problems, &there);
        went_well
    }

    /// Compares and changes until there is nothing more to do; what was found last, and whether it went well.
    async fn bring_about(
        &mut self,
        documents: &Documents,
        picture: &Picture,
        problems: &mut BTreeMap<Owner, String>,
    ) -> (Option<Plane>, bool) {
        let mut there = None;
        for _round in 0..ROUNDS {
            let found = match self.look(&picture.plane).await {
                Ok(found) => found,
                Err(why) => {
                    warn!(%why, "cannot look at the host's network; trying again. `nephos doctor` here says what the machine lacks");
                    problems.insert(Owner::new(KIND_HOST, ""), why.to_string());
                    return (there, false);
                }
            };
            let known = Known {
                found: &found,
                tables: &self.known,
                may_remove: documents.may_remove(),
            };
            let steps = plan(&picture.plane, known);
            there = Some(found);
            self.entries = None; // until it is known how they are
            let outcome = apply(self.driver.as_ref(), &steps, picture, &mut self.known).await;
            let failed = !outcome.errors.is_empty();
            let done = !failed && steps.iter().all(brings_nothing_forth);
            if done {
                self.remember(documents, &picture.plane);
            }
            if !steps.is_empty() {
                self.after(documents, picture, &outcome).await;
            }
            problems.extend(outcome.errors);
            if failed || done {
                return (there, done);
            }
        }
        (there, true)
    }

    /// What there is; of entries what is remembered, if anything is.
    async fn look(&self, wanted: &Plane) -> Result<Plane, DriverError> {
        let mut found = self.driver.look(wanted, self.entries.is_none()).await?;
        if let (Some(ways), Some(host)) = (&self.entries, found.spaces.get_mut(HOST)) {
            host.forwards.clone_from(&ways.forwards);
            host.neighbours.clone_from(&ways.neighbours);
            // What was of a link that is not there any more went with it.
            let Space {
                links,
                forwards,
                neighbours,
                ..
            } = host;
            forwards.retain(|link, _| links.contains_key(link));
            neighbours.retain(|link, _| links.contains_key(link));
        }
        Ok(found)
    }

    /// Remembers that entries are as they are wanted; where nothing may go, there may be others beside them.
    fn remember(&mut self, documents: &Documents, wanted: &Plane) {
        let host = wanted.spaces.get(HOST);
        let host = host.filter(|_| documents.may_remove());
        self.entries = host.map(|host| Ways {
            forwards: host.forwards.clone(),
            neighbours: host.neighbours.clone(),
        });
    }

    /// The networks outside that this host reaches: it is a member itself, or something is plugged into the bridge.
    async fn look_for_ways_out(&self) -> Result<BTreeSet<String>, DriverError> {
        let mut found = BTreeSet::new();
        for (name, physical) in &self.settings.physical_networks {
            if physical.host_address.is_some() || self.driver.leads_out(&physical.bridge).await? {
                found.insert(name.clone());
            }
        }
        Ok(found)
    }

    /// Routers that have a gateway and live where nothing leads out.
    fn shut_in(
        &self,
        documents: &Documents,
        ways_out: &BTreeSet<String>,
        problems: &mut BTreeMap<Owner, String>,
    ) {
        for router in documents.routers.values() {
            let outside = router
                .gateway
                .as_ref()
                .map(|gateway| &gateway.leg.network_id);
            let network = outside.and_then(|id| documents.networks.get(id));
            let Some(Segment::Flat { physical_network }) = network.map(|network| &network.segment)
            else {
                continue;
            };
            let physical = self.settings.physical_networks.get(physical_network);
            let Some(physical) = physical.filter(|_| !ways_out.contains(physical_network)) else {
                continue;
            };
            let why = format!(
                "nothing is plugged into {} on host {}, so its routers reach nobody outside: plug a network card in, \
                 or move the router to a host that has one",
                physical.bridge, self.settings.host
            );
            problems
                .entry(Owner::new(KIND_ROUTER, &router.id))
                .or_insert(why);
        }
    }

    /// What follows from changes of filters and spaces.
    async fn after(&mut self, documents: &Documents, picture: &Picture, outcome: &Outcome) {
        self.metadata.forget(&outcome.made);
        self.listed
            .retain(|(space, _), _| !outcome.filtered.contains(space));
        let spaces: Vec<_> = if self.judged {
            outcome.filtered.clone()
        } else {
            picture.plane.spaces.keys().cloned().collect()
        };
        self.judged = true;
        for space in spaces {
            crash_point!("network.judge");
            if let Err(why) = self.judge(documents, picture, &space).await {
                self.judged = false; // all of them, next time
                warn!(space = %space, %why, "cannot forget connections, which may outlive what allowed them; trying again");
            }
            crash_point!("network.judged");
        }
    }

    /// Ends connections that must not go on.
    async fn judge(
        &self,
        documents: &Documents,
        picture: &Picture,
        space: &str,
    ) -> Result<(), DriverError> {
        let router = picture
            .spaces
            .get(space)
            .filter(|owner| owner.kind == KIND_ROUTER);
        let router = router.and_then(|owner| documents.routers.get(&owner.id));
        if space != HOST && router.is_none() {
            return Ok(());
        }
        let all = self.driver.connections(space).await?;
        let over = match router {
            Some(router) => connections::untranslated(router, &all),
            None => connections::forbidden(documents, &all),
        };
        if over.is_empty() {
            return Ok(());
        }
        self.driver.remove_connections(space, &over).await
    }

    /// Forgets what it knows of tables that somebody else changed, so that they are replaced.
    async fn look_into_tables(&mut self, wanted: &Plane) {
        for space in wanted.spaces.keys() {
            let Some(known) = self.known.get(space).filter(|known| !known.is_empty()) else {
                continue;
            };
            let Ok(found) = self.driver.tables(space).await else {
                continue; // the space is gone: `look` says so
            };
            let mut drifted = Vec::new();
            for (name, table) in known {
                let key = (space.clone(), *name);
                let listing = found.get(name).cloned().unwrap_or_default();
                let before = self.listed.get(&key);
                if tables::drifted(&listing, table)
                    || before.is_some_and(|before| before.digest != listing.digest)
                {
                    warn!(space = %space, table = %name, "somebody changed our filters; they are put back");
                    drifted.push(*name);
                    self.listed.remove(&key);
                } else {
                    self.listed.insert(key, listing);
                }
            }
            if let Some(known) = self.known.get_mut(space) {
                known.retain(|name, _| !drifted.contains(name));
            }
        }
    }
}

/// The entries of the host's links.
struct Ways {
    forwards: Entries<Forward>,
    neighbours: Entries<Neighbour>,
}

/// Whether no other step follows from one, and entries stay as they are said to be. What changes links does not: their
/// entries come and go with them, with their bridges and switches.
const fn brings_nothing_forth(step: &Step) -> bool {
    matches!(
        step,
        Step::Forwards { .. }
            | Step::Neighbours { .. }
            | Step::Announce { .. }
            | Step::Tables { .. }
    )
}

/// Whether something is left of a thing that is not wanted any more.
fn is_there(found: &Plane, settings: &Settings, owner: &Owner) -> bool {
    match owner.kind {
        KIND_PORT => {
            let tap = format!("tap{}", picture::short(&owner.id));
            let host = found.spaces.get(HOST);
            host.is_some_and(|host| host.links.contains_key(&tap))
        }
        KIND_ROUTER => found.spaces.contains_key(&settings.router_space(&owner.id)),
        KIND_NETWORK => found
            .spaces
            .contains_key(&settings.metadata_space(&owner.id)),
        _without_a_place => false,
    }
}

/// Removes everything of ours.
pub async fn remove_everything(
    settings: &Settings,
    driver: &dyn Driver,
) -> Result<(), DriverError> {
    let mut wanted = Plane::default();
    wanted.space(HOST);
    let found = driver.look(&wanted, true).await?;
    let documents = Documents {
        complete: true,
        ..Documents::default()
    };
    // Drawn only for what it names: the bridges of physical networks.
    let own = picture::draw(&documents, settings, &mut Kept::default());
    let mut steps = plan(
        &wanted,
        Known {
            found: &found,
            tables: &BTreeMap::new(),
            may_remove: true,
        },
    );
    let mut script = String::new();
    if let Some(host) = own.plane.spaces.get(HOST) {
        host.tables
            .keys()
            .for_each(|name| tables::remove(&mut script, *name));
    }
    steps.push(Step::Tables {
        space: HOST.to_owned(),
        script,
        tables: Tables::new(),
    });
    let mut known = BTreeMap::new();
    let outcome = apply(driver, &steps, &own, &mut known).await;
    match outcome.errors.into_values().next() {
        Some(why) => Err(DriverError::new("remove everything", why)),
        None => Ok(()),
    }
}
