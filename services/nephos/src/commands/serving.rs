//! A process that serves: what `up` and `run` have in common.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nephos::cloud::Cloud;
use nephos::hosts::{Hosts, Machine};
use nephos::services::Role;
use nephos::settings::Settings;
use nephos_api::shell::{self, Audience, Health, Site};
use nephos_peer::trust::Trust;
use nephos_runtime::{Clock, Shutdown, Task};

/// Running steps and requests have this long to come to an end; what they leave, the next start goes on with.
const WIND_DOWN: Duration = Duration::from_secs(8);

/// Where a process answers.
pub struct Listeners {
    clients: Option<TcpListener>,
    internal: Option<TcpListener>,
}

impl Listeners {
    /// Takes the ports, so that a wrong one is known before anything else happens.
    pub fn bind(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            clients: Some(bind(settings.listen, "listen")?),
            internal: match settings.internal_listen {
                Some(address) => Some(bind(address, "internal_listen")?),
                None => None,
            },
        })
    }

    /// Nowhere: a process without calls.
    pub const fn none() -> Self {
        Self {
            clients: None,
            internal: None,
        }
    }
}

fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| {
        format!(
            "cannot listen on {address}: another program may be there; `{key}` in [nephos] of nephos.toml names another place"
        )
    })
}

/// Everything that ends when the process is told to.
pub fn shutdown() -> anyhow::Result<Shutdown> {
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    ignore_hangup()?;
    Ok(shutdown)
}

/// Serves and works until shutdown. The cloud's tables are there and its services loaded.
pub async fn serve(
    cloud: &Cloud<'_>,
    listeners: Listeners,
    machine: Machine,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let ground = cloud.ground();
    let clock = ground.clock.clone();
    cloud.take_over().await?;
    let mut tasks = cloud.start(shutdown);
    let trust = cloud.trust()?;
    if let Some(trust) = &trust {
        tasks.push(trust.follow(shutdown));
        tracing::info!("waiting for the keys of the identity service");
        tokio::select! { () = trust.ready() => {} () = shutdown.wait() => {} }
    }
    tasks.extend(listen(cloud, listeners, trust, shutdown)?);
    if cloud.parts().any(Role::Agent) {
        let hosts = Hosts::new(ground, machine, shutdown)?;
        tasks.extend(hosts.start(cloud.parts()).await?);
    }
    tasks.extend(nephos::journal::forward::start(
        ground,
        cloud.parts(),
        shutdown,
    )?);
    tracing::info!(parts = %cloud.parts(), took = ?clock.monotonic(), "this process works");
    shutdown.wait().await;
    wind_down(&clock, tasks).await;
    Ok(())
}

fn listen(
    cloud: &Cloud<'_>,
    listeners: Listeners,
    trust: Option<Trust>,
    shutdown: &Shutdown,
) -> anyhow::Result<Vec<Task>> {
    let settings = cloud.ground().settings();
    let site = |audience| Site {
        mounts: cloud.mounts(shutdown),
        audience,
        proxies: settings.trusted_proxies.clone(),
        health: health(trust.clone()),
        workers: settings.http_workers(),
    };
    let for_clients = match listeners.internal {
        Some(_) => Audience::Clients,
        None => Audience::Everybody,
    };
    let mut tasks = Vec::new();
    if let Some(listener) = listeners.clients {
        tasks.push(shell::serve(listener, site(for_clients), shutdown.clone())?);
    }
    if let Some(listener) = listeners.internal {
        tasks.push(shell::serve(
            listener,
            site(Audience::Everybody),
            shutdown.clone(),
        )?);
    }
    Ok(tasks)
}

/// A process whose keys are old still answers: tokens stay good, and only what ended meanwhile is not known.
fn health(trust: Option<Trust>) -> Arc<dyn Fn() -> Health + Send + Sync> {
    Arc::new(move || {
        let stale = trust.as_ref().and_then(Trust::stale_secs);
        let words = match stale {
            None => "ok\n".to_owned(),
            Some(u64::MAX) => {
                "ok\ntrust: identity has not been heard since the start; its last keys and revocations are in force\n"
                    .to_owned()
            }
            Some(secs) => format!("ok\ntrust: stale for {secs} s; identity does not answer\n"),
        };
        Health { ready: true, words }
    })
}

/// A background process outlives the terminal that started it.
fn ignore_hangup() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())?;
    nephos_runtime::spawn(
        "hangups",
        async move { while hangups.recv().await.is_some() {} },
    );
    Ok(())
}

async fn wind_down(clock: &Clock, tasks: Vec<Task>) {
    let ended = async {
        for task in tasks {
            task.join().await;
        }
    };
    if clock.timeout(WIND_DOWN, ended).await.is_none() {
        tracing::warn!("some work did not end in time; the next start goes on with it");
    }
}
