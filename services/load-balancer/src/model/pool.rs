//! Pools: whom a load balancer asks, and who is next.

use serde::{Deserialize, Serialize};

use super::body::{Fields, missing};
use super::refusal::Refusal;
use super::words;

/// What only pools have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pool {
    /// `HTTP`, `HTTPS` (not looked into), `TCP`, `PROXY` or `PROXYV2`.
    pub protocol: String,
    pub lb_algorithm: String,
    pub session_persistence: Option<Session>,
}

/// Who comes back to the same member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    #[serde(rename = "type")]
    pub kind: String,
    pub cookie_name: Option<String>,
}

/// Fields that only new pools have.
pub(crate) const NEW: &[&str] = &[
    "loadbalancer_id",
    "listener_id",
    "protocol",
    "project_id",
    "tenant_id",
    "members",
    "healthmonitor",
];
/// Fields that can change.
pub(crate) const CHANGE: &[&str] = &[
    "lb_algorithm",
    "session_persistence",
    // Of TLS, which is not offered: their defaults are taken.
    "tls_enabled",
    "tls_container_ref",
    "ca_tls_container_ref",
    "crl_container_ref",
    "tls_ciphers",
    "tls_versions",
    "alpn_protocols",
];
const PROTOCOLS: &[&str] = &["HTTP", "HTTPS", "PROXY", "PROXYV2", "SCTP", "TCP", "UDP"];
const ALGORITHMS: &[&str] = &[
    "LEAST_CONNECTIONS",
    "ROUND_ROBIN",
    "SOURCE_IP",
    "SOURCE_IP_PORT",
];
const SESSIONS: &[&str] = &["APP_COOKIE", "HTTP_COOKIE", "SOURCE_IP"];
const SESSION_FIELDS: &[&str] = &[
    "type",
    "cookie_name",
    "persistence_timeout",
    "persistence_granularity",
];

impl Pool {
    pub(crate) fn new(fields: Fields<'_>) -> Result<Self, Refusal> {
        let protocol = fields.word("protocol", PROTOCOLS)?;
        let protocol = protocol.ok_or_else(|| missing("protocol"))?;
        if matches!(protocol.as_str(), "UDP" | "SCTP") {
            return Err(Refusal::unsupported(format!(
                "pools of protocol {protocol}; HTTP, HTTPS, TCP, PROXY and PROXYV2 are offered"
            )));
        }
        if fields.get("lb_algorithm").is_none() {
            return Err(missing("lb_algorithm"));
        }
        let mut new = Self {
            protocol,
            lb_algorithm: String::new(),
            session_persistence: None,
        };
        new.change(fields)?;
        Ok(new)
    }

    /// Takes in what a body changes.
    pub(crate) fn change(&mut self, fields: Fields<'_>) -> Result<(), Refusal> {
        no_tls(fields)?;
        if let Some(algorithm) = fields.word("lb_algorithm", ALGORITHMS)? {
            if algorithm == "SOURCE_IP_PORT" {
                return Err(Refusal::unsupported("lb_algorithm SOURCE_IP_PORT"));
            }
            self.lb_algorithm = algorithm;
        }
        if fields.has("session_persistence") {
            self.session_persistence = match fields.get("session_persistence") {
                Some(value) => Some(self.session(Fields::of(value, "session_persistence")?)?),
                None => None,
            };
        }
        Ok(())
    }

    /// What is not said of it stays as it is.
    fn session(&self, fields: Fields<'_>) -> Result<Session, Refusal> {
        let fields = fields.only(&[SESSION_FIELDS])?;
        let old = self.session_persistence.as_ref();
        let kind = fields.word("type", SESSIONS)?;
        let kind = kind.or_else(|| old.map(|old| old.kind.clone()));
        let kind = kind.ok_or_else(|| missing("type"))?;
        for key in ["persistence_timeout", "persistence_granularity"] {
            if fields.get(key).is_some() {
                return Err(Refusal::invalid(
                    "persistence_timeout and persistence_granularity is only for UDP and SCTP protocol pools.",
                ));
            }
        }
        let named = fields.text("cookie_name")?.map(str::to_owned);
        let same = old.filter(|old| old.kind == kind && !fields.has("cookie_name"));
        let cookie_name = named.or_else(|| same.and_then(|old| old.cookie_name.clone()));
        match (kind.as_str(), &cookie_name) {
            ("APP_COOKIE", None) => {
                return Err(Refusal::invalid(
                    "session_persistence of type APP_COOKIE must have a cookie_name.",
                ));
            }
            ("APP_COOKIE", Some(name)) => words::token(name, "cookie_name")?,
            (_other, Some(_)) => {
                return Err(Refusal::invalid(format!(
                    "Field \"cookie_name\" can only be specified with session persistence of type APP_COOKIE, not {kind}."
                )));
            }
            (_other, None) => {}
        }
        if kind != "SOURCE_IP" && self.protocol != "HTTP" {
            return Err(Refusal::invalid(format!(
                "Session persistence of type {kind} needs a pool that understands requests: its protocol is {}, not HTTP.",
                self.protocol
            )));
        }
        Ok(Session { kind, cookie_name })
    }
}

fn no_tls(fields: Fields<'_>) -> Result<(), Refusal> {
    if fields.flag("tls_enabled")? == Some(true) {
        return Err(Refusal::unsupported(
            "tls_enabled: members are asked without TLS",
        ));
    }
    for key in [
        "tls_container_ref",
        "ca_tls_container_ref",
        "crl_container_ref",
        "tls_ciphers",
    ] {
        if fields.text(key)?.is_some_and(|text| !text.is_empty()) {
            return Err(Refusal::unsupported(format!(
                "{key}: members are asked without TLS"
            )));
        }
    }
    for key in ["tls_versions", "alpn_protocols"] {
        if !fields.list(key)?.is_empty() {
            return Err(Refusal::unsupported(format!(
                "{key}: members are asked without TLS"
            )));
        }
    }
    Ok(())
}
