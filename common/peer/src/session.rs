//! A service's way to its siblings: where they are, and its own token.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use nephos_runtime::Clock;
use nephos_types::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::{Call, Directory, PeerError};

/// How long a sibling may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A sibling that sends nothing for so long has given up; longer than any answer is held back.
const STALL: Duration = Duration::from_secs(60);
/// A token is replaced this long before it ends.
const RENEW_BEFORE_SECS: i64 = 300;

/// The account of a service in the identity service. The password never reaches a log.
#[derive(Clone, Deserialize)]
pub struct Credentials {
    /// User name in the default domain: `nova`.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Its project in the default domain: `service`.
    pub project: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A service's way to its siblings. Cheap to clone.
#[derive(Clone)]
pub struct Peers(Arc<Inner>);

struct Inner {
    directory: Directory,
    credentials: Credentials,
    clock: Clock,
    public_url: String,
    http: reqwest::Client,
    token: Mutex<Option<(String, Timestamp)>>,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers")
            .field("as", &self.0.credentials.user)
            .finish_non_exhaustive()
    }
}

impl Peers {
    /// A service's way to its siblings; `public_url` is the origin under which clients reach the cloud.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        directory: Directory,
        credentials: Credentials,
        clock: Clock,
        public_url: String,
    ) -> Result<Self, PeerError> {
        // Several crates of the process could choose a TLS implementation; the first choice stands.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // Nothing of the cloud goes by a proxy that the environment names.
            .no_proxy()
            // Data that does not flow any more.
            .read_timeout(STALL)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|why| PeerError::silent("http", why))?;
        let token = Mutex::new(None);
        Ok(Self(Arc::new(Inner {
            directory,
            credentials,
            clock,
            public_url,
            http,
            token,
        })))
    }

    /// A call of `service`; `target` is the path below its prefix, with the query.
    #[must_use]
    pub fn call(
        &self,
        service: &'static str,
        method: Method,
        target: impl Into<String>,
    ) -> Call<'_> {
        Call::new(self, service, method, target.into())
    }

    /// GET.
    #[must_use]
    pub fn get(&self, service: &'static str, target: impl Into<String>) -> Call<'_> {
        self.call(service, Method::GET, target)
    }

    /// POST.
    #[must_use]
    pub fn post(&self, service: &'static str, target: impl Into<String>) -> Call<'_> {
        self.call(service, Method::POST, target)
    }

    /// PUT.
    #[must_use]
    pub fn put(&self, service: &'static str, target: impl Into<String>) -> Call<'_> {
        self.call(service, Method::PUT, target)
    }

    /// DELETE.
    #[must_use]
    pub fn delete(&self, service: &'static str, target: impl Into<String>) -> Call<'_> {
        self.call(service, Method::DELETE, target)
    }

    /// The service's own token, from the identity service, kept until shortly before its end.
    ///
    /// # Errors
    /// When the identity service refuses or does not answer.
    pub async fn service_token(&self) -> Result<String, PeerError> {
        let mut kept = self.0.token.lock().await;
        let soon = self.0.clock.now().plus_secs(RENEW_BEFORE_SECS);
        if let Some((token, ends)) = kept.as_ref()
            && *ends > soon
        {
            return Ok(token.clone());
        }
        let (token, ends) = self.log_in().await?;
        *kept = Some((token.clone(), ends));
        Ok(token)
    }

    /// Uses `token` until `ends` instead of logging in, for a process that is given its token: a host that joined, a test.
    pub async fn keep_token(&self, token: String, ends: Timestamp) {
        *self.0.token.lock().await = Some((token, ends));
    }

    /// Forgets the kept token if it is the one that was refused; another call may have replaced it meanwhile.
    pub(crate) async fn forget_token(&self, refused: Option<&HeaderValue>) {
        let mut kept = self.0.token.lock().await;
        let same = |(token, _): &(String, Timestamp)| {
            refused.is_some_and(|refused| refused.as_bytes() == token.as_bytes())
        };
        if kept.as_ref().is_some_and(same) {
            *kept = None;
        }
    }

    async fn log_in(&self) -> Result<(String, Timestamp), PeerError> {
        let account = &self.0.credentials;
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": account.user, "domain": {"id": "default"}, "password": account.password,
            }}},
            "scope": {"project": {"name": account.project, "domain": {"id": "default"}}},
        }});
        // Boxed: a call sends a call here.
        let call = self
            .post("identity", "/v3/auth/tokens?nocatalog")
            .json(&body);
        let answer = Box::pin(call.send()).await?;
        let subject = HeaderName::from_static("x-subject-token");
        let token = answer
            .headers
            .get(subject)
            .and_then(|value| value.to_str().ok());
        let token = token
            .ok_or_else(|| PeerError::silent("identity", "sent no token"))?
            .to_owned();
        let shown: TokenBody = answer.json()?;
        Ok((token, shown.token.expires_at))
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.0.directory
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn public_url(&self) -> &str {
        &self.0.public_url
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) fn timeout(&self) -> Duration {
        ANSWER_WITHIN
    }
}

#[derive(Deserialize)]
struct TokenBody {
    token: TokenView,
}

#[derive(Deserialize)]
struct TokenView {
    expires_at: Timestamp,
}
