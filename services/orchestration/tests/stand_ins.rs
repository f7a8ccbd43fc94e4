//! Stand-ins for what administrators set in block storage, and for server groups.

use serde_json::{Value, json};

use crate::siblings::{Answer, State, missing};

pub fn refused(code: u16, why: &str) -> Answer {
    (code, json!({"badRequest": {"code": code, "message": why}}))
}

/// The fields that a body has inside, whatever it is called.
pub fn inside(body: &Value) -> serde_json::Map<String, Value> {
    body.as_object()
        .and_then(|body| body.values().next()?.as_object().cloned())
        .unwrap_or_default()
}

/// There are two flavors.
pub fn flavor_name(id: &str) -> Option<&'static str> {
    match id {
        "tiny" => Some("small one"),
        "large" => Some("large one"),
        _another => None,
    }
}

/// A new server as the compute service shows it.
pub fn dress(server: &mut Value) {
    let flavor = server["flavorRef"].as_str().unwrap_or_default();
    server["flavor"] = json!({"original_name": flavor_name(flavor)});
    server["image"] = json!({"id": server["imageRef"]});
    let nics = server["networks"].as_array().cloned().unwrap_or_default();
    let plugged = |(at, nic): (usize, &Value)| match nic.get("port") {
        Some(port) => json!({"port_id": port, "net_id": "of the port", "fixed_ips": []}),
        None => {
            json!({"port_id": format!("own-{at}"), "net_id": nic["uuid"], "fixed_ips": [{"ip_address": nic["fixed_ip"]}]})
        }
    };
    server["interfaces"] = nics.iter().enumerate().map(plugged).collect();
}

/// What is in one server cannot be in another.
pub fn in_use() -> Answer {
    (
        409,
        json!({"conflictingRequest": {"code": 409, "message": "The port is in use."}}),
    )
}

impl State {
    /// Whether a port is in some server.
    pub fn is_plugged(&mut self, port: &Value) -> bool {
        let plugged = |server: &Value| {
            let nics = server["interfaces"].as_array();
            nics.into_iter()
                .flatten()
                .any(|nic| nic["port_id"] == *port)
        };
        !port.is_null() && self.rows("servers").values().any(plugged)
    }

    pub fn server_action(&mut self, id: &str, body: &Value) -> Answer {
        if let Some(given) = body.get("createImage") {
            return self.image_of(id, given);
        }
        let refused = self.refuses.contains_key("resize");
        let Some(server) = self.rows("servers").get_mut(id) else {
            return missing();
        };
        let (action, given) = body.as_object().unwrap().iter().next().unwrap();
        let status = match action.as_str() {
            "suspend" => "SUSPENDED",
            "changePassword" => {
                server["adminPass"] = given["adminPass"].clone();
                "ACTIVE"
            }
            "resume" => "ACTIVE",
            "confirmResize" => {
                assert_eq!(server["status"], "VERIFY_RESIZE");
                "ACTIVE"
            }
            "resize" if refused => "ACTIVE",
            "resize" => {
                server["flavorRef"] = given["flavorRef"].clone();
                let flavor = given["flavorRef"].as_str().unwrap();
                server["flavor"] = json!({"original_name": flavor_name(flavor)});
                "RESIZE"
            }
            "rebuild" => {
                server["image"] = json!({"id": given["imageRef"]});
                for field in ["user_data", "preserve_ephemeral"] {
                    if let Some(value) = given.get(field) {
                        server[field] = value.clone();
                    }
                }
                "REBUILD"
            }
            other => panic!("servers are not told this: {other}"),
        };
        server["status"] = json!(status);
        (202, Value::Null)
    }

    pub fn interfaces(
        &mut self,
        method: &str,
        (id, rest): (&str, &[&str]),
        body: &Value,
    ) -> Answer {
        let port = self.id();
        if method == "POST" && self.is_plugged(&body["interfaceAttachment"]["port_id"]) {
            return in_use();
        }
        let Some(server) = self.rows("servers").get_mut(id) else {
            return missing();
        };
        let plugged = server["interfaces"].as_array_mut().unwrap();
        match (method, rest) {
            ("GET", []) => (200, json!({ "interfaceAttachments": plugged })),
            ("POST", []) => {
                let wish = &body["interfaceAttachment"];
                let nic = match wish.get("port_id") {
                    Some(port) => {
                        json!({"port_id": port, "net_id": "of the port", "fixed_ips": []})
                    }
                    None => {
                        json!({"port_id": port, "net_id": wish["net_id"], "fixed_ips": wish["fixed_ips"]})
                    }
                };
                plugged.push(nic.clone());
                (200, json!({ "interfaceAttachment": nic }))
            }
            ("DELETE", [port]) => {
                plugged.retain(|nic| nic["port_id"] != **port);
                (202, Value::Null)
            }
            other => panic!("interfaces are not asked this: {other:?}"),
        }
    }

    pub fn routes(&mut self, router: &str, verb: &str, body: &Value) -> Answer {
        let Some(router) = self.rows("routers").get_mut(router) else {
            return missing();
        };
        let given = body["router"]["routes"].as_array().unwrap();
        let mut routes = router["routes"].as_array().cloned().unwrap_or_default();
        routes.retain(|route| !given.contains(route));
        if verb == "add_extraroutes" {
            routes.extend(given.iter().cloned());
        }
        router["routes"] = json!(routes);
        (200, json!({ "router": router }))
    }

    pub fn aggregates(&mut self, method: &str, rest: &[&str], body: &Value) -> Answer {
        match (method, rest) {
            ("POST", []) => {
                let id = self.rows("aggregates").len() + 7;
                let mut one = body["aggregate"].clone();
                let more = json!({"id": id, "hosts": [], "metadata": {}});
                one.as_object_mut()
                    .unwrap()
                    .extend(more.as_object().unwrap().clone());
                self.rows("aggregates").insert(id.to_string(), one.clone());
                (200, json!({ "aggregate": one }))
            }
            ("GET", []) => {
                let all: Vec<Value> = self.rows("aggregates").values().cloned().collect();
                (200, json!({ "aggregates": all }))
            }
            ("DELETE", [id]) => {
                let held = self
                    .rows("aggregates")
                    .get(*id)
                    .is_some_and(|one| one["hosts"] != json!([]));
                if held {
                    return refused(400, "it has hosts");
                }
                let gone = self.rows("aggregates").remove(*id);
                gone.map_or_else(missing, |_| (200, Value::Null))
            }
            (_, [id, ..]) => match self.rows("aggregates").get_mut(*id) {
                None => missing(),
                Some(one) => {
                    if method == "PUT" {
                        one["name"] = body["aggregate"]["name"].clone();
                    }
                    let host = |verb: &str| body[verb]["host"].clone();
                    let hosts = one["hosts"].as_array_mut().unwrap();
                    hosts.retain(|known| *known != host("remove_host"));
                    if body.get("add_host").is_some() {
                        hosts.push(host("add_host"));
                    }
                    let changes = body["set_metadata"]["metadata"].as_object().cloned();
                    let metadata = one["metadata"].as_object_mut().unwrap();
                    metadata.extend(changes.unwrap_or_default());
                    metadata.retain(|_, value| !value.is_null());
                    (200, json!({ "aggregate": one }))
                }
            },
            other => panic!("aggregates are not asked this: {other:?}"),
        }
    }

    pub fn retype(&mut self, id: &str, wish: &Value) -> Answer {
        let refused = self.refuses.contains_key("retype");
        let volume = self.rows("volumes").get_mut(id).unwrap();
        volume["status"] = json!("retyping");
        if !refused {
            volume["volume_type"] = wish["new_type"].clone();
        }
        (202, Value::Null)
    }

    pub fn types(&mut self, method: &str, rest: &[&str], body: &Value) -> Answer {
        match (method, rest) {
            ("POST", []) => {
                let id = self.id();
                let mut kind =
                    json!({"id": id, "description": null, "extra_specs": {}, "projects": []});
                kind["name"] = body["volume_type"]["name"].clone();
                kind["is_public"] = body["volume_type"]["os-volume-type-access:is_public"].clone();
                self.rows("types").insert(id, kind.clone());
                (200, json!({ "volume_type": kind }))
            }
            ("GET", []) => {
                let all: Vec<Value> = self.rows("types").values().cloned().collect();
                (200, json!({ "volume_types": all }))
            }
            ("DELETE", [id]) => {
                let gone = self.rows("types").remove(*id);
                gone.map_or_else(missing, |_| (202, Value::Null))
            }
            ("GET", [id @ ("fast" | "slow")]) => (200, json!({"volume_type": {"name": id}})),
            (_, [id, rest @ ..]) => match self.rows("types").get_mut(*id) {
                Some(kind) => one_type(kind, (method, rest), body),
                None => missing(),
            },
            other => panic!("types are not asked this: {other:?}"),
        }
    }

    pub fn qos(
        &mut self,
        method: &str,
        rest: &[&str],
        query: &[(String, String)],
        body: &Value,
    ) -> Answer {
        let kind = query.iter().find(|(key, _)| key == "vol_type_id");
        match (method, rest) {
            ("POST", []) => {
                let id = self.id();
                let mut specs = inside(body);
                let (name, consumer) = (specs.remove("name"), specs.remove("consumer"));
                let qos = json!({"id": id, "name": name, "consumer": consumer, "specs": specs});
                self.rows("qos").insert(id, qos.clone());
                (200, json!({ "qos_specs": qos }))
            }
            ("GET", []) => {
                let all: Vec<Value> = self.rows("qos").values().cloned().collect();
                (200, json!({ "qos_specs": all }))
            }
            (_, [id, ..]) if !self.rows("qos").contains_key(*id) => missing(),
            ("GET", [id]) => (200, json!({"qos_specs": self.rows("qos")[*id]})),
            ("PUT", [id]) => {
                let qos = self.rows("qos").get_mut(*id).unwrap();
                let mut specs = inside(body);
                qos["consumer"] = specs.remove("consumer").unwrap();
                qos["specs"].as_object_mut().unwrap().extend(specs);
                (200, body.clone())
            }
            ("PUT", [id, "delete_keys"]) => {
                let qos = self.rows("qos").get_mut(*id).unwrap();
                for key in body["keys"].as_array().unwrap() {
                    let specs = qos["specs"].as_object_mut().unwrap();
                    specs.remove(key.as_str().unwrap()).unwrap();
                }
                (202, Value::Null)
            }
            ("DELETE", [id]) => {
                self.rows("qos").remove(*id);
                self.rows("associations").retain(|_, qos| *qos != **id);
                (202, Value::Null)
            }
            ("GET", [id, "associate"]) => {
                let kind = &kind.unwrap().1;
                let other = self.rows("associations").insert(kind.clone(), json!(id));
                assert!(other.is_none_or(|other| other == **id), "another's type");
                (202, Value::Null)
            }
            ("GET", [_, "disassociate"]) => {
                self.rows("associations").remove(&kind.unwrap().1);
                (202, Value::Null)
            }
            other => panic!("QoS specs are not asked this: {other:?}"),
        }
    }

    pub fn quotas(&mut self, method: &str, rest: &[&str], body: &Value) -> Answer {
        match (method, rest) {
            ("GET", [_]) => (
                200,
                json!({"quota_set": {"volumes": {"limit": 10, "in_use": 3}}}),
            ),
            ("GET", [_, "defaults"]) => (
                200,
                json!({"quota_set": {"volumes": 10, "gigabytes": 1000}}),
            ),
            ("PUT", [project]) => {
                let limits = Value::Object(inside(body));
                self.rows("quotas").insert((*project).to_owned(), limits);
                (200, body.clone())
            }
            ("DELETE", [project]) => {
                self.rows("quotas").remove(*project);
                (200, Value::Null)
            }
            other => panic!("quotas are not asked this: {other:?}"),
        }
    }

    /// Quotas of servers and networks: nobody has any, or one row.
    pub fn limits(&mut self, method: &str, rest: &[&str], body: &Value) -> Answer {
        match (method, rest) {
            ("GET", [_, "defaults"]) => (200, json!({"quota_set": {"cores": 20, "ram": 51200}})),
            ("GET", [_, "default"]) => (200, json!({"quota": {"network": 100, "port": 500}})),
            ("PUT", [project]) => {
                let limits = Value::Object(inside(body));
                self.rows("limits").insert((*project).to_owned(), limits);
                (200, body.clone())
            }
            ("DELETE", [project]) => {
                self.rows("limits").remove(*project);
                (204, Value::Null)
            }
            other => panic!("quotas are not asked this: {other:?}"),
        }
    }

    /// A backup is there at the second look, unless it is refused.
    pub fn backups(
        &mut self,
        asked: (&str, &[&str]),
        query: &[(String, String)],
        body: &Value,
    ) -> Answer {
        let refused = self.refuses.contains_key("backups");
        match asked {
            ("POST", []) => {
                let id = self.id();
                let mut backup = body["backup"].clone();
                backup["id"] = json!(id);
                backup["status"] = json!("creating");
                self.rows("backups").insert(id, backup.clone());
                (202, json!({ "backup": backup }))
            }
            ("GET", ["detail"]) => {
                let (key, volume) = &query[0];
                assert_eq!(key, "volume_id");
                let of = |backup: &&mut Value| backup["volume_id"] == **volume;
                let mut found = Vec::new();
                for backup in self.rows("backups").values_mut().filter(of) {
                    found.push(backup.clone());
                    backup["status"] = json!(if refused { "error" } else { "available" });
                    backup["fail_reason"] = json!("no room");
                }
                (200, json!({ "backups": found }))
            }
            other => panic!("backups are not asked this: {other:?}"),
        }
    }

    pub fn server_groups(&mut self, method: &str, rest: &[&str], body: &Value) -> Answer {
        match (method, rest) {
            ("POST", []) => {
                let id = self.id();
                let mut group = body["server_group"].clone();
                group["id"] = json!(id);
                self.rows("groups").insert(id, group.clone());
                (200, json!({ "server_group": group }))
            }
            ("GET", []) => {
                let all: Vec<Value> = self.rows("groups").values().cloned().collect();
                (200, json!({ "server_groups": all }))
            }
            ("GET", [id]) => {
                let group = self.rows("groups").get(*id);
                group.map_or_else(missing, |group| (200, json!({ "server_group": group })))
            }
            ("DELETE", [id]) => {
                let gone = self.rows("groups").remove(*id);
                gone.map_or_else(missing, |_| (204, Value::Null))
            }
            other => panic!("server groups are not asked this: {other:?}"),
        }
    }
}

fn one_type(kind: &mut Value, (method, rest): (&str, &[&str]), body: &Value) -> Answer {
    let specs = kind["extra_specs"].as_object_mut().unwrap();
    match (method, rest) {
        ("GET", []) => {}
        ("PUT", []) if body["volume_type"]["name"] == "taken" => {
            return refused(409, "Volume Type taken already exists.");
        }
        ("PUT", []) => kind.as_object_mut().unwrap().extend(inside(body)),
        ("GET", ["encryption"]) => {
            let now = kind.get("encryption").cloned();
            return (200, now.unwrap_or_else(|| json!({})));
        }
        ("POST", ["encryption"]) => {
            assert!(kind.get("encryption").is_none(), "{kind}");
            kind["encryption"] = json!({"encryption_id": "e"});
            kind["encryption"]
                .as_object_mut()
                .unwrap()
                .extend(inside(body));
        }
        ("PUT", ["encryption", "provider"]) => {
            kind["encryption"]
                .as_object_mut()
                .unwrap()
                .extend(inside(body));
        }
        ("DELETE", ["encryption", "provider"]) => {
            if kind.as_object_mut().unwrap().remove("encryption").is_none() {
                return missing();
            }
            return (202, Value::Null);
        }
        ("POST", ["extra_specs"]) => specs.extend(inside(body)),
        ("DELETE", ["extra_specs", key]) => {
            specs.remove(*key).unwrap();
        }
        ("GET", ["os-volume-type-access"]) => {
            let all = kind["projects"].as_array().unwrap().iter();
            let all: Vec<Value> = all.map(|id| json!({"project_id": id})).collect();
            return (200, json!({ "volume_type_access": all }));
        }
        ("POST", ["action"]) => {
            let project = inside(body)["project"].clone();
            let projects = kind["projects"].as_array_mut().unwrap();
            projects.retain(|known| *known != project);
            if body.get("addProjectAccess").is_some() {
                projects.push(project);
            }
        }
        other => panic!("a type is not asked this: {other:?}"),
    }
    (200, json!({ "volume_type": kind }))
}
