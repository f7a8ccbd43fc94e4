//! Resources of stacks.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nephos_api::{Empty, Fault, Json, Params, Reply, Req, With, endpoint};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::fault::{in_progress, no_resource};
use super::stacks::{StackPath, load};
use super::view::{self, Document};
use crate::model::fact::Fact;
use crate::model::kind::{self, How};
use crate::model::stack::{Action, Resource, Stack, Status};
use crate::ops::{facts, resource};
use crate::store::{events, resources, stacks};
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct ResourcePath {
    pub tenant_id: String,
    pub stack_name: String,
    pub stack_id: String,
    pub resource_name: String,
}

impl ResourcePath {
    pub fn split(self) -> (StackPath, String) {
        let Self {
            tenant_id,
            stack_name,
            stack_id,
            resource_name,
        } = self;
        (
            StackPath {
                tenant_id,
                stack_name,
                stack_id,
            },
            resource_name,
        )
    }
}

/// The resource of this name, or whose thing has this id.
pub(crate) async fn find(cx: &Cx, stack: &Stack, name: &str) -> Result<Resource, Fault> {
    if let Some(found) = resources::named(cx.db(), &stack.id, name).await? {
        return Ok(found);
    }
    let by_id = resources::by_physical_id(cx.db(), name).await?;
    let own = by_id
        .into_iter()
        .find(|row| row.stack_id == stack.id && !row.superseded);
    own.ok_or_else(|| no_resource(name, &stack.name))
}

endpoint! {
    /// List the resources of a stack.
    ListResources: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/resources" => 200,
    policy: rules::ResourceIndex,
    path: StackPath,
    query: Params,
    reply: Json<Document>,
    handler: list_resources,
}
/// What a list may be asked for.
const FILTERS: [&str; 10] = [
    "type",
    "resource_type",
    "status",
    "name",
    "resource_name",
    "action",
    "id",
    "physical_resource_id",
    "nested_depth",
    "with_detail",
];

async fn list_resources(cx: Cx, req: Req<ListResources>) -> Reply<ListResources> {
    let stack = load(&cx, rules::ResourceIndex, &req.path)
        .await?
        .into_inner();
    let unknown = req
        .query
        .0
        .iter()
        .find(|(name, _)| !FILTERS.contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        let why = format!("Invalid filter parameters {name}");
        return Err(Fault::bad_request(why));
    }
    let depth = match req.query.get("nested_depth") {
        None => 0,
        Some(given) => given.parse::<usize>().map_err(|_| {
            Fault::bad_request(format!("Only integer is allowed: nested_depth={given}"))
        })?,
    };
    let mut found = Vec::new();
    gather(&cx, stack, depth.min(10), &mut found).await?;
    let matches = |row: &Resource| {
        let filter = |names: &[&str], value: &str| {
            let wanted: Vec<&str> = names.iter().flat_map(|name| req.query.all(name)).collect();
            wanted.is_empty() || wanted.contains(&value)
        };
        let state = format!("{}_{}", row.action.word(), row.status.word());
        let status = filter(&["status"], row.status.word()) || filter(&["status"], &state);
        filter(&["name", "resource_name"], &row.name)
            && filter(&["id"], row.id.as_str())
            && filter(&["type", "resource_type"], &row.kind)
            && filter(&["action"], row.action.word())
            && status
            && filter(
                &["physical_resource_id"],
                row.physical_id.as_deref().unwrap_or_default(),
            )
    };
    let with_detail = super::stack_list::flag(&req.query, "with_detail")?;
    let mut views = Vec::new();
    for (stack, rows) in &found {
        for row in rows.iter().filter(|row| !row.superseded && matches(row)) {
            let mut view = view::resource(&cx, stack, row, &view::required_by(rows, &row.name));
            if with_detail {
                view.extend(detail(&cx, stack, row, &Params::default()).await?);
            }
            if depth > 0 {
                view.insert("stack_name".to_owned(), json!(stack.name));
            }
            views.push(Value::Object(view));
        }
    }
    Ok(Json(Document(json!({ "resources": views }))))
}

/// The stack and those inside it, so deep.
fn gather<'a>(
    cx: &'a Cx,
    stack: Stack,
    depth: usize,
    found: &'a mut Vec<(Stack, Vec<Resource>)>,
) -> BoxFuture<'a, Result<(), Fault>> {
    async move {
        let rows = resources::of_stack(cx.db(), &stack.id).await?;
        let id = stack.id.clone();
        found.push((stack, rows));
        if depth > 0 {
            for child in stacks::children(cx.db(), &id).await? {
                gather(cx, child, depth - 1, found).await?;
            }
        }
        Ok(())
    }
    .boxed()
}

endpoint! {
    /// Show a resource.
    ShowResource: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/resources/{resource_name}" => 200,
    policy: rules::ResourceShow,
    path: ResourcePath,
    query: Params,
    reply: Json<Document>,
    handler: show_resource,
}
async fn show_resource(cx: Cx, req: Req<ShowResource>) -> Reply<ShowResource> {
    let (path, name) = req.path.split();
    let stack = load(&cx, rules::ResourceShow, &path).await?.into_inner();
    let row = find(&cx, &stack, &name).await?;
    let rows = resources::of_stack(cx.db(), &stack.id).await?;
    let mut view = view::resource(&cx, &stack, &row, &view::required_by(&rows, &row.name));
    view.extend(detail(&cx, &stack, &row, &req.query).await?);
    Ok(Json(Document(json!({ "resource": view }))))
}

async fn detail(
    cx: &Cx,
    stack: &Stack,
    row: &Resource,
    query: &Params,
) -> Result<Map<String, Value>, Fault> {
    let fact = facts::fact(cx.db(), row).await?;
    let mut attributes = match &fact {
        Fact::Plain { attributes, .. } => attributes.clone(),
        group => group
            .attribute(&row.name, None, &[])
            .ok()
            .and_then(|all| all.as_object().cloned())
            .unwrap_or_default(),
    };
    if let Some(Value::Object(show)) = attributes.get("show").cloned() {
        attributes.extend(show);
    }
    attributes.remove("show");
    attributes.retain(|name, _| !name.starts_with("nephos:"));
    for name in query.all("with_attr") {
        let value = fact
            .attribute(&row.name, Some(name), &[])
            .unwrap_or(Value::Null);
        attributes.insert(name.to_owned(), value);
    }
    let value = json!({"description": row.description, "metadata": metadata(cx, stack, row).await?, "attributes": attributes});
    Ok(value.as_object().cloned().unwrap_or_default())
}

/// The template's metadata, and for a server what is to be deployed to it.
async fn metadata(cx: &Cx, stack: &Stack, row: &Resource) -> Result<Value, Fault> {
    let mut out = row.metadata.clone();
    let format = row.properties.get("user_data_format");
    let deploys = match kind::find(&row.target).map(|kind| kind.how) {
        Some(How::DeployedServer) => true,
        Some(How::Server) => format.and_then(Value::as_str) == Some("SOFTWARE_CONFIG"),
        _other => false,
    };
    if let (true, Some(id)) = (deploys, &row.physical_id) {
        let list = resource::software::metadata(cx.db(), &stack.project_id, id).await?;
        if let Some(map) = out.as_object_mut() {
            map.insert("deployments".to_owned(), Value::Array(list));
        }
    }
    Ok(out)
}

endpoint! {
    /// Show the metadata of a resource.
    ShowMetadata: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/resources/{resource_name}/metadata" => 200,
    policy: rules::ResourceMetadata,
    path: ResourcePath,
    reply: Json<Document>,
    handler: show_metadata,
}
async fn show_metadata(cx: Cx, req: Req<ShowMetadata>) -> Reply<ShowMetadata> {
    let (path, name) = req.path.split();
    let stack = load(&cx, rules::ResourceMetadata, &path)
        .await?
        .into_inner();
    let row = find(&cx, &stack, &name).await?;
    Ok(Json(Document(
        json!({"metadata": metadata(&cx, &stack, &row).await?}),
    )))
}

/// What somebody found.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct HealthBody {
    /// Whether the next update replaces it.
    #[schema(value_type = bool)]
    mark_unhealthy: Value,
    /// Why.
    #[serde(default)]
    resource_status_reason: String,
}

endpoint! {
    /// Say that a resource is not healthy, so that the next update replaces it, or that it is well again.
    MarkUnhealthy: PATCH "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/resources/{resource_name}" => 200,
    policy: rules::MarkUnhealthy,
    path: ResourcePath,
    body: Json<HealthBody>,
    reply: With<Empty>,
    handler: mark_unhealthy,
}
async fn mark_unhealthy(cx: Cx, req: Req<MarkUnhealthy>) -> Reply<MarkUnhealthy> {
    let (path, name) = req.path.split();
    let stack = load(&cx, rules::MarkUnhealthy, &path).await?.into_inner();
    let given = crate::model::parameter::truth(&req.body.mark_unhealthy);
    let unhealthy = given.ok_or_else(|| {
        Fault::bad_request(
            "Unrecognized value for \"mark_unhealthy\", acceptable values are: true, false",
        )
    })?;
    if stack.status == Status::InProgress {
        return Err(in_progress(&stack.name, stack.action.word()));
    }
    let found = find(&cx, &stack, &name).await?;
    let mut tx = cx.write().await?;
    stacks::still(&mut tx, &stack).await?;
    let Some(mut row) = resources::find_in(&mut tx, &found.id).await? else {
        return Err(no_resource(&name, &stack.name));
    };
    // What is well already stays as it is.
    if !unhealthy && row.status != Status::Failed {
        return Ok(With::new(Empty));
    }
    row.note_unfinished();
    row.action = Action::Check;
    let fallback = if unhealthy {
        row.status = Status::Failed;
        "state changed by resource_mark_unhealthy api"
    } else {
        row.well();
        "state changed"
    };
    // What could not be made or changed is as it was then, whatever is said of it.
    if row.action == Action::Check {
        let given = &req.body.resource_status_reason;
        row.reason = if given.is_empty() { fallback } else { given }.to_owned();
    }
    resources::set_health(&mut tx, &row, cx.now()).await?;
    events::of_resource(&mut tx, &row, cx.now()).await?;
    tx.commit().await?;
    Ok(With::new(Empty))
}
