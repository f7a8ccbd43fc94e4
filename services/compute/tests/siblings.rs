//! Stand-ins for placement, network and image: as much of each as compute asks for, with a state of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use serde_json::{Value, json};

pub(crate) type Answer = (u16, Value);
pub(crate) type Rows = BTreeMap<String, Value>;

/// A request, taken apart.
pub(crate) struct Asked<'a> {
    pub method: &'a Method,
    pub parts: Vec<&'a str>,
    query: Vec<(String, String)>,
    if_match: Option<String>,
    pub body: Value,
}

impl Asked<'_> {
    fn all(&self, key: &str) -> Vec<&str> {
        self.query
            .iter()
            .filter(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.all(key).first().copied()
    }

    /// Whether a row passes the filters of the query that name one of its keys.
    pub(crate) fn wants(&self, row: &Value) -> bool {
        self.query
            .iter()
            .map(|(key, _)| key.as_str())
            .all(|key| match row.get(key) {
                Some(Value::String(value)) => self.all(key).contains(&value.as_str()),
                Some(Value::Array(items)) if key == "fixed_ips" => items.iter().any(|item| {
                    let ip = item["ip_address"].as_str().unwrap_or_default();
                    self.all(key).contains(&format!("ip_address={ip}").as_str())
                }),
                Some(Value::Bool(value)) => self.all(key).contains(&value.to_string().as_str()),
                _other => true,
            })
    }
}

pub(crate) fn answer(request: &Request, handle: impl FnOnce(&Asked<'_>) -> Answer) -> Response {
    let bytes = match &request.body {
        Incoming::Bytes(bytes) => bytes.clone(),
        Incoming::Stream(_) => Bytes::new(),
    };
    let query = serde_urlencoded(&request.query);
    let asked = Asked {
        method: &request.method,
        parts: request
            .path
            .split('/')
            .filter(|part| !part.is_empty())
            .collect(),
        query,
        if_match: request
            .headers
            .get("if-match")
            .map(|value| value.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    let (status, body) = handle(&asked);
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Payload::Bytes(body.to_string().into()),
    }
}

fn serde_urlencoded(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

pub(crate) fn id(kind: u32, number: usize) -> String {
    // The beginning differs: taps are named after it.
    format!("{number:08x}-0000-4000-8000-{kind:012x}")
}

pub(crate) fn not_found() -> Answer {
    (404, json!({"message": "no such thing"}))
}

/// Placement: providers, inventories, allocations; candidates are what is free.
#[derive(Clone, Default)]
pub(crate) struct SimulatedPlacement(Arc<Mutex<Placement>>);

#[derive(Default)]
pub(crate) struct Placement {
    pub providers: BTreeMap<String, Provider>,
    /// Consumer → provider → class → amount.
    pub allocations: BTreeMap<String, BTreeMap<String, BTreeMap<String, i64>>>,
}

#[derive(Default)]
pub(crate) struct Provider {
    pub generation: i64,
    pub inventories: Value,
}

impl SimulatedPlacement {
    pub(crate) fn state(&self) -> MutexGuard<'_, Placement> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Placement {
    fn free(&self, provider: &str, class: &str) -> (i64, i64) {
        let inventory = &self.providers[provider].inventories[class];
        let ratio = inventory["allocation_ratio"].as_f64().unwrap_or(1.0);
        let whole =
            inventory["total"].as_i64().unwrap_or(0) - inventory["reserved"].as_i64().unwrap_or(0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "small numbers"
        )]
        let capacity = (whole as f64 * ratio) as i64;
        let used = self
            .allocations
            .values()
            .filter_map(|by| by.get(provider)?.get(class))
            .sum();
        (capacity, used)
    }

    fn candidates(&self, asked: &Asked<'_>) -> Answer {
        let wanted: BTreeMap<String, i64> = asked
            .get("resources")
            .unwrap()
            .split(',')
            .map(|pair| pair.split_once(':').unwrap())
            .map(|(class, amount)| (class.to_owned(), amount.parse().unwrap()))
            .collect();
        let limit: usize = asked.get("limit").unwrap().parse().unwrap();
        let in_tree = asked.get("in_tree");
        let (mut requests, mut summaries) = (Vec::new(), serde_json::Map::new());
        for provider in self.providers.keys() {
            let fits = |(class, amount): (&String, &i64)| {
                let (capacity, used) = self.free(provider, class);
                used + amount <= capacity
            };
            let asked_for = in_tree.is_none_or(|only| only == provider);
            if asked_for && requests.len() < limit && wanted.iter().all(fits) {
                requests.push(json!({"allocations": {provider: {"resources": wanted}}, "mappings": {"": [provider]}}));
                let (capacity, used) = self.free(provider, "MEMORY_MB");
                summaries.insert(
                    provider.clone(),
                    json!({"resources": {"MEMORY_MB": {"capacity": capacity, "used": used}}}),
                );
            }
        }
        (
            200,
            json!({"allocation_requests": requests, "provider_summaries": summaries}),
        )
    }

    /// As placement explains: each class removes the providers that cannot give it.
    fn explain(&self, asked: &Asked<'_>) -> Answer {
        let mut left: Vec<&String> = self.providers.keys().collect();
        let (mut steps, mut largest, mut removed) = (Vec::new(), Rows::new(), Vec::new());
        for pair in asked.get("resources").unwrap().split(',') {
            let (class, amount) = pair.split_once(':').unwrap();
            let amount: i64 = amount.parse().unwrap();
            let free = |id: &String| {
                let (capacity, used) = self.free(id, class);
                capacity - used
            };
            let most = self.providers.keys().map(free).max().unwrap_or(0);
            largest.insert(class.to_owned(), json!(most));
            let (stay, gone): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|id| free(id) >= amount);
            removed.extend(
                gone.iter()
                    .map(|id| json!({"uuid": id, "name": id, "removed_by": steps.len()})),
            );
            steps.push(json!({"constraint": "resources", "group": "", "resource_class": class, "amount": amount,
                "removed": gone.len(), "left": stay.len()}));
            left = stay;
        }
        let total = self.providers.len();
        (
            200,
            json!({"total": total, "left": left.len(), "constraints": steps, "largest_free": largest, "admin": removed}),
        )
    }

    fn claim(&mut self, consumer: &str, body: &Value) -> Answer {
        if self.allocations.contains_key(consumer) && body["consumer_generation"].is_null() {
            return (
                409,
                json!({"errors": [{"status": 409, "code": "placement.concurrent_update", "detail": "there"}]}),
            );
        }
        let mut all = BTreeMap::new();
        for (provider, wanted) in body["allocations"].as_object().unwrap() {
            let mut by_class = BTreeMap::new();
            for (class, amount) in wanted["resources"].as_object().unwrap() {
                let (capacity, used) = self.free(provider, class);
                let amount = amount.as_i64().unwrap();
                if used + amount > capacity {
                    return (
                        409,
                        json!({"errors": [{"status": 409, "detail": "Unable to allocate inventory"}]}),
                    );
                }
                by_class.insert(class.clone(), amount);
            }
            all.insert(provider.clone(), by_class);
        }
        self.allocations.insert(consumer.to_owned(), all);
        (204, Value::Null)
    }

    fn handle(&mut self, asked: &Asked<'_>) -> Answer {
        match (asked.method.as_str(), asked.parts.as_slice()) {
            ("GET", ["allocation_candidates"]) => self.candidates(asked),
            ("GET", ["nephos", "v1", "explain"]) => self.explain(asked),
            ("GET", ["allocations", consumer]) => {
                let all = self.allocations.get(*consumer).cloned().unwrap_or_default();
                let shown: Rows = all
                    .into_iter()
                    .map(|(id, used)| (id, json!({ "resources": used })))
                    .collect();
                if shown.is_empty() {
                    return (200, json!({ "allocations": {} }));
                }
                (
                    200,
                    json!({ "allocations": shown, "consumer_generation": 1 }),
                )
            }
            ("POST", ["allocations"]) => {
                let before = self.allocations.clone();
                for (consumer, share) in asked.body.as_object().unwrap() {
                    if !before.contains_key(consumer) && !share["consumer_generation"].is_null() {
                        return (
                            409,
                            json!({"errors": [{"status": 409, "detail": "consumer generation conflict"}]}),
                        );
                    }
                }
                // All of it or nothing; what one gives up another may take.
                for consumer in asked.body.as_object().unwrap().keys() {
                    self.allocations.remove(consumer);
                }
                for (consumer, share) in asked.body.as_object().unwrap() {
                    if share["allocations"].as_object().unwrap().is_empty() {
                        continue;
                    }
                    let answer = self.claim(consumer, share);
                    if answer.0 != 204 {
                        self.allocations = before;
                        return answer;
                    }
                }
                (204, Value::Null)
            }
            ("PUT", ["allocations", consumer]) => self.claim(consumer, &asked.body),
            ("DELETE", ["allocations", consumer]) => match self.allocations.remove(*consumer) {
                Some(_) => (204, Value::Null),
                None => not_found(),
            },
            ("GET", ["resource_providers", id, "allocations"]) => {
                let on = self.allocations.iter().filter_map(|(consumer, by)| {
                    Some((consumer.clone(), json!({"resources": by.get(*id)?})))
                });
                (200, json!({"allocations": on.collect::<Rows>()}))
            }
            ("GET", ["resource_providers", id]) => match self.providers.get(*id) {
                Some(provider) => (200, json!({"uuid": id, "generation": provider.generation})),
                None => not_found(),
            },
            ("POST", ["resource_providers"]) => {
                let id = asked.body["uuid"].as_str().unwrap();
                self.providers.insert(id.to_owned(), Provider::default());
                (200, json!({"uuid": id, "generation": 0}))
            }
            ("PUT", ["resource_providers", id, "inventories"]) => {
                let provider = self.providers.get_mut(*id).unwrap();
                provider.inventories = asked.body["inventories"].clone();
                provider.generation += 1;
                (200, json!({}))
            }
            other => panic!("placement is not asked this: {other:?}"),
        }
    }
}

impl Dispatch for SimulatedPlacement {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let this = self.clone();
        async move { answer(&request, |asked| this.state().handle(asked)) }.boxed()
    }
}

/// The network service: everything is a row by kind and id.
#[derive(Clone, Default)]
pub(crate) struct SimulatedNetwork(Arc<Mutex<Network>>);

#[derive(Default)]
pub(crate) struct Network {
    pub rows: BTreeMap<String, Rows>,
    made: usize,
    /// The next port that is made is refused like this.
    pub refuse_port: Option<Answer>,
    /// This port is another's from the moment on when somebody binds it.
    pub bind_elsewhere: Option<String>,
}

impl SimulatedNetwork {
    pub(crate) fn state(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A network with one subnet; gives its id.
    pub(crate) fn add_network(&self, name: &str, project: &str) -> String {
        let mut state = self.state();
        let subnet = state.put(
            "subnets",
            json!({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1",
            "dns_nameservers": ["9.9.9.9"], "enable_dhcp": true, "network_id": ""}),
        );
        let network = state.put(
            "networks",
            json!({"name": name, "mtu": 1450, "subnets": [subnet], "shared": false,
            "router:external": false, "project_id": project, "tenant_id": project}),
        );
        state
            .rows
            .get_mut("subnets")
            .unwrap()
            .get_mut(&subnet)
            .unwrap()["network_id"] = json!(network);
        network
    }

    pub(crate) fn add(&self, kind: &str, row: Value) -> String {
        self.state().put(kind, row)
    }

    pub(crate) fn ports(&self) -> Vec<Value> {
        self.state()
            .rows
            .get("ports")
            .cloned()
            .unwrap_or_default()
            .into_values()
            .collect()
    }
}

impl Network {
    fn put(&mut self, kind: &str, mut row: Value) -> String {
        self.made += 1;
        let id = id(u32::try_from(kind.len()).unwrap(), self.made);
        row["id"] = json!(id);
        self.rows
            .entry(kind.to_owned())
            .or_default()
            .insert(id.clone(), row);
        id
    }

    fn default_group(&mut self, project: &Value) -> String {
        let groups = self.rows.get("security-groups").into_iter().flatten();
        let mut own = groups
            .filter(|(_, row)| row["name"] == "default" && row["project_id"] == *project)
            .map(|(id, _)| id.clone());
        match own.next() {
            Some(id) => id,
            None => self.put(
                "security-groups",
                json!({"name": "default", "description": "", "project_id": project, "tenant_id": project}),
            ),
        }
    }

    fn make_port(&mut self, body: &Value) -> Answer {
        if let Some(refusal) = self.refuse_port.take() {
            return refusal;
        }
        let network = body["network_id"].as_str().unwrap().to_owned();
        let Some(shown) = self.rows["networks"].get(&network).cloned() else {
            return not_found();
        };
        let number = self.made + 10;
        let ip = body["fixed_ips"][0]["ip_address"]
            .as_str()
            .map_or(format!("10.0.0.{number}"), str::to_owned);
        let groups = match &body["security_groups"] {
            Value::Null => json!([self.default_group(&body["project_id"])]),
            groups => groups.clone(),
        };
        let port = json!({
            "network_id": network, "device_id": body["device_id"], "device_owner": body["device_owner"],
            "project_id": body["project_id"], "mac_address": format!("fa:16:3e:00:00:{:02x}", number % 256),
            "status": "ACTIVE", "security_groups": groups, "binding:host_id": body["binding:host_id"],
            "fixed_ips": [{"subnet_id": shown["subnets"][0], "ip_address": ip}],
        });
        let id = self.put("ports", port);
        (201, json!({"port": self.rows["ports"][&id]}))
    }

    fn handle(&mut self, asked: &Asked<'_>) -> Answer {
        let singular = |kind: &str| kind.trim_end_matches('s').replace('-', "_");
        let plural = |kind: &str| kind.replace('-', "_");
        match (asked.method.as_str(), asked.parts.as_slice()) {
            ("POST", ["v2.0", "ports"]) => self.make_port(&asked.body["port"]),
            ("POST", ["v2.0", kind]) => {
                let row = asked.body[singular(kind)].clone();
                let id = self.put(kind, row);
                (201, json!({singular(kind): self.rows[*kind][&id]}))
            }
            ("GET", ["v2.0", kind]) => {
                let rows = self.rows.get(*kind).cloned().unwrap_or_default();
                let rows: Vec<Value> = rows.into_values().filter(|row| asked.wants(row)).collect();
                (200, json!({plural(kind): rows}))
            }
            ("GET", ["v2.0", kind, id]) => {
                match self.rows.get(*kind).and_then(|rows| rows.get(*id)) {
                    Some(row) => (200, json!({singular(kind): row})),
                    None => not_found(),
                }
            }
            ("PUT", ["v2.0", kind, id]) => {
                let change = asked.body[singular(kind)]
                    .as_object()
                    .cloned()
                    .unwrap_or_default();
                match self.rows.get_mut(*kind).and_then(|rows| rows.get_mut(*id)) {
                    Some(row) => {
                        if self.bind_elsewhere.as_deref() == Some(*id) {
                            self.bind_elsewhere = None;
                            row["device_id"] = json!("another");
                            row["revision_number"] = json!(99);
                        }
                        let revision = row["revision_number"].as_i64().unwrap_or_default();
                        let seen = format!("revision_number={revision}");
                        if asked
                            .if_match
                            .as_ref()
                            .is_some_and(|wanted| *wanted != seen)
                        {
                            return (412, json!({"message": "it has another revision"}));
                        }
                        row["revision_number"] = json!(revision + 1);
                        for (key, value) in change {
                            row[key] = value;
                        }
                        (200, json!({singular(kind): row}))
                    }
                    None => not_found(),
                }
            }
            ("DELETE", ["v2.0", kind, id]) => {
                match self.rows.get_mut(*kind).and_then(|rows| rows.remove(*id)) {
                    Some(_) => (204, Value::Null),
                    None => not_found(),
                }
            }
            other => panic!("the network service is not asked this: {other:?}"),
        }
    }
}

impl Dispatch for SimulatedNetwork {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let this = self.clone();
        async move { answer(&request, |asked| this.state().handle(asked)) }.boxed()
    }
}

/// The image service.
#[derive(Clone, Default)]
pub(crate) struct SimulatedImage(Arc<Mutex<Rows>>);

impl SimulatedImage {
    pub(crate) fn state(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An image that can be booted; gives its id.
    pub(crate) fn add_image(&self, more: &Value) -> String {
        let mut images = self.state();
        let id = id(0xf, images.len() + 1);
        let mut image = json!({
            "id": id, "name": "debian", "status": "active", "os_hash_algo": "sha512", "os_hash_value": "ab".repeat(64),
            "size": 4096, "disk_format": "qcow2", "container_format": "bare", "min_disk": 0, "min_ram": 0,
            "visibility": "public", "protected": false, "tags": [], "owner": "x", "os_distro": "debian",
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        image
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        images.insert(id.clone(), image);
        id
    }
}

impl Dispatch for SimulatedImage {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let this = self.clone();
        async move {
            answer(&request, |asked| {
                match (asked.method.as_str(), asked.parts.as_slice()) {
                    ("GET", ["v2", "images", id]) => match this.state().get(*id) {
                        Some(image) => (200, image.clone()),
                        None => not_found(),
                    },
                    ("GET", ["v2", "images"]) => {
                        let images = this
                            .state()
                            .values()
                            .filter(|row| asked.wants(row))
                            .cloned()
                            .collect::<Vec<_>>();
                        (200, json!({ "images": images }))
                    }
                    ("POST", ["v2", "images"]) => {
                        let id = asked.body["id"].as_str().unwrap().to_owned();
                        if asked.body["name"] == "too many" {
                            return (413, json!({"message": "The limit is exceeded."}));
                        }
                        let mut image = asked.body.clone();
                        image["status"] = json!("queued");
                        this.state().insert(id, image.clone());
                        (201, image)
                    }
                    ("POST", ["v2", "images", id, "members"]) => {
                        let mut images = this.state();
                        let Some(image) = images.get_mut(*id) else {
                            return not_found();
                        };
                        if image["name"] == "alone" {
                            return (403, json!({"message": "It is not shared."}));
                        }
                        image["members"] = json!([asked.body["member"]]);
                        (200, asked.body.clone())
                    }
                    ("DELETE", ["v2", "images", id]) => match this.state().remove(*id) {
                        Some(_) => (204, Value::Null),
                        None => not_found(),
                    },
                    ("PATCH", ["v2", "images", id]) => {
                        let mut images = this.state();
                        let Some(image) = images.get_mut(*id) else {
                            return not_found();
                        };
                        for change in asked.body.as_array().unwrap() {
                            let key = change["path"].as_str().unwrap().trim_start_matches('/');
                            match change["op"].as_str().unwrap() {
                                "remove" => drop(image.as_object_mut().unwrap().remove(key)),
                                _add_or_replace => image[key] = change["value"].clone(),
                            }
                        }
                        (200, image.clone())
                    }
                    other => panic!("the image service is not asked this: {other:?}"),
                }
            })
        }
        .boxed()
    }
}
