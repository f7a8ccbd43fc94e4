//! The health monitors of pools.

use nephos_api::{Empty, Json, Loaded, Params, Reply, Req, endpoint};
use serde_json::Value;

use super::{Change, ItemPath, list_parts, listing, part, relabel, show_part, shown};
use crate::model::body::{Fields, Label};
use crate::model::monitor::CHANGE;
use crate::model::tree::Kind;
use crate::store::listing::Of;
use crate::{Cx, rules};

const KIND: Kind = Kind::Monitor;

endpoint! {
    /// Create the health monitor of a pool.
    CreateMonitor: POST "/v2/lbaas/healthmonitors" => 201,
    policy: Loaded<rules::CreateMonitor>,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_monitor,
}
async fn create_monitor(cx: Cx, req: Req<CreateMonitor>) -> Reply<CreateMonitor> {
    let fields = Fields::inside(&req.body.0, "healthmonitor")?;
    let parent = fields.needed_uuid("pool_id")?;
    let pool = part(&cx, rules::CreateMonitor, (Kind::Pool, &parent)).await?;
    let mut change = Change::begin(&cx, &pool.balancer_id).await?;
    change.part(Kind::Pool, &parent)?;
    let id = change
        .make(&cx, |graph| graph.monitor(&parent, fields))
        .await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, id.as_str(), "healthmonitor")?))
}

endpoint! {
    /// List health monitors.
    ListMonitors: GET "/v2/lbaas/healthmonitors" => 200,
    policy: Loaded<rules::ListMonitors>,
    query: Params,
    reply: Json<Value>,
    handler: list_monitors,
}
async fn list_monitors(cx: Cx, req: Req<ListMonitors>) -> Reply<ListMonitors> {
    let by = (rules::ListAllMonitors, rules::ListMonitors);
    let asked = listing::read(&cx, req.query, Of::Parts(KIND), by)?;
    let names = ("healthmonitors", "healthmonitors");
    Ok(Json(list_parts(&cx, (KIND, asked), names).await?))
}

endpoint! {
    /// Show a health monitor.
    ShowMonitor: GET "/v2/lbaas/healthmonitors/{id}" => 200,
    policy: Loaded<rules::GetMonitor>,
    path: ItemPath,
    query: Params,
    reply: Json<Value>,
    handler: show_monitor,
}
async fn show_monitor(cx: Cx, req: Req<ShowMonitor>) -> Reply<ShowMonitor> {
    let one = part(&cx, rules::GetMonitor, (KIND, &req.path.id)).await?;
    Ok(Json(
        show_part(&cx, &one, ("healthmonitor", &req.query)).await?,
    ))
}

endpoint! {
    /// Change a health monitor.
    UpdateMonitor: PUT "/v2/lbaas/healthmonitors/{id}" => 200,
    policy: Loaded<rules::UpdateMonitor>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_monitor,
}
async fn update_monitor(cx: Cx, req: Req<UpdateMonitor>) -> Reply<UpdateMonitor> {
    let one = part(&cx, rules::UpdateMonitor, (KIND, &req.path.id)).await?;
    let fields = Fields::inside(&req.body.0, "healthmonitor")?.only(&[Label::FIELDS, CHANGE])?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    let mut now = change.part(KIND, &req.path.id)?;
    relabel(&mut now, Label::read(fields)?);
    if let Some(monitor) = now.monitor_mut() {
        monitor.change(fields)?;
    }
    change.update(&cx, now).await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, &req.path.id, "healthmonitor")?))
}

endpoint! {
    /// Delete a health monitor.
    DeleteMonitor: DELETE "/v2/lbaas/healthmonitors/{id}" => 204,
    policy: Loaded<rules::DeleteMonitor>,
    path: ItemPath,
    reply: Empty,
    handler: delete_monitor,
}
async fn delete_monitor(cx: Cx, req: Req<DeleteMonitor>) -> Reply<DeleteMonitor> {
    let one = part(&cx, rules::DeleteMonitor, (KIND, &req.path.id)).await?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    change.part(KIND, &req.path.id)?;
    change.remove(&cx, &req.path.id).await?;
    change.done(&cx).await?;
    Ok(Empty)
}
