//! Updates of stacks, and what they would do.

use nephos_api::{Accepted, Fault, Json, Params, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::body::StackBody;
use super::fault::enqueue;
use super::stack_list::flag;
use super::stacks::{
    StackPath, check_count, judged, load, needs_trust, or_give_back, renewed_trust, trust,
};
use super::view::{Document, identity};
use super::zones::note_zones;
use crate::model::change::{self, Change};
use crate::model::scene::{Names, Scene};
use crate::model::stack::{Action, Stack, Status, Wanted};
use crate::ops::facts::{self, View};
use crate::ops::judge::Judged;
use crate::ops::offload::offload;
use crate::ops::{preview, request};
use crate::store::{resources, stacks};
use crate::{Cx, rules};

endpoint! {
    /// Update a stack to another template, environment or parameters.
    UpdateStack: PUT "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}" => 202,
    policy: rules::StackUpdate,
    path: StackPath,
    body: Json<StackBody>,
    reply: Accepted,
    handler: update_stack,
}
async fn update_stack(cx: Cx, req: Req<UpdateStack>) -> Reply<UpdateStack> {
    let stack = load(&cx, rules::StackUpdate, &req.path).await?.into_inner();
    update(&cx, stack, &req.body, false).await
}

endpoint! {
    /// Update a stack; what is not given stays as it is.
    PatchStack: PATCH "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}" => 202,
    policy: rules::StackUpdatePatch,
    path: StackPath,
    body: Json<StackBody>,
    reply: Accepted,
    handler: patch_stack,
}
async fn patch_stack(cx: Cx, req: Req<PatchStack>) -> Reply<PatchStack> {
    let stack = load(&cx, rules::StackUpdatePatch, &req.path)
        .await?
        .into_inner();
    update(&cx, stack, &req.body, true).await
}

/// What a request makes of a stack, judged.
async fn next(
    cx: &Cx,
    stack: &Stack,
    body: &StackBody,
    patch: bool,
) -> Result<(Scene, Judged, Wanted), Fault> {
    let (template, mut environment, mut wanted) = body.wanted(patch.then_some(stack))?;
    note_zones(cx, &mut environment, &mut wanted).await?;
    let names = Names {
        stack: stack.name.clone(),
        stack_id: stack.id.0.clone(),
        project: stack.project_id.clone(),
    };
    let (scene, judged) = judged(
        cx,
        names,
        (template, environment, wanted.files.clone()),
        false,
    )
    .await?;
    check_count(cx, &judged)?;
    let scene = check_immutable(stack, scene).await?;
    Ok((scene, judged, wanted))
}

/// A parameter that is immutable keeps its value; gives the scene back.
async fn check_immutable(stack: &Stack, scene: Scene) -> Result<Scene, Fault> {
    let own = stack.clone();
    let before = offload(move || facts::scene_of(&own, &own.wanted)).await;
    let Ok(before) = before else {
        return Ok(scene);
    };
    let changed = |name: &String| {
        before
            .parameters
            .get(name)
            .is_some_and(|old| Some(old) != scene.parameters.get(name))
    };
    let immutable: Vec<&str> = scene
        .template
        .parameters
        .iter()
        .filter(|parameter| parameter.immutable && changed(&parameter.name))
        .map(|parameter| parameter.name.as_str())
        .collect();
    if immutable.is_empty() {
        return Ok(scene);
    }
    Err(Fault::bad_request(format!(
        "The following parameters are immutable and may not be updated: {}",
        immutable.join(", ")
    ))
    .kind("ImmutableParameterModified"))
}

fn check_state(stack: &Stack) -> Result<(), Fault> {
    let refused = |what: &str| {
        Err(Fault::bad_request(format!("{what} is not supported.")).kind("NotSupported"))
    };
    match stack.action {
        Action::Delete => refused("Updating a stack when deleting"),
        Action::Suspend => refused("Updating a stack when it is suspended"),
        Action::Resume | Action::Check if stack.status == Status::InProgress => {
            Err(super::fault::in_progress(&stack.name, stack.action.word()))
        }
        Action::Init
        | Action::Create
        | Action::Update
        | Action::Rollback
        | Action::Resume
        | Action::Check => Ok(()),
    }
}

async fn update(cx: &Cx, stack: Stack, body: &StackBody, patch: bool) -> Result<Accepted, Fault> {
    check_state(&stack)?;
    let (scene, judged, wanted) = next(cx, &stack, body, patch).await?;
    let converge = body.converge()?;
    let root = stack.parent_id.is_none();
    let mut changed = stack.clone();
    // Back to what last stood, not to what failed.
    if stack.status == Status::Complete || stack.before.is_none() {
        changed.before = Some(stack.wanted.clone());
    }
    changed.wanted = wanted;
    changed.disable_rollback = body.disable_rollback()?.unwrap_or(stack.disable_rollback);
    changed.timeout_mins = body.timeout_mins()?.or(stack.timeout_mins);
    changed.tags = match body.tags()? {
        Some(tags) => tags,
        None if patch => stack.tags.clone(),
        None => Vec::new(),
    };
    let (mut replaced, mut lent) = (None, None);
    if root && (needs_trust(&judged) || stack.trust_id.is_some()) {
        changed.trust_id = trust(cx, Some(&stack)).await?;
        if changed.trust_id != stack.trust_id {
            replaced.clone_from(&stack.trust_id);
            lent.clone_from(&changed.trust_id);
            changed.user_id.clone_from(&cx.caller.user_id.0);
        }
    }
    let renewed = if root {
        None
    } else {
        renewed_trust(cx, &stack).await?
    };
    let lent = lent.or_else(|| renewed.clone());
    let planned = request::rows_of(&stack.id, scene, cx.now()).await;
    let written = async {
        let mut tx = cx.write().await?;
        let rows = resources::of_stack_in(&mut tx, &stack.id).await?;
        let asked = request::Asked {
            caller: &cx.caller,
            request_id: &cx.request_id,
            now: cx.now(),
            keeps: false,
            converge,
        };
        let user = changed.user_id.clone();
        request::update(&mut tx, &asked, (&stack, changed), (&planned, &rows))
            .await
            .map_err(|why| enqueue(&stack.name, why))?;
        stacks::set_user(&mut tx, &stack.id, &user).await?;
        if let Some(trust) = &renewed {
            stacks::set_trust(&mut tx, &stack.root_id, Some(trust)).await?;
        }
        Ok(tx.commit().await?)
    };
    or_give_back(cx, lent.as_deref(), written.await).await?;
    if let Some(old) = replaced
        && let Err(why) = cx.siblings.give_back(&old).await
    {
        tracing::warn!(stack = %stack.id, %why, "a trust cannot be given back; its user can delete it");
    }
    Ok(Accepted)
}

endpoint! {
    /// See what an update would do to each resource, and why.
    PreviewUpdate: PUT "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/preview" => 200,
    policy: rules::PreviewUpdate,
    path: StackPath,
    query: Params,
    body: Json<StackBody>,
    reply: Json<Document>,
    handler: preview_update,
}
async fn preview_update(cx: Cx, req: Req<PreviewUpdate>) -> Reply<PreviewUpdate> {
    let stack = load(&cx, rules::PreviewUpdate, &req.path)
        .await?
        .into_inner();
    previewed(
        &cx,
        &stack,
        (&req.body, false),
        flag(&req.query, "show_nested")?,
    )
    .await
}

endpoint! {
    /// See what an update of what is given would do to each resource, and why.
    PreviewPatch: PATCH "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/preview" => 200,
    policy: rules::PreviewUpdatePatch,
    path: StackPath,
    query: Params,
    body: Json<StackBody>,
    reply: Json<Document>,
    handler: preview_patch,
}
async fn preview_patch(cx: Cx, req: Req<PreviewPatch>) -> Reply<PreviewPatch> {
    let stack = load(&cx, rules::PreviewUpdatePatch, &req.path)
        .await?
        .into_inner();
    previewed(
        &cx,
        &stack,
        (&req.body, true),
        flag(&req.query, "show_nested")?,
    )
    .await
}

async fn previewed(
    cx: &Cx,
    stack: &Stack,
    (body, patch): (&StackBody, bool),
    nested: bool,
) -> Result<Json<Document>, Fault> {
    check_state(stack)?;
    let (scene, _, _) = next(cx, stack, body, patch).await?;
    let now = facts::view(cx.db(), stack).await?;
    let preview = preview::changes(cx.db(), &now, scene).await?;
    let mut lists =
        json!({"unchanged": [], "updated": [], "replaced": [], "added": [], "deleted": []});
    let own = preview.changes.iter().map(|change| (stack, &now, change));
    let inner = preview.nested.iter().filter(|_| nested).flat_map(|inner| {
        let changes = inner.changes.iter();
        changes.map(|change| (&inner.stack, &inner.view, change))
    });
    for (stack, now, change) in own.chain(inner) {
        if let Some(list) = lists.get_mut(change.list()).and_then(Value::as_array_mut) {
            list.push(entry(stack, now, change));
        }
    }
    Ok(Json(Document(
        json!({"resource_changes": lists, "diff": change::diff(&preview.changes)}),
    )))
}

fn entry(stack: &Stack, now: &View, change: &Change) -> Value {
    let row = now.current(&change.name);
    let ids = (stack.name.as_str(), stack.id.as_str());
    json!({
        "resource_name": change.name,
        "resource_type": change.kind,
        "resource_action": row.map_or("INIT", |row| row.action.word()),
        "resource_status": row.map_or("COMPLETE", |row| row.status.word()),
        "resource_status_reason": row.map_or("", |row| row.reason.as_str()),
        "physical_resource_id": row.and_then(|row| row.physical_id.clone()).unwrap_or_default(),
        "creation_time": row.map(|row| row.created_at),
        "updated_time": row.map(|row| row.updated_at),
        "description": row.map_or("", |row| row.description.as_str()),
        "stack_name": stack.name,
        "resource_identity": identity(&stack.project_id, ids, &format!("/resources/{}", change.name)),
        "stack_identity": identity(&stack.project_id, ids, ""),
        "why": change.why(),
        "property_changes": change.shown(),
    })
}
