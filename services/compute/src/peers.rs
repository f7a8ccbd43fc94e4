//! Every call that compute makes to its siblings, as verbs. All of them can be repeated.

mod block;
mod network;
mod placement;
mod remembered;

pub(crate) use block::{Connector, ShownVolume};
pub(crate) use placement::Explained;

use std::sync::Arc;

use http::Method;
use nephos_peer::{PeerError, Peers};
use nephos_runtime::Clock;
use nephos_types::RequestId;
use serde::Deserialize;
use serde_json::Value;

use self::remembered::Remembered;
use crate::model::server::{ImageCopy, Server};
use crate::model::spec::ImageId;

/// The siblings, as compute sees them.
#[derive(Debug)]
pub(crate) struct Siblings {
    peers: Peers,
    /// Networks' names, MTUs and subnets, for describing ports.
    facts: Remembered<Facts>,
    /// Names of security groups; none of one that is not there.
    groups: Remembered<Option<String>>,
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
    pub device_owner: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub revision_number: i64,
    #[serde(default)]
    pub fixed_ips: Vec<FixedIp>,
    #[serde(default)]
    pub security_groups: Vec<String>,
    #[serde(default, rename = "binding:profile")]
    pub profile: serde_json::Map<String, Value>,
}

/// What the network service knows the port of a load balancer by.
const LOAD_BALANCER: &str = "Octavia";
/// What it knows the port of a trunk's further network by; a server gets the trunk's own port.
const SUBPORT: &str = "trunk:subport";

/// The word in a port's profile that names the host where it is made ready too.
const MIGRATING_TO: &str = "migrating_to";

impl Port {
    /// Its profile, when it is to be on one host only.
    fn settled_profile(&self) -> serde_json::Map<String, Value> {
        let mut profile = self.profile.clone();
        profile.remove(MIGRATING_TO);
        profile
    }

    /// Whether it is a router's, a load balancer's or a trunk's, also while nothing is plugged into it: no server's, as long as
    /// it is.
    pub(crate) fn is_of_the_cloud(&self) -> bool {
        matches!(self.device_owner.as_str(), LOAD_BALANCER | SUBPORT)
            || self.device_owner.starts_with("network:")
    }
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
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Status {
    status: String,
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
        Self {
            peers,
            facts: Remembered::new(clock.clone()),
            groups: Remembered::new(clock),
        }
    }

    /// Hands a call of the old API on to the sibling that owns the thing, in the caller's name.
    pub(crate) async fn hand_on(
        &self,
        token: &str,
        service: &'static str,
        (method, target): (Method, &str),
        body: Option<&Value>,
    ) -> Result<Value, PeerError> {
        let mut call = self.peers.call(service, method, target).as_token(token);
        if let Some(body) = body {
            call = call.json(body);
        }
        if body.is_some_and(Value::is_array) {
            let patch = "application/openstack-images-v2.1-json-patch";
            call = call.header(http::header::CONTENT_TYPE, patch);
        }
        let answer = call.send().await?;
        if answer.body.is_empty() {
            Ok(Value::Null)
        } else {
            answer.json()
        }
    }

    /// The status of an image that is made of a server; none when it is gone.
    pub(crate) async fn image_status(&self, id: &ImageId) -> Result<Option<String>, PeerError> {
        let target = format!("/v2/images/{}", encoded(id.as_str()));
        match self.peers.get("image", target).as_service().send().await {
            Ok(answer) => answer.json::<Status>().map(|image| Some(image.status)),
            Err(why) if why.is_not_found() => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Removes an image that came to nothing.
    pub(crate) async fn remove_image(&self, id: &str) -> Result<(), PeerError> {
        let target = format!("/v2/images/{}", encoded(id));
        let call = self.peers.delete("image", target).as_service();
        absent_is_fine(call.send().await)
    }

    /// Where clients find an image.
    pub(crate) fn image_url(&self, id: &ImageId) -> String {
        format!("{}/image/v2/images/{id}", self.peers.public_url())
    }

    /// An image, as the caller sees it.
    pub(crate) async fn image(
        &self,
        token: &str,
        id: &str,
        request: &RequestId,
    ) -> Result<Value, PeerError> {
        let target = format!("/v2/images/{}", encoded(id));
        self.peers
            .get("image", target)
            .as_token(token)
            .request_id(request)
            .send()
            .await?
            .json()
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
const RESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A value in a query or a path segment.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, RESERVED).to_string()
}

/// What a server keeps of an image, or why it cannot be booted.
pub(crate) fn image_copy(shown: &Value) -> Result<ImageCopy, String> {
    let text = |key: &str| {
        shown
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let number = |key: &str| shown.get(key).and_then(Value::as_u64).unwrap_or(0);
    if text("status") != "active" {
        return Err(format!("Image {} is not active.", text("id")));
    }
    let known = [
        "id",
        "status",
        "os_hash_algo",
        "os_hash_value",
        "size",
        "disk_format",
        "min_disk",
        "min_ram",
    ];
    let properties = shown
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| {
            Some((key.clone(), value.as_str()?.to_owned()))
                .filter(|(key, _)| !known.contains(&key.as_str()))
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
        disk_from: None,
    })
}
