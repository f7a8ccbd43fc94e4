//! Stand-ins for identity, network, compute and block storage: as much of each as stacks ask for, with a state of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use serde_json::{Value, json};

use crate::stand_ins::{dress, flavor_name, in_use};

/// What a stand-in knows, and what it was asked.
#[derive(Default)]
pub struct State {
    /// By collection and id.
    pub rows: BTreeMap<String, BTreeMap<String, Value>>,
    made: u32,
    /// Things of these collections cannot be made, for this reason.
    pub refuses: BTreeMap<String, String>,
    /// How many trusts are lent.
    pub trusts: Vec<String>,
    /// Trusts that lend nothing any more.
    pub broken: bool,
}

/// Identity, network, compute and block storage in one.
#[derive(Clone, Default)]
pub struct Siblings(Arc<Mutex<State>>);

impl Siblings {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many things there are of a collection.
    pub fn count(&self, collection: &str) -> usize {
        self.state().rows.get(collection).map_or(0, BTreeMap::len)
    }

    /// Everything that is there, without ids: the same world reads the same.
    pub fn picture(&self) -> BTreeMap<String, usize> {
        let state = self.state();
        let mut picture: BTreeMap<String, usize> = state
            .rows
            .iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(name, rows)| (name.clone(), rows.len()))
            .collect();
        picture.insert("trusts".to_owned(), state.trusts.len());
        picture
    }

    /// Something goes behind the stack's back.
    pub fn lose(&self, collection: &str) {
        self.state().rows.remove(collection);
    }
}

impl Dispatch for Siblings {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let this = self.clone();
        async move {
            let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
            let query: Vec<(String, String)> = request
                .query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| {
                    (
                        key.to_owned(),
                        percent_encoding::percent_decode_str(value)
                            .decode_utf8_lossy()
                            .into_owned(),
                    )
                })
                .collect();
            let body = match &request.body {
                Incoming::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or(Value::Null),
                Incoming::Stream(_) => Value::Null,
            };
            if request.method == http::Method::PATCH {
                let form = request.headers.get("content-type").unwrap();
                let wanted = match parts[0] {
                    "v2" => "application/openstack-images-v2.1-json-patch",
                    _other => "application/json",
                };
                assert_eq!(form, wanted, "{}", request.path);
            }
            let mut headers = HeaderMap::new();
            if let ["v1", account, rest @ ..] = parts.as_slice() {
                let asked = (request.method.as_str(), *account, rest);
                let (status, value) = this.state().objects(asked, &request.headers, &mut headers);
                return answer((status, value), headers);
            }
            let (status, value) =
                this.state()
                    .handle(request.method.as_str(), &parts, &query, &body);
            if parts == ["v3", "auth", "tokens"] {
                headers.insert(
                    "x-subject-token",
                    HeaderValue::from_static("a-token-of-a-trust"),
                );
            }
            answer((status, value), headers)
        }
        .boxed()
    }
}

fn answer((status, value): Answer, headers: HeaderMap) -> Response {
    let body = if value.is_null() {
        Payload::Empty
    } else {
        Payload::Bytes(Bytes::from(value.to_string()))
    };
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body,
    }
}

pub type Answer = (u16, Value);

pub fn missing() -> Answer {
    (404, json!({"error": {"message": "It could not be found."}}))
}

impl State {
    fn handle(
        &mut self,
        method: &str,
        parts: &[&str],
        query: &[(String, String)],
        body: &Value,
    ) -> Answer {
        match (method, parts) {
            ("GET", ["v3", "auth", "tokens"]) => {
                (200, json!({"token": {"user": {"id": "the-service"}}}))
            }
            ("POST", ["v3", "auth", "tokens"]) => {
                let trust = body
                    .pointer("/auth/scope/OS-TRUST:trust/id")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if self.broken || !self.trusts.iter().any(|known| known == trust) {
                    return (
                        403,
                        json!({"error": {"message": "The trust cannot be used."}}),
                    );
                }
                (
                    201,
                    json!({"token": {"expires_at": "2030-01-01T00:00:00.000000Z"}}),
                )
            }
            ("POST", ["v3", "OS-TRUST", "trusts"]) => {
                self.made += 1;
                self.broken = false;
                let id = format!("trust-{}", self.made);
                self.trusts.push(id.clone());
                (201, json!({"trust": {"id": id}}))
            }
            ("DELETE", ["v3", "OS-TRUST", "trusts", id]) => {
                self.trusts.retain(|known| known != id);
                (204, Value::Null)
            }
            ("GET", ["v3", "auth", "catalog"]) => (
                200,
                json!({"catalog": [{"type": "object-store", "endpoints": [
                    {"interface": "public", "url": "http://cloud.test:8080/object/v1/AUTH_p"}]}]}),
            ),
            (
                "PUT",
                [
                    "v2.0",
                    "routers",
                    router,
                    verb @ ("add_extraroutes" | "remove_extraroutes"),
                ],
            ) => self.routes(router, verb, body),
            ("PUT", ["v2.0", "routers", router, verb]) => self.leg(router, verb, body),
            (
                "PUT",
                [
                    "v2.0",
                    "trunks",
                    trunk,
                    verb @ ("add_subports" | "remove_subports"),
                ],
            ) => self.subports(trunk, verb, body),
            (_, ["v2", "lbaas", rest @ ..]) => self.balancing(method, rest, query, body),
            (_, ["v2.0", "quotas", rest @ ..]) => self.limits(method, rest, body),
            (_, ["v2.1", "os-quota-sets", rest @ ..]) => self.limits(method, rest, body),
            (
                _,
                [
                    "v2.0",
                    "qos",
                    "policies",
                    policy,
                    rules @ "bandwidth_limit_rules",
                    rest @ ..,
                ],
            ) => {
                if !self.rows("policies").contains_key(*policy) {
                    return missing();
                }
                let mut body = body.clone();
                if method == "POST" {
                    body["bandwidth_limit_rule"]["qos_policy_id"] = json!(policy);
                }
                let mut query = query.to_vec();
                query.push(("qos_policy_id".to_owned(), (*policy).to_owned()));
                self.network(method, (rules, rest), &query, &body)
            }
            (_, ["v2.0", "qos", policies @ "policies", rest @ ..]) => {
                self.network(method, (policies, rest), query, body)
            }
            (_, ["v2.0", collection, rest @ ..]) => {
                self.network(method, (collection, rest), query, body)
            }
            (_, ["v2.1", "os-keypairs", rest @ ..]) => self.key_pairs(method, rest, body),
            (_, ["v2.1", "flavors", rest @ ..]) => match rest {
                [id] => match flavor_name(id) {
                    Some(name) => (200, json!({"flavor": {"id": id, "name": name}})),
                    None => missing(),
                },
                _all => (
                    200,
                    json!({"flavors": [{"id": "tiny", "name": "small one"}]}),
                ),
            },
            (
                _,
                [
                    "v2.1",
                    "servers",
                    server,
                    "os-volume_attachments",
                    rest @ ..,
                ],
            ) => self.volume_attachments(method, (server, rest), body),
            (
                _,
                [
                    "v3",
                    collection @ ("projects" | "users" | "groups" | "roles" | "domains" | "regions"
                    | "services" | "endpoints"),
                    rest @ ..,
                ],
            ) => self.directory(method, (collection, rest), query, body),
            (_, ["v3", _project, "volumes", rest @ ..]) => self.volumes(method, rest, query, body),
            (_, ["v2.1", "servers", server, "os-interface", rest @ ..]) => {
                self.interfaces(method, (server, rest), body)
            }
            ("POST", ["v2.1", "servers", server, "action"]) => self.server_action(server, body),
            (_, ["v2.1", "servers", rest @ ..]) => self.servers(method, rest, query, body),
            ("GET", ["v2.1", "os-availability-zone"]) => {
                let zones = ["nova", "second"].map(|name| json!({ "zoneName": name }));
                (200, json!({ "availabilityZoneInfo": zones }))
            }
            (_, ["v2.1", "os-aggregates", rest @ ..]) => self.aggregates(method, rest, body),
            (_, ["v2.1", "os-server-groups", rest @ ..]) => self.server_groups(method, rest, body),
            (_, ["v3", _project, "backups", rest @ ..]) => {
                self.backups((method, rest), query, body)
            }
            (_, ["v3", _project, "types", rest @ ..]) => self.types(method, rest, body),
            (_, ["v3", _project, "qos-specs", rest @ ..]) => self.qos(method, rest, query, body),
            (_, ["v3", _project, "os-quota-sets", rest @ ..]) => self.quotas(method, rest, body),
            (_, ["v2", "images", id, rest @ ..]) => self.images(method, (id, rest), body),
            ("POST", ["v2", "images"]) => self.images(method, ("", &[]), body),
            ("GET", ["v2", "images"]) if query.iter().any(|(key, _)| key == "instance_uuid") => {
                self.images_of(&query[0].1)
            }
            ("GET", ["v2", "images"]) => (200, json!({"images": [{"id": "an-image"}]})),
            other => panic!("nobody is asked this: {other:?}"),
        }
    }

    pub fn id(&mut self) -> String {
        self.made += 1;
        format!("00000000-0000-4000-8000-{:012}", self.made)
    }

    pub fn rows(&mut self, collection: &str) -> &mut BTreeMap<String, Value> {
        self.rows.entry(collection.to_owned()).or_default()
    }

    fn network(
        &mut self,
        method: &str,
        (collection, rest): (&str, &[&str]),
        query: &[(String, String)],
        body: &Value,
    ) -> Answer {
        let many = collection.replace('-', "_");
        let one = match many.as_str() {
            "rbac_policies" => "rbac_policy".to_owned(),
            "policies" => "policy".to_owned(),
            many => many.trim_end_matches('s').to_owned(),
        };
        match (method, rest) {
            ("POST", []) => {
                if let Some(why) = self.refuses.get(collection) {
                    return (
                        409,
                        json!({"NeutronError": {"type": "Refused", "message": why, "detail": ""}}),
                    );
                }
                let id = self.id();
                let mut thing = body[&one].clone();
                thing["id"] = json!(id);
                thing["status"] = json!("ACTIVE");
                if collection == "floatingips" {
                    thing["floating_ip_address"] = json!("198.51.100.7");
                }
                for version in ["IPv4", "IPv6"]
                    .iter()
                    .filter(|_| collection == "security-groups")
                {
                    let rule = json!({"id": self.id(), "security_group_id": id, "direction": "egress", "ethertype": version});
                    let own = rule["id"].as_str().unwrap().to_owned();
                    self.rows("security-group-rules").insert(own, rule);
                }
                self.rows(collection).insert(id, thing.clone());
                (201, json!({ one: thing }))
            }
            ("GET", []) => {
                let wants = |thing: &&Value| {
                    query
                        .iter()
                        .filter(|(key, _)| key != "fields")
                        .all(|(key, value)| match thing.get(key) {
                            Some(Value::String(known)) => known == value,
                            _other => key == "fixed_ips",
                        })
                };
                let found: Vec<Value> = self
                    .rows(collection)
                    .values()
                    .filter(wants)
                    .cloned()
                    .collect();
                (200, json!({ many: found }))
            }
            ("GET", [id]) => self
                .rows(collection)
                .get(*id)
                .map_or_else(missing, |thing| (200, json!({ one: thing }))),
            ("PUT", [id]) => match self.rows(collection).get_mut(*id) {
                Some(thing) => {
                    let changes = body
                        .as_object()
                        .and_then(|body| body.values().next()?.as_object().cloned())
                        .unwrap_or_default();
                    thing.as_object_mut().unwrap().extend(changes);
                    (200, json!({ one: thing }))
                }
                None => missing(),
            },
            ("PUT", [id, "tags"]) => match self.rows(collection).get_mut(*id) {
                Some(thing) => {
                    thing["tags"] = body["tags"].clone();
                    (200, body.clone())
                }
                None => missing(),
            },
            ("DELETE", [id]) => {
                if let Some(why) = self.refuses.get(&format!("delete-{collection}")) {
                    let why = json!({"type": "Refused", "message": why, "detail": ""});
                    return (403, json!({ "NeutronError": why }));
                }
                let used = collection == "networks"
                    && self
                        .rows("subnets")
                        .values()
                        .any(|subnet| subnet["network_id"] == **id);
                if used {
                    return (
                        409,
                        json!({"NeutronError": {"type": "NetworkInUse", "message": "in use", "detail": ""}}),
                    );
                }
                let of_group = |rule: &Value| rule["security_group_id"] == **id;
                self.rows("security-group-rules")
                    .retain(|_, rule| !of_group(rule));
                self.rows(collection)
                    .remove(*id)
                    .map_or_else(missing, |_| (204, Value::Null))
            }
            other => panic!("the network service is not asked this: {other:?}"),
        }
    }

    fn subports(&mut self, trunk: &str, verb: &str, body: &Value) -> Answer {
        let Some(trunk) = self.rows("trunks").get_mut(trunk) else {
            return missing();
        };
        let refused = |kind: &str| {
            (
                409,
                json!({"NeutronError": {"type": kind, "message": kind, "detail": ""}}),
            )
        };
        if trunk["admin_state_up"] == false {
            return refused("TrunkDisabled");
        }
        let mut all = trunk["sub_ports"].as_array().cloned().unwrap_or_default();
        for one in body["sub_ports"].as_array().unwrap() {
            let same = |other: &Value| other["port_id"] == one["port_id"];
            let tag = |other: &Value| other["segmentation_id"] == one["segmentation_id"];
            match verb {
                "add_subports" if all.iter().any(|other| same(other) || tag(other)) => {
                    return refused("DuplicateSubPort");
                }
                "add_subports" => all.push(one.clone()),
                _remove if all.iter().any(same) => all.retain(|other| !same(other)),
                _remove => return missing(),
            }
        }
        trunk["sub_ports"] = json!(all);
        (200, trunk.clone())
    }

    fn leg(&mut self, router: &str, verb: &str, body: &Value) -> Answer {
        let name = format!("{router} {body}");
        let there = self.rows("legs").contains_key(&name);
        match (verb, there) {
            ("add_router_interface", false) => {
                self.rows("legs").insert(name, Value::Null);
                let port = json!({"id": self.id(), "device_id": router});
                self.rows("legports").insert(router.to_owned(), port);
                (200, json!({}))
            }
            ("add_router_interface", true) => (
                400,
                json!({"NeutronError": {"type": "BadRequest", "message": "there already", "detail": ""}}),
            ),
            (_, true) => {
                self.rows("legs").remove(&name);
                self.rows("legports").remove(router);
                (200, json!({}))
            }
            (_, false) => missing(),
        }
    }

    /// Whatever a volume is on its way to, it comes one look further.
    fn volumes(
        &mut self,
        method: &str,
        rest: &[&str],
        query: &[(String, String)],
        body: &Value,
    ) -> Answer {
        match (method, rest) {
            ("POST", []) => {
                let id = self.id();
                let mut volume = body["volume"].clone();
                volume["id"] = json!(id);
                volume["description"] = Value::Null;
                let refused = self.refuses.contains_key("volumes");
                volume["status"] = json!(if refused { "error" } else { "creating" });
                self.rows("volumes").insert(id, volume.clone());
                (202, json!({ "volume": volume }))
            }
            ("POST", [id, "action"]) if body.get("os-retype").is_some() => {
                self.retype(id, &body["os-retype"])
            }
            ("POST", [id, "action"]) if body.get("os-update_readonly_flag").is_some() => {
                let readonly = body["os-update_readonly_flag"]["readonly"]
                    .as_bool()
                    .unwrap();
                let word = if readonly { "True" } else { "False" };
                self.rows("volumes").get_mut(*id).unwrap()["metadata"]["readonly"] = json!(word);
                (202, Value::Null)
            }
            ("GET", []) => {
                let name = query
                    .iter()
                    .find(|(key, _)| key == "name")
                    .map(|(_, name)| json!(name));
                let rows = self.rows("volumes").values();
                let found: Vec<Value> = rows
                    .filter(|volume| Some(&volume["name"]) == name.as_ref())
                    .cloned()
                    .collect();
                (200, json!({ "volumes": found }))
            }
            ("GET", [id]) => self.look_at_volume(id),
            ("PUT", [id]) => match self.rows("volumes").get_mut(*id) {
                Some(volume) => {
                    let changes = body["volume"].as_object().unwrap().clone();
                    volume.as_object_mut().unwrap().extend(changes);
                    (200, json!({ "volume": volume }))
                }
                None => missing(),
            },
            ("PUT", [id, "metadata"]) => match self.rows("volumes").get_mut(*id) {
                Some(volume) => {
                    volume["metadata"] = body["metadata"].clone();
                    (200, body.clone())
                }
                None => missing(),
            },
            ("POST", [id, "action"]) => match self.rows("volumes").get_mut(*id) {
                Some(volume) => {
                    volume["status"] = json!("extending");
                    volume["size"] = body["os-extend"]["new_size"].clone();
                    (202, Value::Null)
                }
                None => missing(),
            },
            ("DELETE", [id]) => match self.rows("volumes").get_mut(*id) {
                Some(volume) if volume["status"] == "in-use" => (
                    400,
                    json!({"badRequest": {"code": 400, "message": "Invalid volume: it is in use"}}),
                ),
                Some(volume) => {
                    volume["status"] = json!("deleting");
                    (202, Value::Null)
                }
                None => missing(),
            },
            other => panic!("volumes are not asked this: {other:?}"),
        }
    }

    fn look_at_volume(&mut self, id: &str) -> Answer {
        let Some(volume) = self.rows("volumes").get_mut(id) else {
            return missing();
        };
        let shown = volume.clone();
        let next = match shown["status"].as_str().unwrap() {
            "creating" | "extending" | "retyping" | "detaching" => "available",
            "attaching" => "in-use",
            "deleting" => "",
            settled => settled,
        };
        volume["status"] = json!(next);
        if next.is_empty() {
            self.rows("volumes").remove(id);
        }
        if shown["status"] == "detaching" {
            self.rows("attachments")
                .retain(|name, _| !name.ends_with(id));
        }
        (200, json!({ "volume": shown }))
    }

    fn volume_attachments(
        &mut self,
        method: &str,
        (server, rest): (&str, &[&str]),
        body: &Value,
    ) -> Answer {
        let asked = body.pointer("/volumeAttachment/volumeId");
        let volume = rest
            .first()
            .copied()
            .or(asked.and_then(Value::as_str))
            .unwrap()
            .to_owned();
        let name = format!("{server} {volume}");
        match method {
            "POST" => {
                let row = self.rows("volumes").get_mut(&volume);
                match row.filter(|volume| volume["status"] == "available") {
                    Some(row) => {
                        row["status"] = json!("attaching");
                        self.rows("attachments").insert(name, body.clone());
                        (200, body.clone())
                    }
                    None => (
                        400,
                        json!({"badRequest": {"code": 400, "message": "Invalid volume: not available"}}),
                    ),
                }
            }
            "GET" if self.rows("attachments").contains_key(&name) => {
                (200, json!({"volumeAttachment": {"id": volume}}))
            }
            "DELETE" if self.rows("attachments").contains_key(&name) => {
                let row = self.rows("volumes").get_mut(&volume).unwrap();
                row["status"] = json!("detaching");
                (202, Value::Null)
            }
            _absent => missing(),
        }
    }

    fn key_pairs(&mut self, method: &str, rest: &[&str], body: &Value) -> Answer {
        match (method, rest) {
            ("POST", []) => {
                let mut pair = body["keypair"].clone();
                let name = pair["name"].as_str().unwrap().to_owned();
                if pair.get("public_key").is_none() {
                    pair["public_key"] = json!("ssh-rsa generated");
                    pair["private_key"] = json!("-----BEGIN");
                }
                self.rows("keypairs").insert(name, pair.clone());
                (201, json!({ "keypair": pair }))
            }
            ("GET", [name]) => self
                .rows("keypairs")
                .get(*name)
                .map_or_else(missing, |pair| (200, json!({ "keypair": pair }))),
            ("DELETE", [name]) => self
                .rows("keypairs")
                .remove(*name)
                .map_or_else(missing, |_| (204, Value::Null)),
            other => panic!("key pairs are not asked this: {other:?}"),
        }
    }

    fn servers(
        &mut self,
        method: &str,
        rest: &[&str],
        query: &[(String, String)],
        body: &Value,
    ) -> Answer {
        match (method, rest) {
            ("POST", []) => {
                let nics = body["server"]["networks"].as_array().cloned();
                let mut ports = nics.iter().flatten().map(|nic| nic["port"].clone());
                if ports.any(|port| self.is_plugged(&port)) {
                    return in_use();
                }
                let id = self.id();
                let mut server = body["server"].clone();
                server["id"] = json!(id);
                server["status"] = json!("BUILD");
                dress(&mut server);
                server["addresses"] = json!({"net": [{"addr": "10.0.0.5", "version": 4}]});
                if let Some(why) = self.refuses.get("servers") {
                    server["fault"] = json!({"message": why});
                }
                self.rows("servers").insert(id.clone(), server);
                (202, json!({"server": {"id": id}}))
            }
            ("GET", []) => {
                let tag = query
                    .iter()
                    .find(|(key, _)| key == "tags")
                    .map(|(_, tag)| json!(tag))
                    .unwrap_or_default();
                let found: Vec<Value> = self
                    .rows("servers")
                    .values()
                    .filter(|server| {
                        server["tags"]
                            .as_array()
                            .is_some_and(|tags| tags.contains(&tag))
                    })
                    .cloned()
                    .collect();
                (200, json!({ "servers": found }))
            }
            ("GET", [id]) => match self.rows("servers").get_mut(*id) {
                Some(server) => {
                    let shown = server.clone();
                    // It is further along whenever somebody looks.
                    if server["status"] == "RESIZE" {
                        server["status"] = json!("VERIFY_RESIZE");
                    }
                    if server["status"] == "REBUILD" {
                        server["status"] = json!("ACTIVE");
                    }
                    if server["status"] == "BUILD" {
                        server["status"] = json!(if server.get("fault").is_some() {
                            "ERROR"
                        } else {
                            "ACTIVE"
                        });
                    }
                    (200, json!({ "server": shown }))
                }
                None => missing(),
            },
            ("PUT", [id]) => match self.rows("servers").get_mut(*id) {
                Some(server) => {
                    server["name"] = body["server"]["name"].clone();
                    (200, json!({ "server": server }))
                }
                None => missing(),
            },
            ("PUT", [_, "metadata"]) => (200, body.clone()),
            ("PUT", [id, "tags"]) => {
                self.rows("servers").get_mut(*id).unwrap()["tags"] = body["tags"].clone();
                (200, body.clone())
            }
            ("DELETE", [id]) => self
                .rows("servers")
                .remove(*id)
                .map_or_else(missing, |_| (204, Value::Null)),
            other => panic!("servers are not asked this: {other:?}"),
        }
    }
}
