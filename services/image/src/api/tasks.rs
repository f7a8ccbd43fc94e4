//! Tasks: what imports show of themselves, and the old way to begin one.

use nephos_api::{Fault, Json, Loaded, Params, Reply, Req, With, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::images::{ImagePath, load, plan, taken};
use super::imports::begin;
use crate::model::attribute::NewImage;
use crate::model::image::{ImageId, TaskId};
use crate::model::list::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::ops::fetch;
use crate::ops::import::{Args, Source};
use crate::store::images;
use crate::store::tasks::{self, Task, TaskQuery};
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct TaskPath {
    id: String,
}

/// A task to begin.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TaskBody {
    /// `import`.
    #[serde(default)]
    r#type: Option<String>,
    /// `import_from`, `import_from_format` and `image_properties`.
    #[serde(default)]
    #[schema(value_type = Object)]
    input: Option<Map<String, Value>>,
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskView {
    id: TaskId,
    r#type: String,
    status: String,
    owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    /// Outer nothing: left out; inner nothing: null.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Option<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    image_id: ImageId,
    request_id: String,
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(rename = "self")]
    link: String,
    schema: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TasksView {
    tasks: Vec<TaskView>,
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    schema: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageTasksView {
    tasks: Vec<TaskView>,
}

impl TaskView {
    /// All of it, or only what lists show.
    fn new(task: Task, detail: bool) -> Self {
        let result = task
            .result
            .or_else(|| (task.status == "success").then(|| json!({"image_id": task.image_id})));
        Self {
            link: format!("/v2/tasks/{}", task.id),
            id: task.id,
            r#type: task.kind,
            status: task.status,
            owner: task.owner,
            input: detail.then_some(task.input),
            result: detail.then_some(result),
            message: detail.then_some(task.message),
            image_id: task.image_id,
            request_id: task.request_id.0,
            user_id: task.user_id,
            expires_at: task.expires_at,
            created_at: task.created_at,
            updated_at: task.updated_at,
            schema: "/v2/schemas/task",
        }
    }
}

endpoint! {
    /// List the tasks of an image.
    ListImageTasks: GET "/v2/images/{id}/tasks" => 200,
    policy: Loaded<rules::GetImage>,
    path: ImagePath,
    reply: Json<ImageTasksView>,
    handler: list_image_tasks,
}
async fn list_image_tasks(cx: Cx, req: Req<ListImageTasks>) -> Reply<ListImageTasks> {
    let image = load(&cx, rules::GetImage, &req.path.id).await?;
    let own = cx.caller.project_id().map(|project| project.0.clone());
    let tasks = tasks::of_image(cx.db(), &image.id).await?;
    let visible = tasks
        .into_iter()
        .filter(|task| cx.caller.is_admin() || own.as_ref() == Some(&task.owner))
        .map(|task| TaskView::new(task, true));
    Ok(Json(ImageTasksView {
        tasks: visible.collect(),
    }))
}

endpoint! {
    /// List tasks.
    ListTasks: GET "/v2/tasks" => 200,
    policy: rules::TasksApiAccess,
    query: Params,
    reply: Json<TasksView>,
    handler: list_tasks,
}
async fn list_tasks(cx: Cx, req: Req<ListTasks>) -> Reply<ListTasks> {
    let query = task_query(&cx, &req.query).await?;
    let page = tasks::page(cx.db(), &query).await?;
    let full = u32::try_from(page.len()).is_ok_and(|count| count == query.limit);
    let next = page
        .last()
        .filter(|_| full)
        .map(|last| super::images::link("/v2/tasks", &req.query, Some(last.id.as_str())))
        .transpose()?;
    Ok(Json(TasksView {
        first: super::images::link("/v2/tasks", &req.query, None)?,
        next,
        tasks: page
            .into_iter()
            .map(|task| TaskView::new(task, false))
            .collect(),
        schema: "/v2/schemas/tasks",
    }))
}

async fn task_query(cx: &Cx, query: &Params) -> Result<TaskQuery, Fault> {
    let bad = |why: String| Fault::bad_request(why);
    let status = query.get("status").filter(|status| !status.is_empty());
    if let Some(status) = status
        && !["pending", "processing", "success", "failure"].contains(&status)
    {
        return Err(bad(format!("Invalid status value: {status}")));
    }
    let kind = query.get("type").filter(|kind| !kind.is_empty());
    if let Some(kind) = kind
        && !["import", "api_image_import"].contains(&kind)
    {
        return Err(bad(format!("Invalid type value: {kind}")));
    }
    let column = match query.get("sort_key").unwrap_or("created_at") {
        "created_at" => "created_at",
        "updated_at" => "updated_at",
        "status" => "status",
        "type" => "type",
        unknown => return Err(bad(format!("Invalid sort key: {unknown}"))),
    };
    let descending = match query.get("sort_dir").unwrap_or("desc") {
        "asc" => false,
        "desc" => true,
        unknown => return Err(bad(format!("Invalid sort direction: {unknown}"))),
    };
    let limit = match query.get("limit") {
        Some(limit) => nephos_types::count(limit)
            .ok_or_else(|| bad("limit param must be a positive integer".to_owned()))?
            .min(MAX_LIMIT),
        None => DEFAULT_LIMIT,
    };
    let after = match query.get("marker") {
        Some(marker) => {
            let id =
                ImageId::parse(marker).ok_or_else(|| bad("Invalid marker format".to_owned()))?;
            let found = tasks::get(cx.db(), id.as_str()).await?;
            Some(found.ok_or_else(|| bad(format!("No task found with ID {marker}")))?)
        }
        None => None,
    };
    Ok(TaskQuery {
        kind: kind.map(str::to_owned),
        status: status.map(str::to_owned),
        sort: (column, descending),
        limit,
        after,
    })
}

endpoint! {
    /// Show a task.
    ShowTask: GET "/v2/tasks/{id}" => 200,
    policy: rules::TasksApiAccess,
    path: TaskPath,
    reply: Json<TaskView>,
    handler: show_task,
}
async fn show_task(cx: Cx, req: Req<ShowTask>) -> Reply<ShowTask> {
    let missing = || Fault::not_found(format!("No task found with ID {}", req.path.id));
    let id = ImageId::parse(&req.path.id).ok_or_else(missing)?;
    let task = tasks::get(cx.db(), id.as_str())
        .await?
        .ok_or_else(missing)?;
    Ok(Json(TaskView::new(task, true)))
}

endpoint! {
    /// Create an image from the web: the old way, for admins.
    CreateTask: POST "/v2/tasks" => 201,
    policy: rules::TasksApiAccess,
    body: Json<TaskBody>,
    reply: With<Json<TaskView>>,
    handler: create_task,
}
async fn create_task(cx: Cx, req: Req<CreateTask>) -> Reply<CreateTask> {
    let required = |name: &str| Fault::bad_request(format!("Task '{name}' is required"));
    let kind = req.body.r#type.as_deref().ok_or_else(|| required("type"))?;
    let input = req.body.input.as_ref().ok_or_else(|| required("input"))?;
    if kind != "import" {
        return Err(Fault::bad_request(format!(
            "Invalid type value: {kind}; tasks of type 'import' can be created"
        )));
    }
    let text = |name: &str| {
        let missing = || Fault::bad_request(format!("Input does not contain '{name}' field"));
        input.get(name).and_then(Value::as_str).ok_or_else(missing)
    };
    let uri = text("import_from")?.to_owned();
    let format = text("import_from_format")?;
    fetch::check(cx.service(), &uri).map_err(Fault::bad_request)?;
    let properties = input.get("image_properties").and_then(Value::as_object);
    let mut properties = properties
        .cloned()
        .ok_or_else(|| Fault::bad_request("Input does not contain 'image_properties' field"))?;
    properties
        .entry("disk_format")
        .or_insert_with(|| format.into());
    properties
        .entry("container_format")
        .or_insert_with(|| "bare".into());
    let image = plan(&cx, NewImage::parse(&properties)?)?;
    let args = Args {
        task: TaskId::from(nephos_runtime::ids::uuid()),
        source: Source::Web { uri },
        stores: vec![cx.default_store().to_owned()],
        all_must_succeed: true,
        owns_image: true,
    };
    let now = cx.now();
    let task = Task {
        id: args.task.clone(),
        kind: "import".to_owned(),
        status: "pending".to_owned(),
        owner: image.owner.clone().unwrap_or_default(),
        image_id: image.id.clone(),
        user_id: cx.caller.user_id.0.clone(),
        request_id: cx.request_id.clone(),
        input: Value::Object(input.clone()),
        result: None,
        message: String::new(),
        expires_at: None,
        created_at: now,
        updated_at: now,
    };
    let mut tx = cx.write().await?;
    if !images::insert(&mut tx, &image).await? {
        return Err(taken(&image.id));
    }
    begin(&mut tx, (&cx, &image), &task, &args).await?;
    tx.commit().await?;
    let location = cx.url(&format!("/v2/tasks/{}", task.id));
    Ok(With::new(Json(TaskView::new(task, true))).header(http::header::LOCATION, &location))
}
