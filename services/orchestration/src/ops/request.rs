//! What requests write: what is wanted of a stack and the operation that brings it about, in one transaction.

use std::collections::BTreeSet;

use nephos_auth::Caller;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, New, Operation, Reconcile, supersede};
use nephos_types::{RequestId, Timestamp};
use serde_json::{Map, Value, json};

use super::converge::Converge;
use super::judge;
use super::offload::offload;
use super::remove::Remove;
use super::sweep::Sweep;
use super::{SLACK_SECS, TOPIC};
use crate::Svc;
use crate::model::graph;
use crate::model::scene::Scene;
use crate::model::stack::{Action, Resource, ResourceId, Stack, StackId, Status};
use crate::model::template::{Definition, Deletion};
use crate::store::{events, resources, stacks};

/// The name of an operation's argument.
const KEEPS: &str = "keeps";
/// The name of another one.
const CONVERGE: &str = "converge";

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub caller: &'a Caller,
    pub request_id: &'a RequestId,
    pub now: Timestamp,
    /// Whether what is replaced or not wanted any more stays until the stack around this one says that it may go.
    pub keeps: bool,
    /// Whether what is there is looked at, and what is gone is made anew.
    pub converge: bool,
}

/// Whether the work is to look at what is there.
pub(super) fn converges(op: &Operation) -> bool {
    op.args.get(CONVERGE).and_then(Value::as_bool) == Some(true)
}

/// Whether the work is to keep what nobody wants.
pub(super) fn keeps(op: &Operation) -> bool {
    op.args.get(KEEPS).and_then(Value::as_bool) == Some(true)
}

/// Begins a new stack; false when its name is taken. It was judged before, and `planned` are the rows of its scene.
pub(crate) async fn create(
    tx: &mut Tx,
    asked: &Asked<'_>,
    stack: &Stack,
    planned: &[Resource],
) -> Result<bool, EnqueueError> {
    if !stacks::insert(tx, stack).await? {
        return Ok(false);
    }
    newcomers(tx, planned, &[], asked.now).await?;
    events::of_stack(tx, stack, asked.now).await?;
    enqueue(tx, asked, stack, <Converge as Reconcile<Svc>>::KIND).await?;
    Ok(true)
}

/// Has a stack become something else, if it is still as it was judged: `next` has what is wanted now, `planned` are the
/// rows of the scene of that, `rows` its resources.
pub(crate) async fn update(
    tx: &mut Tx,
    asked: &Asked<'_>,
    (judged, mut next): (&Stack, Stack),
    (planned, rows): (&[Resource], &[Resource]),
) -> Result<(), EnqueueError> {
    stacks::still(tx, judged).await?;
    next.action = Action::Update;
    next.status = Status::InProgress;
    next.reason = "Stack UPDATE started".to_owned();
    next.generation += 1;
    stacks::want(tx, &next, asked.now).await?;
    newcomers(tx, planned, rows, asked.now).await?;
    events::of_stack(tx, &next, asked.now).await?;
    enqueue(tx, asked, &next, <Converge as Reconcile<Svc>>::KIND).await
}

/// Rows for all resources of a scene, none of which is begun: functions are worked out for them, so it is done before
/// a transaction begins, and beside the threads that answer requests.
pub(crate) async fn rows_of(id: &StackId, scene: Scene, now: Timestamp) -> Vec<Resource> {
    let id = id.clone();
    offload(move || {
        let needs = graph::needs(&scene).unwrap_or_default();
        let enabled = scene.enabled().unwrap_or_default().into_iter();
        let row = |definition: &Definition| {
            let requires = needs.get(&definition.name).cloned().unwrap_or_default();
            planned(&id, &scene, (definition, requires), now)
        };
        enabled.map(row).collect()
    })
    .await
}

/// Writes the planned rows of those resources that the stack does not have yet.
async fn newcomers(
    tx: &mut Tx,
    planned: &[Resource],
    rows: &[Resource],
    now: Timestamp,
) -> Result<(), nephos_db::Error> {
    for one in planned {
        let known = |row: &Resource| row.name == one.name && !row.superseded;
        if !rows.iter().any(known) {
            let mut row = one.clone();
            (row.created_at, row.updated_at) = (now, now);
            resources::insert(tx, &row).await?;
        }
    }
    Ok(())
}

/// Has a stack and everything in it go, if it is still as it was judged.
pub(crate) async fn delete(
    tx: &mut Tx,
    asked: &Asked<'_>,
    stack: &Stack,
) -> Result<(), EnqueueError> {
    stacks::still(tx, stack).await?;
    stacks::begin(tx, &stack.id, Action::Delete, asked.now).await?;
    let mut shown = stack.clone();
    (shown.action, shown.status) = (Action::Delete, Status::InProgress);
    shown.reason = "Stack DELETE started".to_owned();
    events::of_stack(tx, &shown, asked.now).await?;
    enqueue(tx, asked, stack, <Remove as Reconcile<Svc>>::KIND).await
}

/// Has a stack let go of what it has kept, if it is still as it was seen; nothing else becomes of it.
pub(crate) async fn clear(
    tx: &mut Tx,
    asked: &Asked<'_>,
    stack: &Stack,
) -> Result<(), EnqueueError> {
    stacks::still(tx, stack).await?;
    stacks::begin(tx, &stack.id, stack.action, asked.now).await?;
    enqueue(tx, asked, stack, <Converge as Reconcile<Svc>>::KIND).await
}

/// Has every resource of a stack checked, suspended or resumed, if it is still as it was judged.
pub(crate) async fn sweep(
    tx: &mut Tx,
    asked: &Asked<'_>,
    stack: &Stack,
    action: Action,
) -> Result<(), EnqueueError> {
    stacks::still(tx, stack).await?;
    stacks::begin(tx, &stack.id, action, asked.now).await?;
    let mut shown = stack.clone();
    (shown.action, shown.status) = (action, Status::InProgress);
    shown.reason = format!("Stack {} started", action.word());
    events::of_stack(tx, &shown, asked.now).await?;
    enqueue(tx, asked, stack, <Sweep as Reconcile<Svc>>::KIND).await
}

async fn enqueue(
    tx: &mut Tx,
    asked: &Asked<'_>,
    stack: &Stack,
    kind: &'static str,
) -> Result<(), EnqueueError> {
    let new = New {
        topic: TOPIC,
        kind,
        resource_id: stack.id.as_str(),
        args: json!({ KEEPS: asked.keeps, CONVERGE: asked.converge }),
        caller: asked.caller,
        request_id: asked.request_id,
        deadline_secs: stack
            .timeout_mins
            .unwrap_or(24 * 60)
            .max(24 * 60)
            .saturating_mul(60)
            .saturating_add(SLACK_SECS),
    };
    supersede(tx, asked.now, new).await.map(|_operation| ())
}

/// A resource that is not begun.
pub(crate) fn planned(
    stack: &StackId,
    scene: &Scene,
    (definition, requires): (&Definition, BTreeSet<String>),
    now: Timestamp,
) -> Resource {
    let target = judge::target(scene, definition);
    Resource {
        id: ResourceId::from(nephos_runtime::ids::uuid()),
        stack_id: stack.clone(),
        name: definition.name.clone(),
        kind: definition.kind.clone(),
        target: target.map_or_else(
            |_| definition.kind.clone(),
            |target| target.name().to_owned(),
        ),
        description: definition.description.clone(),
        action: Action::Init,
        status: Status::Complete,
        reason: String::new(),
        physical_id: None,
        properties: Map::new(),
        changing_to: None,
        data: Map::new(),
        observed: Value::Null,
        metadata: definition.metadata.clone(),
        requires,
        generation: 0,
        superseded: false,
        retain: scene
            .deletion(definition)
            .is_ok_and(|what| what == Deletion::Retain),
        external: definition.external_id.is_some(),
        held: None,
        cleared: None,
        created_at: now,
        updated_at: now,
    }
}
