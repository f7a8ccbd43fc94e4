//! actix-web around the pipeline: sockets in, [`Dispatch`] behind. The only place that knows actix.

mod socket;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use nephos_runtime::{Shutdown, Task, metrics};
use tokio::sync::mpsc;

use crate::http_types::{Dispatch, Incoming, Payload, Request, Response};

/// Bodies up to this size are collected here; larger ones travel chunk by chunk.
const COLLECT_BYTES: u64 = 64 * 1024;
/// Chunks between the socket and whoever reads: the bound is the back-pressure.
const CHANNEL_CHUNKS: usize = 8;

/// A service behind its prefix.
#[derive(Clone)]
pub struct Mount {
    /// `/compute`.
    pub prefix: &'static str,
    /// Who answers below it.
    pub service: Arc<dyn Dispatch>,
}

/// Who may see what behind a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Clients, and nobody but them: no metrics, no calls of the cloud's own processes.
    Clients,
    /// The cloud's own processes, hosts and operators: everything.
    Everybody,
    /// Clients of a service whose paths begin with names of their own: nothing else stands among them.
    Buckets,
}

/// What a process says of its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether calls should come here.
    pub ready: bool,
    /// Lines for a person, each with its end.
    pub words: String,
}

/// What a listener serves, and how.
#[derive(Clone)]
pub struct Site {
    /// The services.
    pub mounts: Vec<Mount>,
    /// Who may see what.
    pub audience: Audience,
    /// Networks of proxies whose word about the client's URL is believed.
    pub proxies: Vec<IpNet>,
    /// Asked by `/healthz`.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// Threads.
    pub workers: usize,
}

/// Serves a site on `listener` until shutdown, then lets running requests end for up to 5 s.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(listener: TcpListener, site: Site, shutdown: Shutdown) -> std::io::Result<Task> {
    let local = listener.local_addr()?;
    let workers = site.workers;
    let site = Arc::new(site);
    let server = HttpServer::new(move || {
        let data = web::Data::new(Shell {
            site: Arc::clone(&site),
            local,
        });
        App::new().app_data(data).default_service(web::to(answer))
    })
    .workers(workers)
    .disable_signals()
    // An answer's head and its body are two writes: the second one must not wait for the client's acknowledgement.
    .tcp_nodelay(true)
    .shutdown_timeout(5)
    .keep_alive(Duration::from_secs(75))
    .client_request_timeout(Duration::from_secs(30))
    .listen(listener)?
    .run();
    let handle = server.handle();
    nephos_runtime::spawn("http.stop", async move {
        shutdown.wait().await;
        handle.stop(true).await;
    });
    Ok(nephos_runtime::spawn("http", async move {
        if let Err(why) = server.await {
            tracing::error!(%why, "the HTTP server ended");
        }
    }))
}

struct Shell {
    site: Arc<Site>,
    local: SocketAddr,
}

/// First words below a service's prefix: calls of the cloud's own processes and hosts, which clients have no use for.
const OWN: [&str; 3] = ["host", "trust", "journal"];

/// Whether a path below a prefix is one of the cloud's own, however it is spelt.
#[must_use]
pub fn is_own(rest: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(rest).decode_utf8_lossy();
    let first = decoded.split('/').find(|word| !word.is_empty());
    first.is_some_and(|first| OWN.contains(&first))
}

async fn answer(
    shell: web::Data<Shell>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let path = request.path();
    let site = &shell.site;
    let everybody = site.audience == Audience::Everybody;
    let buckets = site.audience == Audience::Buckets;
    if path == "/metrics" && everybody {
        return HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4")
            .body(metrics::render());
    }
    if path == "/healthz" && !buckets {
        return healthz(&(site.health)());
    }
    let mount = site.mounts.iter().find(|mount| {
        path.strip_prefix(mount.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let mount = mount.filter(|mount| {
        let rest = path.strip_prefix(mount.prefix).unwrap_or_default();
        everybody || buckets || !is_own(rest)
    });
    let Some(mount) = mount else {
        return not_mounted(&shell);
    };
    // What comes after the request for a WebSocket is no body, and never ends.
    let socket = socket::is_wanted(&request);
    let (body, after) = if socket {
        (None, Some(payload))
    } else {
        (Some(payload), None)
    };
    let Some(converted) = convert(&shell, mount, &request, body).await else {
        return HttpResponse::BadRequest().body("The request could not be read.\n");
    };
    // What was asked is done to its end, whether or not the client still waits.
    let response = nephos_runtime::finish(mount.service.dispatch(converted)).await;
    match (response.body, after) {
        (Payload::Socket(ours), Some(payload)) => socket::begin(&request, payload, ours),
        (body, _) => written(Response { body, ..response }),
    }
}

fn healthz(health: &Health) -> HttpResponse {
    let mut answer = if health.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.content_type("text/plain").body(health.words.clone())
}

fn not_mounted(shell: &Shell) -> HttpResponse {
    let prefixes: Vec<_> = shell.site.mounts.iter().map(|mount| mount.prefix).collect();
    HttpResponse::NotFound()
        .content_type("text/plain")
        .body(format!(
            "Nothing is here. Services of this cloud: {}\n",
            prefixes.join(" ")
        ))
}

async fn convert(
    shell: &Shell,
    mount: &Mount,
    request: &HttpRequest,
    payload: Option<web::Payload>,
) -> Option<Request> {
    let mut headers = HeaderMap::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let peer = request.peer_addr().map(|address| address.ip());
    let proxied = peer.is_some_and(|peer| shell.site.proxies.iter().any(|net| net.contains(&peer)));
    let forwarded = |name: &str| text(name).filter(|_| proxied);
    let scheme = forwarded("x-forwarded-proto")
        .filter(|scheme| *scheme == "https")
        .unwrap_or("http");
    let fallback = shell.local.to_string();
    let host = forwarded("x-forwarded-host")
        .or_else(|| text("host"))
        .unwrap_or(&fallback);
    let base_url = format!("{scheme}://{host}{}", mount.prefix);
    let rest = request
        .uri()
        .path()
        .strip_prefix(mount.prefix)
        .unwrap_or_default();
    let path = if rest.is_empty() { "/" } else { rest };
    let body = match payload {
        Some(payload) => incoming(&headers, payload).await?,
        None => Incoming::Bytes(Bytes::new()),
    };
    Some(Request {
        method: Method::from_bytes(request.method().as_str().as_bytes()).ok()?,
        path: path.to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers,
        base_url,
        body,
    })
}

/// actix's payload cannot leave its thread, so larger bodies are pumped through a channel.
async fn incoming(headers: &HeaderMap, mut payload: web::Payload) -> Option<Incoming> {
    let declared: Option<u64> = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let chunked = headers.contains_key(http::header::TRANSFER_ENCODING);
    if !chunked && declared.unwrap_or(0) <= COLLECT_BYTES {
        let mut all = bytes::BytesMut::new();
        while let Some(chunk) = payload.next().await {
            all.extend_from_slice(&chunk.ok()?);
        }
        return Some(Incoming::Bytes(all.freeze()));
    }
    let (sender, receiver) = mpsc::channel(CHANNEL_CHUNKS);
    actix_web::rt::spawn(pump(payload, sender));
    Some(Incoming::Stream(receiver))
}

async fn pump(
    mut payload: web::Payload,
    sender: mpsc::Sender<Result<Option<Bytes>, std::io::Error>>,
) {
    while let Some(chunk) = payload.next().await {
        let failed = chunk.is_err();
        let chunk = chunk.map(Some).map_err(std::io::Error::other);
        if sender.send(chunk).await.is_err() || failed {
            return;
        }
    }
    let _reader_gone = sender.send(Ok(None)).await;
}

fn written(response: Response) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(response.status.as_u16())
        .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    for (name, value) in &response.headers {
        builder.append_header((name.as_str(), value.as_bytes()));
    }
    match response.body {
        Payload::Empty => builder.finish(),
        Payload::Bytes(bytes) => builder.body(bytes),
        Payload::Stream { length, chunks } => builder.no_chunking(length).streaming(chunks),
        Payload::Open(chunks) => builder.streaming(chunks),
        // Somebody who did not ask for a WebSocket gets none.
        Payload::Socket(_) => HttpResponse::UpgradeRequired()
            .content_type("text/plain")
            .body("This is for WebSockets.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn the_clouds_own_calls_are_known_however_they_are_spelt() {
        for own in [
            "/host/v1/feed",
            "//host/v1/feed",
            "/%68ost/v1/feed",
            "/trust/v1/bundle",
            "/journal/v1/entries",
        ] {
            assert!(is_own(own), "{own}");
        }
        for other in ["", "/", "/v2.1/os-hosts", "/hosts", "/v3/host"] {
            assert!(!is_own(other), "{other}");
        }
    }
}
