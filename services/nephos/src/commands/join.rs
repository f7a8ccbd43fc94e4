//! `nephos join`: this machine becomes a host, once, by a one-time token.

use std::net::{IpAddr, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use nephos::membership::Membership;
use nephos::secrets::Secrets;
use nephos::services::TRUSTED;
use nephos::settings::Config;
use nephos::state::{make_dirs, write_private};
use nephos_peer::{Account, Directory, Peers, Replicas, Transport};
use nephos_runtime::Clock;
use serde::Deserialize;
use serde_json::json;

use crate::terminal::say;

/// What the command line says.
pub struct Wanted<'a> {
    /// The origin of the services, their calls for hosts included.
    pub url: &'a str,
    /// The one-time token.
    pub token: &'a str,
    /// The file of the authorities that `url` is believed by.
    pub ca: Option<&'a Path>,
    /// Where tunnels end, instead of this machine's address on the way to `url`.
    pub tunnel_address: Option<IpAddr>,
}

#[derive(Deserialize)]
struct Joined {
    host: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    availability_zone: Option<String>,
}

pub fn run(config: &Config, wanted: &Wanted<'_>) -> anyhow::Result<()> {
    let state_dir = &config.settings.state_dir;
    let url = wanted.url.trim_end_matches('/');
    let tunnel_address = match wanted.tunnel_address {
        Some(address) => address,
        None => own_address(url).with_context(|| format!("there is no way to {url}"))?,
    };
    let ca = match wanted.ca {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        ),
        None => None,
    };
    anyhow::ensure!(
        Secrets::read(state_dir).is_err(),
        "{} has the secrets of a whole cloud, to which this machine belongs already; a host needs none of them",
        state_dir.display()
    );
    make_dirs(state_dir)?;
    // Kept before it is used: whoever joins again with the same token and the same secret has joined.
    let pending = Pending::read_or_make(state_dir)?;
    let joined = super::block_on(ask(url, ca.as_deref(), wanted.token, &pending.secret))?;
    let zone = joined.host.availability_zone;
    let membership = Membership {
        name: joined.host.name,
        secret: pending.secret.clone(),
        url: url.to_owned(),
        tunnel_address,
        ca,
    };
    membership.write(state_dir)?;
    pending.remove()?;
    let zone = zone.map_or_else(String::new, |zone| format!(" in the zone {zone}"));
    say(&format!(
        "This machine is host {}{zone}; tunnels to it end at {tunnel_address}. `nephos run agents` lets it work.",
        membership.name
    ));
    Ok(())
}

async fn ask(url: &str, ca: Option<&str>, token: &str, secret: &str) -> anyhow::Result<Joined> {
    let mut directory = Directory::default();
    if let Some(ca) = ca {
        let trusting = directory.trusting(ca.as_bytes());
        directory = trusting.map_err(|why| anyhow::anyhow!("--ca: {why}"))?;
    }
    let there = Replicas::new(vec![format!("{url}/{TRUSTED}")]);
    directory.set(TRUSTED, Transport::Http(Arc::new(there)));
    let peers = Peers::new(directory, Account::Nobody, Clock::system(), url.to_owned())?;
    let body = json!({"join": {"token": token, "secret": secret}});
    let call = peers.post(TRUSTED, "/host/v1/join").json(&body);
    let answer = call.send().await.map_err(|why| match why.status {
        Some(404) => anyhow::anyhow!(
            "{url} is not for hosts: their calls are answered at `internal_listen`, or at a proxy in front of it"
        ),
        Some(_) => anyhow::anyhow!("{}", why.message),
        None => anyhow::anyhow!("{url}: {}", why.message),
    })?;
    Ok(answer.json()?)
}

/// This machine's address on the way to an origin. Nothing is sent.
fn own_address(url: &str) -> anyhow::Result<IpAddr> {
    let (scheme, rest) = url
        .split_once("://")
        .context("expected http://host:port or https://host:port")?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        other => anyhow::bail!("{other:?} is neither http nor https"),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let there = match authority.to_socket_addrs() {
        Ok(found) => found.collect::<Vec<_>>(),
        Err(_without_port) => {
            let plain = authority.trim_matches(['[', ']']);
            (plain, port).to_socket_addrs()?.collect()
        }
    };
    let there = there.first().context("its name has no address")?;
    let any: IpAddr = if there.is_ipv4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(there)?;
    Ok(socket.local_addr()?.ip())
}

/// The secret of a host that has not joined yet.
struct Pending {
    path: PathBuf,
    secret: String,
}

impl Pending {
    fn read_or_make(state_dir: &Path) -> anyhow::Result<Self> {
        let path = state_dir.join("host.joining");
        if let Ok(secret) = std::fs::read_to_string(&path) {
            return Ok(Self { path, secret });
        }
        let secret =
            nephos_runtime::ids::hex() + &nephos_runtime::ids::hex() + &nephos_runtime::ids::hex();
        write_private(&path, &secret)?;
        Ok(Self { path, secret })
    }

    fn remove(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(&self.path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_an_origin_begins_at_an_address_of_this_machine() {
        for url in [
            "http://127.0.0.1:9",
            "https://127.0.0.1/x",
            "http://[::1]:9",
        ] {
            assert!(own_address(url).unwrap().is_loopback(), "{url}");
        }
        assert!(own_address("ftp://127.0.0.1").is_err());
        assert!(own_address("127.0.0.1:9").is_err());
    }

    #[test]
    fn a_secret_is_made_once_until_it_has_been_used() {
        let folder = tempfile::tempdir().unwrap();
        let first = Pending::read_or_make(folder.path()).unwrap();
        assert_eq!(first.secret.len(), 96);
        let again = Pending::read_or_make(folder.path()).unwrap();
        assert_eq!(first.secret, again.secret);
        again.remove().unwrap();
        let next = Pending::read_or_make(folder.path()).unwrap();
        assert_ne!(first.secret, next.secret);
    }
}
