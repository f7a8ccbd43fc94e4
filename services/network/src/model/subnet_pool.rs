//! Pools from which subnets are cut, and the scopes in which pools do not overlap.

use ipnet::IpNet;
use nephos_types::Timestamp;

use crate::model::address;
use crate::model::refusal::Refusal;
use crate::model::sharing::Grants;

/// A pool of prefixes.
#[derive(Clone, Debug)]
pub struct SubnetPool {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// 4 or 6.
    pub ip_version: u8,
    /// The prefixes, compact.
    pub prefixes: Vec<IpNet>,
    /// How long the prefix of a subnet is that asks for none.
    pub default_prefixlen: u8,
    /// The shortest prefix of a subnet.
    pub min_prefixlen: u8,
    /// The longest prefix of a subnet.
    pub max_prefixlen: u8,
    /// How many addresses (IPv4) or /64 (IPv6) a project may have of it.
    pub default_quota: Option<i64>,
    /// The scope it belongs to.
    pub address_scope_id: Option<String>,
    /// Whether it is the pool of those who name none.
    pub is_default: bool,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Who else may use it.
    pub grants: Grants,
    /// Its tags.
    pub tags: Vec<String>,
}

impl SubnetPool {
    /// Refuses lengths that contradict each other.
    ///
    /// # Errors
    /// 400 in Neutron's words.
    pub fn check(&self) -> Result<(), Refusal> {
        let widest = if self.ip_version == 4 { 32 } else { 128 };
        let illegal = |what: &str, value: u8, than: &str, other: u8| {
            Err(Refusal::invalid(
                "IllegalSubnetPoolPrefixBounds",
                format!("Illegal prefix bounds: {what}={value}, {than}={other}."),
            ))
        };
        if self.max_prefixlen > widest {
            return illegal("max_prefixlen", self.max_prefixlen, "widest", widest);
        }
        if self.min_prefixlen > self.max_prefixlen {
            return illegal(
                "min_prefixlen",
                self.min_prefixlen,
                "max_prefixlen",
                self.max_prefixlen,
            );
        }
        if self.default_prefixlen < self.min_prefixlen {
            return illegal(
                "default_prefixlen",
                self.default_prefixlen,
                "min_prefixlen",
                self.min_prefixlen,
            );
        }
        if self.default_prefixlen > self.max_prefixlen {
            return illegal(
                "default_prefixlen",
                self.default_prefixlen,
                "max_prefixlen",
                self.max_prefixlen,
            );
        }
        let foreign = self
            .prefixes
            .iter()
            .any(|prefix| version(*prefix) != self.ip_version);
        if foreign {
            return Err(Refusal::invalid(
                "PrefixVersionMismatch",
                "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.",
            ));
        }
        Ok(())
    }

    /// How much of the quota a subnet uses.
    #[must_use]
    pub fn cost(&self, prefixlen: u8) -> i64 {
        let unit = if self.ip_version == 4 { 32 } else { 64 };
        1_i64
            .checked_shl(u32::from(unit.max(prefixlen) - prefixlen))
            .unwrap_or(i64::MAX)
    }

    /// The first free range of this length.
    #[must_use]
    pub fn cut(&self, prefixlen: u8, taken: &[IpNet]) -> Option<IpNet> {
        self.prefixes
            .iter()
            .filter(|prefix| prefix.prefix_len() <= prefixlen)
            .find_map(|prefix| first_free(*prefix, prefixlen, taken))
    }
}

/// The first range of this length in `within` that meets none of `taken`, which is found without trying every one.
fn first_free(within: IpNet, prefixlen: u8, taken: &[IpNet]) -> Option<IpNet> {
    let size = 1_u128.checked_shl(u32::from(within.max_prefix_len() - prefixlen))?;
    let (mut at, last) = (
        address::number(within.network()),
        address::number(within.broadcast()),
    );
    while at <= last {
        let candidate = IpNet::new(address::nth(within.network(), at), prefixlen).ok()?;
        let blocking = taken
            .iter()
            .filter(|used| address::overlap(**used, candidate))
            .map(|used| address::number(used.broadcast()))
            .max();
        match blocking {
            None => return Some(candidate),
            Some(end) => {
                let next = end.checked_add(1)?;
                at = next.div_ceil(size).checked_mul(size)?;
            }
        }
    }
    None
}

/// 4 or 6.
#[must_use]
pub const fn version(prefix: IpNet) -> u8 {
    match prefix {
        IpNet::V4(_) => 4,
        IpNet::V6(_) => 6,
    }
}

/// A scope in which addresses are used once.
#[derive(Clone, Debug)]
pub struct AddressScope {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// Its name.
    pub name: String,
    /// 4 or 6.
    pub ip_version: u8,
    /// Who else may use it.
    pub grants: Grants,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(within: &str, prefixlen: u8, taken: &[&str], expected: Option<&str>) {
        let taken: Vec<IpNet> = taken.iter().map(|text| text.parse().unwrap()).collect();
        let found = first_free(within.parse().unwrap(), prefixlen, &taken);
        assert_eq!(found.map(|net| net.to_string()).as_deref(), expected);
    }

    #[test]
    fn the_first_free_range_is_found() {
        check("10.0.0.0/8", 24, &[], Some("10.0.0.0/24"));
        check(
            "10.0.0.0/8",
            24,
            &["10.0.0.0/24", "10.0.1.0/25"],
            Some("10.0.2.0/24"),
        );
        check("10.0.0.0/24", 25, &["10.0.0.128/25"], Some("10.0.0.0/25"));
        check("10.0.0.0/24", 24, &["10.0.0.7/32"], None);
        check("10.0.0.0/8", 24, &["10.0.0.0/9"], Some("10.128.0.0/24"));
        check(
            "2001:db8::/32",
            64,
            &["2001:db8::/64"],
            Some("2001:db8:0:1::/64"),
        );
    }
}
