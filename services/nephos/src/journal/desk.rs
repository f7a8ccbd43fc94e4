//! Where a process is asked what it remembers: below every prefix, beside the service's own calls, and only where the
//! cloud's own processes listen.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_api::{Dispatch, Incoming, Payload, Request, Response, http};
use nephos_auth::{Caller, Scope, Verifier};
use nephos_db::Db;
use nephos_runtime::journal::{Journal, journal};
use nephos_runtime::{Clock, Shutdown};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{Known, News, Notes, Process, Work};

/// Below it stands everything of the journal.
const BASE: &str = "/journal/v1/";
/// Longest time that a question for news is held back.
const WAIT_SECS: u64 = 20;
/// What comes so soon after the first news goes with it.
const GATHER: Duration = Duration::from_millis(50);
/// Largest body, in bytes.
const BODY: usize = 1024 * 1024;
/// Most notes in one.
pub const NOTES: usize = 100;
/// So many may wait for news at once.
const WAITING: usize = 32;

/// What the journal's desk needs.
pub struct Desk {
    /// Who asks.
    pub verifier: Verifier,
    /// The databases of the services here that keep operations, by name.
    pub operations: Vec<(&'static str, Db)>,
    /// The time.
    pub clock: Clock,
    /// When nobody is kept waiting any more.
    pub shutdown: Shutdown,
    /// Places for those who wait for news.
    pub waiting: Semaphore,
}

/// As many places as there are for those who wait.
#[must_use]
pub const fn places() -> Semaphore {
    Semaphore::const_new(WAITING)
}

/// A service with the desk in front of it.
pub struct Fronted {
    /// The desk.
    pub desk: Arc<Desk>,
    /// The service.
    pub service: Arc<dyn Dispatch>,
}

impl Dispatch for Fronted {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        if !request.path.starts_with(BASE) {
            return self.service.dispatch(request);
        }
        let desk = Arc::clone(&self.desk);
        async move { desk.answer(request).await.unwrap_or_else(refusal) }.boxed()
    }
}

/// A status, and why.
type Refused = (http::StatusCode, String);

/// As whom somebody comes.
enum Who {
    /// May read everything.
    Operator,
    /// May tell, in whatever name.
    Service,
    /// A host: may tell, in its own name.
    Host(String),
}

impl Desk {
    async fn answer(&self, request: Request) -> Result<Response, Refused> {
        let who = self.who(&request).await?;
        let what = request.path.strip_prefix(BASE).unwrap_or_default();
        match (request.method.as_str(), what.split_once('/'), what, who) {
            ("POST", None, "notes", Who::Operator) => {
                Err(forbidden("Only hosts and services tell what they do."))
            }
            ("POST", None, "notes", who) => self.take(who, request.body).await,
            ("GET", None, "entries", Who::Operator) => self.news(&request.query).await,
            ("GET", Some(("requests", id)), _, Who::Operator) => self.known(id).await,
            ("GET", _, _, Who::Host(host)) => Err(forbidden(&format!(
                "The token of host {host} is good for telling what happens on that host, not for reading."
            ))),
            ("GET", _, _, Who::Service) => Err(forbidden(
                "A service tells what it does, and does not read what others do.",
            )),
            _other => Err((
                http::StatusCode::NOT_FOUND,
                "The journal has no such path.".to_owned(),
            )),
        }
    }

    async fn who(&self, request: &Request) -> Result<Who, Refused> {
        let token = request.headers.get("x-auth-token");
        let token = token.and_then(|value| value.to_str().ok());
        let nobody = || {
            let words = "The request you have made requires authentication.".to_owned();
            (http::StatusCode::UNAUTHORIZED, words)
        };
        let verified = self.verifier.verify_or_ask(token.ok_or_else(nobody)?).await;
        let caller = verified.map_err(|_invalid| nobody())?;
        as_whom(&caller)
    }

    async fn known(&self, id: &str) -> Result<Response, Refused> {
        let mut operations = Vec::new();
        for (service, db) in &self.operations {
            let found = nephos_ops::of_request(db, id).await;
            let found = found.map_err(|why| {
                let words = format!("The database of {service} does not answer: {why}.");
                (http::StatusCode::SERVICE_UNAVAILABLE, words)
            })?;
            operations.extend(found.into_iter().map(|brief| Work {
                service: (*service).to_owned(),
                brief,
            }));
        }
        let journal = journal();
        Ok(shown(&Known {
            process: process(journal),
            entries: journal.of_request(self.clock.now(), id),
            operations,
        }))
    }

    async fn news(&self, query: &str) -> Result<Response, Refused> {
        let value = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut named = pairs.filter(|(other, _)| *other == name);
            named.next().map(|(_, value)| value)
        };
        let number = |name: &str| {
            value(name)
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let journal = journal();
        // Numbers of a process that is gone say nothing here.
        let same = value("process") == Some(journal.process.as_str());
        let after = if same { number("after") } else { 0 };
        let all = value("all") == Some("1");
        let wait = Duration::from_secs(number("wait").min(WAIT_SECS));
        if same && !wait.is_zero() {
            let _place = self.waiting.try_acquire().map_err(|_all_taken| {
                let words =
                    format!("{WAITING} wait for news here already; try again when one is gone.");
                (http::StatusCode::SERVICE_UNAVAILABLE, words)
            })?;
            let come = self.clock.timeout(wait, journal.changed(after, all));
            tokio::select! {
                come = come => if come.is_some() { self.clock.sleep(GATHER).await },
                () = self.shutdown.wait() => {}
            }
        }
        Ok(shown(&News {
            process: process(journal),
            page: journal.after(self.clock.now(), after, all),
        }))
    }

    async fn take(&self, who: Who, body: Incoming) -> Result<Response, Refused> {
        let body = whole(body).await?;
        let bad = |words: String| (http::StatusCode::BAD_REQUEST, words);
        let notes: Notes = serde_json::from_slice(&body)
            .map_err(|why| bad(format!("The notes are not readable: {why}.")))?;
        if notes.entries.len() > NOTES {
            return Err(bad(format!("At most {NOTES} notes at once.")));
        }
        let (journal, now) = (journal(), self.clock.now());
        let kept = match who {
            Who::Host(host) => journal.take_in(now, &host, notes.entries),
            _service => {
                let all = notes.entries.len();
                for entry in notes.entries {
                    journal.note(entry.told_at(now));
                }
                all
            }
        };
        Ok(shown(&json!({ "kept": kept })))
    }
}

/// An administrator's token of a domain is good for that domain alone, and one with access rules for what they name.
fn as_whom(caller: &Caller) -> Result<Who, Refused> {
    if let Some(host) = &caller.host {
        return Ok(Who::Host(host.0.clone()));
    }
    let has = |role: &str| caller.roles.iter().any(|own| own == role);
    let whole = matches!(caller.scope, Scope::Project { .. } | Scope::System);
    let whole = whole && caller.access_rules.is_none();
    match (whole, has("service"), has("admin")) {
        (true, true, _) => Ok(Who::Service),
        (true, _, true) => Ok(Who::Operator),
        _anybody_else => Err(forbidden(
            "What the processes of the cloud remember is for its operator: it takes the role admin.",
        )),
    }
}

fn process(journal: &Journal) -> Process {
    Process {
        id: journal.process.clone(),
        since: journal.since,
    }
}

async fn whole(body: Incoming) -> Result<Vec<u8>, Refused> {
    let mut chunks = match body {
        Incoming::Bytes(bytes) => return Ok(bytes.to_vec()),
        Incoming::Stream(chunks) => chunks,
    };
    let mut all = Vec::new();
    while let Some(Ok(Some(chunk))) = chunks.recv().await {
        all.extend_from_slice(&chunk);
        if all.len() > BODY {
            let words = format!("The body is larger than {BODY} bytes.");
            return Err((http::StatusCode::PAYLOAD_TOO_LARGE, words));
        }
    }
    Ok(all)
}

fn forbidden(words: &str) -> Refused {
    (http::StatusCode::FORBIDDEN, words.to_owned())
}

fn refusal((status, message): Refused) -> Response {
    let body = json!({"error": {"code": status.as_u16(), "message": message}});
    Response {
        status,
        ..shown(&body)
    }
}

fn shown<T: Serialize>(what: &T) -> Response {
    let mut headers = http::HeaderMap::new();
    let json = http::HeaderValue::from_static("application/json");
    headers.insert(http::header::CONTENT_TYPE, json);
    Response {
        status: http::StatusCode::OK,
        headers,
        body: Payload::Bytes(serde_json::to_vec(what).unwrap_or_default().into()),
    }
}

#[cfg(test)]
mod tests;
