//! Identity, which makes what a cloud begins with.

use std::sync::Arc;

use nephos_api::{Core, Service as _};
use nephos_identity::{Bootstrap, CatalogEntry, Config, Identity};
use nephos_runtime::{Shutdown, Task};

use super::{Ground, Offer, Offered, Role, SERVICES};
use crate::accounts;

impl Offered for Identity {
    type Section = Config;
    const PREFIX: &'static str = "/identity";
    const ROLES: &'static [Role] = &[Role::Api, Role::Worker];
    const ACCOUNT: &'static str = "keystone";
    const CATALOG: Option<(&'static str, &'static str)> = Some(("keystone", "/identity"));

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let mut own: Config = ground.section(Self::NAME)?;
        anyhow::ensure!(
            !ground.secrets.signing_secret.is_empty(),
            "secrets.toml has no `signing_secret`, with which the keys of tokens are sealed"
        );
        own.signing_secret
            .clone_from(&ground.secrets.signing_secret);
        Ok(Self::new(core, ground.bus.clone(), own)?)
    }

    async fn bootstrap(&self, ground: &Ground<'_>) -> anyhow::Result<()> {
        let (settings, secrets) = (ground.settings(), ground.secrets);
        let entry = |offer: &Offer| {
            let (name, path) = offer.catalog?;
            Some(CatalogEntry {
                name: name.to_owned(),
                kind: offer.kind.to_owned(),
                path: path.to_owned(),
            })
        };
        let wanted = Bootstrap {
            admin_password: secrets.admin_password.clone(),
            region: settings.region.clone(),
            public_url: settings.origin(),
            catalog: SERVICES.iter().filter_map(entry).collect(),
            service_users: accounts::service_users(secrets)?,
            retired_users: accounts::RETIRED.map(str::to_owned).into(),
            key_folder: Some(settings.state("keys")),
        };
        Ok(Self::bootstrap(self, &wanted).await?)
    }

    async fn load(&self) -> anyhow::Result<()> {
        Ok(Self::load(self).await?)
    }

    fn serve(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::serve(self, shutdown)
    }

    fn work(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }
}
