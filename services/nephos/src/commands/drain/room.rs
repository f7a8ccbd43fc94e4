//! Room on the host that is held although none of its servers is there: one is on its way to it, or from it.

use nephos_peer::PeerError;
use serde_json::Value;

use super::{Drain, PATIENCE, Work};
use crate::terminal::say;

/// What the room is held by together, for [`Drain::too_long`].
const ALL: &str = "room";

impl Drain<'_> {
    /// Whether somebody who is not named yet has room here, and is waited for.
    pub(super) async fn room(&self, work: &mut Work) -> anyhow::Result<bool> {
        let mut holders = self.holders().await?;
        holders.retain(|id| !work.stay.contains(id) && !work.explained.contains(id));
        if holders.is_empty() {
            return Ok(false);
        }
        let named = holders.join(", ");
        if self.too_long(work, ALL, &named) {
            say(&format!(
                "Room is held here for {} minutes by {named}, which is no server of this host: `openstack server show` or `openstack \
                 server migration list` says what each is, `nephos fsck` whether it should be.",
                PATIENCE.as_secs() / 60
            ));
            work.stay.extend(holders);
            return Ok(false);
        }
        if work.said.insert(ALL.to_owned(), named.clone()).as_ref() != Some(&named) {
            say(&format!("Waits for {named}, which has room here."));
        }
        Ok(true)
    }

    /// The consumers of the host's room in placement.
    async fn holders(&self) -> Result<Vec<String>, PeerError> {
        let ask = async |target: String| {
            let call = self.peers.get("placement", target);
            call.version("placement 1.39")
                .as_service()
                .send()
                .await?
                .json::<Value>()
        };
        let found = ask(format!("/resource_providers?name={}", self.host)).await?;
        let Some(provider) = found
            .pointer("/resource_providers/0/uuid")
            .and_then(Value::as_str)
        else {
            return Ok(Vec::new());
        };
        let held = ask(format!("/resource_providers/{provider}/allocations")).await?;
        let holders = held.get("allocations").and_then(Value::as_object);
        Ok(holders
            .into_iter()
            .flatten()
            .map(|(consumer, _)| consumer.clone())
            .collect())
    }
}
