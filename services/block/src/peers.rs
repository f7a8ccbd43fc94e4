//! Every call that block storage makes to its siblings, as verbs.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use nephos_peer::{PeerError, Peers};
use serde::Deserialize;
use serde_json::{Value, json};

/// The siblings, as block storage sees them.
#[derive(Debug)]
pub(crate) struct Siblings {
    peers: Peers,
}

/// An image as the image service shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Image {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub size: Option<u64>,
    #[serde(default)]
    pub min_disk: i64,
    #[serde(default)]
    pub min_ram: i64,
    #[serde(default)]
    pub disk_format: Option<String>,
    #[serde(default)]
    pub container_format: Option<String>,
    #[serde(default)]
    pub checksum: Option<String>,
    #[serde(default)]
    pub os_hash_value: Option<String>,
    #[serde(flatten)]
    pub rest: serde_json::Map<String, Value>,
}

/// An object in a listing.
#[derive(Deserialize)]
struct Listed {
    name: String,
}

/// What an image says of itself and not of its use.
const NOT_PROPERTIES: &[&str] = &[
    "visibility",
    "owner",
    "protected",
    "os_hidden",
    "virtual_size",
    "os_hash_algo",
    "tags",
    "created_at",
    "updated_at",
    "self",
    "file",
    "schema",
    "stores",
    "direct_url",
    "locations",
];

impl Image {
    /// What a volume keeps of it (cinder's `volume_image_metadata`).
    pub(crate) fn metadata(&self) -> crate::model::volume::Metadata {
        let mut all: crate::model::volume::Metadata = self
            .rest
            .iter()
            .filter(|(key, _)| {
                !NOT_PROPERTIES.contains(&key.as_str()) && !key.starts_with("os_glance")
            })
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        let own = [
            ("image_id", Some(self.id.clone())),
            ("image_name", self.name.clone()),
            ("checksum", self.checksum.clone()),
            ("container_format", self.container_format.clone()),
            ("disk_format", self.disk_format.clone()),
            ("min_disk", Some(self.min_disk.to_string())),
            ("min_ram", Some(self.min_ram.to_string())),
            ("size", self.size.map(|size| size.to_string())),
        ];
        all.extend(
            own.into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?))),
        );
        all
    }
}

/// What a volume knows of its image that an image made of the volume says again.
pub(crate) fn is_property(key: &str) -> bool {
    const OWN: &[&str] = &[
        "image_id",
        "image_name",
        "checksum",
        "container_format",
        "disk_format",
        "min_disk",
        "min_ram",
        "size",
        "signature_verified",
    ];
    !OWN.contains(&key) && !NOT_PROPERTIES.contains(&key)
}

impl Siblings {
    pub(crate) const fn new(peers: Peers) -> Self {
        Self { peers }
    }

    /// Whether a server uses a volume by this very attachment, as the caller sees it.
    pub(crate) async fn server_uses(
        &self,
        token: &str,
        (server, volume): (&str, &str),
        attachment: &str,
    ) -> Result<bool, PeerError> {
        if !self.peers.knows("compute") {
            return Ok(false);
        }
        let (server, volume) = (encoded(server), encoded(volume));
        let target = format!("/v2.1/servers/{server}/os-volume_attachments/{volume}");
        let call = self.peers.get("compute", target).version("compute 2.89");
        let shown: Value = match call.as_token(token).send().await {
            Ok(answer) => answer.json()?,
            Err(why) if why.is_not_found() => return Ok(false),
            Err(why) => return Err(why),
        };
        let used = shown.pointer("/volumeAttachment/attachment_id");
        Ok(used.and_then(Value::as_str) == Some(attachment))
    }

    /// An image, as the caller sees it; without a token, as the service does.
    pub(crate) async fn image(&self, token: Option<&str>, id: &str) -> Result<Image, PeerError> {
        let call = self
            .peers
            .get("image", format!("/v2/images/{}", encoded(id)));
        let call = match token {
            Some(token) => call.as_token(token),
            None => call.as_service(),
        };
        call.send().await?.json()
    }

    /// The bytes of an image.
    pub(crate) async fn image_data(
        &self,
        id: &str,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, std::io::Error>>, PeerError> {
        let call = self
            .peers
            .get("image", format!("/v2/images/{}/file", encoded(id)));
        let (_, chunks) = call.as_service().stream().await?;
        Ok(chunks.boxed())
    }

    /// Makes an image without bytes, in the name of whoever asked; its id.
    pub(crate) async fn create_image(
        &self,
        token: &str,
        image: &Value,
    ) -> Result<Image, PeerError> {
        let call = self.peers.post("image", "/v2/images").json(image);
        call.as_token(token).send().await?.json()
    }

    /// Takes back an image that was made in somebody's name.
    pub(crate) async fn drop_image(&self, token: &str, id: &str) -> Result<(), PeerError> {
        let target = format!("/v2/images/{}", encoded(id));
        let call = self.peers.delete("image", target);
        call.as_token(token).send().await.map(|_gone| ())
    }

    /// Gives an image its bytes.
    pub(crate) async fn upload_image(
        &self,
        id: &str,
        (length, chunks): (
            u64,
            BoxStream<'static, Result<bytes::Bytes, std::io::Error>>,
        ),
    ) -> Result<(), PeerError> {
        let target = format!("/v2/images/{}/file", encoded(id));
        let call = self.peers.call("image", http::Method::PUT, target);
        call.as_service()
            .upload(length, chunks)
            .await
            .map(|_there| ())
    }

    /// The account in the object service in which backups are: that of this service's own project.
    async fn account(&self) -> Result<String, PeerError> {
        let token = self.peers.service_token().await?;
        // It is this service's own, so what it says needs no proof.
        let says = token.split('.').nth(1).unwrap_or_default();
        let says = URL_SAFE_NO_PAD.decode(says).unwrap_or_default();
        let says: Value = serde_json::from_slice(&says).unwrap_or_default();
        let project = says.pointer("/scope/id").and_then(Value::as_str);
        let project = project.ok_or_else(|| PeerError {
            service: "identity",
            status: None,
            kind: String::new(),
            message: "gave this service a token without a project".to_owned(),
        })?;
        Ok(format!("AUTH_{project}"))
    }

    async fn object_path(&self, container: &str, name: &str) -> Result<String, PeerError> {
        let account = self.account().await?;
        let name: Vec<String> = name.split('/').map(encoded).collect();
        let (container, name) = (encoded(container), name.join("/"));
        Ok(format!("/v1/{account}/{container}/{name}"))
    }

    /// Makes a container; nothing when it is there.
    pub(crate) async fn put_container(&self, container: &str) -> Result<(), PeerError> {
        let target = format!("/v1/{}/{}", self.account().await?, encoded(container));
        let call = self.peers.put("object", target);
        call.as_service().send().await.map(|_there| ())
    }

    /// Removes a container if nothing is in it.
    pub(crate) async fn drop_container(&self, container: &str) -> Result<(), PeerError> {
        let target = format!("/v1/{}/{}", self.account().await?, encoded(container));
        let call = self.peers.delete("object", target);
        match call.as_service().send().await {
            Ok(_gone) => Ok(()),
            Err(why) if why.is_not_found() || why.is_conflict() => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// Stores an object; its container is made when it is not there.
    pub(crate) async fn put_object(
        &self,
        (container, name): (&str, &str),
        bytes: bytes::Bytes,
    ) -> Result<(), PeerError> {
        let target = self.object_path(container, name).await?;
        let length = bytes.len().to_string();
        let call = |bytes| {
            let call = self.peers.put("object", target.clone()).bytes(bytes);
            call.header(http::header::CONTENT_LENGTH, &length)
        };
        match call(bytes.clone()).as_service().send().await {
            Ok(_there) => Ok(()),
            // The last backup in it was deleted in between.
            Err(why) if why.is_not_found() => {
                self.put_container(container).await?;
                call(bytes).as_service().send().await.map(|_there| ())
            }
            Err(why) => Err(why),
        }
    }

    /// The bytes of an object.
    pub(crate) async fn object(
        &self,
        (container, name): (&str, &str),
    ) -> Result<bytes::Bytes, PeerError> {
        let target = self.object_path(container, name).await?;
        let call = self.peers.get("object", target).as_service();
        call.send().await.map(|answer| answer.body)
    }

    /// Names of objects that begin so, at most `limit`.
    pub(crate) async fn objects(
        &self,
        container: &str,
        begin: &str,
        limit: u32,
    ) -> Result<Vec<String>, PeerError> {
        let account = self.account().await?;
        let (container, begin) = (encoded(container), encoded(begin));
        let target = format!("/v1/{account}/{container}?format=json&limit={limit}&prefix={begin}");
        match self.peers.get("object", target).as_service().send().await {
            Ok(answer) => {
                let all: Vec<Listed> = answer.json()?;
                Ok(all.into_iter().map(|one| one.name).collect())
            }
            Err(why) if why.is_not_found() => Ok(Vec::new()),
            Err(why) => Err(why),
        }
    }

    /// Removes an object.
    pub(crate) async fn drop_object(
        &self,
        (container, name): (&str, &str),
    ) -> Result<(), PeerError> {
        let target = self.object_path(container, name).await?;
        match self
            .peers
            .delete("object", target)
            .as_service()
            .send()
            .await
        {
            Ok(_gone) => Ok(()),
            Err(why) if why.is_not_found() => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// Tells compute that volumes of servers have grown. A compute service that knows no events needs none.
    pub(crate) async fn volume_extended(
        &self,
        server: &str,
        volume: &str,
    ) -> Result<(), PeerError> {
        let body =
            json!({"events": [{"name": "volume-extended", "server_uuid": server, "tag": volume}]});
        let call = self
            .peers
            .call(
                "compute",
                http::Method::POST,
                "/v2.1/os-server-external-events",
            )
            .version("compute 2.51")
            .json(&body);
        match call.as_service().send().await {
            Ok(_told) => Ok(()),
            Err(why) if why.is_not_found() => Ok(()),
            Err(why) => Err(why),
        }
    }
}

/// What stands for itself nowhere in a URL (RFC 3986: all but the unreserved).
const RESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A value in a path segment.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, RESERVED).to_string()
}
