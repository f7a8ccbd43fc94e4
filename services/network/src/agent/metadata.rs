//! The metadata service's mouth in every network: hears guests at 169.254.169.254, says who asks, and passes the
//! question on to the compute service.
//!
//! Who asks is known from the address it asks from: the filters let no guest use another's. What the guest itself says
//! about who it is never leaves the host. The compute service believes the host's own token, of servers on that host.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderName, Method, StatusCode, header};
use nephos_peer::Peers;
use nephos_runtime::{Clock, Task};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use super::picture::{Asker, Askers, METADATA_V4, METADATA_V6};
use crate::driver::Driver;

/// Longest head of a question.
const HEAD_BYTES: usize = 16 * 1024;
/// Longest body of a question.
const BODY_BYTES: usize = 64 * 1024;
/// A question must be complete, and its answer taken, within this time.
const WITHIN: Duration = Duration::from_secs(30);
/// Questions at a time, of one guest.
const AT_A_TIME: usize = 8;
/// Below this path the compute service answers guests.
const PREFIX: &str = "/metadata";

/// How questions are passed on.
#[derive(Clone)]
pub struct Relay {
    pub peers: Peers,
    pub clock: Clock,
}

/// The networks in which guests are heard.
pub struct Metadata {
    driver: Arc<dyn Driver>,
    relay: Relay,
    spaces: BTreeMap<String, Served>,
}

struct Served {
    askers: Arc<Mutex<Askers>>,
    tasks: Vec<Task>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tasks.iter().for_each(Task::abort);
    }
}

impl Metadata {
    pub fn new(driver: Arc<dyn Driver>, relay: Relay) -> Self {
        let spaces = BTreeMap::new();
        Self {
            driver,
            relay,
            spaces,
        }
    }

    /// Closes the sockets in spaces that were made anew: they are in the old ones.
    pub fn forget(&mut self, made: &[String]) {
        self.spaces.retain(|space, _| !made.contains(space));
    }

    /// Hears guests in these spaces and no others.
    pub async fn serve(&mut self, wanted: &BTreeMap<String, Askers>) {
        self.spaces.retain(|space, served| {
            let deaf = served.tasks.iter().any(Task::is_finished);
            wanted.contains_key(space) && !deaf
        });
        for (space, askers) in wanted {
            if let Some(served) = self.spaces.get(space) {
                let mut known = served.askers.lock().unwrap_or_else(PoisonError::into_inner);
                known.clone_from(askers);
                continue;
            }
            let askers = Arc::new(Mutex::new(askers.clone()));
            let mut tasks = Vec::new();
            for at in [address_v4(), address_v6()] {
                match self.driver.listen(space, at).await {
                    Ok(Some(listener)) => {
                        let heard = hear(listener, Arc::clone(&askers), self.relay.clone());
                        tasks.push(nephos_runtime::spawn("network-metadata", heard));
                    }
                    Ok(None) => {}
                    Err(why) => debug!(space = %space, %why, "metadata is not heard yet"),
                }
            }
            if !tasks.is_empty() {
                self.spaces.insert(space.clone(), Served { askers, tasks });
            }
        }
    }
}

fn address_v4() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(METADATA_V4), 80)
}

fn address_v6() -> SocketAddr {
    SocketAddr::new(IpAddr::V6(METADATA_V6), 80)
}

async fn hear(listener: TcpListener, askers: Arc<Mutex<Askers>>, relay: Relay) {
    let busy: Arc<Mutex<BTreeMap<IpAddr, usize>>> = Arc::default();
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(why) => {
                debug!(%why, "cannot accept a guest's question");
                relay.clock.sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let from = from.ip();
        let asker = {
            let askers = askers.lock().unwrap_or_else(PoisonError::into_inner);
            askers.get(&from).cloned()
        };
        let Some(turn) = Turn::take(&busy, from) else {
            continue; // dropped: closed
        };
        let relay = relay.clone();
        nephos_runtime::spawn("network-metadata-question", async move {
            let _turn = turn;
            let clock = relay.clock.clone();
            let served = answer(stream, from, asker, &relay);
            match clock.timeout(WITHIN, served).await {
                Some(Ok(())) => {}
                Some(Err(why)) => debug!(guest = %from, %why, "a question broke off"),
                None => debug!(guest = %from, "a question took too long"),
            }
        });
    }
}

/// One of a guest's turns; given back when dropped.
struct Turn {
    busy: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    from: IpAddr,
}

impl Turn {
    fn take(busy: &Arc<Mutex<BTreeMap<IpAddr, usize>>>, from: IpAddr) -> Option<Self> {
        let mut taken = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(from).or_default();
        if *count >= AT_A_TIME {
            return None;
        }
        *count += 1;
        drop(taken);
        let busy = Arc::clone(busy);
        Some(Self { busy, from })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.from);
            }
        }
    }
}

async fn answer(
    mut stream: TcpStream,
    from: IpAddr,
    asker: Option<Asker>,
    relay: &Relay,
) -> std::io::Result<()> {
    let reply = match (read(&mut stream).await?, asker) {
        (Err(status), _) => Reply::plain(status),
        (Ok(_), None) => Reply::plain(StatusCode::NOT_FOUND),
        (Ok(question), Some(asker)) => pass_on(&question, from, &asker, relay).await,
    };
    stream.write_all(&reply.head()).await?;
    if !reply.without_body {
        stream.write_all(&reply.body).await?;
    }
    stream.shutdown().await
}

/// What a guest asks.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    method: Method,
    target: String,
    content_type: Option<String>,
    body: Vec<u8>,
}

/// Reads one question; an inner error is the status it is answered with.
async fn read(stream: &mut TcpStream) -> std::io::Result<Result<Question, StatusCode>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > HEAD_BYTES {
            return Ok(Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut body = bytes.split_off(end + 4);
    let (mut question, length) = match parse(&bytes) {
        Ok(parsed) => parsed,
        Err(status) => return Ok(Err(status)),
    };
    if length > BODY_BYTES {
        return Ok(Err(StatusCode::PAYLOAD_TOO_LARGE));
    }
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    body.truncate(length);
    question.body = body;
    Ok(Ok(question))
}

fn parse(head: &[u8]) -> Result<(Question, usize), StatusCode> {
    let head = std::str::from_utf8(head).map_err(|_not_text| StatusCode::BAD_REQUEST)?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT];
    if !known.contains(&method) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let target = first.next().unwrap_or_default();
    let path = target
        .strip_prefix("http://169.254.169.254")
        .unwrap_or(target);
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    // The host's own rights go along: a guest asks for nothing beside the metadata.
    let strays = nephos_peer::strays(path);
    if !path.starts_with('/') || path.len() > 2048 || !plain || strays {
        return Err(StatusCode::BAD_REQUEST);
    }
    let (mut content_type, mut length) = (None, 0);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-type" => content_type = Some(value.to_owned()),
            "content-length" => length = value.parse().map_err(|_| StatusCode::BAD_REQUEST)?,
            "transfer-encoding" => return Err(StatusCode::LENGTH_REQUIRED),
            _other => {}
        }
    }
    let question = Question {
        method,
        target: path.to_owned(),
        content_type,
        body: Vec::new(),
    };
    Ok((question, length))
}

async fn pass_on(question: &Question, from: IpAddr, asker: &Asker, relay: &Relay) -> Reply {
    let head = question.method == Method::HEAD;
    let method = if head {
        Method::GET
    } else {
        question.method.clone()
    };
    let target = format!("{PREFIX}{}", question.target.trim_end_matches('/'));
    let mut call = relay.peers.call("compute", method, target);
    if !question.body.is_empty() {
        call = call.bytes(bytes::Bytes::copy_from_slice(&question.body));
    }
    if let Some(kind) = &question.content_type {
        call = call.header(header::CONTENT_TYPE, kind);
    }
    let name = HeaderName::from_static;
    let answered = call
        .header(name("x-instance-id"), &asker.server)
        .header(name("x-tenant-id"), &asker.project)
        .header(name("x-forwarded-for"), &from.to_string())
        .as_service()
        .send()
        .await;
    match answered {
        Ok(answer) => {
            let kind = answer.headers.get(header::CONTENT_TYPE);
            let kind = kind.and_then(|kind| kind.to_str().ok());
            Reply {
                status: answer.status,
                content_type: kind.unwrap_or("text/plain").to_owned(),
                body: answer.body.to_vec(),
                without_body: head,
            }
        }
        Err(why) => {
            let status = why.status.and_then(|code| StatusCode::from_u16(code).ok());
            if status.is_none() {
                warn!(port = %asker.port, %why, "the compute service does not answer a guest's question; the guest asks again. `nephos status` says which process is away");
            }
            Reply::plain(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE))
        }
    }
}

struct Reply {
    status: StatusCode,
    content_type: String,
    body: Vec<u8>,
    without_body: bool,
}

impl Reply {
    fn plain(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or("error");
        Self {
            status,
            content_type: "text/plain".to_owned(),
            body: format!("{} {reason}\n", status.as_u16()).into_bytes(),
            without_body: false,
        }
    }

    fn head(&self) -> Vec<u8> {
        let reason = self.status.canonical_reason().unwrap_or("");
        format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.status.as_u16(),
            self.content_type,
            self.body.len()
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, expected: Result<(&str, usize), u16>) {
        let parsed = parse(head.as_bytes());
        let parsed = parsed
            .as_ref()
            .map(|(question, length)| (question.target.as_str(), *length));
        assert_eq!(parsed.map_err(|status| status.as_u16()), expected, "{head}");
    }

    #[test]
    fn only_plain_questions_are_passed_on() {
        check(
            "GET /openstack HTTP/1.1\r\nHost: x\r\nX-Instance-ID: other",
            Ok(("/openstack", 0)),
        );
        check("POST /a HTTP/1.0\r\ncontent-length: 5", Ok(("/a", 5)));
        check("GET http://169.254.169.254/a HTTP/1.1", Ok(("/a", 0)));
        check("GET /../v2.1/servers HTTP/1.1", Err(400));
        check("GET /%2e%2e/host/v1/feed HTTP/1.1", Err(400));
        check("PUT /a/..\\..\\host/v1/observed HTTP/1.1", Err(400));
        check("GET http://other/a HTTP/1.1", Err(400));
        check("DELETE / HTTP/1.1", Err(405));
        check("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked", Err(411));
        check("", Err(400));
    }
}
