//! The feed of our own agents.

use nephos_api::{Empty, Fault, Hosts, Json, Reply, Req, endpoint};
use nephos_ops::EnqueueError;
use nephos_types::feed::{Known, Observed};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::fault::busy;
use crate::model::refusal::Refusal;
use crate::ops::{Asked, observe};
use crate::{Cx, rules, store};

/// Most things that a host reports at once.
const MAX_OBSERVED: usize = 5_000;

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Poll {
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

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Told {
    /// As in the feed.
    #[serde(default)]
    host: Option<String>,
}

endpoint! {
    /// Give a host what is wanted on it.
    HostFeed: GET "/host/v1/feed" => 200,
    policy: Hosts<rules::HostFeed>,
    query: Poll,
    reply: Json<Value>,
    handler: host_feed,
}
async fn host_feed(cx: Cx, req: Req<HostFeed>) -> Reply<HostFeed> {
    let Poll {
        host,
        since,
        lists,
        wait,
    } = req.query;
    let host = cx.host(host.as_deref())?.as_str();
    store::hosts::seen(cx.db(), cx.now(), host).await?;
    let page = cx.feed.since(host, Known { since, lists }, wait).await?;
    let page = serde_json::to_value(page)
        .map_err(|_| Fault::internal("The feed could not be written."))?;
    Ok(Json(page))
}

endpoint! {
    /// Take in what a host has seen.
    HostObserved: PUT "/host/v1/observed" => 204,
    policy: Hosts<rules::HostFeed>,
    query: Told,
    body: Json<Value>,
    reply: Empty,
    handler: host_observed,
}
async fn host_observed(cx: Cx, req: Req<HostObserved>) -> Reply<HostObserved> {
    let host = cx.host(req.query.host.as_deref())?.0.clone();
    let observed: Vec<Observed> = serde_json::from_value(req.body.0)
        .map_err(|why| Refusal::invalid(format!("the report is not readable: {why}")))?;
    if observed.len() > MAX_OBSERVED {
        let words = format!("a report has at most {MAX_OBSERVED} things");
        return Err(Refusal::invalid(words).into());
    }
    let mut tx = cx.write().await?;
    let taken = observe::take(&mut tx, Asked::of(&cx), &host, &observed).await;
    taken.map_err(|why: EnqueueError| busy("of the report", why))??;
    tx.commit().await?;
    Ok(Empty)
}
