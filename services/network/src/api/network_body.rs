//! Bodies and views of networks.

use nephos_auth::Target;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{Keys, Kind};
use crate::api::input::{Flag, Int, Name};
use crate::api::resource;
use crate::model::network::Network;
use crate::rules;

pub(crate) struct NetworkKind;

impl Kind for NetworkKind {
    const ONE: &'static str = "network";
    const MANY: &'static str = "networks";
    type View = NetworkView;
    type New = NewNetwork;
    type Change = NetworkChange;
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNetwork {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub admin_state_up: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub shared: Option<Flag>,
    #[serde(
        default,
        deserialize_with = "crate::api::input::not_null",
        rename = "router:external"
    )]
    pub external: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub is_default: Option<Flag>,
    pub mtu: Option<Int>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub port_security_enabled: Option<Flag>,
    pub availability_zone_hints: Option<Vec<String>>,
    #[serde(rename = "provider:network_type")]
    pub network_type: Option<String>,
    #[serde(rename = "provider:physical_network")]
    pub physical_network: Option<String>,
    #[serde(rename = "provider:segmentation_id")]
    pub segmentation_id: Option<Int>,
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_none")]
    pub qos_policy_id: Option<String>,
    pub tags: Option<Vec<String>>,
    pub project_id: Option<String>,
    pub tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub admin_state_up: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub shared: Option<Flag>,
    #[serde(
        default,
        deserialize_with = "crate::api::input::not_null",
        rename = "router:external"
    )]
    pub external: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub is_default: Option<Flag>,
    pub mtu: Option<Int>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub port_security_enabled: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_null")]
    pub qos_policy_id: Option<Option<String>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NetworkView {
    id: String,
    name: String,
    description: String,
    tenant_id: String,
    project_id: String,
    status: &'static str,
    admin_state_up: bool,
    shared: bool,
    #[serde(rename = "router:external")]
    external: bool,
    is_default: bool,
    mtu: u32,
    port_security_enabled: bool,
    subnets: Vec<String>,
    ipv4_address_scope: Option<String>,
    ipv6_address_scope: Option<String>,
    availability_zone_hints: Vec<String>,
    availability_zones: Vec<String>,
    #[serde(rename = "provider:network_type")]
    network_type: &'static str,
    #[serde(rename = "provider:physical_network")]
    physical_network: Option<String>,
    #[serde(rename = "provider:segmentation_id")]
    segmentation_id: Option<u32>,
    qos_policy_id: Option<String>,
    tags: Vec<String>,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

pub(super) fn view(cx: &Cx, network: &Network) -> NetworkView {
    NetworkView {
        id: network.id.clone(),
        name: network.name.clone(),
        description: network.description.clone(),
        tenant_id: network.project_id.clone(),
        project_id: network.project_id.clone(),
        status: "ACTIVE",
        admin_state_up: network.admin_state_up,
        shared: network.grants.shared_with(resource::own(&cx.caller)),
        external: network.external,
        is_default: network.is_default,
        mtu: network.mtu,
        port_security_enabled: network.port_security_enabled,
        subnets: network.subnets.clone(),
        ipv4_address_scope: network.ipv4_scope.clone(),
        ipv6_address_scope: network.ipv6_scope.clone(),
        availability_zone_hints: network.zone_hints.clone(),
        availability_zones: vec![cx.config.availability_zone.clone()],
        network_type: network.network_type.as_str(),
        physical_network: (!network.physical_network.is_empty())
            .then(|| network.physical_network.clone()),
        segmentation_id: (network.vni > 0).then_some(network.vni),
        qos_policy_id: network.qos_policy_id.clone(),
        tags: network.tags.clone(),
        revision_number: network.revision,
        created_at: network.created_at,
        updated_at: network.updated_at,
    }
}

/// What only some see, by the network's project.
pub(super) fn keys(cx: &Cx, network: &Network, asked: Vec<String>) -> Keys {
    let target = Target::of_project(&network.project_id);
    let mut hidden = Vec::new();
    if !cx.may(rules::GetNetworkProviderNetworkType, &target) {
        hidden.extend([
            "provider:network_type",
            "provider:physical_network",
            "provider:segmentation_id",
        ]);
    }
    // Neutron shows this attribute of external networks only.
    if !network.external {
        hidden.push("is_default");
    }
    Keys { asked, hidden }
}
