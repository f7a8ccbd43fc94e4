//! A network service under test, with verbs for what tests do again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use nephos_api::Check as _;
use nephos_network::{Config, Network};
use nephos_testkit::{Answer, Ask, Persona, World};
use serde_json::{Value, json};

/// The service and its callers.
pub struct Cloud {
    pub world: World,
    pub network: Arc<Network>,
    pub ask: Ask,
    /// What hosts have told of the ends of their tunnels.
    vteps: Mutex<HashMap<String, String>>,
}

impl Cloud {
    pub async fn new() -> Self {
        let world = World::new();
        let core = world.core::<Network>().await;
        let network = Arc::new(Network::new(
            core,
            Config::default(),
            world.bus.clone(),
            world.peers().await,
        ));
        let app = world.app(Arc::clone(&network));
        let ask = world.ask(&app);
        Self {
            world,
            network,
            ask,
            vteps: Mutex::default(),
        }
    }

    /// The door of another process of the same service.
    pub async fn beside(&self) -> Ask {
        let core = self.world.core::<Network>().await;
        let (bus, peers) = (self.world.bus.clone(), self.world.peers().await);
        let network = Network::new(core, Config::default(), bus, peers);
        let app = self.world.app(Arc::new(network));
        self.world.ask(&app)
    }

    pub fn member(&self) -> Ask {
        self.ask.as_persona(Persona::Member)
    }

    pub fn admin(&self) -> Ask {
        self.ask.as_persona(Persona::Admin)
    }

    pub fn other(&self) -> Ask {
        self.ask.as_persona(Persona::OtherProject)
    }

    pub fn service(&self) -> Ask {
        self.ask.as_persona(Persona::Service)
    }

    /// A network of the member's.
    pub async fn net(&self) -> String {
        make(&self.member(), "network", json!({"name": "net"})).await
    }

    /// A network with an IPv4 subnet: both ids.
    pub async fn wired(&self, cidr: &str) -> (String, String) {
        let network = self.net().await;
        let subnet = self.subnet(&network, cidr).await;
        (network, subnet)
    }

    /// A subnet of the member's.
    pub async fn subnet(&self, network: &str, cidr: &str) -> String {
        let body = json!({"network_id": network, "cidr": cidr, "ip_version": if cidr.contains(':') { 6 } else { 4 }});
        make(&self.member(), "subnet", body).await
    }

    /// An external network with a subnet.
    pub async fn outside(&self) -> String {
        let body = json!({"name": "public", "router:external": true, "provider:network_type": "flat",
            "provider:physical_network": "public"});
        let network = make(&self.admin(), "network", body).await;
        let subnet = json!({"network_id": network, "cidr": "203.0.113.0/24", "ip_version": 4, "enable_dhcp": false});
        make(&self.admin(), "subnet", subnet).await;
        network
    }

    /// A host that tells of itself.
    pub async fn host(&self, name: &str, vtep: &str) {
        let report = json!([{"kind": "host", "id": name, "generation_seen": 0, "state": "up", "at": "2026-01-02T03:04:05Z",
            "detail": {"host": name, "vtep": vtep, "physical_networks": ["public"]}}]);
        self.observed(name, report).await;
        self.network.settle().await.unwrap();
    }

    /// What a host reports.
    pub async fn observed(&self, host: &str, report: Value) {
        if let Some(vtep) = report[0]["detail"]["vtep"].as_str() {
            let mut vteps = self.vteps.lock().unwrap();
            vteps.insert(host.to_owned(), vtep.to_owned());
        }
        let target = format!("/host/v1/observed?host={host}");
        self.ask
            .as_host(host)
            .put(&target, report)
            .await
            .expect(204);
    }

    /// What a host is to have, by kind and id.
    pub async fn feed(&self, host: &str) -> Vec<Value> {
        self.network.settle().await.unwrap();
        let target = format!("/host/v1/feed?host={host}&since=0&wait=0");
        let page = self.ask.as_host(host).get(&target).await.expect(200).json;
        page["items"].as_array().unwrap().clone()
    }

    /// One document of a host, with what the list that goes with it says: the ports of a network that are elsewhere, the
    /// members of a group.
    pub async fn document(&self, host: &str, kind: &str, id: &str) -> Value {
        let items = self.feed(host).await;
        let found = items
            .iter()
            .find(|item| item["kind"] == kind && item["id"] == id);
        let Some(mut document) = found.map(|item| item["spec"].clone()) else {
            return Value::Null;
        };
        let entries = |kind: &str| {
            let list = format!("{id}/");
            let of_list = move |item: &&Value| item["id"].as_str().unwrap().starts_with(&list);
            let entries = items.iter().filter(move |item| item["kind"] == *kind);
            let entries = entries.filter(of_list).map(|item| item["spec"].clone());
            entries.collect::<Vec<Value>>()
        };
        match kind {
            "network" => {
                let own = self.vteps.lock().unwrap().get(host).cloned();
                let mut remote = entries("remote_port");
                remote.retain(|port| port["vtep"].as_str() != own.as_deref());
                document["remote"] = Value::Array(remote);
            }
            "security_group" => {
                let members = entries("member");
                let ips = members
                    .iter()
                    .flat_map(|one| one["ips"].as_array().unwrap());
                document["members"] = Value::Array(ips.cloned().collect());
            }
            _whole => {}
        }
        document
    }

    /// What does not fit together.
    pub async fn assert_consistent(&self) {
        assert_eq!(self.network.check().await.unwrap(), []);
    }
}

/// The path of a kind of thing.
pub fn path(kind: &str) -> String {
    match kind {
        "security_group" => "/v2.0/security-groups".to_owned(),
        "security_group_rule" => "/v2.0/security-group-rules".to_owned(),
        "address_scope" => "/v2.0/address-scopes".to_owned(),
        "rbac_policy" => "/v2.0/rbac-policies".to_owned(),
        "policy" => "/v2.0/qos/policies".to_owned(),
        other => format!("/v2.0/{other}s"),
    }
}

/// Makes a thing; gives its id.
pub async fn make(ask: &Ask, kind: &str, body: Value) -> String {
    let made = create(ask, kind, body).await;
    made["id"].as_str().unwrap().to_owned()
}

/// Makes a thing; gives all of it.
pub async fn create(ask: &Ask, kind: &str, body: Value) -> Value {
    let answer = ask.post(&path(kind), json!({kind: body})).await.expect(201);
    answer.json[kind].clone()
}

/// Tries to make a thing; gives the refusal's type.
pub async fn refused(ask: &Ask, kind: &str, body: Value, status: u16) -> String {
    let answer = ask
        .post(&path(kind), json!({kind: body}))
        .await
        .expect(status);
    fault(&answer)
}

/// The type of a refusal.
pub fn fault(answer: &Answer) -> String {
    answer.json["NeutronError"]["type"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The ids of a list.
pub async fn ids(ask: &Ask, kind: &str, query: &str) -> Vec<String> {
    let target = format!("{}?{query}", path(kind));
    let answer = ask.get(&target).await.expect(200).json;
    let many = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    };
    let list = answer[many].as_array().unwrap();
    list.iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}
