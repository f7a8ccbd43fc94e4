//! One call to a sibling.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use nephos_api::{Incoming, Payload, Request, Response, UNTIL};
use nephos_types::RequestId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sending::{self, Pieces, Unsent};
use crate::{PeerError, Peers, Replicas, Transport, outside, target};

/// Largest answer that is read whole, in bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Chunks of an upload that are under way within the process.
const UPLOAD_CHUNKS: usize = 8;

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// A call being put together.
#[derive(Debug)]
pub struct Call<'a> {
    peers: &'a Peers,
    service: &'static str,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Result<Bytes, String>,
    token: Who,
}

#[derive(Clone, Debug)]
enum Who {
    Nobody,
    Service,
    Token(String),
}

/// What a sibling answered with success.
#[derive(Debug)]
pub struct Answer {
    /// Which sibling.
    pub service: &'static str,
    /// 2xx.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as `T`; fields that `T` does not name are ignored.
    ///
    /// # Errors
    /// When the body is not of that form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PeerError> {
        serde_json::from_slice(&self.body).map_err(|why| {
            PeerError::silent(self.service, format!("answered in another form: {why}"))
        })
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        peers: &'a Peers,
        service: &'static str,
        method: Method,
        target: String,
    ) -> Self {
        let headers = HeaderMap::new();
        Self {
            peers,
            service,
            method,
            target,
            headers,
            body: Ok(Bytes::new()),
            token: Who::Nobody,
        }
    }

    /// With this JSON body.
    #[must_use]
    pub fn json<T: Serialize>(mut self, body: &T) -> Self {
        self.body = serde_json::to_vec(body)
            .map(Bytes::from)
            .map_err(|why| why.to_string());
        self.header(header::CONTENT_TYPE, "application/json")
    }

    /// With these bytes, as `application/octet-stream`.
    #[must_use]
    pub fn bytes(mut self, body: Bytes) -> Self {
        self.body = Ok(body);
        self.header(header::CONTENT_TYPE, "application/octet-stream")
    }

    /// With this header; a value that no header can hold is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// At this microversion: `placement 1.39`.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.header(HeaderName::from_static("openstack-api-version"), version)
    }

    /// Under this request id instead of that of the request on whose behalf the call is made.
    #[must_use]
    pub fn request_id(self, id: &RequestId) -> Self {
        self.header(REQUEST_ID, id.as_str())
    }

    /// In the service's own name.
    #[must_use]
    pub fn as_service(mut self) -> Self {
        self.token = Who::Service;
        self
    }

    /// In the name of whoever this token belongs to.
    #[must_use]
    pub fn as_token(mut self, token: &str) -> Self {
        self.token = Who::Token(token.to_owned());
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer or it is not a 2xx.
    pub async fn send(self) -> Result<Answer, PeerError> {
        let service = self.service;
        let limit = self.peers.timeout();
        let clock = self.peers.clock().clone();
        let until = self.peers.until().0.to_string();
        let call = self.header(UNTIL, &until);
        let whole = async move {
            let response = call.exchange().await?;
            let (status, headers) = (response.status, response.headers);
            let body = read_whole(service, response.body).await?;
            Ok(Answer {
                service,
                status,
                headers,
                body,
            })
        };
        let answered = clock.timeout(limit, whole).await;
        let answer = answered.unwrap_or_else(|| Err(silent_for(service, limit)))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(PeerError::refused(
            service,
            answer.status.as_u16(),
            &answer.body,
        ))
    }

    /// Sends it and gives the answer as a stream, for image data.
    ///
    /// # Errors
    /// When there is no answer or it is not a 2xx.
    pub async fn stream(self) -> Result<(HeaderMap, Pieces), PeerError> {
        let service = self.service;
        let limit = self.peers.timeout();
        let clock = self.peers.clock().clone();
        // The limit is for the headers; data may take as long as it flows.
        let response = clock.timeout(limit, self.exchange()).await;
        let response = response.unwrap_or_else(|| Err(silent_for(service, limit)))?;
        if !response.status.is_success() {
            let status = response.status.as_u16();
            let body = read_whole(service, response.body).await?;
            return Err(PeerError::refused(service, status, &body));
        }
        let chunks = match response.body {
            Payload::Empty | Payload::Socket(_) => futures_util::stream::empty().boxed(),
            Payload::Bytes(bytes) => futures_util::stream::iter([Ok(bytes)]).boxed(),
            Payload::Stream { chunks, .. } | Payload::Open(chunks) => chunks,
        };
        Ok((response.headers, chunks))
    }

    /// Sends `length` bytes as they come, as `application/octet-stream`, and reads the whole answer. It is sent once: a
    /// refused token is forgotten, and whoever asks again has another. Data may take as long as it flows: it breaks off
    /// when nothing of it moves for a minute, and the answer is waited for five minutes behind it.
    ///
    /// # Errors
    /// When there is no answer, it is not a 2xx, or the bytes break off.
    pub async fn upload(self, length: u64, chunks: Pieces) -> Result<Answer, PeerError> {
        let service = self.service;
        let mut call = self
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, &length.to_string());
        target::check(service, &call.target)?;
        let token = call.token().await?;
        call.identify(token.as_deref());
        let (clock, limits) = (call.peers.clock().clone(), call.peers.limits());
        let transport = call.peers.directory().find(service);
        let unknown = || PeerError::silent(service, "this process does not know where it is");
        let response = match transport.ok_or_else(unknown)? {
            Transport::Local(dispatch) => {
                let (sender, receiver) = tokio::sync::mpsc::channel(UPLOAD_CHUNKS);
                let chunks = sending::flowing(clock.clone(), limits.stall, chunks);
                nephos_runtime::spawn("peer.upload", pump(chunks, sender));
                let request = call.request(Incoming::Stream(receiver));
                nephos_runtime::finish(dispatch.dispatch(request)).await
            }
            Transport::Http(replicas) => {
                let Some((_, url)) = replicas.in_turn().next() else {
                    return Err(PeerError::silent(service, "nobody says where it is"));
                };
                let url = format!("{url}{}", call.target);
                let request = call.peers.sending().request(call.method.clone(), url);
                let request = request.headers(call.headers.clone());
                let sent = sending::send((&clock, limits), request, chunks).await;
                answered(
                    sent.map_err(|(Unsent::Unreached(why) | Unsent::BrokeOff(why))| {
                        PeerError::silent(service, why)
                    })?,
                )
            }
        };
        let (status, headers) = (response.status, response.headers);
        let body = clock.timeout(limits.answer, read_whole(service, response.body));
        let body = body.await;
        let body = body.unwrap_or_else(|| Err(silent_for(service, limits.answer)))?;
        if status.is_success() {
            return Ok(Answer {
                service,
                status,
                headers,
                body,
            });
        }
        if let (Who::Service, Some(refused)) = (&call.token, token)
            && status == StatusCode::UNAUTHORIZED
        {
            call.peers.forget_token(&refused);
        }
        Err(PeerError::refused(service, status.as_u16(), &body))
    }

    /// One exchange; a service token that is no longer believed is replaced once.
    async fn exchange(mut self) -> Result<Response, PeerError> {
        let service = self.service;
        let body = self
            .body
            .clone()
            .map_err(|why| PeerError::silent(service, why))?;
        let token = self.token().await?;
        let response = self.attempt(token.as_deref(), body.clone()).await?;
        match (&self.token, token) {
            (Who::Service, Some(refused)) if response.status == StatusCode::UNAUTHORIZED => {
                self.peers.forget_token(&refused);
            }
            _others_token_or_believed => return Ok(response),
        }
        let token = self.token().await?;
        self.attempt(token.as_deref(), body).await
    }

    async fn token(&self) -> Result<Option<String>, PeerError> {
        Ok(match &self.token {
            Who::Nobody => None,
            Who::Service => Some(self.peers.service_token().await?),
            Who::Token(token) => Some(token.clone()),
        })
    }

    /// Who asks, and on whose behalf.
    fn identify(&mut self, token: Option<&str>) {
        if let Some(mut value) = token.and_then(|token| HeaderValue::from_str(token).ok()) {
            value.set_sensitive(true);
            self.headers.insert(TOKEN, value);
        }
        let unnamed = !self.headers.contains_key(REQUEST_ID);
        if let Some(id) = nephos_runtime::request::current().filter(|_| unnamed)
            && let Ok(value) = HeaderValue::from_str(id.as_str())
        {
            self.headers.insert(REQUEST_ID, value);
        }
    }

    /// As a sibling in this process takes it.
    fn request(&self, body: Incoming) -> Request {
        let mut request = Request::new(self.method.clone(), &self.target);
        request.headers = self.headers.clone();
        request.base_url = format!("{}/{}", self.peers.public_url(), self.service);
        request.body = body;
        request
    }

    async fn attempt(&mut self, token: Option<&str>, body: Bytes) -> Result<Response, PeerError> {
        target::check(self.service, &self.target)?;
        self.identify(token);
        let unknown = || PeerError::silent(self.service, "this process does not know where it is");
        match self
            .peers
            .directory()
            .find(self.service)
            .ok_or_else(unknown)?
        {
            Transport::Local(dispatch) => {
                let request = self.request(Incoming::Bytes(body));
                // As over a socket: what was asked is done to its end, whoever gives up waiting.
                Ok(nephos_runtime::finish(dispatch.dispatch(request)).await)
            }
            Transport::Http(replicas) => self.by_http(&replicas, body).await,
        }
    }

    async fn by_http(&self, replicas: &Replicas, body: Bytes) -> Result<Response, PeerError> {
        let mut failed = PeerError::silent(self.service, "nobody says where it is");
        for (number, url) in replicas.in_turn() {
            let sent = self
                .peers
                .http()
                .request(self.method.clone(), format!("{url}{}", self.target))
                .headers(self.headers.clone())
                .body(body.clone())
                .send()
                .await;
            match sent {
                Ok(sent) => {
                    replicas.prefer(number);
                    return Ok(answered(sent));
                }
                // Nothing was sent, so another copy may be asked.
                Err(why) if why.is_connect() => {
                    failed = PeerError::silent(self.service, outside::innermost(&why));
                }
                Err(why) => return Err(PeerError::silent(self.service, outside::innermost(&why))),
            }
        }
        Err(failed)
    }
}

/// Hands chunks on until they end, or nobody wants more.
async fn pump(
    mut chunks: Pieces,
    sender: tokio::sync::mpsc::Sender<Result<Option<Bytes>, std::io::Error>>,
) {
    while let Some(chunk) = chunks.next().await {
        let broken = chunk.is_err();
        if sender.send(chunk.map(Some)).await.is_err() || broken {
            return;
        }
    }
    let _nobody_wants_more = sender.send(Ok(None)).await;
}

fn answered(sent: reqwest::Response) -> Response {
    let (status, headers) = (sent.status(), sent.headers().clone());
    let length = sent.content_length().unwrap_or(0);
    let chunks = sent
        .bytes_stream()
        .map(|chunk| chunk.map_err(std::io::Error::other))
        .boxed();
    Response {
        status,
        headers,
        body: Payload::Stream { length, chunks },
    }
}

fn silent_for(service: &'static str, limit: Duration) -> PeerError {
    PeerError::silent(service, format!("no answer within {} s", limit.as_secs()))
}

async fn read_whole(service: &'static str, body: Payload) -> Result<Bytes, PeerError> {
    match body {
        Payload::Empty | Payload::Socket(_) => Ok(Bytes::new()),
        Payload::Bytes(bytes) => Ok(bytes),
        Payload::Stream { mut chunks, .. } | Payload::Open(mut chunks) => {
            let mut all = bytes::BytesMut::new();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|why| PeerError::silent(service, why))?;
                if all.len() + chunk.len() > ANSWER_BYTES {
                    return Err(PeerError::silent(service, "answered more than fits"));
                }
                all.extend_from_slice(&chunk);
            }
            Ok(all.freeze())
        }
    }
}
