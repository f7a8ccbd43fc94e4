//! Listeners: where a load balancer answers.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{Fields, missing};
use super::refusal::Refusal;
use super::spec::Timeouts;

/// What only listeners have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listener {
    /// `HTTP`, `HTTPS` (not looked into) or `TCP`.
    pub protocol: String,
    pub protocol_port: u16,
    /// −1: as many as the host gives.
    pub connection_limit: i64,
    pub default_pool_id: Option<String>,
    pub insert_headers: Vec<(String, String)>,
    pub timeout_client_data: u32,
    pub timeout_member_connect: u32,
    pub timeout_member_data: u32,
    pub timeout_tcp_inspect: u32,
    pub allowed_cidrs: Vec<String>,
}

/// Fields that only new listeners have.
pub(crate) const NEW: &[&str] = &[
    "loadbalancer_id",
    "protocol",
    "protocol_port",
    "project_id",
    "tenant_id",
    "default_pool",
    "l7policies",
];
/// Fields that can change.
pub(crate) const CHANGE: &[&str] = &[
    "connection_limit",
    "default_pool_id",
    "insert_headers",
    "timeout_client_data",
    "timeout_member_connect",
    "timeout_member_data",
    "timeout_tcp_inspect",
    "allowed_cidrs",
    // Of TLS, which is not offered: their defaults are taken.
    "default_tls_container_ref",
    "sni_container_refs",
    "client_ca_tls_container_ref",
    "client_authentication",
    "client_crl_container_ref",
    "tls_ciphers",
    "tls_versions",
    "alpn_protocols",
    "hsts_max_age",
    "hsts_include_subdomains",
    "hsts_preload",
];
/// What Octavia's listeners speak.
const PROTOCOLS: &[&str] = &[
    "HTTP",
    "HTTPS",
    "PROMETHEUS",
    "SCTP",
    "TCP",
    "TERMINATED_HTTPS",
    "UDP",
];
/// Those that are offered.
const OFFERED: &[&str] = &["HTTP", "HTTPS", "TCP"];
/// The headers that a listener may insert.
const HEADERS: &[&str] = &["X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"];
/// Most ranges of addresses that a listener answers.
const MAX_RANGES: usize = 100;
/// The longest timeout, in milliseconds: haproxy's, which is 24 days. Octavia's own bound is a year, and its haproxy refuses
/// what is longer than this.
pub(crate) const MAX_TIMEOUT: u32 = 2_147_483_647;
/// The most connections.
const MAX_CONNECTIONS: i64 = 2_147_483_647;
/// The port range.
pub(crate) const PORTS: (i64, i64) = (1, 65535);

/// Whether a listener of a protocol can use pools of another.
pub(crate) fn takes_pool(listener: &str, pool: &str) -> bool {
    let fine: &[&str] = match listener {
        "HTTP" => &["HTTP", "PROXY", "PROXYV2"],
        "HTTPS" => &["HTTPS", "PROXY", "PROXYV2", "TCP"],
        "TCP" => &["HTTP", "HTTPS", "PROXY", "PROXYV2", "TCP"],
        _none => &[],
    };
    fine.contains(&pool)
}

impl Listener {
    /// A new one; `default_pool_id` is looked up by whoever knows the pools.
    pub(crate) fn new(fields: Fields<'_>, vips: &[IpAddr]) -> Result<Self, Refusal> {
        let protocol = fields.word("protocol", PROTOCOLS)?;
        let protocol = protocol.ok_or_else(|| missing("protocol"))?;
        if !OFFERED.contains(&protocol.as_str()) {
            return Err(Refusal::unsupported(format!(
                "listeners of protocol {protocol}; HTTP, HTTPS and TCP are offered"
            )));
        }
        let port = fields.needed_number("protocol_port", PORTS)?;
        let defaults = Timeouts::default();
        let mut new = Self {
            protocol,
            protocol_port: u16::try_from(port).unwrap_or(u16::MAX),
            connection_limit: -1,
            default_pool_id: None,
            insert_headers: Vec::new(),
            timeout_client_data: defaults.client_data,
            timeout_member_connect: defaults.member_connect,
            timeout_member_data: defaults.member_data,
            timeout_tcp_inspect: defaults.tcp_inspect,
            allowed_cidrs: Vec::new(),
        };
        new.change(fields, vips)?;
        Ok(new)
    }

    /// Takes in what a body changes; null stands for the default.
    pub(crate) fn change(&mut self, fields: Fields<'_>, vips: &[IpAddr]) -> Result<(), Refusal> {
        no_tls(fields)?;
        if fields.has("connection_limit") {
            let limit = fields.number("connection_limit", (-1, MAX_CONNECTIONS))?;
            self.connection_limit = limit.unwrap_or(-1);
            if self.connection_limit == 0 {
                return Err(Refusal::option(0, "connection_limit"));
            }
        }
        if fields.has("default_pool_id") {
            self.default_pool_id = fields.uuid("default_pool_id")?;
        }
        if fields.has("insert_headers") {
            self.insert_headers = insert_headers(fields, &self.protocol)?;
        }
        let defaults = Timeouts::default();
        for (key, field, default) in [
            (
                "timeout_client_data",
                &mut self.timeout_client_data,
                defaults.client_data,
            ),
            (
                "timeout_member_connect",
                &mut self.timeout_member_connect,
                defaults.member_connect,
            ),
            (
                "timeout_member_data",
                &mut self.timeout_member_data,
                defaults.member_data,
            ),
            (
                "timeout_tcp_inspect",
                &mut self.timeout_tcp_inspect,
                defaults.tcp_inspect,
            ),
        ] {
            if fields.has(key) {
                let given = fields.number(key, (0, i64::from(MAX_TIMEOUT)))?;
                *field = given.map_or(default, |given| u32::try_from(given).unwrap_or(u32::MAX));
            }
        }
        if fields.has("allowed_cidrs") {
            self.allowed_cidrs = allowed_cidrs(fields, vips)?;
        }
        Ok(())
    }

    /// Whether it inserts a header.
    pub(crate) fn inserts(&self, header: &str) -> bool {
        let mut all = self.insert_headers.iter();
        all.any(|(name, value)| name == header && super::body::truth(value) == Some(true))
    }
}

/// Refuses what only TLS at the listener would give a meaning.
fn no_tls(fields: Fields<'_>) -> Result<(), Refusal> {
    let asked = CHANGE
        .iter()
        .filter(|key| {
            ["tls", "sni", "client_a", "client_c", "alpn", "hsts"]
                .iter()
                .any(|begin| key.contains(begin))
        })
        .find(|key| match fields.get(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::String(text)) => !text.is_empty() && text != "NONE",
            Some(_other) => true,
        });
    match asked {
        Some(key) => Err(Refusal::unsupported(format!(
            "{key}: listeners do not end TLS; HTTPS and TCP hand it through"
        ))),
        None => Ok(()),
    }
}

fn insert_headers(fields: Fields<'_>, protocol: &str) -> Result<Vec<(String, String)>, Refusal> {
    let Some(value) = fields.get("insert_headers") else {
        return Ok(Vec::new());
    };
    let given = value
        .as_object()
        .ok_or_else(|| Refusal::input("insert_headers", value, "It must be an object."))?;
    if !given.is_empty() && protocol != "HTTP" {
        return Err(Refusal::option(
            "insert-headers",
            &format!("a {protocol} protocol listener."),
        ));
    }
    let mut all = Vec::new();
    for (name, value) in given {
        if !HEADERS.contains(&name.as_str()) {
            return Err(Refusal::option(format!("['{name}']"), "insert_headers"));
        }
        let text = match value {
            Value::Bool(flag) => flag.to_string(),
            Value::String(text) => text.clone(),
            _other => String::new(),
        };
        if super::body::truth(&text).is_none() {
            return Err(Refusal::input(
                "insert_headers",
                value,
                "It must be true or false.",
            ));
        }
        all.push((name.clone(), text));
    }
    Ok(all)
}

fn allowed_cidrs(fields: Fields<'_>, vips: &[IpAddr]) -> Result<Vec<String>, Refusal> {
    let mut all = Vec::new();
    for value in fields.short_list("allowed_cidrs", MAX_RANGES)? {
        let wrong = || {
            Refusal::input(
                "allowed_cidrs",
                value,
                "Value should be IPv4 or IPv6 CIDR format",
            )
        };
        let text = value.as_str().ok_or_else(wrong)?;
        let range: IpNet = text.parse().map_err(|_| wrong())?;
        if !vips
            .iter()
            .any(|vip| vip.is_ipv4() == range.addr().is_ipv4())
        {
            return Err(Refusal::invalid(format!(
                "CIDR {text} must be of the same IP version as the VIP of the load balancer."
            )));
        }
        let text = range.to_string();
        if !all.contains(&text) {
            all.push(text);
        }
    }
    Ok(all)
}
