//! Which agent does what: a router lives on one host; DHCP is answered on every host that has a port of the network.

use nephos_api::{Empty, Fault, Json, Reply, Req, endpoint};
use nephos_db::args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Cx;
use crate::api::agents::{AgentView, Job, agent_of, load};
use crate::api::envelope::{Keys, Shown, show};
use crate::api::{ById, network_body, routers as api_routers};
use crate::model::refusal::Refusal;
use crate::model::spec::HostReport;
use crate::rules;
use crate::store::{Reader, hosts, networks, publish_router, routers};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Routers {
    #[schema(value_type = Vec<Object>)]
    routers: Vec<Shown>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Networks {
    #[schema(value_type = Vec<Object>)]
    networks: Vec<Shown>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Agents {
    agents: Vec<AgentView>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouterBody {
    router_id: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkBody {
    network_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OnAgent {
    id: String,
    thing: String,
}

/// The host of an agent that does this job.
async fn host_of(cx: &Cx, id: &str, job: Job) -> Result<String, Fault> {
    Ok(report_of(cx, id, job).await?.host)
}

/// What the host of an agent that does this job tells of itself.
async fn report_of(cx: &Cx, id: &str, job: Job) -> Result<HostReport, Fault> {
    let (host, is) = load(&mut Reader::Db(cx.db()), id).await?;
    if is == job {
        return Ok(host.report);
    }
    let (kind, what) = match job {
        Job::Router => ("InvalidL3Agent", "L3"),
        Job::Dhcp | Job::Network => ("InvalidDHCPAgent", "DHCP"),
    };
    Err(Refusal::conflict(kind, format!("Agent {id} is not a {what} Agent.")).into())
}

endpoint! {
    /// List the routers that live on an agent's host.
    ListAgentRouters: GET "/v2.0/agents/{id}/l3-routers" => 200,
    policy: rules::GetL3Routers,
    path: ById,
    reply: Json<Routers>,
    handler: list_agent_routers,
}
async fn list_agent_routers(cx: Cx, req: Req<ListAgentRouters>) -> Reply<ListAgentRouters> {
    let host = host_of(&cx, &req.path.id, Job::Router).await?;
    let query = routers::query().eq("host", host);
    let found = routers::find(&mut Reader::Db(cx.db()), &query).await?;
    let keys = Keys::default();
    let shown: Result<_, Fault> = found
        .iter()
        .map(|router| show(&api_routers::view(&cx, router), &keys))
        .collect();
    Ok(Json(Routers { routers: shown? }))
}

endpoint! {
    /// Have a router live on an agent's host.
    AddAgentRouter: POST "/v2.0/agents/{id}/l3-routers" => 201,
    policy: rules::CreateL3Router,
    path: ById,
    body: Json<RouterBody>,
    reply: Json<Value>,
    handler: add_agent_router,
}
async fn add_agent_router(cx: Cx, req: Req<AddAgentRouter>) -> Reply<AddAgentRouter> {
    let report = report_of(&cx, &req.path.id, Job::Router).await?;
    if !report.gateway {
        let words = format!(
            "Nothing leads out of host {}: no network card is plugged into the bridge of a network outside, so no router \
             may live there.",
            report.host
        );
        return Err(Refusal::conflict("InvalidL3Agent", words).into());
    }
    let host = report.host;
    let id = req.body.router_id.as_str();
    let mut tx = cx.write().await?;
    let found = routers::get(&mut Reader::Tx(&mut tx), id).await?;
    let router = found.ok_or_else(|| Refusal::no_router(id))?;
    if !router.host.is_empty() && router.host != host {
        return Err(Refusal::conflict(
            "RouterHostedByL3Agent",
            format!(
                "The router {id} has been already hosted by the L3 Agent of host {}. Remove it there first.",
                router.host
            ),
        )
        .into());
    }
    routers::place(&mut tx, id, &host).await?;
    publish_router::router(&mut tx, cx.now(), id).await?;
    tx.commit().await?;
    Ok(Json(Value::Null))
}

endpoint! {
    /// Take a router from an agent's host.
    RemoveAgentRouter: DELETE "/v2.0/agents/{id}/l3-routers/{thing}" => 204,
    policy: rules::DeleteL3Router,
    path: OnAgent,
    reply: Empty,
    handler: remove_agent_router,
}
async fn remove_agent_router(cx: Cx, req: Req<RemoveAgentRouter>) -> Reply<RemoveAgentRouter> {
    let host = host_of(&cx, &req.path.id, Job::Router).await?;
    let id = req.path.thing.as_str();
    let mut tx = cx.write().await?;
    let found = routers::get(&mut Reader::Tx(&mut tx), id).await?;
    let router = found.ok_or_else(|| Refusal::no_router(id))?;
    if router.host != host {
        return Err(Refusal::conflict(
            "RouterNotHostedByL3Agent",
            format!("The router {id} is not hosted by L3 agent {}.", req.path.id),
        )
        .into());
    }
    publish_router::leave(&mut tx, cx.now(), id, &host).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// List the agents on whose hosts a router lives.
    ListRouterAgents: GET "/v2.0/routers/{id}/l3-agents" => 200,
    policy: rules::GetL3Agents,
    path: ById,
    reply: Json<Agents>,
    handler: list_router_agents,
}
async fn list_router_agents(cx: Cx, req: Req<ListRouterAgents>) -> Reply<ListRouterAgents> {
    let id = req.path.id.as_str();
    let found = routers::get(&mut Reader::Db(cx.db()), id).await?;
    let router = found.ok_or_else(|| Refusal::no_router(id))?;
    let agents = agents_on(&cx, std::slice::from_ref(&router.host), Job::Router).await?;
    Ok(Json(Agents { agents }))
}

async fn agents_on(cx: &Cx, names: &[String], job: Job) -> Result<Vec<AgentView>, Fault> {
    let all = hosts::all(&mut Reader::Db(cx.db())).await?;
    Ok(all
        .iter()
        .filter(|host| names.contains(&host.report.host))
        .map(|host| agent_of(cx, host, job))
        .collect())
}

endpoint! {
    /// List the networks for which an agent answers DHCP.
    ListAgentNetworks: GET "/v2.0/agents/{id}/dhcp-networks" => 200,
    policy: rules::GetDhcpNetworks,
    path: ById,
    reply: Json<Networks>,
    handler: list_agent_networks,
}
async fn list_agent_networks(cx: Cx, req: Req<ListAgentNetworks>) -> Reply<ListAgentNetworks> {
    let host = host_of(&cx, &req.path.id, Job::Dhcp).await?;
    let query = networks::query().raw(
        "id IN (SELECT network_id FROM ports WHERE host = {})",
        args![host],
    );
    let found = networks::find(&mut Reader::Db(cx.db()), &query).await?;
    let shown: Result<_, Fault> = found
        .iter()
        .map(|network| {
            let keys = network_body::keys(&cx, network, Vec::new());
            show(&network_body::view(&cx, network), &keys)
        })
        .collect();
    Ok(Json(Networks { networks: shown? }))
}

endpoint! {
    /// Have an agent answer DHCP for a network: refused, because agents do it by themselves.
    AddAgentNetwork: POST "/v2.0/agents/{id}/dhcp-networks" => 201,
    policy: rules::CreateDhcpNetwork,
    path: ById,
    body: Json<NetworkBody>,
    reply: Json<Value>,
    handler: add_agent_network,
}
async fn add_agent_network(cx: Cx, req: Req<AddAgentNetwork>) -> Reply<AddAgentNetwork> {
    host_of(&cx, &req.path.id, Job::Dhcp).await?;
    let id = req.body.network_id.as_str();
    let found = networks::bare(&mut Reader::Db(cx.db()), id).await?;
    found.ok_or_else(|| Refusal::no_network(id))?;
    Err(by_itself("NetworkHostedByDHCPAgent", id).into())
}

endpoint! {
    /// Have an agent no longer answer DHCP for a network: refused, because agents do it by themselves.
    RemoveAgentNetwork: DELETE "/v2.0/agents/{id}/dhcp-networks/{thing}" => 204,
    policy: rules::DeleteDhcpNetwork,
    path: OnAgent,
    reply: Empty,
    handler: remove_agent_network,
}
async fn remove_agent_network(cx: Cx, req: Req<RemoveAgentNetwork>) -> Reply<RemoveAgentNetwork> {
    host_of(&cx, &req.path.id, Job::Dhcp).await?;
    Err(by_itself("NetworkNotHostedByDhcpAgent", &req.path.thing).into())
}

fn by_itself(kind: &'static str, network: &str) -> Refusal {
    Refusal::conflict(
        kind,
        format!(
            "DHCP of network {network} is answered on every host that has a port of it, and nowhere else. Set enable_dhcp of its subnets to turn it on or off."
        ),
    )
}

endpoint! {
    /// List the agents that answer DHCP for a network.
    ListNetworkAgents: GET "/v2.0/networks/{id}/dhcp-agents" => 200,
    policy: rules::GetDhcpAgents,
    path: ById,
    reply: Json<Agents>,
    handler: list_network_agents,
}
async fn list_network_agents(cx: Cx, req: Req<ListNetworkAgents>) -> Reply<ListNetworkAgents> {
    let id = req.path.id.as_str();
    let found = networks::bare(&mut Reader::Db(cx.db()), id).await?;
    found.ok_or_else(|| Refusal::no_network(id))?;
    let names = hosts::of_network(cx.db(), id).await?;
    let agents = agents_on(&cx, &names, Job::Dhcp).await?;
    Ok(Json(Agents { agents }))
}
