//! As much of the network service as load balancers need: two networks, their subnets, and ports.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use nephos_testkit::Persona;
use serde_json::{Value, json};

/// A network with a subnet of IPv4 and one of IPv6.
pub const NET: &str = "10000000-0000-4000-8000-000000000001";
pub const SUBNET: &str = "10000000-0000-4000-8000-000000000004";
pub const SUBNET6: &str = "10000000-0000-4000-8000-000000000006";
/// A subnet of another network.
pub const ELSEWHERE: &str = "20000000-0000-4000-8000-000000000004";
/// A network of another project that all may use, with a subnet.
pub const SHARED: &str = "30000000-0000-4000-8000-000000000004";
/// The subnet of a network outside the cloud.
pub const OUTSIDE: &str = "40000000-0000-4000-8000-000000000004";

/// The stand-in; clones are one.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Ports>>);

#[derive(Default)]
struct Ports {
    all: Vec<Value>,
    addresses: u32,
    /// It answers nothing but 503.
    away: bool,
    /// It refuses calls of this method.
    refuses: Option<&'static str>,
    /// What somebody changes of a port right after the next answer to this call.
    then: Option<(&'static str, String, Value)>,
    /// The hosts that lead outside.
    leading_out: Vec<&'static str>,
}

/// The network of a subnet.
fn net(subnet: &str) -> String {
    format!("{}1", &subnet[..subnet.len() - 1])
}

fn subnets() -> Vec<Value> {
    vec![
        json!({"id": SUBNET6, "network_id": NET, "ip_version": 6, "cidr": "fd00::/64"}),
        json!({"id": SUBNET, "network_id": NET, "ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1"}),
        json!({"id": ELSEWHERE, "network_id": net(ELSEWHERE), "ip_version": 4, "cidr": "10.9.0.0/24"}),
        json!({"id": SHARED, "network_id": net(SHARED), "ip_version": 4, "cidr": "10.7.0.0/24", "gateway_ip": null}),
        json!({"id": OUTSIDE, "network_id": net(OUTSIDE), "ip_version": 4, "cidr": "172.24.4.0/24"}),
    ]
}

impl Network {
    /// All ports.
    pub fn ports(&self) -> Vec<Value> {
        self.0.lock().unwrap().all.clone()
    }

    /// A port as a user or somebody else makes it.
    pub fn add(&self, port: Value) -> String {
        let mut state = self.0.lock().unwrap();
        state.make(&port)["id"].as_str().unwrap().to_owned()
    }

    /// Somebody changes a port right after the next answer to `call`.
    pub fn then(&self, call: &'static str, port: &str, change: Value) {
        self.0.lock().unwrap().then = Some((call, port.to_owned(), change));
    }

    /// Somebody changes a port.
    pub fn change(&self, port: &str, change: &Value) {
        self.0.lock().unwrap().change(port, change);
    }

    /// These hosts, and no others, lead outside.
    pub fn lead_out(&self, hosts: &[&'static str]) {
        self.0.lock().unwrap().leading_out = hosts.to_vec();
    }

    /// A port is gone behind everybody's back.
    pub fn lose(&self, id: &str) {
        self.0.lock().unwrap().all.retain(|port| port["id"] != id);
    }

    /// It refuses calls of this method, or none.
    pub fn refuse(&self, method: Option<&'static str>) {
        self.0.lock().unwrap().refuses = method;
    }

    /// It answers no longer, or again.
    pub fn away(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }
}

/// One call.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    body: &'a Value,
    if_match: Option<String>,
}

impl Ports {
    fn make(&mut self, wanted: &Value) -> Value {
        let mut port = json!({
            "id": nephos_runtime::ids::uuid().to_string(), "network_id": NET, "device_id": "", "device_owner": "",
            "binding:host_id": "", "created_at": "2026-01-02T03:04:05Z", "fixed_ips": [{"subnet_id": SUBNET}],
            "project_id": Persona::Member.project(), "revision_number": 1,
        });
        for (key, value) in wanted.as_object().unwrap() {
            port[key] = value.clone();
        }
        for fixed in port["fixed_ips"].as_array_mut().unwrap() {
            if fixed.get("ip_address").is_none() {
                self.addresses += 1;
                let begin = if fixed["subnet_id"] == SUBNET6 {
                    "fd00::"
                } else {
                    "10.0.0."
                };
                fixed["ip_address"] = json!(format!("{begin}{}", self.addresses + 10));
            }
        }
        self.all.push(port.clone());
        port
    }

    fn change(&mut self, id: &str, change: &Value) {
        let port = self.all.iter_mut().find(|port| port["id"] == id).unwrap();
        for (key, value) in change.as_object().unwrap() {
            port[key] = value.clone();
        }
        port["revision_number"] = json!(port["revision_number"].as_i64().unwrap() + 1);
    }

    fn answer(&mut self, asked: &Asked<'_>) -> (u16, Value) {
        let answer = self.answer_now(asked);
        let call = format!("{} {}", asked.method, asked.path);
        if let Some((_, port, change)) = self.then.take_if(|(then, _, _)| call.starts_with(*then)) {
            self.change(&port, &change);
        }
        answer
    }

    fn answer_now(&mut self, asked: &Asked<'_>) -> (u16, Value) {
        let Asked {
            method,
            path,
            query,
            body,
            if_match,
        } = asked;
        if self.away {
            return (
                503,
                json!({"NeutronError": {"type": "x", "message": "away", "detail": ""}}),
            );
        }
        if self.refuses == Some(*method) {
            let words = json!({"NeutronError": {"type": "PolicyNotAuthorized", "message": "no", "detail": ""}});
            return (403, words);
        }
        let mut steps = path.trim_start_matches("/v2.0/").split('/');
        let (kind, id) = (steps.next().unwrap(), steps.next());
        let missing = (
            404,
            json!({"NeutronError": {"type": "NotFound", "message": "gone", "detail": ""}}),
        );
        match (*method, kind, id) {
            ("GET", "networks", Some(id)) => {
                let Some(subnet) = subnets()
                    .into_iter()
                    .find(|subnet| subnet["network_id"] == id)
                else {
                    return missing;
                };
                let own = subnet["id"] == SUBNET || subnet["id"] == SUBNET6;
                let project = if own {
                    Persona::Member.project()
                } else {
                    "another"
                };
                let physical = (subnet["id"] == OUTSIDE).then_some("public");
                (
                    200,
                    json!({"network": {"id": id, "project_id": project, "provider:physical_network": physical}}),
                )
            }
            ("GET", "agents", None) => {
                let agent = |host: &&str| json!({"host": host, "configurations": {"physical_networks": ["public"]}});
                let mut agents: Vec<Value> = self.leading_out.iter().map(agent).collect();
                agents.push(json!({"host": "inner", "configurations": {"physical_networks": []}}));
                (200, json!({ "agents": agents }))
            }
            ("GET", "subnets", Some(id)) => {
                let found = subnets().into_iter().find(|subnet| subnet["id"] == id);
                found.map_or(missing, |subnet| (200, json!({ "subnet": subnet })))
            }
            ("GET", "subnets", None) => {
                let network = query.trim_start_matches("network_id=");
                let found = subnets()
                    .into_iter()
                    .filter(|subnet| subnet["network_id"] == network);
                (200, json!({"subnets": found.collect::<Vec<_>>()}))
            }
            ("GET", "ports", None) => {
                let (key, value) = query.split_once('=').unwrap();
                let found = self.all.iter().filter(|port| port[key] == value);
                (200, json!({"ports": found.collect::<Vec<_>>()}))
            }
            ("POST", "ports", None) => {
                let wanted = body["port"].clone();
                let taken = wanted["fixed_ips"].as_array().unwrap().iter().any(|fixed| {
                    let same = |port: &Value| port["fixed_ips"].as_array().unwrap().contains(fixed);
                    fixed.get("ip_address").is_some() && self.all.iter().any(same)
                });
                if taken {
                    let words = json!({"NeutronError": {"type": "IpAddressInUse", "message": "in use", "detail": ""}});
                    return (409, words);
                }
                (201, json!({"port": self.make(&wanted)}))
            }
            (method, "ports", Some(id)) => {
                let Some(at) = self.all.iter().position(|port| port["id"] == id) else {
                    return missing;
                };
                let seen = format!("revision_number={}", self.all[at]["revision_number"]);
                if if_match.as_ref().is_some_and(|wanted| *wanted != seen) {
                    let words = json!({"NeutronError": {"type": "RevisionNumberConstraintFailed", "message": "changed", "detail": ""}});
                    return (412, words);
                }
                match method {
                    "PUT" => self.change(id, &body["port"]),
                    "DELETE" => {
                        self.all.remove(at);
                        return (204, Value::Null);
                    }
                    _get => {}
                }
                (200, json!({"port": self.all[at]}))
            }
            _other => missing,
        }
    }
}

impl Dispatch for Network {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let body = match &request.body {
            Incoming::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or(Value::Null),
            Incoming::Stream(_) => Value::Null,
        };
        let mut state = self.0.lock().unwrap();
        let if_match = request.headers.get(http::header::IF_MATCH);
        let (status, body) = state.answer(&Asked {
            method: request.method.as_str(),
            path: &request.path,
            query: &request.query,
            body: &body,
            if_match: if_match.map(|value| value.to_str().unwrap().to_owned()),
        });
        let response = Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Payload::Bytes(body.to_string().into()),
        };
        std::future::ready(response).boxed()
    }
}
