//! Stacks, resources and events as clients see them.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::Cx;
use crate::model::stack::{Resource, Stack};
use crate::model::template::Output;
use crate::ops::facts::{Shown, View};
use crate::store::events::Event;

/// Any document.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Document(pub Value);

impl PartialSchema for Document {
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::ObjectBuilder::new().into()
    }
}
impl ToSchema for Document {}

fn link(href: String, rel: &str) -> Value {
    json!({"href": href, "rel": rel})
}

/// What every view of a stack has.
pub(crate) fn listed(cx: &Cx, stack: &Stack) -> Map<String, Value> {
    let description = stack
        .wanted
        .template
        .get("description")
        .map(crate::model::function::shown);
    let value = json!({
        "id": stack.id,
        "links": [link(cx.url(&stack.path()), "self")],
        "stack_name": stack.name,
        "description": description.unwrap_or_else(|| "No description".to_owned()),
        "stack_status": stack.state(),
        "stack_status_reason": stack.reason,
        "creation_time": stack.created_at,
        "updated_time": stack.updated_at,
        "deletion_time": null,
        "stack_owner": stack.user_name,
        "parent": stack.parent_id,
        "stack_user_project_id": stack.project_id,
        "tags": if stack.tags.is_empty() { Value::Null } else { json!(stack.tags) },
    });
    value.as_object().cloned().unwrap_or_default()
}

/// A stack with everything; with outputs, if they are asked for.
pub(crate) fn stack(
    cx: &Cx,
    stack: &Stack,
    view: Option<&View>,
    outputs: Option<Vec<Shown>>,
) -> Value {
    let mut out = listed(cx, stack);
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("disable_rollback", json!(stack.disable_rollback));
    put("timeout_mins", json!(stack.timeout_mins));
    put("capabilities", json!([]));
    put("notification_topics", json!([]));
    put("parameters", json!({}));
    if let Some(view) = view {
        put(
            "template_description",
            json!(view.scene.template.description),
        );
        put("description", json!(view.scene.template.description));
        put("parameters", Value::Object(view.scene.shown_parameters()));
    }
    if let Some(outputs) = outputs {
        let outputs = outputs.into_iter();
        put(
            "outputs",
            outputs
                .map(|(output, value)| self::output(&output, value))
                .collect(),
        );
    }
    Value::Object(out)
}

/// An output with its value, or why it has none.
pub(crate) fn output(output: &Output, value: Result<Value, String>) -> Value {
    let mut out = json!({"output_key": output.name, "description": output.description});
    if let Some(map) = out.as_object_mut() {
        match value {
            Ok(value) => map.insert("output_value".to_owned(), value),
            Err(why) => {
                map.insert("output_value".to_owned(), Value::Null);
                map.insert("output_error".to_owned(), json!(why))
            }
        };
    }
    out
}

/// The path of a resource.
fn resource_path(stack: &Stack, name: &str) -> String {
    format!("{}/resources/{}", stack.path(), crate::peers::encoded(name))
}

/// A resource as lists show it.
pub(crate) fn resource(
    cx: &Cx,
    stack: &Stack,
    row: &Resource,
    required_by: &[String],
) -> Map<String, Value> {
    let mut links = vec![
        link(cx.url(&resource_path(stack, &row.name)), "self"),
        link(cx.url(&stack.path()), "stack"),
    ];
    if let Some(child) = row.nested_id() {
        let name = crate::model::stack::physical_name(&stack.name, &row.name, &row.id);
        links.push(link(
            cx.url(&format!("/v1/{}/stacks/{name}/{child}", stack.project_id)),
            "nested",
        ));
    }
    let value = json!({
        "resource_name": row.name,
        "links": links,
        "logical_resource_id": row.name,
        "resource_status": format!("{}_{}", row.action.word(), row.status.word()),
        "resource_status_reason": row.reason,
        "physical_resource_id": row.physical_id.clone().unwrap_or_default(),
        "resource_type": row.kind,
        "creation_time": row.created_at,
        "updated_time": row.updated_at,
        "required_by": required_by,
    });
    let mut out = value.as_object().cloned().unwrap_or_default();
    if let Some(parent) = &stack.parent_resource {
        out.insert("parent_resource".to_owned(), json!(parent));
    }
    out
}

/// Who needs whom, from the rows.
pub(crate) fn required_by(rows: &[Resource], name: &str) -> Vec<String> {
    let mut names: Vec<String> = rows
        .iter()
        .filter(|row| !row.superseded && row.requires.contains(name))
        .map(|row| row.name.clone())
        .collect();
    names.sort();
    names
}

/// An event as lists show it.
pub(crate) fn event(cx: &Cx, stack: &Stack, event: &Event, root: Option<&Stack>) -> Value {
    let mut links = vec![
        link(
            cx.url(&format!(
                "{}/events/{}",
                resource_path(stack, &event.resource_name),
                event.id
            )),
            "self",
        ),
        link(
            cx.url(&resource_path(stack, &event.resource_name)),
            "resource",
        ),
        link(cx.url(&stack.path()), "stack"),
    ];
    if let Some(root) = root {
        links.push(link(cx.url(&root.path()), "root_stack"));
    }
    json!({
        "resource_name": event.resource_name,
        "event_time": event.created_at,
        "links": links,
        "logical_resource_id": event.resource_name,
        "resource_status": format!("{}_{}", event.action, event.status),
        "resource_status_reason": event.reason,
        "physical_resource_id": event.physical_id,
        "id": event.id,
    })
}

/// `{"stack_name", "stack_id", "tenant", "path"}`: how previews name things.
pub(crate) fn identity(project: &str, (name, id): (&str, &str), path: &str) -> Value {
    json!({"stack_name": name, "stack_id": id, "tenant": project, "path": path})
}
