//! Deployments of software configurations to servers.

use nephos_api::{Empty, Fault, Json, Params, Reply, Req, endpoint};
use nephos_ops::nudge;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::fault::missing;
use super::stacks::{ProjectPath, project};
use super::view::Document;
use crate::model::stack::ResourceId;
use crate::ops::{TOPIC, resource};
use crate::store::resources;
use crate::store::software::{self, Deployment};
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct DeploymentPath {
    tenant_id: String,
    deployment_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ServerPath {
    tenant_id: String,
    server_id: String,
}

/// A deployment to be, or what changes of one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct DeploymentBody {
    config_id: Option<String>,
    server_id: Option<String>,
    action: Option<String>,
    status: Option<String>,
    status_reason: Option<String>,
    #[schema(value_type = Object)]
    input_values: Option<Map<String, Value>>,
    #[schema(value_type = Object)]
    output_values: Option<Map<String, Value>>,
}

impl DeploymentBody {
    fn status(&self) -> Result<Option<String>, Fault> {
        let known =
            |status: &String| ["COMPLETE", "FAILED", "IN_PROGRESS"].contains(&status.as_str());
        match &self.status {
            Some(status) if !known(status) => Err(Fault::bad_request(format!(
                "Invalid status {status} specified"
            ))),
            other => Ok(other.clone()),
        }
    }
}

fn view(found: &Deployment) -> Value {
    let mut out = json!({
        "id": found.id, "server_id": found.server_id, "config_id": found.config_id, "input_values": found.input_values,
        "output_values": found.output_values, "action": found.action, "status": found.status,
        "status_reason": found.status_reason, "creation_time": found.created_at,
    });
    if let (Some(at), Some(map)) = (found.updated_at, out.as_object_mut()) {
        map.insert("updated_time".to_owned(), json!(at));
    }
    out
}

endpoint! {
    /// List deployments, all or of one server.
    ListDeployments: GET "/v1/{tenant_id}/software_deployments" => 200,
    policy: rules::DeploymentIndex,
    path: ProjectPath,
    query: Params,
    reply: Json<Document>,
    handler: list_deployments,
}
async fn list_deployments(cx: Cx, req: Req<ListDeployments>) -> Reply<ListDeployments> {
    let project = project(&cx, &req.path.tenant_id)?;
    let found = software::deployments(cx.db(), project, req.query.get("server_id")).await?;
    let views: Vec<Value> = found.iter().map(view).collect();
    Ok(Json(Document(json!({ "software_deployments": views }))))
}

endpoint! {
    /// Deploy a software configuration to a server.
    CreateDeployment: POST "/v1/{tenant_id}/software_deployments" => 200,
    policy: rules::DeploymentCreate,
    path: ProjectPath,
    body: Json<DeploymentBody>,
    reply: Json<Document>,
    handler: create_deployment,
}
async fn create_deployment(cx: Cx, req: Req<CreateDeployment>) -> Reply<CreateDeployment> {
    let project = project(&cx, &req.path.tenant_id)?;
    let status = req.body.status()?;
    let body = req.body.0;
    let required =
        |name: &str| Fault::bad_request(format!("Missing mandatory {name} key from the request."));
    let config_id = body.config_id.ok_or_else(|| required("config_id"))?;
    let server_id = body.server_id.ok_or_else(|| required("server_id"))?;
    if software::find_config(cx.db(), project, &config_id)
        .await?
        .is_none()
    {
        return Err(missing("Software config", &config_id));
    }
    let deployment = Deployment {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id: project.to_owned(),
        server_id,
        config_id,
        input_values: body.input_values.unwrap_or_default(),
        output_values: Map::new(),
        action: body.action.unwrap_or_else(|| "INIT".to_owned()),
        status: status.unwrap_or_else(|| "COMPLETE".to_owned()),
        status_reason: body.status_reason.unwrap_or_default(),
        created_at: cx.now(),
        updated_at: None,
    };
    let mut tx = cx.write().await?;
    software::config_there(&mut tx, &deployment.config_id).await?;
    software::insert_deployment(&mut tx, &deployment).await?;
    tx.commit().await?;
    Ok(Json(Document(
        json!({"software_deployment": view(&deployment)}),
    )))
}

/// The deployment of the path.
async fn load(cx: &Cx, path: &DeploymentPath) -> Result<Deployment, Fault> {
    let project = project(cx, &path.tenant_id)?;
    let found = software::find_deployment(cx.db(), &path.deployment_id).await?;
    let found = found.filter(|found| found.project_id == project);
    found.ok_or_else(|| missing("Software deployment", &path.deployment_id))
}

endpoint! {
    /// Show a deployment.
    ShowDeployment: GET "/v1/{tenant_id}/software_deployments/{deployment_id}" => 200,
    policy: rules::DeploymentShow,
    path: DeploymentPath,
    reply: Json<Document>,
    handler: show_deployment,
}
async fn show_deployment(cx: Cx, req: Req<ShowDeployment>) -> Reply<ShowDeployment> {
    let found = load(&cx, &req.path).await?;
    Ok(Json(Document(json!({"software_deployment": view(&found)}))))
}

endpoint! {
    /// Change a deployment: how it went, or what is deployed.
    UpdateDeployment: PUT "/v1/{tenant_id}/software_deployments/{deployment_id}" => 200,
    policy: rules::DeploymentUpdate,
    path: DeploymentPath,
    body: Json<DeploymentBody>,
    reply: Json<Document>,
    handler: update_deployment,
}
async fn update_deployment(cx: Cx, req: Req<UpdateDeployment>) -> Reply<UpdateDeployment> {
    let before = load(&cx, &req.path).await?;
    let mut found = before.clone();
    let status = req.body.status()?;
    let body = req.body.0;
    if let Some(config) = body.config_id {
        if software::find_config(cx.db(), &found.project_id, &config)
            .await?
            .is_none()
        {
            return Err(missing("Software config", &config));
        }
        found.config_id = config;
    }
    found.action = body.action.unwrap_or(found.action);
    found.status = status.unwrap_or(found.status);
    found.status_reason = body.status_reason.unwrap_or(found.status_reason);
    found.input_values = body.input_values.unwrap_or(found.input_values);
    found.output_values = body.output_values.unwrap_or(found.output_values);
    found.updated_at = Some(cx.now());
    // The deployment of a stack's resource has that resource's id.
    let row = resources::find(cx.db(), &ResourceId(found.id.clone())).await?;
    let mut tx = cx.write().await?;
    software::still(&mut tx, &before).await?;
    software::config_there(&mut tx, &found.config_id).await?;
    software::update_deployment(&mut tx, &found, cx.now()).await?;
    if let Some(row) = row {
        nudge(&mut tx, cx.now(), TOPIC, row.stack_id.as_str()).await?;
    }
    tx.commit().await?;
    Ok(Json(Document(json!({"software_deployment": view(&found)}))))
}

endpoint! {
    /// Delete a deployment.
    DeleteDeployment: DELETE "/v1/{tenant_id}/software_deployments/{deployment_id}" => 204,
    policy: rules::DeploymentDelete,
    path: DeploymentPath,
    reply: Empty,
    handler: delete_deployment,
}
async fn delete_deployment(cx: Cx, req: Req<DeleteDeployment>) -> Reply<DeleteDeployment> {
    let found = load(&cx, &req.path).await?;
    let mut tx = cx.write().await?;
    software::remove_deployment(&mut tx, &found.id).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Show what is to be deployed to a server.
    ShowServerMetadata: GET "/v1/{tenant_id}/software_deployments/metadata/{server_id}" => 200,
    policy: rules::DeploymentMetadata,
    path: ServerPath,
    reply: Json<Document>,
    handler: show_server_metadata,
}
async fn show_server_metadata(cx: Cx, req: Req<ShowServerMetadata>) -> Reply<ShowServerMetadata> {
    let project = project(&cx, &req.path.tenant_id)?;
    let list = resource::software::metadata(cx.db(), project, &req.path.server_id).await?;
    Ok(Json(Document(json!({ "metadata": list }))))
}
