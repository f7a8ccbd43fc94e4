//! What hosts are told of networks, ports and security groups.
//!
//! Every function looks at the tables and writes what follows; called again, it changes nothing. A port's own document
//! and whatever its host has not been told yet are written with the change; documents that many ports share (the
//! network's ports elsewhere, the group's members) are marked and rewritten a moment later, once for many changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use nephos_db::{Error, FromRow, Row, Tx, Where, args};
use nephos_ops::feed::{self, Place};
use nephos_types::Timestamp;

use crate::model::port::Port;
use crate::model::spec::{
    AddressPair, DhcpOption, FixedIp, KIND_NETWORK, KIND_PORT, KIND_SECURITY_GROUP, NetworkSpec,
    PortSpec, RemotePort, SecurityGroupSpec, SubnetSpec,
};
use crate::model::subnet::Subnet;
use crate::store::{Reader, Result, networks, parsed, port_links, security_groups, stale, subnets};

/// The topic that hosts' polls listen to.
pub(crate) const FEED: &str = "network.feed";

pub(crate) fn place<'a>(host: &'a str, kind: &'a str, id: &'a str) -> Place<'a> {
    Place {
        topic: FEED,
        host,
        kind,
        id,
    }
}

/// A port was made, changed or is gone: `before` and `after` are what it was and is.
pub(crate) async fn port(
    tx: &mut Tx,
    now: Timestamp,
    before: Option<&Port>,
    after: Option<&Port>,
) -> Result<(), Error> {
    let Some(any) = after.or(before) else {
        return Ok(());
    };
    let (old_hosts, new_hosts) = (hosts_of(before), hosts_of(after));
    for left in old_hosts.difference(&new_hosts) {
        feed::withdraw_present(tx, now, place(left, KIND_PORT, &any.id)).await?;
        feed::forget_on(tx, left, KIND_PORT, &any.id).await?;
    }
    if new_hosts.is_empty() && !old_hosts.is_empty() {
        feed::forget(tx, KIND_PORT, &any.id).await?;
    }
    for host in &new_hosts {
        if let Some(port) = after.filter(|port| !port.is_router()) {
            let spot = place(host, KIND_PORT, &port.id);
            feed::publish_changed(tx, now, spot, &port_spec(port)).await?;
            ensure_groups(tx, now, host, port).await?;
        }
        ensure_network(tx, now, host, &any.network_id).await?;
    }
    // A guest that runs on elsewhere is not to be looked for where it was until somebody gets round to it.
    let arrived = |before: &Port, after: &Port| {
        !before.next_host.is_empty() && before.next_host == after.host
    };
    if before
        .zip(after)
        .is_some_and(|(before, after)| arrived(before, after))
    {
        network(tx, now, &any.network_id).await?;
    }
    mark_shared(tx, now, before, after).await
}

/// Where a port is plugged in, or made ready to be.
fn hosts_of(port: Option<&Port>) -> BTreeSet<String> {
    let hosts = port.map(|port| [port.host.clone(), port.next_host.clone()]);
    let hosts = hosts.into_iter().flatten();
    hosts.filter(|host| !host.is_empty()).collect()
}

/// Whether the port's host has said already that it has it up.
pub(crate) async fn is_up(tx: &mut Tx, port: &Port) -> Result<bool, Error> {
    let state: Option<String> = tx
        .fetch_opt(
            "SELECT state FROM feed_observed WHERE host = $1 AND kind = $2 AND id = $3",
            args![port.host, KIND_PORT, port.id],
        )
        .await?;
    Ok(state.as_deref() == Some("up"))
}

/// Marks what is shared and has changed: where the network's ports are, who is in the groups.
async fn mark_shared(
    tx: &mut Tx,
    now: Timestamp,
    before: Option<&Port>,
    after: Option<&Port>,
) -> Result<(), Error> {
    let reach = |port: Option<&Port>| {
        port.filter(|port| !port.host.is_empty()).map(|port| {
            (
                hosts_of(Some(port)),
                port.mac.clone(),
                port.fixed_ips.clone(),
            )
        })
    };
    let Some(any) = after.or(before) else {
        return Ok(());
    };
    if reach(before) != reach(after) {
        stale::mark(tx, now, KIND_NETWORK, &any.network_id).await?;
    }
    let members = |port: Option<&Port>| {
        port.map(|port| (port.fixed_ips.clone(), port.security_groups.clone()))
    };
    if members(before) == members(after) && hosts_of(before) == hosts_of(after) {
        return Ok(());
    }
    let groups: BTreeSet<String> = [before, after]
        .into_iter()
        .flatten()
        .flat_map(|port| port.security_groups.iter().cloned())
        .collect();
    let groups: Vec<String> = groups.into_iter().collect();
    if groups.is_empty() {
        return Ok(());
    }
    let left = before.is_some_and(|port| !port.host.is_empty());
    let named = port_links::named_as_remote(tx, &groups).await?;
    for group in groups {
        if left || named.contains(&group) {
            stale::mark(tx, now, KIND_SECURITY_GROUP, &group).await?;
        }
    }
    Ok(())
}

fn port_spec(port: &Port) -> PortSpec {
    PortSpec {
        id: port.id.clone(),
        network_id: port.network_id.clone(),
        project_id: port.project_id.clone(),
        device_id: port.device_id.clone(),
        mac: port.mac.clone(),
        tap: port.tap(),
        fixed_ips: port
            .fixed_ips
            .iter()
            .map(|fixed| FixedIp {
                subnet_id: fixed.subnet_id.clone(),
                ip: fixed.ip_address,
            })
            .collect(),
        allowed_address_pairs: port
            .address_pairs
            .iter()
            .filter_map(|pair| {
                Some(AddressPair {
                    cidr: pair.range()?,
                    mac: (pair.mac_address != port.mac).then(|| pair.mac_address.clone()),
                })
            })
            .collect(),
        port_security: port.port_security_enabled,
        security_groups: port.security_groups.clone(),
        admin_state_up: port.admin_state_up,
        dns_name: host_name(port),
        dhcp_options: port
            .dhcp_options
            .iter()
            .map(|option| DhcpOption {
                name: option.opt_name.clone(),
                value: option.opt_value.clone(),
                ip_version: option.ip_version,
            })
            .collect(),
    }
}

/// The name that Neutron gives a guest that has none: its first address.
fn host_name(port: &Port) -> String {
    port.fixed_ips.first().map_or(String::new(), |fixed| {
        let dashed = fixed.ip_address.to_string().replace(['.', ':'], "-");
        format!("host-{dashed}")
    })
}

/// The generation in which a thing is wanted on a host; none when it is not.
pub(crate) async fn generation(tx: &mut Tx, place: Place<'_>) -> Result<Option<i64>, Error> {
    let Place { host, kind, id, .. } = place;
    tx.fetch_opt(
        "SELECT generation FROM feed_items WHERE host = $1 AND kind = $2 AND id = $3 AND spec IS NOT NULL",
        args![host, kind, id],
    )
    .await
}

async fn is_told(tx: &mut Tx, host: &str, kind: &str, id: &str) -> Result<bool, Error> {
    Ok(generation(tx, place(host, kind, id)).await?.is_some())
}

async fn ensure_network(tx: &mut Tx, now: Timestamp, host: &str, id: &str) -> Result<(), Error> {
    if is_told(tx, host, KIND_NETWORK, id).await? {
        return Ok(());
    }
    network(tx, now, id).await
}

/// The port's groups, and the groups that their rules name, are told to its host before the port needs them.
async fn ensure_groups(tx: &mut Tx, now: Timestamp, host: &str, port: &Port) -> Result<(), Error> {
    for id in &port.security_groups {
        if is_told(tx, host, KIND_SECURITY_GROUP, id).await? {
            continue;
        }
        group(tx, now, id).await?;
        for remote in remote_groups(tx, id).await? {
            if remote != *id && !is_told(tx, host, KIND_SECURITY_GROUP, &remote).await? {
                group(tx, now, &remote).await?;
            }
        }
    }
    Ok(())
}

async fn remote_groups(tx: &mut Tx, id: &str) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT DISTINCT remote_group_id FROM security_group_rules \
         WHERE security_group_id = $1 AND remote_group_id IS NOT NULL ORDER BY remote_group_id",
        args![id],
    )
    .await
}

/// A port that is plugged in somewhere.
struct Plugged {
    host: String,
    vtep: Option<IpAddr>,
    mac: String,
    port_id: String,
    ip: Option<IpAddr>,
}

impl FromRow for Plugged {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let vtep: Option<String> = row.get("vtep")?;
        let ip: Option<String> = row.get("ip")?;
        Ok(Self {
            host: row.get("host")?,
            vtep: vtep.and_then(|text| text.parse().ok()),
            mac: row.get("mac")?,
            port_id: row.get("port_id")?,
            ip: ip.and_then(|text| text.parse().ok()),
        })
    }
}

/// A network as each host is to have it.
pub(crate) async fn network(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    let mut wanted: BTreeMap<String, Vec<Plugged>> = BTreeMap::new();
    let mut next_hosts: Vec<String> = Vec::new();
    let network = networks::bare(&mut Reader::Tx(tx), id).await?;
    if network.is_some() {
        let plugged: Vec<Plugged> = tx
            .fetch_all(
                "SELECT p.host, h.vtep, p.mac, p.id AS port_id, i.ip FROM ports p \
                 LEFT JOIN hosts h ON h.host = p.host LEFT JOIN port_ips i ON i.port_id = p.id \
                 WHERE p.network_id = $1 AND p.host <> '' ORDER BY p.id, i.place",
                args![id],
            )
            .await?;
        for one in plugged {
            wanted.entry(one.host.clone()).or_default().push(one);
        }
        next_hosts = tx
            .fetch_all(
                "SELECT DISTINCT next_host FROM ports WHERE network_id = $1 AND next_host <> ''",
                args![id],
            )
            .await?;
    }
    // Until it has moved, a port is elsewhere for the host that makes it ready.
    for host in next_hosts {
        wanted.entry(host).or_default();
    }
    for host in feed::hosts_of(tx, KIND_NETWORK, id).await? {
        if !wanted.contains_key(&host) {
            feed::withdraw_present(tx, now, place(&host, KIND_NETWORK, id)).await?;
        }
    }
    let Some(network) = network.filter(|_| !wanted.is_empty()) else {
        return Ok(());
    };
    let subnets = subnets::of_network(&mut Reader::Tx(tx), id).await?;
    for host in wanted.keys() {
        let elsewhere = wanted.iter().filter(|(other, _)| *other != host);
        let spec = NetworkSpec {
            id: network.id.clone(),
            project_id: network.project_id.clone(),
            segment: network.segment(),
            mtu: network.mtu,
            subnets: subnets.iter().map(subnet_spec).collect(),
            remote: remote_ports(elsewhere.flat_map(|(_, ports)| ports)),
        };
        feed::publish_changed(tx, now, place(host, KIND_NETWORK, id), &spec).await?;
    }
    Ok(())
}

fn remote_ports<'a>(plugged: impl Iterator<Item = &'a Plugged>) -> Vec<RemotePort> {
    let mut found: BTreeMap<&str, RemotePort> = BTreeMap::new();
    for one in plugged {
        let Some(vtep) = one.vtep else { continue };
        let port = found.entry(&one.port_id).or_insert_with(|| RemotePort {
            mac: one.mac.clone(),
            ips: Vec::new(),
            vtep,
        });
        port.ips.extend(one.ip);
    }
    found.into_values().collect()
}

fn subnet_spec(subnet: &Subnet) -> SubnetSpec {
    let some = |mode: &str| (!mode.is_empty()).then(|| mode.to_owned());
    SubnetSpec {
        id: subnet.id.clone(),
        cidr: subnet.cidr,
        gateway: subnet.gateway,
        dhcp: subnet.enable_dhcp,
        dns: subnet.dns.clone(),
        routes: subnet.routes.clone(),
        ipv6_ra_mode: some(&subnet.ipv6_ra_mode),
        ipv6_address_mode: some(&subnet.ipv6_address_mode),
    }
}

/// A security group as each host is to have it: those with a port of it, and those with a port of a group that names it.
pub(crate) async fn group(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    let group = security_groups::get(&mut Reader::Tx(tx), id).await?;
    let hosts: Vec<String> = tx
        .fetch_all(
            "SELECT p.host FROM ports p JOIN port_groups g ON g.port_id = p.id \
             WHERE p.host <> '' AND g.security_group_id = $1 \
             UNION SELECT p.next_host FROM ports p JOIN port_groups g ON g.port_id = p.id \
             WHERE p.next_host <> '' AND g.security_group_id = $1 \
             UNION SELECT p.host FROM ports p JOIN port_groups g ON g.port_id = p.id \
             JOIN security_group_rules r ON r.security_group_id = g.security_group_id \
             WHERE p.host <> '' AND r.remote_group_id = $1 \
             UNION SELECT p.next_host FROM ports p JOIN port_groups g ON g.port_id = p.id \
             JOIN security_group_rules r ON r.security_group_id = g.security_group_id \
             WHERE p.next_host <> '' AND r.remote_group_id = $1",
            args![id],
        )
        .await?;
    for host in feed::hosts_of(tx, KIND_SECURITY_GROUP, id).await? {
        if group.is_none() || !hosts.contains(&host) {
            feed::withdraw_present(tx, now, place(&host, KIND_SECURITY_GROUP, id)).await?;
        }
    }
    let Some(group) = group.filter(|_| !hosts.is_empty()) else {
        return Ok(());
    };
    let spec = SecurityGroupSpec {
        id: group.id.clone(),
        stateful: group.stateful,
        rules: group
            .rules
            .iter()
            .map(crate::model::security_group::Rule::spec)
            .collect(),
        members: members(tx, id).await?,
    };
    for host in &hosts {
        feed::publish_changed(tx, now, place(host, KIND_SECURITY_GROUP, id), &spec).await?;
    }
    Ok(())
}

struct Member(IpAddr);

impl FromRow for Member {
    fn from_row(row: &Row) -> Result<Self, Error> {
        parsed(row, "ip").map(Self)
    }
}

/// The addresses of a group's members, if some rule asks for them.
async fn members(tx: &mut Tx, id: &str) -> Result<BTreeSet<IpAddr>, Error> {
    let query =
        Where::new("SELECT i.ip FROM port_ips i JOIN port_groups g ON g.port_id = i.port_id")
            .eq("g.security_group_id", id)
            .raw(
                "EXISTS (SELECT 1 FROM security_group_rules r WHERE r.remote_group_id = {})",
                args![id],
            );
    let found: Vec<Member> = tx.fetch_where(&query).await?;
    Ok(found.into_iter().map(|Member(ip)| ip).collect())
}
