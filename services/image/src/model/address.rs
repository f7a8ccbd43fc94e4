//! Where `web-download` may go: public addresses at the usual ports, and what the operator names.
//!
//! A cloud's own network is full of services that trust whoever reaches them. An address that is not plainly public
//! is refused, whatever name it was found under.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports of the web.
const PORTS: [u16; 2] = [80, 443];

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub scheme: String,
    pub host: String,
    pub port: u16,
    /// Whether the URL carries a name or a password.
    pub has_credentials: bool,
}

impl Destination {
    /// Whether the operator named it, so that its address does not matter.
    pub(crate) fn is_named(&self, named: &[String]) -> bool {
        let with_port = format!("{}:{}", self.host, self.port);
        named.iter().any(|name| {
            name.eq_ignore_ascii_case(&self.host) || name.eq_ignore_ascii_case(&with_port)
        })
    }

    /// What can be said before any name is looked up; an address in the URL is judged at once.
    pub(crate) fn check(&self, named: &[String]) -> Result<(), &'static str> {
        if !["http", "https"].contains(&self.scheme.as_str()) {
            return Err("its scheme is neither http nor https");
        }
        if self.has_credentials {
            return Err("it carries credentials");
        }
        if self.host.is_empty() {
            return Err("it has no host");
        }
        if self.is_named(named) {
            return Ok(());
        }
        if !PORTS.contains(&self.port) {
            return Err("its port is neither 80 nor 443");
        }
        let literal = self.host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse::<IpAddr>() {
            Ok(address) if !is_public(address) => Err("its address is not public"),
            _public_or_a_name => Ok(()),
        }
    }
}

/// Whether an address is one of the public internet's hosts.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // carrier NAT, protocol assignments, 6to4 relays, benchmarks
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out; what carries another address inside is judged by that or refused.
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    // Teredo and other protocols' own, documentation, 6to4, documentation again.
    let special = match first {
        0x2001 => second < 0x0200 || second == 0x0db8,
        0x2002 => true,
        0x3fff => second < 0x1000,
        _plain => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, public: bool) {
        assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
    }

    #[test]
    fn what_is_inside_is_not_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::7f00:1",
        ] {
            check(inside, false);
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "198.51.99.1",
        ] {
            check(public, true);
        }
    }

    #[test]
    fn a_destination_is_checked_before_anything_is_asked() {
        let to = |scheme: &str, host: &str, port| Destination {
            scheme: scheme.into(),
            host: host.into(),
            port,
            has_credentials: false,
        };
        let named = ["127.0.0.1:8080".to_owned(), "mirror.lan".to_owned()];
        assert!(to("http", "example.org", 80).check(&named).is_ok());
        assert!(to("https", "example.org", 443).check(&named).is_ok());
        assert!(to("http", "127.0.0.1", 8080).check(&named).is_ok());
        assert!(to("http", "MIRROR.lan", 9999).check(&named).is_ok());
        for refused in [
            to("file", "example.org", 80),
            to("http", "127.0.0.1", 80),
            to("http", "[::1]", 80),
            to("http", "example.org", 22),
            to("http", "127.0.0.1", 8081),
            to("http", "", 80),
            Destination {
                has_credentials: true,
                ..to("http", "example.org", 80)
            },
        ] {
            assert!(refused.check(&named).is_err(), "{refused:?}");
        }
    }
}
