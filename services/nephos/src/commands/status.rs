//! `nephos status`.

use std::process::ExitCode;

use nephos::running;
use nephos::settings::Config;

use crate::terminal::say;

/// Exit code 0 when it runs, 3 when not, as `systemctl status` has it.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let settings = &config.settings;
    let Some(pid) = running::pid(&settings.state_dir)? else {
        say(&format!(
            "Nephos is not running (state: {}).",
            settings.state_dir.display()
        ));
        return Ok(ExitCode::from(3));
    };
    say(&format!("Nephos is running as process {pid}."));
    say(&format!("Catalog:     {}/identity/v3", settings.origin()));
    say(&format!("Dashboard:   {}/dashboard/", settings.origin()));
    say(&format!(
        "Credentials: {}",
        settings.state("clouds.yaml").display()
    ));
    Ok(ExitCode::SUCCESS)
}
