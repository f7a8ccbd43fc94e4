//! `nephos host`: which machines may be hosts.

use nephos::cloud;
use nephos::secrets::Secrets;
use nephos::services::TRUSTED;
use nephos::settings::Config;
use nephos_peer::Peers;
use nephos_runtime::Clock;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::terminal::say;

#[derive(Deserialize)]
struct Added {
    join_token: String,
    expires_at: String,
}

#[derive(Deserialize, Serialize)]
struct Host {
    name: String,
    availability_zone: Option<String>,
    joined_at: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct All {
    hosts: Vec<Host>,
}

/// Adds a host and says how it joins. `for_secs`: how long it may.
pub fn add(config: &Config, name: &str, zone: Option<&str>, for_secs: i64) -> anyhow::Result<()> {
    let body = json!({"host": {"name": name, "availability_zone": zone, "expires_secs": for_secs}});
    let added: Added = with(config, async |peers| {
        let call = peers.post(TRUSTED, "/host/v1/hosts").json(&body);
        Ok(call.as_service().send().await?.json()?)
    })?;
    say(&format!(
        "Until {} the machine that is to be host {name} may join, once, by this command there:\n\n  \
         nephos join {} {}\n\nThen `nephos run agents` makes it a host.",
        added.expires_at,
        config.settings.hosts_origin(),
        added.join_token
    ));
    Ok(())
}

/// Lists hosts.
pub fn list(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let all: All = with(config, async |peers| {
        let call = peers.get(TRUSTED, "/host/v1/hosts").as_service();
        Ok(call.send().await?.json()?)
    })?;
    if as_json {
        say(&serde_json::to_string(&all)?);
        return Ok(());
    }
    for host in all.hosts {
        say(&format!(
            "{:<32} {:<20} {}",
            host.name,
            host.availability_zone.as_deref().unwrap_or("-"),
            host.joined_at.map_or_else(
                || "has not joined yet".to_owned(),
                |at| format!("joined {at}")
            ),
        ));
    }
    Ok(())
}

/// Takes a host's rights.
pub fn remove(config: &Config, name: &str) -> anyhow::Result<()> {
    with(config, async |peers| {
        let target = format!("/host/v1/hosts/{name}");
        peers.delete(TRUSTED, target).as_service().send().await?;
        Ok(())
    })?;
    say(&format!(
        "Host {name} is told nothing and believed nothing any more. Guests that run there run on; when it is off, \
         `openstack compute service set --down {name} nova-compute` lets them be made anew elsewhere."
    ));
    Ok(())
}

fn with<T>(
    config: &Config,
    work: impl AsyncFnOnce(Peers) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let secrets = Secrets::read(&config.settings.state_dir)?;
    super::block_on(async {
        let peers = cloud::from_outside(config, &secrets, Clock::system())?;
        work(peers).await
    })
}
