//! Signals: hooks that are cleared, handles that are told of success or failure, groups that are scaled, deployments that
//! are done.

use std::collections::BTreeSet;

use nephos_api::{Accepted, Bytes, Fault, Params, Public, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_ops::nudge;
use serde_json::{Map, Value, json};

use super::fault::{enqueue, in_progress, no_stack};
use super::resources::{self, ResourcePath};
use crate::model::environment::Hook;
use crate::model::function::shown;
use crate::model::group::{self, Present};
use crate::model::kind::{self, How};
use crate::model::refusal::Refusal;
use crate::model::stack::{Action, Resource, Stack, StackId, Status};
use crate::ops::offload::offload;
use crate::ops::{TOPIC, facts, request};
use crate::store::signals::{self, Signal};
use crate::store::{events, resources as rows, software, stacks};
use crate::{Cx, rules};

/// A handle takes so many signals.
const MAX_SIGNALS: usize = 10_000;

endpoint! {
    /// Signal a resource: with a token, or with the secret of the resource's own URL.
    SignalResource: POST "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/resources/{resource_name}/signal" => 200,
    policy: Public,
    path: ResourcePath,
    query: Params,
    body: Bytes,
    reply: Accepted,
    handler: signal_resource,
}
async fn signal_resource(cx: Cx, req: Req<SignalResource>) -> Reply<SignalResource> {
    signal(&cx, req.path, &req.query, &req.body.0).await
}

endpoint! {
    /// Signal a resource in the way of CloudFormation's clients, which put what they have to say.
    PutSignal: PUT "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/resources/{resource_name}/signal" => 200,
    policy: Public,
    path: ResourcePath,
    query: Params,
    body: Bytes,
    reply: Accepted,
    handler: put_signal,
}
async fn put_signal(cx: Cx, req: Req<PutSignal>) -> Reply<PutSignal> {
    signal(&cx, req.path, &req.query, &req.body.0).await
}

async fn signal(
    cx: &Cx,
    path: ResourcePath,
    query: &Params,
    bytes: &[u8],
) -> Result<Accepted, Fault> {
    let (path, name) = path.split();
    let own = cx
        .caller
        .project_id()
        .is_some_and(|project| project.as_str() == path.tenant_id);
    let may = own && cx.may(rules::ResourceSignal, &Target::of_project(&path.tenant_id));
    let key = query.get("signal_key");
    if !may && key.is_none() {
        return Err(if cx.token().is_some() {
            super::fault::other_project()
        } else {
            Fault::unauthorized("Authentication required")
        });
    }
    let found = stacks::find(cx.db(), &StackId(path.stack_id.clone())).await?;
    let found =
        found.filter(|stack| stack.name == path.stack_name && stack.project_id == path.tenant_id);
    // Who has neither a token nor the secret learns nothing.
    let wrong_key = || Fault::forbidden("The signature of the URL is wrong.").kind("Forbidden");
    let stack = match found {
        Some(stack) => stack,
        None if may => return Err(no_stack(&format!("{}/{}", path.stack_name, path.stack_id))),
        None => return Err(wrong_key()),
    };
    let row = match resources::find(cx, &stack, &name).await {
        Ok(row) => row,
        Err(why) if may => return Err(why),
        Err(_) => return Err(wrong_key()),
    };
    if !may && !is_key(&row, key.unwrap_or_default()) {
        return Err(wrong_key());
    }
    let body = body(bytes)?;
    if let Some(hook) = body.get("unset_hook") {
        if !may {
            return Err(wrong_key());
        }
        clear(cx, &stack, &row, &shown(hook)).await?;
        return Ok(Accepted);
    }
    take(cx, &stack, &row, &body).await?;
    Ok(Accepted)
}

/// Compared in a time that tells nothing.
fn is_key(row: &Resource, given: &str) -> bool {
    let known = row
        .data
        .get("signal_key")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let differ = known
        .bytes()
        .zip(given.bytes())
        .fold(0, |sum, (left, right)| sum | (left ^ right));
    !known.is_empty() && known.len() == given.len() && differ == 0
}

fn body(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        _other => Err(Fault::bad_request("The signal is no JSON object.")),
    }
}

async fn clear(cx: &Cx, stack: &Stack, row: &Resource, word: &str) -> Result<(), Fault> {
    let hook = Hook::parse(word).ok_or_else(|| {
        Fault::bad_request(format!("Invalid hook type \"{word}\"")).kind("InvalidBreakPointHook")
    })?;
    let mut tx = cx.write().await?;
    if !rows::clear_hook(&mut tx, &row.id, hook.word()).await? {
        return Err(Fault::bad_request(format!(
            "The \"{word}\" hook is not defined on {}",
            row.name
        ))
        .kind("InvalidBreakPointHook"));
    }
    let mut shown = row.clone();
    shown.reason = format!("Hook {word} is cleared");
    events::of_resource(&mut tx, &shown, cx.now()).await?;
    nudge(&mut tx, cx.now(), TOPIC, stack.id.as_str()).await?;
    tx.commit().await?;
    Ok(())
}

async fn take(
    cx: &Cx,
    stack: &Stack,
    row: &Resource,
    body: &Map<String, Value>,
) -> Result<(), Fault> {
    let found = kind::find(&row.target);
    let how = found.filter(|kind| kind.signalled()).map(|kind| kind.how);
    let unsupported = || {
        Fault::bad_request(format!(
            "Signal resource during {} is not supported.",
            row.action.word()
        ))
        .kind("ResourceActionNotSupported")
    };
    // What is on its way out, or asleep, is told nothing; but a deployment may be the work of just that.
    let away = matches!(row.action, Action::Delete | Action::Suspend);
    if away && !matches!(how, Some(How::Deployment)) {
        return Err(unsupported());
    }
    match how {
        Some(How::WaitHandle) => note(cx, stack, row, body).await,
        Some(How::Deployment) => deployed(cx, stack, row, body).await,
        Some(How::ScalingPolicy) => scale(cx, row).await,
        _silent => Err(unsupported()),
    }
}

/// A handle is told of a success or a failure.
async fn note(
    cx: &Cx,
    stack: &Stack,
    row: &Resource,
    body: &Map<String, Value>,
) -> Result<(), Fault> {
    // Both spellings: Heat's and CloudFormation's.
    let field = |heat: &str, cfn: &str| body.get(heat).or_else(|| body.get(cfn)).cloned();
    let known = [
        "status", "reason", "data", "id", "Status", "Reason", "Data", "UniqueId",
    ];
    if body.keys().any(|key| !known.contains(&key.as_str())) {
        return Err(Fault::bad_request(
            "Metadata format invalid: a signal has status, reason, data and id.",
        )
        .kind("StackValidationFailed"));
    }
    let status =
        field("status", "Status").map_or_else(|| "SUCCESS".to_owned(), |status| shown(&status));
    if !["SUCCESS", "FAILURE"].contains(&status.as_str()) {
        return Err(Fault::bad_request(format!(
            "Invalid status {status}, expected one of SUCCESS, FAILURE."
        ))
        .kind("StackValidationFailed"));
    }
    let now = cx.now();
    let mut tx = cx.write().await?;
    let taken = signals::names(&mut tx, &row.id).await?;
    let name = match field("id", "UniqueId") {
        Some(id) => shown(&id),
        None => unused(&taken),
    };
    if taken.len() >= MAX_SIGNALS && !taken.contains(&name) {
        return Err(Fault::bad_request(format!(
            "The handle has taken {MAX_SIGNALS} signals."
        )));
    }
    let signal = Signal {
        reason: field("reason", "Reason").map_or_else(
            || format!("Signal {name} received"),
            |reason| shown(&reason),
        ),
        data: field("data", "Data").unwrap_or(Value::Null),
        name,
        status,
    };
    signals::put(&mut tx, &row.id, &signal, now).await?;
    let mut event = row.clone();
    event.reason = format!("Signal: status:{} reason:{}", signal.status, signal.reason);
    events::of_resource(&mut tx, &event, now).await?;
    nudge(&mut tx, now, TOPIC, stack.id.as_str()).await?;
    tx.commit().await?;
    Ok(())
}

/// The number of the next signal, or the first after it that nobody chose as a name.
fn unused(taken: &BTreeSet<String>) -> String {
    let mut number = taken.len() + 1;
    while taken.contains(&number.to_string()) {
        number += 1;
    }
    number.to_string()
}

/// A server says how a deployment went.
async fn deployed(
    cx: &Cx,
    stack: &Stack,
    row: &Resource,
    body: &Map<String, Value>,
) -> Result<(), Fault> {
    let Some(before) = software::find_deployment(cx.db(), row.id.as_str()).await? else {
        return Err(Fault::bad_request("There is no deployment to signal.")
            .kind("ResourceActionNotSupported"));
    };
    let mut deployment = before.clone();
    let code = body.get("deploy_status_code").map(shown);
    let config =
        software::find_config(cx.db(), &deployment.project_id, &deployment.config_id).await?;
    let outputs = config
        .and_then(|config| config.body.get("outputs")?.as_array().cloned())
        .unwrap_or_default();
    let is_error =
        |output: &&Value| output.get("error_output").and_then(Value::as_bool) == Some(true);
    let mut wrong: Vec<String> = Vec::new();
    for output in outputs.iter().filter(is_error) {
        let name = output.get("name").map(shown).unwrap_or_default();
        let said = body.get(&name).filter(|value| !value.is_null()).map(shown);
        if let Some(said) = said.filter(|said| !said.is_empty()) {
            wrong.push(format!("{name} : {said}"));
        }
    }
    if let Some(code) = code.filter(|code| !["", "0"].contains(&code.as_str())) {
        wrong.push(format!(
            "deploy_status_code : Deployment exited with non-zero status code: {code}"
        ));
    }
    let failed = !wrong.is_empty();
    deployment.output_values.extend(body.clone());
    for output in ["deploy_stdout", "deploy_stderr", "deploy_status_code"] {
        deployment
            .output_values
            .entry(output)
            .or_insert(Value::Null);
    }
    (deployment.status, deployment.status_reason) = if failed {
        ("FAILED".to_owned(), wrong.join(", "))
    } else {
        ("COMPLETE".to_owned(), "Outputs received".to_owned())
    };
    let now = cx.now();
    let mut tx = cx.write().await?;
    software::still(&mut tx, &before).await?;
    software::update_deployment(&mut tx, &deployment, now).await?;
    let mut event = row.clone();
    event.reason = "Signal: deployment succeeded".to_owned();
    if failed {
        event.reason = "Signal: deployment failed".to_owned();
    }
    events::of_resource(&mut tx, &event, now).await?;
    nudge(&mut tx, now, TOPIC, stack.id.as_str()).await?;
    tx.commit().await?;
    Ok(())
}

/// A policy changes the size of its group.
async fn scale(cx: &Cx, policy: &Resource) -> Result<(), Fault> {
    let gone = || Fault::bad_request("The group of this policy is not there.").kind("NotSupported");
    let id = policy
        .properties
        .get("auto_scaling_group_id")
        .map(shown)
        .unwrap_or_default();
    let own = stacks::find(cx.db(), &policy.stack_id)
        .await?
        .ok_or_else(gone)?;
    let child = stacks::find(cx.db(), &StackId(id))
        .await?
        .filter(|child| child.project_id == own.project_id)
        .ok_or_else(gone)?;
    let parent = stacks::find(cx.db(), child.parent_id.as_ref().ok_or_else(gone)?)
        .await?
        .ok_or_else(gone)?;
    let name = child.parent_resource.clone().unwrap_or_default();
    let group_row = rows::named(cx.db(), &parent.id, &name)
        .await?
        .ok_or_else(gone)?;
    if parent.status == Status::InProgress {
        return Err(in_progress(&parent.name, parent.action.word()));
    }
    if child.status == Status::InProgress {
        return Err(in_progress(&child.name, child.action.word()));
    }
    let now = cx.now();
    let number =
        |map: &Map<String, Value>, name: &str| map.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let cooldown =
        number(&policy.properties, "cooldown").max(number(&group_row.properties, "cooldown"));
    let last = group_row
        .data
        .get("scaled_at")
        .and_then(Value::as_i64)
        .unwrap_or(i64::MIN / 2);
    #[expect(clippy::cast_possible_truncation, reason = "seconds")]
    if now.0.saturating_sub(last) < (cooldown.clamp(0.0, 1e9) * 1e6) as i64 {
        return Ok(());
    }
    let members = rows::of_stack(cx.db(), &child.id).await?;
    let template = child.wanted.template.get("resources");
    let wanted = |row: &&Resource| template.is_some_and(|all| all.get(&row.name).is_some());
    let mut names: Vec<String> = members
        .iter()
        .filter(|row| !row.superseded)
        .filter(wanted)
        .map(|row| row.name.clone())
        .collect();
    names.sort();
    let size = i64::try_from(names.len()).unwrap_or(i64::MAX);
    let adjusted = group::adjusted(size, &policy.properties);
    let wanted = group::size(&group_row.properties, Some(adjusted))?;
    if wanted == size {
        return Ok(());
    }
    let mut data = group_row.data.clone();
    data.insert("size".to_owned(), json!(wanted));
    data.insert("scaled_at".to_owned(), json!(now.0));
    let (properties, mut next) = (group_row.properties.clone(), child.clone());
    let (next, scene) = offload(move || -> Result<_, Refusal> {
        let present = Present {
            members: &names,
            removed: &[],
            size: Some(wanted),
            ..Present::default()
        };
        next.wanted.template = group::template(How::ScalingGroup, &properties, present)?;
        let scene = facts::scene_of(&next, &next.wanted)?;
        Ok((next, scene))
    })
    .await?;
    let asked = request::Asked {
        caller: &cx.caller,
        request_id: &cx.request_id,
        now,
        keeps: false,
        converge: false,
    };
    let planned = request::rows_of(&child.id, scene, now).await;
    let mut tx = cx.write().await?;
    stacks::still(&mut tx, &parent).await?;
    rows::set_data(&mut tx, &group_row.id, &Value::Object(data)).await?;
    let mut event = policy.clone();
    event.reason = format!("Signal: the group has {wanted} members instead of {size}");
    events::of_resource(&mut tx, &event, now).await?;
    request::update(&mut tx, &asked, (&child, next), (&planned, &members))
        .await
        .map_err(|why| enqueue(&child.name, why))?;
    tx.commit().await?;
    Ok(())
}
