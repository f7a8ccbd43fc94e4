//! The consistency check: what every service and this host know, side by side, and what of it does not fit.
//!
//! `picture` asks, `rules` compares and asks nothing. Work in flight looks like a fault for a moment, so a finding counts
//! only if a second look some seconds later finds it again.

mod host;
mod picture;
mod rules;

use std::time::Duration;

use nephos_peer::Peers;
use nephos_runtime::Clock;
use serde::Serialize;

pub use host::OnHost;
pub use picture::Database;

/// Work in flight settles within this time or is found again.
const SECOND_LOOK: Duration = Duration::from_secs(3);
/// Looks before a finding is believed.
const LOOKS: usize = 3;

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What kind of fault it is: `allocation without server`.
    pub kind: &'static str,
    /// The thing concerned.
    pub id: String,
    /// What was found, in words.
    pub what: String,
}

/// What a check may ask.
pub struct Sources {
    /// The services, as an administrator.
    pub admin: Peers,
    /// The databases, for what no API shows: operations.
    pub databases: Vec<Database>,
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
        let mut findings = rules::check(&self.look().await?);
        for _ in 1..LOOKS {
            if findings.is_empty() {
                break;
            }
            self.clock.sleep(SECOND_LOOK).await;
            let again = rules::check(&self.look().await?);
            findings.retain(|finding| {
                again
                    .iter()
                    .any(|other| other.kind == finding.kind && other.id == finding.id)
            });
        }
        Ok(findings)
    }
}
