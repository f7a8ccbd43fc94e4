//! What the services say of themselves.

use std::collections::BTreeMap;

use nephos_api::Service as _;
use nephos_bus::Bus;
use nephos_db::{Db, FromRow, Row, args};
use nephos_network::Network;
use nephos_ops::feed::Feed;
use nephos_peer::Peers;
use nephos_types::Timestamp;
use nephos_types::feed::{FeedPage, Known};
use serde::Deserialize;
use serde_json::Value;

use super::Sources;
use super::host::HostPicture;
use crate::services::has_operations;

/// Things asked for at a time.
const PAGE: usize = 1000;

/// Everything that is compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    pub(super) servers: BTreeMap<String, Server>,
    pub(super) ports: Vec<Port>,
    pub(super) operations: Vec<Live>,
    pub(super) now: Timestamp,
    pub(super) host: Option<HostPicture>,
}

/// A server, as an administrator sees it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Server {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(rename = "OS-EXT-SRV-ATTR:host")]
    pub(super) host: Option<String>,
    /// Empty where it boots from a volume.
    #[serde(default)]
    pub(super) image: serde_json::Value,
}

/// A port.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Port {
    pub(super) id: String,
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

impl Sources {
    pub(super) async fn picture(&self) -> anyhow::Result<Picture> {
        // Operations first: one that ends while the rest is read leaves a thing that is settled.
        let mut operations = Vec::new();
        for service in &self.services {
            if has_operations(&**service) {
                operations.extend(live(service.name(), service.db()).await?);
            }
        }
        let mut picture = Picture {
            operations,
            now: self.clock.now(),
            ..Picture::default()
        };
        if let Some(host) = &self.host {
            let servers = "/v2.1/servers/detail?all_tenants=1";
            let servers: Vec<Server> = listed(&self.peers, "compute", servers, "servers").await?;
            picture.servers = servers
                .into_iter()
                .map(|server| (server.id.clone(), server))
                .collect();
            picture.ports =
                listed(&self.peers, "network", "/v2.0/ports?fields=id", "ports").await?;
            picture.host = Some(host.look(self.wanted_on(&host.name).await?).await?);
        }
        Ok(picture)
    }
}

impl Sources {
    /// Everything that the network service wants on a host; nothing when it is another process's service.
    async fn wanted_on(&self, host: &str) -> Result<FeedPage, nephos_db::Error> {
        let Some(network) = self.services.iter().find(|one| one.name() == Network::NAME) else {
            return Ok(FeedPage::default());
        };
        let feed = Feed::new(network.db().clone(), Bus::local(), self.clock.clone(), "");
        feed.since(host, Known::default(), 0).await
    }
}

/// A list page by page.
async fn listed<T: serde::de::DeserializeOwned>(
    peers: &Peers,
    service: &'static str,
    path: &str,
    key: &str,
) -> anyhow::Result<Vec<T>> {
    let (mut all, mut marker) = (Vec::new(), String::new());
    loop {
        let call = peers.get(service, format!("{path}&limit={PAGE}{marker}"));
        let mut page: Value = call.as_service().send().await?.json()?;
        let Some(Value::Array(items)) = page.get_mut(key).map(Value::take) else {
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

async fn live(service: &'static str, db: &Db) -> Result<Vec<Live>, nephos_db::Error> {
    let rows = db
        .fetch_all::<LiveRow>(
            "SELECT id, kind, resource_id, step, deadline FROM operations WHERE finished_at IS NULL ORDER BY id",
            args![],
        )
        .await?;
    Ok(rows.into_iter().map(|row| row.of(service)).collect())
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
