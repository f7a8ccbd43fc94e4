//! Brings a stack to what is wanted of it: look at every resource, work on those that can be worked on, come back.
//!
//! First what the template has, each resource after those that it needs; then what nobody wants any more, each after
//! those that needed it. Making a stack, updating it and going back are the same.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use nephos_db::Tx;
use nephos_ops::{Failure, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use serde_json::{Map, Value, json};

use super::ending::{abort, complete, fail, tell_parent};
use super::facts::{self, View, ViewError};
use super::judge::{self, Target};
use super::resource::{self, Outcome, Seen, Why, Work, nested};
use super::{AT_ONCE, refuse, request};
use crate::Svc;
use crate::model::environment::Hook;
use crate::model::function::Trouble;
use crate::model::kind;
use crate::model::plan::{Fate, external, fate};
use crate::model::stack::{Action, Resource, Stack, StackId, Status};
use crate::model::template::Definition;
use crate::store::{events, resources, stacks};

/// A resource that cannot be worked on for a reason that may pass is given up after so many tries.
const MAX_TRIES: i64 = 12;
/// A resource that is held looks again this soon without any word.
const HELD: Duration = Duration::from_secs(60);

/// Brings a stack to what is wanted of it.
pub(crate) struct Converge;

impl Reconcile<Svc> for Converge {
    const KIND: &'static str = "stack.converge";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = StackId::from(op.resource_id.as_str());
        let Some(stack) = stacks::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let rows = resources::of_stack(cx.db(), &id).await?;
        if let Some(how) = &stack.cancel {
            let reason = format!("Stack {} cancelled", stack.action.word());
            return fail(cx, &stack, &rows, (&reason, Some(how.as_str()))).await;
        }
        if cx.now() > gives_up_at(&stack, cx) {
            let reason = format!("{} timed out", title(stack.action));
            return fail(cx, &stack, &rows, (&reason, None)).await;
        }
        let failed = rows
            .iter()
            .find(|row| row.status == Status::Failed && row.generation == stack.generation);
        if let Some(failed) = failed {
            let verb = if failed.action == Action::Delete {
                "DELETE"
            } else {
                failed.action.word()
            };
            let reason = format!(
                "Resource {verb} failed: resources.{}: {}",
                failed.name, failed.reason
            );
            return fail(cx, &stack, &rows, (&reason, None)).await;
        }
        if let Some((name, why)) = refuse::found(&rows, stack.generation) {
            let reason = format!("Resource UPDATE failed: resources.{name}: {why}");
            return fail(cx, &stack, &rows, (&reason, None)).await;
        }
        let view = match facts::view(cx.db(), &stack).await {
            Ok(view) => view,
            Err(ViewError::Refused(why)) => {
                return fail(cx, &stack, &rows, (&why.message, None)).await;
            }
            Err(ViewError::Db(why)) => return Err(why.into()),
        };
        advance(cx, op, &stack, &view).await
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = StackId::from(op.resource_id.as_str());
        give_up(cx, tx, &id, &failure.message).await
    }
}

fn title(action: Action) -> &'static str {
    match action {
        Action::Create => "Create",
        Action::Update => "Update",
        Action::Rollback => "Rollback",
        Action::Init | Action::Delete | Action::Suspend | Action::Resume | Action::Check => {
            "Action"
        }
    }
}

/// The end of an operation that nothing else could end: whatever is in progress has failed.
pub(super) async fn give_up(
    cx: &OpCx<Svc>,
    tx: &mut Tx,
    id: &StackId,
    reason: &str,
) -> Result<(), nephos_db::Error> {
    let Some(mut stack) = stacks::find_in(tx, id).await? else {
        return Ok(());
    };
    let rows = resources::of_stack_in(tx, id).await?;
    abort(cx, tx, &stack, &rows).await?;
    (stack.status, stack.reason) = (Status::Failed, reason.to_owned());
    stacks::set_state(tx, id, (stack.action, Status::Failed), reason).await?;
    events::of_stack(tx, &stack, cx.now()).await?;
    tell_parent(cx, tx, &stack).await
}

/// What is next: things to make or change, or else things to remove.
enum Job<'a> {
    Make(&'a Definition),
    Remove(&'a Resource),
}

fn jobs<'a>(stack: &Stack, view: &'a View) -> Result<Vec<Job<'a>>, Trouble> {
    let enabled = view.scene.enabled()?;
    let settled = |name: &str| {
        view.current(name)
            .is_some_and(|row| is_settled(row, stack.generation))
    };
    let mut open = 0_usize;
    let mut jobs = Vec::new();
    for definition in &enabled {
        if settled(&definition.name) {
            continue;
        }
        open += 1;
        // What holds ports lets go of them before another one takes its place.
        let before = |row: &&Resource| row.superseded && row.name == definition.name;
        let mut before = view.resources.iter().filter(before);
        if let Some(row) = before.find(|row| holds_ports(row)) {
            jobs.push(Job::Remove(row));
            continue;
        }
        let needs = view.needs.get(&definition.name);
        if needs.into_iter().flatten().all(|name| settled(name)) {
            jobs.push(Job::Make(definition));
        }
    }
    if open > 0 {
        return Ok(jobs);
    }
    let unwanted: Vec<&Resource> = view
        .resources
        .iter()
        .filter(|row| {
            row.superseded || !enabled.iter().any(|definition| definition.name == row.name)
        })
        .collect();
    let free = |row: &Resource| {
        !unwanted
            .iter()
            .any(|other| other.id != row.id && other.requires.contains(&row.name))
    };
    Ok(unwanted
        .iter()
        .filter(|row| free(row))
        .map(|row| Job::Remove(row))
        .collect())
}

/// A port is in one server only.
fn holds_ports(row: &Resource) -> bool {
    let nics = row.properties.get("networks").and_then(Value::as_array);
    let mut nics = nics.into_iter().flatten();
    row.target == "OS::Nova::Server"
        && nics.any(|nic| nic.get("port").is_some_and(Value::is_string))
}

fn is_settled(row: &Resource, generation: i64) -> bool {
    row.generation == generation
        && row.status == Status::Complete
        && !matches!(row.action, Action::Init | Action::Delete)
}

async fn advance(
    cx: &OpCx<Svc>,
    op: &Operation,
    stack: &Stack,
    view: &View,
) -> Result<Next, StepError> {
    let jobs = match jobs(stack, view) {
        Ok(jobs) => jobs,
        Err(why) => return fail(cx, stack, &view.resources, (&why.to_string(), None)).await,
    };
    if jobs.is_empty() {
        return complete(cx, stack).await;
    }
    let trust = trust_of(cx, stack).await?;
    let ground = Ground {
        cx,
        op,
        stack,
        view,
        trust: trust.as_deref(),
    };
    let mut work: Vec<BoxFuture<'_, Result<When, StepError>>> = Vec::with_capacity(jobs.len());
    for job in jobs {
        work.push(match job {
            Job::Make(definition) => make(&ground, definition).boxed(),
            Job::Remove(row) => discard(&ground, row).boxed(),
        });
    }
    let came = futures_util::stream::iter(work)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    Ok(in_time(soonest(came)?, stack, cx))
}

/// When an action on a stack is given up.
pub(super) fn gives_up_at(stack: &Stack, cx: &OpCx<Svc>) -> Timestamp {
    let limit = stack.timeout_mins.unwrap_or(cx.config.action_timeout_mins);
    stack.started_at.plus_secs(limit.saturating_mul(60))
}

/// Not later than when it is given up.
pub(super) fn in_time(next: Next, stack: &Stack, cx: &OpCx<Svc>) -> Next {
    let Next::After(wait) = next else {
        return next;
    };
    let left = gives_up_at(stack, cx)
        .plus_secs(1)
        .0
        .saturating_sub(cx.now().0);
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0).max(1));
    Next::After(wait.min(left))
}

/// The trust of the outermost stack.
pub(super) async fn trust_of(cx: &OpCx<Svc>, stack: &Stack) -> Result<Option<String>, StepError> {
    if stack.parent_id.is_none() {
        return Ok(stack.trust_id.clone());
    }
    let root = stacks::find(cx.db(), &stack.root_id).await?;
    Ok(root.and_then(|root| root.trust_id))
}

/// When to look at a resource again.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Now,
    After(Duration),
}

/// The soonest of several; the first error counts.
pub(super) fn soonest(came: Vec<Result<When, StepError>>) -> Result<Next, StepError> {
    let mut next = None;
    for when in came {
        let wait = match when? {
            When::Now => Duration::ZERO,
            When::After(wait) => wait,
        };
        next = Some(next.map_or(wait, |known: Duration| known.min(wait)));
    }
    Ok(match next {
        Some(wait) if wait.is_zero() => Next::Again,
        Some(wait) => Next::After(wait),
        None => Next::Again,
    })
}

/// What the work on one resource stands on.
pub(super) struct Ground<'a> {
    pub cx: &'a OpCx<Svc>,
    pub op: &'a Operation,
    pub stack: &'a Stack,
    pub view: &'a View,
    pub trust: Option<&'a str>,
}

impl<'a> Ground<'a> {
    pub fn work<'b>(
        &'b self,
        row: &'b Resource,
        definition: Option<&'b Definition>,
        fresh: bool,
    ) -> Work<'b> {
        Work {
            cx: self.cx,
            op: self.op,
            stack: self.stack,
            trust: self.trust,
            row,
            kind: kind::find(&row.target),
            definition,
            view: Some(self.view),
            fresh,
        }
    }

    /// The resources that this one needs.
    fn requires(&self, definition: &Definition) -> BTreeSet<String> {
        self.view
            .needs
            .get(&definition.name)
            .cloned()
            .unwrap_or_default()
    }

    /// A new making of a resource.
    fn planned(&self, definition: &Definition) -> Resource {
        let whole = (definition, self.requires(definition));
        request::planned(self.stack, &self.view.scene, whole, self.cx.now())
    }

    /// Writes a resource, with an event if its state is another one.
    pub async fn save(
        &self,
        step: &'static str,
        row: &Resource,
        event: bool,
    ) -> Result<(), StepError> {
        let mut tx = self.cx.write(step).await?;
        resources::update(&mut tx, row, self.cx.now()).await?;
        if event {
            events::of_resource(&mut tx, row, self.cx.now()).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Holds a resource at a hook until somebody lets go of it; false when there is nothing to hold it.
    async fn held(&self, row: &Resource, hook: Hook) -> Result<bool, StepError> {
        let cleared = row.cleared.as_deref() == Some(hook.word());
        if cleared || !self.view.scene.environment.holds(&row.name, hook) {
            return Ok(false);
        }
        if row.held.as_deref() != Some(hook.word()) {
            let mut held = row.clone();
            held.held = Some(hook.word().to_owned());
            let mut tx = self.cx.write("hook").await?;
            resources::update(&mut tx, &held, self.cx.now()).await?;
            held.reason = format!(
                "{} paused until Hook {} is cleared",
                self.stack.action.word(),
                hook.word()
            );
            events::of_resource(&mut tx, &held, self.cx.now()).await?;
            tx.commit().await?;
        }
        Ok(true)
    }
}

/// Works on a resource that the template has.
async fn make(ground: &Ground<'_>, definition: &Definition) -> Result<When, StepError> {
    let Some(row) = ground.view.current(&definition.name) else {
        let row = ground.planned(definition);
        let mut tx = ground.cx.write("plan").await?;
        resources::insert(&mut tx, &row).await?;
        tx.commit().await?;
        return Ok(When::Now);
    };
    match (row.action, row.status) {
        (Action::Create, Status::InProgress) => {
            let did = resource::ensure(&ground.work(row, Some(definition), false)).await;
            apply(ground, row, did).await
        }
        (Action::Update, Status::InProgress) => {
            let did = resource::change(&ground.work(row, Some(definition), false)).await;
            apply(ground, row, did).await
        }
        (Action::Delete, _) => replace(ground, row, definition).await,
        (Action::Init, _) => begin(ground, row, definition).await,
        (Action::Create, Status::Failed) if !row.begun() => begin(ground, row, definition).await,
        _there => judge_again(ground, row, definition).await,
    }
}

/// What the template says of a resource now.
struct Said {
    target: String,
    properties: Map<String, Value>,
    metadata: Value,
    external: Option<String>,
}

fn said(ground: &Ground<'_>, definition: &Definition) -> Result<Said, String> {
    let scene = &ground.view.scene;
    let words = |why: crate::model::refusal::Refusal| why.message;
    let target = judge::target(scene, definition).map_err(words)?;
    let (given, _) = scene.properties(definition).map_err(judge::in_words)?;
    let properties = match &target {
        Target::Kind(kind) => judge::properties(kind, &given, &[]).map_err(|why| {
            format!(
                "Property error: resources.{}.properties: {why}",
                definition.name
            )
        })?,
        Target::File(_) => given
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
    };
    let (metadata, _) = scene
        .work_out(&definition.metadata)
        .map_err(judge::in_words)?;
    let external = match &definition.external_id {
        Some(id) => Some(crate::model::function::shown(
            &scene.work_out(id).map_err(judge::in_words)?.0,
        )),
        None => None,
    };
    Ok(Said {
        target: target.name().to_owned(),
        properties,
        metadata,
        external,
    })
}

/// Notes on the row what the template says besides properties.
fn describe(row: &mut Resource, ground: &Ground<'_>, definition: &Definition, said: &Said) {
    row.kind.clone_from(&definition.kind);
    row.description.clone_from(&definition.description);
    row.metadata = said.metadata.clone();
    row.retain = definition.retain;
    row.requires = ground.requires(definition);
}

/// Begins to make a resource: its row says so before anything of it is there.
async fn begin(
    ground: &Ground<'_>,
    row: &Resource,
    definition: &Definition,
) -> Result<When, StepError> {
    if ground.held(row, Hook::PreCreate).await? {
        return Ok(When::After(HELD));
    }
    let mut row = row.clone();
    row.action = Action::Create;
    row.generation = ground.stack.generation;
    row.held = None;
    let said = match said(ground, definition) {
        Ok(said) => said,
        Err(why) => {
            (row.status, row.reason) = (Status::Failed, why);
            ground.save("begin", &row, true).await?;
            return Ok(When::Now);
        }
    };
    (row.status, row.reason) = (Status::InProgress, "state changed".to_owned());
    describe(&mut row, ground, definition, &said);
    row.target = said.target;
    row.properties = said.properties;
    row.data.remove("tries");
    row.finished();
    row.data.insert("begun".to_owned(), json!(true));
    if let Some(id) = said.external {
        row.external = true;
        row.data.insert("external_id".to_owned(), json!(id));
    }
    crash_point!("stack.begin");
    ground.save("begin", &row, true).await?;
    crash_point!("stack.begun");
    let did = resource::ensure(&ground.work(&row, Some(definition), true)).await;
    apply(ground, &row, did).await
}

/// A resource that is there: does the template still say the same of it?
async fn judge_again(
    ground: &Ground<'_>,
    row: &Resource,
    definition: &Definition,
) -> Result<When, StepError> {
    let updating = ground.stack.action == Action::Update;
    if updating && ground.held(row, Hook::PreUpdate).await? {
        return Ok(When::After(HELD));
    }
    let mut row = row.clone();
    row.held = None;
    let said = match said(ground, definition) {
        Ok(said) => said,
        Err(why) => {
            (row.action, row.status, row.reason) = (Action::Update, Status::Failed, why);
            row.generation = ground.stack.generation;
            ground.save("judge", &row, true).await?;
            return Ok(When::Now);
        }
    };
    let found = kind::find(&said.target);
    let mut fate = match external(&row, &definition.kind, said.external.as_deref()) {
        Ok(None) => fate(&row, found, &said.target, &said.properties, &[]),
        Ok(Some(fate)) => fate,
        Err(why) => return refuse::refuse(ground, row, why).await,
    };
    if fate == Fate::Unchanged && !row.external && nested::is_nested(&row.target, found) {
        let mut after = row.clone();
        after.changing_to = Some(said.properties.clone());
        match nested::differs(&ground.work(&after, Some(definition), false)).await {
            Ok(true) => fate = Fate::InPlace(Vec::new()),
            Ok(false) => {}
            Err(Why::Step(why)) => return Err(why),
            Err(_refused_when_it_is_made) => fate = Fate::InPlace(Vec::new()),
        }
    }
    if gone_since(ground, &row, definition, &fate).await? {
        fate = Fate::Replaced(Vec::new(), "it is not there any more".to_owned());
    }
    let restricts = |action: &str| ground.view.scene.environment.restricts(&row.name, action);
    let restricted = match &fate {
        Fate::InPlace(_) if restricts("update") => Some("update"),
        Fate::Replaced(..) if restricts("replace") => Some("replace"),
        _allowed => None,
    };
    if let Some(action) = restricted {
        let why = format!("{action} is restricted for resource.");
        return refuse::refuse(ground, row, why).await;
    }
    match fate {
        Fate::Unchanged => {
            describe(&mut row, ground, definition, &said);
            row.generation = ground.stack.generation;
            row.cleared = None;
            ground.save("settle", &row, false).await?;
            Ok(When::Now)
        }
        Fate::InPlace(_) => {
            describe(&mut row, ground, definition, &said);
            let retry = row.status == Status::Failed;
            (row.action, row.status, row.reason) = (
                Action::Update,
                Status::InProgress,
                "state changed".to_owned(),
            );
            // A wait condition waits anew.
            row.data.remove("until");
            // Who asks for another size gets it, whatever policies made of it.
            let size = "desired_capacity";
            if said.properties.get(size) != row.properties.get(size) {
                row.data.remove("size");
            }
            row.changing_to = Some(said.properties);
            row.generation = ground.stack.generation;
            row.data.remove("tries");
            row.finished();
            crash_point!("stack.change");
            ground.save("change", &row, true).await?;
            crash_point!("stack.changing");
            let did = resource::change(&ground.work(&row, Some(definition), !retry)).await;
            apply(ground, &row, did).await
        }
        Fate::Replaced(..) => replace(ground, &row, definition).await,
    }
}

/// Whether the thing of a change that failed before turns out to be gone, so that it cannot be changed any more.
async fn gone_since(
    ground: &Ground<'_>,
    row: &Resource,
    definition: &Definition,
    fate: &Fate,
) -> Result<bool, StepError> {
    let failed = row.status == Status::Failed && row.action == Action::Update;
    let nested = nested::is_nested(&row.target, kind::find(&row.target));
    if !failed || nested || !matches!(fate, Fate::InPlace(_)) {
        return Ok(false);
    }
    match resource::check(&ground.work(row, Some(definition), false)).await {
        Ok(Outcome::Failed(..)) | Err(Why::Refused(_)) => Ok(true),
        Err(Why::Step(why)) => Err(why),
        Ok(Outcome::Done(_) | Outcome::Wait(..)) | Err(Why::Later(_)) => Ok(false),
    }
}

/// Another one takes the place of a resource; the old one goes when all is made.
async fn replace(
    ground: &Ground<'_>,
    row: &Resource,
    definition: &Definition,
) -> Result<When, StepError> {
    let mut old = row.clone();
    old.superseded = true;
    let mut new = ground.planned(definition);
    // A hook that was cleared for the old one counts.
    new.cleared.clone_from(&row.cleared);
    crash_point!("stack.replace");
    let mut tx = ground.cx.write("replace").await?;
    resources::update(&mut tx, &old, ground.cx.now()).await?;
    resources::insert(&mut tx, &new).await?;
    tx.commit().await?;
    crash_point!("stack.replaced");
    Ok(When::Now)
}

/// Removes a resource that nobody wants.
async fn discard(ground: &Ground<'_>, row: &Resource) -> Result<When, StepError> {
    if (row.held.is_some() || row.action != Action::Delete)
        && ground.held(row, Hook::PreDelete).await?
    {
        return Ok(When::After(HELD));
    }
    let mut row = row.clone();
    if !(row.action == Action::Delete && row.status == Status::InProgress) {
        (row.action, row.status, row.reason) = (
            Action::Delete,
            Status::InProgress,
            "state changed".to_owned(),
        );
        row.held = None;
        row.changing_to = None;
        row.generation = ground.stack.generation;
        row.data.remove("tries");
        crash_point!("stack.discard");
        ground.save("discard", &row, true).await?;
        crash_point!("stack.discarding");
    }
    let did = resource::remove(&ground.work(&row, None, false)).await;
    removed(ground, &row, did).await
}

/// Writes what became of a removal.
pub(super) async fn removed(
    ground: &Ground<'_>,
    row: &Resource,
    did: resource::Did,
) -> Result<When, StepError> {
    if let Ok(Outcome::Done(_)) = did {
        let mut row = row.clone();
        (row.status, row.reason) = (Status::Complete, "state changed".to_owned());
        let mut tx = ground.cx.write("removed").await?;
        events::of_resource(&mut tx, &row, ground.cx.now()).await?;
        resources::remove(&mut tx, &row.id).await?;
        tx.commit().await?;
        crash_point!("stack.removed");
        return Ok(When::Now);
    }
    apply(ground, row, did).await
}

/// Writes what a verb has come to.
pub(super) async fn apply(
    ground: &Ground<'_>,
    row: &Resource,
    did: resource::Did,
) -> Result<When, StepError> {
    crash_point!("stack.did");
    let mut row = row.clone();
    let outcome = match did {
        Ok(outcome) => outcome,
        Err(Why::Step(why)) => return Err(why),
        Err(Why::Refused(why)) => Outcome::Failed(Seen::default(), why),
        Err(Why::Later(why)) => {
            let tries = row.data.get("tries").and_then(Value::as_i64).unwrap_or(0) + 1;
            row.data.insert("tries".to_owned(), json!(tries));
            if tries > MAX_TRIES {
                Outcome::Failed(Seen::default(), format!("{why} (tried {tries} times)"))
            } else {
                ground.save("again", &row, false).await?;
                let wait = Duration::from_secs(1_u64 << u32::try_from(tries).unwrap_or(5).min(5));
                return Ok(When::After(wait));
            }
        }
    };
    let (seen, end) = match outcome {
        Outcome::Done(seen) => (seen, Some(Ok(()))),
        Outcome::Failed(seen, why) => (seen, Some(Err(why))),
        Outcome::Wait(seen, wait) => {
            if note(&mut row, seen) {
                ground.save("note", &row, false).await?;
                crash_point!("stack.noted");
            }
            return Ok(if wait.is_zero() {
                When::Now
            } else {
                When::After(wait)
            });
        }
    };
    note(&mut row, seen);
    match end {
        Some(Err(why)) => (row.status, row.reason) = (Status::Failed, why),
        _done => {
            // Whoever only looked has changed nothing.
            if matches!(row.action, Action::Create | Action::Update) {
                row.finished();
                if let Some(properties) = row.changing_to.take() {
                    row.properties = properties;
                }
            }
            row.well();
            row.cleared = None;
            row.data.remove("tries");
        }
    }
    ground.save("end", &row, true).await?;
    crash_point!("stack.ended");
    Ok(When::Now)
}

/// Takes over what was seen; whether that is anything new.
fn note(row: &mut Resource, seen: Seen) -> bool {
    let mut news = false;
    if seen.physical_id.is_some() && seen.physical_id != row.physical_id {
        row.physical_id = seen.physical_id;
        news = true;
    }
    if let Some(observed) = seen.observed
        && observed != row.observed
    {
        row.observed = observed;
        news = true;
    }
    for (name, value) in seen.data {
        if row.data.get(&name) != Some(&value) {
            row.data.insert(name, value);
            news = true;
        }
    }
    news
}
