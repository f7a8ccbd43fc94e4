//! As much of the network service as load balancers need: two networks, their subnets, and ports.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use serde_json::{Value, json};

/// A network with a subnet of IPv4 and one of IPv6.
pub const NET: &str = "10000000-0000-4000-8000-000000000001";
pub const SUBNET: &str = "10000000-0000-4000-8000-000000000004";
pub const SUBNET6: &str = "10000000-0000-4000-8000-000000000006";
/// A subnet of another network.
pub const ELSEWHERE: &str = "20000000-0000-4000-8000-000000000004";

/// The stand-in; clones are one.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Ports>>);

#[derive(Default)]
struct Ports {
    all: Vec<Value>,
    addresses: u32,
    /// It answers nothing but 503.
    away: bool,
}

fn subnets() -> Vec<Value> {
    vec![
        json!({"id": SUBNET6, "network_id": NET, "ip_version": 6, "cidr": "fd00::/64"}),
        json!({"id": SUBNET, "network_id": NET, "ip_version": 4, "cidr": "10.0.0.0/24"}),
        json!({"id": ELSEWHERE, "network_id": "20000000-0000-4000-8000-000000000001", "ip_version": 4, "cidr": "10.9.0.0/24"}),
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

    /// A port is gone behind everybody's back.
    pub fn lose(&self, id: &str) {
        self.0.lock().unwrap().all.retain(|port| port["id"] != id);
    }

    /// It answers no longer, or again.
    pub fn away(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }
}

impl Ports {
    fn make(&mut self, wanted: &Value) -> Value {
        let mut port = json!({
            "id": nephos_runtime::ids::uuid().to_string(), "network_id": NET, "device_id": "", "device_owner": "",
            "binding:host_id": "", "created_at": "2026-01-02T03:04:05Z", "fixed_ips": [{"subnet_id": SUBNET}],
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

    fn answer(&mut self, method: &str, path: &str, query: &str, body: &Value) -> (u16, Value) {
        if self.away {
            return (
                503,
                json!({"NeutronError": {"type": "x", "message": "away", "detail": ""}}),
            );
        }
        let mut steps = path.trim_start_matches("/v2.0/").split('/');
        let (kind, id) = (steps.next().unwrap(), steps.next());
        let missing = (
            404,
            json!({"NeutronError": {"type": "NotFound", "message": "gone", "detail": ""}}),
        );
        match (method, kind, id) {
            ("GET", "networks", Some(NET)) => (200, json!({"network": {"id": NET}})),
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
                match method {
                    "PUT" => {
                        for (key, value) in body["port"].as_object().unwrap() {
                            self.all[at][key] = value.clone();
                        }
                    }
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
        let (status, body) = state.answer(
            request.method.as_str(),
            &request.path,
            &request.query,
            &body,
        );
        let response = Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Payload::Bytes(body.to_string().into()),
        };
        std::future::ready(response).boxed()
    }
}
