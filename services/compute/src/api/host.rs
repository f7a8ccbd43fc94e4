//! The feed for our own agents, and the news that siblings bring.

use nephos_api::{Empty, Fault, Hosts, Json, Reply, Req, endpoint};
use nephos_db::Tx;
use nephos_ops::{EnqueueError, feed};
use nephos_types::Timestamp;
use nephos_types::feed::{FeedPage, Known, Observed};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Cx, asked, fault};
use crate::model::snapshot::{KIND_SNAPSHOT, SnapshotWish};
use crate::model::spec::{
    HOST_AWAY, HostInventory, ImageId, KIND_HOST, KIND_SERVER, ServerId, ServerSpec,
};
use crate::ops::observe::Report;
use crate::{ops, rules, store};

#[derive(Deserialize, ToSchema)]
pub(crate) struct FeedQuery {
    /// Only for whoever wants to be sure; the token says it.
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    since: i64,
    #[serde(default)]
    lists: i64,
    #[serde(default)]
    wait: u64,
}

endpoint! {
    /// Give a host what is wanted on it.
    HostFeed: GET "/host/v1/feed" => 200,
    policy: Hosts<rules::HostFeed>,
    query: FeedQuery,
    reply: Json<Value>,
    handler: host_feed,
}

async fn host_feed(cx: Cx, req: Req<HostFeed>) -> Reply<HostFeed> {
    let FeedQuery {
        host,
        since,
        lists,
        wait,
    } = req.query;
    let host = cx.host(host.as_deref())?;
    let page: FeedPage = cx
        .feed
        .since(host.as_str(), Known { since, lists }, wait)
        .await?;
    let page = serde_json::to_value(page).map_err(|why| Fault::internal(why.to_string()))?;
    Ok(Json(page))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct ObservedQuery {
    /// As in the feed.
    #[serde(default)]
    host: Option<String>,
}

endpoint! {
    /// Take in what a host has seen.
    HostObserved: PUT "/host/v1/observed" => 204,
    policy: Hosts<rules::HostFeed>,
    query: ObservedQuery,
    body: Json<Value>,
    reply: Empty,
    handler: host_observed,
}

/// Reports of more things are taken in each alone.
const FEW: usize = 32;

async fn host_observed(cx: Cx, req: Req<HostObserved>) -> Reply<HostObserved> {
    let host = cx.host(req.query.host.as_deref())?.0.clone();
    let observed: Vec<Observed> = serde_json::from_value(req.body.0).map_err(unreadable)?;
    let (mut of_itself, observed): (Vec<_>, Vec<_>) = observed
        .into_iter()
        .partition(|seen| seen.kind == KIND_HOST);
    let report = Report { host, observed };
    match of_itself.pop() {
        Some(seen) if seen.state == HOST_AWAY => {
            // Without its hypervisor it is as good as silent, from now on.
            let silent = cx.now().plus_secs(-cx.config.host_down_after_secs);
            take_report(&cx, cx.guarded().await?, silent, report).await?;
        }
        Some(seen) => {
            let mut tx = cx.write().await?;
            take_inventory(&cx, &mut tx, &report.host, seen).await?;
            take_report(&cx, tx, cx.now(), report).await?;
        }
        None => take_with_others(&cx, report).await?,
    }
    Ok(Empty)
}

fn unreadable(why: serde_json::Error) -> Fault {
    Fault::bad_request(format!("The report is not readable: {why}."))
}

async fn take_report(cx: &Cx, mut tx: Tx, seen_at: Timestamp, report: Report) -> Result<(), Fault> {
    store::hosts::seen(&mut tx, seen_at, &[&report.host]).await?;
    ops::observe::take(&mut tx, cx.now(), &[report]).await?;
    Ok(tx.commit().await?)
}

/// More follows from what a host says of itself than from what it says of its servers.
async fn take_inventory(cx: &Cx, tx: &mut Tx, host: &str, seen: Observed) -> Result<(), Fault> {
    let inventory: HostInventory = serde_json::from_value(seen.detail).map_err(unreadable)?;
    if inventory.host != host {
        return Err(Fault::bad_request(format!(
            "Host {host} reports for {}.",
            inventory.host
        )));
    }
    let taken = ops::host::take(tx, asked(cx), &inventory, &cx.config).await;
    taken.map_err(|why| match why {
        // Another transaction was in its way: the report is taken in again.
        EnqueueError::Db(why) => Fault::from(why),
        why => Fault::internal(why.to_string()),
    })
}

/// While servers are made, each host says little and often.
async fn take_with_others(cx: &Cx, report: Report) -> Result<(), Fault> {
    if report.observed.len() > FEW {
        return take_report(cx, cx.guarded().await?, cx.now(), report).await;
    }
    let again = report.clone();
    let work = |reports: Vec<Report>| {
        let (db, now) = (cx.db().clone(), cx.now());
        async move { ops::observe::take_all(&db, now, &reports).await.ok() }
    };
    let clock = &cx.core.clock;
    match cx.reports.join_transaction(clock, report, work).await {
        Some(()) => Ok(()),
        // What is said twice is as said once.
        None => take_report(cx, cx.guarded().await?, cx.now(), again).await,
    }
}

/// What a host is told of things of one kind.
async fn told<T: DeserializeOwned>(
    cx: &Cx,
    host: &str,
    kind: &'static str,
) -> Result<impl Iterator<Item = T>, Fault> {
    let page: FeedPage = cx.feed.since(host, Known::default(), 0).await?;
    let items = page.items.into_iter().filter(move |item| item.kind == kind);
    Ok(items.filter_map(|item| serde_json::from_value(item.spec?).ok()))
}

#[derive(Debug, Deserialize)]
pub(crate) struct WantedPath {
    host: String,
    image: ImageId,
}

endpoint! {
    /// Say whether an image is wanted on a host, by a server that is.
    ImageIsWanted: GET "/host/v1/hosts/{host}/images/{image}" => 204,
    policy: rules::ImageIsWanted,
    path: WantedPath,
    reply: Empty,
    handler: image_is_wanted,
}

async fn image_is_wanted(cx: Cx, req: Req<ImageIsWanted>) -> Reply<ImageIsWanted> {
    let WantedPath { host, image } = req.path;
    let mut servers = told::<ServerSpec>(&cx, &host, KIND_SERVER).await?;
    if servers.any(|server| server.needs(&image)) {
        return Ok(Empty);
    }
    Err(Fault::not_found(format!(
        "No server on host {host} needs image {image}."
    )))
}

endpoint! {
    /// Say whether a host brings the data of an image that is being made of a server there.
    ImageIsBrought: GET "/host/v1/hosts/{host}/snapshots/{image}" => 204,
    policy: rules::ImageIsBrought,
    path: WantedPath,
    reply: Empty,
    handler: image_is_brought,
}

async fn image_is_brought(cx: Cx, req: Req<ImageIsBrought>) -> Reply<ImageIsBrought> {
    let WantedPath { host, image } = req.path;
    let mut wishes = told::<SnapshotWish>(&cx, &host, KIND_SNAPSHOT).await?;
    if wishes.any(|wish| wish.image == image) {
        return Ok(Empty);
    }
    Err(Fault::not_found(format!(
        "Host {host} brings no data of image {image}."
    )))
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeyPath {
    id: ServerId,
    volume: String,
}

endpoint! {
    /// Tell a host what opens an encrypted volume of a server that is to be there.
    HostVolumeKey: GET "/host/v1/servers/{id}/volumes/{volume}/key" => 200,
    policy: Hosts<rules::HostFeed>,
    path: KeyPath,
    reply: Json<Value>,
    handler: host_volume_key,
}

/// The block service is asked each time: nothing of it is kept here.
async fn host_volume_key(cx: Cx, req: Req<HostVolumeKey>) -> Reply<HostVolumeKey> {
    let KeyPath { id, volume } = req.path;
    let host = cx.host(None)?.as_str().to_owned();
    let none = || {
        Fault::not_found(format!(
            "No server {id} with volume {volume} is to be on host {host}."
        ))
    };
    let told = feed::published(cx.db(), ops::place(&host, &id)).await?;
    let server = super::server(&cx, &id).await?;
    let (_told, server) = told.zip(server).ok_or_else(none)?;
    let mut volumes = server.volumes.iter();
    let found = volumes.find(|one| one.volume_id == volume && !volume.is_empty());
    let attachment = found.and_then(|found| found.attachment_id.as_ref());
    let attachment = attachment.ok_or_else(none)?;
    let project = server.project_id.as_str();
    let key = cx.siblings.volume_key(project, attachment).await;
    let key = key.map_err(|why| fault::from_peer(&why))?;
    let key = serde_json::to_value(key).map_err(|why| Fault::internal(why.to_string()))?;
    Ok(Json(key))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct EventsBody {
    events: Vec<ExternalEvent>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExternalEvent {
    server_uuid: String,
    name: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    tag: Option<String>,
}

/// What siblings may tell (nova.objects.external_event).
const EVENTS: &[&str] = &[
    "network-changed",
    "network-vif-plugged",
    "network-vif-unplugged",
    "network-vif-deleted",
    "volume-extended",
    "power-update",
    "accelerator-request-bound",
    "volume-reimaged",
];

endpoint! {
    /// Take in that something outside changed for a server.
    ExternalEvents: POST "/v2.1/os-server-external-events" => 200,
    policy: rules::ExternalEvents,
    body: Json<EventsBody>,
    reply: nephos_api::With<Json<Value>>,
    handler: external_events,
}

async fn external_events(cx: Cx, req: Req<ExternalEvents>) -> Reply<ExternalEvents> {
    let events = &req.body.events;
    if events.is_empty() {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute events. [] is too short",
        ));
    }
    let mut shown = Vec::new();
    let mut missing = 0;
    let mut tx = cx.write().await?;
    for event in events {
        if !EVENTS.contains(&event.name.as_str()) {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute name. '{}' is no event that this service knows.",
                event.name
            )));
        }
        let status = event.status.as_deref().unwrap_or("completed");
        if !["failed", "completed", "in-progress"].contains(&status) {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute status. '{status}' is not one of failed, completed, in-progress."
            )));
        }
        let id = event.server_uuid.as_str().into();
        let server = store::servers::lock(&mut tx, &id).await?;
        let code = match &server {
            None => 404,
            // Nova: a server that is on no host yet cannot be told anything.
            Some(server) if server.host.is_none() => 422,
            Some(_) => 200,
        };
        if code == 200 && event.name.starts_with("network-") {
            ops::refresh::request(&mut tx, asked(&cx), &id)
                .await
                .map_err(|why| Fault::internal(why.to_string()))?;
        }
        if code == 200
            && event.name == "volume-extended"
            && let (Some(server), Some(volume)) = (&server, &event.tag)
            && server.volumes.iter().any(|one| one.volume_id == *volume)
        {
            ops::extend_volume::request(&mut tx, asked(&cx), server, volume)
                .await
                .map_err(|why| Fault::internal(why.to_string()))?;
        }
        missing += usize::from(code != 200);
        let mut one = json!({
            "server_uuid": event.server_uuid, "name": event.name, "code": code,
            "status": if code == 200 { status } else { "failed" },
        });
        if let (Some(tag), Some(one)) = (&event.tag, one.as_object_mut()) {
            one.insert("tag".into(), json!(tag));
        }
        shown.push(one);
    }
    if missing == events.len() {
        let all_unknown = shown.iter().all(|one| one.get("code") == Some(&json!(404)));
        if all_unknown {
            return Err(Fault::not_found("No instances found for any event"));
        }
    }
    tx.commit().await?;
    let reply = nephos_api::With::new(Json(json!({ "events": shown })));
    Ok(if missing > 0 {
        reply.status(http::StatusCode::MULTI_STATUS)
    } else {
        reply
    })
}
