//! The range of a new subnet: asked for, or cut from a pool.

use ipnet::IpNet;
use nephos_api::Fault;
use nephos_db::Tx;

use crate::Cx;
use crate::api::allow;
use crate::api::subnet_body::NewSubnet;
use crate::model::address;
use crate::model::refusal::Refusal;
use crate::model::subnet_pool::SubnetPool;
use crate::rules;
use crate::store::{Reader, subnet_pools, subnets};

/// The range that is asked for, or cut from a pool.
pub(super) async fn range(
    cx: &Cx,
    tx: &mut Tx,
    new: &NewSubnet,
    project: &str,
) -> Result<(IpNet, Option<SubnetPool>), Fault> {
    let asked = match &new.cidr {
        None => None,
        Some(text) => Some(
            crate::model::port::parse_range(text)
                .ok_or_else(|| {
                    Refusal::request(format!(
                        "Invalid input for cidr. Reason: '{text}' is not a valid IP subnet."
                    ))
                })?
                .trunc(),
        ),
    };
    let version = new.ip_version.map(|int| int.0);
    if version.is_some_and(|version| version != 4 && version != 6) {
        return Err(Refusal::request(format!(
            "Invalid input for ip_version. Reason: {} is not in [4, 6].",
            version.unwrap_or_default()
        ))
        .into());
    }
    let pool = pool_for(cx, tx, new).await?;
    let Some(pool) = pool else {
        if new.prefixlen.is_some() {
            return Err(Refusal::request("prefixlen can only be given with a subnet pool.").into());
        }
        let Some(cidr) = asked else {
            return Err(Refusal::bad(
                "subnets",
                "a subnetpool must be specified in the absence of a cidr",
            )
            .into());
        };
        let is = i64::from(crate::model::subnet_pool::version(cidr));
        return match version {
            None => Err(Refusal::input("ip_version must be specified").into()),
            Some(version) if version != is => Err(Refusal::input(format!(
                "cidr '{cidr}' does not match the ip_version '{version}'"
            ))
            .into()),
            Some(_) => Ok((cidr, None)),
        };
    };
    if version.is_some_and(|version| version != i64::from(pool.ip_version)) {
        return Err(Refusal::bad(
            "subnets",
            format!(
                "Cannot allocate IPv{} subnet from IPv{} subnet pool",
                version.unwrap_or_default(),
                pool.ip_version
            ),
        )
        .into());
    }
    let cidr = cut(tx, new, (&pool, project), asked).await?;
    Ok((cidr, Some(pool)))
}

async fn pool_for(cx: &Cx, tx: &mut Tx, new: &NewSubnet) -> Result<Option<SubnetPool>, Fault> {
    let default = new.use_default_subnetpool.is_some_and(|flag| flag.0);
    match (&new.subnetpool_id, default) {
        (Some(_), true) => Err(Refusal::bad(
            "subnets",
            "subnetpool_id and use_default_subnetpool cannot both be specified",
        )
        .into()),
        (Some(id), false) => {
            let found = subnet_pools::get(&mut Reader::Tx(tx), id).await?;
            Ok(Some(
                allow(cx, rules::GetSubnetpool, (id.as_str(), found))?.into_inner(),
            ))
        }
        (None, true) => {
            let version = new.ip_version.map_or(4, |int| int.0);
            let version = u8::try_from(version).unwrap_or_default();
            match subnet_pools::default_of(&mut Reader::Tx(tx), version).await? {
                Some(pool) => Ok(Some(pool)),
                None => Err(Refusal::bad(
                    "subnets",
                    format!("No default subnetpool found for IPv{version}",),
                )
                .into()),
            }
        }
        (None, false) => Ok(None),
    }
}

/// Cuts a range from the pool, where it is still free and the project still has a share.
async fn cut(
    tx: &mut Tx,
    new: &NewSubnet,
    (pool, project): (&SubnetPool, &str),
    asked: Option<IpNet>,
) -> Result<IpNet, Fault> {
    let prefixlen = match (asked, new.prefixlen) {
        (Some(_), Some(_)) => {
            return Err(Refusal::bad(
                "subnets",
                "cidr and prefixlen must not be supplied together",
            )
            .into());
        }
        (Some(cidr), None) => cidr.prefix_len(),
        (None, Some(length)) => u8::try_from(length.0).unwrap_or(u8::MAX),
        (None, None) => pool.default_prefixlen,
    };
    if prefixlen < pool.min_prefixlen {
        return Err(Refusal::invalid(
            "MinPrefixSubnetAllocationError",
            format!("Unable to allocate subnet with prefix length {prefixlen}, minimum allowed prefix is {}.", pool.min_prefixlen),
        )
        .into());
    }
    if prefixlen > pool.max_prefixlen {
        return Err(Refusal::invalid(
            "MaxPrefixSubnetAllocationError",
            format!("Unable to allocate subnet with prefix length {prefixlen}, maximum allowed prefix is {}.", pool.max_prefixlen),
        )
        .into());
    }
    let cut = subnets::cut_from(tx, std::slice::from_ref(&pool.id)).await?;
    if let Some(quota) = pool.default_quota {
        let used: i64 = cut
            .iter()
            .filter(|(_, owner)| owner == project)
            .map(|(cidr, _)| pool.cost(cidr.prefix_len()))
            .sum();
        if used.saturating_add(pool.cost(prefixlen)) > quota {
            return Err(Refusal::conflict(
                "SubnetPoolQuotaExceeded",
                "Per-project subnet pool prefix quota exceeded.",
            )
            .into());
        }
    }
    let taken: Vec<IpNet> = cut.into_iter().map(|(cidr, _)| cidr).collect();
    let found = match asked {
        Some(cidr) => Some(cidr).filter(|cidr| {
            pool.prefixes.iter().any(|prefix| prefix.contains(cidr))
                && !taken.iter().any(|used| address::overlap(*used, *cidr))
        }),
        None => pool.cut(prefixlen, &taken),
    };
    found.ok_or_else(|| {
        let what = asked.map_or_else(|| format!("/{prefixlen}"), |cidr| cidr.to_string());
        Refusal::conflict(
            "SubnetAllocationError",
            format!("Failed to allocate subnet: Cannot allocate requested subnet {what} from the available set of prefixes of pool {}.", pool.id),
        )
        .into()
    })
}
