//! The consistency check: what every service and this host know, side by side, and what of it does not fit.
//!
//! Every service checks itself and what it has at its siblings; here the rest is compared: operations that nobody
//! ends, and what is on this host. Work in flight looks like a fault for a moment, so a finding counts only if later
//! looks find it again.

mod host;
mod joined;
mod picture;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use nephos_peer::Peers;
use nephos_runtime::Clock;
use serde::Serialize;

use crate::services::Run;

pub use host::OnHost;
pub use joined::Joined;

/// Pauses between the looks: work in flight settles within them or is found again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Who found it: a service, or `host`.
    pub by: &'static str,
    /// The thing concerned.
    pub id: String,
    /// What is wrong with it.
    pub what: String,
    /// What helps.
    pub hint: String,
}

/// What a check may ask.
pub struct Sources {
    /// Every service, built over its database.
    pub services: Vec<Arc<dyn Run>>,
    /// The services, as an administrator.
    pub peers: Peers,
    /// This host; none when its hosts are simulated.
    pub host: Option<OnHost>,
    /// The time.
    pub clock: Clock,
}

impl Sources {
    /// Everything that does not fit.
    ///
    /// # Errors
    /// When a service or database does not answer.
    pub async fn check(&self) -> anyhow::Result<Vec<Finding>> {
        lasting(&self.clock, || self.look()).await
    }

    async fn look(&self) -> anyhow::Result<Vec<Finding>> {
        let mut findings = rules::check(&self.picture().await?);
        for service in &self.services {
            let found = service.check().await?;
            findings.extend(found.into_iter().map(|found| Finding {
                by: service.name(),
                id: found.id,
                what: found.what,
                hint: found.hint,
            }));
        }
        findings.sort();
        Ok(findings)
    }
}

/// What one look after the other finds.
async fn lasting(
    clock: &Clock,
    look: impl AsyncFn() -> anyhow::Result<Vec<Finding>>,
) -> anyhow::Result<Vec<Finding>> {
    let mut findings = look().await?;
    for pause in PAUSES {
        if findings.is_empty() {
            break;
        }
        clock.sleep(pause).await;
        let again = look().await?;
        findings.retain(|finding| again.contains(finding));
    }
    Ok(findings)
}
