//! A service's way to its siblings: where they are, and its own token.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::{HeaderName, Method};
use nephos_runtime::Clock;
use nephos_types::{HostName, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::sending::Limits;
use crate::{Call, Directory, PeerError};

/// How long a sibling may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// It stores nothing any more so long before that: what it was storing is done when nobody waits for it any longer.
const SETTLED_BEFORE: Duration = Duration::from_secs(5);
const LIMITS: Limits = Limits {
    // Longer than any answer is held back.
    stall: Duration::from_secs(60),
    // Longer than a store of objects takes to put many parts together.
    answer: Duration::from_secs(300),
};
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

/// What a host proves with that it is this host. The secret never reaches a log.
#[derive(Clone)]
pub struct HostKey {
    /// The host's name.
    pub name: HostName,
    /// Made on the host when it joined.
    pub secret: String,
}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// In whose name calls are made that do not bring a token of their own.
#[derive(Clone, Debug)]
pub enum Account {
    /// A service, or an operator.
    Service(Credentials),
    /// A host.
    Host(HostKey),
    /// Nobody: only what anybody may ask.
    Nobody,
}

impl From<Credentials> for Account {
    fn from(credentials: Credentials) -> Self {
        Self::Service(credentials)
    }
}

impl From<HostKey> for Account {
    fn from(key: HostKey) -> Self {
        Self::Host(key)
    }
}

/// A service's way to its siblings. Cheap to clone.
#[derive(Clone)]
pub struct Peers(Arc<Inner>);

struct Inner {
    directory: Directory,
    account: Account,
    clock: Clock,
    public_url: String,
    http: reqwest::Client,
    /// For long bodies, which are watched as they flow.
    sending: reqwest::Client,
    limits: Limits,
    token: Mutex<Token>,
}

/// The service's own token.
#[derive(Default)]
struct Token {
    kept: Option<(String, Timestamp)>,
    /// A log-in under way: who needs a token meanwhile waits for this one, and shares its failure too.
    log_in: Option<LogIn>,
}

type LogIn = Shared<BoxFuture<'static, Result<(String, Timestamp), PeerError>>>;

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers")
            .field("as", &self.0.account)
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
        account: impl Into<Account>,
        clock: Clock,
        public_url: String,
    ) -> Result<Self, PeerError> {
        Self::within(LIMITS, (directory, account.into()), clock, public_url)
    }

    pub(crate) fn within(
        limits: Limits,
        (directory, account): (Directory, Account),
        clock: Clock,
        public_url: String,
    ) -> Result<Self, PeerError> {
        // Several crates of the process could choose a TLS implementation; the first choice stands.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let made = |http: reqwest::ClientBuilder| {
            let made = http.build();
            made.map_err(|why| PeerError::silent("http", why))
        };
        // Data that does not flow any more.
        let http = made(client(&directory).read_timeout(limits.stall))?;
        let sending = made(client(&directory))?;
        let token = Mutex::default();
        Ok(Self(Arc::new(Inner {
            directory,
            account,
            clock,
            public_url,
            http,
            sending,
            limits,
            token,
        })))
    }

    /// The same way in another name; connections are shared.
    #[must_use]
    pub fn named(&self, account: impl Into<Account>) -> Self {
        let own = &self.0;
        Self(Arc::new(Inner {
            directory: own.directory.clone(),
            account: account.into(),
            clock: own.clock.clone(),
            public_url: own.public_url.clone(),
            http: own.http.clone(),
            sending: own.sending.clone(),
            limits: own.limits,
            token: Mutex::default(),
        }))
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
        let soon = self.0.clock.now().plus_secs(RENEW_BEFORE_SECS);
        let under_way = {
            let mut token = self.token();
            if let Some((kept, ends)) = &token.kept
                && *ends > soon
            {
                return Ok(kept.clone());
            }
            token
                .log_in
                .get_or_insert_with(|| self.begin_log_in())
                .clone()
        };
        under_way.await.map(|(token, _ends)| token)
    }

    fn begin_log_in(&self) -> LogIn {
        let peers = self.clone();
        let whole = async move {
            let done = peers.log_in().await;
            let mut token = peers.token();
            token.log_in = None;
            token.kept = done.as_ref().ok().cloned();
            done
        };
        whole.boxed().shared()
    }

    fn token(&self) -> MutexGuard<'_, Token> {
        self.0.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses `token` until `ends` instead of logging in, for a process that is given its token: a host that joined, a test.
    pub async fn keep_token(&self, token: String, ends: Timestamp) {
        self.token().kept = Some((token, ends));
    }

    /// Forgets the kept token if it is `refused`: another one may be good.
    pub(crate) fn forget_token(&self, refused: &str) {
        let mut token = self.token();
        if token.kept.as_ref().is_some_and(|(kept, _)| kept == refused) {
            token.kept = None;
        }
    }

    async fn log_in(&self) -> Result<(String, Timestamp), PeerError> {
        let (target, body) = match &self.0.account {
            Account::Service(account) => (
                "/v3/auth/tokens?nocatalog",
                json!({"auth": {
                    "identity": {"methods": ["password"], "password": {"user": {
                        "name": account.user, "domain": {"id": "default"}, "password": account.password,
                    }}},
                    "scope": {"project": {"name": account.project, "domain": {"id": "default"}}},
                }}),
            ),
            Account::Host(key) => (
                "/host/v1/tokens",
                json!({"host": {"name": key.name, "secret": key.secret}}),
            ),
            Account::Nobody => {
                return Err(PeerError::silent(
                    "identity",
                    "is asked for a token by nobody",
                ));
            }
        };
        // Boxed: a call sends a call here.
        let call = self.post("identity", target).json(&body);
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

    /// Whether it is known where a service is; that says nothing of whether it answers.
    #[must_use]
    pub fn knows(&self, service: &str) -> bool {
        self.0.directory.find(service).is_some()
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.0.directory
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The origin under which clients reach the cloud.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.0.public_url
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    /// The client for long bodies; it sets no limit itself.
    pub(crate) fn sending(&self) -> &reqwest::Client {
        &self.0.sending
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }

    pub(crate) fn timeout(&self) -> Duration {
        ANSWER_WITHIN
    }

    /// Until when a sibling that is called now may store something; not longer than whoever calls is waited for.
    pub(crate) fn until(&self) -> Timestamp {
        let ours = self.0.clock.now().plus(ANSWER_WITHIN - SETTLED_BEFORE);
        nephos_runtime::request::until().map_or(ours, |theirs| theirs.min(ours))
    }
}

/// What all clients have in common.
fn client(directory: &Directory) -> reqwest::ClientBuilder {
    let http = reqwest::Client::builder();
    let http = match directory.roots() {
        Some(roots) => http.tls_certs_only(roots.iter().cloned()),
        None => http,
    };
    let json = reqwest::header::HeaderValue::from_static("application/json");
    http
        // Some services tell others of refusals in HTML, as the original does.
        .default_headers([(reqwest::header::ACCEPT, json)].into_iter().collect())
        .connect_timeout(Duration::from_secs(5))
        // Nothing of the cloud goes by a proxy that the environment names.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
}

#[derive(Deserialize)]
struct TokenBody {
    token: TokenView,
}

#[derive(Deserialize)]
struct TokenView {
    expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{HeaderMap, HeaderValue, StatusCode};
    use nephos_api::{Dispatch, Payload, Request, Response};

    use super::*;
    use crate::Transport;

    /// Gives tokens `t1`, `t2`, … and says how many it gave; a sibling that believes all but `t1`.
    #[derive(Clone, Default)]
    struct Siblings(Arc<AtomicUsize>);

    impl Dispatch for Siblings {
        fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
            let given = Arc::clone(&self.0);
            async move {
                tokio::task::yield_now().await;
                let mut headers = HeaderMap::new();
                let mut status = StatusCode::OK;
                if request.path.starts_with("/v3") || request.path == "/host/v1/tokens" {
                    let number = given.fetch_add(1, Ordering::Relaxed) + 1;
                    let token = HeaderValue::from_str(&format!("t{number}")).unwrap();
                    headers.insert("x-subject-token", token);
                } else if request.headers.get("x-auth-token").unwrap() == "t1" {
                    status = StatusCode::UNAUTHORIZED;
                }
                let body = json!({"token": {"expires_at": "2100-01-01T00:00:00.000000Z"}});
                Response {
                    status,
                    headers,
                    body: Payload::Bytes(body.to_string().into()),
                }
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn many_that_are_refused_at_once_log_in_once() {
        let siblings = Siblings::default();
        let directory = Directory::default();
        for name in ["identity", "compute"] {
            directory.set(name, Transport::Local(Arc::new(siblings.clone())));
        }
        let account = Credentials {
            user: "nova".to_owned(),
            password: String::new(),
            project: "service".to_owned(),
        };
        let clock = Clock::virtual_at(Timestamp(0));
        let peers = Peers::new(directory, account, clock, String::new()).unwrap();
        let twenty = (0..20).map(|_| peers.get("compute", "/x").as_service().send());
        for answer in futures_util::future::join_all(twenty).await {
            answer.unwrap();
        }
        assert_eq!(siblings.0.load(Ordering::Relaxed), 2);
        // A late refusal of the first token does not cost the second.
        peers.forget_token("t1");
        assert_eq!(peers.service_token().await.unwrap(), "t2");
    }

    #[tokio::test]
    async fn a_host_has_a_token_of_its_own_and_nobody_has_none() {
        let siblings = Siblings::default();
        let directory = Directory::default();
        directory.set("identity", Transport::Local(Arc::new(siblings)));
        let clock = Clock::virtual_at(Timestamp(0));
        let nobody = Peers::new(directory, Account::Nobody, clock, String::new()).unwrap();
        nobody.service_token().await.unwrap_err();
        let key = |name: &str| HostKey {
            name: name.into(),
            secret: "very secret".to_owned(),
        };
        let (one, two) = (nobody.named(key("one")), nobody.named(key("two")));
        assert_eq!(one.service_token().await.unwrap(), "t1");
        assert_eq!(two.service_token().await.unwrap(), "t2");
        assert_eq!(one.service_token().await.unwrap(), "t1");
        assert!(!format!("{one:?}").contains("very secret"));
    }
}
