//! Which server is worked on when. Plain data, driven by `Agent::run`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nephos_runtime::Clock;

use super::apply::{Asked, Goal, Outcome};
use super::plan::Wait;
use super::{DesiredServers, Reports, Settings, Word};
use crate::driver::{DriverError, Found};
use crate::model::spec::{
    GuestState, ImageHash, ObservedServer, Progress, ServerId, ServerSpec, Want,
};

/// A step that went wrong is tried so often before the spec counts as failed.
const MAX_ATTEMPTS: u32 = 4;
/// Whoever waits for longer than this hears what for.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// What a task needs to work on a server.
pub struct Work {
    /// What it is to become.
    pub goal: Goal,
    /// What the guest has been asked.
    pub asked: Asked,
    /// Whose word that is.
    pub word: Word,
}

/// What a task found.
pub struct Done {
    /// The server.
    pub server: ServerId,
    /// What it was to become.
    pub goal: Goal,
    /// What the guest has been asked.
    pub asked: Asked,
    /// How it went.
    pub outcome: Outcome,
    /// What there is now.
    pub found: Found,
}

/// All servers of a host.
pub struct Schedule {
    settings: Settings,
    desired: Option<Arc<DesiredServers>>,
    unwanted_changed: bool,
    desks: BTreeMap<ServerId, Desk>,
    due: BTreeSet<(Duration, ServerId)>,
    working: usize,
}

/// One server.
struct Desk {
    goal: Goal,
    asked: Asked,
    due: Option<Duration>,
    at_work: bool,
    look_after_work: bool,
    attempts: u32,
    given_up: bool,
    waits_since: Option<Duration>,
    unwanted_since: Option<Duration>,
}

impl Desk {
    fn new(goal: Goal) -> Self {
        Self {
            goal,
            asked: Asked::default(),
            due: None,
            at_work: false,
            look_after_work: false,
            attempts: 0,
            given_up: false,
            waits_since: None,
            unwanted_since: None,
        }
    }

    /// Another goal: what was tried and asked for the one before counts no longer.
    fn turn_to(&mut self, goal: Goal) {
        *self = Self {
            due: self.due,
            at_work: self.at_work,
            ..Self::new(goal)
        };
    }

    fn is_for(&self, spec: &Arc<ServerSpec>) -> bool {
        matches!(&self.goal, Goal::Spec(mine) if Arc::ptr_eq(mine, spec) || mine == spec)
    }
}

impl Schedule {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            desired: None,
            unwanted_changed: false,
            desks: BTreeMap::new(),
            due: BTreeSet::new(),
            working: 0,
        }
    }

    /// Takes over what is wanted; servers whose spec is new are due now.
    pub fn want(
        &mut self,
        desired: Option<Arc<DesiredServers>>,
        boot_revision: i64,
        now: Duration,
    ) {
        let Some(desired) = desired else { return };
        if self
            .desired
            .as_ref()
            .is_none_or(|before| !Arc::ptr_eq(before, &desired))
        {
            self.take_over(&desired, now);
            self.desired = Some(desired);
            self.unwanted_changed = true;
        }
        if std::mem::take(&mut self.unwanted_changed) {
            self.release_unwanted(boot_revision, now);
        }
    }

    fn take_over(&mut self, desired: &DesiredServers, now: Duration) {
        for (server, spec) in &desired.servers {
            match self.desks.get_mut(server) {
                Some(desk) if desk.is_for(spec) => continue,
                Some(desk) => desk.turn_to(Goal::Spec(Arc::clone(spec))),
                None => {
                    let desk = Desk::new(Goal::Spec(Arc::clone(spec)));
                    self.desks.insert(server.clone(), desk);
                }
            }
            self.set_due(server, now);
        }
    }

    /// All servers are looked at again. Those of ours that are here and wanted nowhere wait for their end.
    pub fn found_here(&mut self, here: BTreeSet<ServerId>, now: Duration) {
        for server in here {
            self.desks
                .entry(server)
                .or_insert_with(|| Desk::new(Goal::Gone));
        }
        self.unwanted_changed = true;
        self.poke(None, now);
    }

    /// Looks at one, or at all, as soon as possible.
    pub fn poke(&mut self, server: Option<&ServerId>, now: Duration) {
        let servers: Vec<ServerId> = self
            .desks
            .iter()
            .filter(|(id, desk)| match server {
                Some(server) => *id == server && matches!(desk.goal, Goal::Spec(_)),
                None => !desk.given_up && matches!(desk.goal, Goal::Spec(_)),
            })
            .map(|(id, _)| id.clone())
            .collect();
        for server in servers {
            self.set_due(&server, now);
        }
    }

    /// The next server to work on, if there is one and a place for it.
    pub fn start_next(&mut self, now: Duration) -> Option<(ServerId, Work)> {
        if self.working >= self.settings.parallel {
            return None;
        }
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, server) = self.due.pop_first()?;
        let desk = self.desks.get_mut(&server)?;
        desk.due = None;
        desk.at_work = true;
        self.working += 1;
        let desired = self.desired.as_ref();
        let work = Work {
            goal: desk.goal.clone(),
            asked: desk.asked.clone(),
            word: desired.map_or_else(Word::default, |desired| desired.word),
        };
        Some((server, work))
    }

    /// When something is due, if there is a place to work on it.
    pub fn next_due(&self) -> Option<Duration> {
        if self.working >= self.settings.parallel {
            return None;
        }
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes back a finished piece of work: reports it and decides when to look again.
    pub fn finish(&mut self, done: Done, reports: &Reports, clock: &Clock) {
        self.working = self.working.saturating_sub(1);
        let now = clock.monotonic();
        let Some(desk) = self.desks.get_mut(&done.server) else {
            return;
        };
        desk.at_work = false;
        let look_again = std::mem::take(&mut desk.look_after_work);
        match (&desk.goal, &done.goal) {
            (Goal::Spec(now), Goal::Spec(then)) if Arc::ptr_eq(now, then) => {}
            (Goal::Gone, Goal::Gone) => {}
            (Goal::Spec(_), _) => return self.set_due(&done.server, now),
            (Goal::Gone, Goal::Spec(_)) => {
                self.unwanted_changed = true; // its time is set by the grace period
                return;
            }
        }
        desk.asked = done.asked.clone();
        let (progress, again) = judge(desk, &done.outcome, &self.settings, now);
        desk.given_up = matches!(progress, Progress::Failed { .. });
        let is_gone = done.found.is_nothing() && matches!(done.outcome, Outcome::Settled);
        // What only waits for a moment is no news.
        let waited = desk.waits_since.map(|since| now.saturating_sub(since));
        let moment = done.found.live.is_none()
            && progress.is_under_way()
            && waited.is_some_and(|waited| waited < TELL_AFTER);
        if !moment {
            reports.put(observed(&done, progress, clock));
        }
        if is_gone && matches!(done.goal, Goal::Gone) {
            self.desks.remove(&done.server);
            return;
        }
        let again = if look_again { Some(now) } else { again };
        if let Some(at) = again {
            self.set_due(&done.server, at);
        }
    }

    /// The images of all wanted servers; `None` while it is not known what is wanted.
    pub fn wanted_images(&self) -> Option<BTreeSet<ImageHash>> {
        let desired = self.desired.as_ref()?;
        let mut images = BTreeSet::new();
        for spec in desired
            .servers
            .values()
            .filter(|spec| spec.want != Want::Absent)
        {
            images.extend(spec.boot.image.as_ref().map(|image| image.hash.clone()));
            if let Some(kernel) = &spec.boot.kernel {
                images.insert(kernel.image.hash.clone());
                images.extend(kernel.ramdisk.as_ref().map(|ramdisk| ramdisk.hash.clone()));
            }
        }
        Some(images)
    }

    /// Servers that the snapshot does not name are removed after the grace period, and that only when the control
    /// plane itself said so after this agent had started, and knows no less than it did before.
    fn release_unwanted(&mut self, boot_revision: i64, now: Duration) {
        let Some(desired) = self.desired.clone() else {
            return;
        };
        let may_remove = desired.word == Word::ControlPlane && desired.revision >= boot_revision;
        let mut due = Vec::new();
        for (server, desk) in &mut self.desks {
            if desired.servers.contains_key(server) {
                continue;
            }
            if matches!(desk.goal, Goal::Spec(_)) {
                desk.turn_to(Goal::Gone);
                if let Some(before) = desk.due.take() {
                    self.due.remove(&(before, server.clone()));
                }
            }
            if !may_remove {
                desk.unwanted_since = None;
                continue;
            }
            let since = *desk.unwanted_since.get_or_insert(now);
            if desk.due.is_none() && !desk.at_work {
                due.push((server.clone(), since + self.settings.orphan_grace));
            }
        }
        for (server, at) in due {
            self.set_due(&server, at.max(now));
        }
    }

    /// Due at `at`, or earlier if it is already.
    fn set_due(&mut self, server: &ServerId, at: Duration) {
        let Some(desk) = self.desks.get_mut(server) else {
            return;
        };
        if desk.at_work {
            desk.look_after_work = true;
            return;
        }
        match desk.due {
            Some(before) if before <= at => return,
            Some(before) => {
                self.due.remove(&(before, server.clone()));
            }
            None => {}
        }
        desk.due = Some(at);
        self.due.insert((at, server.clone()));
    }
}

/// What to report, and when to look again.
fn judge(
    desk: &mut Desk,
    outcome: &Outcome,
    settings: &Settings,
    now: Duration,
) -> (Progress, Option<Duration>) {
    match outcome {
        Outcome::Settled => {
            desk.attempts = 0;
            desk.waits_since = None;
            (Progress::Settled, None)
        }
        Outcome::Waits(wait) => {
            let since = *desk.waits_since.get_or_insert(now);
            let waited = now.saturating_sub(since);
            let reason = wait.reason();
            let broken = matches!(wait, Wait::Broken(_));
            if broken || matches!(wait, Wait::Taps(_)) && waited >= settings.tap_wait {
                return (Progress::Failed { reason }, None);
            }
            // Taps come within milliseconds of each other, guests take seconds.
            let pause = (waited / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
            (Progress::Waiting { reason }, Some(now + pause))
        }
        Outcome::Stuck(DriverError::Refused(reason)) => (
            Progress::Failed {
                reason: reason.clone(),
            },
            None,
        ),
        Outcome::Stuck(DriverError::Unavailable(reason)) => {
            desk.attempts = desk.attempts.saturating_add(1);
            let pause = Duration::from_secs(1 << desk.attempts.min(5)) / 2;
            (
                Progress::Waiting {
                    reason: reason.clone(),
                },
                Some(now + pause),
            )
        }
        Outcome::Stuck(DriverError::Failed(reason)) => {
            desk.attempts = desk.attempts.saturating_add(1);
            // What is to go must go: a server that is wanted gone is tried again for ever.
            let patient = match &desk.goal {
                Goal::Gone => true,
                Goal::Spec(spec) => spec.want == Want::Absent,
            };
            if desk.attempts >= MAX_ATTEMPTS && !patient {
                return (
                    Progress::Failed {
                        reason: reason.clone(),
                    },
                    None,
                );
            }
            let pause = Duration::from_millis(250 << desk.attempts.min(7));
            (
                Progress::Waiting {
                    reason: reason.clone(),
                },
                Some(now + pause),
            )
        }
    }
}

fn observed(done: &Done, progress: Progress, clock: &Clock) -> ObservedServer {
    let found = &done.found;
    let generation_seen = match &done.goal {
        Goal::Spec(spec) => spec.generation,
        Goal::Gone => 0,
    };
    let state = match found.state {
        GuestState::Absent if !found.is_nothing() => GuestState::Stopped, // disks without a definition
        other => other,
    };
    let is_on = matches!(state, GuestState::Running | GuestState::Paused);
    ObservedServer {
        server_id: done.server.clone(),
        generation_seen,
        state,
        progress,
        rebooted: found.mark.rebooted,
        ports: found
            .ports
            .values()
            .filter_map(|port| port.port_id.clone())
            .collect(),
        volumes: found.volumes.keys().cloned().collect(),
        vnc: found.vnc.clone().filter(|_| is_on),
        export: found.export.clone(),
        live: found.live.as_ref().map(|live| live.seen.clone()),
        at: clock.now(),
    }
}
