//! Fetches what `web-download` names: only addresses that were checked are connected to.

use std::net::{IpAddr, SocketAddr};

use nephos_peer::outside::{self, Fetched};

use crate::Svc;
use crate::model::address::{Destination, is_public};

/// Longer URLs are nobody's.
const MAX_URL: usize = 2048;

/// Why nothing can be fetched; a sentence for whoever asked.
pub(crate) type Reason = String;

/// Reads a URL and judges it as far as that can be done without asking anybody.
pub(crate) fn check(service: &Svc, uri: &str) -> Result<Destination, Reason> {
    let refuse = |why: &str| format!("URI for web-download does not pass filtering: {uri}: {why}");
    if uri.len() > MAX_URL {
        return Err("URI for web-download does not pass filtering: it is too long".to_owned());
    }
    let url = outside::parse(uri).map_err(|why| refuse(&why))?;
    let to = Destination {
        scheme: url.scheme,
        host: url.host,
        port: url.port,
        has_credentials: url.has_credentials,
    };
    to.check(&service.config.web_download_hosts)
        .map_err(refuse)?;
    Ok(to)
}

/// Begins to fetch.
pub(crate) async fn fetch(service: &Svc, uri: &str) -> Result<Fetched, Reason> {
    let to = check(service, uri)?;
    let addresses = resolve(service, &to).await?;
    outside::get(uri, &to.host, &addresses).await
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
