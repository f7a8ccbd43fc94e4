//! haproxy's configuration of a load balancer. Pure.
//!
//! A listener is a frontend of its id. A pool is a backend for each listener that uses it, because a listener says how long
//! is waited: `POOL:LISTENER`. The first of them looks after the members, and the others follow it.

mod l7;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

use crate::model::listener::MAX_TIMEOUT;
use crate::model::spec::{
    Algorithm, L7Action, ListenerSpec, LoadBalancerSpec, MemberSpec, MonitorKind, MonitorSpec,
    Persistence, PoolSpec, Protocol, Timeouts,
};

/// Clients that a table remembers.
const REMEMBERED: &str = "10k";
/// Minutes that an address is remembered.
const MINUTES: u32 = 30;

/// The folder of a load balancer.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Where its socket, its servers' states and an empty folder are.
    pub folder: &'a Path,
    /// Most connections at a time.
    pub connections: u32,
    /// The user and the group that it is once it runs.
    pub user: u32,
}

/// Whether a configuration can be made of it, on whatever host: how long it is, in bytes, but for the name of its folder.
///
/// # Errors
/// Why not.
pub fn can_be(spec: &LoadBalancerSpec) -> Result<usize, String> {
    let anywhere = Place {
        folder: Path::new("/"),
        connections: 1,
        user: 1,
    };
    render(spec, anywhere).map(|text| text.len())
}

/// The whole file.
///
/// # Errors
/// Why the load balancer cannot be.
pub fn render(spec: &LoadBalancerSpec, place: Place<'_>) -> Result<String, String> {
    let mut text = String::new();
    head(&mut text, place)?;
    if spec.pools.iter().any(|pool| table(pool).is_some()) {
        // Who comes back where is told to the process that follows this one; nobody else hears it.
        section(&mut text, "peers here", ["bind 127.0.0.1:1", "server here"]);
    }
    let pools: BTreeMap<&str, &PoolSpec> = spec
        .pools
        .iter()
        .map(|one| (one.id.as_str(), one))
        .collect();
    let mut watched = BTreeMap::new();
    let mut backends = String::new();
    for listener in &spec.listeners {
        let mut used = BTreeSet::new();
        let lines = frontend(listener, &mut |id: &str| {
            let pool = pools
                .get(id)
                .ok_or_else(|| format!("pool {id} is not told"))?;
            used.insert(pool.id.as_str());
            Ok(backend_name(&pool.id, &listener.id))
        })?;
        section(
            &mut text,
            &format!("frontend {}", words::id(&listener.id)?),
            lines,
        );
        for pool in used.into_iter().filter_map(|id| pools.get(id)) {
            let name = backend_name(words::id(&pool.id)?, &listener.id);
            let first = watched.get(pool.id.as_str()).map(String::as_str);
            let lines = backend(pool, listener, first)?;
            section(&mut backends, &format!("backend {name}"), lines);
            watched.entry(pool.id.as_str()).or_insert(name);
        }
    }
    Ok(text + &backends)
}

/// What a pool is called for a listener.
fn backend_name(pool: &str, listener: &str) -> String {
    format!("{pool}:{listener}")
}

/// The pool of a backend.
#[must_use]
pub fn pool_of(backend: &str) -> &str {
    backend.split_once(':').map_or(backend, |(pool, _)| pool)
}

fn section<T: AsRef<str>>(text: &mut String, name: &str, lines: impl IntoIterator<Item = T>) {
    let _writing_to_a_string_cannot_fail = writeln!(text, "{name}");
    for line in lines {
        let _writing_to_a_string_cannot_fail = writeln!(text, "    {}", line.as_ref());
    }
}

fn head(text: &mut String, place: Place<'_>) -> Result<(), String> {
    let folder = place
        .folder
        .to_str()
        .ok_or("its folder's name is no text")?;
    let file = |name: &str| words::word(&format!("{folder}/{name}"));
    let global = [
        format!("chroot {}", file("empty")?),
        format!("uid {}", place.user),
        format!("gid {}", place.user),
        "nbthread 2".to_owned(),
        format!("maxconn {}", place.connections),
        "no strict-limits".to_owned(),
        "localpeer here".to_owned(),
        format!(
            "stats socket {} mode 600 level admin expose-fd listeners",
            file("s")?
        ),
        format!("server-state-file {}", file("state")?),
    ];
    section(text, "global", global);
    let defaults = [
        "load-server-state-from-file global",
        "option redispatch",
        "retries 3",
        "timeout connect 5s",
        "timeout client 50s",
        "timeout server 50s",
        "timeout http-request 30s",
    ];
    section(text, "defaults", defaults);
    Ok(())
}

type Backends<'a, 'b> = &'a mut dyn FnMut(&str) -> Result<String, String>;

fn frontend(listener: &ListenerSpec, backend: Backends<'_, '_>) -> Result<Vec<String>, String> {
    let http = match listener.protocol {
        Protocol::Http => true,
        Protocol::Tcp => false,
        Protocol::Proxy | Protocol::ProxyV2 => {
            return Err(format!("listener {} has a protocol of pools", listener.id));
        }
    };
    let mut lines = vec![format!("mode {}", if http { "http" } else { "tcp" })];
    for address in &listener.addresses {
        lines.push(format!("bind {}", at(*address, listener.port)));
    }
    if let Some(limit) = listener.connection_limit {
        lines.push(format!("maxconn {limit}"));
    }
    let waits = checked(listener)?;
    lines.push(format!("timeout client {}ms", waits.client_data));
    if !listener.allowed_cidrs.is_empty() {
        let nets = listener.allowed_cidrs.iter();
        lines.extend(nets.map(|net| format!("acl allowed src {}", net.trunc())));
        lines.push("tcp-request connection reject if !allowed".to_owned());
    }
    if waits.tcp_inspect > 0 {
        lines.push(format!("tcp-request inspect-delay {}ms", waits.tcp_inspect));
    }
    if http {
        let tells = listener.insert_headers;
        if tells.forwarded_for {
            lines.push("option forwardfor".to_owned());
        }
        if tells.forwarded_port {
            lines.push("http-request set-header X-Forwarded-Port %[dst_port]".to_owned());
        }
        if tells.forwarded_proto {
            lines.push("http-request set-header X-Forwarded-Proto http".to_owned());
        }
        let mut names = BTreeMap::new();
        for policy in &listener.l7 {
            if let L7Action::Pool { pool } = &policy.action
                && !policy.rules.is_empty()
            {
                names.insert(pool.as_str(), backend(pool)?);
            }
        }
        let name = |pool: &str| names.get(pool).cloned().ok_or_else(|| pool.to_owned());
        lines.extend(l7::lines(&listener.l7, &name)?);
    } else if !listener.l7.is_empty() {
        return Err(format!(
            "listener {} has L7 policies and is not HTTP",
            listener.id
        ));
    }
    if let Some(pool) = &listener.default_pool {
        lines.push(format!("default_backend {}", backend(pool)?));
    }
    Ok(lines)
}

/// How long a listener waits, if haproxy can wait so long.
fn checked(listener: &ListenerSpec) -> Result<Timeouts, String> {
    let waits = listener.timeouts;
    for (name, millis) in [
        ("timeout_client_data", waits.client_data),
        ("timeout_member_connect", waits.member_connect),
        ("timeout_member_data", waits.member_data),
        ("timeout_tcp_inspect", waits.tcp_inspect),
    ] {
        if millis > MAX_TIMEOUT {
            return Err(format!(
                "{name} of listener {} is longer than {MAX_TIMEOUT} ms",
                listener.id
            ));
        }
    }
    Ok(waits)
}

/// `first` is the backend that looks after the same members already.
fn backend(
    pool: &PoolSpec,
    listener: &ListenerSpec,
    first: Option<&str>,
) -> Result<Vec<String>, String> {
    let http = listener.protocol == Protocol::Http;
    let mut lines = vec![format!("mode {}", if http { "http" } else { "tcp" })];
    lines.push(match pool.algorithm {
        Algorithm::RoundRobin => "balance roundrobin".to_owned(),
        Algorithm::LeastConnections => "balance leastconn".to_owned(),
        Algorithm::SourceIp => "balance source".to_owned(),
    });
    let waits = listener.timeouts;
    lines.push(format!("timeout connect {}ms", waits.member_connect));
    lines.push(format!("timeout server {}ms", waits.member_data));
    let cookies = http && pool.persistence == Some(Persistence::HttpCookie);
    if cookies {
        lines.push("cookie SRV insert indirect nocache".to_owned());
    }
    if let Some(table) = table(pool).filter(|table| http || table.of_bytes) {
        lines.extend(table.lines()?);
    }
    let monitor = pool.monitor.as_ref();
    if let (Some(monitor), None) = (monitor, first) {
        lines.push(format!("timeout check {}s", monitor.timeout_s));
        lines.extend(http_check(monitor)?);
    }
    for member in &pool.members {
        let mut line = server(pool, member)?;
        match (monitor, first) {
            _ if !member.enabled => line += " disabled",
            (None, _) => {}
            (Some(_), Some(first)) => line += &format!(" track {first}/{}", member.id),
            (Some(monitor), None) => line += &check(monitor, member),
        }
        if cookies {
            line += &format!(" cookie {}", member.id);
        }
        lines.push(line);
    }
    Ok(lines)
}

/// Who comes back where, as far as the load balancer itself remembers it.
struct Table<'a> {
    kind: &'static str,
    minutes: u32,
    /// Whether it needs no HTTP.
    of_bytes: bool,
    persistence: &'a Persistence,
}

fn table(pool: &PoolSpec) -> Option<Table<'_>> {
    let persistence = pool.persistence.as_ref()?;
    match persistence {
        Persistence::HttpCookie => None,
        Persistence::AppCookie { .. } => Some(Table {
            kind: "string len 64",
            minutes: MINUTES,
            of_bytes: false,
            persistence,
        }),
        Persistence::SourceIp { timeout_min, .. } => Some(Table {
            kind: "ipv6",
            minutes: timeout_min.unwrap_or(MINUTES).clamp(1, 30_000),
            of_bytes: true,
            persistence,
        }),
    }
}

impl Table<'_> {
    fn lines(&self) -> Result<Vec<String>, String> {
        let table = format!(
            "stick-table type {} size {REMEMBERED} expire {}m peers here",
            self.kind, self.minutes
        );
        Ok(match self.persistence {
            Persistence::HttpCookie => Vec::new(),
            Persistence::SourceIp { ipv4_prefix, .. } => {
                match ipv4_prefix.filter(|bits| *bits < 32) {
                    Some(bits) => vec![table, format!("stick on src,ipmask({bits})")],
                    None => vec![table, "stick on src".to_owned()],
                }
            }
            Persistence::AppCookie { cookie_name } => {
                let name = words::token(cookie_name)?;
                let word = |what: &str| words::word(&format!("{what}.cook({name})"));
                vec![
                    table,
                    format!("stick store-response {}", word("res")?),
                    format!("stick match {}", word("req")?),
                ]
            }
        })
    }
}

fn http_check(monitor: &MonitorSpec) -> Result<Vec<String>, String> {
    if monitor.kind != MonitorKind::Http {
        return Ok(Vec::new());
    }
    let method = words::method(monitor.http_method.as_deref().unwrap_or("GET"))?;
    let path = words::word(monitor.url_path.as_deref().unwrap_or("/"))?;
    let version = match monitor.http_version.as_deref() {
        None | Some("1.0") => "1.0",
        Some("1.1") => "1.1",
        Some(other) => return Err(format!("{other:?} is no version of HTTP for a monitor")),
    };
    let mut send = format!("http-check send meth {method} uri {path} ver HTTP/{version}");
    if let Some(name) = &monitor.domain_name {
        send += &format!(" hdr Host {}", words::format(name)?);
    }
    let good = words::codes(monitor.expected_codes.as_deref().unwrap_or("200"))?;
    Ok(vec![
        "option httpchk".to_owned(),
        send,
        format!("http-check expect status {good}"),
    ])
}

fn server(pool: &PoolSpec, member: &MemberSpec) -> Result<String, String> {
    let (id, at) = (words::id(&member.id)?, at(member.address, member.port));
    let mut line = format!("server {id} {at} weight {}", member.weight.min(256));
    if member.backup {
        line += " backup";
    }
    match pool.protocol {
        Protocol::Proxy => line += " send-proxy",
        Protocol::ProxyV2 => line += " send-proxy-v2",
        Protocol::Tcp | Protocol::Http => {}
    }
    Ok(line)
}

fn check(monitor: &MonitorSpec, member: &MemberSpec) -> String {
    let mut words = format!(
        " check inter {}s rise {} fall {}",
        monitor.delay_s.max(1),
        monitor.max_retries.max(1),
        monitor.max_retries_down.max(1)
    );
    match member.monitor_address {
        Some(IpAddr::V4(ip)) => words += &format!(" addr {ip}"),
        Some(IpAddr::V6(ip)) => words += &format!(" addr [{ip}]"),
        None => {}
    }
    if let Some(port) = member.monitor_port {
        words += &format!(" port {port}");
    }
    words
}

fn at(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}
