//! Which addresses a port gets.

use std::net::IpAddr;

use nephos_api::Fault;
use nephos_db::{Tx, args};
use nephos_types::Timestamp;

use crate::api::port_body::FixedIpBody;
use crate::api::subnets::parse_ip;
use crate::model::address;
use crate::model::port::{FixedIp, Port};
use crate::model::refusal::Refusal;
use crate::model::subnet::Subnet;
use crate::store::ips::{self, Spot};
use crate::store::runs::Runs;
use crate::store::{Error, Reader, ports, publish};

/// An address that is asked for, or to be chosen.
#[derive(Clone, Debug)]
enum Wish {
    /// Exactly this one.
    This(usize, IpAddr),
    /// Any of this subnet.
    Any(usize),
    /// Any of one of these subnets.
    AnyOf(Vec<usize>),
}

/// Where addresses are chosen.
#[derive(Clone, Copy)]
pub(crate) struct Choice<'a> {
    /// The subnets of the port's network.
    pub subnets: &'a [Subnet],
    /// What is proposed next in each.
    pub runs: &'a Runs,
}

/// Gives a new port its addresses: those asked for, or one of each IP version; and what guests make for themselves.
pub(super) async fn allocate(
    tx: &mut Tx,
    port: &Port,
    choice: Choice<'_>,
    asked: Option<&[FixedIpBody]>,
) -> Result<Vec<FixedIp>, Fault> {
    let subnets = choice.subnets;
    let mut wishes = match asked {
        Some(bodies) => wishes_of(port, subnets, bodies)?,
        None => default_wishes(port, subnets),
    };
    add_auto_wishes(port, subnets, &mut wishes);
    let mut found = Vec::new();
    for wish in wishes {
        let place = found.len();
        let fixed = carry_out(tx, port, choice, (wish, place)).await?;
        found.push(fixed);
    }
    Ok(found)
}

/// Gives a port other addresses; those that it keeps are not touched.
pub(super) async fn reallocate(
    tx: &mut Tx,
    port: &Port,
    choice: Choice<'_>,
    asked: &[FixedIpBody],
) -> Result<Vec<FixedIp>, Fault> {
    let subnets = choice.subnets;
    let mut wishes = wishes_of(port, subnets, asked)?;
    add_auto_wishes(port, subnets, &mut wishes);
    let mut old = port.fixed_ips.clone();
    let mut found: Vec<Option<FixedIp>> = Vec::new();
    for wish in &wishes {
        let same = old.iter().position(|fixed| match wish {
            Wish::This(at, ip) => {
                subnets.get(*at).is_some_and(|s| s.id == fixed.subnet_id) && fixed.ip_address == *ip
            }
            Wish::Any(at) => subnets.get(*at).is_some_and(|s| s.id == fixed.subnet_id),
            Wish::AnyOf(all) => all
                .iter()
                .filter_map(|at| subnets.get(*at))
                .any(|s| s.id == fixed.subnet_id),
        });
        found.push(same.map(|at| old.remove(at)));
    }
    for gone in &old {
        ips::give(tx, &port.id, gone).await?;
    }
    let mut addresses = Vec::new();
    for (place, (kept, wish)) in found.into_iter().zip(wishes).enumerate() {
        let fixed = match kept {
            Some(fixed) => fixed,
            None => carry_out(tx, port, choice, (wish, place)).await?,
        };
        addresses.push(fixed);
    }
    Ok(addresses)
}

async fn carry_out(
    tx: &mut Tx,
    port: &Port,
    Choice { subnets, runs }: Choice<'_>,
    (wish, place): (Wish, usize),
) -> Result<FixedIp, Fault> {
    let candidates = match wish {
        Wish::This(at, ip) => {
            let Some(subnet) = subnets.get(at) else {
                return Err(Fault::internal("A subnet vanished."));
            };
            let spot = Spot {
                subnet,
                port,
                place,
            };
            return Ok(ips::take_this(tx, spot, ip).await?);
        }
        Wish::Any(at) => vec![at],
        Wish::AnyOf(all) => all,
    };
    for at in &candidates {
        let Some(subnet) = subnets.get(*at) else {
            continue;
        };
        let spot = Spot {
            subnet,
            port,
            place,
        };
        if let Some(fixed) = ips::take_next(tx, runs, spot).await? {
            return Ok(fixed);
        }
    }
    let names: Vec<&str> = candidates
        .iter()
        .filter_map(|at| subnets.get(*at))
        .map(|subnet| subnet.id.as_str())
        .collect();
    Err(Refusal::conflict(
        "IpAddressGenerationFailure",
        format!(
            "No more IP addresses available on network {}: all of the allocation pools of {} are in use.",
            port.network_id,
            names.join(", ")
        ),
    )
    .into())
}

/// Without a wish: one address of each IP version, from the subnets that are for this kind of port.
fn default_wishes(port: &Port, subnets: &[Subnet]) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for version in [4, 6] {
        let of_version: Vec<usize> = subnets
            .iter()
            .enumerate()
            .filter(|(_, subnet)| {
                subnet.ip_version() == version
                    && (port.is_router() || !subnet.is_auto())
                    && subnet.serves(&port.device_owner)
            })
            .map(|(at, _)| at)
            .collect();
        if !of_version.is_empty() {
            wishes.push(Wish::AnyOf(of_version));
        }
    }
    wishes
}

/// Where guests make their own addresses, they do it whatever was asked for.
fn add_auto_wishes(port: &Port, subnets: &[Subnet], wishes: &mut Vec<Wish>) {
    if port.is_network_owned() {
        return;
    }
    for (at, subnet) in subnets.iter().enumerate().filter(|(_, s)| s.is_auto()) {
        let there = wishes.iter().any(|wish| match wish {
            Wish::This(other, _) | Wish::Any(other) => *other == at,
            Wish::AnyOf(_) => false,
        });
        if there || !subnet.serves(&port.device_owner) {
            continue;
        }
        if let Some(ip) = address::eui64(subnet.cidr, &port.mac) {
            wishes.push(Wish::This(at, ip));
        }
    }
}

fn wishes_of(
    port: &Port,
    subnets: &[Subnet],
    bodies: &[FixedIpBody],
) -> Result<Vec<Wish>, Refusal> {
    let mut wishes = Vec::new();
    for body in bodies {
        let ip = match &body.ip_address {
            None => None,
            Some(text) => Some(parse_ip("fixed_ips", text)?),
        };
        let at = match &body.subnet_id {
            Some(id) => Some(subnet_at(port, subnets, id)?),
            None => None,
        };
        wishes.push(match (at, ip) {
            (None, None) => {
                return Err(Refusal::input(
                    "IP allocation requires subnet_id or ip_address",
                ));
            }
            (Some(at), None) => any_of(port, subnets, at),
            (at, Some(ip)) => this(port, subnets, at, ip)?,
        });
    }
    Ok(wishes)
}

fn subnet_at(port: &Port, subnets: &[Subnet], id: &str) -> Result<usize, Refusal> {
    subnets.iter().position(|subnet| subnet.id == id).ok_or_else(|| {
        Refusal::input(format!(
            "Failed to create port on network {}, because fixed_ips included invalid subnet {id}",
            port.network_id
        ))
    })
}

fn any_of(port: &Port, subnets: &[Subnet], at: usize) -> Wish {
    let auto = subnets
        .get(at)
        .filter(|subnet| subnet.is_auto() && !port.is_router())
        .and_then(|subnet| address::eui64(subnet.cidr, &port.mac));
    auto.map_or(Wish::Any(at), |ip| Wish::This(at, ip))
}

fn this(port: &Port, subnets: &[Subnet], at: Option<usize>, ip: IpAddr) -> Result<Wish, Refusal> {
    let fits =
        |subnet: &Subnet| subnet.cidr.contains(&ip) && !address::is_reserved(subnet.cidr, ip);
    let at = match at {
        Some(at) if subnets.get(at).is_some_and(fits) => at,
        Some(_) => {
            return Err(Refusal::invalid(
                "InvalidIpForSubnet",
                format!("IP address {ip} is not a valid IP for the specified subnet."),
            ));
        }
        None => subnets.iter().position(fits).ok_or_else(|| {
            Refusal::invalid(
                "InvalidIpForNetwork",
                format!("IP address {ip} is not a valid IP for any of the subnets on the specified network."),
            )
        })?,
    };
    let auto = subnets
        .get(at)
        .filter(|subnet| subnet.is_auto() && !port.is_router());
    if let Some(subnet) = auto
        && address::eui64(subnet.cidr, &port.mac) != Some(ip)
    {
        return Err(Refusal::invalid(
            "AllocationOnAutoAddressSubnet",
            format!(
                "IPv6 address {ip} cannot be directly assigned to a port on subnet {} as the subnet is configured for automatic addresses",
                subnet.id
            ),
        ));
    }
    Ok(Wish::This(at, ip))
}

/// A new subnet where guests make their own addresses: they do so on the ports that are there already.
pub(super) async fn add_auto_addresses(
    tx: &mut Tx,
    now: Timestamp,
    subnet: &Subnet,
) -> Result<(), Error> {
    let in_network = ports::query().eq("p.network_id", &subnet.network_id);
    for port in ports::find(&mut Reader::Tx(tx), &in_network).await? {
        let ip = address::eui64(subnet.cidr, &port.mac);
        let Some(ip) = ip.filter(|_| !port.is_network_owned()) else {
            continue;
        };
        let place = port.fixed_ips.len();
        let spot = Spot {
            subnet,
            port: &port,
            place,
        };
        let fixed = ips::take_this(tx, spot, ip).await?;
        let mut after = port.clone();
        after.fixed_ips.push(fixed);
        publish::port(tx, now, Some(&port), Some(&after)).await?;
    }
    Ok(())
}

/// The subnet goes: the addresses that guests made from its prefix go with it.
pub(super) async fn drop_auto_addresses(
    tx: &mut Tx,
    now: Timestamp,
    subnet: &Subnet,
) -> Result<(), Error> {
    let using = ports::query().raw(
        "p.id IN (SELECT port_id FROM port_ips WHERE subnet_id = {})",
        args![subnet.id],
    );
    for port in ports::find(&mut Reader::Tx(tx), &using).await? {
        if port.is_network_owned() {
            continue;
        }
        let mut after = port.clone();
        after.fixed_ips.retain(|fixed| fixed.subnet_id != subnet.id);
        for fixed in port
            .fixed_ips
            .iter()
            .filter(|fixed| fixed.subnet_id == subnet.id)
        {
            ips::give(tx, &port.id, fixed).await?;
        }
        publish::port(tx, now, Some(&port), Some(&after)).await?;
    }
    Ok(())
}
