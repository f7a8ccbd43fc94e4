//! Which attributes of a port the caller may choose.

use nephos_api::Fault;
use nephos_auth::{Rule, Target};

use crate::Cx;
use crate::api::input::Name;
use crate::api::port_body::{FixedIpBody, NewPort, PortChange};
use crate::api::resource;
use crate::model::network::Network;
use crate::model::port::{LOAD_BALANCER, Port};
use crate::rules;

/// The target of rules about a port of this project in this network.
fn target(cx: &Cx, project: &str, network: &Network) -> Target {
    Target::of_project(project)
        .with("network:project_id", network.project_id.as_str())
        .with("network:tenant_id", network.project_id.as_str())
        .with(
            "shared",
            network.grants.shared_with(resource::own(&cx.caller)),
        )
}

fn when<R: Rule>(cx: &Cx, given: bool, rule: R, target: &Target) -> Result<(), Fault> {
    if given {
        cx.require(rule, target)?;
    }
    Ok(())
}

fn names_ip(fixed_ips: Option<&Vec<FixedIpBody>>) -> bool {
    fixed_ips.is_some_and(|list| list.iter().any(|one| one.ip_address.is_some()))
}

fn names_subnet(fixed_ips: Option<&Vec<FixedIpBody>>) -> bool {
    fixed_ips.is_some_and(|list| list.iter().any(|one| one.subnet_id.is_some()))
}

fn of_load_balancer(owner: Option<&Name>) -> bool {
    owner.is_some_and(|owner| owner.0 == LOAD_BALANCER)
}

/// Whether a change says who a port is or where, and so what a load balancer lives by: without its marks, a guest might be
/// plugged into it.
const fn changes_who_or_where(change: &PortChange) -> bool {
    change.device_owner.is_some()
        || change.device_id.is_some()
        || change.host.is_some()
        || change.profile.is_some()
        || change.vnic_type.is_some()
        || change.admin_state_up.is_some()
        || change.mac_address.is_some()
        || change.fixed_ips.is_some()
        || change.allowed_address_pairs.is_some()
        || change.port_security_enabled.is_some()
}

/// Refuses to delete a port that a load balancer lives by.
pub(super) fn check_delete(cx: &Cx, port: &Port) -> Result<(), Fault> {
    let target = Target::of_project(&port.project_id);
    when(cx, port.has_space(), rules::LoadBalancerPort, &target)
}

/// Refuses a new port that the caller may not make like this.
pub(super) fn check_new(
    cx: &Cx,
    new: &NewPort,
    project: &str,
    network: &Network,
) -> Result<(), Fault> {
    let mut target = target(cx, project, network);
    if let Some(owner) = &new.device_owner {
        target.set("device_owner", owner.0.as_str());
    }
    cx.require(rules::CreatePort, &target)?;
    let named = new
        .device_owner
        .as_ref()
        .is_some_and(|owner| !owner.0.is_empty());
    when(cx, named, rules::CreatePortDeviceOwner, &target)?;
    let balances = of_load_balancer(new.device_owner.as_ref());
    when(cx, balances, rules::LoadBalancerPort, &target)?;
    when(
        cx,
        new.mac_address.is_some(),
        rules::CreatePortMacAddress,
        &target,
    )?;
    let fixed_ips = new.fixed_ips.as_ref();
    when(cx, fixed_ips.is_some(), rules::CreatePortFixedIps, &target)?;
    when(
        cx,
        names_ip(fixed_ips),
        rules::CreatePortFixedIpsIpAddress,
        &target,
    )?;
    when(
        cx,
        names_subnet(fixed_ips),
        rules::CreatePortFixedIpsSubnetId,
        &target,
    )?;
    when(
        cx,
        new.port_security_enabled.is_some(),
        rules::CreatePortPortSecurityEnabled,
        &target,
    )?;
    let bound = new.host.as_ref().is_some_and(|host| !host.0.is_empty());
    when(cx, bound, rules::CreatePortBindingHostId, &target)?;
    let profile = new
        .profile
        .as_ref()
        .is_some_and(|profile| profile.as_object().is_some_and(|map| !map.is_empty()));
    when(cx, profile, rules::CreatePortBindingProfile, &target)?;
    when(
        cx,
        new.vnic_type.is_some(),
        rules::CreatePortBindingVnicType,
        &target,
    )?;
    let pairs = new
        .allowed_address_pairs
        .as_ref()
        .is_some_and(|pairs| !pairs.is_empty());
    when(cx, pairs, rules::CreatePortAllowedAddressPairs, &target)
}

/// Refuses a change that the caller may not make.
pub(super) fn check_change(
    cx: &Cx,
    change: &PortChange,
    port: &Port,
    network: &Network,
) -> Result<(), Fault> {
    let mut target = target(cx, &port.project_id, network);
    if let Some(owner) = &change.device_owner {
        target.set("device_owner", owner.0.as_str());
    }
    when(
        cx,
        change.device_owner.is_some(),
        rules::UpdatePortDeviceOwner,
        &target,
    )?;
    let balances = of_load_balancer(change.device_owner.as_ref());
    let is_other = port.has_space() && changes_who_or_where(change);
    when(cx, balances || is_other, rules::LoadBalancerPort, &target)?;
    when(
        cx,
        change.mac_address.is_some(),
        rules::UpdatePortMacAddress,
        &target,
    )?;
    let fixed_ips = change.fixed_ips.as_ref();
    when(cx, fixed_ips.is_some(), rules::UpdatePortFixedIps, &target)?;
    when(
        cx,
        names_ip(fixed_ips),
        rules::UpdatePortFixedIpsIpAddress,
        &target,
    )?;
    when(
        cx,
        names_subnet(fixed_ips),
        rules::UpdatePortFixedIpsSubnetId,
        &target,
    )?;
    when(
        cx,
        change.port_security_enabled.is_some(),
        rules::UpdatePortPortSecurityEnabled,
        &target,
    )?;
    when(
        cx,
        change.host.is_some(),
        rules::UpdatePortBindingHostId,
        &target,
    )?;
    when(
        cx,
        change.profile.is_some(),
        rules::UpdatePortBindingProfile,
        &target,
    )?;
    when(
        cx,
        change.vnic_type.is_some(),
        rules::UpdatePortBindingVnicType,
        &target,
    )?;
    when(
        cx,
        change.allowed_address_pairs.is_some(),
        rules::UpdatePortAllowedAddressPairs,
        &target,
    )
}
