//! A router's leg outside.

use nephos_api::Fault;
use nephos_auth::Target;
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::fixed_ips::{self, Choice};
use crate::api::input::Flag;
use crate::api::port_body::FixedIpBody;
use crate::api::port_build::{self, Insert};
use crate::api::ports as api_ports;
use crate::api::resource;
use crate::model::network::Network;
use crate::model::port::{FixedIp, Port, ROUTER_GATEWAY};
use crate::model::refusal::Refusal;
use crate::model::router::Router;
use crate::rules;
use crate::store::{Reader, floating_ips, networks, ports, publish, routers};

/// Which network, how, under which addresses. Empty: none.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayBody {
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_none")]
    network_id: Option<String>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    enable_snat: Option<Flag>,
    external_fixed_ips: Option<Vec<FixedIpBody>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GatewayView {
    network_id: String,
    enable_snat: bool,
    external_fixed_ips: Vec<FixedIp>,
}

pub(super) fn view(router: &Router) -> Option<GatewayView> {
    router.gateway_port_id.as_ref().map(|_| GatewayView {
        network_id: router.gateway_network_id.clone(),
        enable_snat: router.enable_snat,
        external_fixed_ips: router.external_fixed_ips.clone(),
    })
}

/// Refuses what the caller may not choose for a new router.
pub(super) fn check_new(cx: &Cx, body: &GatewayBody, target: &Target) -> Result<(), Fault> {
    if body.enable_snat.is_some() {
        cx.require(rules::CreateRouterExternalGatewayInfoEnableSnat, target)?;
    }
    if body.external_fixed_ips.is_some() {
        cx.require(
            rules::CreateRouterExternalGatewayInfoExternalFixedIps,
            target,
        )?;
    }
    Ok(())
}

/// Refuses what the caller may not choose for a router that is there.
pub(super) fn check_change(cx: &Cx, body: &GatewayBody, target: &Target) -> Result<(), Fault> {
    if body.enable_snat.is_some() {
        cx.require(rules::UpdateRouterExternalGatewayInfoEnableSnat, target)?;
    }
    if body.external_fixed_ips.is_some() {
        cx.require(
            rules::UpdateRouterExternalGatewayInfoExternalFixedIps,
            target,
        )?;
    }
    Ok(())
}

/// Gives the router this leg outside; the one it has is changed where it can be.
pub(super) async fn set(
    cx: &Cx,
    tx: &mut Tx,
    router: &mut Router,
    body: &GatewayBody,
) -> Result<(), Fault> {
    let Some(network_id) = &body.network_id else {
        if body.enable_snat.is_none() && body.external_fixed_ips.is_none() {
            return clear(cx, tx, router).await;
        }
        return Err(Refusal::request(
            "Invalid input for external_gateway_info. Reason: Validation of dictionary's keys failed. Expected keys: {'network_id'}.",
        )
        .into());
    };
    let network = external(cx, tx, network_id).await?.ok_or_else(|| {
        let message = format!("Network {network_id} is not an external network");
        Refusal::bad("router", message)
    })?;
    router.enable_snat = body.enable_snat.is_none_or(|flag| flag.0);
    if router.gateway_port_id.is_some() && router.gateway_network_id == *network_id {
        return match &body.external_fixed_ips {
            None => Ok(()),
            Some(asked) => readdress(cx, tx, router, asked).await,
        };
    }
    clear(cx, tx, router).await?;
    let mut port = port_build::bare(cx, &network, "");
    port.device_id.clone_from(&router.id);
    port.device_owner = ROUTER_GATEWAY.to_owned();
    port.host.clone_from(&router.host);
    let subnets = port_build::subnets_of(tx, &network.id).await?;
    let how = Insert {
        choice: Choice {
            subnets: &subnets,
            runs: &cx.runs,
        },
        fixed_ips: body.external_fixed_ips.as_deref(),
        any_mac: true,
    };
    port_build::insert(tx, &mut port, how).await?;
    router.gateway_port_id = Some(port.id);
    router.gateway_network_id = network.id;
    router.external_fixed_ips = port.fixed_ips;
    Ok(())
}

/// The network, if it is one of the outside world; refused if the caller may not know of it.
pub(super) async fn external(cx: &Cx, tx: &mut Tx, id: &str) -> Result<Option<Network>, Fault> {
    let found = networks::bare(&mut Reader::Tx(tx), id).await?;
    let found =
        found.filter(|network| resource::visible(&cx.caller, &network.project_id, &network.grants));
    let Some(network) = found else {
        return Err(Refusal::no_network(id).into());
    };
    Ok(Some(network).filter(|network| network.external))
}

async fn readdress(
    cx: &Cx,
    tx: &mut Tx,
    router: &mut Router,
    asked: &[FixedIpBody],
) -> Result<(), Fault> {
    let before = gateway_port(tx, router).await?;
    let Some(before) = before else {
        return Ok(());
    };
    let subnets = port_build::subnets_of(tx, &before.network_id).await?;
    let mut port = before.clone();
    let choice = Choice {
        subnets: &subnets,
        runs: &cx.runs,
    };
    port.fixed_ips = fixed_ips::reallocate(tx, &before, choice, asked).await?;
    router.external_fixed_ips.clone_from(&port.fixed_ips);
    publish::port(tx, cx.now(), Some(&before), Some(&port)).await?;
    Ok(())
}

async fn gateway_port(tx: &mut Tx, router: &Router) -> Result<Option<Port>, Fault> {
    match &router.gateway_port_id {
        None => Ok(None),
        Some(id) => Ok(ports::get(&mut Reader::Tx(tx), id).await?),
    }
}

/// Takes the leg outside away, unless floating IPs need it.
pub(super) async fn clear(cx: &Cx, tx: &mut Tx, router: &mut Router) -> Result<(), Fault> {
    let Some(port) = gateway_port(tx, router).await? else {
        return Ok(());
    };
    let floating = floating_ips::of_router(&mut Reader::Tx(tx), &router.id).await?;
    if !floating.is_empty() {
        let names: Vec<String> = floating
            .iter()
            .take(5)
            .map(|one| one.floating_ip.to_string())
            .collect();
        return Err(Refusal::conflict(
            "RouterExternalGatewayInUseByFloatingIp",
            format!(
                "Gateway cannot be updated for router {}, since a gateway to external network {} is required by one or more floating IPs: {}.",
                router.id,
                router.gateway_network_id,
                names.join(", ")
            ),
        )
        .into());
    }
    router.gateway_port_id = None;
    router.gateway_network_id = String::new();
    router.external_fixed_ips = Vec::new();
    // The row lets go of the port before the port goes.
    routers::unset_gateway(tx, &router.id).await?;
    api_ports::remove(tx, cx.now(), &port).await?;
    Ok(())
}
