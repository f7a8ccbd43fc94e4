//! Requests and responses without a server: what the shell, peers and tests hand to the pipeline.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::mpsc;

/// A request below a service's prefix.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path below the prefix, still percent-encoded: `/v2.1/servers`.
    pub path: String,
    /// The raw query string, without `?`.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Public URL of the prefix as this client sees it: `http://127.0.0.1:8774/compute`.
    pub base_url: String,
    /// The body.
    pub body: Incoming,
}

/// A body on its way in.
#[derive(Debug)]
pub enum Incoming {
    /// All of it.
    Bytes(Bytes),
    /// Chunks as they arrive. The sender says [`ChunkError`](std::io::Error) when the client goes away:
    /// a channel that just closes without a declared end is an aborted upload, never the end of the data.
    Stream(mpsc::Receiver<Result<Option<Bytes>, std::io::Error>>),
}

/// A response.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Payload,
}

/// A body on its way out.
pub enum Payload {
    /// None.
    Empty,
    /// All of it.
    Bytes(Bytes),
    /// `length` bytes as they are read.
    Stream {
        /// Exact length, sent as `Content-Length`.
        length: u64,
        /// The chunks.
        chunks: futures_util::stream::BoxStream<'static, Result<Bytes, std::io::Error>>,
    },
    /// Chunks as they come, until there are no more: what has no length beforehand, such as events.
    Open(futures_util::stream::BoxStream<'static, Result<Bytes, std::io::Error>>),
    /// Bytes both ways, over a WebSocket: only for a request that asks for one.
    Socket(Socket),
}

/// The service's end of a conversation with a client. It is over when either half is.
pub struct Socket {
    /// What the client says; the bound is the back-pressure.
    pub said: mpsc::Sender<Bytes>,
    /// What is said to the client.
    pub answers: futures_util::stream::BoxStream<'static, Result<Bytes, std::io::Error>>,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream { length, .. } => write!(f, "Stream({length})"),
            Self::Open(_) => f.write_str("Open"),
            Self::Socket(_) => f.write_str("Socket"),
        }
    }
}

/// Something that answers requests: one service, or many behind their prefixes.
pub trait Dispatch: Send + Sync + 'static {
    /// Answers one request; faults are responses too.
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response>;
}

impl Request {
    /// Whether the client wants to talk over a WebSocket.
    #[must_use]
    pub fn wants_socket(&self) -> bool {
        let upgrade = self.headers.get(http::header::UPGRADE);
        upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
    }

    /// A request with a JSON body, as tests and peers make it.
    #[must_use]
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            base_url: String::new(),
            body: Incoming::Bytes(Bytes::new()),
        }
    }
}
