//! Bodies of ports.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::envelope::Kind;
use crate::api::input::{Flag, Int, Name};
use crate::api::port_view::PortView;

pub(crate) struct PortKind;

impl Kind for PortKind {
    const ONE: &'static str = "port";
    const MANY: &'static str = "ports";
    type View = PortView;
    type New = NewPort;
    type Change = PortChange;
}

/// A wish for an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedIpBody {
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_none")]
    pub subnet_id: Option<String>,
    pub ip_address: Option<String>,
}

/// One more address that a port may send from.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairBody {
    pub mac_address: Option<String>,
    pub ip_address: String,
}

/// One more DHCP option; with `null` as its value it is taken away.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionBody {
    pub opt_name: String,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    pub opt_value: Option<Option<String>>,
    pub ip_version: Option<Int>,
}

/// A list, of which `null` is the empty one.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<Vec<T>>::deserialize(deserializer).map(|list| Some(list.unwrap_or_default()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPort {
    #[serde(deserialize_with = "crate::api::input::uuid")]
    pub network_id: String,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub admin_state_up: Option<Flag>,
    pub mac_address: Option<String>,
    pub fixed_ips: Option<Vec<FixedIpBody>>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub device_id: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub device_owner: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::uuids")]
    pub security_groups: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub port_security_enabled: Option<Flag>,
    pub allowed_address_pairs: Option<Vec<PairBody>>,
    pub extra_dhcp_opts: Option<Vec<OptionBody>>,
    #[serde(
        default,
        deserialize_with = "crate::api::input::not_null",
        rename = "binding:host_id"
    )]
    pub host: Option<Name>,
    #[serde(rename = "binding:vnic_type")]
    pub vnic_type: Option<String>,
    #[serde(rename = "binding:profile")]
    pub profile: Option<Value>,
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_none")]
    pub qos_policy_id: Option<String>,
    pub tags: Option<Vec<String>>,
    pub project_id: Option<String>,
    pub tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub admin_state_up: Option<Flag>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    pub mac_address: Option<Option<String>>,
    #[serde(default, deserialize_with = "list")]
    pub fixed_ips: Option<Vec<FixedIpBody>>,
    #[serde(default, deserialize_with = "text")]
    pub device_id: Option<Name>,
    #[serde(default, deserialize_with = "text")]
    pub device_owner: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::uuids")]
    pub security_groups: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub port_security_enabled: Option<Flag>,
    #[serde(default, deserialize_with = "list")]
    pub allowed_address_pairs: Option<Vec<PairBody>>,
    #[serde(default, deserialize_with = "list")]
    pub extra_dhcp_opts: Option<Vec<OptionBody>>,
    #[serde(default, deserialize_with = "text", rename = "binding:host_id")]
    pub host: Option<Name>,
    #[serde(rename = "binding:vnic_type")]
    pub vnic_type: Option<String>,
    #[serde(
        default,
        deserialize_with = "nephos_api::given::deserialize",
        rename = "binding:profile"
    )]
    pub profile: Option<Option<Value>>,
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_null")]
    pub qos_policy_id: Option<Option<String>>,
}

/// A text, of which `null` is the empty one.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Name>, D::Error> {
    Option::<Name>::deserialize(deserializer).map(|name| Some(name.unwrap_or_default()))
}
