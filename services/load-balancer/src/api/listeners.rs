//! Listeners.

use nephos_api::{Empty, Json, Loaded, Params, Reply, Req, endpoint};
use serde_json::Value;

use super::{
    Change, ItemPath, balancer, list_parts, listing, part, relabel, seen, show_part, shown, views,
};
use crate::model::body::{Fields, Label};
use crate::model::listener::CHANGE;
use crate::model::tree::{BalancerId, Kind};
use crate::store::listing::Of;
use crate::{Cx, rules, store};

const KIND: Kind = Kind::Listener;

endpoint! {
    /// Create a listener.
    CreateListener: POST "/v2/lbaas/listeners" => 201,
    policy: Loaded<rules::CreateListener>,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_listener,
}
async fn create_listener(cx: Cx, req: Req<CreateListener>) -> Reply<CreateListener> {
    let fields = Fields::inside(&req.body.0, "listener")?;
    let of = balancer(
        &cx,
        rules::CreateListener,
        &fields.needed_uuid("loadbalancer_id")?,
    )
    .await?;
    let mut change = Change::begin(&cx, &of.id).await?;
    let id = change.make(&cx, |graph| graph.listener(fields)).await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, id.as_str(), "listener")?))
}

endpoint! {
    /// List listeners.
    ListListeners: GET "/v2/lbaas/listeners" => 200,
    policy: Loaded<rules::ListListeners>,
    query: Params,
    reply: Json<Value>,
    handler: list_listeners,
}
async fn list_listeners(cx: Cx, req: Req<ListListeners>) -> Reply<ListListeners> {
    let by = (rules::ListAllListeners, rules::ListListeners);
    let asked = listing::read(&cx, req.query, Of::Parts(KIND), by)?;
    Ok(Json(
        list_parts(&cx, (KIND, asked), ("listeners", "listeners")).await?,
    ))
}

endpoint! {
    /// Show a listener.
    ShowListener: GET "/v2/lbaas/listeners/{id}" => 200,
    policy: Loaded<rules::GetListener>,
    path: ItemPath,
    query: Params,
    reply: Json<Value>,
    handler: show_listener,
}
async fn show_listener(cx: Cx, req: Req<ShowListener>) -> Reply<ShowListener> {
    let one = part(&cx, rules::GetListener, (KIND, &req.path.id)).await?;
    Ok(Json(show_part(&cx, &one, ("listener", &req.query)).await?))
}

endpoint! {
    /// Change a listener.
    UpdateListener: PUT "/v2/lbaas/listeners/{id}" => 200,
    policy: Loaded<rules::UpdateListener>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_listener,
}
async fn update_listener(cx: Cx, req: Req<UpdateListener>) -> Reply<UpdateListener> {
    let one = part(&cx, rules::UpdateListener, (KIND, &req.path.id)).await?;
    let fields = Fields::inside(&req.body.0, "listener")?.only(&[Label::FIELDS, CHANGE])?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    let mut now = change.part(KIND, &req.path.id)?;
    relabel(&mut now, Label::read(fields)?);
    let vips = change.tree.balancer.vip.addresses();
    if let Some(listener) = now.listener_mut() {
        listener.change(fields, &vips)?;
    }
    change.update(&cx, now).await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, &req.path.id, "listener")?))
}

endpoint! {
    /// Delete a listener with its L7 policies.
    DeleteListener: DELETE "/v2/lbaas/listeners/{id}" => 204,
    policy: Loaded<rules::DeleteListener>,
    path: ItemPath,
    reply: Empty,
    handler: delete_listener,
}
async fn delete_listener(cx: Cx, req: Req<DeleteListener>) -> Reply<DeleteListener> {
    let one = part(&cx, rules::DeleteListener, (KIND, &req.path.id)).await?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    change.part(KIND, &req.path.id)?;
    change.remove(&cx, &req.path.id).await?;
    change.done(&cx).await?;
    Ok(Empty)
}

endpoint! {
    /// Show what went through a listener.
    ShowListenerStats: GET "/v2/lbaas/listeners/{id}/stats" => 200,
    policy: Loaded<rules::GetListenerStats>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_listener_stats,
}
async fn show_listener_stats(cx: Cx, req: Req<ShowListenerStats>) -> Reply<ShowListenerStats> {
    let one = part(&cx, rules::GetListenerStats, (KIND, &req.path.id)).await?;
    let of: BalancerId = one.balancer_id.clone();
    let seen = match store::balancers::find(cx.db(), &of).await? {
        Some(balancer) => seen(&cx, &balancer).await?,
        None => None,
    };
    Ok(Json(views::stats(seen.as_ref(), Some(&req.path.id))))
}
