//! Extensions: exactly those that are complete. Tools look for them by alias before they use a feature.

use nephos_api::{Authenticated, Json, Reply, Req, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::model::refusal::Refusal;

/// Alias, name, what it adds.
pub const EXTENSIONS: [(&str, &str, &str); 63] = [
    (
        "address-scope",
        "Address scope",
        "Scopes in which subnet pools do not overlap.",
    ),
    ("agent", "agent", "What runs on hosts."),
    (
        "allowed-address-pairs",
        "Allowed Address Pairs",
        "More addresses that a port may send from.",
    ),
    ("availability_zone", "Availability Zone", "Zones of hosts."),
    (
        "availability_zone_filter",
        "Availability Zone Filter Extension",
        "Filters for zones.",
    ),
    ("binding", "Port Binding", "Where a port is plugged in."),
    (
        "default-subnetpools",
        "Default Subnetpools",
        "Subnets from the default pool.",
    ),
    (
        "empty-string-filtering",
        "Empty String Filtering Extension",
        "Filters for empty values.",
    ),
    (
        "ext-gw-mode",
        "Neutron L3 Configurable external gateway mode",
        "Gateways with and without SNAT.",
    ),
    (
        "external-net",
        "Neutron external network",
        "Networks of the outside world.",
    ),
    (
        "extra_dhcp_opt",
        "Neutron Extra DHCP options",
        "More DHCP options for a port.",
    ),
    (
        "extraroute",
        "Neutron Extra Route",
        "More routes for a router.",
    ),
    (
        "extraroute-atomic",
        "Atomically add/remove extra routes",
        "Adds and removes routes of a router one by one.",
    ),
    (
        "filter-validation",
        "Filter parameters validation",
        "Unknown filters are refused.",
    ),
    (
        "fip-port-details",
        "Floating IP Port Details Extension",
        "What a floating IP's port is.",
    ),
    (
        "floatingip-pools",
        "Floating IP Pools Extension",
        "The subnets that floating IPs come from.",
    ),
    (
        "ip-substring-filtering",
        "IP address substring filtering",
        "Filters ports by a part of an address.",
    ),
    ("net-mtu", "Network MTU", "The MTU of a network."),
    (
        "net-mtu-writable",
        "Network MTU (writable)",
        "The MTU of a network can be chosen.",
    ),
    (
        "network-ip-availability",
        "Network IP Availability",
        "How many addresses a network has left.",
    ),
    (
        "network_availability_zone",
        "Network Availability Zone",
        "Zones of networks.",
    ),
    ("pagination", "Pagination support", "Lists come in pages."),
    (
        "port-mac-address-regenerate",
        "Neutron Port MAC address regenerate",
        "A port without a MAC gets a new one.",
    ),
    (
        "port-security",
        "Port Security",
        "Anti-spoofing can be turned off.",
    ),
    (
        "project-id",
        "project_id field enabled",
        "The owner's name is project_id.",
    ),
    (
        "provider",
        "Provider Network",
        "How networks reach other hosts.",
    ),
    (
        "quota-check-limit",
        "Quota engine limit check",
        "Limits below what is used can be refused.",
    ),
    (
        "quota_details",
        "Quota details management support",
        "Limits and what is used of them.",
    ),
    (
        "quotas",
        "Quota management support",
        "Limits for each project.",
    ),
    (
        "rbac-address-scope",
        "Address scope RBAC",
        "Shares address scopes.",
    ),
    ("rbac-policies", "RBAC Policies", "Shares networks."),
    (
        "rbac-security-groups",
        "Security group RBAC",
        "Shares security groups.",
    ),
    ("rbac-subnetpool", "Subnetpool RBAC", "Shares subnet pools."),
    (
        "revision-if-match",
        "If-Match constraints based on revision_number",
        "Changes only the revision that was read.",
    ),
    ("router", "Neutron L3 Router", "Routers and floating IPs."),
    (
        "router_availability_zone",
        "Router Availability Zone",
        "Zones of routers.",
    ),
    ("security-group", "security-group", "Security groups."),
    (
        "security-groups-normalized-cidr",
        "Normalized CIDR field for security group rules",
        "The range that a rule really means.",
    ),
    (
        "security-groups-shared-filtering",
        "Security group filtering on the shared field",
        "Filters security groups by whether they are shared.",
    ),
    (
        "service-type",
        "Neutron Service Type Management",
        "Who provides services.",
    ),
    ("sorting", "Sorting support", "Lists can be sorted."),
    (
        "standard-attr-description",
        "standard-attr-description",
        "Things have descriptions.",
    ),
    (
        "standard-attr-revisions",
        "Resource revision numbers",
        "Things count their changes.",
    ),
    (
        "standard-attr-tag",
        "Tag support for resources with standard attribute",
        "Things have tags.",
    ),
    (
        "standard-attr-timestamp",
        "Resource timestamps",
        "Things know when they were made and changed.",
    ),
    (
        "stateful-security-group",
        "Stateful security group",
        "Security groups can be stateless.",
    ),
    (
        "subnet-service-types",
        "Subnet service types",
        "Subnets for some kinds of ports.",
    ),
    (
        "subnet_allocation",
        "Subnet Allocation",
        "Subnets cut from pools.",
    ),
    (
        "subnetpool-prefix-ops",
        "Subnet Pool Prefix Operations",
        "Adds and removes prefixes of a pool.",
    ),
    (
        "tag-creation",
        "Tag creation",
        "Several tags are added at once.",
    ),
    (
        "tag-ports-during-bulk-creation",
        "Tag Ports During Bulk Creation",
        "Ports are made with their tags.",
    ),
    (
        "quota-check-limit-default",
        "Quota engine limit check by default",
        "Limits below what is used are refused unless forced.",
    ),
    (
        "subnet-external-network",
        "Subnet belongs to an external network",
        "Subnets say whether their network is external.",
    ),
    (
        "l3_agent_scheduler",
        "L3 Agent Scheduler",
        "On which hosts routers live.",
    ),
    (
        "qos",
        "Quality of Service",
        "How fast the packets of ports may pass.",
    ),
    (
        "qos-bw-limit-direction",
        "Direction for QoS bandwidth limit rule",
        "Rules for packets to guests and for those from them.",
    ),
    (
        "qos-default",
        "QoS default policy",
        "A policy for the networks of a project that were given none.",
    ),
    (
        "qos-port-network-policy",
        "QoS network policy of ports",
        "Ports say which policy their network has.",
    ),
    (
        "qos-rule-type-details",
        "Details of QoS rule types",
        "What can be said in rules.",
    ),
    (
        "qos-rules-alias",
        "QoS rules alias",
        "Rules are found without their policies.",
    ),
    (
        "dhcp_agent_scheduler",
        "DHCP Agent Scheduler",
        "On which hosts DHCP is answered.",
    ),
    (
        "trunk",
        "Trunk Extension",
        "Several networks for a guest by one port, told apart by tags.",
    ),
    (
        "trunk-details",
        "Trunk port details",
        "Ports say which networks come by them.",
    ),
];

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExtensionView {
    alias: &'static str,
    name: &'static str,
    description: &'static str,
    updated: &'static str,
    links: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Extensions {
    extensions: Vec<ExtensionView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OneExtension {
    extension: ExtensionView,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ByAlias {
    alias: String,
}

const fn view(
    (alias, name, description): (&'static str, &'static str, &'static str),
) -> ExtensionView {
    ExtensionView {
        alias,
        name,
        description,
        updated: "2026-01-01T00:00:00-00:00",
        links: Vec::new(),
    }
}

endpoint! {
    /// List extensions.
    ListExtensions: GET "/v2.0/extensions" => 200,
    policy: Authenticated,
    reply: Json<Extensions>,
    handler: list_extensions,
}
async fn list_extensions(_cx: Cx, _req: Req<ListExtensions>) -> Reply<ListExtensions> {
    Ok(Json(Extensions {
        extensions: EXTENSIONS.into_iter().map(view).collect(),
    }))
}

endpoint! {
    /// Show an extension.
    ShowExtension: GET "/v2.0/extensions/{alias}" => 200,
    policy: Authenticated,
    path: ByAlias,
    reply: Json<OneExtension>,
    handler: show_extension,
}
async fn show_extension(_cx: Cx, req: Req<ShowExtension>) -> Reply<ShowExtension> {
    let alias = req.path.alias.as_str();
    let found = EXTENSIONS.into_iter().find(|(known, ..)| *known == alias);
    match found {
        Some(extension) => Ok(Json(OneExtension {
            extension: view(extension),
        })),
        None => Err(Refusal::missing(
            "HTTPNotFound",
            format!("Extension with alias {alias} does not exist"),
        )
        .into()),
    }
}
