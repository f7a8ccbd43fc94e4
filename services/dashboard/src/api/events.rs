//! The event stream: tells a page which of its lists have changed.
//!
//! A look at a list, with the user's own token, decides what has changed; wake-ups only say when to look. So it works
//! across processes, a lost wake-up costs seconds, and nobody hears of what they may not see. An event carries the
//! digest of what was seen, not the list: whoever reconnects compares, and misses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::header;
use nephos_api::{Download, Fault, Payload, Public, Reply, Req, With, endpoint};
use nephos_bus::Wakes;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::signed::{self, Signed};
use super::{fault, guard};
use crate::model::kinds::Kind;
use crate::{Cx, peers};

/// Lists that one stream may watch.
const KINDS_AT_MOST: usize = 12;
/// Between looks while something is going on, and how long that is thought to be so after the last news.
const LIVELY: Duration = Duration::from_secs(1);
const LIVELY_FOR: Duration = Duration::from_secs(10);
/// Between looks otherwise.
const QUIET: Duration = Duration::from_secs(4);
/// A wake-up comes when the work begins: what it changed is looked for a moment later.
const SETTLE: Duration = Duration::from_millis(150);
/// A stream says at least so often that it is there, so that a client that is gone is noticed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// The topics on which the services wake their own workers.
const TOPICS: [&str; 7] = [
    "block.ops",
    "compute.ops",
    "image.ops",
    "load-balancer.ops",
    "network.news",
    "network.stale",
    "orchestration.ops",
];

/// What to watch.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EventsQuery {
    project: String,
    /// Names of lists, by commas.
    kinds: String,
}

endpoint! {
    /// Stream news of lists as server-sent events.
    ShowEvents: GET "/v1/events" => 200,
    policy: Public,
    query: EventsQuery,
    reply: With<Download>,
    handler: show_events,
}
async fn show_events(cx: Cx, req: Req<ShowEvents>) -> Reply<ShowEvents> {
    let base_url = cx.url("");
    guard::from_own_origin(&req.headers, &base_url)?;
    let signed = signed::find(&cx, &req.headers, &base_url).await?;
    let kinds = kinds(&req.query.kinds)?;
    signed
        .token(&cx, &req.query.project, &cx.request_id)
        .await?;
    let permit = Arc::clone(&cx.streams).try_acquire_owned();
    let permit = permit.map_err(|_| {
        Fault::unavailable(
            "Too many pages watch this cloud already. This one will look from time to time.",
        )
    })?;
    let now = cx.core.clock.monotonic();
    let watch = Watch {
        wakes: TOPICS.map(|topic| cx.bus.subscribe(topic)).into(),
        cx,
        signed,
        project: req.query.project,
        kinds,
        seen: BTreeMap::new(),
        news_at: now,
        told_at: now,
        begun: false,
        _permit: permit,
    };
    let chunks = stream::unfold(Some(watch), step).map(|text| Ok(Bytes::from(text)));
    let reply = Download {
        content_type: "text/event-stream",
        body: Payload::Open(chunks.boxed()),
    };
    Ok(With::new(reply).header(header::CACHE_CONTROL, "no-store"))
}

fn kinds(text: &str) -> Result<Vec<&'static Kind>, Fault> {
    let unknown =
        |name: &str| Fault::bad_request(format!("There is no list called {name:?} to watch."));
    let found: Result<Vec<_>, Fault> = text
        .split(',')
        .map(|name| Kind::find(name).ok_or_else(|| unknown(name)))
        .collect();
    let found = found?;
    if found.len() > KINDS_AT_MOST {
        return Err(Fault::bad_request(format!(
            "One stream watches at most {KINDS_AT_MOST} lists."
        )));
    }
    Ok(found)
}

/// A stream and what it has told.
struct Watch {
    cx: Cx,
    signed: Signed,
    project: String,
    kinds: Vec<&'static Kind>,
    seen: BTreeMap<&'static str, String>,
    wakes: Vec<Wakes>,
    news_at: Duration,
    told_at: Duration,
    begun: bool,
    _permit: OwnedSemaphorePermit,
}

/// The next piece of the stream.
async fn step(watch: Option<Watch>) -> Option<(String, Option<Watch>)> {
    let mut watch = watch?;
    loop {
        if watch.begun && !watch.wait().await {
            return None;
        }
        let first = !watch.begun;
        watch.begun = true;
        let Ok(news) = watch.look().await else {
            return Some(("event: signed-out\ndata: {}\n\n".to_owned(), None));
        };
        let now = watch.cx.core.clock.monotonic();
        let quiet = now.saturating_sub(watch.told_at);
        let text = if !news.is_empty() || first {
            watch.news_at = now;
            let data = serde_json::to_string(&news).unwrap_or_default();
            format!("retry: 3000\nevent: seen\ndata: {data}\n\n")
        } else if quiet >= SIGN_OF_LIFE {
            ": here\n\n".to_owned()
        } else {
            continue;
        };
        watch.told_at = now;
        return Some((text, Some(watch)));
    }
}

impl Watch {
    /// Waits for a reason to look again; whether there will be one.
    async fn wait(&mut self) -> bool {
        let clock = self.cx.core.clock.clone();
        let lively = clock.monotonic().saturating_sub(self.news_at) < LIVELY_FOR;
        let pause = if lively { LIVELY } else { QUIET };
        let closing = self.cx.closing.clone();
        let woken = futures_util::future::select_all(
            self.wakes.iter_mut().map(|wakes| Box::pin(wakes.next())),
        );
        tokio::select! {
            () = closing.wait() => return false,
            () = clock.sleep(pause) => return true,
            _wake = woken => {}
        }
        clock.sleep(SETTLE).await;
        for wakes in &mut self.wakes {
            while wakes.try_next().is_some() {}
        }
        true
    }

    /// Looks at every list; gives the digests that differ from what was told.
    async fn look(&mut self) -> Result<BTreeMap<&'static str, String>, Fault> {
        self.signed = self.signed.again(&self.cx).await?;
        let cx = &self.cx;
        let token = self.signed.token(cx, &self.project, &cx.request_id).await?;
        let mut news = BTreeMap::new();
        for kind in &self.kinds {
            let place = (kind.service, kind.target(&self.project));
            let digest = match peers::look(&cx.peers, place, &token).await {
                Ok(body) => kind.digest(&body),
                Err(error) if error.is_transient() => continue,
                Err(error) if error.status == Some(401) => return Err(fault::not_signed_in()),
                Err(error) => format!("refused-{}", error.status.unwrap_or_default()),
            };
            if self.seen.get(kind.name) != Some(&digest) {
                self.seen.insert(kind.name, digest.clone());
                news.insert(kind.name, digest);
            }
        }
        Ok(news)
    }
}
