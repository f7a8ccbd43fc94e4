//! `nephos keys rotate`.

use nephos::cloud;
use nephos::secrets::Secrets;
use nephos::services::TRUSTED;
use nephos::settings::Config;
use nephos_runtime::Clock;

use crate::terminal::say;

/// Lets another key sign tokens. Identity does so by itself every month.
pub fn rotate(config: &Config) -> anyhow::Result<()> {
    let secrets = Secrets::read(&config.settings.state_dir)?;
    super::block_on(async {
        let peers = cloud::from_outside(config, &secrets, Clock::system())?;
        let call = peers.post(TRUSTED, "/trust/v1/keys").as_service();
        call.send().await?;
        Ok(())
    })?;
    say("Another key signs tokens now. Tokens of the last one stay good until they end.");
    Ok(())
}
