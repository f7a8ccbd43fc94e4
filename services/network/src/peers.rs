//! Every call that this service makes to siblings, as verbs. All of them can be repeated.

use nephos_peer::{PeerError, Peers};
use serde_json::{Value, json};

/// Tells compute that addresses of these servers changed, as Neutron does. A server that compute does not know (any
/// more), or has on no host yet, needs no news.
///
/// # Errors
/// When compute does not answer or takes no news from us at the moment: it may not trust our token yet.
pub(crate) async fn tell_of_addresses(peers: &Peers, servers: &[String]) -> Result<(), PeerError> {
    let events: Vec<Value> = servers
        .iter()
        .map(|server| json!({"name": "network-changed", "server_uuid": server}))
        .collect();
    let call = peers.post("compute", "/v2.1/os-server-external-events");
    match call
        .json(&json!({ "events": events }))
        .as_service()
        .send()
        .await
    {
        // Taken in, each for itself; or it knows none of them any more.
        Ok(_) => Ok(()),
        Err(why) if why.is_not_found() => Ok(()),
        Err(why) => Err(why),
    }
}
