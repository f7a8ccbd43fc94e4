//! `nephos doctor`: what of this machine, and of the cloud as it sees it, does not work or soon will not, and what helps. It
//! changes nothing.

mod cloud;
mod machine;

use nephos_runtime::Clock;
use serde::Serialize;

use crate::running;
use crate::settings::Config;

/// How things stand with one matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Good,
    /// It works, and something is worth knowing.
    Warning,
    /// It does not work.
    Bad,
}

/// One matter that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it stands.
    pub state: State,
    /// What was looked at, and what was found.
    pub what: String,
    /// What helps; empty where nothing has to be done.
    pub hint: String,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self {
            state: State::Good,
            what: what.into(),
            hint: String::new(),
        }
    }

    fn warning(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            state: State::Warning,
            what: what.into(),
            hint: hint.into(),
        }
    }

    fn bad(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            state: State::Bad,
            ..Self::warning(what, hint)
        }
    }
}

/// Looks at everything that this machine has to do with.
pub async fn look(config: &Config, clock: &Clock) -> Vec<Finding> {
    let settings = &config.settings;
    let mut found = machine::state_folder(settings);
    let joined = settings.membership.is_some();
    // A machine of the control plane, whose hosts are others, needs nothing of what guests need.
    let elsewhere = config.has_peers() || settings.hosts_url.is_some();
    let runs_here = matches!(running::pid(&settings.state_dir), Ok(Some(_)));
    if joined || runs_here || !elsewhere {
        found.extend(machine::host(settings));
    }
    if joined {
        found.extend(cloud::from_a_host(config, clock).await);
    } else {
        found.extend(cloud::from_its_own(config, clock).await);
    }
    found
}
