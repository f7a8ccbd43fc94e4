//! One pass: each load balancer is made what it should be, and looked at; what is wanted no more goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use nephos_runtime::{Clock, crash_point};
use tracing::warn;

use super::documents::{Document, Documents};
use crate::driver::{Driver, DriverError, Seen};
use crate::model::spec::LoadBalancerSeen;

/// Load balancers that are worked on at a time,
const PARALLEL: usize = 8;
/// beside those that take longer than this, for which nobody waits:
const LONG: Duration = Duration::from_secs(2);
/// so many of these.
const MOST_LONG: usize = 64;
/// So long its port may be on its way, and attempts may fail, before that is a problem.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an agent remembers between passes. All of it can be lost.
pub struct Pass {
    driver: Arc<dyn Driver>,
    clock: Clock,
    /// Those that were wanted here, until it was told that they are gone.
    known: BTreeSet<String>,
    /// Which generation of each was carried out.
    done: BTreeMap<String, i64>,
    /// Since when one waits for its port, or attempts fail, and as which generation.
    waiting: BTreeMap<String, (i64, Duration)>,
    /// What was said of each that is not well, so that it is said once.
    said: BTreeMap<String, String>,
    /// What is being done, also from passes before.
    works: FuturesUnordered<BoxFuture<'static, (String, Option<Work>)>>,
    /// On which load balancers.
    busy: BTreeSet<String>,
}

/// What a pass came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is seen of each load balancer of which there is something to say.
    pub seen: BTreeMap<String, Word>,
    /// Whether some port is on its way.
    pub awaits: bool,
}

/// What is to be told of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Which document it is about.
    pub generation: i64,
    /// `up`, `down`, `waiting`, `failed`, `gone`.
    pub state: &'static str,
    /// All of it.
    pub seen: LoadBalancerSeen,
}

impl Pass {
    /// `known` were wanted here when this process began.
    pub fn new(driver: Arc<dyn Driver>, clock: Clock, known: BTreeSet<String>) -> Self {
        Self {
            driver,
            clock,
            known,
            done: BTreeMap::new(),
            waiting: BTreeMap::new(),
            said: BTreeMap::new(),
            works: FuturesUnordered::new(),
            busy: BTreeSet::new(),
        }
    }

    /// Brings the host to what the documents say. What takes long goes on beside the passes that follow, and is left out of
    /// them until it is done.
    pub async fn run(&mut self, documents: &Documents) -> Outcome {
        let mut outcome = Outcome::default();
        for (id, document, made, looked) in self.work(documents).await {
            if !documents.all.contains_key(&id) {
                continue; // it is wanted no more since
            }
            let port_is_coming = matches!(made, Err(DriverError::Waiting(_)));
            let word = self.word(&id, &document, made, looked);
            outcome.awaits |= word.is_none() && port_is_coming;
            outcome.seen.extend(word.map(|word| (id, word)));
        }
        self.remove(documents, &mut outcome).await;
        let wanted = |id: &String| documents.all.contains_key(id);
        self.done.retain(|id, _| wanted(id));
        self.waiting.retain(|id, _| wanted(id));
        self.said.retain(|id, _| wanted(id));
        outcome
    }

    /// Works on all that nobody works on; what was done meanwhile, of earlier passes too.
    async fn work(&mut self, documents: &Documents) -> Vec<Work> {
        let mut queue = Vec::new();
        for (id, document) in documents.all.iter().rev() {
            self.known.insert(id.clone());
            if !self.busy.contains(id) {
                queue.push((id, document));
            }
        }
        let mut done = Vec::new();
        // Those of this pass that are under way.
        let mut new: BTreeSet<String> = BTreeSet::new();
        let mut slots = self.works.len().min(MOST_LONG) + PARALLEL;
        let mut until = self.clock.monotonic() + LONG;
        loop {
            while self.works.len() < slots
                && let Some((id, document)) = queue.pop()
            {
                let driver = Arc::clone(&self.driver);
                let work = work(driver, id.clone(), document.clone(), documents.complete);
                let key = id.clone();
                self.works.push(work.map(|work| (key, work)).boxed());
                self.busy.insert(id.clone());
                new.insert(id.clone());
            }
            if new.is_empty() && queue.is_empty() {
                break;
            }
            let left = until.saturating_sub(self.clock.monotonic());
            tokio::select! {
                biased;
                Some((id, work)) = self.works.next() => {
                    self.busy.remove(&id);
                    new.remove(&id);
                    done.extend(work);
                }
                () = self.clock.sleep(left) => {
                    slots = self.works.len().min(MOST_LONG) + PARALLEL;
                    if queue.is_empty() || self.works.len() >= slots {
                        break;
                    }
                    until = self.clock.monotonic() + LONG;
                }
            }
        }
        while let Some(Some((id, work))) = self.works.next().now_or_never() {
            self.busy.remove(&id);
            done.extend(work);
        }
        done
    }

    /// None: what it needs is on its way, and there is nothing to say yet.
    fn word(
        &mut self,
        id: &str,
        document: &Document,
        made: Result<(), DriverError>,
        looked: Result<Seen, DriverError>,
    ) -> Option<Word> {
        let generation = document.generation;
        if made.is_ok() {
            self.done.insert(id.to_owned(), generation);
        }
        let port_is_coming = matches!(made, Err(DriverError::Waiting(_)));
        let (looked, unseen) = match looked {
            Ok(seen) => (seen, None),
            Err(why) => (Seen::default(), Some(why)),
        };
        let problem = made.err().or(unseen);
        // What was refused is refused again. Anything else may be over at the next try.
        match problem {
            None | Some(DriverError::Refused(_)) => {
                self.waiting.remove(id);
            }
            Some(_) if self.is_patient(id, generation) => return None,
            Some(_) => {}
        }
        let problem = problem.map(|why| why.to_string());
        self.say(id, problem.as_deref());
        let enabled = document.spec.as_ref().is_ok_and(|spec| spec.enabled);
        let state = match &problem {
            Some(_) if port_is_coming => "waiting",
            Some(_) => "failed",
            None if enabled => "up",
            None => "down",
        };
        let seen = LoadBalancerSeen {
            revision: self.done.get(id).copied().unwrap_or(0),
            running: looked.running,
            problem,
            listeners: looked.listeners,
            members: looked.members,
        };
        Some(Word {
            generation,
            state,
            seen,
        })
    }

    /// Whether what is in the way of a load balancer is not in its way for long.
    fn is_patient(&mut self, id: &str, generation: i64) -> bool {
        let now = self.clock.monotonic();
        let new = (generation, now);
        let since = self.waiting.entry(id.to_owned()).or_insert(new);
        if since.0 != generation {
            *since = new;
        }
        now.saturating_sub(since.1) < PATIENCE
    }

    fn say(&mut self, id: &str, problem: Option<&str>) {
        let Some(why) = problem else {
            self.said.remove(id);
            return;
        };
        let before = self.said.insert(id.to_owned(), why.to_owned());
        if before.as_deref() != Some(why) {
            warn!(
                load_balancer = id,
                why,
                "a load balancer is not as it should be; it is tried again. `nephos doctor` here says what the machine lacks"
            );
        }
    }

    async fn remove(&mut self, documents: &Documents, outcome: &mut Outcome) {
        let mut here = match self.driver.list().await {
            Ok(here) => here,
            Err(why) => {
                warn!(%why, "cannot list the load balancers of this host; trying again. What is wanted no more stays until then");
                return;
            }
        };
        // Of one that was wanted and of which nothing is here it is said, too, that it is gone: somebody waits for it.
        here.extend(self.known.iter().cloned());
        let may_go = |id: &String| documents.may_remove(id) && !self.busy.contains(id);
        let going: Vec<String> = here.into_iter().filter(may_go).collect();
        for id in going {
            crash_point!("load_balancer.remove");
            let removed = self.driver.remove(&id).await;
            crash_point!("load_balancer.removed");
            match removed {
                Ok(()) => {
                    let word = Word {
                        generation: self.done.get(&id).copied().unwrap_or(0),
                        state: "gone",
                        seen: LoadBalancerSeen::default(),
                    };
                    self.known.remove(&id);
                    outcome.seen.insert(id, word);
                }
                Err(why) => {
                    warn!(load_balancer = id, %why, "cannot remove a load balancer that is wanted no more; trying again");
                }
            }
        }
    }
}

/// A load balancer, what came of making it, and how it is.
type Work = (
    String,
    Document,
    Result<(), DriverError>,
    Result<Seen, DriverError>,
);

/// None: what is here was made by a later document than this one, which was kept and not heard.
async fn work(
    driver: Arc<dyn Driver>,
    id: String,
    document: Document,
    heard: bool,
) -> Option<Work> {
    if !heard
        && let Ok(Some(last)) = driver.generation(&id).await
        && last > document.generation
    {
        return None;
    }
    let made = match &document.spec {
        Ok(spec) => driver.ensure(spec, document.generation).await,
        Err(why) => Err(DriverError::Refused(why.clone())),
    };
    let looked = driver.look(&id).await;
    Some((id, document, made, looked))
}
