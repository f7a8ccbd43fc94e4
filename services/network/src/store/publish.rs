//! What hosts are told of networks, ports and security groups.
//!
//! Every function looks at the tables and writes what follows; called again, it changes nothing. A port's own document
//! and whatever its host has not been told yet are written with the change. Where ports are and who is in a group are
//! entries of lists ([`entries`](super::entries)), and what a host may want no more is found out a moment later: who makes
//! a port reads nothing of other ports, and so is in nobody's way.

use std::collections::BTreeSet;

use nephos_db::{Error, Tx, args};
use nephos_ops::feed::{self, Place, Telling, lists};
use nephos_types::Timestamp;

use crate::model::network::Network;
use crate::model::port::{FixedIp as FixedIpOfPort, Port};
use crate::model::spec::{
    AddressPair, DhcpOption, FixedIp, KIND_NETWORK, KIND_PORT, KIND_SECURITY_GROUP, Limits,
    NetworkSpec, PortSpec, SecurityGroupSpec, SubnetSpec,
};
use crate::model::subnet::Subnet;
use crate::store::trunks::Placed;
use crate::store::{
    Reader, Result, entries, networks, qos, security_groups, stale, subnets, trunks,
};

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
        stale::left(tx, now, (KIND_NETWORK, &any.network_id), left).await?;
    }
    if new_hosts.is_empty() && !old_hosts.is_empty() {
        feed::forget(tx, KIND_PORT, &any.id).await?;
    }
    let mut marks = Vec::new();
    for host in &new_hosts {
        let of_guests = after.filter(|port| !port.is_router());
        marks.extend(to_host(tx, now, host, (of_guests, &any.network_id)).await?);
    }
    groups_left(tx, now, before, after).await?;
    // A guest that runs on elsewhere is not to be looked for where it was until somebody gets round to it.
    let arrived = |before: &Port, after: &Port| {
        !before.next_host.is_empty() && before.next_host == after.host
    };
    let moves = reach(before) != reach(after);
    let at_once = before.zip(after).is_some_and(|(b, a)| arrived(b, a));
    if moves && !at_once {
        marks.push((KIND_PORT, any.id.clone()));
    }
    let marks: Vec<(&str, &str)> = marks
        .iter()
        .map(|(kind, id)| (*kind, id.as_str()))
        .collect();
    stale::mark_all(tx, now, &marks).await?;
    if moves && at_once {
        return entries::of_ports(tx, now, std::slice::from_ref(&any.id)).await;
    }
    Ok(())
}

/// What is to be looked at once more when this is committed: kind and id.
type Marks = Vec<(&'static str, String)>;

/// Tells a host of a port, if it is one of a guest, and of its groups and its network as far as it does not know them.
async fn to_host(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    (port, network): (Option<&Port>, &str),
) -> Result<Marks, Error> {
    let groups = port.map_or(&[][..], |port| &port.security_groups);
    let ids = port.map(|port| port.id.as_str()).into_iter();
    let ids: Vec<&str> = ids
        .chain([network])
        .chain(groups.iter().map(String::as_str))
        .collect();
    let mut telling = Telling::begin(tx, now, (FEED, host), &ids).await?;
    let mut marks = Vec::new();
    if let Some(port) = port {
        let limits = qos::limits_of(tx, port).await?;
        let trunk = trunks::place_of(tx, port).await?;
        telling.want(KIND_PORT, &port.id, &port_spec(port, limits, trunk))?;
    }
    for group in groups {
        marks.extend(add_group(tx, &mut telling, group).await?);
    }
    if !telling.knows(KIND_NETWORK, network)
        && let Some(spec) = network_spec(tx, network).await?
    {
        telling.want(KIND_NETWORK, network, &spec)?;
        telling.read(entries::ports_of(network));
        // Whoever changes the network meanwhile does not see yet that this host knows it.
        marks.push((KIND_NETWORK, network.to_owned()));
    }
    telling.end(tx).await?;
    Ok(marks)
}

/// Tells a host of a security group and of the groups that its rules name, if it does not know it.
async fn add_group(tx: &mut Tx, telling: &mut Telling<'_>, id: &str) -> Result<Marks, Error> {
    let mut marks = Vec::new();
    let mut wanted = vec![id.to_owned()];
    while let Some(id) = wanted.pop() {
        if telling.knows(KIND_SECURITY_GROUP, &id) {
            continue;
        }
        let Some(spec) = group_spec(tx, &id).await? else {
            continue;
        };
        telling.want(KIND_SECURITY_GROUP, &id, &spec)?;
        telling.read(entries::members_of(&id));
        if marks.is_empty() {
            // Of groups that are only named, what they name is not wanted.
            let named: BTreeSet<String> = spec
                .rules
                .into_iter()
                .filter_map(|r| r.remote_group)
                .collect();
            wanted.extend(named.into_iter().filter(|named| *named != id));
            let ids: Vec<&str> = wanted.iter().map(String::as_str).collect();
            if !ids.is_empty() {
                telling.look(tx, &ids).await?;
            }
        }
        marks.push((KIND_SECURITY_GROUP, id));
    }
    Ok(marks)
}

/// What entries of lists say of a port.
fn reach(port: Option<&Port>) -> Option<(&str, &str, &[FixedIpOfPort], &[String])> {
    port.map(|port| {
        (
            port.host.as_str(),
            port.mac.as_str(),
            port.fixed_ips.as_slice(),
            port.security_groups.as_slice(),
        )
    })
}

/// Marks the groups that hosts may want no more since a port is gone from them, or from the group.
async fn groups_left(
    tx: &mut Tx,
    now: Timestamp,
    before: Option<&Port>,
    after: Option<&Port>,
) -> Result<(), Error> {
    let Some(before) = before else {
        return Ok(());
    };
    let new_hosts = hosts_of(after);
    let kept = after.map_or(&[][..], |after| &after.security_groups);
    for host in hosts_of(Some(before)) {
        let stays = new_hosts.contains(&host);
        for group in &before.security_groups {
            if stays && kept.contains(group) {
                continue;
            }
            stale::left(tx, now, (KIND_SECURITY_GROUP, group), &host).await?;
            for remote in remote_groups(tx, group).await? {
                stale::left(tx, now, (KIND_SECURITY_GROUP, &remote), &host).await?;
            }
        }
    }
    Ok(())
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

/// Tells the hosts of a guest's port what it is now.
pub(crate) async fn port_again(tx: &mut Tx, now: Timestamp, port: &Port) -> Result<(), Error> {
    let limits = qos::limits_of(tx, port).await?;
    let trunk = trunks::place_of(tx, port).await?;
    let spec = port_spec(port, limits, trunk);
    for host in hosts_of(Some(port)) {
        let spot = place(&host, KIND_PORT, &port.id);
        feed::publish_changed(tx, now, spot, &spec).await?;
    }
    Ok(())
}

fn port_spec(port: &Port, limits: Limits, trunk: Option<Placed>) -> PortSpec {
    // For who asks for data of its own, a subport is the guest's that has the trunk.
    let (device_id, trunk) = match trunk {
        Some(Placed { trunk, device_id }) => (device_id, Some(trunk)),
        None => (port.device_id.clone(), None),
    };
    PortSpec {
        id: port.id.clone(),
        network_id: port.network_id.clone(),
        project_id: port.project_id.clone(),
        device_id,
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
        limits,
        space: port.has_space(),
        trunk,
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

/// Tells a host of a network, if it does not know it.
pub(crate) async fn ensure_network(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    id: &str,
) -> Result<(), Error> {
    if is_told(tx, host, KIND_NETWORK, id).await? {
        return Ok(());
    }
    if let Some(spec) = network_spec(tx, id).await? {
        feed::publish_changed(tx, now, place(host, KIND_NETWORK, id), &spec).await?;
        lists::join(tx, host, entries::ports_of(id)).await?;
        // Whoever changes the network meanwhile does not see yet that this host knows it.
        stale::mark(tx, now, KIND_NETWORK, id).await?;
    }
    Ok(())
}

/// Tells a host of a security group.
async fn group_on(tx: &mut Tx, now: Timestamp, host: &str, id: &str) -> Result<(), Error> {
    if let Some(spec) = group_spec(tx, id).await? {
        feed::publish_changed(tx, now, place(host, KIND_SECURITY_GROUP, id), &spec).await?;
        lists::join(tx, host, entries::members_of(id)).await?;
        stale::mark(tx, now, KIND_SECURITY_GROUP, id).await?;
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

/// A network has changed or is gone: every host that knows it is told, and a moment later who came to know it meanwhile.
pub(crate) async fn network(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    network_again(tx, now, id).await?;
    stale::mark(tx, now, KIND_NETWORK, id).await
}

/// Tells every host that knows a network what it is now.
pub(crate) async fn network_again(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    let Some(spec) = network_spec(tx, id).await? else {
        for host in feed::hosts_of(tx, KIND_NETWORK, id).await? {
            feed::withdraw_present(tx, now, place(&host, KIND_NETWORK, id)).await?;
            lists::leave(tx, &host, entries::ports_of(id)).await?;
        }
        return Ok(());
    };
    for host in feed::hosts_told_else(tx, KIND_NETWORK, id, &spec).await? {
        feed::publish_changed(tx, now, place(&host, KIND_NETWORK, id), &spec).await?;
    }
    Ok(())
}

async fn network_spec(tx: &mut Tx, id: &str) -> Result<Option<NetworkSpec>, Error> {
    let query = networks::query().eq("id", id);
    let Some(network) = Reader::Tx(tx).find::<Network>(&query).await?.pop() else {
        return Ok(None);
    };
    let subnets = subnets::of_network(&mut Reader::Tx(tx), id).await?;
    Ok(Some(NetworkSpec {
        id: network.id.clone(),
        project_id: network.project_id.clone(),
        segment: network.segment(),
        mtu: network.mtu,
        subnets: subnets.iter().map(subnet_spec).collect(),
    }))
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

/// A security group has changed or is gone: every host that knows it is told, and a moment later who came to know it
/// meanwhile. Then it is looked at, too, whether rules name it, and so its members are told.
pub(crate) async fn group(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    group_again(tx, now, id).await?;
    stale::mark(tx, now, KIND_SECURITY_GROUP, id).await
}

/// Tells every host that knows a security group what it is now, also of the groups that its rules name.
pub(crate) async fn group_again(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    let Some(spec) = group_spec(tx, id).await? else {
        for host in feed::hosts_of(tx, KIND_SECURITY_GROUP, id).await? {
            feed::withdraw_present(tx, now, place(&host, KIND_SECURITY_GROUP, id)).await?;
            lists::leave(tx, &host, entries::members_of(id)).await?;
        }
        return Ok(());
    };
    for host in feed::hosts_told_else(tx, KIND_SECURITY_GROUP, id, &spec).await? {
        feed::publish_changed(tx, now, place(&host, KIND_SECURITY_GROUP, id), &spec).await?;
    }
    for remote in remote_groups(tx, id).await? {
        for host in feed::hosts_without(tx, KIND_SECURITY_GROUP, (id, &remote)).await? {
            group_on(tx, now, &host, &remote).await?;
        }
    }
    Ok(())
}

/// A rule named a group and does no more: hosts may know it for that rule alone.
pub(crate) async fn unnamed(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Error> {
    for host in feed::hosts_of(tx, KIND_SECURITY_GROUP, id).await? {
        stale::left(tx, now, (KIND_SECURITY_GROUP, id), &host).await?;
    }
    stale::mark(tx, now, KIND_SECURITY_GROUP, id).await
}

async fn group_spec(tx: &mut Tx, id: &str) -> Result<Option<SecurityGroupSpec>, Error> {
    let query = security_groups::query().eq("id", id);
    let group = security_groups::with_rules(&mut Reader::Tx(tx), &query)
        .await?
        .pop();
    Ok(group.map(|group| SecurityGroupSpec {
        id: group.id.clone(),
        stateful: group.stateful,
        rules: group
            .rules
            .iter()
            .map(crate::model::security_group::Rule::spec)
            .collect(),
    }))
}

/// Takes a document from a host that wants it no more. Nobody tells the host of a port in between: the transaction holds
/// it first.
pub(crate) async fn drop_unwanted(
    tx: &mut Tx,
    now: Timestamp,
    (kind, id): (&'static str, &str),
    host: &str,
) -> Result<(), Error> {
    let (sql, list) = match kind {
        KIND_NETWORK => (NETWORK_WANTED, entries::ports_of(id)),
        _security_group => (GROUP_WANTED, entries::members_of(id)),
    };
    let wanted: i64 = tx.fetch_scalar(sql, args![id, host]).await?;
    if wanted == 0 {
        feed::withdraw_present(tx, now, place(host, kind, id)).await?;
        lists::leave(tx, host, list).await?;
    }
    Ok(())
}

const NETWORK_WANTED: &str =
    "SELECT COUNT(*) FROM ports WHERE network_id = $1 AND (host = $2 OR next_host = $2)";
/// Some port there has it, or has a group whose rules name it.
const GROUP_WANTED: &str = "SELECT COUNT(*) FROM ports p JOIN port_groups g ON g.port_id = p.id \
     WHERE (p.host = $2 OR p.next_host = $2) AND (g.security_group_id = $1 OR EXISTS \
     (SELECT 1 FROM security_group_rules r WHERE r.security_group_id = g.security_group_id AND r.remote_group_id = $1))";
