//! `nephos down`: stops the process and, if asked, removes what it put on this host.

use std::time::Duration;

use nephos::settings::Config;
use nephos::{hosts, hypervisor, running};
use nephos_runtime::Clock;
use nix::sys::signal::Signal;

use crate::terminal::say;

/// A process that has not ended after this long is killed: nothing is lost by that.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run(config: &Config, clean: bool) -> anyhow::Result<()> {
    super::block_on(async {
        let stopped = stop(config).await?;
        say(match (stopped, clean) {
            (true, false) => "Nephos has stopped. Its data and guests stay.",
            (true, true) => "Nephos has stopped.",
            (false, _) => "Nephos is not running.",
        });
        if clean {
            hosts::withdraw(config).await?;
        }
        if clean && hosts::is_real(&config.settings) {
            hosts::remove_everything(config).await?;
            hypervisor::remove_private(&config.settings.state_dir)?;
            say("Its guests and its network are gone from this machine.");
        }
        Ok(())
    })
}

/// Whether there was something to stop.
async fn stop(config: &Config) -> anyhow::Result<bool> {
    let state_dir = &config.settings.state_dir;
    let Some(pid) = running::pid(state_dir)? else {
        return Ok(false);
    };
    let clock = Clock::system();
    running::signal(pid, Signal::SIGTERM)?;
    while running::pid(state_dir)? == Some(pid) {
        if clock.monotonic() > PATIENCE {
            running::signal(pid, Signal::SIGKILL)?;
        }
        anyhow::ensure!(
            clock.monotonic() < PATIENCE * 2,
            "process {pid} does not end"
        );
        clock.sleep(Duration::from_millis(50)).await;
    }
    Ok(true)
}
