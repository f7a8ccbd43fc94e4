//! Lists of stacks.

use nephos_api::{Fault, Json, Params, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::stacks::{ProjectPath, project};
use super::view::{self, Document};
use crate::model::function::shown;
use crate::model::parameter::truth;
use crate::model::stack::{Stack, Status};
use crate::ops::facts;
use crate::store::stacks::{self, StackQuery};
use crate::{Cx, rules};

/// A page has at most so many stacks.
const MAX_LIMIT: usize = 1000;

endpoint! {
    /// List stacks.
    ListStacks: GET "/v1/{tenant_id}/stacks" => 200,
    policy: rules::StackIndex,
    path: ProjectPath,
    query: Params,
    reply: Json<Document>,
    handler: list_stacks,
}
async fn list_stacks(cx: Cx, req: Req<ListStacks>) -> Reply<ListStacks> {
    let project = project(&cx, &req.path.tenant_id)?;
    let everywhere = flag(&req.query, "global_tenant")?;
    if everywhere {
        cx.require(rules::GlobalIndex, &nephos_auth::Target::new())?;
    }
    let mut query = query(&req.query)?;
    query.project = (!everywhere).then(|| project.to_owned());
    let mut found = stacks::page(cx.db(), &query).await?;
    filter_tags(&cx, &req.query, &mut found)?;
    let count = found.len();
    let page = page(&req.query, found)?;
    let admin = cx.caller.is_admin();
    let views: Vec<Value> = page
        .iter()
        .map(|stack| {
            let mut view = view::listed(&cx, stack);
            if admin {
                view.insert("project".to_owned(), json!(stack.project_id));
            }
            Value::Object(view)
        })
        .collect();
    let mut out = json!({ "stacks": views });
    if let Some(map) = out.as_object_mut() {
        if flag(&req.query, "with_count")? {
            map.insert("count".to_owned(), json!(count));
        }
        let limit = limit(&req.query)?;
        if let (Some(last), Some(limit)) = (page.last(), limit)
            && page.len() == limit
        {
            let href = cx.url(&format!(
                "/v1/{project}/stacks?limit={limit}&marker={}",
                last.id
            ));
            map.insert("links".to_owned(), json!([{"rel": "next", "href": href}]));
        }
    }
    Ok(Json(Document(out)))
}

endpoint! {
    /// List stacks with details.
    ListStackDetails: GET "/v1/{tenant_id}/stacks/detail" => 200,
    policy: rules::StackDetail,
    path: ProjectPath,
    query: Params,
    reply: Json<Document>,
    handler: list_stack_details,
}
async fn list_stack_details(cx: Cx, req: Req<ListStackDetails>) -> Reply<ListStackDetails> {
    let project = project(&cx, &req.path.tenant_id)?;
    let mut query = query(&req.query)?;
    query.project = Some(project.to_owned());
    let mut found = stacks::page(cx.db(), &query).await?;
    filter_tags(&cx, &req.query, &mut found)?;
    let mut views = Vec::new();
    for stack in page(&req.query, found)? {
        let seen = facts::view(cx.db(), &stack).await.ok();
        views.push(view::stack(&cx, &stack, seen.as_ref(), None));
    }
    Ok(Json(Document(json!({ "stacks": views }))))
}

pub(super) fn flag(query: &Params, name: &str) -> Result<bool, Fault> {
    let Some(given) = query.get(name).filter(|given| !given.is_empty()) else {
        return Ok(false);
    };
    let wrong = || {
        Fault::bad_request(format!(
            "Unrecognized value \"{given}\" for \"{name}\", acceptable values are: true, false"
        ))
    };
    truth(&json!(given)).ok_or_else(wrong)
}

fn limit(query: &Params) -> Result<Option<usize>, Fault> {
    let Some(given) = query.get("limit") else {
        return Ok(None);
    };
    let wrong = || Fault::bad_request(format!("Only integer is allowed: limit={given}"));
    given
        .parse()
        .map(|limit: usize| Some(limit.min(MAX_LIMIT)))
        .map_err(|_| wrong())
}

fn query(params: &Params) -> Result<StackQuery, Fault> {
    let all = |names: &[&str]| -> Vec<String> {
        names
            .iter()
            .flat_map(|name| params.all(name))
            .map(str::to_owned)
            .collect()
    };
    let mut query = StackQuery {
        nested: flag(params, "show_nested")?,
        names: all(&["name", "stack_name"]),
        ids: all(&["id", "stack_identity"]),
        actions: all(&["action", "stack_action"]),
        owners: all(&["username", "stack_owner"]),
        parents: all(&["owner_id", "parent"]),
        ..StackQuery::default()
    };
    // `CREATE_FAILED` is an action and a status.
    for word in all(&["status", "stack_status"]) {
        let status = [Status::Complete, Status::Failed, Status::InProgress]
            .into_iter()
            .find(|status| word.ends_with(status.word()));
        match status {
            Some(status) => {
                if let Some(action) = word
                    .strip_suffix(status.word())
                    .and_then(|action| action.strip_suffix('_'))
                {
                    query.actions.push(action.to_owned());
                }
                query.statuses.push(status.word().to_owned());
            }
            None => query.statuses.push(word),
        }
    }
    let descending = match params.get("sort_dir").unwrap_or("desc") {
        "asc" => false,
        "desc" => true,
        other => {
            return Err(Fault::bad_request(format!(
                "Unknown sort direction, must be 'desc' or 'asc': {other}"
            )));
        }
    };
    for key in params.all("sort_keys").flat_map(|keys| keys.split(',')) {
        let column = match key.split(':').next().unwrap_or_default() {
            "stack_name" | "name" => "name",
            "stack_status" | "status" => "status",
            "creation_time" | "created_at" => "created_at",
            "updated_time" | "updated_at" => "created_at",
            // Heat passes over keys that it does not know.
            _unknown => continue,
        };
        query.sort.push((
            column,
            if key.ends_with(":asc") {
                false
            } else {
                descending || key.ends_with(":desc")
            },
        ));
    }
    if query.sort.is_empty() {
        query.sort.push(("created_at", descending));
    }
    query.sort.push(("id", descending));
    Ok(query)
}

fn filter_tags(cx: &Cx, params: &Params, found: &mut Vec<Stack>) -> Result<(), Fault> {
    let list = |name: &str| -> Option<Vec<String>> {
        Some(params.get(name)?.split(',').map(str::to_owned).collect())
    };
    let has = |stack: &Stack, tag: &String| stack.tags.contains(tag);
    if let Some(tags) = list("tags") {
        found.retain(|stack| tags.iter().all(|tag| has(stack, tag)));
    }
    if let Some(tags) = list("tags_any") {
        found.retain(|stack| tags.iter().any(|tag| has(stack, tag)));
    }
    if let Some(tags) = list("not_tags") {
        found.retain(|stack| !tags.iter().all(|tag| has(stack, tag)));
    }
    if let Some(tags) = list("not_tags_any") {
        found.retain(|stack| !tags.iter().any(|tag| has(stack, tag)));
    }
    if !flag(params, "show_hidden")? {
        found.retain(|stack| {
            !cx.config
                .hidden_stack_tags
                .iter()
                .any(|tag| has(stack, tag))
        });
    }
    Ok(())
}

fn page(params: &Params, found: Vec<Stack>) -> Result<Vec<Stack>, Fault> {
    let from = match params.get("marker") {
        None => 0,
        Some(marker) => {
            let at = found.iter().position(|stack| stack.id.as_str() == marker);
            at.ok_or_else(|| {
                Fault::bad_request(format!(
                    "The marker {} is no stack of this list.",
                    shown(&json!(marker))
                ))
            })? + 1
        }
    };
    let count = limit(params)?.unwrap_or(MAX_LIMIT);
    Ok(found.into_iter().skip(from).take(count).collect())
}
