//! `nephos migrate`: the tables, without starting anything.

use nephos::cloud::Cloud;
use nephos::running;
use nephos::secrets::Secrets;
use nephos::services::Parts;
use nephos::settings::Config;
use nephos::state::make_dirs;
use nephos_runtime::Clock;

use crate::terminal::say;

pub fn run(config: &Config) -> anyhow::Result<()> {
    let state_dir = &config.settings.state_dir;
    make_dirs(state_dir)?;
    let secrets = Secrets::ensure(state_dir)?;
    if let Some(pid) = running::pid(state_dir)? {
        anyhow::bail!(
            "the cloud runs as process {pid}; a start migrates by itself. Stop it first with `nephos down`"
        );
    }
    super::block_on(async {
        let cloud = Cloud::open(config, &secrets, Clock::system(), Parts::apis()).await?;
        cloud.migrate().await
    })?;
    say("The tables of every service are up to date.");
    Ok(())
}
