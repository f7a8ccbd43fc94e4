//! Passwords for guests: which, the agent asks when it is told that there is one, and keeps it no longer than the guest
//! takes to answer.

use std::path::PathBuf;
use std::time::Duration;

use nephos_peer::PeerError;
use nephos_runtime::spawn;
use nephos_types::feed::FeedItem;
use tracing::warn;

use super::feed::Binding;
use crate::driver::DriverError;
use crate::model::guest_password::{GuestPassword, KIND_PASSWORD, PasswordSeen};
use crate::model::spec::ServerId;

/// What did not go is tried again after this long.
const AGAIN: Duration = Duration::from_secs(2);
/// So often; then whoever asked has given up.
const TRIES: u32 = 30;

/// Why a password is not set now.
enum Trouble {
    /// It passes.
    Passes(String),
    /// Nobody wants it any more.
    Over,
}

impl From<DriverError> for Trouble {
    fn from(why: DriverError) -> Self {
        Self::Passes(why.to_string())
    }
}

impl From<PeerError> for Trouble {
    fn from(why: PeerError) -> Self {
        match why.is_not_found() {
            true => Self::Over,
            false => Self::Passes(why.to_string()),
        }
    }
}

impl Binding {
    /// Sets passwords beside the rest of the work.
    pub(super) fn set_passwords(&self, wishes: Vec<FeedItem>) {
        for item in wishes.into_iter().filter(|item| item.spec.is_some()) {
            let binding = self.clone();
            spawn("compute.password", async move {
                binding.password(&item).await;
            });
        }
    }

    async fn password(&self, item: &FeedItem) {
        for _try in 0..TRIES {
            match self.set(item).await {
                Ok(()) | Err(Trouble::Over) => return,
                Err(Trouble::Passes(why)) => {
                    warn!(
                        server = item.id,
                        why, "a password is not set in a guest yet; trying again"
                    );
                }
            }
            self.clock.sleep(AGAIN).await;
        }
    }

    async fn set(&self, item: &FeedItem) -> Result<(), Trouble> {
        let server = ServerId::from(item.id.as_str());
        let target = format!("/host/v1/passwords/{server}");
        let answer = self
            .peers
            .get("compute", target)
            .as_service()
            .send()
            .await?;
        let password: GuestPassword = answer.json()?;
        let seen = match self.agent.set_password(&server, &password).await {
            Ok(seen) => seen,
            Err(DriverError::Refused(reason)) => PasswordSeen::Failed { reason },
            Err(why) => return Err(why.into()),
        };
        let observed = self.observed(KIND_PASSWORD, &item.id, item.generation, &seen);
        self.client(PathBuf::new()).report(&[observed]).await?;
        Ok(())
    }
}
