//! The same look on a machine that joined as a host: what is on it, beside what its feeds want there. It has no database and
//! no administrator's rights, and needs neither.

use anyhow::Context as _;
use nephos_compute::model::spec::{KIND_SERVER, ServerSpec, Want};
use nephos_peer::Peers;
use nephos_types::feed::FeedPage;

use super::picture::{Picture, Port, Server};
use super::{Finding, OnHost, lasting, rules};

/// What such a machine may ask.
pub struct Joined {
    /// The services, as this host.
    pub peers: Peers,
    /// The machine.
    pub host: OnHost,
}

impl Joined {
    /// Everything on the machine that does not fit.
    ///
    /// # Errors
    /// When a service, or the machine's hypervisor, does not answer.
    pub async fn check(&self) -> anyhow::Result<Vec<Finding>> {
        lasting(&self.host.clock, || self.look()).await
    }

    async fn look(&self) -> anyhow::Result<Vec<Finding>> {
        let mut picture = Picture::default();
        for item in self.feed("compute").await?.items {
            if let (KIND_SERVER, Some(spec)) = (item.kind.as_str(), item.spec) {
                let spec = serde_json::from_value(spec).context("what compute wants here")?;
                wanted(&spec, &self.host.name, &mut picture);
            }
        }
        let network = self.feed("network").await?;
        picture.host = Some(self.host.look(network).await?);
        let mut findings = rules::check(&picture);
        findings.sort();
        Ok(findings)
    }

    /// All that a service wants on this host.
    async fn feed(&self, service: &'static str) -> anyhow::Result<FeedPage> {
        let target = "/host/v1/feed?since=0&lists=0&wait=0";
        let answer = self.peers.get(service, target).as_service().send().await?;
        Ok(answer.json()?)
    }
}

/// A server of this host, as an administrator would see it.
fn wanted(spec: &ServerSpec, host: &str, picture: &mut Picture) {
    let status = match spec.want {
        // On its way here, or from here: it is where it is.
        _ if spec.live.is_some() => "MIGRATING",
        Want::Running => "ACTIVE",
        Want::Stopped => "SHUTOFF",
        Want::Paused => "PAUSED",
        Want::Suspended => "SUSPENDED",
        Want::Absent => "DELETED",
    };
    let image = spec.boot.image.as_ref();
    let server = Server {
        id: spec.server_id.0.clone(),
        status: status.to_owned(),
        host: Some(host.to_owned()),
        image: image.map_or_else(|| "".into(), |image| serde_json::json!({ "id": image.id })),
    };
    picture.servers.insert(server.id.clone(), server);
    let ports = spec.ports.iter().map(|port| Port {
        id: port.port_id.0.clone(),
    });
    picture.ports.extend(ports);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_here_is_a_server_of_this_host_with_its_ports() {
        let spec = |more: serde_json::Value| -> ServerSpec {
            let mut spec = serde_json::json!({
                "server_id": "s1", "generation": 3, "want": "running",
                "size": {"vcpus": 1, "ram_mib": 64, "disk_gib": 1},
                "boot": {}, "ports": [{"port_id": "p1", "mac": "", "tap": "tapp1", "mtu": 1450}],
            });
            for (key, value) in more.as_object().unwrap() {
                spec[key] = value.clone();
            }
            serde_json::from_value(spec).unwrap()
        };
        for (want, status) in [
            ("running", "ACTIVE"),
            ("stopped", "SHUTOFF"),
            ("absent", "DELETED"),
        ] {
            let mut picture = Picture::default();
            wanted(
                &spec(serde_json::json!({ "want": want })),
                "h1",
                &mut picture,
            );
            let server = &picture.servers["s1"];
            assert_eq!(
                (server.status.as_str(), server.host.as_deref()),
                (status, Some("h1"))
            );
            assert!(!server.image.is_object(), "its disk is a volume");
            assert_eq!(
                picture.ports.first().map(|port| port.id.as_str()),
                Some("p1")
            );
        }
    }
}
