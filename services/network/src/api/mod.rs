//! HTTP: one file per resource.

mod discovery;
mod envelope;
mod extensions;
pub(crate) mod fault;
mod fixed_ips;
mod host;
mod input;
mod listing;
mod networks;
mod port_body;
mod port_build;
mod port_rules;
mod port_view;
mod ports;
mod security_group_rules;
mod security_groups;
mod subnet_body;
mod subnets;
mod tags;

use nephos_api::{Endpoints, Fault, routes};
use nephos_auth::{Authorized, Resource, Rule};
use serde::Deserialize;

use crate::{Cx, Network};

/// Every call.
pub(crate) fn endpoints() -> Endpoints<Network> {
    routes![
        discovery::ListResources,
        discovery::ListVersions,
        extensions::ListExtensions,
        extensions::ShowExtension,
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
        security_group_rules::CreateSecurityGroupRules,
        security_group_rules::DeleteSecurityGroupRule,
        security_group_rules::ListSecurityGroupRules,
        security_group_rules::ShowSecurityGroupRule,
        security_groups::CreateSecurityGroups,
        security_groups::DeleteSecurityGroup,
        security_groups::ListSecurityGroups,
        security_groups::ShowSecurityGroup,
        security_groups::UpdateSecurityGroup,
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
