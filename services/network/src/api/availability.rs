//! Availability zones, addresses left, service providers: what is computed from the rest.

use std::collections::BTreeMap;

use nephos_api::{Fault, Json, Params, Reply, Req, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::model::address;
use crate::model::network::Network;
use crate::model::refusal::Refusal;
use crate::model::subnet::Subnet;
use crate::rules;
use crate::store::{Reader, networks, subnets};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Zones {
    availability_zones: Vec<Zone>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Zone {
    name: String,
    resource: &'static str,
    state: &'static str,
}

endpoint! {
    /// List availability zones.
    ListAvailabilityZones: GET "/v2.0/availability_zones" => 200,
    policy: rules::GetAvailabilityZone,
    query: Params,
    reply: Json<Zones>,
    handler: list_zones,
}
async fn list_zones(cx: Cx, req: Req<ListAvailabilityZones>) -> Reply<ListAvailabilityZones> {
    let zone = |resource| Zone {
        name: cx.config.availability_zone.clone(),
        resource,
        state: "available",
    };
    let wants = |key: &str, value: &str| req.query.get(key).is_none_or(|wanted| wanted == value);
    let zones = ["network", "router"].into_iter().map(zone).filter(|zone| {
        wants("name", &zone.name) && wants("resource", zone.resource) && wants("state", zone.state)
    });
    Ok(Json(Zones {
        availability_zones: zones.collect(),
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Providers {
    service_providers: Vec<Provider>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Provider {
    service_type: &'static str,
    name: &'static str,
    default: bool,
}

endpoint! {
    /// List service providers.
    ListServiceProviders: GET "/v2.0/service-providers" => 200,
    policy: rules::GetServiceProvider,
    reply: Json<Providers>,
    handler: list_providers,
}
async fn list_providers(_cx: Cx, _req: Req<ListServiceProviders>) -> Reply<ListServiceProviders> {
    Ok(Json(Providers {
        service_providers: vec![Provider {
            service_type: "L3_ROUTER_NAT",
            name: "single_node",
            default: true,
        }],
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Availabilities {
    network_ip_availabilities: Vec<Availability>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OneAvailability {
    network_ip_availability: Availability,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Availability {
    network_id: String,
    network_name: String,
    tenant_id: String,
    project_id: String,
    subnet_ip_availability: Vec<SubnetAvailability>,
    #[schema(value_type = u64)]
    total_ips: u128,
    used_ips: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubnetAvailability {
    subnet_id: String,
    subnet_name: String,
    cidr: String,
    ip_version: u8,
    #[schema(value_type = u64)]
    total_ips: u128,
    used_ips: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OfNetwork {
    network_id: String,
}

endpoint! {
    /// List how many addresses networks have left.
    ListIpAvailabilities: GET "/v2.0/network-ip-availabilities" => 200,
    policy: rules::GetNetworkIpAvailability,
    query: Params,
    reply: Json<Availabilities>,
    handler: list_availabilities,
}
async fn list_availabilities(
    cx: Cx,
    req: Req<ListIpAvailabilities>,
) -> Reply<ListIpAvailabilities> {
    let query = &req.query;
    let narrowed = networks::query()
        .eq_opt("id", query.get("network_id"))
        .eq_opt("name", query.get("network_name"))
        .eq_opt(
            "project_id",
            query.get("project_id").or(query.get("tenant_id")),
        );
    let found = networks::find(&mut Reader::Db(cx.db()), &narrowed).await?;
    let version = match query.get("ip_version") {
        None => None,
        Some("4") => Some(4),
        Some("6") => Some(6),
        Some(other) => {
            return Err(
                Refusal::request(format!("ip_version must be 4 or 6, not '{other}'")).into(),
            );
        }
    };
    let network_ip_availabilities = availabilities(&cx, found, version).await?;
    Ok(Json(Availabilities {
        network_ip_availabilities,
    }))
}

endpoint! {
    /// Show how many addresses a network has left.
    ShowIpAvailability: GET "/v2.0/network-ip-availabilities/{network_id}" => 200,
    policy: rules::GetNetworkIpAvailability,
    path: OfNetwork,
    reply: Json<OneAvailability>,
    handler: show_availability,
}
async fn show_availability(cx: Cx, req: Req<ShowIpAvailability>) -> Reply<ShowIpAvailability> {
    let id = req.path.network_id.as_str();
    let found = networks::get(&mut Reader::Db(cx.db()), id).await?;
    let network = found.ok_or_else(|| Refusal::no_network(id))?;
    let mut one = availabilities(&cx, vec![network], None).await?;
    let network_ip_availability = one.pop().ok_or_else(|| Refusal::no_network(id))?;
    Ok(Json(OneAvailability {
        network_ip_availability,
    }))
}

async fn availabilities(
    cx: &Cx,
    networks: Vec<Network>,
    version: Option<u8>,
) -> Result<Vec<Availability>, Fault> {
    let used = networks::used_ips(cx.db()).await?;
    let ids: Vec<&str> = networks.iter().map(|network| network.id.as_str()).collect();
    let query = subnets::query().in_("s.network_id", ids);
    let found: Vec<Subnet> = subnets::find(&mut Reader::Db(cx.db()), &query).await?;
    let mut by_network: BTreeMap<String, Vec<SubnetAvailability>> = BTreeMap::new();
    for subnet in found {
        if version.is_some_and(|version| version != subnet.ip_version()) {
            continue;
        }
        let one = SubnetAvailability {
            ip_version: subnet.ip_version(),
            cidr: subnet.cidr.to_string(),
            total_ips: address::total(&subnet.pools),
            used_ips: used.get(&subnet.id).copied().unwrap_or(0),
            subnet_id: subnet.id,
            subnet_name: subnet.name,
        };
        by_network.entry(subnet.network_id).or_default().push(one);
    }
    let availability = |network: Network| {
        let subnets = by_network.remove(&network.id).unwrap_or_default();
        Availability {
            network_id: network.id,
            network_name: network.name,
            tenant_id: network.project_id.clone(),
            project_id: network.project_id,
            total_ips: subnets
                .iter()
                .map(|subnet| subnet.total_ips)
                .fold(0, u128::saturating_add),
            used_ips: subnets.iter().map(|subnet| subnet.used_ips).sum(),
            subnet_ip_availability: subnets,
        }
    };
    Ok(networks.into_iter().map(availability).collect())
}
