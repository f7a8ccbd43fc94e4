//! Actions on a stack as it is: suspend, resume, check, cancel.

use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, With, endpoint};
use nephos_auth::Target;
use nephos_ops::nudge;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

use super::fault::{enqueue, in_progress, no_stack};
use super::stacks::{StackPath, or_give_back, project, renewed_trust};
use crate::model::stack::{Action, Stack, StackId, Status};
use crate::ops::{TOPIC, request};
use crate::store::stacks;
use crate::{Cx, rules};

/// One action: `{"suspend": null}`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct ActionBody(Map<String, Value>);

impl PartialSchema for ActionBody {
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::ObjectBuilder::new().into()
    }
}
impl ToSchema for ActionBody {}

endpoint! {
    /// Suspend, resume or check a stack, or cancel what it is doing.
    ActOnStack: POST "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/actions" => 202,
    policy: Loaded<rules::CheckStack>,
    path: StackPath,
    body: Json<ActionBody>,
    reply: With<Accepted>,
    handler: act_on_stack,
}
async fn act_on_stack(cx: Cx, req: Req<ActOnStack>) -> Reply<ActOnStack> {
    let project = project(&cx, &req.path.tenant_id)?;
    let target = Target::of_project(project);
    let mut keys = req.body.0.0.keys();
    let (Some(action), None) = (keys.next(), keys.next()) else {
        return Err(Fault::bad_request(if req.body.0.0.is_empty() {
            "No action specified"
        } else {
            "Multiple actions specified"
        }));
    };
    match action.as_str() {
        "suspend" => cx.require(rules::SuspendStack, &target)?,
        "resume" => cx.require(rules::ResumeStack, &target)?,
        "check" => cx.require(rules::CheckStack, &target)?,
        "cancel_update" => cx.require(rules::CancelUpdate, &target)?,
        "cancel_without_rollback" => cx.require(rules::CancelWithoutRollback, &target)?,
        other => {
            return Err(Fault::bad_request(format!(
                "Invalid action {other} specified"
            )));
        }
    }
    let found = stacks::find(cx.db(), &StackId(req.path.stack_id.clone())).await?;
    let missing = || no_stack(&format!("{}/{}", req.path.stack_name, req.path.stack_id));
    let stack = found
        .filter(|stack| stack.name == req.path.stack_name && stack.project_id == req.path.tenant_id)
        .ok_or_else(missing)?;
    match action.as_str() {
        "suspend" => begin(&cx, &stack, Action::Suspend).await?,
        "resume" => begin(&cx, &stack, Action::Resume).await?,
        "check" => begin(&cx, &stack, Action::Check).await?,
        "cancel_update" => cancel(&cx, &stack, "rollback").await?,
        _stop => cancel(&cx, &stack, "stop").await?,
    }
    // Heat answers an action on the stack itself by 200, and a cancellation by 202.
    let reply = With::new(Accepted);
    Ok(if action.starts_with("cancel") {
        reply
    } else {
        reply.status(http::StatusCode::OK)
    })
}

async fn begin(cx: &Cx, stack: &Stack, action: Action) -> Result<(), Fault> {
    if stack.status == Status::InProgress {
        return Err(in_progress(&stack.name, stack.action.word()));
    }
    if stack.action == Action::Delete {
        return Err(
            Fault::bad_request("A stack that is being deleted is not supported here.")
                .kind("NotSupported"),
        );
    }
    if action == Action::Resume
        && stack.action != Action::Suspend
        && !(stack.action == Action::Resume && stack.status == Status::Failed)
    {
        return Err(
            Fault::bad_request(format!("The stack {} is not suspended.", stack.name))
                .kind("NotSupported"),
        );
    }
    let renewed = renewed_trust(cx, stack).await?;
    let written = async {
        let mut tx = cx.write().await?;
        let asked = request::Asked {
            caller: &cx.caller,
            request_id: &cx.request_id,
            now: cx.now(),
            keeps: false,
            converge: false,
        };
        request::sweep(&mut tx, &asked, stack, action)
            .await
            .map_err(|why| enqueue(&stack.name, why))?;
        if let Some(trust) = &renewed {
            stacks::set_trust(&mut tx, &stack.root_id, Some(trust)).await?;
        }
        Ok(tx.commit().await?)
    };
    or_give_back(cx, renewed.as_deref(), written.await).await
}

async fn cancel(cx: &Cx, stack: &Stack, how: &str) -> Result<(), Fault> {
    let can = match how {
        "rollback" => stack.action == Action::Update,
        _stop => matches!(stack.action, Action::Update | Action::Create),
    };
    if stack.status != Status::InProgress || !can {
        let what = if how == "rollback" {
            "update"
        } else {
            "create or update"
        };
        return Err(Fault::bad_request(format!(
            "Cancelling {what} when stack is {} is not supported.",
            stack.state()
        ))
        .kind("NotSupported"));
    }
    let mut tx = cx.write().await?;
    stacks::still(&mut tx, stack).await?;
    stacks::set_cancel(&mut tx, &stack.id, how).await?;
    nudge(&mut tx, cx.now(), TOPIC, stack.id.as_str()).await?;
    tx.commit().await?;
    Ok(())
}
