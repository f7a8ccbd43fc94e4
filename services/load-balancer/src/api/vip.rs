//! Where a new load balancer answers: at a port of its own, or at one that its owner made.

use std::net::IpAddr;

use ipnet::IpNet;
use nephos_api::Fault;
use nephos_peer::PeerError;

use super::fault::from_peer;
use crate::Cx;
use crate::model::body::Fields;
use crate::model::refusal::Refusal;
use crate::model::tree::{Address, BalancerId, Vip};
use crate::peers::{NewPort, Port, Subnet};

/// Further addresses at most.
const MOST: usize = 16;

/// Where it is to answer, as a body asks for it.
#[derive(Debug)]
pub(crate) struct Wanted {
    address: Option<String>,
    port: Option<String>,
    subnet: Option<String>,
    network: Option<String>,
    /// Subnets with the address that is wanted there.
    additional: Vec<(String, Option<String>)>,
}

impl Wanted {
    pub(crate) fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        let wanted = Self {
            address: fields.address("vip_address")?,
            port: fields.uuid("vip_port_id")?,
            subnet: fields.uuid("vip_subnet_id")?,
            network: fields.uuid("vip_network_id")?,
            additional: additional(fields)?,
        };
        if fields.get("vip_qos_policy_id").is_some() {
            return Err(Refusal::unsupported(
                "vip_qos_policy_id: ports have no QoS here",
            ));
        }
        if !fields.list("vip_sg_ids")?.is_empty() {
            return Err(Refusal::unsupported(
                "vip_sg_ids; allowed_cidrs of listeners say who is answered",
            ));
        }
        if wanted.port.is_none() && wanted.subnet.is_none() && wanted.network.is_none() {
            return Err(Refusal::invalid(
                "VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.",
            ));
        }
        Ok(wanted)
    }

    /// Looks at it in the caller's name, and makes the port where none is given.
    pub(crate) async fn settle(
        self,
        cx: &Cx,
        id: &BalancerId,
        project: &str,
    ) -> Result<Vip, Fault> {
        let token = cx.token().unwrap_or_default();
        if let Some(port) = &self.port {
            let found = cx.siblings.port_of_caller(token, port).await;
            let found = found.map_err(|why| absent(&why, "Port", port))?;
            check_given(cx, &found, project)?;
            for fixed in &found.fixed_ips {
                let subnet = cx.siblings.subnet(token, &fixed.subnet_id).await;
                let subnet = subnet.map_err(|why| absent(&why, "Subnet", &fixed.subnet_id))?;
                not_the_gateway(&subnet, Some(&fixed.ip_address))?;
            }
            return Ok(self.of_port(found)?);
        }
        let subnet = self.subnet_of_caller(cx, token).await?;
        not_the_gateway(&subnet, self.address.as_ref())?;
        self.may_choose(cx, token, &subnet.network_id).await?;
        if let Some(network) = self.network.as_ref().filter(|id| **id != subnet.network_id) {
            let words = format!("Subnet {} is not part of network {network}.", subnet.id);
            return Err(Refusal::invalid(words).into());
        }
        let mut addresses = vec![(subnet.id.clone(), self.address)];
        for (further, address) in self.additional {
            let found = cx.siblings.subnet(token, &further).await;
            let found = found.map_err(|why| absent(&why, "Subnet", &further))?;
            if found.network_id != subnet.network_id {
                let words = "All VIP subnets must belong to the same network.";
                return Err(Refusal::invalid(words).into());
            }
            not_the_gateway(&found, address.as_ref())?;
            if addresses.iter().any(|(known, _)| *known == further) {
                let words =
                    "Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet.";
                return Err(Refusal::invalid(words).into());
            }
            addresses.push((further, address));
        }
        let new = NewPort {
            balancer: id,
            project,
            network: &subnet.network_id,
            addresses: &addresses,
        };
        let made = cx.siblings.make_port(&new).await;
        let made = made.map_err(|why| from_peer(&why))?;
        let address_in = |subnet: &str| {
            let fixed = made.fixed_ips.iter().find(|one| one.subnet_id == subnet);
            fixed.map(|one| one.ip_address.clone()).unwrap_or_default()
        };
        let further = addresses.iter().skip(1).map(|(subnet, _)| Address {
            subnet_id: subnet.clone(),
            ip_address: address_in(subnet),
        });
        Ok(Vip {
            address: address_in(&subnet.id),
            additional: further.collect(),
            port_id: made.id,
            network_id: made.network_id,
            subnet_id: subnet.id,
            own_port: true,
        })
    }

    /// Refuses addresses of its choice to whoever could not ask for them by a port of its own: as network has it, who owns
    /// the network or is an administrator may (`create_port:fixed_ips:ip_address`).
    async fn may_choose(&self, cx: &Cx, token: &str, network: &str) -> Result<(), Fault> {
        let mut further = self.additional.iter();
        let chooses = self.address.is_some() || further.any(|(_, address)| address.is_some());
        if !chooses || cx.caller.is_admin() {
            return Ok(());
        }
        let found = cx.siblings.network(token, network).await;
        let found = found.map_err(|why| absent(&why, "Network", network))?;
        let own = cx.caller.project_id();
        if own.is_some_and(|own| own.as_str() == found.project_id) {
            return Ok(());
        }
        Err(Fault::forbidden(format!(
            "An address of network {network} can be chosen only by who owns the network: ask for its subnet alone, and it is chosen for you."
        )))
    }

    /// The subnet that is named, or one of the network's: the one that has the address, else the first of IPv4.
    async fn subnet_of_caller(&self, cx: &Cx, token: &str) -> Result<Subnet, Fault> {
        if let Some(subnet) = &self.subnet {
            let found = cx.siblings.subnet(token, subnet).await;
            return found.map_err(|why| absent(&why, "Subnet", subnet));
        }
        let network = self.network.as_deref().unwrap_or_default();
        let subnets = cx.siblings.subnets(token, network).await;
        let mut subnets = subnets.map_err(|why| absent(&why, "Network", network))?;
        let wanted: Option<IpAddr> = self.address.as_deref().and_then(|text| text.parse().ok());
        let words = if let Some(address) = wanted {
            let holds = |subnet: &Subnet| {
                let range = subnet.cidr.parse::<IpNet>();
                range.is_ok_and(|range| range.contains(&address))
            };
            subnets.retain(holds);
            "Supplied network does not contain a subnet for VIP address specified."
        } else {
            subnets.sort_by_key(|subnet| subnet.ip_version);
            "Supplied network does not contain a subnet."
        };
        let first = subnets.into_iter().next();
        Ok(first.ok_or_else(|| Refusal::invalid(words))?)
    }

    /// At a port that somebody made: the address that is named, or its only one.
    fn of_port(self, port: Port) -> Result<Vip, Refusal> {
        if !self.additional.is_empty() {
            return Err(Refusal::invalid(
                "additional_vips cannot be asked for at a port that is there: all its addresses are used as they are.",
            ));
        }
        let fits = |fixed: &&crate::peers::FixedIp| {
            self.subnet
                .as_ref()
                .is_none_or(|subnet| fixed.subnet_id == *subnet)
                && self
                    .address
                    .as_ref()
                    .is_none_or(|address| fixed.ip_address == *address)
        };
        let found: Vec<_> = port.fixed_ips.iter().filter(fits).collect();
        let (Some(first), true) = (found.first(), found.len() == 1 || self.subnet.is_some()) else {
            return Err(Refusal::invalid(
                "VIP port's subnet could not be determined. Please specify either a VIP subnet or address.",
            ));
        };
        let others = port.fixed_ips.iter().filter(|one| one != first);
        let others = others.map(|one| Address {
            subnet_id: one.subnet_id.clone(),
            ip_address: one.ip_address.clone(),
        });
        Ok(Vip {
            address: first.ip_address.clone(),
            subnet_id: first.subnet_id.clone(),
            additional: others.collect(),
            port_id: port.id,
            network_id: port.network_id,
            own_port: false,
        })
    }
}

/// A port that is given must be the project's own, and nobody's so far.
fn check_given(cx: &Cx, port: &Port, project: &str) -> Result<(), Fault> {
    if port.project_id != project && !cx.caller.is_admin() {
        let words = format!(
            "Port {} is of another project than the load balancer.",
            port.id
        );
        return Err(Refusal::invalid(words).into());
    }
    if !port.is_free() {
        return Err(Refusal::invalid(format!(
            "Port {} is already used by {} {}.",
            port.id, port.device_owner, port.device_id
        ))
        .into());
    }
    Ok(())
}

/// Whoever answers where a router should takes all traffic of the subnet.
fn not_the_gateway(subnet: &Subnet, address: Option<&String>) -> Result<(), Refusal> {
    let parsed = |text: &String| text.parse::<IpAddr>().ok();
    let gateway = subnet.gateway_ip.as_ref().and_then(parsed);
    if gateway.is_some() && gateway == address.and_then(parsed) {
        return Err(Refusal::invalid(format!(
            "vip_address: it is the gateway of subnet {}, where its router answers.",
            subnet.id
        )));
    }
    Ok(())
}

fn additional(fields: Fields<'_>) -> Result<Vec<(String, Option<String>)>, Refusal> {
    let given = fields.list("additional_vips")?;
    if given.len() > MOST {
        return Err(Refusal::invalid(format!(
            "There can be {MOST} additional VIPs at most."
        )));
    }
    let mut all = Vec::new();
    for value in given {
        let one = Fields::of(value, "additional_vips")?.only(&[&[
            "subnet_id",
            "ip_address",
            "port_id",
        ]])?;
        if one.get("port_id").is_some() {
            return Err(Refusal::unsupported("port_id of additional_vips"));
        }
        all.push((one.needed_uuid("subnet_id")?, one.address("ip_address")?));
    }
    Ok(all)
}

/// What a body names and is not there is wrong with the body (400), as in Octavia.
fn absent(why: &PeerError, kind: &str, id: &str) -> Fault {
    if why.is_not_found() {
        Refusal::plain(format!("{kind} {id} not found.")).into()
    } else {
        from_peer(why)
    }
}
