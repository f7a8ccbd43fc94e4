//! The way to siblings. Everything that a stack makes is made in the name of whoever asked for it, by a trust: the
//! caller lends the service their roles on the project, without a date, and the identity service checks at each login
//! that the caller still has them.

use std::collections::HashMap;

use http::{HeaderName, Method};
use nephos_auth::Caller;
use nephos_peer::{PeerError, Peers};
use nephos_runtime::Clock;
use nephos_types::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, OnceCell};

/// Tokens of trusts that are kept.
const MAX_TOKENS: usize = 1024;
/// A token is replaced this long before it ends.
const RENEW_BEFORE_SECS: i64 = 300;
/// The microversion at which the compute service is asked.
const COMPUTE: &str = "compute 2.79";
/// The same of the block storage service, where volumes in use can grow.
const BLOCK: &str = "volume 3.60";

/// What the image service takes a list of operations as.
const JSON_PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// The siblings as this service uses them.
pub(crate) struct Siblings {
    peers: Peers,
    clock: Clock,
    /// The service's own user, whom others trust.
    trustee: OnceCell<String>,
    tokens: Mutex<HashMap<String, (String, Timestamp)>>,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub service: &'static str,
    pub method: Method,
    pub target: String,
    pub body: Option<&'a Value>,
    /// Beside those that every call has.
    pub headers: Vec<(HeaderName, String)>,
}

impl<'a> Ask<'a> {
    pub fn get(service: &'static str, target: impl Into<String>) -> Self {
        Self {
            service,
            method: Method::GET,
            target: target.into(),
            body: None,
            headers: Vec::new(),
        }
    }
    pub fn post(service: &'static str, target: impl Into<String>, body: &'a Value) -> Self {
        Self {
            service,
            method: Method::POST,
            target: target.into(),
            body: Some(body),
            headers: Vec::new(),
        }
    }
    pub fn put(service: &'static str, target: impl Into<String>, body: &'a Value) -> Self {
        Self {
            service,
            method: Method::PUT,
            target: target.into(),
            body: Some(body),
            headers: Vec::new(),
        }
    }
    /// A call that says all it has to say in its headers.
    pub fn bare(
        service: &'static str,
        method: Method,
        target: impl Into<String>,
        headers: Vec<(HeaderName, String)>,
    ) -> Self {
        Self {
            service,
            method,
            target: target.into(),
            body: None,
            headers,
        }
    }
    /// What is to be otherwise, as a body has it.
    pub fn patch(service: &'static str, target: impl Into<String>, body: &'a Value) -> Self {
        Self {
            service,
            method: Method::PATCH,
            target: target.into(),
            body: Some(body),
            headers: Vec::new(),
        }
    }
    /// A list of operations upon an image.
    pub fn json_patch(service: &'static str, target: impl Into<String>, body: &'a Value) -> Self {
        let form = (http::header::CONTENT_TYPE, JSON_PATCH.to_owned());
        Self {
            headers: vec![form],
            ..Self::patch(service, target, body)
        }
    }
    pub fn delete(service: &'static str, target: impl Into<String>) -> Self {
        Self {
            service,
            method: Method::DELETE,
            target: target.into(),
            body: None,
            headers: Vec::new(),
        }
    }
}

impl Siblings {
    pub fn new(peers: Peers, clock: Clock) -> Self {
        Self {
            peers,
            clock,
            trustee: OnceCell::new(),
            tokens: Mutex::default(),
        }
    }

    /// Has the caller lend their roles on their project to this service; gives the trust's id.
    pub async fn borrow_roles(&self, token: &str, caller: &Caller) -> Result<String, PeerError> {
        let trustee = self.trustee.get_or_try_init(|| self.own_user()).await?;
        let roles: Vec<Value> = caller
            .roles
            .iter()
            .map(|name| json!({"name": name}))
            .collect();
        let trust = json!({"trust": {
            "trustor_user_id": caller.user_id, "trustee_user_id": trustee, "impersonation": true,
            "project_id": caller.project_id(), "roles": roles,
        }});
        let call = self
            .peers
            .post("identity", "/v3/OS-TRUST/trusts")
            .as_token(token)
            .json(&trust);
        let made: Value = call.send().await?.json()?;
        let id = made.pointer("/trust/id").and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| damaged("identity"))
    }

    /// Gives the roles back, in the name of whoever lent them; a trust that is gone or lends nothing is given back.
    pub async fn give_back(&self, trust: &str) -> Result<(), PeerError> {
        let token = match self.token(trust).await {
            Ok(token) => token,
            Err(why) if why.is_transient() => return Err(why),
            Err(_lends_nothing) => return Ok(()),
        };
        let target = format!("/v3/OS-TRUST/trusts/{}", encoded(trust));
        let sent = self
            .peers
            .delete("identity", target)
            .as_token(&token)
            .send()
            .await;
        self.tokens.lock().await.remove(trust);
        match sent {
            Ok(_) => Ok(()),
            Err(why) if why.is_not_found() => Ok(()),
            Err(why) => Err(why),
        }
    }

    async fn own_user(&self) -> Result<String, PeerError> {
        let token = self.peers.service_token().await?;
        let call = self
            .peers
            .get("identity", "/v3/auth/tokens?nocatalog")
            .as_service();
        let shown: Value = call
            .header(HeaderName::from_static("x-subject-token"), &token)
            .send()
            .await?
            .json()?;
        let id = shown.pointer("/token/user/id").and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| damaged("identity"))
    }

    /// Whether a trust still lends what it did.
    pub async fn still_trusted(&self, trust: &str) -> Result<bool, PeerError> {
        match self.token(trust).await {
            Ok(_) => Ok(true),
            Err(why) if why.is_transient() => Err(why),
            Err(_) => Ok(false),
        }
    }

    /// A token in the name of whoever the trust is from.
    async fn token(&self, trust: &str) -> Result<String, PeerError> {
        let soon = self.clock.now().plus_secs(RENEW_BEFORE_SECS);
        let mut kept = self.tokens.lock().await;
        if let Some((token, ends)) = kept.get(trust)
            && *ends > soon
        {
            return Ok(token.clone());
        }
        let own = self.peers.service_token().await?;
        let body = json!({"auth": {
            "identity": {"methods": ["token"], "token": {"id": own}},
            "scope": {"OS-TRUST:trust": {"id": trust}},
        }});
        let answer = self
            .peers
            .post("identity", "/v3/auth/tokens?nocatalog")
            .json(&body)
            .send()
            .await?;
        let token = answer
            .headers
            .get("x-subject-token")
            .and_then(|value| value.to_str().ok());
        let token = token.ok_or_else(|| damaged("identity"))?.to_owned();
        let shown: Value = answer.json()?;
        let ends = shown
            .pointer("/token/expires_at")
            .and_then(Value::as_str)
            .and_then(Timestamp::parse);
        if kept.len() >= MAX_TOKENS {
            kept.clear();
        }
        kept.insert(trust.to_owned(), (token.clone(), ends.unwrap_or(soon)));
        Ok(token)
    }

    /// Asks a sibling in the name of a caller who is there.
    pub async fn ask_as(&self, token: &str, ask: &Ask<'_>) -> Result<Value, PeerError> {
        self.send(token, ask).await?.json()
    }

    /// Asks a sibling in the name of whoever the trust is from; an answer without a body is null.
    pub async fn ask(&self, trust: &str, ask: &Ask<'_>) -> Result<Value, PeerError> {
        let answer = self.answer(trust, ask).await?;
        if answer.body.is_empty() {
            Ok(Value::Null)
        } else {
            answer.json()
        }
    }

    /// Asks in the same way, for the headers of the answer. Their names are in small letters.
    pub async fn headers(
        &self,
        trust: &str,
        ask: &Ask<'_>,
    ) -> Result<Map<String, Value>, PeerError> {
        let answer = self.answer(trust, ask).await?;
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let pairs = answer.headers.iter();
        Ok(pairs
            .map(|(name, value)| (name.as_str().to_owned(), Value::from(text(value))))
            .collect())
    }

    async fn answer(&self, trust: &str, ask: &Ask<'_>) -> Result<nephos_peer::Answer, PeerError> {
        let token = self.token(trust).await?;
        match self.send(&token, ask).await {
            Err(why) if why.status == Some(401) => {
                self.tokens.lock().await.remove(trust);
                let token = self.token(trust).await?;
                self.send(&token, ask).await
            }
            other => other,
        }
    }

    async fn send(&self, token: &str, ask: &Ask<'_>) -> Result<nephos_peer::Answer, PeerError> {
        let mut call = self
            .peers
            .call(ask.service, ask.method.clone(), ask.target.as_str())
            .as_token(token);
        if ask.service == "compute" {
            call = call.version(COMPUTE);
        }
        if ask.service == "block" {
            call = call.version(BLOCK);
        }
        if let Some(body) = ask.body {
            call = call.json(body);
        }
        for (name, value) in &ask.headers {
            call = call.header(name.clone(), value);
        }
        call.send().await
    }
}

fn damaged(service: &'static str) -> PeerError {
    PeerError {
        service,
        status: None,
        kind: String::new(),
        message: "answered in another form".to_owned(),
    }
}

/// What stands for itself nowhere in a URL (RFC 3986: all but the unreserved).
const RESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A value in a query or a path segment.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, RESERVED).to_string()
}
