//! Consoles that one can type into: links to them, and the conversations that the links begin.
//!
//! A link is good once and for a short while. Whoever follows it waits here; the server's host hears of it through its
//! feed and brings the console's end, so nothing ever dials a host.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use nephos_api::{
    Download, Empty, Fault, Hosts, Json, Loaded, Payload, Public, Reply, Req, Socket, Stream, With,
    endpoint,
};
use nephos_ops::feed;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Digest as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use utoipa::ToSchema;

use super::{Cx, ServerPath, fault, name_it, server};
use crate::model::console::{ConsoleCall, ConsoleKind, FRAME_BYTES, KIND_CALL, frame};
use crate::model::server::{Refused, Server, VmState};
use crate::ops::consoles::Joined;
use crate::store::consoles::Link;
use crate::{ops, rules, store};

/// Nova's token_ttl.
const LINK_SECS: i64 = 600;
/// A host that has not come by then is not waited for.
const COMES_WITHIN: Duration = Duration::from_secs(10);
/// A call that another one overtook is made again this soon.
const CALL_AGAIN: Duration = Duration::from_secs(2);
/// The host hears at least so often that somebody is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// A conversation ends after this long, whoever forgot about it.
const AT_MOST: Duration = Duration::from_secs(8 * 3600);
/// Pieces under way in each direction.
const PIECES: usize = 8;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsoleBody {
    remote_console: ConsoleWanted,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConsoleWanted {
    protocol: String,
    r#type: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConsoleType {
    r#type: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VncBody {
    #[serde(rename = "os-getVNCConsole")]
    wanted: ConsoleType,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SerialBody {
    #[serde(rename = "os-getSerialConsole")]
    wanted: ConsoleType,
}

endpoint! {
    /// Get a link to a console of a server.
    CreateConsole: POST "/v2.1/servers/{id}/remote-consoles" => 200,
    versions: 2.6..,
    policy: Loaded<rules::RemoteConsoles>,
    path: ServerPath,
    body: Json<ConsoleBody>,
    reply: Json<Value>,
    handler: create_console,
}

async fn create_console(cx: Cx, req: Req<CreateConsole>) -> Reply<CreateConsole> {
    let ConsoleWanted { protocol, r#type } = &req.body.remote_console;
    one_of(
        "protocol",
        protocol,
        &["vnc", "spice", "serial", "rdp", "mks"],
    )?;
    let url = link(&cx, &req.path, (protocol, r#type)).await?;
    let view = json!({"protocol": protocol, "type": r#type, "url": url});
    Ok(Json(json!({ "remote_console": view })))
}

endpoint! {
    /// Get a link to a server's screen, as it was.
    VncConsole: POST "/v2.1/servers/{id}/action" ["os-getVNCConsole"] => 200,
    versions: 2.1..=2.5,
    policy: Loaded<rules::RemoteConsoles>,
    path: ServerPath,
    body: Json<VncBody>,
    reply: Json<Value>,
    handler: vnc_console,
}

async fn vnc_console(cx: Cx, req: Req<VncConsole>) -> Reply<VncConsole> {
    let wanted = &req.body.wanted.r#type;
    let url = link(&cx, &req.path, ("vnc", wanted)).await?;
    Ok(Json(json!({"console": {"type": wanted, "url": url}})))
}

endpoint! {
    /// Get a link to a server's serial console, as it was.
    SerialConsole: POST "/v2.1/servers/{id}/action" ["os-getSerialConsole"] => 200,
    versions: 2.1..=2.5,
    policy: Loaded<rules::RemoteConsoles>,
    path: ServerPath,
    body: Json<SerialBody>,
    reply: Json<Value>,
    handler: serial_console,
}

async fn serial_console(cx: Cx, req: Req<SerialConsole>) -> Reply<SerialConsole> {
    let wanted = &req.body.wanted.r#type;
    let url = link(&cx, &req.path, ("serial", wanted)).await?;
    Ok(Json(json!({"console": {"type": wanted, "url": url}})))
}

fn one_of(field: &str, given: &str, known: &[&str]) -> Result<(), Fault> {
    if known.contains(&given) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "Invalid input for field/attribute {field}. Value: {given}. '{given}' is not one of {known:?}"
    )))
}

/// The kind that Nova's words mean.
fn kind(protocol: &str, wanted: &str) -> Result<ConsoleKind, Fault> {
    let types = [
        "novnc",
        "xvpvnc",
        "spice-html5",
        "serial",
        "rdp-html5",
        "webmks",
    ];
    one_of("type", wanted, &types)?;
    match (protocol, wanted) {
        ("vnc", "novnc") => Ok(ConsoleKind::Vnc),
        ("serial", "serial") => Ok(ConsoleKind::Serial),
        ("vnc" | "serial", _) => Err(Fault::bad_request(format!("Invalid console type {wanted}"))),
        _others => Err(Fault::bad_request(format!(
            "Unavailable console type {wanted}."
        ))),
    }
}

/// Gives out a link: a page for the screen, a WebSocket for the serial console.
async fn link(
    cx: &Cx,
    ServerPath { id }: &ServerPath,
    (protocol, wanted): (&str, &str),
) -> Result<String, Fault> {
    let server = cx
        .allow(rules::RemoteConsoles, server(cx, id).await?)
        .map_err(name_it(id))?;
    let kind = kind(protocol, wanted)?;
    if server.vm_state == VmState::Building || server.host.is_none() {
        return Err(Fault::conflict(format!("Instance {id} is not ready")));
    }
    if !matches!(server.vm_state, VmState::Active | VmState::Paused) {
        let verb = format!("get_{}_console", kind.word());
        let state = Refused::State(format!("vm_state {}", server.vm_state.word()));
        return Err(fault::refused(&server, &verb, state));
    }
    let token = nephos_runtime::ids::hex();
    let link = Link {
        server_id: id.clone(),
        kind,
    };
    let mut tx = cx.write().await?;
    let ends = cx.now().plus_secs(LINK_SECS);
    store::consoles::insert(&mut tx, &hash(&token), &link, ends).await?;
    tx.commit().await?;
    let base = cx.url("");
    let root = base.strip_suffix("/compute").unwrap_or(&base);
    Ok(match kind {
        ConsoleKind::Vnc => {
            format!("{root}/dashboard/console.html?path=compute%2Fconsole%3Ftoken%3D{token}")
        }
        // http becomes ws, and https wss.
        ConsoleKind::Serial => {
            format!(
                "ws{}?token={token}",
                cx.url("/console").trim_start_matches("http")
            )
        }
    })
}

fn hash(token: &str) -> String {
    hex::encode(sha2::Sha256::digest(token.as_bytes()))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct TokenQuery {
    token: String,
}

endpoint! {
    /// Talk to a console over a WebSocket, by the token of a link.
    OpenConsole: GET "/console" => 101,
    policy: Public,
    query: TokenQuery,
    reply: With<Download>,
    handler: open_console,
}

async fn open_console(cx: Cx, req: Req<OpenConsole>) -> Reply<OpenConsole> {
    let text = |name: &str| req.headers.get(name).and_then(|value| value.to_str().ok());
    if !text("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket")) {
        return Err(Fault::bad_request(
            "A console is talked to over a WebSocket.",
        ));
    }
    // A page of another site does not talk to consoles, even if it came by a link.
    let own = text("origin").is_none_or(|origin| {
        let base = cx.url("/");
        base.strip_prefix(origin)
            .is_some_and(|rest| rest.starts_with('/'))
    });
    if !own {
        return Err(Fault::forbidden("Origin header does not match this host."));
    }
    let room = cx.consoles.room().ok_or_else(|| {
        Fault::unavailable("Too many consoles are open already. Close one, or try again later.")
    })?;
    let link = used(&cx, &req.query.token).await?;
    let server = server(&cx, &link.server_id).await?;
    let server = server.ok_or_else(|| fault::no_server(link.server_id.as_str()))?;
    let joined = called(&cx, &server, link.kind).await?;
    let body = Payload::Socket(Socket {
        said: joined.typed,
        answers: answers(&cx, joined.said, room),
    });
    Ok(With::new(Download {
        content_type: "application/octet-stream",
        body,
    }))
}

/// What the link opens; it opens nothing a second time.
async fn used(cx: &Cx, token: &str) -> Result<Link, Fault> {
    let hash = hash(token);
    let mut tx = cx.write().await?;
    let found = store::consoles::find(&mut tx, &hash, cx.now()).await?;
    let first = store::consoles::remove(&mut tx, &hash).await?;
    tx.commit().await?;
    found.filter(|_| first).ok_or_else(|| {
        Fault::unauthorized("The token is not known, was used or is too old. Ask for another link.")
    })
}

/// Calls the server's host, until it comes or says why it cannot.
async fn called(cx: &Cx, server: &Server, console: ConsoleKind) -> Result<Joined, Fault> {
    let session = nephos_runtime::ids::hex();
    let host = server.host.as_deref().unwrap_or_default();
    let mut waiter = cx.consoles.wait(&session, host);
    let call = ConsoleCall {
        session: session.clone(),
        console,
    };
    let clock = &cx.core.clock;
    let coming = async {
        loop {
            publish(cx, server, &call).await?;
            if let Some(answer) = clock.timeout(CALL_AGAIN, waiter.answer()).await {
                let refused = |why: String| {
                    Fault::conflict(format!(
                        "The console of instance {} cannot be opened: {why}.",
                        server.id
                    ))
                };
                return answer.map_err(refused);
            }
        }
    };
    clock
        .timeout(COMES_WITHIN, coming)
        .await
        .unwrap_or_else(|| {
            Err(Fault::unavailable(format!(
                "The host of instance {} does not answer. Try again later.",
                server.id
            )))
        })
}

async fn publish(cx: &Cx, server: &Server, call: &ConsoleCall) -> Result<(), Fault> {
    let place = feed::Place {
        topic: ops::FEED,
        host: server.host.as_deref().unwrap_or_default(),
        kind: KIND_CALL,
        id: server.id.as_str(),
    };
    let mut tx = cx.write().await?;
    feed::publish_anew(&mut tx, cx.now(), place, call).await?;
    tx.commit().await?;
    Ok(())
}

type Answers = stream::BoxStream<'static, Result<Bytes, std::io::Error>>;

/// What the guest says, for as long as a conversation may last.
fn answers(cx: &Cx, said: Stream, room: OwnedSemaphorePermit) -> Answers {
    let clock = cx.core.clock.clone();
    let ends = clock.monotonic() + AT_MOST;
    let next = move |(mut said, room): (Stream, OwnedSemaphorePermit)| {
        let clock = clock.clone();
        async move {
            let left = ends.saturating_sub(clock.monotonic());
            match clock.timeout(left, said.next()).await? {
                Ok(Some(bytes)) => Some((Ok(bytes), (said, room))),
                Ok(None) => None,
                Err(why) => Some((Err(why), (said, room))),
            }
        }
    };
    stream::unfold((said, room), next).boxed()
}

#[derive(Debug, Deserialize)]
pub(crate) struct SessionPath {
    session: String,
}

endpoint! {
    /// Bring a console to who waits for it: the body is what the guest says, the answer what the user types.
    JoinConsole: POST "/host/v1/consoles/{session}" => 200,
    policy: Hosts<rules::HostFeed>,
    path: SessionPath,
    body: Stream,
    reply: With<Download>,
    handler: join_console,
}

async fn join_console(cx: Cx, req: Req<JoinConsole>) -> Reply<JoinConsole> {
    let (typed, keys) = mpsc::channel::<Bytes>(PIECES);
    let joined = Joined {
        said: req.body,
        typed,
    };
    let host = cx.host(None)?.as_str();
    if !cx.consoles.join(&req.path.session, host, Ok(joined)) {
        return Err(nobody());
    }
    let clock = cx.core.clock.clone();
    let next = move |mut keys: mpsc::Receiver<Bytes>| {
        let clock = clock.clone();
        async move {
            let piece = match clock.timeout(SIGN_OF_LIFE, keys.recv()).await {
                Some(Some(bytes)) => bytes.chunks(FRAME_BYTES).flat_map(frame).collect(),
                Some(None) => return None,
                None => frame(&[]),
            };
            Some((Ok(Bytes::from(piece)), keys))
        }
    };
    Ok(With::new(Download {
        content_type: "application/octet-stream",
        body: Payload::Open(stream::unfold(keys, next).boxed()),
    }))
}

fn nobody() -> Fault {
    Fault::not_found("Nobody waits for this console any more.")
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct RefusalBody {
    error: String,
}

endpoint! {
    /// Say why a console cannot be brought.
    RefuseConsole: PUT "/host/v1/consoles/{session}" => 204,
    policy: Hosts<rules::HostFeed>,
    path: SessionPath,
    body: Json<RefusalBody>,
    reply: Empty,
    handler: refuse_console,
}

async fn refuse_console(cx: Cx, req: Req<RefuseConsole>) -> Reply<RefuseConsole> {
    let why = req.body.0.error.chars().take(300).collect();
    let host = cx.host(None)?.as_str();
    if cx.consoles.join(&req.path.session, host, Err(why)) {
        Ok(Empty)
    } else {
        Err(nobody())
    }
}
