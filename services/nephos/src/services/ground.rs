//! What every service is built from.

use anyhow::Context as _;
use nephos_api::{Core, Service};
use nephos_auth::{Overrides, Policy, Verifier};
use nephos_bus::Bus;
use nephos_db::Db;
use nephos_peer::{Account, Directory, Peers};
use nephos_runtime::Clock;
use serde::de::DeserializeOwned;

use super::Offered;
use crate::accounts;
use crate::databases;
use crate::secrets::Secrets;
use crate::settings::{Config, Settings};

/// What every service is built from, each as if it were alone.
pub struct Ground<'a> {
    /// `nephos.toml`.
    pub config: &'a Config,
    /// What only this cloud knows.
    pub secrets: &'a Secrets,
    /// The time.
    pub clock: Clock,
    /// Wakes.
    pub bus: Bus,
    /// Where siblings are.
    pub directory: Directory,
    /// Checks tokens.
    pub verifier: Verifier,
}

impl Ground<'_> {
    /// `[nephos]`.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.config.settings
    }

    /// The section of a service.
    ///
    /// # Errors
    /// Names the key and what was expected.
    pub fn section<T: DeserializeOwned + Default>(&self, name: &str) -> anyhow::Result<T> {
        Ok(self.config.file.section(name)?)
    }

    /// The way of service `S` to its siblings, with its own account.
    ///
    /// # Errors
    /// When its password is not known here.
    pub(super) fn peers<S: Offered>(&self) -> anyhow::Result<Peers> {
        self.peers_as(accounts::of_service(S::ACCOUNT, self.secrets)?)
    }

    /// The way to the services with some account.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn peers_as(&self, account: impl Into<Account>) -> anyhow::Result<Peers> {
        let origin = self.settings().origin();
        let directory = self.directory.clone();
        Ok(Peers::new(directory, account, self.clock.clone(), origin)?)
    }

    /// What service `S` is built from: its database, its rules.
    ///
    /// # Errors
    /// When the database does not answer or a rule cannot be understood.
    pub(super) async fn core<S: Service>(&self) -> anyhow::Result<Core> {
        let url = databases::url(self.settings(), S::NAME)?;
        let wakes = std::sync::Arc::new(self.bus.clone());
        let db = Db::open(&url, self.clock.clone(), wakes)
            .await
            .with_context(|| format!("the database of {}", S::NAME))?;
        let overrides = self.overrides(S::NAME)?;
        let policy = Policy::new(S::rules(), &overrides)
            .with_context(|| format!("the rules of {}", S::NAME))?
            .projects_only(S::PROJECTS_ONLY);
        Ok(Core {
            db,
            policy,
            clock: self.clock.clone(),
            verifier: self.verifier.clone(),
        })
    }

    /// `policy/<service>.yaml` of the state directory, in the form of oslo.policy; absent, nothing is overridden.
    fn overrides(&self, name: &str) -> anyhow::Result<Overrides> {
        let path = self.settings().state("policy").join(format!("{name}.yaml"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Overrides::parse(&text).with_context(|| path.display().to_string()),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(Overrides::default()),
            Err(why) => Err(why).with_context(|| path.display().to_string()),
        }
    }
}
