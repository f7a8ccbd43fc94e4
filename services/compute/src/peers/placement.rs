//! Placement: room for servers.

use std::collections::BTreeMap;

use nephos_peer::PeerError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Candidate, Siblings, absent_is_fine, encoded};
use crate::model::flavor::Flavor;
use crate::model::server::Server;
use crate::model::spec::{HostInventory, ServerId};

/// Placement's own explanation.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Explained {
    /// Providers there are.
    pub total: usize,
    /// The constraints in the order in which they were applied.
    pub constraints: Vec<Constraint>,
    /// Of each class, the most that one provider could give now.
    pub largest_free: BTreeMap<String, i64>,
    /// Who was removed by which constraint; not for everybody.
    #[serde(default)]
    pub admin: Option<Vec<Removed>>,
}

/// One constraint of a request for room.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Constraint {
    pub constraint: String,
    #[serde(default)]
    pub resource_class: Option<String>,
    #[serde(default)]
    pub amount: Option<i64>,
    #[serde(default)]
    pub value: Option<String>,
    pub removed: usize,
}

/// A provider that a constraint removed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Removed {
    pub name: String,
    /// The position of the constraint.
    pub removed_by: usize,
}

/// What a flavor asks for, as a query; none when that is nothing.
fn query(flavor: &Flavor) -> Option<String> {
    let wanted: Vec<String> = flavor
        .resources()
        .iter()
        .map(|(class, amount)| format!("{class}:{amount}"))
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let (required, forbidden) = flavor.traits();
    let forbidden = forbidden.into_iter().map(|name| format!("!{name}"));
    let traits: Vec<String> = required
        .into_iter()
        .map(str::to_owned)
        .chain(forbidden)
        .collect();
    let mut query = format!("resources={}", wanted.join(","));
    if !traits.is_empty() {
        query.push_str(&format!("&required={}", encoded(&traits.join(","))));
    }
    Some(query)
}

/// What a consumer has.
struct Held {
    allocations: Value,
    generation: Option<i64>,
}

impl Held {
    fn is_nothing(&self) -> bool {
        self.allocations
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
    }
}

/// One consumer's part of a change of several.
fn share(server: &Server, allocations: &Value, generation: Option<i64>, kind: &str) -> Value {
    json!({
        "allocations": allocations, "project_id": server.project_id, "user_id": server.user_id,
        "consumer_generation": generation, "consumer_type": kind,
    })
}

const PLACEMENT: &str = "placement 1.39";

impl Siblings {
    /// The provider on which a server has its allocation, if it has one.
    pub(crate) async fn claimed(&self, server: &ServerId) -> Result<Option<String>, PeerError> {
        #[derive(Deserialize)]
        struct Allocations {
            allocations: BTreeMap<String, Value>,
        }
        let call = self
            .peers
            .get("placement", format!("/allocations/{server}"))
            .version(PLACEMENT);
        let found: Allocations = call.as_service().send().await?.json()?;
        Ok(found.allocations.into_keys().next())
    }

    /// Where there is room for a flavor: at most `limit` offers, of all hosts or of that of one provider.
    pub(crate) async fn candidates(
        &self,
        flavor: &Flavor,
        provider: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Candidate>, PeerError> {
        #[derive(Deserialize)]
        struct Request {
            allocations: BTreeMap<String, Value>,
        }
        #[derive(Deserialize)]
        struct Resource {
            capacity: u64,
            used: u64,
        }
        #[derive(Deserialize)]
        struct Summary {
            #[serde(default)]
            resources: BTreeMap<String, Resource>,
        }
        #[derive(Deserialize)]
        struct Answer {
            allocation_requests: Vec<Request>,
            #[serde(default)]
            provider_summaries: BTreeMap<String, Summary>,
        }
        let Some(query) = query(flavor) else {
            return Ok(Vec::new());
        };
        let mut target = format!("/allocation_candidates?limit={limit}&{query}");
        if let Some(provider) = provider {
            target.push_str(&format!("&in_tree={provider}"));
        }
        let call = self.peers.get("placement", target).version(PLACEMENT);
        let answer: Answer = call.as_service().send().await?.json()?;
        let offers = answer
            .allocation_requests
            .into_iter()
            .filter_map(|request| {
                let provider = request.allocations.keys().next()?.clone();
                let summary = answer.provider_summaries.get(&provider);
                let ram = summary.and_then(|summary| summary.resources.get("MEMORY_MB"));
                let ram_free_mib = ram.map_or(0, |ram| ram.capacity.saturating_sub(ram.used));
                Some(Candidate {
                    provider,
                    allocations: json!(request.allocations),
                    ram_free_mib,
                })
            });
        Ok(offers.collect())
    }

    /// Why the room for a flavor is where it is; none for a flavor that needs none.
    pub(crate) async fn explain(&self, flavor: &Flavor) -> Result<Option<Explained>, PeerError> {
        let Some(query) = query(flavor) else {
            return Ok(None);
        };
        let call = self
            .peers
            .get("placement", format!("/nephos/v1/explain?{query}"));
        call.as_service().send().await?.json().map(Some)
    }

    /// Claims room. The same claim again finds the consumer there, which is a conflict: look with [`Siblings::claimed`].
    pub(crate) async fn claim(
        &self,
        server: &Server,
        candidate: &Candidate,
    ) -> Result<(), PeerError> {
        let body = json!({
            "allocations": candidate.allocations, "project_id": server.project_id,
            "user_id": server.user_id, "consumer_generation": null, "consumer_type": "INSTANCE",
        });
        let call = self
            .peers
            .put("placement", format!("/allocations/{}", server.id))
            .json(&body);
        call.version(PLACEMENT)
            .as_service()
            .send()
            .await
            .map(|_| ())
    }

    /// Claims room in place of what the server has: in one transaction of placement, so it never has neither.
    pub(crate) async fn move_claim(
        &self,
        server: &Server,
        candidate: &Candidate,
    ) -> Result<(), PeerError> {
        #[derive(Deserialize)]
        struct Held {
            #[serde(default)]
            consumer_generation: Option<i64>,
        }
        let target = format!("/allocations/{}", server.id);
        let call = self.peers.get("placement", &target).version(PLACEMENT);
        let held: Held = call.as_service().send().await?.json()?;
        let body = json!({
            "allocations": candidate.allocations, "project_id": server.project_id,
            "user_id": server.user_id, "consumer_generation": held.consumer_generation,
            "consumer_type": "INSTANCE",
        });
        let call = self.peers.put("placement", target).json(&body);
        call.version(PLACEMENT)
            .as_service()
            .send()
            .await
            .map(|_| ())
    }

    /// Claims room for what a server becomes, while `holder` takes over what it has: one transaction of placement.
    /// Repeated after it has worked it would take over the new room: look with [`Siblings::holds`] first.
    pub(crate) async fn split_claim(
        &self,
        server: &Server,
        holder: &str,
        candidate: &Candidate,
    ) -> Result<(), PeerError> {
        let held = self.held(server.id.as_str()).await?;
        let body = json!({
            server.id.as_str(): share(server, &candidate.allocations, held.generation, "INSTANCE"),
            holder: share(server, &held.allocations, None, "MIGRATION"),
        });
        self.set_claims(&body).await
    }

    /// Gives a server back what `holder` holds of it, in place of what it has. Where the holder has nothing, it did.
    pub(crate) async fn rejoin_claim(
        &self,
        server: &Server,
        holder: &str,
    ) -> Result<(), PeerError> {
        let former = self.held(holder).await?;
        if former.is_nothing() {
            return Ok(());
        }
        let held = self.held(server.id.as_str()).await?;
        let body = json!({
            server.id.as_str(): share(server, &former.allocations, held.generation, "INSTANCE"),
            holder: share(server, &json!({}), former.generation, "MIGRATION"),
        });
        self.set_claims(&body).await
    }

    /// Whether this consumer has any room.
    pub(crate) async fn holds(&self, consumer: &str) -> Result<bool, PeerError> {
        Ok(!self.held(consumer).await?.is_nothing())
    }

    /// Gives a consumer's room back.
    pub(crate) async fn release_holder(&self, holder: &str) -> Result<(), PeerError> {
        let call = self
            .peers
            .delete("placement", format!("/allocations/{holder}"));
        absent_is_fine(call.version(PLACEMENT).as_service().send().await)
    }

    async fn held(&self, consumer: &str) -> Result<Held, PeerError> {
        #[derive(Deserialize)]
        struct Resources {
            resources: Value,
        }
        #[derive(Deserialize)]
        struct Shown {
            allocations: BTreeMap<String, Resources>,
            #[serde(default)]
            consumer_generation: Option<i64>,
        }
        let target = format!("/allocations/{consumer}");
        let call = self.peers.get("placement", target).version(PLACEMENT);
        let shown: Shown = call.as_service().send().await?.json()?;
        let allocations = shown
            .allocations
            .into_iter()
            .map(|(provider, held)| (provider, json!({"resources": held.resources})))
            .collect();
        Ok(Held {
            allocations: Value::Object(allocations),
            generation: shown.consumer_generation,
        })
    }

    async fn set_claims(&self, body: &Value) -> Result<(), PeerError> {
        let call = self.peers.post("placement", "/allocations").json(body);
        call.version(PLACEMENT)
            .as_service()
            .send()
            .await
            .map(|_| ())
    }

    /// Gives a server's room back.
    pub(crate) async fn release(&self, server: &ServerId) -> Result<(), PeerError> {
        let call = self
            .peers
            .delete("placement", format!("/allocations/{server}"));
        absent_is_fine(call.version(PLACEMENT).as_service().send().await)
    }

    /// Who has room on a provider.
    pub(crate) async fn claims_on(&self, provider: &str) -> Result<Vec<String>, PeerError> {
        #[derive(Deserialize)]
        struct Allocations {
            allocations: BTreeMap<String, Value>,
        }
        let target = format!("/resource_providers/{provider}/allocations");
        let sent = self
            .peers
            .get("placement", target)
            .version(PLACEMENT)
            .as_service()
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(answer
                .json::<Allocations>()?
                .allocations
                .into_keys()
                .collect()),
            Err(why) if why.is_not_found() => Ok(Vec::new()),
            Err(why) => Err(why),
        }
    }

    /// Tells placement what a host has.
    pub(crate) async fn ensure_provider(
        &self,
        provider: &str,
        host: &HostInventory,
        inventories: Value,
    ) -> Result<(), PeerError> {
        #[derive(Deserialize)]
        struct Provider {
            generation: i64,
        }
        let target = format!("/resource_providers/{provider}");
        let shown = self
            .peers
            .get("placement", &target)
            .version(PLACEMENT)
            .as_service()
            .send()
            .await;
        let generation = match shown {
            Ok(answer) => answer.json::<Provider>()?.generation,
            Err(why) if why.is_not_found() => {
                let body = json!({"uuid": provider, "name": host.host});
                let call = self
                    .peers
                    .post("placement", "/resource_providers")
                    .json(&body);
                call.version(PLACEMENT)
                    .as_service()
                    .send()
                    .await?
                    .json::<Provider>()?
                    .generation
            }
            Err(why) => return Err(why),
        };
        let body = json!({
            "resource_provider_generation": generation, "inventories": inventories,
        });
        let call = self
            .peers
            .put("placement", format!("{target}/inventories"))
            .json(&body);
        call.version(PLACEMENT)
            .as_service()
            .send()
            .await
            .map(|_| ())
    }
}
