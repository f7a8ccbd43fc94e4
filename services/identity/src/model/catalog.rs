//! Regions, services and endpoints, and the catalog made of them.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::model::extra::Extra;

/// A region.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Region {
    pub id: String,
    pub description: String,
    pub parent_region_id: Option<String>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// A service; its name and description are extra keys, as in Keystone.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Service {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub enabled: bool,
    #[serde(flatten)]
    pub extra: Extra,
}

/// An endpoint of a service in a region.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Endpoint {
    pub id: String,
    pub service_id: String,
    pub interface: String,
    pub region: Option<String>,
    pub region_id: Option<String>,
    pub url: String,
    pub enabled: bool,
    #[serde(flatten)]
    pub extra: Extra,
}

/// A policy document that Keystone keeps for others.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PolicyDocument {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub blob: Value,
    #[serde(flatten)]
    pub extra: Extra,
}

/// The names in an endpoint's URL that stand for the caller's project and user.
const PROJECT_HOLES: [&str; 4] = [
    "$(project_id)s",
    "$(tenant_id)s",
    "%(project_id)s",
    "%(tenant_id)s",
];
const USER_HOLES: [&str; 2] = ["$(user_id)s", "%(user_id)s"];

/// What the catalog is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    pub services: Vec<Service>,
    pub endpoints: Vec<Endpoint>,
}

impl Catalog {
    /// Whether it is the same for everybody.
    pub(crate) fn is_constant(&self) -> bool {
        let mut holes = PROJECT_HOLES.iter().chain(&USER_HOLES);
        !holes.any(|hole| {
            self.endpoints
                .iter()
                .any(|endpoint| endpoint.url.contains(hole))
        })
    }

    /// The catalog of a caller: enabled endpoints of enabled services. An endpoint that needs a project is left out
    /// for a caller without one.
    pub(crate) fn view(&self, project_id: Option<&str>, user_id: &str) -> Value {
        let services = self.services.iter().filter(|service| service.enabled);
        let entries = services.map(|service| {
            let endpoints: Vec<Value> = self
                .endpoints
                .iter()
                .filter(|endpoint| endpoint.enabled && endpoint.service_id == service.id)
                .filter_map(|endpoint| entry(endpoint, project_id, user_id))
                .collect();
            let name = service
                .extra
                .0
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            json!({
                "endpoints": endpoints, "id": service.id, "type": service.kind, "name": name,
            })
        });
        entries.collect()
    }
}

fn entry(endpoint: &Endpoint, project_id: Option<&str>, user_id: &str) -> Option<Value> {
    let mut url = endpoint.url.clone();
    for hole in PROJECT_HOLES {
        if url.contains(hole) {
            url = url.replace(hole, project_id?);
        }
    }
    for hole in USER_HOLES {
        url = url.replace(hole, user_id);
    }
    Some(json!({
        "id": endpoint.id, "interface": endpoint.interface, "region_id": endpoint.region_id,
        "url": url, "region": endpoint.region_id,
    }))
}
