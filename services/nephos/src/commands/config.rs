//! `nephos config check`.

use nephos::services::SERVICES;
use nephos::settings::Config;

use crate::terminal::say;

/// Reads every section; a wrong key has ended the command before or ends it here.
pub fn check(config: &Config) -> anyhow::Result<()> {
    for offer in &SERVICES {
        offer.check_section(&config.file)?;
    }
    say(&format!(
        "nephos.toml is in order; the state is in {}",
        config.settings.state_dir.display()
    ));
    Ok(())
}
