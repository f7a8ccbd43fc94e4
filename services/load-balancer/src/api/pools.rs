//! Pools.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use serde_json::Value;

use super::{Change, ItemPath, balancer, list_parts, listing, part, relabel, show_part, shown};
use crate::model::body::{Fields, Label};
use crate::model::pool::CHANGE;
use crate::model::refusal::Refusal;
use crate::model::tree::{BalancerId, Kind};
use crate::store::listing::Of;
use crate::{Cx, rules};

const KIND: Kind = Kind::Pool;

endpoint! {
    /// Create a pool, of a load balancer or as the default pool of a listener.
    CreatePool: POST "/v2/lbaas/pools" => 201,
    policy: Loaded<rules::CreatePool>,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_pool,
}
async fn create_pool(cx: Cx, req: Req<CreatePool>) -> Reply<CreatePool> {
    let fields = Fields::inside(&req.body.0, "pool")?;
    let listener = fields.uuid("listener_id")?;
    let of = owner(&cx, fields, listener.as_deref()).await?;
    let mut change = Change::begin(&cx, &of).await?;
    let id = change.make(&cx, |graph| graph.pool(fields)).await?;
    if let Some(listener) = listener {
        let mut now = change.part(Kind::Listener, &listener)?;
        if let Some(listener) = now.listener_mut() {
            if listener.default_pool_id.is_some() {
                let words = "This listener already has a default pool";
                return Err(Refusal::conflict(words).into());
            }
            listener.default_pool_id = Some(id.to_string());
        }
        change.update(&cx, now).await?;
    }
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, id.as_str(), "pool")?))
}

/// The load balancer that a new pool is part of.
async fn owner(cx: &Cx, fields: Fields<'_>, listener: Option<&str>) -> Result<BalancerId, Fault> {
    let named = fields.uuid("loadbalancer_id")?;
    if let Some(id) = named {
        return Ok(balancer(cx, rules::CreatePool, &id).await?.id.clone());
    }
    let Some(listener) = listener else {
        let words = "Must provide at least one of: loadbalancer_id, listener_id";
        return Err(Refusal::invalid(words).into());
    };
    let listener = part(cx, rules::CreatePool, (Kind::Listener, listener)).await?;
    Ok(listener.balancer_id.clone())
}

endpoint! {
    /// List pools.
    ListPools: GET "/v2/lbaas/pools" => 200,
    policy: Loaded<rules::ListPools>,
    query: Params,
    reply: Json<Value>,
    handler: list_pools,
}
async fn list_pools(cx: Cx, req: Req<ListPools>) -> Reply<ListPools> {
    let by = (rules::ListAllPools, rules::ListPools);
    let asked = listing::read(&cx, req.query, Of::Parts(KIND), by)?;
    Ok(Json(
        list_parts(&cx, (KIND, asked), ("pools", "pools")).await?,
    ))
}

endpoint! {
    /// Show a pool.
    ShowPool: GET "/v2/lbaas/pools/{id}" => 200,
    policy: Loaded<rules::GetPool>,
    path: ItemPath,
    query: Params,
    reply: Json<Value>,
    handler: show_pool,
}
async fn show_pool(cx: Cx, req: Req<ShowPool>) -> Reply<ShowPool> {
    let one = part(&cx, rules::GetPool, (KIND, &req.path.id)).await?;
    Ok(Json(show_part(&cx, &one, ("pool", &req.query)).await?))
}

endpoint! {
    /// Change a pool.
    UpdatePool: PUT "/v2/lbaas/pools/{id}" => 200,
    policy: Loaded<rules::UpdatePool>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_pool,
}
async fn update_pool(cx: Cx, req: Req<UpdatePool>) -> Reply<UpdatePool> {
    let one = part(&cx, rules::UpdatePool, (KIND, &req.path.id)).await?;
    let fields = Fields::inside(&req.body.0, "pool")?.only(&[Label::FIELDS, CHANGE])?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    let mut now = change.part(KIND, &req.path.id)?;
    relabel(&mut now, Label::read(fields)?);
    if let Some(pool) = now.pool_mut() {
        pool.change(fields)?;
    }
    change.update(&cx, now).await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, &req.path.id, "pool")?))
}

endpoint! {
    /// Delete a pool with its members and its health monitor.
    DeletePool: DELETE "/v2/lbaas/pools/{id}" => 204,
    policy: Loaded<rules::DeletePool>,
    path: ItemPath,
    reply: Empty,
    handler: delete_pool,
}
async fn delete_pool(cx: Cx, req: Req<DeletePool>) -> Reply<DeletePool> {
    let id = req.path.id.as_str();
    let one = part(&cx, rules::DeletePool, (KIND, id)).await?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    change.part(KIND, id)?;
    if let Some(policy) = change.tree.policy_to(id) {
        let words = format!("Pool {id} is in use by L7 policy {}", policy.id);
        return Err(Refusal::conflict(words).into());
    }
    let listeners: Vec<_> = change.tree.listeners_of(id).into_iter().cloned().collect();
    for mut listener in listeners {
        if let Some(listener) = listener.listener_mut() {
            listener.default_pool_id = None;
        }
        change.update(&cx, listener).await?;
    }
    change.remove(&cx, id).await?;
    change.done(&cx).await?;
    Ok(Empty)
}
