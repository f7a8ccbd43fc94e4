//! The `[object]` section of `nephos.toml`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use nephos_blob::BucketSettings;
use serde::Deserialize;

/// The `[object]` section of `nephos.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the objects' bytes live, unless they live in a bucket. Relative to the state directory.
    pub folder: PathBuf,
    /// The bucket that the objects' bytes live in, in place of the folder.
    pub bucket: Option<Bucket>,
    /// The largest object that is taken in one request; larger ones are made of segments.
    pub max_object_bytes: u64,
    /// Where S3 is served; nowhere, when it is not said.
    pub s3_listen: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("objects"),
            bucket: None,
            max_object_bytes: 5 * (1 << 30) + 2,
            s3_listen: None,
        }
    }
}

/// The section `[object.bucket]`: a bucket of any S3.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// `https://HOST:PORT` of the S3; Amazon's, when it is not said.
    pub endpoint: Option<String>,
    /// The bucket's name. It must be there, and be used by nobody else.
    pub bucket: String,
    /// The region that signatures name.
    #[serde(default = "region")]
    pub region: String,
    /// Whether the bucket stands in the path rather than in the host's name; default: where `endpoint` is said.
    pub path_style: Option<bool>,
    /// The access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

fn region() -> String {
    "us-east-1".to_owned()
}

impl Bucket {
    pub(crate) fn settings(&self) -> BucketSettings {
        BucketSettings {
            endpoint: self.endpoint.clone(),
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            path_style: self.path_style.unwrap_or(self.endpoint.is_some()),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings().fmt(to)
    }
}
