//! The `[image]` section of `nephos.toml`.

use std::path::PathBuf;

use serde::Deserialize;

/// The `[image]` section of `nephos.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where image data lives: one folder per store below it, and one for what is staged. Relative to the state directory.
    pub folder: PathBuf,
    /// Names of the stores; the first one takes what names none.
    pub stores: Vec<String>,
    /// The largest image that is accepted.
    pub max_image_bytes: u64,
    /// Whether data that is not of the image's `disk_format` is refused. Unsafe data is refused in any case.
    pub require_format_match: bool,
    /// `host` or `host:port` that `web-download` may reach although it is not a public address at port 80 or 443.
    pub web_download_hosts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("images"),
            stores: vec!["file".to_owned()],
            max_image_bytes: 1 << 40,
            require_format_match: true,
            web_download_hosts: Vec::new(),
        }
    }
}
