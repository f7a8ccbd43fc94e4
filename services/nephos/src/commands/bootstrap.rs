//! `nephos bootstrap`: tables, signing keys, roles, accounts and catalog, without starting anything.

use nephos::cloud::Cloud;
use nephos::secrets::Secrets;
use nephos::services::Parts;
use nephos::settings::Config;
use nephos::state::make_dirs;
use nephos::{credentials, running};
use nephos_runtime::Clock;

use crate::terminal::say;

pub fn run(config: &Config) -> anyhow::Result<()> {
    let settings = &config.settings;
    make_dirs(&settings.state_dir)?;
    let secrets = Secrets::ensure(&settings.state_dir)?;
    if let Some(pid) = running::pid(&settings.state_dir)? {
        anyhow::bail!(
            "the cloud runs as process {pid}; `nephos up` does this by itself. Stop it first with `nephos down`"
        );
    }
    super::block_on(async {
        let cloud = Cloud::open(config, &secrets, Clock::system(), Parts::apis()).await?;
        cloud.migrate().await?;
        cloud.bootstrap().await
    })?;
    credentials::write(settings, &secrets)?;
    say(&format!(
        "The cloud has its tables, accounts and catalog. Credentials: {}",
        settings.state("clouds.yaml").display()
    ));
    Ok(())
}
