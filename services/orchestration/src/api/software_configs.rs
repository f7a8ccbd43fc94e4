//! Software configurations.

use nephos_api::{Empty, Fault, Json, Params, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::fault::missing;
use super::stacks::{ProjectPath, project};
use super::view::Document;
use crate::store::software::{self, Config};
use crate::{Cx, rules};

const MAX_LIMIT: u32 = 1000;

#[derive(Debug, Deserialize)]
pub(crate) struct ConfigPath {
    tenant_id: String,
    config_id: String,
}

/// A configuration to be.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ConfigBody {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    config: Option<String>,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    inputs: Option<Vec<Value>>,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    outputs: Option<Vec<Value>>,
    #[serde(default)]
    #[schema(value_type = Object)]
    options: Option<Value>,
}

fn view(config: &Config, detail: bool) -> Value {
    let mut out = json!({"id": config.id, "name": config.name, "group": config.group, "creation_time": config.created_at});
    if let (true, Some(map)) = (detail, out.as_object_mut()) {
        for name in ["config", "inputs", "outputs", "options"] {
            map.insert(
                name.to_owned(),
                config.body.get(name).cloned().unwrap_or_default(),
            );
        }
    }
    out
}

endpoint! {
    /// List software configurations.
    ListConfigs: GET "/v1/{tenant_id}/software_configs" => 200,
    policy: rules::ConfigIndex,
    path: ProjectPath,
    query: Params,
    reply: Json<Document>,
    handler: list_configs,
}
async fn list_configs(cx: Cx, req: Req<ListConfigs>) -> Reply<ListConfigs> {
    let project = project(&cx, &req.path.tenant_id)?;
    let limit = match req.query.get("limit") {
        None => MAX_LIMIT,
        Some(given) => given
            .parse::<u32>()
            .map_err(|_| Fault::bad_request(format!("Only integer is allowed: limit={given}")))?
            .min(MAX_LIMIT),
    };
    let after = match req.query.get("marker") {
        None => None,
        Some(marker) => software::find_config(cx.db(), project, marker).await?,
    };
    let found = software::page_configs(cx.db(), project, after.as_ref(), limit).await?;
    let views: Vec<Value> = found.iter().map(|config| view(config, false)).collect();
    Ok(Json(Document(json!({ "software_configs": views }))))
}

endpoint! {
    /// Create a software configuration.
    CreateConfig: POST "/v1/{tenant_id}/software_configs" => 200,
    policy: rules::ConfigCreate,
    path: ProjectPath,
    body: Json<ConfigBody>,
    reply: Json<Document>,
    handler: create_config,
}
async fn create_config(cx: Cx, req: Req<CreateConfig>) -> Reply<CreateConfig> {
    let project = project(&cx, &req.path.tenant_id)?;
    let body = req.body.0;
    let config = Config {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id: project.to_owned(),
        name: body.name.unwrap_or_default(),
        group: body.group.unwrap_or_else(|| "Heat::Ungrouped".to_owned()),
        body: json!({
            "config": body.config.unwrap_or_default(), "inputs": body.inputs.unwrap_or_default(),
            "outputs": body.outputs.unwrap_or_default(), "options": body.options.unwrap_or_else(|| json!({})),
        }),
        created_at: cx.now(),
    };
    let mut tx = cx.write().await?;
    software::insert_config(&mut tx, &config).await?;
    tx.commit().await?;
    Ok(Json(Document(
        json!({"software_config": view(&config, true)}),
    )))
}

/// The configuration of the path.
async fn load(cx: &Cx, path: &ConfigPath) -> Result<Config, Fault> {
    let project = project(cx, &path.tenant_id)?;
    let found = software::find_config(cx.db(), project, &path.config_id).await?;
    found.ok_or_else(|| missing("Software config", &path.config_id))
}

endpoint! {
    /// Show a software configuration.
    ShowConfig: GET "/v1/{tenant_id}/software_configs/{config_id}" => 200,
    policy: rules::ConfigShow,
    path: ConfigPath,
    reply: Json<Document>,
    handler: show_config,
}
async fn show_config(cx: Cx, req: Req<ShowConfig>) -> Reply<ShowConfig> {
    let config = load(&cx, &req.path).await?;
    Ok(Json(Document(
        json!({"software_config": view(&config, true)}),
    )))
}

endpoint! {
    /// Delete a software configuration that no deployment uses.
    DeleteConfig: DELETE "/v1/{tenant_id}/software_configs/{config_id}" => 204,
    policy: rules::ConfigDelete,
    path: ConfigPath,
    reply: Empty,
    handler: delete_config,
}
async fn delete_config(cx: Cx, req: Req<DeleteConfig>) -> Reply<DeleteConfig> {
    let config = load(&cx, &req.path).await?;
    let mut tx = cx.write().await?;
    if !software::remove_config(&mut tx, &config.id).await? {
        return Err(Fault::bad_request(format!(
            "Software config with id {} can not be deleted as it is referenced.",
            config.id
        ))
        .kind("InvalidRestrictedAction"));
    }
    tx.commit().await?;
    Ok(Empty)
}
