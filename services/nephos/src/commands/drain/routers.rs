//! Routers of a host that is emptied: they move to hosts that are a way out, too.

use nephos_peer::PeerError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Drain, part, say};

#[derive(Deserialize)]
struct Agent {
    id: String,
    host: String,
    alive: bool,
    admin_state_up: bool,
}

#[derive(Deserialize)]
struct Router {
    id: String,
    name: String,
}

impl Drain<'_> {
    /// Moves the routers to other hosts and keeps new ones away; how many stay, because there is no other way out.
    pub(super) async fn routers(&self) -> anyhow::Result<usize> {
        let agents = self.agents().await?;
        let Some(own) = agents.iter().find(|agent| agent.host == self.host) else {
            return Ok(0);
        };
        self.set_agent(&own.id, false).await?;
        let target = format!("/agents/{}", own.id);
        let on = format!("{target}/l3-routers");
        let routers: Vec<Router> = part(self.network(&on).await?, "routers")?;
        let others = agents.iter().filter(|agent| agent.host != self.host);
        let other = others
            .filter(|agent| agent.alive && agent.admin_state_up)
            .count();
        for router in &routers {
            let Router { id, name } = router;
            if other == 0 {
                say(&format!(
                    "router {name} ({id}) stays: no other host that is up is a way out, so its networks would have none"
                ));
                continue;
            }
            let call = self.peers.delete("network", format!("/v2.0{on}/{id}"));
            match call.as_service().send().await {
                Ok(_) => say(&format!("router {name} ({id}) lives on another host now")),
                // It went, or moved, by itself.
                Err(why) if why.is_not_found() || why.is_conflict() => {}
                Err(why) => return Err(why.into()),
            }
        }
        Ok(if other == 0 { routers.len() } else { 0 })
    }

    /// Lets routers be placed on the host again.
    pub(super) async fn may_house_routers(&self) -> anyhow::Result<()> {
        let agents = self.agents().await?;
        if let Some(own) = agents.iter().find(|agent| agent.host == self.host) {
            self.set_agent(&own.id, true).await?;
        }
        Ok(())
    }

    async fn agents(&self) -> anyhow::Result<Vec<Agent>> {
        let found = self.network("/agents?agent_type=L3%20agent").await?;
        Ok(part(found, "agents")?)
    }

    async fn set_agent(&self, id: &str, up: bool) -> Result<(), PeerError> {
        let body = json!({"agent": {"admin_state_up": up}});
        let call = self.peers.put("network", format!("/v2.0/agents/{id}"));
        call.json(&body).as_service().send().await.map(|_| ())
    }

    async fn network(&self, target: &str) -> Result<Value, PeerError> {
        let call = self.peers.get("network", format!("/v2.0{target}"));
        call.as_service().send().await?.json()
    }
}
