//! Load balancers.

use nephos_api::{Accepted, Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::fault::{busy, immutable, not_found};
use super::graph::Graph;
use super::listing::{self, fields_of, no_marker, only};
use super::views::{self, Beside};
use super::vip::Wanted;
use super::{Change, ItemPath, balancer, can_be, require, seen};
use crate::model::body::{Fields, Label};
use crate::model::refusal::Refusal;
use crate::model::status::{Operating, Provisioning};
use crate::model::tree::{Balancer, BalancerId, Kind, Tree, Vip};
use crate::ops::{Asked, apply, delete};
use crate::store::listing::{Of, balancers as list};
use crate::store::{balancers, parts, quotas};
use crate::{Cx, rules};

const NEW: &[&str] = &[
    "project_id",
    "tenant_id",
    "provider",
    "vip_address",
    "vip_port_id",
    "vip_subnet_id",
    "vip_network_id",
    "additional_vips",
    "listeners",
    "pools",
    "flavor_id",
    "availability_zone",
    "vip_vnic_type",
];
const CHANGE: &[&str] = &["vip_qos_policy_id", "vip_sg_ids"];

endpoint! {
    /// Create a load balancer, alone or with all that it is made of.
    CreateBalancer: POST "/v2/lbaas/loadbalancers" => 201,
    policy: Loaded<rules::CreateBalancer>,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_balancer,
}
async fn create_balancer(cx: Cx, req: Req<CreateBalancer>) -> Reply<CreateBalancer> {
    let fields =
        Fields::inside(&req.body.0, "loadbalancer")?.only(&[Label::FIELDS, NEW, CHANGE])?;
    let project = project(&cx, fields)?;
    require(&cx, rules::CreateBalancer, &project)?;
    let label = Label::read(fields)?;
    let provider = provider(fields)?;
    for (key, what) in [
        ("flavor_id", "flavor_id"),
        ("availability_zone", "availability zone"),
    ] {
        if fields.text(key)?.is_some() {
            return Err(Refusal::invalid(format!("Invalid {what}.")).into());
        }
    }
    let wanted = Wanted::read(fields)?;
    let id = BalancerId::from(nephos_runtime::ids::uuid());
    let before = balancer_of(&cx, (id.clone(), project), label, provider);
    // What is wrong with the body should be known before a port is made.
    build(&cx, before.clone(), fields)?;
    let limits = quotas::of(cx.db(), &before.project_id).await?;
    let vip = wanted.settle(&cx, &id, &before.project_id).await?;
    let made = vip.own_port.then(|| vip.port_id.clone());
    let stored = store(&cx, Balancer { vip, ..before }, (fields, &limits)).await;
    if let (Err(_), Some(port)) = (&stored, made)
        && let Err(why) = unmake(&cx, &port).await
    {
        tracing::warn!(%why, port, "it goes later");
    }
    Ok(Json(json!({"loadbalancer": stored?.whole()})))
}

/// Takes a port away that was made for a load balancer which is not to be.
async fn unmake(cx: &Cx, port: &str) -> Result<(), nephos_peer::PeerError> {
    match cx.siblings.port(port).await? {
        Some(made) => cx.siblings.delete_port(&made).await,
        None => Ok(()),
    }
}

/// Whose it is to be: the project that is named, else the caller's.
fn project(cx: &Cx, fields: Fields<'_>) -> Result<String, Fault> {
    let named = fields.text("project_id")?.or(fields.text("tenant_id")?);
    let named = named
        .filter(|project| !project.is_empty())
        .map(str::to_owned);
    let own = cx.caller.project_id().map(|project| project.0.clone());
    let project = named.or(own);
    Ok(project
        .ok_or_else(|| Refusal::invalid("Missing project ID in request where one is required."))?)
}

fn provider(fields: Fields<'_>) -> Result<String, Refusal> {
    let [(default, _), ..] = super::discovery::PROVIDERS;
    let given = fields.text("provider")?.unwrap_or(default);
    let mut known = super::discovery::PROVIDERS.iter();
    if known.any(|(name, _)| *name == given) {
        return Ok(given.to_owned());
    }
    Err(Refusal::plain(format!(
        "Provider '{given}' is not enabled."
    )))
}

fn balancer_of(
    cx: &Cx,
    (id, project_id): (BalancerId, String),
    label: Label,
    provider: String,
) -> Balancer {
    Balancer {
        id,
        project_id,
        name: label.name.unwrap_or_default(),
        description: label.description.unwrap_or_default(),
        enabled: label.enabled.unwrap_or(true),
        provisioning: Provisioning::PendingCreate,
        operating: Operating::Offline,
        provider,
        vip: Vip {
            address: String::new(),
            port_id: String::new(),
            subnet_id: String::new(),
            network_id: String::new(),
            own_port: false,
            additional: Vec::new(),
        },
        tags: label.tags.unwrap_or_default(),
        host: None,
        left_host: None,
        going: false,
        problem: None,
        created_at: cx.now(),
        updated_at: None,
    }
}

/// The load balancer with all that the body makes of it.
fn build(cx: &Cx, balancer: Balancer, fields: Fields<'_>) -> Result<Tree, Refusal> {
    let known = !balancer.vip.address.is_empty();
    let mut tree = Tree {
        balancer,
        parts: Vec::new(),
    };
    let mut graph = Graph::new(cx, &mut tree);
    for pool in fields.list("pools")? {
        graph.pool(Fields::of(pool, "pools")?)?;
    }
    for listener in fields.list("listeners")? {
        let listener = Fields::of(listener, "listeners")?;
        // Which addresses may be allowed depends on the VIP.
        let mut body = listener.0.clone();
        if !known {
            body.remove("allowed_cidrs");
        }
        graph.listener(Fields(&body))?;
    }
    Ok(tree)
}

async fn store(
    cx: &Cx,
    balancer: Balancer,
    (fields, limits): (Fields<'_>, &quotas::Limits),
) -> Result<Tree, Fault> {
    let tree = build(cx, balancer, fields)?;
    can_be(&tree)?;
    let mut tx = cx.write().await?;
    let one = &tree.balancer;
    if !one.vip.own_port && balancers::by_port(&mut tx, &one.vip.port_id).await? {
        let words = format!(
            "Port {} is already used by another load balancer.",
            one.vip.port_id
        );
        return Err(Refusal::invalid(words).into());
    }
    balancers::insert(&mut tx, one).await?;
    let mut kinds: Vec<Kind> = Vec::new();
    for part in &tree.parts {
        parts::insert(&mut tx, part).await?;
        kinds.push(part.kind());
    }
    kinds.sort_unstable();
    kinds.dedup();
    quotas::check_balancers(&mut tx, &one.project_id, limits).await??;
    quotas::check_parts(&mut tx, &one.project_id, limits, &kinds).await??;
    let asked = apply::request(&mut tx, Asked::of(cx), &one.id).await;
    asked.map_err(|why| busy(one.id.as_str(), why))?;
    tx.commit().await?;
    Ok(tree)
}

endpoint! {
    /// List load balancers.
    ListBalancers: GET "/v2/lbaas/loadbalancers" => 200,
    policy: Loaded<rules::ListBalancers>,
    query: Params,
    reply: Json<Value>,
    handler: list_balancers,
}
async fn list_balancers(cx: Cx, req: Req<ListBalancers>) -> Reply<ListBalancers> {
    let asked = listing::read(
        &cx,
        req.query,
        Of::Balancers,
        (rules::ListAllBalancers, rules::ListBalancers),
    )?;
    let found = list(cx.db(), &asked.listing).await?;
    let found = found.ok_or_else(|| no_marker(&asked))?;
    let links = parts::links(cx.db(), found.iter().map(|one| &one.id)).await?;
    let views = found.iter().map(|one| views::balancer(one, Beside(&links)));
    Ok(Json(asked.page(
        &cx,
        ("loadbalancers", "loadbalancers"),
        views.collect(),
    )))
}

endpoint! {
    /// Show a load balancer.
    ShowBalancer: GET "/v2/lbaas/loadbalancers/{id}" => 200,
    policy: Loaded<rules::GetBalancer>,
    path: ItemPath,
    query: Params,
    reply: Json<Value>,
    handler: show_balancer,
}
async fn show_balancer(cx: Cx, req: Req<ShowBalancer>) -> Reply<ShowBalancer> {
    let one = balancer(&cx, rules::GetBalancer, &req.path.id).await?;
    let links = parts::links(cx.db(), [&one.id]).await?;
    let view = views::balancer(&one, Beside(&links));
    Ok(Json(
        json!({"loadbalancer": only(view, &fields_of(&req.query))}),
    ))
}

endpoint! {
    /// Change a load balancer.
    UpdateBalancer: PUT "/v2/lbaas/loadbalancers/{id}" => 200,
    policy: Loaded<rules::UpdateBalancer>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_balancer,
}
async fn update_balancer(cx: Cx, req: Req<UpdateBalancer>) -> Reply<UpdateBalancer> {
    let one = balancer(&cx, rules::UpdateBalancer, &req.path.id).await?;
    let fields = Fields::inside(&req.body.0, "loadbalancer")?.only(&[Label::FIELDS, CHANGE])?;
    if fields.get("vip_qos_policy_id").is_some() || !fields.list("vip_sg_ids")?.is_empty() {
        let what =
            "vip_qos_policy_id and vip_sg_ids; allowed_cidrs of listeners say who is answered";
        return Err(Refusal::unsupported(what).into());
    }
    let label = Label::read(fields)?;
    let mut change = Change::begin(&cx, &one.id).await?;
    let now = &mut change.tree.balancer;
    now.name = label.name.unwrap_or_else(|| now.name.clone());
    now.description = label.description.unwrap_or_else(|| now.description.clone());
    now.enabled = label.enabled.unwrap_or(now.enabled);
    now.tags = label.tags.unwrap_or_else(|| now.tags.clone());
    let tree = change.done(&cx).await?;
    let links = tree.links();
    Ok(Json(
        json!({"loadbalancer": views::balancer(&tree.balancer, Beside(&links))}),
    ))
}

endpoint! {
    /// Delete a load balancer; with `cascade=true` all that it is made of too.
    DeleteBalancer: DELETE "/v2/lbaas/loadbalancers/{id}" => 204,
    policy: Loaded<rules::DeleteBalancer>,
    path: ItemPath,
    query: Params,
    reply: Empty,
    handler: delete_balancer,
}
async fn delete_balancer(cx: Cx, req: Req<DeleteBalancer>) -> Reply<DeleteBalancer> {
    let one = balancer(&cx, rules::DeleteBalancer, &req.path.id).await?;
    let cascade = req.query.get("cascade").and_then(crate::model::body::truth) == Some(true);
    let mut tx = cx.write().await?;
    let tree = balancers::tree_in(&mut tx, &one.id).await?;
    let mut tree = tree.ok_or_else(|| not_found("Load Balancer", &req.path.id))?;
    if tree.balancer.provisioning == Provisioning::PendingDelete {
        return Err(immutable(&req.path.id));
    }
    if !cascade && tree.has_children() {
        let words = format!("Cannot delete Load Balancer {} - it has children", one.id);
        return Err(Refusal::invalid(words).into());
    }
    let asked = delete::request(&mut tx, Asked::of(&cx), &mut tree.balancer).await;
    asked.map_err(|why| busy(&req.path.id, why))?;
    for mut part in tree.parts {
        part.provisioning = Provisioning::PendingDelete;
        parts::update(&mut tx, &part).await?;
    }
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Move a load balancer to another host.
    FailOver: PUT "/v2/lbaas/loadbalancers/{id}/failover" => 202,
    policy: Loaded<rules::Failover>,
    path: ItemPath,
    reply: Accepted,
    handler: fail_over,
}
async fn fail_over(cx: Cx, req: Req<FailOver>) -> Reply<FailOver> {
    let one = balancer(&cx, rules::Failover, &req.path.id).await?;
    let mut tx = cx.write().await?;
    let now = balancers::find_in(&mut tx, &one.id).await?;
    let mut now = now.ok_or_else(|| not_found("Load Balancer", &req.path.id))?;
    if now.going {
        return Err(immutable(&req.path.id));
    }
    let asked = apply::request_move(&mut tx, Asked::of(&cx), &mut now).await;
    asked.map_err(|why| busy(&req.path.id, why))?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Show what went through a load balancer.
    ShowBalancerStats: GET "/v2/lbaas/loadbalancers/{id}/stats" => 200,
    policy: Loaded<rules::GetStats>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_balancer_stats,
}
async fn show_balancer_stats(cx: Cx, req: Req<ShowBalancerStats>) -> Reply<ShowBalancerStats> {
    let one = balancer(&cx, rules::GetStats, &req.path.id).await?;
    Ok(Json(views::stats(seen(&cx, &one).await?.as_ref(), None)))
}

endpoint! {
    /// Show how a load balancer and all its parts are.
    ShowBalancerStatus: GET "/v2/lbaas/loadbalancers/{id}/status" => 200,
    policy: Loaded<rules::GetStatus>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_balancer_status,
}
async fn show_balancer_status(cx: Cx, req: Req<ShowBalancerStatus>) -> Reply<ShowBalancerStatus> {
    status(&cx, &req.path.id).await
}

endpoint! {
    /// Likewise, by the name that it had before Octavia.
    ShowBalancerStatuses: GET "/v2/lbaas/loadbalancers/{id}/statuses" => 200,
    policy: Loaded<rules::GetStatus>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_balancer_statuses,
}
async fn show_balancer_statuses(
    cx: Cx,
    req: Req<ShowBalancerStatuses>,
) -> Reply<ShowBalancerStatuses> {
    status(&cx, &req.path.id).await
}

async fn status(cx: &Cx, id: &str) -> Result<Json<Value>, Fault> {
    let one = balancer(cx, rules::GetStatus, id).await?;
    let tree = balancers::tree(cx.db(), &one.id).await?;
    let tree = tree.ok_or_else(|| not_found("Load Balancer", id))?;
    Ok(Json(json!({"statuses": tree.status()})))
}
