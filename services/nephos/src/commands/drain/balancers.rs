//! Load balancers of a host that is emptied: load balancing moves them to other hosts, some at a time.

use std::time::Duration;

use nephos_peer::PeerError;
use serde::Deserialize;
use serde_json::json;

use super::{Drain, LOOK, part, say};

const SERVICE: &str = "load-balancer";
/// When for so long none has left the host, the rest stays.
const STILL: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Host {
    load_balancers: i64,
}

impl Drain<'_> {
    /// Moves the load balancers to other hosts and keeps new ones away; how many stay, because no other host takes them.
    pub(super) async fn load_balancers(&self) -> anyhow::Result<i64> {
        let Some(first) = self.drain_balancers(true).await? else {
            return Ok(0);
        };
        let (mut left, mut since) = (first, self.clock.monotonic());
        while left > 0 {
            self.clock.sleep(LOOK).await;
            let target = format!("/host/v1/hosts/{}", self.host);
            let call = self.peers.get(SERVICE, target).as_service();
            let host: Host = part(call.send().await?.json()?, "host")?;
            let now = self.clock.monotonic();
            if host.load_balancers != left {
                (left, since) = (host.load_balancers, now);
                say(&format!(
                    "{left} of {first} load balancers are still on the host"
                ));
            }
            if now.saturating_sub(since) > STILL {
                say(&format!(
                    "{left} load balancers stay: no other host that is up and has haproxy leads to where their addresses are"
                ));
                break;
            }
        }
        Ok(left)
    }

    /// Says whether the host is to be without load balancers; how many it has. None: it never had any.
    pub(super) async fn drain_balancers(&self, drained: bool) -> Result<Option<i64>, PeerError> {
        if !self.peers.knows(SERVICE) {
            return Ok(None);
        }
        let target = format!("/host/v1/hosts/{}", self.host);
        let call = self.peers.put(SERVICE, target);
        let call = call.json(&json!({"host": {"drained": drained}}));
        let answer = match call.as_service().send().await {
            Err(why) if why.is_not_found() => return Ok(None),
            answer => answer?.json()?,
        };
        let host: Host = part(answer, "host").map_err(|why| PeerError {
            service: SERVICE,
            status: None,
            kind: String::new(),
            message: format!("its answer about a host cannot be read: {why}"),
        })?;
        Ok(Some(host.load_balancers))
    }
}
