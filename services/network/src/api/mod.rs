//! HTTP: one file per resource.

mod address_scopes;
mod agents;
mod attributes;
mod availability;
mod discovery;
mod envelope;
pub(crate) mod extensions;
pub(crate) mod fault;
mod fixed_ips;
mod floating_ips;
mod host;
pub(crate) mod host_reports;
mod input;
mod listing;
mod network_body;
mod networks;
mod port_body;
mod port_build;
pub(crate) mod port_make;
mod port_rules;
mod port_view;
mod ports;
mod qos;
mod qos_policies;
mod qos_rule_types;
mod qos_rules;
mod quotas;
mod rbac;
mod resource;
mod router_gateway;
mod router_interfaces;
mod router_routes;
mod routers;
mod schedulers;
mod security_group_rules;
mod security_groups;
mod subnet_body;
mod subnet_pool_body;
mod subnet_pools;
mod subnet_range;
mod subnets;
mod tags;
mod trunk_body;
mod trunks;

use nephos_api::{Endpoints, Fault, routes};
use nephos_auth::{Authorized, Resource, Rule};
use serde::Deserialize;

use crate::{Cx, Network};

/// Every call.
pub(crate) fn endpoints() -> Endpoints<Network> {
    routes![
        address_scopes::CreateAddressScopes,
        address_scopes::DeleteAddressScope,
        address_scopes::ListAddressScopes,
        address_scopes::ShowAddressScope,
        address_scopes::UpdateAddressScope,
        agents::DeleteAgent,
        agents::ListAgents,
        agents::ShowAgent,
        agents::UpdateAgent,
        availability::ListAvailabilityZones,
        availability::ListIpAvailabilities,
        availability::ListServiceProviders,
        availability::ShowIpAvailability,
        discovery::ListResources,
        discovery::ListVersions,
        extensions::ListExtensions,
        extensions::ShowExtension,
        floating_ips::CreateFloatingIps,
        floating_ips::DeleteFloatingIp,
        floating_ips::ListFloatingIpPools,
        floating_ips::ListFloatingIps,
        floating_ips::ShowFloatingIp,
        floating_ips::UpdateFloatingIp,
        host::PollFeed,
        host::ReportObserved,
        networks::CreateNetworks,
        networks::DeleteNetwork,
        networks::ListNetworks,
        networks::ShowNetwork,
        networks::UpdateNetwork,
        ports::CreatePorts,
        ports::DeletePort,
        ports::ListPorts,
        ports::ShowPort,
        ports::UpdatePort,
        qos_policies::CreateQosPolicies,
        qos_policies::DeleteQosPolicy,
        qos_policies::ListQosPolicies,
        qos_policies::ShowQosPolicy,
        qos_policies::UpdateQosPolicy,
        qos_rule_types::ListQosRuleTypes,
        qos_rule_types::ShowQosRuleType,
        qos_rules::CreateBandwidthRules,
        qos_rules::DeleteBandwidthRule,
        qos_rules::DeleteBandwidthRuleAlias,
        qos_rules::ListBandwidthRules,
        qos_rules::ShowBandwidthRule,
        qos_rules::ShowBandwidthRuleAlias,
        qos_rules::UpdateBandwidthRule,
        qos_rules::UpdateBandwidthRuleAlias,
        quotas::DeleteQuota,
        quotas::ListQuotas,
        quotas::ShowDefaultQuota,
        quotas::ShowOwnProject,
        quotas::ShowQuota,
        quotas::ShowQuotaDetails,
        quotas::UpdateQuota,
        rbac::CreateRbacPolicies,
        rbac::DeleteRbacPolicy,
        rbac::ListRbacPolicies,
        rbac::ShowRbacPolicy,
        rbac::UpdateRbacPolicy,
        router_interfaces::AddRouterInterface,
        router_interfaces::RemoveRouterInterface,
        router_routes::AddExtraRoutes,
        router_routes::RemoveExtraRoutes,
        routers::CreateRouters,
        routers::DeleteRouter,
        routers::ListRouters,
        routers::ShowRouter,
        routers::UpdateRouter,
        schedulers::AddAgentNetwork,
        schedulers::AddAgentRouter,
        schedulers::ListAgentNetworks,
        schedulers::ListAgentRouters,
        schedulers::ListNetworkAgents,
        schedulers::ListRouterAgents,
        schedulers::RemoveAgentNetwork,
        schedulers::RemoveAgentRouter,
        security_group_rules::CreateSecurityGroupRules,
        security_group_rules::DeleteSecurityGroupRule,
        security_group_rules::ListSecurityGroupRules,
        security_group_rules::ShowSecurityGroupRule,
        security_groups::CreateSecurityGroups,
        security_groups::DeleteSecurityGroup,
        security_groups::ListSecurityGroups,
        security_groups::ShowSecurityGroup,
        security_groups::UpdateSecurityGroup,
        subnet_pools::AddPrefixes,
        subnet_pools::CreateSubnetPools,
        subnet_pools::DeleteSubnetPool,
        subnet_pools::ListSubnetPools,
        subnet_pools::RemovePrefixes,
        subnet_pools::ShowSubnetPool,
        subnet_pools::UpdateSubnetPool,
        subnets::CreateSubnets,
        subnets::DeleteSubnet,
        subnets::ListSubnets,
        subnets::ShowSubnet,
        subnets::UpdateSubnet,
        tags::AddTag,
        tags::AddTags,
        tags::CheckTag,
        tags::ListTags,
        tags::RemoveTag,
        tags::RemoveTags,
        tags::ReplaceTags,
        trunks::AddSubports,
        trunks::CreateTrunks,
        trunks::DeleteTrunk,
        trunks::GetSubports,
        trunks::ListTrunks,
        trunks::RemoveSubports,
        trunks::ShowTrunk,
        trunks::UpdateTrunk,
    ]
}

/// The id in a path.
#[derive(Debug, Deserialize)]
pub(crate) struct ById {
    id: String,
}

/// Proves that the caller may do `R` with the loaded thing; who may not know of it gets Neutron's own 404.
fn allow<R: Rule, T: Resource>(
    cx: &Cx,
    rule: R,
    (id, found): (&str, Option<T>),
) -> Result<Authorized<T, R>, Fault> {
    if found
        .as_ref()
        .is_none_or(|thing| !thing.visible_to(&cx.caller))
    {
        return Err(fault::not_found(T::KIND, id).into());
    }
    cx.allow(rule, found)
}
