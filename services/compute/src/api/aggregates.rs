//! `/os-aggregates`: sets of hosts. One with `availability_zone` in its metadata is a zone.

use std::collections::BTreeMap;

use nephos_api::{Accepted, Fault, Json, Reply, Req, Shape, endpoint};
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Cx;
use super::versions::AGGREGATE_VIEW;
use crate::model::name;
use crate::rules;
use crate::store::aggregates::{self, Aggregate, ZONE};

/// An aggregate as the newest version shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AggregateView {
    id: i64,
    uuid: String,
    name: String,
    availability_zone: Option<String>,
    /// Not where one was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<String, String>>,
    created_at: String,
    updated_at: Option<String>,
    deleted: bool,
    deleted_at: Option<String>,
}

fn view(one: Aggregate) -> AggregateView {
    AggregateView {
        id: one.id,
        availability_zone: one.zone().map(str::to_owned),
        uuid: one.uuid,
        name: one.name,
        hosts: Some(one.hosts),
        metadata: Some(one.metadata),
        created_at: one.created_at.iso_naive(),
        updated_at: one.updated_at.map(nephos_types::Timestamp::iso_naive),
        deleted: false,
        deleted_at: None,
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AggregateReply {
    aggregate: AggregateView,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AggregateList {
    aggregates: Vec<AggregateView>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AggregatePath {
    id: String,
}

fn number(id: &str) -> Result<i64, Fault> {
    id.parse()
        .map_err(|_| Fault::bad_request(format!("Invalid input received: {id} is not an integer.")))
}

fn absent(id: i64) -> Fault {
    Fault::not_found(format!("Aggregate {id} could not be found."))
}

/// Nova's words for an action that the state of things forbids.
fn forbidden(action: &str, id: i64, reason: &str) -> String {
    format!("Unable to perform action '{action}' on aggregate {id}. Reason: {reason}.")
}

endpoint! {
    /// List aggregates.
    ListAggregates: GET "/v2.1/os-aggregates" => 200,
    policy: rules::ListAggregates,
    reply: Json<AggregateList> as Shape::each("aggregates", AGGREGATE_VIEW),
    handler: list_aggregates,
}

async fn list_aggregates(cx: Cx, _req: Req<ListAggregates>) -> Reply<ListAggregates> {
    let all = aggregates::list(cx.db()).await?;
    Ok(Json(AggregateList {
        aggregates: all.into_iter().map(view).collect(),
    }))
}

endpoint! {
    /// Show an aggregate.
    ShowAggregate: GET "/v2.1/os-aggregates/{id}" => 200,
    policy: rules::ShowAggregate,
    path: AggregatePath,
    reply: Json<AggregateReply> as Shape::one("aggregate", AGGREGATE_VIEW),
    handler: show_aggregate,
}

async fn show_aggregate(cx: Cx, req: Req<ShowAggregate>) -> Reply<ShowAggregate> {
    let id = number(&req.path.id)?;
    let all = aggregates::list(cx.db()).await?;
    let found = all.into_iter().find(|one| one.id == id);
    let aggregate = view(found.ok_or_else(|| absent(id))?);
    Ok(Json(AggregateReply { aggregate }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateBody {
    aggregate: NewAggregate,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAggregate {
    name: String,
    #[serde(default)]
    availability_zone: Option<String>,
}

/// A zone has a name without a colon, which `zone:host` would take apart.
fn zone(name: &str) -> Result<String, Fault> {
    let name = name::check("availability_zone", name).map_err(Fault::bad_request)?;
    if name.contains(':') {
        return Err(Fault::bad_request(format!(
            "Invalid input for field/attribute availability_zone. Value: {name}. It must not contain ':'."
        )));
    }
    Ok(name)
}

endpoint! {
    /// Create an aggregate.
    CreateAggregate: POST "/v2.1/os-aggregates" => 200,
    policy: rules::CreateAggregate,
    body: Json<CreateBody>,
    reply: Json<AggregateReply> as Shape::one("aggregate", AGGREGATE_VIEW),
    handler: create_aggregate,
}

async fn create_aggregate(cx: Cx, req: Req<CreateAggregate>) -> Reply<CreateAggregate> {
    let asked = req.body.0.aggregate;
    let mut new = Aggregate {
        id: 0,
        uuid: nephos_runtime::ids::uuid().to_string(),
        name: name::check("name", &asked.name).map_err(Fault::bad_request)?,
        metadata: BTreeMap::new(),
        hosts: Vec::new(),
        created_at: cx.now(),
        updated_at: None,
    };
    if let Some(name) = &asked.availability_zone {
        new.metadata.insert(ZONE.to_owned(), zone(name)?);
    }
    let mut tx = cx.write().await?;
    aggregates::begin(&mut tx).await?;
    check_name(&aggregates::all(&mut tx).await?, &new)?;
    new.id = aggregates::insert(&mut tx, &new).await?;
    tx.commit().await?;
    // Nova shows neither where one is made.
    let aggregate = AggregateView {
        hosts: None,
        metadata: None,
        ..view(new)
    };
    Ok(Json(AggregateReply { aggregate }))
}

fn check_name(all: &[Aggregate], one: &Aggregate) -> Result<(), Fault> {
    let taken = all
        .iter()
        .any(|other| other.name == one.name && other.id != one.id);
    if taken {
        return Err(Fault::conflict(format!(
            "Aggregate {} already exists.",
            one.name
        )));
    }
    Ok(())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateBody {
    aggregate: AggregateChange,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AggregateChange {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    #[schema(value_type = Option<String>)]
    availability_zone: Option<Option<String>>,
}

endpoint! {
    /// Change an aggregate's name or zone.
    UpdateAggregate: PUT "/v2.1/os-aggregates/{id}" => 200,
    policy: rules::UpdateAggregate,
    path: AggregatePath,
    body: Json<UpdateBody>,
    reply: Json<AggregateReply> as Shape::one("aggregate", AGGREGATE_VIEW),
    handler: update_aggregate,
}

async fn update_aggregate(cx: Cx, req: Req<UpdateAggregate>) -> Reply<UpdateAggregate> {
    let id = number(&req.path.id)?;
    let asked = req.body.0.aggregate;
    if asked.name.is_none() && asked.availability_zone.is_none() {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute aggregate. Either 'name' or 'availability_zone' is required.",
        ));
    }
    let (mut tx, all) = open(&cx).await?;
    let mut one = found(&all, id)?;
    if let Some(name) = &asked.name {
        one.name = name::check("name", name).map_err(Fault::bad_request)?;
        check_name(&all, &one)?;
    }
    match asked.availability_zone {
        None => {}
        Some(None) => drop(one.metadata.remove(ZONE)),
        Some(Some(name)) => drop(one.metadata.insert(ZONE.to_owned(), zone(&name)?)),
    }
    let kept = settle(&cx, &mut tx, all, &one).await?;
    kept.map_err(|reason| Fault::bad_request(forbidden("update aggregate", id, &reason)))?;
    save(&cx, tx, one).await
}

endpoint! {
    /// Delete an aggregate without hosts.
    DeleteAggregate: DELETE "/v2.1/os-aggregates/{id}" => 200,
    policy: rules::DeleteAggregate,
    path: AggregatePath,
    reply: Accepted,
    handler: delete_aggregate,
}

async fn delete_aggregate(cx: Cx, req: Req<DeleteAggregate>) -> Reply<DeleteAggregate> {
    let id = number(&req.path.id)?;
    let (mut tx, all) = open(&cx).await?;
    if !found(&all, id)?.hosts.is_empty() {
        return Err(Fault::bad_request(forbidden(
            "delete",
            id,
            "Host aggregate is not empty",
        )));
    }
    aggregates::remove(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Accepted)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HostName {
    host: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddHostBody {
    add_host: HostName,
}

endpoint! {
    /// Add a host to an aggregate.
    AddHost: POST "/v2.1/os-aggregates/{id}/action" ["add_host"] => 200,
    policy: rules::AddHost,
    path: AggregatePath,
    body: Json<AddHostBody>,
    reply: Json<AggregateReply> as Shape::one("aggregate", AGGREGATE_VIEW),
    handler: add_host,
}

async fn add_host(cx: Cx, req: Req<AddHost>) -> Reply<AddHost> {
    let id = number(&req.path.id)?;
    let host = req.body.0.add_host.host;
    let (mut tx, all) = open(&cx).await?;
    let mut one = found(&all, id)?;
    if aggregates::zone_of(&mut tx, &host).await?.is_none() {
        return Err(Fault::not_found(format!(
            "Compute host {host} could not be found."
        )));
    }
    if one.hosts.contains(&host) {
        return Err(Fault::conflict(format!(
            "Aggregate {id} already has host {host}."
        )));
    }
    aggregates::add_host(&mut tx, id, &host).await?;
    one.hosts.push(host);
    one.hosts.sort_unstable();
    let kept = settle(&cx, &mut tx, all, &one).await?;
    kept.map_err(|reason| Fault::conflict(forbidden("add_host_to_aggregate", id, &reason)))?;
    save(&cx, tx, one).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveHostBody {
    remove_host: HostName,
}

endpoint! {
    /// Take a host out of an aggregate.
    RemoveHost: POST "/v2.1/os-aggregates/{id}/action" ["remove_host"] => 200,
    policy: rules::RemoveHost,
    path: AggregatePath,
    body: Json<RemoveHostBody>,
    reply: Json<AggregateReply> as Shape::one("aggregate", AGGREGATE_VIEW),
    handler: remove_host,
}

async fn remove_host(cx: Cx, req: Req<RemoveHost>) -> Reply<RemoveHost> {
    let id = number(&req.path.id)?;
    let host = req.body.0.remove_host.host;
    let (mut tx, all) = open(&cx).await?;
    let there = all
        .iter()
        .find(|one| one.id == id && one.hosts.contains(&host));
    let mut one = there
        .cloned()
        .ok_or_else(|| Fault::not_found(format!("Cannot remove host {host} in aggregate {id}")))?;
    aggregates::remove_host(&mut tx, id, &host).await?;
    one.hosts.retain(|known| *known != host);
    let kept = settle(&cx, &mut tx, all, &one).await?;
    kept.map_err(|reason| Fault::conflict(forbidden("remove_host_from_aggregate", id, &reason)))?;
    save(&cx, tx, one).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataBody {
    set_metadata: MetadataChange,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MetadataChange {
    #[schema(value_type = Object)]
    metadata: BTreeMap<String, Value>,
}

endpoint! {
    /// Change an aggregate's metadata; what is null is taken away.
    SetAggregateMetadata: POST "/v2.1/os-aggregates/{id}/action" ["set_metadata"] => 200,
    policy: rules::SetAggregateMetadata,
    path: AggregatePath,
    body: Json<MetadataBody>,
    reply: Json<AggregateReply> as Shape::one("aggregate", AGGREGATE_VIEW),
    handler: set_metadata,
}

async fn set_metadata(cx: Cx, req: Req<SetAggregateMetadata>) -> Reply<SetAggregateMetadata> {
    let id = number(&req.path.id)?;
    let (mut tx, all) = open(&cx).await?;
    let mut one = found(&all, id)?;
    for (key, value) in req.body.0.set_metadata.metadata {
        let too_long = |text: &str| text.chars().count() > 255;
        match value {
            Value::Null => drop(one.metadata.remove(&key)),
            Value::String(text) if key == ZONE => drop(one.metadata.insert(key, zone(&text)?)),
            Value::String(text) if !key.is_empty() && !too_long(&key) && !too_long(&text) => {
                one.metadata.insert(key, text);
            }
            _other => {
                return Err(Fault::bad_request(format!(
                    "Invalid input for field/attribute {key}. Keys and values are texts of at most 255 characters."
                )));
            }
        }
    }
    let kept = settle(&cx, &mut tx, all, &one).await?;
    kept.map_err(|reason| Fault::bad_request(forbidden("update aggregate metadata", id, &reason)))?;
    save(&cx, tx, one).await
}

async fn open(cx: &Cx) -> Result<(Tx, Vec<Aggregate>), Fault> {
    let mut tx = cx.write().await?;
    aggregates::begin(&mut tx).await?;
    let all = aggregates::all(&mut tx).await?;
    Ok((tx, all))
}

fn found(all: &[Aggregate], id: i64) -> Result<Aggregate, Fault> {
    let one = all.iter().find(|one| one.id == id);
    one.cloned().ok_or_else(|| absent(id))
}

async fn save(cx: &Cx, mut tx: Tx, mut one: Aggregate) -> Result<Json<AggregateReply>, Fault> {
    one.updated_at = Some(cx.now());
    aggregates::update(&mut tx, &one).await?;
    tx.commit().await?;
    Ok(Json(AggregateReply {
        aggregate: view(one),
    }))
}

/// Puts every host into the zone that it is in once `changed` is as it is now, or says what forbids it: a host is in
/// one zone, and does not leave one that its servers asked for. Nova: a zone that gets another name (the hosts stay the
/// same) must be without servers.
async fn settle(
    cx: &Cx,
    tx: &mut Tx,
    all: Vec<Aggregate>,
    changed: &Aggregate,
) -> Result<Result<(), String>, nephos_db::Error> {
    let before = all.iter().find(|one| one.id == changed.id);
    let hosts = before.into_iter().flat_map(|one| one.hosts.clone());
    let mut hosts: Vec<String> = hosts.chain(changed.hosts.iter().cloned()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let others = || {
        all.iter()
            .filter(|one| one.id != changed.id)
            .chain([changed])
    };
    for host in hosts {
        let zones = others().filter(|one| one.hosts.contains(&host));
        let mut zones: Vec<&str> = zones.filter_map(Aggregate::zone).collect();
        zones.sort_unstable();
        zones.dedup();
        if let [first, _another, ..] = zones.as_slice() {
            return Ok(Err(format!(
                "One or more hosts already in availability zone(s) {first}"
            )));
        }
        let zone = zones.first().copied().unwrap_or(&cx.config.default_zone);
        let now = aggregates::zone_of(tx, &host).await?;
        if now.as_deref().is_none_or(|now| now == zone) {
            continue;
        }
        let same_hosts = before.is_some_and(|before| before.hosts == changed.hosts);
        let stays = if same_hosts {
            aggregates::is_used(tx, &host).await?
        } else {
            aggregates::holds_others(tx, &host, zone).await?
        };
        if stays {
            return Ok(Err(
                "One or more hosts contain instances in this zone".to_owned()
            ));
        }
        aggregates::set_zone(tx, &host, zone).await?;
    }
    Ok(Ok(()))
}
