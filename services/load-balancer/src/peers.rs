//! Every call to siblings, as verbs. All of them can be repeated.

use std::collections::BTreeSet;

use nephos_peer::{PeerError, Peers};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::model::spec::DEVICE_OWNER;
use crate::model::tree::{Balancer, BalancerId};

/// The siblings, as this service sees them.
#[derive(Debug)]
pub(crate) struct Siblings(Peers);

/// A port as the network service shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Port {
    pub id: String,
    pub network_id: String,
    #[serde(default)]
    pub device_id: String,
    #[serde(default)]
    pub device_owner: String,
    #[serde(default)]
    pub fixed_ips: Vec<FixedIp>,
    #[serde(default, rename = "binding:host_id")]
    pub host: Option<String>,
    #[serde(default)]
    pub created_at: String,
    #[serde(default)]
    pub project_id: String,
    /// What a change of it as it was seen names.
    #[serde(default)]
    pub revision_number: i64,
    #[serde(default, rename = "binding:profile")]
    profile: Map<String, Value>,
}

/// The word in the profile of a port that says that this service made it. Nobody but services writes profiles.
const MADE: &str = "made_by_octavia";

impl Port {
    /// Whether it is the port of this load balancer.
    pub fn is_of(&self, balancer: &BalancerId) -> bool {
        self.device_owner == DEVICE_OWNER && self.device_id == device(balancer)
    }

    /// Whether nothing is plugged into it, and nobody says what it is for.
    pub const fn is_free(&self) -> bool {
        self.device_id.is_empty() && self.device_owner.is_empty()
    }

    /// Whether this service made it, as opposed to somebody who gave it.
    pub fn was_made(&self) -> bool {
        self.profile.get(MADE) == Some(&Value::Bool(true))
    }
}

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct FixedIp {
    pub subnet_id: String,
    pub ip_address: String,
}

/// A subnet, likewise.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Subnet {
    pub id: String,
    pub network_id: String,
    pub ip_version: u8,
    pub cidr: String,
    #[serde(default)]
    pub gateway_ip: Option<String>,
}

/// A network, likewise.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Network {
    #[serde(default)]
    pub project_id: String,
    /// The network outside the cloud that it is; only services are told.
    #[serde(default, rename = "provider:physical_network")]
    pub physical: Option<String>,
}

/// What a host says of the networks outside that it reaches.
#[derive(Clone, Debug, Deserialize)]
struct Agent {
    host: String,
    configurations: Configurations,
}

#[derive(Clone, Debug, Deserialize)]
struct Configurations {
    #[serde(default)]
    physical_networks: Vec<String>,
}

/// A network outside, and the hosts that reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    pub physical: String,
    pub hosts: BTreeSet<String>,
}

/// What a port is to be like.
#[derive(Clone, Debug)]
pub(crate) struct NewPort<'a> {
    pub balancer: &'a BalancerId,
    pub project: &'a str,
    pub network: &'a str,
    /// Subnets with the address that is wanted there.
    pub addresses: &'a [(String, Option<String>)],
}

/// What ports of a load balancer name as their device.
pub(crate) fn device(balancer: &BalancerId) -> String {
    format!("lb-{balancer}")
}

/// The load balancer that a port names.
pub(crate) fn balancer_of(port: &Port) -> Option<BalancerId> {
    let id = port.device_id.strip_prefix("lb-");
    id.filter(|_| port.device_owner == DEVICE_OWNER)
        .map(BalancerId::from)
}

fn unwrapped<T: serde::de::DeserializeOwned>(mut body: Value, key: &str) -> Result<T, PeerError> {
    let inner = body.get_mut(key).map(Value::take).unwrap_or_default();
    serde_json::from_value(inner).map_err(|why| PeerError {
        service: "network",
        status: None,
        kind: String::new(),
        message: format!("{key} cannot be read: {why}"),
    })
}

/// Gone is as good as done.
fn absent_is_fine<T>(answer: Result<T, PeerError>) -> Result<(), PeerError> {
    match answer {
        Err(why) if !why.is_not_found() => Err(why),
        _done => Ok(()),
    }
}

impl Siblings {
    pub(crate) const fn new(peers: Peers) -> Self {
        Self(peers)
    }

    async fn show<T: serde::de::DeserializeOwned>(
        &self,
        token: Option<&str>,
        (many, one): (&str, &str),
        id: &str,
    ) -> Result<T, PeerError> {
        let call = self.0.get("network", format!("/v2.0/{many}/{id}"));
        let call = match token {
            Some(token) => call.as_token(token),
            None => call.as_service(),
        };
        unwrapped(call.send().await?.json()?, one)
    }

    /// A subnet, as the caller sees it.
    pub(crate) async fn subnet(&self, token: &str, id: &str) -> Result<Subnet, PeerError> {
        self.show(Some(token), ("subnets", "subnet"), id).await
    }

    /// A network's subnets that the caller sees, the network being one that it sees too.
    pub(crate) async fn subnets(
        &self,
        token: &str,
        network: &str,
    ) -> Result<Vec<Subnet>, PeerError> {
        let _seen = self.network(token, network).await?;
        let call = self
            .0
            .get("network", format!("/v2.0/subnets?network_id={network}"));
        unwrapped(call.as_token(token).send().await?.json()?, "subnets")
    }

    /// A network, as the caller sees it.
    pub(crate) async fn network(&self, token: &str, id: &str) -> Result<Network, PeerError> {
        self.show(Some(token), ("networks", "network"), id).await
    }

    /// Where ports of a network can be, when it is one outside the cloud; none: everywhere.
    pub(crate) async fn outside(&self, network: &str) -> Result<Option<Outside>, PeerError> {
        let found = self.show(None, ("networks", "network"), network).await;
        let found: Network = match found {
            Err(why) if why.is_not_found() => return Ok(None), // its port is gone too, and says so
            found => found?,
        };
        let Some(physical) = found.physical.filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let call = self.0.get("network", "/v2.0/agents?agent_type=L3%20agent");
        let agents: Vec<Agent> = unwrapped(call.as_service().send().await?.json()?, "agents")?;
        let reaches = |agent: &Agent| agent.configurations.physical_networks.contains(&physical);
        let hosts = agents.into_iter().filter(reaches).map(|agent| agent.host);
        let hosts = hosts.collect();
        Ok(Some(Outside { physical, hosts }))
    }

    /// A port, as the caller sees it.
    pub(crate) async fn port_of_caller(&self, token: &str, id: &str) -> Result<Port, PeerError> {
        self.show(Some(token), ("ports", "port"), id).await
    }

    /// A port; none when it is gone.
    pub(crate) async fn port(&self, id: &str) -> Result<Option<Port>, PeerError> {
        match self.show(None, ("ports", "port"), id).await {
            Ok(port) => Ok(Some(port)),
            Err(why) if why.is_not_found() => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Every port that names a load balancer.
    pub(crate) async fn ports(&self) -> Result<Vec<Port>, PeerError> {
        let target = format!("/v2.0/ports?device_owner={DEVICE_OWNER}");
        let call = self.0.get("network", target).as_service();
        unwrapped(call.send().await?.json()?, "ports")
    }

    /// The ports of one load balancer.
    pub(crate) async fn ports_of(&self, balancer: &BalancerId) -> Result<Vec<Port>, PeerError> {
        let target = format!("/v2.0/ports?device_id={}", device(balancer));
        let call = self.0.get("network", target).as_service();
        unwrapped(call.send().await?.json()?, "ports")
    }

    /// Makes the port of a load balancer, in its owner's project.
    pub(crate) async fn make_port(&self, new: &NewPort<'_>) -> Result<Port, PeerError> {
        let fixed: Vec<Value> = new
            .addresses
            .iter()
            .map(|(subnet, address)| match address {
                Some(address) => json!({"subnet_id": subnet, "ip_address": address}),
                None => json!({"subnet_id": subnet}),
            })
            .collect();
        // What answers there is haproxy alone, at the listeners' ports; whom it answers, it decides itself.
        let port = json!({
            "network_id": new.network, "project_id": new.project, "fixed_ips": fixed,
            "name": format!("octavia-lb-{}", new.balancer), "device_id": device(new.balancer),
            "device_owner": DEVICE_OWNER, "admin_state_up": true, "port_security_enabled": false,
            "binding:profile": {MADE: true},
        });
        let call = self
            .0
            .post("network", "/v2.0/ports")
            .json(&json!({ "port": port }));
        unwrapped(call.as_service().send().await?.json()?, "port")
    }

    /// A port, as it was seen, is this load balancer's and on its host: 412 when it has changed since.
    pub(crate) async fn bind_port(
        &self,
        port: &Port,
        balancer: &Balancer,
        host: &str,
    ) -> Result<(), PeerError> {
        let change = json!({
            "binding:host_id": host, "device_id": device(&balancer.id), "device_owner": DEVICE_OWNER,
        });
        self.change_port(port, &change).await
    }

    /// Gives a port, as it was seen, back to the user who made it: 412 when it has changed since.
    pub(crate) async fn release_port(&self, port: &Port) -> Result<(), PeerError> {
        let change = json!({"binding:host_id": "", "device_id": "", "device_owner": ""});
        absent_is_fine(self.change_port(port, &change).await)
    }

    async fn change_port(&self, port: &Port, change: &Value) -> Result<(), PeerError> {
        let call = self.0.put("network", format!("/v2.0/ports/{}", port.id));
        let call = call.json(&json!({ "port": change })).as_service();
        let seen = as_seen(port);
        let call = call.header(http::header::IF_MATCH, &seen);
        call.send().await.map(|_port| ())
    }

    /// Removes a port, as it was seen: 412 when it has changed since.
    pub(crate) async fn delete_port(&self, port: &Port) -> Result<(), PeerError> {
        let call = self.0.delete("network", format!("/v2.0/ports/{}", port.id));
        let seen = as_seen(port);
        let call = call.header(http::header::IF_MATCH, &seen).as_service();
        absent_is_fine(call.send().await)
    }
}

fn as_seen(port: &Port) -> String {
    format!("revision_number={}", port.revision_number)
}

/// Whether somebody else changed what was to be changed as it was seen.
pub(crate) fn has_changed(why: &PeerError) -> bool {
    why.status == Some(412)
}
