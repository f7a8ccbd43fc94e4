//! One GET of something outside the cloud that a user named: no redirects, no proxies, and only the addresses that the
//! caller has checked are connected to.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A server that sends nothing for so long has given up.
const STALL: Duration = Duration::from_secs(60);

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// `http`, `https`, or something else.
    pub scheme: String,
    /// A name or an address; an IPv6 address stands in brackets.
    pub host: String,
    /// As written, or the scheme's own; 0 when there is none.
    pub port: u16,
    /// Whether a user name or a password stands in it.
    pub has_credentials: bool,
}

/// A body on its way in; its error says why it broke off.
pub struct Fetched {
    /// Its length as the server declared it.
    pub size: Option<u64>,
    /// The bytes.
    pub chunks: BoxStream<'static, Result<Bytes, String>>,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fetched({:?})", self.size)
    }
}

/// Takes a URL apart.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(uri: &str) -> Result<Destination, String> {
    let url = reqwest::Url::parse(uri).map_err(|why| why.to_string())?;
    Ok(Destination {
        scheme: url.scheme().to_owned(),
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or(0),
        has_credentials: !url.username().is_empty() || url.password().is_some(),
    })
}

/// Begins to fetch `uri`, whose host is `host`, from `addresses` alone.
///
/// # Errors
/// Why nothing comes, in words for whoever named the URL.
pub async fn get(uri: &str, host: &str, addresses: &[SocketAddr]) -> Result<Fetched, String> {
    // Several crates of the process could choose a TLS implementation; the first choice stands.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(STALL)
        // The name is not looked up again: between two answers it could lead elsewhere.
        .resolve_to_addrs(host, addresses)
        .build()
        .map_err(|why| format!("No HTTP client could be made: {why}"))?;
    let answer = client
        .get(uri)
        .send()
        .await
        .map_err(|why| format!("{host} does not answer: {}", innermost(&why)))?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!(
            "{host} answered {} instead of 200; redirects are not followed.",
            answer.status().as_u16()
        ));
    }
    let size = answer.content_length();
    let host = host.to_owned();
    let chunks = answer
        .bytes_stream()
        .map(move |chunk| chunk.map_err(|why| format!("{host} broke off: {}", innermost(&why))));
    Ok(Fetched {
        size,
        chunks: chunks.boxed(),
    })
}

/// The cause that says most; reqwest's own text repeats the URL.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
