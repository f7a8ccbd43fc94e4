//! The feed of our own agents.

use nephos_api::{Empty, Fault, Hosts, Json, Reply, Req, endpoint};
use nephos_types::feed::{Known, Observed};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::host_reports::{self, Report};
use crate::Cx;
use crate::model::refusal::Refusal;
use crate::rules;

/// Most things that a host reports at once.
const MAX_OBSERVED: usize = 20_000;

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
    /// Ask what a host is to have, waiting until something changes.
    PollFeed: GET "/host/v1/feed" => 200,
    policy: Hosts<rules::HostFeed>,
    query: Poll,
    reply: Json<Value>,
    handler: poll_feed,
}
async fn poll_feed(cx: Cx, req: Req<PollFeed>) -> Reply<PollFeed> {
    let Poll {
        host,
        since,
        lists,
        wait,
    } = req.query;
    let host = cx.host(host.as_deref())?;
    let page = cx
        .feed
        .since(host.as_str(), Known { since, lists }, wait)
        .await?;
    let value = serde_json::to_value(&page)
        .map_err(|_| Fault::internal("The feed could not be written."))?;
    Ok(Json(value))
}

endpoint! {
    /// Tell what a host has.
    ReportObserved: PUT "/host/v1/observed" => 204,
    policy: Hosts<rules::HostFeed>,
    query: Told,
    body: Json<Value>,
    reply: Empty,
    handler: report_observed,
}
async fn report_observed(cx: Cx, req: Req<ReportObserved>) -> Reply<ReportObserved> {
    let host = cx.host(req.query.host.as_deref())?.0.clone();
    let observed: Vec<Observed> = serde_json::from_value(req.body.0)
        .map_err(|why| Refusal::request(format!("Invalid input for the report: {why}.")))?;
    if observed.len() > MAX_OBSERVED {
        return Err(
            Refusal::request(format!("A report has at most {MAX_OBSERVED} things.")).into(),
        );
    }
    host_reports::take(&cx, Report { host, observed }).await?;
    Ok(Empty)
}
