//! What the services say of themselves.

use std::collections::{BTreeMap, BTreeSet};

use nephos_db::{Db, FromRow, Row, args};
use nephos_peer::{PeerError, Peers};
use nephos_types::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Sources;
use super::host::HostPicture;

/// Things asked for at a time.
const PAGE: usize = 1000;

/// Everything that is compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    pub(super) servers: BTreeMap<String, Server>,
    /// Consumer and host.
    pub(super) allocations: BTreeSet<(String, String)>,
    pub(super) ports: Vec<Port>,
    pub(super) usage: Vec<Usage>,
    pub(super) operations: Vec<Live>,
    pub(super) now: Timestamp,
    pub(super) host: Option<HostPicture>,
}

/// A server, as an administrator sees it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Server {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) tenant_id: String,
    #[serde(rename = "OS-EXT-SRV-ATTR:host")]
    pub(super) host: Option<String>,
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub(super) task_state: Option<String>,
    pub(super) flavor: Flavor,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Flavor {
    pub(super) vcpus: i64,
    pub(super) ram: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Port {
    pub(super) id: String,
    pub(super) device_id: String,
    pub(super) device_owner: String,
    #[serde(rename = "binding:host_id", default)]
    pub(super) host: String,
}

/// A number that a service keeps, and the same one counted.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    pub(super) project: String,
    pub(super) what: String,
    pub(super) kept: i64,
    pub(super) counted: i64,
}

/// An operation that has not ended.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) service: &'static str,
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) resource: String,
    pub(super) step: String,
    pub(super) deadline: Timestamp,
}

/// The database of a service that has operations.
pub struct Database {
    /// The service.
    pub service: &'static str,
    /// Its database.
    pub db: Db,
}

impl Sources {
    pub(super) async fn look(&self) -> anyhow::Result<Picture> {
        // Operations first: one that ends while the rest is read leaves a thing that is settled.
        let mut operations = Vec::new();
        for database in &self.databases {
            operations.extend(live(database).await?);
        }
        let admin = &self.admin;
        let servers = servers(admin).await?;
        let ports: Vec<Port> = listed(admin, "network", "/v2.0/ports", "ports").await?;
        let projects: Vec<Named> =
            listed_whole(admin, "identity", "/v3/projects", "projects").await?;
        let mut usage = compute_usage(admin, &projects, &servers).await?;
        usage.extend(network_usage(admin, &projects).await?);
        let host = match &self.host {
            Some(host) => Some(host.look().await?),
            None => None,
        };
        Ok(Picture {
            allocations: allocations(admin).await?,
            servers,
            ports,
            usage,
            operations,
            now: self.clock.now(),
            host,
        })
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

async fn json(admin: &Peers, service: &'static str, target: String) -> Result<Value, PeerError> {
    let version = match service {
        "compute" => "compute latest",
        _other => "placement latest",
    };
    admin
        .get(service, target)
        .version(version)
        .as_service()
        .send()
        .await?
        .json()
}

/// The value at a JSON pointer; null when there is none.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn taken(page: &mut Value, key: &str) -> Value {
    page.get_mut(key).map(Value::take).unwrap_or_default()
}

/// A list without pages.
async fn listed_whole<T: serde::de::DeserializeOwned>(
    admin: &Peers,
    service: &'static str,
    target: &str,
    key: &str,
) -> anyhow::Result<Vec<T>> {
    let mut page = json(admin, service, target.to_owned()).await?;
    Ok(serde_json::from_value(taken(&mut page, key))?)
}

/// A list page by page.
async fn listed<T: serde::de::DeserializeOwned>(
    admin: &Peers,
    service: &'static str,
    path: &str,
    key: &str,
) -> anyhow::Result<Vec<T>> {
    let (mut all, mut marker) = (Vec::new(), String::new());
    let sign = if path.contains('?') { '&' } else { '?' };
    loop {
        let mut page = json(admin, service, format!("{path}{sign}limit={PAGE}{marker}")).await?;
        let Value::Array(items) = taken(&mut page, key) else {
            break;
        };
        let Some(last) = items.last().and_then(|item| item.get("id")?.as_str()) else {
            break;
        };
        marker = format!("&marker={last}");
        let full = items.len() >= PAGE;
        for item in items {
            all.push(serde_json::from_value(item)?);
        }
        if !full {
            break;
        }
    }
    Ok(all)
}

async fn servers(admin: &Peers) -> anyhow::Result<BTreeMap<String, Server>> {
    let all: Vec<Server> = listed(
        admin,
        "compute",
        "/v2.1/servers/detail?all_tenants=1",
        "servers",
    )
    .await?;
    Ok(all
        .into_iter()
        .map(|server| (server.id.clone(), server))
        .collect())
}

async fn allocations(admin: &Peers) -> anyhow::Result<BTreeSet<(String, String)>> {
    #[derive(Deserialize)]
    struct Provider {
        uuid: String,
        name: String,
    }
    let providers: Vec<Provider> = listed_whole(
        admin,
        "placement",
        "/resource_providers",
        "resource_providers",
    )
    .await?;
    let mut found = BTreeSet::new();
    for provider in providers {
        let target = format!("/resource_providers/{}/allocations", provider.uuid);
        let answer = json(admin, "placement", target).await?;
        let consumers = at(&answer, "/allocations")
            .as_object()
            .into_iter()
            .flat_map(|all| all.keys().cloned());
        found.extend(consumers.map(|consumer| (consumer, provider.name.clone())));
    }
    Ok(found)
}

async fn compute_usage(
    admin: &Peers,
    projects: &[Named],
    servers: &BTreeMap<String, Server>,
) -> anyhow::Result<Vec<Usage>> {
    let mut all = Vec::new();
    for Named { id } in projects {
        let limits = json(admin, "compute", format!("/v2.1/limits?tenant_id={id}")).await?;
        let kept = |name: &str| {
            at(&limits, &format!("/limits/absolute/{name}"))
                .as_i64()
                .unwrap_or_default()
        };
        let theirs = || servers.values().filter(|server| server.tenant_id == *id);
        let count = i64::try_from(theirs().count())?;
        for (what, kept, counted) in [
            ("instances", kept("totalInstancesUsed"), count),
            (
                "cores",
                kept("totalCoresUsed"),
                theirs().map(|server| server.flavor.vcpus).sum(),
            ),
            (
                "ram",
                kept("totalRAMUsed"),
                theirs().map(|server| server.flavor.ram).sum(),
            ),
        ] {
            all.push(Usage {
                project: id.clone(),
                what: what.to_owned(),
                kept,
                counted,
            });
        }
    }
    Ok(all)
}

/// Neutron's names of what it counts, and the path and key of its lists.
const COUNTED: [(&str, &str, &str); 7] = [
    ("network", "networks", "networks"),
    ("subnet", "subnets", "subnets"),
    ("port", "ports", "ports"),
    ("router", "routers", "routers"),
    ("floatingip", "floatingips", "floatingips"),
    ("security_group", "security-groups", "security_groups"),
    (
        "security_group_rule",
        "security-group-rules",
        "security_group_rules",
    ),
];

async fn network_usage(admin: &Peers, projects: &[Named]) -> anyhow::Result<Vec<Usage>> {
    let mut counted: BTreeMap<(&str, String), i64> = BTreeMap::new();
    for (what, path, key) in COUNTED {
        let things: Vec<Value> = listed(admin, "network", &format!("/v2.0/{path}"), key).await?;
        for thing in things {
            let project = at(&thing, "/project_id")
                .as_str()
                .unwrap_or_default()
                .to_owned();
            *counted.entry((what, project)).or_default() += 1;
        }
    }
    let mut all = Vec::new();
    for Named { id } in projects {
        let details = json(admin, "network", format!("/v2.0/quotas/{id}/details")).await?;
        for (what, ..) in COUNTED {
            let Some(kept) = at(&details, &format!("/quota/{what}/used")).as_i64() else {
                continue;
            };
            let counted = counted
                .get(&(what, id.clone()))
                .copied()
                .unwrap_or_default();
            all.push(Usage {
                project: id.clone(),
                what: what.to_owned(),
                kept,
                counted,
            });
        }
    }
    Ok(all)
}

async fn live(database: &Database) -> Result<Vec<Live>, nephos_db::Error> {
    let rows = database
        .db
        .fetch_all::<LiveRow>(
            "SELECT id, kind, resource_id, step, deadline FROM operations WHERE finished_at IS NULL ORDER BY id",
            args![],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| row.of(database.service))
        .collect())
}

struct LiveRow {
    id: String,
    kind: String,
    resource: String,
    step: String,
    deadline: Timestamp,
}

impl FromRow for LiveRow {
    fn from_row(row: &Row) -> Result<Self, nephos_db::Error> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            resource: row.get("resource_id")?,
            step: row.get("step")?,
            deadline: row.get("deadline")?,
        })
    }
}

impl LiveRow {
    fn of(self, service: &'static str) -> Live {
        let Self {
            id,
            kind,
            resource,
            step,
            deadline,
        } = self;
        Live {
            service,
            id,
            kind,
            resource,
            step,
            deadline,
        }
    }
}
