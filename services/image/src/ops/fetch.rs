//! Fetches what `web-download` names: no redirects, no proxies, and only addresses that were checked are connected to.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::Svc;
use crate::model::address::{Destination, is_public};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A server that sends nothing for so long has given up.
const STALL: Duration = Duration::from_secs(60);
/// Longer URLs are nobody's.
const MAX_URL: usize = 2048;

/// Why nothing can be fetched; a sentence for whoever asked.
pub(crate) type Reason = String;

/// A body on its way in.
pub(crate) struct Fetched {
    /// As the server declared it.
    pub size: Option<u64>,
    pub chunks: BoxStream<'static, Result<Bytes, Reason>>,
}

/// Reads a URL and judges it as far as that can be done without asking anybody.
pub(crate) fn check(service: &Svc, uri: &str) -> Result<Destination, Reason> {
    let refuse = |why: &str| format!("URI for web-download does not pass filtering: {uri}: {why}");
    if uri.len() > MAX_URL {
        return Err("URI for web-download does not pass filtering: it is too long".to_owned());
    }
    let url = reqwest::Url::parse(uri).map_err(|why| refuse(&why.to_string()))?;
    let to = Destination {
        scheme: url.scheme().to_owned(),
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or(0),
        has_credentials: !url.username().is_empty() || url.password().is_some(),
    };
    to.check(&service.config.web_download_hosts)
        .map_err(refuse)?;
    Ok(to)
}

/// Begins to fetch.
pub(crate) async fn fetch(service: &Svc, uri: &str) -> Result<Fetched, Reason> {
    let to = check(service, uri)?;
    let addresses = resolve(service, &to).await?;
    // Several crates of the process could choose a TLS implementation; the first choice stands.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(STALL)
        // The name is not looked up again: between two answers it could lead elsewhere.
        .resolve_to_addrs(&to.host, &addresses)
        .build()
        .map_err(|why| format!("No HTTP client could be made: {why}"))?;
    let answer = client
        .get(uri)
        .send()
        .await
        .map_err(|why| format!("{} does not answer: {}", to.host, innermost(&why)))?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!(
            "{} answered {} instead of 200; redirects are not followed.",
            to.host,
            answer.status().as_u16()
        ));
    }
    let size = answer.content_length();
    let host = to.host;
    let chunks = answer
        .bytes_stream()
        .map(move |chunk| chunk.map_err(|why| format!("{host} broke off: {}", innermost(&why))));
    Ok(Fetched {
        size,
        chunks: chunks.boxed(),
    })
}

/// Every address of the host, all of them public unless the operator named the host.
async fn resolve(service: &Svc, to: &Destination) -> Result<Vec<SocketAddr>, Reason> {
    let host = to.host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, to.port)],
        Err(_name) => tokio::net::lookup_host((host, to.port))
            .await
            .map_err(|why| format!("{host} cannot be looked up: {why}"))?
            .collect(),
    };
    let inside = found.iter().find(|address| !is_public(address.ip()));
    match inside {
        Some(_) if !to.is_named(&service.config.web_download_hosts) => Err(format!(
            "{host} leads to an address that is not public; web-download does not go there."
        )),
        _public_or_named if found.is_empty() => Err(format!("{host} has no address.")),
        _public_or_named => Ok(found),
    }
}

/// The cause that says most; reqwest's own text repeats the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
