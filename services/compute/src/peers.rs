//! Every call that compute makes to its siblings, as verbs. All of them can be repeated.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use nephos_peer::{PeerError, Peers};
use nephos_runtime::Clock;
use nephos_types::{RequestId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::server::{BoundAddress, BoundNic, ImageCopy, Nic, Server};
use crate::model::spec::{HostInventory, ServerId};

const PLACEMENT: &str = "placement 1.39";
/// Networks that are remembered.
const FACTS: usize = 1000;
/// A network's name, MTU and subnets may be as old as this when a port is described.
const FACTS_SECS: i64 = 5;

/// The siblings, as compute sees them.
#[derive(Debug)]
pub(crate) struct Siblings {
    peers: Peers,
    clock: Clock,
    facts: Mutex<HashMap<String, (Timestamp, Facts)>>,
}

/// What many ports of one network have in common.
#[derive(Clone, Debug)]
struct Facts {
    network: Network,
    subnets: Arc<Vec<Subnet>>,
}

/// A port as the network service shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Port {
    pub id: String,
    pub network_id: String,
    pub mac_address: String,
    #[serde(default)]
    pub device_id: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub fixed_ips: Vec<FixedIp>,
    #[serde(default)]
    pub security_groups: Vec<String>,
}

/// An address of a port.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FixedIp {
    pub subnet_id: String,
    pub ip_address: String,
}

/// A network as the network service shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Network {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub mtu: Option<u32>,
    #[serde(default)]
    pub subnets: Vec<String>,
    #[serde(default, rename = "router:external")]
    pub external: bool,
    #[serde(default)]
    pub shared: bool,
    #[serde(default)]
    pub project_id: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Subnet {
    id: String,
    cidr: String,
    gateway_ip: Option<String>,
    #[serde(default)]
    dns_nameservers: Vec<String>,
    #[serde(default)]
    enable_dhcp: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct FloatingIp {
    floating_ip_address: String,
    fixed_ip_address: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// What placement offers: a provider, and the allocation to claim there.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub provider: String,
    pub allocations: Value,
    pub ram_free_mib: u64,
}

impl Siblings {
    pub(crate) fn new(peers: Peers, clock: Clock) -> Self {
        Self { peers, clock, facts: Mutex::default() }
    }

    /// An image, as the caller sees it.
    pub(crate) async fn image(
        &self,
        token: &str,
        id: &str,
        request: &RequestId,
    ) -> Result<Value, PeerError> {
        let target = format!("/v2/images/{}", encoded(id));
        self.peers.get("image", target).as_token(token).request_id(request).send().await?.json()
    }

    /// Networks that the caller may plug into, all of them or those with these ids.
    pub(crate) async fn networks(
        &self,
        token: &str,
        ids: &[String],
    ) -> Result<Vec<Network>, PeerError> {
        #[derive(Deserialize)]
        struct List {
            networks: Vec<Network>,
        }
        let query: String = ids.iter().map(|id| format!("id={}&", encoded(id))).collect();
        let target = format!("/v2.0/networks?{query}");
        let list: List = self.peers.get("network", target).as_token(token).send().await?.json()?;
        Ok(list.networks)
    }

    /// A port, as the caller sees it.
    pub(crate) async fn port_of_caller(&self, token: &str, id: &str) -> Result<Port, PeerError> {
        let call = self.peers.get("network", format!("/v2.0/ports/{}", encoded(id)));
        unwrapped(call.as_token(token).send().await?.json()?, "port")
    }

    /// Ids of the project's security groups of these names or ids.
    pub(crate) async fn security_group(
        &self,
        project: &str,
        name: &str,
    ) -> Result<Option<String>, PeerError> {
        #[derive(Deserialize)]
        struct List {
            security_groups: Vec<Named>,
        }
        for key in ["name", "id"] {
            let target = format!(
                "/v2.0/security-groups?fields=id&project_id={project}&{key}={}",
                encoded(name)
            );
            let list: List = self.peers.get("network", target).as_service().send().await?.json()?;
            if let Some(found) = list.security_groups.into_iter().next() {
                return Ok(Some(found.id));
            }
        }
        Ok(None)
    }

    /// Security groups by id, as the caller sees them, in the old form of the compute API.
    pub(crate) async fn security_groups(
        &self,
        token: &str,
        ids: &[String],
    ) -> Result<Vec<Value>, PeerError> {
        #[derive(Deserialize)]
        struct List {
            security_groups: Vec<Value>,
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let query: String = ids.iter().map(|id| format!("id={}&", encoded(id))).collect();
        let target = format!("/v2.0/security-groups?{query}");
        let list: List = self.peers.get("network", target).as_token(token).send().await?.json()?;
        let old = |group: &Value| {
            json!({
                "id": group.get("id"), "name": group.get("name"), "description": group.get("description"),
                "tenant_id": group.get("tenant_id"), "rules": [],
            })
        };
        Ok(list.security_groups.iter().map(old).collect())
    }

    /// Ports plugged into a server.
    pub(crate) async fn ports_of(&self, server: &ServerId) -> Result<Vec<Port>, PeerError> {
        #[derive(Deserialize)]
        struct List {
            ports: Vec<Port>,
        }
        let target = format!("/v2.0/ports?device_id={server}");
        let list: List = self.peers.get("network", target).as_service().send().await?.json()?;
        Ok(list.ports)
    }

    /// Makes a port for a server on its host.
    pub(crate) async fn create_port(
        &self,
        server: &Server,
        nic: &Nic,
        groups: &[String],
    ) -> Result<Port, PeerError> {
        let mut port = json!({
            "network_id": nic.network_id, "device_id": server.id, "project_id": server.project_id,
            "device_owner": owner(server), "binding:host_id": server.host, "admin_state_up": true,
        });
        if let Some(object) = port.as_object_mut() {
            if !groups.is_empty() {
                object.insert("security_groups".into(), json!(groups));
            }
            if let Some(ip) = &nic.fixed_ip {
                object.insert("fixed_ips".into(), json!([{ "ip_address": ip }]));
            }
        }
        let call = self.peers.post("network", "/v2.0/ports").json(&json!({ "port": port }));
        unwrapped(call.as_service().send().await?.json()?, "port")
    }

    /// Binds an existing port to a server on its host.
    pub(crate) async fn bind_port(&self, server: &Server, port: &str) -> Result<Port, PeerError> {
        let body = json!({"port": {
            "device_id": server.id, "device_owner": owner(server), "binding:host_id": server.host,
        }});
        let call = self.peers.put("network", format!("/v2.0/ports/{port}")).json(&body);
        unwrapped(call.as_service().send().await?.json()?, "port")
    }

    /// Gives a port back to its owner.
    pub(crate) async fn unbind_port(&self, port: &str) -> Result<(), PeerError> {
        let body = json!({"port": {"device_id": "", "device_owner": "", "binding:host_id": ""}});
        let call = self.peers.put("network", format!("/v2.0/ports/{port}")).json(&body);
        absent_is_fine(call.as_service().send().await)
    }

    /// Removes a port.
    pub(crate) async fn remove_port(&self, port: &str) -> Result<(), PeerError> {
        let call = self.peers.delete("network", format!("/v2.0/ports/{port}"));
        absent_is_fine(call.as_service().send().await)
    }

    /// Sets the security groups of a port.
    pub(crate) async fn set_security_groups(
        &self,
        token: &str,
        port: &str,
        groups: &[String],
    ) -> Result<(), PeerError> {
        let body = json!({"port": {"security_groups": groups}});
        let call = self.peers.put("network", format!("/v2.0/ports/{port}")).json(&body);
        call.as_token(token).send().await.map(|_| ())
    }

    /// All that a server has to know of a port: its network, addresses, floating addresses; a new port has none of these.
    pub(crate) async fn describe(&self, port: &Port, is_new: bool) -> Result<BoundNic, PeerError> {
        #[derive(Deserialize)]
        struct Floating {
            floatingips: Vec<FloatingIp>,
        }
        let Facts { network, subnets } = self.facts(&port.network_id).await?;
        let floating = if is_new {
            Vec::new()
        } else {
            let target = format!("/v2.0/floatingips?port_id={}", port.id);
            let found: Floating = self.peers.get("network", target).as_service().send().await?.json()?;
            found.floatingips
        };
        let address = |fixed: &FixedIp| {
            let subnet = subnets.iter().find(|subnet| subnet.id == fixed.subnet_id);
            BoundAddress {
                ip: fixed.ip_address.clone(),
                subnet_id: fixed.subnet_id.clone(),
                cidr: subnet.map(|subnet| subnet.cidr.clone()).unwrap_or_default(),
                gateway: subnet.and_then(|subnet| subnet.gateway_ip.clone()),
                dns: subnet.map(|subnet| subnet.dns_nameservers.clone()).unwrap_or_default(),
                dhcp: subnet.is_some_and(|subnet| subnet.enable_dhcp),
                floating: floating
                    .iter()
                    .filter(|ip| ip.fixed_ip_address.as_ref() == Some(&fixed.ip_address))
                    .map(|ip| ip.floating_ip_address.clone())
                    .collect(),
            }
        };
        Ok(BoundNic {
            mac: port.mac_address.clone(),
            network: network.name,
            mtu: network.mtu.unwrap_or(1450),
            addresses: port.fixed_ips.iter().map(address).collect(),
        })
    }

    async fn facts(&self, network: &str) -> Result<Facts, PeerError> {
        #[derive(Deserialize)]
        struct Subnets {
            subnets: Vec<Subnet>,
        }
        let oldest = self.clock.now().plus_secs(-FACTS_SECS);
        let kept = {
            let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
            facts.get(network).filter(|(at, _)| *at >= oldest).map(|(_, facts)| facts.clone())
        };
        if let Some(facts) = kept {
            return Ok(facts);
        }
        let shown = self.peers.get("network", format!("/v2.0/networks/{network}")).as_service().send();
        let subnets = self.peers.get("network", format!("/v2.0/subnets?network_id={network}")).as_service().send();
        let (shown, subnets) = tokio::try_join!(shown, subnets)?;
        let found = Facts {
            network: unwrapped(shown.json()?, "network")?,
            subnets: Arc::new(subnets.json::<Subnets>()?.subnets),
        };
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if facts.len() >= FACTS {
            facts.clear();
        }
        facts.insert(network.to_owned(), (self.clock.now(), found.clone()));
        Ok(found)
    }

    /// The provider on which a server has its allocation, if it has one.
    pub(crate) async fn claimed(&self, server: &ServerId) -> Result<Option<String>, PeerError> {
        #[derive(Deserialize)]
        struct Allocations {
            allocations: BTreeMap<String, Value>,
        }
        let call = self.peers.get("placement", format!("/allocations/{server}")).version(PLACEMENT);
        let found: Allocations = call.as_service().send().await?.json()?;
        Ok(found.allocations.into_keys().next())
    }

    /// Where there is room: at most `limit` offers.
    pub(crate) async fn candidates(
        &self,
        server: &Server,
        limit: usize,
    ) -> Result<Vec<Candidate>, PeerError> {
        #[derive(Deserialize)]
        struct Request {
            allocations: BTreeMap<String, Value>,
        }
        #[derive(Deserialize)]
        struct Resource {
            capacity: u64,
            used: u64,
        }
        #[derive(Deserialize)]
        struct Summary {
            #[serde(default)]
            resources: BTreeMap<String, Resource>,
        }
        #[derive(Deserialize)]
        struct Answer {
            allocation_requests: Vec<Request>,
            #[serde(default)]
            provider_summaries: BTreeMap<String, Summary>,
        }
        let wanted: Vec<String> = server
            .flavor
            .resources()
            .iter()
            .map(|(class, amount)| format!("{class}:{amount}"))
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let (required, forbidden) = server.flavor.traits();
        let forbidden = forbidden.into_iter().map(|name| format!("!{name}"));
        let traits: Vec<String> =
            required.into_iter().map(str::to_owned).chain(forbidden).collect();
        let mut target =
            format!("/allocation_candidates?limit={limit}&resources={}", wanted.join(","));
        if !traits.is_empty() {
            target.push_str(&format!("&required={}", encoded(&traits.join(","))));
        }
        let call = self.peers.get("placement", target).version(PLACEMENT);
        let answer: Answer = call.as_service().send().await?.json()?;
        let offers = answer.allocation_requests.into_iter().filter_map(|request| {
            let provider = request.allocations.keys().next()?.clone();
            let summary = answer.provider_summaries.get(&provider);
            let ram = summary.and_then(|summary| summary.resources.get("MEMORY_MB"));
            let ram_free_mib = ram.map_or(0, |ram| ram.capacity.saturating_sub(ram.used));
            Some(Candidate { provider, allocations: json!(request.allocations), ram_free_mib })
        });
        Ok(offers.collect())
    }

    /// Claims room. The same claim again finds the consumer there, which is a conflict: look with [`Siblings::claimed`].
    pub(crate) async fn claim(
        &self,
        server: &Server,
        candidate: &Candidate,
    ) -> Result<(), PeerError> {
        let body = json!({
            "allocations": candidate.allocations, "project_id": server.project_id,
            "user_id": server.user_id, "consumer_generation": null, "consumer_type": "INSTANCE",
        });
        let call = self.peers.put("placement", format!("/allocations/{}", server.id)).json(&body);
        call.version(PLACEMENT).as_service().send().await.map(|_| ())
    }

    /// Gives a server's room back.
    pub(crate) async fn release(&self, server: &ServerId) -> Result<(), PeerError> {
        let call = self.peers.delete("placement", format!("/allocations/{server}"));
        absent_is_fine(call.version(PLACEMENT).as_service().send().await)
    }

    /// Tells placement what a host has.
    pub(crate) async fn ensure_provider(
        &self,
        provider: &str,
        host: &HostInventory,
        inventories: Value,
    ) -> Result<(), PeerError> {
        #[derive(Deserialize)]
        struct Provider {
            generation: i64,
        }
        let target = format!("/resource_providers/{provider}");
        let shown = self.peers.get("placement", &target).version(PLACEMENT).as_service().send().await;
        let generation = match shown {
            Ok(answer) => answer.json::<Provider>()?.generation,
            Err(why) if why.is_not_found() => {
                let body = json!({"uuid": provider, "name": host.host});
                let call = self.peers.post("placement", "/resource_providers").json(&body);
                call.version(PLACEMENT).as_service().send().await?.json::<Provider>()?.generation
            }
            Err(why) => return Err(why),
        };
        let body = json!({
            "resource_provider_generation": generation, "inventories": inventories,
        });
        let call = self.peers.put("placement", format!("{target}/inventories")).json(&body);
        call.version(PLACEMENT).as_service().send().await.map(|_| ())
    }
}

/// Nova writes `compute:<zone>`.
fn owner(server: &Server) -> String {
    format!("compute:{}", server.zone.as_deref().unwrap_or("nova"))
}

fn absent_is_fine(sent: Result<nephos_peer::Answer, PeerError>) -> Result<(), PeerError> {
    match sent {
        Ok(_) => Ok(()),
        Err(why) if why.is_not_found() => Ok(()),
        Err(why) => Err(why),
    }
}

fn unwrapped<T: serde::de::DeserializeOwned>(value: Value, key: &str) -> Result<T, PeerError> {
    let inner = value.get(key).cloned().unwrap_or_default();
    serde_json::from_value(inner).map_err(|why| PeerError {
        service: "network",
        status: None,
        kind: String::new(),
        message: format!("answered in another form: {why}"),
    })
}

/// What stands for itself nowhere in a URL (RFC 3986: all but the unreserved).
const RESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A value in a query or a path segment.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, RESERVED).to_string()
}

/// What a server keeps of an image, or why it cannot be booted.
pub(crate) fn image_copy(shown: &Value) -> Result<ImageCopy, String> {
    let text = |key: &str| shown.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |key: &str| shown.get(key).and_then(Value::as_u64).unwrap_or(0);
    if text("status") != "active" {
        return Err(format!("Image {} is not active.", text("id")));
    }
    let known = [
        "id", "status", "os_hash_algo", "os_hash_value", "size", "disk_format", "min_disk", "min_ram",
    ];
    let properties = shown.as_object().into_iter().flatten().filter_map(|(key, value)| {
        Some((key.clone(), value.as_str()?.to_owned())).filter(|(key, _)| !known.contains(&key.as_str()))
    });
    Ok(ImageCopy {
        id: text("id").into(),
        hash_algo: text("os_hash_algo"),
        hash_value: text("os_hash_value"),
        size_bytes: number("size"),
        disk_format: text("disk_format"),
        min_disk_gib: number("min_disk"),
        min_ram_mib: number("min_ram"),
        properties: properties.collect(),
    })
}
