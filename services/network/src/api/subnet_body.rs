//! Bodies and views of subnets.

use std::net::IpAddr;

use ipnet::IpNet;
use nephos_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::Kind;
use crate::api::input::{Flag, Int, Name};
use crate::api::resource;
use crate::model::address::Pool;
use crate::model::spec::Route;
use crate::model::subnet::{IPV6_MODES, Subnet};

pub(crate) struct SubnetKind;

impl Kind for SubnetKind {
    const ONE: &'static str = "subnet";
    const MANY: &'static str = "subnets";
    type View = SubnetView;
    type New = NewSubnet;
    type Change = SubnetChange;
}

/// A route as bodies write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteBody {
    #[serde(deserialize_with = "range")]
    #[schema(value_type = String)]
    pub destination: IpNet,
    #[schema(value_type = String)]
    pub nexthop: IpAddr,
}

fn range<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
    let text = String::deserialize(deserializer)?;
    crate::model::port::parse_range(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not a valid CIDR")))
}

impl From<&RouteBody> for Route {
    fn from(body: &RouteBody) -> Self {
        Self {
            destination: body.destination,
            nexthop: body.nexthop,
        }
    }
}

impl From<&Route> for RouteBody {
    fn from(route: &Route) -> Self {
        Self {
            destination: route.destination,
            nexthop: route.nexthop,
        }
    }
}

/// One of the IPv6 modes.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String)]
pub(crate) struct Mode(pub String);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if IPV6_MODES.contains(&text.as_str()) {
            return Ok(Self(text));
        }
        Err(serde::de::Error::custom(format!(
            "'{text}' is not in {IPV6_MODES:?}"
        )))
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSubnet {
    #[serde(deserialize_with = "crate::api::input::uuid")]
    pub network_id: String,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    pub ip_version: Option<Int>,
    pub cidr: Option<String>,
    pub prefixlen: Option<Int>,
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_none")]
    pub subnetpool_id: Option<String>,
    #[serde(default)]
    pub use_default_subnetpool: Option<Flag>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    pub gateway_ip: Option<Option<String>>,
    pub allocation_pools: Option<Vec<Pool>>,
    pub dns_nameservers: Option<Vec<String>>,
    pub host_routes: Option<Vec<RouteBody>>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub enable_dhcp: Option<Flag>,
    pub ipv6_ra_mode: Option<Mode>,
    pub ipv6_address_mode: Option<Mode>,
    pub service_types: Option<Vec<String>>,
    /// Networks have one segment here.
    pub segment_id: Option<String>,
    pub tags: Option<Vec<String>>,
    pub project_id: Option<String>,
    pub tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubnetChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    pub gateway_ip: Option<Option<String>>,
    pub allocation_pools: Option<Vec<Pool>>,
    pub dns_nameservers: Option<Vec<String>>,
    pub host_routes: Option<Vec<RouteBody>>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub enable_dhcp: Option<Flag>,
    pub service_types: Option<Vec<String>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubnetView {
    id: String,
    name: String,
    description: String,
    tenant_id: String,
    project_id: String,
    network_id: String,
    ip_version: u8,
    #[schema(value_type = String)]
    cidr: IpNet,
    #[schema(value_type = Option<String>)]
    gateway_ip: Option<IpAddr>,
    allocation_pools: Vec<Pool>,
    #[schema(value_type = Vec<String>)]
    dns_nameservers: Vec<IpAddr>,
    host_routes: Vec<RouteBody>,
    enable_dhcp: bool,
    ipv6_ra_mode: Option<String>,
    ipv6_address_mode: Option<String>,
    subnetpool_id: Option<String>,
    service_types: Vec<String>,
    shared: bool,
    #[serde(rename = "router:external")]
    external: bool,
    tags: Vec<String>,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

pub(super) fn view(cx: &Cx, subnet: &Subnet) -> SubnetView {
    let some = |mode: &str| (!mode.is_empty()).then(|| mode.to_owned());
    SubnetView {
        id: subnet.id.clone(),
        name: subnet.name.clone(),
        description: subnet.description.clone(),
        tenant_id: subnet.project_id.clone(),
        project_id: subnet.project_id.clone(),
        network_id: subnet.network_id.clone(),
        ip_version: subnet.ip_version(),
        cidr: subnet.cidr,
        gateway_ip: subnet.gateway,
        allocation_pools: subnet.pools.clone(),
        dns_nameservers: subnet.dns.clone(),
        host_routes: subnet.routes.iter().map(RouteBody::from).collect(),
        enable_dhcp: subnet.enable_dhcp,
        ipv6_ra_mode: some(&subnet.ipv6_ra_mode),
        ipv6_address_mode: some(&subnet.ipv6_address_mode),
        subnetpool_id: subnet.subnet_pool_id.clone(),
        service_types: subnet.service_types.clone(),
        shared: subnet.grants.shared_with(resource::own(&cx.caller)),
        external: subnet.external,
        tags: subnet.tags.clone(),
        revision_number: subnet.revision,
        created_at: subnet.created_at,
        updated_at: subnet.updated_at,
    }
}
