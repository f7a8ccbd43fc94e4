//! Where ports are, and who is in security groups: entries of lists that many hosts read, one per port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use nephos_db::{Error, FromRow, Row, Tx, Where};
use nephos_ops::feed::lists::{self, Edit, List};
use nephos_types::Timestamp;

use crate::model::spec::{KIND_MEMBER, KIND_REMOTE_PORT, MemberSpec, RemotePort};
use crate::store::publish::FEED;
use crate::store::{Pair, Reader, Result, ips, parsed_opt};

/// Where the ports of a network are.
pub(crate) const fn ports_of(network: &str) -> List<'_> {
    List {
        kind: KIND_REMOTE_PORT,
        id: network,
    }
}

/// Who is in a security group.
pub(crate) const fn members_of(group: &str) -> List<'_> {
    List {
        kind: KIND_MEMBER,
        id: group,
    }
}

/// Writes what hosts are to know of these ports.
pub(crate) async fn of_ports(tx: &mut Tx, now: Timestamp, ports: &[String]) -> Result<(), Error> {
    let edit = edit(tx, now).await?;
    write(tx, &edit, ports).await?;
    Ok(())
}

/// With what a guarded transaction begins that [`write`]s.
pub(crate) async fn edit(tx: &mut Tx, now: Timestamp) -> Result<Edit, Error> {
    Edit::begin(tx, FEED, now).await
}

/// Writes what hosts are to know of these ports; gives the ids of the lists that have changed.
pub(crate) async fn write(
    tx: &mut Tx,
    edit: &Edit,
    ports: &[String],
) -> Result<BTreeSet<String>, Error> {
    let wanted = wanted(tx, ports).await?;
    let mut changed = BTreeSet::new();
    for there in lists::named(tx, ports).await? {
        let key = (there.list, there.name);
        let still = match there.kind.as_str() {
            KIND_REMOTE_PORT => wanted.remote.contains_key(&key),
            KIND_MEMBER => wanted.members.contains_key(&key),
            _of_others => true,
        };
        if !still {
            let list = List {
                kind: &there.kind,
                id: &key.0,
            };
            edit.remove(tx, list, &key.1).await?;
            changed.insert(key.0);
        }
    }
    for ((network, port), spec) in &wanted.remote {
        if edit.set(tx, (ports_of(network), port), spec).await? {
            changed.insert(network.clone());
        }
    }
    for ((group, port), spec) in &wanted.members {
        if edit.set(tx, (members_of(group), port), spec).await? {
            changed.insert(group.clone());
        }
    }
    Ok(changed)
}

/// Entries by list and port.
#[derive(Default)]
struct Wanted {
    remote: BTreeMap<(String, String), RemotePort>,
    members: BTreeMap<(String, String), MemberSpec>,
}

async fn wanted(tx: &mut Tx, ports: &[String]) -> Result<Wanted, Error> {
    let plugged = Where::new(
        "SELECT p.id, p.network_id, p.mac, h.vtep FROM ports p JOIN hosts h ON h.host = p.host",
    );
    let plugged: Vec<Plugged> = tx.fetch_where(&plugged.in_("p.id", ports)).await?;
    // Of groups that no rule names nobody asks who is in them.
    let groups = Where::new("SELECT port_id AS a, security_group_id AS b FROM port_groups")
        .in_("port_id", ports)
        .raw(
            "EXISTS (SELECT 1 FROM security_group_rules r WHERE r.remote_group_id = port_groups.security_group_id)",
            Vec::new(),
        );
    let groups: Vec<Pair> = tx.fetch_where(&groups).await?;
    let addresses = ips::of(&mut Reader::Tx(tx), ports).await?;
    let ips_of = |port: &str| -> Vec<IpAddr> {
        let fixed = addresses.get(port).into_iter().flatten();
        fixed.map(|fixed| fixed.ip_address).collect()
    };
    let mut wanted = Wanted::default();
    for one in plugged {
        let Some(vtep) = one.vtep else { continue };
        let spec = RemotePort {
            mac: one.mac,
            ips: ips_of(&one.port),
            vtep,
        };
        wanted.remote.insert((one.network, one.port), spec);
    }
    for Pair(port, group) in groups {
        let ips = ips_of(&port);
        wanted.members.insert((group, port), MemberSpec { ips });
    }
    Ok(wanted)
}

/// A port that is plugged in somewhere.
struct Plugged {
    port: String,
    network: String,
    mac: String,
    vtep: Option<IpAddr>,
}

impl FromRow for Plugged {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            port: row.get("id")?,
            network: row.get("network_id")?,
            mac: row.get("mac")?,
            vtep: parsed_opt(row, "vtep")?,
        })
    }
}
