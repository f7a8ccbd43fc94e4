//! Every call to siblings, as verbs. All of them can be repeated.

use nephos_peer::{PeerError, Peers};
use serde::Deserialize;
use serde_json::{Value, json};

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
        let _seen: Value = self
            .show(Some(token), ("networks", "network"), network)
            .await?;
        let call = self
            .0
            .get("network", format!("/v2.0/subnets?network_id={network}"));
        unwrapped(call.as_token(token).send().await?.json()?, "subnets")
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
        });
        let call = self
            .0
            .post("network", "/v2.0/ports")
            .json(&json!({ "port": port }));
        unwrapped(call.as_service().send().await?.json()?, "port")
    }

    /// The port of a load balancer is on its host.
    pub(crate) async fn bind_port(&self, balancer: &Balancer, host: &str) -> Result<(), PeerError> {
        let change = json!({
            "binding:host_id": host, "device_id": device(&balancer.id), "device_owner": DEVICE_OWNER,
        });
        self.change_port(&balancer.vip.port_id, &change).await
    }

    /// Gives a port that a user made back to it.
    pub(crate) async fn release_port(&self, id: &str) -> Result<(), PeerError> {
        let change = json!({"binding:host_id": "", "device_id": "", "device_owner": ""});
        absent_is_fine(self.change_port(id, &change).await)
    }

    async fn change_port(&self, id: &str, change: &Value) -> Result<(), PeerError> {
        let call = self.0.put("network", format!("/v2.0/ports/{id}"));
        let call = call.json(&json!({ "port": change })).as_service();
        call.send().await.map(|_port| ())
    }

    /// Removes a port.
    pub(crate) async fn delete_port(&self, id: &str) -> Result<(), PeerError> {
        let call = self.0.delete("network", format!("/v2.0/ports/{id}"));
        absent_is_fine(call.as_service().send().await)
    }
}
