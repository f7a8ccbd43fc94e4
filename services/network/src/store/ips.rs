//! Addresses of ports. The primary key decides who has an address; everything else here only proposes.

use std::collections::HashMap;
use std::net::IpAddr;

use nephos_db::{Error as DbError, FromRow, Row, Tx, Where, args};

use crate::model::address;
use crate::model::port::{FixedIp, Port};
use crate::model::refusal::Refusal;
use crate::model::subnet::Subnet;
use crate::store::runs::Runs;
use crate::store::{Reader, Result, parsed};

/// One address with its owner.
#[derive(Clone, Debug)]
pub(crate) struct PortIp {
    pub port_id: String,
    pub fixed: FixedIp,
}

impl FromRow for PortIp {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            port_id: row.get("port_id")?,
            fixed: FixedIp {
                subnet_id: row.get("subnet_id")?,
                ip_address: parsed(row, "ip")?,
            },
        })
    }
}

/// The addresses of these ports.
pub(crate) async fn of(
    reader: &mut Reader<'_>,
    ports: &[String],
) -> Result<HashMap<String, Vec<FixedIp>>, DbError> {
    let query = |ports: &[String]| {
        Where::new("SELECT port_id, subnet_id, ip FROM port_ips")
            .in_("port_id", ports)
            .tail("ORDER BY port_id, place")
    };
    let mut found: HashMap<String, Vec<FixedIp>> = HashMap::new();
    for PortIp { port_id, fixed } in reader.find_for::<PortIp>(ports, query).await? {
        found.entry(port_id).or_default().push(fixed);
    }
    Ok(found)
}

/// Where an address belongs: its subnet, the port, and its place among the port's addresses.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    pub subnet: &'a Subnet,
    pub port: &'a Port,
    pub place: usize,
}

/// Gives exactly this address, unless somebody has it; says whether.
pub(crate) async fn take(tx: &mut Tx, spot: Spot<'_>, ip: IpAddr) -> Result<bool, DbError> {
    let made = tx
        .exec(
            "INSERT INTO port_ips (subnet_id, ip_key, ip, port_id, network_id, place) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (subnet_id, ip_key) DO NOTHING",
            args![
                spot.subnet.id,
                address::key(ip),
                ip.to_string(),
                spot.port.id,
                spot.port.network_id,
                spot.place,
            ],
        )
        .await?;
    Ok(made > 0)
}

/// Gives exactly this address.
pub(crate) async fn take_this(tx: &mut Tx, spot: Spot<'_>, ip: IpAddr) -> Result<FixedIp> {
    if !take(tx, spot, ip).await? {
        return Err(Refusal::conflict(
            "IpAddressAlreadyAllocated",
            format!(
                "IP address {ip} already allocated in subnet {}",
                spot.subnet.id
            ),
        )
        .into());
    }
    Ok(FixedIp {
        subnet_id: spot.subnet.id.clone(),
        ip_address: ip,
    })
}

/// Gives the next free address of the subnet's pools; none when all are in use.
///
/// The cursor goes round the pools, so that an address that was given back is not given again at once.
pub(crate) async fn take_next(
    tx: &mut Tx,
    runs: &Runs,
    spot: Spot<'_>,
) -> Result<Option<FixedIp>, DbError> {
    const TRIES: u32 = 4;
    let fixed = |ip_address| FixedIp {
        subnet_id: spot.subnet.id.clone(),
        ip_address,
    };
    for _ in 0..TRIES {
        let place = runs.next(tx, spot.subnet).await?;
        let place = u128::try_from(place).unwrap_or_default();
        let Some(ip) = address::at(&spot.subnet.pools, place) else {
            return Ok(None);
        };
        if take(tx, spot, ip).await? {
            return Ok(Some(fixed(ip)));
        }
    }
    // Only crowded subnets come here, and crowded ones are small enough to be read.
    let used: Vec<String> = tx
        .fetch_all(
            "SELECT ip_key FROM port_ips WHERE subnet_id = $1 ORDER BY ip_key",
            args![spot.subnet.id],
        )
        .await?;
    let used: std::collections::HashSet<String> = used.into_iter().collect();
    let total = address::total(&spot.subnet.pools).min(used.len() as u128 + 1);
    for place in 0..total {
        let Some(ip) = address::at(&spot.subnet.pools, place) else {
            break;
        };
        if !used.contains(&address::key(ip)) && take(tx, spot, ip).await? {
            return Ok(Some(fixed(ip)));
        }
    }
    Ok(None)
}

/// Gives an address back.
pub(crate) async fn give(tx: &mut Tx, port: &str, fixed: &FixedIp) -> Result<(), DbError> {
    tx.exec(
        "DELETE FROM port_ips WHERE port_id = $1 AND subnet_id = $2 AND ip_key = $3",
        args![port, fixed.subnet_id, address::key(fixed.ip_address)],
    )
    .await?;
    Ok(())
}

/// Gives all addresses of a port back.
pub(crate) async fn give_all(tx: &mut Tx, port: &str) -> Result<(), DbError> {
    tx.exec("DELETE FROM port_ips WHERE port_id = $1", args![port])
        .await?;
    Ok(())
}

/// Refuses to touch a gateway that a router's port has.
pub(crate) async fn owner(
    tx: &mut Tx,
    subnet: &str,
    ip: IpAddr,
) -> Result<Option<String>, DbError> {
    tx.fetch_opt(
        "SELECT port_id FROM port_ips WHERE subnet_id = $1 AND ip_key = $2",
        args![subnet, address::key(ip)],
    )
    .await
}

/// Addresses whose port is gone; there should be none.
pub(crate) async fn orphans(db: &nephos_db::Db) -> Result<Vec<PortIp>, DbError> {
    db.fetch_all(
        "SELECT i.port_id, i.subnet_id, i.ip FROM port_ips i LEFT JOIN ports p ON p.id = i.port_id \
         WHERE p.id IS NULL",
        args![],
    )
    .await
}
