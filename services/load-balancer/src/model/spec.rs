//! The documents of the host feed: what a host is told of load balancers, and what it tells of them.
//!
//! A document is *whole*: everything that one load balancer should be. Unknown fields are ignored and new ones have
//! defaults, so that control plane and hosts may be of two releases. What the API calls disabled is either not in the
//! document (a listener) or says so (a member).
//! Observed states: `up`, `down` (not enabled), `waiting` (for its port, tried again) and `failed` (both with
//! [`LoadBalancerSeen::problem`]), `gone`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The service's name; its calls are below `/load-balancer`.
pub const SERVICE: &str = "load-balancer";
/// The feed's word for a [`LoadBalancerSpec`]; its observation carries a [`LoadBalancerSeen`].
pub const KIND_LOAD_BALANCER: &str = "load_balancer";
/// The feed's word for the host itself: its observation carries a [`HostReport`].
pub const KIND_HOST: &str = "host";
/// The `device_owner` of a load balancer's port, by which network gives it a namespace of its own.
pub const DEVICE_OWNER: &str = "Octavia";

/// A load balancer that lives on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerSpec {
    /// The load balancer.
    pub id: String,
    /// Its port, in whose namespace it answers.
    pub port_id: String,
    /// Whether it answers at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where it answers: the enabled listeners.
    #[serde(default)]
    pub listeners: Vec<ListenerSpec>,
    /// Whom it may ask; every pool that a listener or one of its L7 policies names is here, others may be.
    #[serde(default)]
    pub pools: Vec<PoolSpec>,
}

const fn yes() -> bool {
    true
}

/// The namespace in which network keeps a load balancer's port, of a host whose spaces begin with `prefix`.
#[must_use]
pub fn space(prefix: &str, port_id: &str) -> String {
    let short: String = port_id.chars().take(11).collect();
    format!("{prefix}l-{short}")
}

/// What a listener or a pool speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Bytes.
    Tcp,
    /// HTTP/1, which haproxy understands.
    Http,
    /// Of a pool: bytes, and the client's address before them (PROXY protocol, version 1).
    Proxy,
    /// Of a pool: the same, version 2.
    ProxyV2,
}

/// Where a load balancer answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSpec {
    /// The listener.
    pub id: String,
    /// `tcp` or `http`.
    pub protocol: Protocol,
    /// At this port, 1 to 65 535,
    pub port: u16,
    /// of these addresses: the VIP and additional ones.
    pub addresses: Vec<IpAddr>,
    /// Most connections at a time; none: as many as the host gives.
    #[serde(default)]
    pub connection_limit: Option<u32>,
    /// How long it waits.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Only clients from here; empty: all.
    #[serde(default)]
    pub allowed_cidrs: Vec<IpNet>,
    /// What an HTTP listener tells members of the client.
    #[serde(default)]
    pub insert_headers: InsertHeaders,
    /// Who answers; none: an HTTP listener says 503, a TCP one hangs up.
    #[serde(default)]
    pub default_pool: Option<String>,
    /// What an HTTP listener does before that: the first policy all of whose rules hold. In order of position.
    #[serde(default)]
    pub l7: Vec<L7PolicySpec>,
}

/// How long a listener waits, in milliseconds each. The defaults are Octavia's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// For a client that says nothing.
    pub client_data: u32,
    /// For a member to take a connection.
    pub member_connect: u32,
    /// For a member that says nothing.
    pub member_data: u32,
    /// For more bytes of a client to look at, 0: none.
    pub tcp_inspect: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            client_data: 50_000,
            member_connect: 5_000,
            member_data: 50_000,
            tcp_inspect: 0,
        }
    }
}

/// What an HTTP listener tells members of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsertHeaders {
    /// `X-Forwarded-For`: its address.
    #[serde(default)]
    pub forwarded_for: bool,
    /// `X-Forwarded-Port`: the listener's port.
    #[serde(default)]
    pub forwarded_port: bool,
    /// `X-Forwarded-Proto`: `http`.
    #[serde(default)]
    pub forwarded_proto: bool,
}

/// What an HTTP listener does with some requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct L7PolicySpec {
    /// The policy.
    pub id: String,
    /// What is done
    pub action: L7Action,
    /// when all of these hold; with none the policy does nothing.
    #[serde(default)]
    pub rules: Vec<L7RuleSpec>,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum L7Action {
    /// It is refused: 403.
    Reject,
    /// Another pool answers.
    Pool {
        /// Which.
        pool: String,
    },
    /// The client is sent elsewhere.
    Redirect {
        /// There, whatever was asked for.
        url: String,
        /// 301, 302, 303, 307 or 308.
        code: u16,
    },
    /// The client is sent to the same path elsewhere.
    RedirectPrefix {
        /// What stands before the path.
        prefix: String,
        /// As above.
        code: u16,
    },
}

/// Which requests a policy means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct L7RuleSpec {
    /// What is looked at:
    pub subject: L7Subject,
    /// how
    pub compare: L7Compare,
    /// with what.
    pub value: String,
    /// Whether it must not be so.
    #[serde(default)]
    pub invert: bool,
}

/// What of a request is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum L7Subject {
    /// The name of the host that it is for.
    HostName,
    /// The path.
    Path,
    /// What comes after the last dot of the path.
    FileType,
    /// A header.
    Header {
        /// Its name.
        key: String,
    },
    /// A cookie.
    Cookie {
        /// Its name.
        key: String,
    },
}

/// How it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum L7Compare {
    /// The same.
    Equal,
    /// Begins so.
    StartsWith,
    /// Ends so.
    EndsWith,
    /// Has it within.
    Contains,
    /// A regular expression finds it.
    Regex,
}

/// Whom a load balancer asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    /// The pool.
    pub id: String,
    /// What its members speak.
    pub protocol: Protocol,
    /// Who is next.
    pub algorithm: Algorithm,
    /// Who comes back to the same member.
    #[serde(default)]
    pub persistence: Option<Persistence>,
    /// Who answers.
    #[serde(default)]
    pub members: Vec<MemberSpec>,
    /// Who looks whether they live; none: all count as living.
    #[serde(default)]
    pub monitor: Option<MonitorSpec>,
}

/// Who is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// One after the other.
    RoundRobin,
    /// Who has the fewest connections.
    LeastConnections,
    /// By the client's address.
    SourceIp,
}

/// Who comes back to the same member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Persistence {
    /// Clients of one address.
    SourceIp {
        /// How long it is remembered, in minutes; none: 30.
        #[serde(default)]
        timeout_min: Option<u32>,
        /// Which part of an IPv4 address counts: 0 to 32; none: all.
        #[serde(default)]
        ipv4_prefix: Option<u8>,
    },
    /// Clients with a cookie that the load balancer gives.
    HttpCookie,
    /// Clients with a cookie that the application gives.
    AppCookie {
        /// Its name.
        cookie_name: String,
    },
}

/// Somebody who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSpec {
    /// The member.
    pub id: String,
    /// There,
    pub address: IpAddr,
    /// at this port.
    pub port: u16,
    /// How much of it: 0 (who is there stays, nobody new) to 256.
    pub weight: u16,
    /// Only when all others are down.
    #[serde(default)]
    pub backup: bool,
    /// Whether it is asked at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where it is looked after instead.
    #[serde(default)]
    pub monitor_address: Option<IpAddr>,
    /// As above.
    #[serde(default)]
    pub monitor_port: Option<u16>,
}

/// Who looks whether members live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorSpec {
    /// How.
    pub kind: MonitorKind,
    /// Seconds from one look to the next.
    pub delay_s: u32,
    /// Seconds that a member has to answer.
    pub timeout_s: u32,
    /// After so many good answers it lives, 1 to 10.
    pub max_retries: u8,
    /// After so many bad ones it does not, 1 to 10.
    pub max_retries_down: u8,
    /// Of an HTTP monitor: `GET`, …; none: GET.
    #[serde(default)]
    pub http_method: Option<String>,
    /// As above: the path; none: `/`.
    #[serde(default)]
    pub url_path: Option<String>,
    /// As above: which codes are good: `200`, `200,202`, `200-204`; none: 200.
    #[serde(default)]
    pub expected_codes: Option<String>,
    /// As above: `1.0` or `1.1`; none: 1.0.
    #[serde(default)]
    pub http_version: Option<String>,
    /// As above: for which host, with 1.1.
    #[serde(default)]
    pub domain_name: Option<String>,
}

/// How a member is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MonitorKind {
    /// It takes a connection. What the API calls PING is told so too.
    Tcp,
    /// It answers a request.
    Http,
}

/// What a host saw of a load balancer. Told when health, problem or revision change, and every ten seconds at most when
/// only counters did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerSeen {
    /// The generation of the document that is carried out; less than that of the observation when that one failed.
    #[serde(default)]
    pub revision: i64,
    /// Whether a haproxy runs.
    #[serde(default)]
    pub running: bool,
    /// Why it is not as it should be; haproxy's own words where it has some.
    #[serde(default)]
    pub problem: Option<String>,
    /// Its listeners, by id.
    #[serde(default)]
    pub listeners: BTreeMap<String, ListenerSeen>,
    /// The health of its members, by `POOL/MEMBER`. Of a pool that nobody uses: nothing.
    #[serde(default)]
    pub members: BTreeMap<String, MemberHealth>,
}

/// The name of a member in [`LoadBalancerSeen::members`].
#[must_use]
pub fn member_key(pool: &str, member: &str) -> String {
    format!("{pool}/{member}")
}

/// What a host saw of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSeen {
    /// Whether it answers.
    pub up: bool,
    /// What went through it.
    #[serde(default)]
    pub counters: Counters,
}

/// What went through a listener since it was made on this host. A haproxy that was started anew goes on counting where the
/// one before it was; a load balancer on another host begins at nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Connections that are open now.
    pub active_connections: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Requests that could not be understood.
    pub request_errors: u64,
    /// Connections that were ever opened.
    pub total_connections: u64,
}

/// How a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberHealth {
    /// It answers whoever looks.
    Up,
    /// It does not.
    Down,
    /// Who is there stays, nobody new comes: its weight is 0.
    Drain,
    /// Nobody looks.
    NoCheck,
    /// It is not enabled.
    Maint,
}

/// What a host tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// Its name.
    pub host: String,
    /// Whether load balancers can run on it: haproxy's version; none: it is missing.
    #[serde(default)]
    pub haproxy: Option<String>,
    /// What is wrong with it.
    #[serde(default)]
    pub problems: Vec<String>,
}
