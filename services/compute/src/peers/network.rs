//! The network service: networks, ports, security groups, floating addresses.

use std::sync::Arc;

use futures_util::future::try_join_all;
use nephos_peer::{Answer, PeerError, Peers};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Facts, FixedIp, FloatingIp, MIGRATING_TO, Named, Network, Port, Siblings, Subnet,
    absent_is_fine, encoded, owner, unwrapped,
};
use crate::model::server::{BoundAddress, BoundNic, Nic, Server};
use crate::model::spec::ServerId;

impl Siblings {
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
        let query: String = ids
            .iter()
            .map(|id| format!("id={}&", encoded(id)))
            .collect();
        let target = format!("/v2.0/networks?{query}");
        let list: List = self
            .peers
            .get("network", target)
            .as_token(token)
            .send()
            .await?
            .json()?;
        Ok(list.networks)
    }

    /// A port, as the caller sees it.
    pub(crate) async fn port_of_caller(&self, token: &str, id: &str) -> Result<Port, PeerError> {
        let call = self
            .peers
            .get("network", format!("/v2.0/ports/{}", encoded(id)));
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
            let list: List = self
                .peers
                .get("network", target)
                .as_service()
                .send()
                .await?
                .json()?;
            if let Some(found) = list.security_groups.into_iter().next() {
                return Ok(Some(found.id));
            }
        }
        Ok(None)
    }

    /// Ports plugged into a server.
    pub(crate) async fn ports_of(&self, server: &ServerId) -> Result<Vec<Port>, PeerError> {
        #[derive(Deserialize)]
        struct List {
            ports: Vec<Port>,
        }
        let target = format!("/v2.0/ports?device_id={server}");
        let list: List = self
            .peers
            .get("network", target)
            .as_service()
            .send()
            .await?
            .json()?;
        Ok(list.ports)
    }

    /// Whether a port of a network has an address.
    pub(crate) async fn address_is_taken(
        &self,
        network: &str,
        ip: &str,
    ) -> Result<bool, PeerError> {
        #[derive(Deserialize)]
        struct List {
            ports: Vec<Value>,
        }
        let (network, ip) = (encoded(network), encoded(ip));
        let target =
            format!("/v2.0/ports?network_id={network}&fixed_ips=ip_address%3D{ip}&fields=id");
        let call = self.peers.get("network", target).as_service();
        let list: List = call.send().await?.json()?;
        Ok(!list.ports.is_empty())
    }

    /// Every port that is plugged into a server, of whatever project.
    pub(crate) async fn ports_of_servers(&self) -> Result<Vec<Port>, PeerError> {
        #[derive(Deserialize)]
        struct List {
            ports: Vec<Port>,
        }
        let list: List = self
            .peers
            .get("network", "/v2.0/ports")
            .as_service()
            .send()
            .await?
            .json()?;
        let of_server = |port: &Port| port.device_owner.starts_with("compute:");
        Ok(list.ports.into_iter().filter(of_server).collect())
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
        let call = self
            .peers
            .post("network", "/v2.0/ports")
            .json(&json!({ "port": port }));
        unwrapped(call.as_service().send().await?.json()?, "port")
    }

    /// A port, as the service sees it.
    pub(crate) async fn port(&self, id: &str) -> Result<Port, PeerError> {
        let call = self.peers.get("network", format!("/v2.0/ports/{id}"));
        unwrapped(call.as_service().send().await?.json()?, "port")
    }

    /// Binds an existing port, as it was seen, to a server on its host: 412 when it has changed since.
    pub(crate) async fn bind_port(&self, server: &Server, port: &Port) -> Result<Port, PeerError> {
        let change = json!({
            "device_id": server.id, "device_owner": owner(server), "binding:host_id": server.host,
        });
        unwrapped(self.change_port(port, change).await?.json()?, "port")
    }

    /// Has a port, as it was seen, made ready on another host, where its server goes to while it runs: 412 when it has
    /// changed since.
    pub(crate) async fn prepare_port(&self, port: &Port, next: &str) -> Result<(), PeerError> {
        let mut profile = port.settled_profile();
        profile.insert(MIGRATING_TO.to_owned(), json!(next));
        let change = json!({ "binding:profile": profile });
        absent_is_fine(self.change_port(port, change).await)
    }

    /// The port is on this host, and made ready on no other any more; as it was seen: 412 when it has changed since.
    pub(crate) async fn turn_port(&self, port: &Port, host: &str) -> Result<(), PeerError> {
        let change = json!({ "binding:host_id": host, "binding:profile": port.settled_profile() });
        absent_is_fine(self.change_port(port, change).await)
    }

    async fn change_port(&self, port: &Port, change: Value) -> Result<Answer, PeerError> {
        let seen = format!("revision_number={}", port.revision_number);
        let call = self
            .peers
            .put("network", format!("/v2.0/ports/{}", port.id))
            .header(http::header::IF_MATCH, &seen)
            .json(&json!({ "port": change }));
        call.as_service().send().await
    }

    /// Gives a port, as it was seen, back to its owner: 412 when it has changed since.
    pub(crate) async fn unbind_port(&self, port: &Port) -> Result<(), PeerError> {
        let change = json!({
            "device_id": "", "device_owner": "", "binding:host_id": "",
            "binding:profile": port.settled_profile(),
        });
        absent_is_fine(self.change_port(port, change).await)
    }

    /// Removes a port.
    pub(crate) async fn remove_port(&self, port: &str) -> Result<(), PeerError> {
        let call = self.peers.delete("network", format!("/v2.0/ports/{port}"));
        absent_is_fine(call.as_service().send().await)
    }

    /// Sets the security groups of a port, as it was seen: 412 when it has changed since.
    pub(crate) async fn set_security_groups(
        &self,
        token: &str,
        port: &Port,
        groups: &[String],
    ) -> Result<(), PeerError> {
        let seen = format!("revision_number={}", port.revision_number);
        let body = json!({"port": {"security_groups": groups}});
        let call = self
            .peers
            .put("network", format!("/v2.0/ports/{}", port.id))
            .header(http::header::IF_MATCH, &seen)
            .json(&body);
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
            let found: Floating = self
                .peers
                .get("network", target)
                .as_service()
                .send()
                .await?
                .json()?;
            found.floatingips
        };
        let address = |fixed: &FixedIp| {
            let subnet = subnets.iter().find(|subnet| subnet.id == fixed.subnet_id);
            BoundAddress {
                ip: fixed.ip_address.clone(),
                subnet_id: fixed.subnet_id.clone(),
                cidr: subnet.map(|subnet| subnet.cidr.clone()).unwrap_or_default(),
                gateway: subnet.and_then(|subnet| subnet.gateway_ip.clone()),
                dns: subnet
                    .map(|subnet| subnet.dns_nameservers.clone())
                    .unwrap_or_default(),
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
            groups: self.group_names(&port.security_groups).await?,
        })
    }

    /// Names of security groups, in the order of their ids; one that went meanwhile is news of its own.
    async fn group_names(&self, ids: &[String]) -> Result<Vec<String>, PeerError> {
        let name = |id: &String| {
            let (peers, asked) = (self.peers.clone(), id.clone());
            let ask = || async move { group_name(&peers, &asked).await };
            let id = id.clone();
            async move { self.groups.get(&id, ask).await }
        };
        let names = try_join_all(ids.iter().map(name)).await?;
        Ok(names.into_iter().flatten().collect())
    }

    async fn facts(&self, network: &str) -> Result<Facts, PeerError> {
        let (peers, asked) = (self.peers.clone(), network.to_owned());
        let ask = || async move { facts(&peers, &asked).await };
        self.facts.get(network, ask).await
    }
}

/// The name of a security group; one without a name is called by its id, as Nova does. None: it is not there.
async fn group_name(peers: &Peers, id: &str) -> Result<Option<String>, PeerError> {
    #[derive(Deserialize)]
    struct List {
        security_groups: Vec<Named>,
    }
    let wanted = encoded(id);
    let target = format!("/v2.0/security-groups?fields=id&fields=name&id={wanted}");
    let call = peers.get("network", target).as_service();
    let found: List = call.send().await?.json()?;
    let found = found.security_groups.into_iter().next();
    Ok(found.map(|Named { id, name }| if name.is_empty() { id } else { name }))
}

async fn facts(peers: &Peers, network: &str) -> Result<Facts, PeerError> {
    #[derive(Deserialize)]
    struct Subnets {
        subnets: Vec<Subnet>,
    }
    let shown = peers
        .get("network", format!("/v2.0/networks/{network}"))
        .as_service()
        .send();
    let subnets = peers
        .get("network", format!("/v2.0/subnets?network_id={network}"))
        .as_service()
        .send();
    let (shown, subnets) = tokio::try_join!(shown, subnets)?;
    Ok(Facts {
        network: unwrapped(shown.json()?, "network")?,
        subnets: Arc::new(subnets.json::<Subnets>()?.subnets),
    })
}
