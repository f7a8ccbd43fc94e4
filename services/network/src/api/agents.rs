//! Agents: what runs on hosts, by what hosts report.

use nephos_api::{Empty, Fault, Json, Params, Reply, Req, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Cx;
use crate::api::ById;
use crate::api::envelope::{self, Keys, Kind, Many, One};
use crate::api::input::{Flag, Name};
use crate::api::listing::asked_fields;
use crate::model::refusal::Refusal;
use crate::rules;
use crate::store::hosts::{self, Host};
use crate::store::{Reader, publish_router, routers};

/// Agents have ids derived from their host.
const NAMESPACE: Uuid = Uuid::from_u128(0x6e65_7068_6f73_4167_a56e_7473_2121_2121);

pub(crate) struct AgentKind;

/// What an agent is asked as. One process on each host does all of it; tools know it as several agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Plugs ports in.
    Network,
    /// Answers DHCP.
    Dhcp,
    /// Houses routers.
    Router,
}

impl Job {
    const ALL: [Self; 3] = [Self::Network, Self::Dhcp, Self::Router];

    const fn kind(self) -> &'static str {
        match self {
            Self::Network => "Nephos network agent",
            Self::Dhcp => "DHCP agent",
            Self::Router => "L3 agent",
        }
    }
}

impl Kind for AgentKind {
    const ONE: &'static str = "agent";
    const MANY: &'static str = "agents";
    type View = AgentView;
    type New = AgentChange;
    type Change = AgentChange;
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    admin_state_up: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentView {
    id: String,
    agent_type: &'static str,
    binary: &'static str,
    topic: &'static str,
    host: String,
    admin_state_up: bool,
    alive: bool,
    availability_zone: String,
    description: Option<String>,
    configurations: Value,
    created_at: String,
    started_at: String,
    heartbeat_timestamp: String,
    resources_synced: Option<bool>,
}

pub(super) fn agent_of(cx: &Cx, host: &Host, job: Job) -> AgentView {
    let time = |at: Timestamp| at.format("%Y-%m-%d %H:%M:%S");
    let report = &host.report;
    AgentView {
        id: id_of(host, job),
        agent_type: job.kind(),
        binary: "nephos",
        topic: "N/A",
        host: report.host.clone(),
        admin_state_up: host.admin_state_up,
        alive: host.is_alive(cx.now()),
        availability_zone: cx.config.availability_zone.clone(),
        description: (!host.description.is_empty()).then(|| host.description.clone()),
        configurations: json!({
            "tunneling_ip": report.vtep,
            "physical_networks": report.physical_networks,
            "gateway": report.gateway,
            "problems": report.problems,
        }),
        created_at: time(host.started_at),
        started_at: time(host.started_at),
        heartbeat_timestamp: time(host.seen_at),
        resources_synced: None,
    }
}

fn id_of(host: &Host, job: Job) -> String {
    let name = format!("{}/{}", host.report.host, job.kind());
    nephos_runtime::ids::derived(&NAMESPACE, &name).to_string()
}

/// The host behind an agent's id, and as what it is asked.
pub(super) async fn load(reader: &mut Reader<'_>, id: &str) -> Result<(Host, Job), Fault> {
    for host in hosts::all(reader).await? {
        let job = Job::ALL.into_iter().find(|job| id_of(&host, *job) == id);
        if let Some(job) = job {
            return Ok((host, job));
        }
    }
    Err(Refusal::missing("AgentNotFound", format!("Agent {id} could not be found.")).into())
}

endpoint! {
    /// List agents.
    ListAgents: GET "/v2.0/agents" => 200,
    policy: rules::GetAgent,
    query: Params,
    reply: Json<Many<AgentKind>>,
    handler: list_agents,
}
async fn list_agents(cx: Cx, req: Req<ListAgents>) -> Reply<ListAgents> {
    let keys = Keys::asked(asked_fields(&req.query));
    // There are as many as hosts, so they are filtered here.
    let filters = [
        "host",
        "agent_type",
        "binary",
        "id",
        "alive",
        "admin_state_up",
        "availability_zone",
    ];
    let mut items = Vec::new();
    for host in hosts::all(&mut Reader::Db(cx.db())).await? {
        for job in Job::ALL {
            let view = agent_of(&cx, &host, job);
            let whole = envelope::show(&view, &Keys::default())?;
            if filters.iter().all(|name| fits(&req.query, &whole, name)) {
                items.push(envelope::show(&view, &keys)?);
            }
        }
    }
    Ok(Json(Many {
        items,
        links: Vec::new(),
        kind: std::marker::PhantomData,
    }))
}

/// Whether an agent has what a filter asks for.
fn fits(query: &Params, agent: &envelope::Shown, name: &str) -> bool {
    let has = agent.get(name).map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    query
        .get(name)
        .is_none_or(|wanted| has.is_some_and(|has| has.eq_ignore_ascii_case(wanted)))
}

endpoint! {
    /// Show an agent.
    ShowAgent: GET "/v2.0/agents/{id}" => 200,
    policy: rules::GetAgent,
    path: ById,
    query: Params,
    reply: Json<One<AgentKind>>,
    handler: show_agent,
}
async fn show_agent(cx: Cx, req: Req<ShowAgent>) -> Reply<ShowAgent> {
    let (host, job) = load(&mut Reader::Db(cx.db()), &req.path.id).await?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&agent_of(&cx, &host, job), &keys)?))
}

endpoint! {
    /// Take an agent's host out of service for routers, or describe it.
    UpdateAgent: PUT "/v2.0/agents/{id}" => 200,
    policy: rules::UpdateAgent,
    path: ById,
    body: envelope::Change<AgentKind>,
    reply: Json<One<AgentKind>>,
    handler: update_agent,
}
async fn update_agent(cx: Cx, req: Req<UpdateAgent>) -> Reply<UpdateAgent> {
    let mut tx = cx.write().await?;
    let (mut host, job) = load(&mut Reader::Tx(&mut tx), &req.path.id).await?;
    let change = &req.body.0;
    if let Some(Flag(up)) = change.admin_state_up {
        host.admin_state_up = up;
    }
    if let Some(description) = &change.description {
        host.description.clone_from(&description.0);
    }
    hosts::update(&mut tx, &host).await?;
    tx.commit().await?;
    Ok(Json(One::of(&agent_of(&cx, &host, job), &Keys::default())?))
}

endpoint! {
    /// Forget a host that is gone; its routers move to others.
    DeleteAgent: DELETE "/v2.0/agents/{id}" => 204,
    policy: rules::DeleteAgent,
    path: ById,
    reply: Empty,
    handler: delete_agent,
}
async fn delete_agent(cx: Cx, req: Req<DeleteAgent>) -> Reply<DeleteAgent> {
    let mut tx = cx.write().await?;
    let (host, _job) = load(&mut Reader::Tx(&mut tx), &req.path.id).await?;
    let host = host.report.host;
    let query = routers::query().eq("host", host.as_str());
    for router in routers::find(&mut Reader::Tx(&mut tx), &query).await? {
        publish_router::leave(&mut tx, cx.now(), &router.id, &host).await?;
    }
    hosts::remove(&mut tx, &host).await?;
    tx.commit().await?;
    Ok(Empty)
}
