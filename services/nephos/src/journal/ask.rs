//! Asks every listener of the cloud, as its operator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nephos_peer::{Account, Directory, PeerError, Peers, Replicas, Transport};
use nephos_runtime::Clock;
use nephos_runtime::journal::Entry;
use serde::de::DeserializeOwned;

use super::{Known, News, Process};
use crate::cloud;
use crate::secrets::Secrets;
use crate::services::SERVICES;
use crate::settings::Config;

/// A listener that takes longer than this to say what it knows is said not to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// News is waited for so long, in seconds.
const WAIT_SECS: u64 = 20;

/// The way to what the processes of a cloud remember.
pub struct Asking {
    operator: Peers,
    /// Each listener once, whatever answers there.
    pub listeners: Vec<Listener>,
    clock: Clock,
}

/// Where a process of the cloud listens.
pub struct Listener {
    /// The services there.
    pub services: Vec<&'static str>,
    /// Its origin.
    pub at: String,
    way: Peers,
}

impl Listener {
    /// What a process says of no service is of its own, where it has one alone.
    fn sign(&self, entries: &mut [Arc<Entry>]) {
        let [only] = *self.services else {
            return;
        };
        for entry in entries {
            if entry.service.is_none() && entry.host.is_none() {
                Arc::make_mut(entry).service = Some(only.into());
            }
        }
    }

    /// What helps when it does not answer.
    #[must_use]
    pub fn helps(&self) -> String {
        let names = self.services.join(", ");
        format!(
            "what only it knows is missing here. `nephos status` says what else is away; `nephos doctor` what is wrong with \
             {names}; [peers] in nephos.toml says that {names} listens at {}",
            self.at
        )
    }
}

impl Asking {
    /// Of the cloud that this configuration is of.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(config: &Config, secrets: &Secrets, clock: Clock) -> anyhow::Result<Self> {
        let mut at: BTreeMap<String, Vec<(&'static str, &'static str)>> = BTreeMap::new();
        for offer in &SERVICES {
            // A cloud of several processes has listeners only where [peers] says so.
            if config.has_peers() && !config.is_peer(offer.name) {
                continue;
            }
            for origin in config.origins(offer.name) {
                at.entry(origin)
                    .or_default()
                    .push((offer.name, offer.prefix));
            }
        }
        let operator = cloud::from_outside(config, secrets, clock.clone())?;
        let mut listeners = Vec::new();
        for (at, there) in at {
            let directory = Directory::default();
            for (name, prefix) in &there {
                let url = Replicas::new(vec![format!("{at}{prefix}")]);
                directory.set(name, Transport::Http(Arc::new(url)));
            }
            listeners.push(Listener {
                services: there.iter().map(|(name, _)| *name).collect(),
                way: Peers::new(directory, Account::Nobody, clock.clone(), at.clone())?,
                at,
            });
        }
        Ok(Self {
            operator,
            listeners,
            clock,
        })
    }

    /// The time.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What a listener's process knows of a request.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn known(&self, listener: &Listener, id: &str) -> Result<Known, PeerError> {
        let target = format!("/journal/v1/requests/{id}");
        let mut known: Known = self.soon(listener, target).await?;
        listener.sign(&mut known.entries);
        Ok(known)
    }

    /// Everything that a listener's process remembers, after what is read of it.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn news(
        &self,
        listener: &Listener,
        read: &Read,
        all: bool,
    ) -> Result<News, PeerError> {
        let mut news: News = self.soon(listener, read.target(all, 0)).await?;
        listener.sign(&mut news.page.entries);
        Ok(news)
    }

    /// As [`Asking::news`], waiting a while for some.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn next(
        &self,
        listener: &Listener,
        read: &Read,
        all: bool,
    ) -> Result<News, PeerError> {
        let mut news: News = self.get(listener, read.target(all, WAIT_SECS)).await?;
        listener.sign(&mut news.page.entries);
        Ok(news)
    }

    async fn soon<T: DeserializeOwned>(
        &self,
        listener: &Listener,
        target: String,
    ) -> Result<T, PeerError> {
        let answer = self.get(listener, target);
        let answer = self.clock.timeout(ANSWER_WITHIN, answer).await;
        answer.unwrap_or_else(|| {
            Err(PeerError {
                service: listener.services.first().copied().unwrap_or_default(),
                status: None,
                kind: String::new(),
                message: format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
            })
        })
    }

    async fn get<T: DeserializeOwned>(
        &self,
        listener: &Listener,
        target: String,
    ) -> Result<T, PeerError> {
        let token = self.operator.service_token().await?;
        let service = listener.services.first().copied().unwrap_or_default();
        let call = listener.way.get(service, target).as_token(&token);
        call.send().await?.json()
    }
}

/// How far a listener's process was read.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Which process; none yet: the empty one.
    pub process: Process,
    /// Up to where.
    pub last: u64,
}

impl Read {
    fn target(&self, all: bool, wait: u64) -> String {
        format!(
            "/journal/v1/entries?process={}&after={}&all={}&wait={wait}",
            self.process.id,
            self.last,
            u8::from(all)
        )
    }
}
