//! Allocations: of a consumer, on a provider.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use nephos_api::version::{Version, v};
use nephos_api::{Empty, Fault, Json, Reply, Req, Shape, With, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::no_provider;
use super::form::{Bodiless, Checked, Form, Reads};
use super::schema::{self, Object, Schema, Text};
use super::{ConsumerPath, ProviderPath, all_providers, dated, versions, write};
use crate::model::claim::{Claim, Share};
use crate::model::{ClassName, ConsumerId, ProviderId, normal_uuid};
use crate::store::claims::{self, Refused};
use crate::store::{self, consumers, first_claims, together};
use crate::{Cx, rules};

/// Whom an allocation belongs to that was made before owners were asked for.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

const WITH_OWNER: Version = v(1, 8);
const AS_MAP: Version = v(1, 12);
const WITH_GENERATION: Version = v(1, 28);
const WITH_MAPPINGS: Version = v(1, 34);
const WITH_TYPE: Version = v(1, 38);

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ConsumerBody {
    allocations: SharesBody,
    project_id: Option<String>,
    user_id: Option<String>,
    consumer_generation: Option<i64>,
    consumer_type: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SharesBody {
    ByProvider(BTreeMap<ProviderId, ShareBody>),
    Listed(Vec<ListedShareBody>),
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ShareBody {
    resources: BTreeMap<ClassName, i64>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ListedShareBody {
    resource_provider: ListedProvider,
    resources: BTreeMap<ClassName, i64>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ListedProvider {
    uuid: ProviderId,
}

/// Several consumers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct ConsumersBody(pub BTreeMap<ConsumerId, ConsumerBody>);

fn resources() -> (&'static str, Schema) {
    let by_class = Object {
        patterns: vec![(schema::NAME, Schema::at_least(1))],
        min: 1,
        ..Object::default()
    };
    ("resources", Schema::Object(by_class))
}

fn listed() -> Schema {
    let provider = Object::of(vec![("uuid", Schema::uuid())]);
    let share = Object::of(vec![
        ("resource_provider", Schema::Object(provider)),
        resources(),
    ]);
    Schema::List {
        items: Box::new(Schema::Object(share)),
        min: 1,
        unique: false,
    }
}

fn by_provider(min: usize) -> Schema {
    let share = Object::of(vec![resources()]);
    let share = share.optional(vec![("generation", Schema::integer())]);
    Schema::Object(Object {
        patterns: vec![(schema::UUID, Schema::Object(share))],
        min,
        ..Object::default()
    })
}

fn mappings() -> Schema {
    let providers = Schema::List {
        items: Box::new(Schema::uuid()),
        min: 1,
        unique: false,
    };
    Schema::Object(Object {
        patterns: vec![(schema::SUFFIX, providers)],
        open: true,
        min: 1,
        ..Object::default()
    })
}

/// The allocations of one consumer. `emptied`: whether there may be none although the version has no generations.
fn consumer_schema(version: Version, emptied: bool) -> Schema {
    let allocations = if version < AS_MAP {
        listed()
    } else {
        by_provider(usize::from(!emptied && version < WITH_GENERATION))
    };
    let mut required = vec![("allocations", allocations)];
    if version >= WITH_OWNER {
        required.push(("project_id", Schema::filled(255)));
        required.push(("user_id", Schema::filled(255)));
    }
    if version >= WITH_GENERATION {
        let generation = Schema::Nullable(Box::new(Schema::integer()));
        required.push(("consumer_generation", generation));
    }
    if version >= WITH_TYPE {
        let consumer_type = Schema::Text(Text {
            min: 1,
            max: Some(255),
            pattern: Some(schema::NAME),
            uuid: false,
        });
        required.push(("consumer_type", consumer_type));
    }
    let mut optional = Vec::new();
    if version >= WITH_MAPPINGS {
        optional.push(("mappings", mappings()));
    }
    Schema::Object(Object::of(required).optional(optional))
}

/// Several consumers, at least `min`.
pub(crate) fn consumers_schema(version: Version, min: usize) -> Schema {
    Schema::Object(Object {
        patterns: vec![(schema::UUID, consumer_schema(version, true))],
        min,
        ..Object::default()
    })
}

/// The versions at which these bodies changed, newest first.
pub(crate) const STEPS: [Version; 6] = [
    WITH_TYPE,
    WITH_MAPPINGS,
    WITH_GENERATION,
    AS_MAP,
    WITH_OWNER,
    Version::ZERO,
];

/// The newest of these that `version` has.
pub(crate) fn of_version(
    schemas: &'static [(Version, Schema)],
    version: Version,
) -> &'static Schema {
    static NOTHING: Schema = Schema::OneOf(&[]);
    let mut schemas = schemas.iter();
    let found = schemas.find(|(since, _)| *since <= version);
    found.map_or(&NOTHING, |(_, schema)| schema)
}

impl Checked for ConsumerBody {
    fn schema(version: Version) -> &'static Schema {
        static SCHEMAS: LazyLock<Vec<(Version, Schema)>> = LazyLock::new(|| {
            let schema = |since| (since, consumer_schema(since, false));
            STEPS.into_iter().map(schema).collect()
        });
        of_version(&SCHEMAS, version)
    }
}

impl Checked for ConsumersBody {
    fn schema(version: Version) -> &'static Schema {
        static SCHEMAS: LazyLock<Vec<(Version, Schema)>> = LazyLock::new(|| {
            let schema = |since| (since, consumers_schema(since, 1));
            STEPS.into_iter().map(schema).collect()
        });
        of_version(&SCHEMAS, version)
    }
}

impl ConsumerBody {
    /// What it claims for a consumer.
    pub(crate) fn claim(self, version: Version, consumer: ConsumerId) -> Claim {
        let by_provider: BTreeMap<ProviderId, BTreeMap<ClassName, i64>> = match self.allocations {
            SharesBody::ByProvider(map) => {
                let map = map.into_iter();
                map.map(|(id, share)| (id, share.resources)).collect()
            }
            SharesBody::Listed(list) => {
                let list = list.into_iter();
                list.map(|share| (share.resource_provider.uuid, share.resources))
                    .collect()
            }
        };
        let shares = by_provider.into_iter().flat_map(|(provider, resources)| {
            let resources = resources.into_iter();
            resources.map(move |(class, amount)| Share {
                provider: provider.clone(),
                class,
                amount,
            })
        });
        let owner = |id: Option<String>| id.unwrap_or_else(|| NOBODY.to_owned());
        Claim {
            consumer,
            shares: shares.collect(),
            project_id: owner(self.project_id),
            user_id: owner(self.user_id),
            consumer_type: self.consumer_type,
            generation: (version >= WITH_GENERATION).then_some(self.consumer_generation),
        }
    }
}

impl ConsumersBody {
    /// What it claims.
    pub(crate) fn claims(self, version: Version) -> Vec<Claim> {
        let consumers = self.0.into_iter();
        consumers
            .map(|(consumer, body)| body.claim(version, consumer))
            .collect()
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsumerView {
    allocations: BTreeMap<ProviderId, ShareView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_type: Option<String>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ShareView {
    resources: BTreeMap<ClassName, i64>,
    generation: i64,
}

endpoint! {
    /// List the allocations of a consumer.
    ListAllocations: GET "/allocations/{consumer_uuid}" => 200,
    policy: rules::ListAllocations,
    path: ConsumerPath,
    body: Reads,
    reply: With<Json<ConsumerView>> as Shape::one("", versions::CONSUMER),
    handler: list_allocations,
}

async fn list_allocations(cx: Cx, req: Req<ListAllocations>) -> Reply<ListAllocations> {
    let id = &req.path.consumer_uuid;
    let held = consumers::allocations(cx.db(), id).await?;
    let consumer = consumers::show(cx.db(), id).await?;
    let consumer = consumer.filter(|_| !held.is_empty());
    let made: Option<Timestamp> = held.iter().map(|one| one.created_at).max();
    let mut allocations: BTreeMap<ProviderId, ShareView> = BTreeMap::new();
    for one in held {
        let share = allocations.entry(one.provider).or_default();
        share.generation = one.generation;
        share.resources.insert(one.class, one.used);
    }
    let of = |text: fn(&consumers::Consumer) -> &String| consumer.as_ref().map(text).cloned();
    let view = ConsumerView {
        allocations,
        project_id: of(|consumer| &consumer.project_id),
        user_id: of(|consumer| &consumer.user_id),
        consumer_generation: consumer.as_ref().map(|consumer| consumer.generation),
        consumer_type: consumer.as_ref().map(|consumer| {
            let unknown = || "unknown".to_owned();
            consumer.consumer_type.clone().unwrap_or_else(unknown)
        }),
    };
    Ok(dated(&cx, Json(view), made.unwrap_or_else(|| cx.now())))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OnProviderView {
    allocations: BTreeMap<ConsumerId, HeldView>,
    resource_provider_generation: i64,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct HeldView {
    resources: BTreeMap<ClassName, i64>,
    consumer_generation: i64,
}

endpoint! {
    /// List the allocations on a provider.
    ListProviderAllocations: GET "/resource_providers/{uuid}/allocations" => 200,
    policy: rules::ListProviderAllocations,
    path: ProviderPath,
    body: Reads,
    reply: With<Json<OnProviderView>> as Shape::one("", versions::ON_PROVIDER),
    handler: list_provider_allocations,
}

async fn list_provider_allocations(
    cx: Cx,
    req: Req<ListProviderAllocations>,
) -> Reply<ListProviderAllocations> {
    let id = &req.path.uuid;
    let providers = all_providers(&cx).await?;
    let stocked = providers.get(id).ok_or_else(|| {
        let why = no_provider(id).message;
        Fault::not_found(format!("Resource provider '{id}' not found: {why}"))
    })?;
    let held = consumers::on_provider(cx.db(), id).await?;
    let made: Option<Timestamp> = held.iter().map(|one| one.created_at).max();
    let mut allocations: BTreeMap<ConsumerId, HeldView> = BTreeMap::new();
    for one in held {
        let view = allocations.entry(one.consumer).or_default();
        view.consumer_generation = one.generation;
        view.resources.insert(one.class, one.used);
    }
    let view = OnProviderView {
        allocations,
        resource_provider_generation: stocked.provider.generation,
    };
    Ok(dated(&cx, Json(view), made.unwrap_or_else(|| cx.now())))
}

endpoint! {
    /// Set the allocations of a consumer.
    SetAllocations: PUT "/allocations/{consumer_uuid}" => 204,
    policy: rules::UpdateAllocations,
    path: ConsumerPath,
    body: Form<ConsumerBody>,
    reply: Empty,
    handler: set_allocations,
}

async fn set_allocations(cx: Cx, req: Req<SetAllocations>) -> Reply<SetAllocations> {
    let given = &req.path.consumer_uuid;
    let consumer = normal_uuid(given.as_str());
    let consumer =
        consumer.ok_or_else(|| Fault::bad_request(format!("Malformed consumer_uuid: {given}")))?;
    let claim = req.body.read()?.claim(cx.version, ConsumerId(consumer));
    let consumer = claim.consumer.clone();
    claim_one(&cx, claim)
        .await
        .map_err(|refused| match refused {
            Refused::NoClass(_) => Fault::bad_request(format!(
                "Unable to allocate inventory for consumer {consumer}: {refused}"
            )),
            other => other.into(),
        })?;
    Ok(Empty)
}

async fn claim_one(cx: &Cx, claim: Claim) -> Result<(), Refused> {
    if first_claims::is_first(&claim) {
        let again = claim.clone();
        let work = |claims: Vec<Claim>| {
            let (db, now) = (cx.db().clone(), cx.now());
            async move { together::write(&db, now, &claims).await }
        };
        if let Some(outcome) = cx.together.join(&cx.core.clock, claim, work).await {
            return outcome;
        }
        // Written or not: if it was, this finds the consumer there.
        return alone(cx, again).await;
    }
    alone(cx, claim).await
}

async fn alone(cx: &Cx, claim: Claim) -> Result<(), Refused> {
    let mut w = store::begin(cx.db(), cx.now()).await?;
    claims::replace(&mut w, &[claim]).await?;
    w.commit().await?;
    Ok(())
}

endpoint! {
    /// Set the allocations of several consumers at once.
    SetManyAllocations: POST "/allocations" => 204,
    versions: 1.13..,
    policy: rules::ManageAllocations,
    body: Form<ConsumersBody>,
    reply: Empty,
    handler: set_many_allocations,
}

async fn set_many_allocations(cx: Cx, req: Req<SetManyAllocations>) -> Reply<SetManyAllocations> {
    let claims = req.body.read()?.claims(cx.version);
    let mut w = write(&cx).await?;
    claims::replace(&mut w, &claims).await?;
    w.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Delete the allocations of a consumer.
    DeleteAllocations: DELETE "/allocations/{consumer_uuid}" => 204,
    policy: rules::DeleteAllocations,
    path: ConsumerPath,
    body: Bodiless,
    reply: Empty,
    handler: delete_allocations,
}

async fn delete_allocations(cx: Cx, req: Req<DeleteAllocations>) -> Reply<DeleteAllocations> {
    let id = &req.path.consumer_uuid;
    let mut w = write(&cx).await?;
    if !claims::remove(&mut w, id).await? {
        return Err(Fault::not_found(format!(
            "No allocations for consumer '{id}'"
        )));
    }
    w.commit().await?;
    Ok(Empty)
}
