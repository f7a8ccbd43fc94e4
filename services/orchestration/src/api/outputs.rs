//! Outputs of stacks.

use nephos_api::{Json, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::missing;
use super::stacks::{StackPath, load};
use super::view::{self, Document};
use crate::model::template::Template;
use crate::ops::facts;
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct OutputPath {
    tenant_id: String,
    stack_name: String,
    stack_id: String,
    output_key: String,
}

endpoint! {
    /// List the outputs of a stack, without their values.
    ListOutputs: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/outputs" => 200,
    policy: rules::ListOutputs,
    path: StackPath,
    reply: Json<Document>,
    handler: list_outputs,
}
async fn list_outputs(cx: Cx, req: Req<ListOutputs>) -> Reply<ListOutputs> {
    let stack = load(&cx, rules::ListOutputs, &req.path).await?;
    let template = Template::parse(stack.wanted.template.clone())?;
    let outputs: Vec<Value> = template
        .outputs
        .iter()
        .map(|output| json!({"output_key": output.name, "description": output.description}))
        .collect();
    Ok(Json(Document(json!({ "outputs": outputs }))))
}

endpoint! {
    /// Show an output of a stack.
    ShowOutput: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/outputs/{output_key}" => 200,
    policy: rules::ShowOutput,
    path: OutputPath,
    reply: Json<Document>,
    handler: show_output,
}
async fn show_output(cx: Cx, req: Req<ShowOutput>) -> Reply<ShowOutput> {
    let OutputPath {
        tenant_id,
        stack_name,
        stack_id,
        output_key,
    } = req.path;
    let stack = load(
        &cx,
        rules::ShowOutput,
        &StackPath {
            tenant_id,
            stack_name,
            stack_id,
        },
    )
    .await?;
    let seen = facts::view(cx.db(), &stack).await?;
    let (_, outputs) = facts::outputs(seen).await;
    let found = outputs
        .into_iter()
        .find(|(output, _)| output.name == output_key);
    let (output, value) = found.ok_or_else(|| missing("Output", &output_key))?;
    Ok(Json(Document(
        json!({"output": view::output(&output, value)}),
    )))
}
