//! How ports are shown.

use nephos_auth::Target;
use nephos_types::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::Keys;
use crate::model::port::{AddressPair, DhcpOption, FixedIp, Port};
use crate::model::trunk::TrunkDetails;
use crate::rules;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PortView {
    id: String,
    name: String,
    description: String,
    network_id: String,
    tenant_id: String,
    project_id: String,
    mac_address: String,
    admin_state_up: bool,
    status: &'static str,
    device_id: String,
    device_owner: String,
    fixed_ips: Vec<FixedIp>,
    security_groups: Vec<String>,
    port_security_enabled: bool,
    allowed_address_pairs: Vec<AddressPair>,
    extra_dhcp_opts: Vec<DhcpOption>,
    #[serde(rename = "binding:host_id")]
    host: String,
    #[serde(rename = "binding:vif_type")]
    vif_type: &'static str,
    #[serde(rename = "binding:vif_details")]
    vif_details: Value,
    #[serde(rename = "binding:vnic_type")]
    vnic_type: String,
    #[serde(rename = "binding:profile")]
    profile: Value,
    qos_policy_id: Option<String>,
    qos_network_policy_id: Option<String>,
    tags: Vec<String>,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk_details: Option<TrunkDetails>,
}

/// A port as it is shown, with the trunk that it is the port of.
pub(super) fn view(port: &Port, trunk: Option<TrunkDetails>) -> PortView {
    let details = if port.vif_type() == "tap" {
        json!({"port_filter": true, "connectivity": "l2", "tap_name": port.tap()})
    } else {
        json!({})
    };
    PortView {
        id: port.id.clone(),
        name: port.name.clone(),
        description: port.description.clone(),
        network_id: port.network_id.clone(),
        tenant_id: port.project_id.clone(),
        project_id: port.project_id.clone(),
        mac_address: port.mac.clone(),
        admin_state_up: port.admin_state_up,
        status: port.status.as_str(),
        device_id: port.device_id.clone(),
        device_owner: port.device_owner.clone(),
        fixed_ips: port.fixed_ips.clone(),
        security_groups: port.security_groups.clone(),
        port_security_enabled: port.port_security_enabled,
        allowed_address_pairs: port.address_pairs.clone(),
        extra_dhcp_opts: port.dhcp_options.clone(),
        host: port.host.clone(),
        vif_type: port.vif_type(),
        vif_details: details,
        vnic_type: port.vnic_type.clone(),
        profile: port.profile.clone(),
        qos_policy_id: port.qos_policy_id.clone(),
        qos_network_policy_id: port.qos_network_policy_id.clone(),
        tags: port.tags.clone(),
        revision_number: port.revision,
        created_at: port.created_at,
        updated_at: port.updated_at,
        trunk_details: trunk,
    }
}

/// Where a port is plugged in is not for everybody.
pub(super) fn keys(cx: &Cx, asked: Vec<String>) -> Keys {
    let hidden = if cx.may(rules::GetPortBindingHostId, &Target::new()) {
        Vec::new()
    } else {
        vec![
            "binding:host_id",
            "binding:vif_type",
            "binding:vif_details",
            "binding:profile",
        ]
    };
    Keys { asked, hidden }
}
