//! The `[object]` section of `nephos.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The `[object]` section of `nephos.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the objects' bytes live. Relative to the state directory.
    pub folder: PathBuf,
    /// The largest object that is taken in one request; larger ones are made of segments.
    pub max_object_bytes: u64,
    /// Where S3 is served; nowhere, when it is not said.
    pub s3_listen: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("objects"),
            max_object_bytes: 5 * (1 << 30) + 2,
            s3_listen: None,
        }
    }
}
