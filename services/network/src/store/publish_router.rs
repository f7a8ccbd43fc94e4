//! What hosts are told of routers.

use std::collections::HashMap;

use ipnet::IpNet;
use nephos_db::{Error, Tx};
use nephos_ops::feed;
use nephos_types::Timestamp;

use crate::model::port::{Port, ROUTER_GATEWAY, ROUTER_INTERFACE};
use crate::model::router::Router;
use crate::model::spec::{
    FloatingIpSpec, KIND_NETWORK, KIND_PORT, KIND_ROUTER, Limits, RouterGateway, RouterLeg,
    RouterSpec,
};
use crate::model::subnet::Subnet;
use crate::store::publish::{ensure_network, place};
use crate::store::{Reader, Result, floating_ips, hosts, ports, qos, routers, stale, subnets};

/// A router as its host is to have it. A router with something to do that lives nowhere gets a home, if one is alive.
pub(crate) async fn router(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    let Some(mut found) = routers::get(&mut Reader::Tx(tx), id).await? else {
        return withdraw(tx, now, id, "").await;
    };
    let mut legs = routers::interfaces(&mut Reader::Tx(tx), id).await?;
    legs.sort_by(|a, b| a.id.cmp(&b.id));
    let gateway = match &found.gateway_port_id {
        Some(port) => ports::get(&mut Reader::Tx(tx), port).await?,
        None => None,
    };
    if legs.is_empty() && gateway.is_none() {
        return withdraw(tx, now, id, "").await;
    }
    settle(tx, now, &mut found).await?;
    withdraw(tx, now, id, &found.host).await?;
    if found.host.is_empty() {
        return Ok(());
    }
    let networks: Vec<String> = legs
        .iter()
        .chain(&gateway)
        .map(|port| port.network_id.clone())
        .collect();
    let nets = subnets_of(tx, &networks).await?;
    let mut limits = HashMap::new();
    for port in legs.iter().chain(&gateway) {
        limits.insert(port.id.clone(), qos::limits_of(tx, port).await?);
    }
    let leg = |port: &Port| RouterLeg {
        limits: limits.get(&port.id).copied().unwrap_or_default(),
        ..leg(port, &nets)
    };
    let spec = RouterSpec {
        id: found.id.clone(),
        project_id: found.project_id.clone(),
        admin_state_up: found.admin_state_up,
        interfaces: legs.iter().map(leg).collect(),
        gateway: gateway.as_ref().map(|port| RouterGateway {
            leg: leg(port),
            nexthops: port
                .fixed_ips
                .iter()
                .filter_map(|fixed| nets.get(&fixed.subnet_id)?.gateway)
                .collect(),
            snat: found.enable_snat,
        }),
        routes: found.routes.clone(),
        floating_ips: floating_ips::of_router(&mut Reader::Tx(tx), id)
            .await?
            .into_iter()
            .filter_map(|one| {
                Some(FloatingIpSpec {
                    id: one.id,
                    floating: one.floating_ip,
                    fixed: one.fixed_ip?,
                })
            })
            .collect(),
    };
    feed::publish_changed(tx, now, place(&found.host, KIND_ROUTER, id), &spec).await?;
    for id in networks {
        ensure_network(tx, now, &found.host, &id).await?;
    }
    Ok(())
}

/// Whether a router has a leg anywhere.
pub(crate) async fn has_work(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let query = ports::query()
        .eq("p.device_id", id)
        .in_("p.device_owner", [ROUTER_INTERFACE, ROUTER_GATEWAY]);
    let legs: Vec<Port> = tx.fetch_where(&query).await?;
    Ok(!legs.is_empty())
}

/// A router leaves its home: where it has something to do it moves to another gateway host, if one lives, and else it waits
/// for one.
pub(crate) async fn leave(tx: &mut Tx, now: Timestamp, id: &str, host: &str) -> Result<(), Error> {
    let next = hosts::other_gateway(tx, now, host).await?;
    routers::unplace(tx, id).await?;
    if let Some(next) = next
        && has_work(tx, id).await?
    {
        routers::place(tx, id, &next).await?;
    }
    moved(tx, now, id).await
}

/// A router was given another home, or none: its ports follow, its old host is told, its new one too.
pub(crate) async fn moved(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    let host = routers::get(&mut Reader::Tx(tx), id)
        .await?
        .map_or(String::new(), |router| router.host);
    if !host.is_empty() {
        return router(tx, now, id).await;
    }
    withdraw(tx, now, id, "").await?;
    place_legs(tx, now, id, "").await
}

/// The router's ports are where it is; others learn of it, and their old host may want their networks no more.
async fn place_legs(tx: &mut Tx, now: Timestamp, id: &str, host: &str) -> Result<(), Error> {
    let query = ports::query().eq("p.device_id", id);
    let legs: Vec<Port> = tx.fetch_where(&query).await?;
    for leg in legs.iter().filter(|port| port.is_router()) {
        if leg.host == host {
            continue;
        }
        if !leg.host.is_empty() {
            stale::left(tx, now, (KIND_NETWORK, &leg.network_id), &leg.host).await?;
        }
        stale::mark(tx, now, KIND_PORT, &leg.id).await?;
    }
    ports::place_router(tx, id, host, now).await
}

/// Gives the router a home, and its ports the same.
async fn settle(tx: &mut Tx, now: Timestamp, router: &mut Router) -> Result<(), Error> {
    if router.host.is_empty() {
        let Some(host) = hosts::gateway(tx, now).await? else {
            return Ok(());
        };
        if !routers::place(tx, &router.id, &host).await? {
            // It got one from somebody else.
            let fresh = routers::get(&mut Reader::Tx(tx), &router.id).await?;
            router.host = fresh.map_or(String::new(), |fresh| fresh.host);
            return Ok(());
        }
        router.host = host;
    }
    place_legs(tx, now, &router.id, &router.host).await
}

async fn withdraw(tx: &mut Tx, now: Timestamp, id: &str, but: &str) -> Result<(), Error> {
    for host in feed::hosts_of(tx, KIND_ROUTER, id).await? {
        if host != but {
            feed::withdraw_present(tx, now, place(&host, KIND_ROUTER, id)).await?;
        }
    }
    Ok(())
}

async fn subnets_of(tx: &mut Tx, networks: &[String]) -> Result<HashMap<String, Subnet>, Error> {
    let query = subnets::query().in_("s.network_id", networks);
    let found: Vec<Subnet> = tx.fetch_where(&query).await?;
    Ok(found
        .into_iter()
        .map(|subnet| (subnet.id.clone(), subnet))
        .collect())
}

fn leg(port: &Port, subnets: &HashMap<String, Subnet>) -> RouterLeg {
    let address = |fixed: &crate::model::port::FixedIp| {
        let length = subnets.get(&fixed.subnet_id)?.cidr.prefix_len();
        IpNet::new(fixed.ip_address, length).ok()
    };
    RouterLeg {
        port_id: port.id.clone(),
        network_id: port.network_id.clone(),
        mac: port.mac.clone(),
        addresses: port.fixed_ips.iter().filter_map(address).collect(),
        limits: Limits::default(),
    }
}
