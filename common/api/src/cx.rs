//! Everything a handler may use.

use std::sync::Arc;

use http::HeaderMap;
use nephos_auth::{Authorized, Caller, Denied, Policy, Resource, Rule, RuleInfo, Target, Verifier};
use nephos_db::{Db, Migration, Tx};
use nephos_runtime::Clock;
use nephos_types::{Finding, HostName, RequestId, Timestamp};

use crate::{Dialect, Endpoint, Endpoints, Fault, Version};

/// A service as its API sees it.
pub trait Service: Sized + Send + Sync + 'static {
    /// `compute`: the prefix of its paths, the name of its section in `nephos.toml`, of its database and of its logs.
    const NAME: &'static str;
    /// Its type in the catalog: `compute`, `identity`, `image`.
    const TYPE: &'static str = Self::NAME;
    /// How it words its answers.
    const DIALECT: &'static Dialect;
    /// Whether it knows projects only: then nobody may do anything for the system or for a domain.
    const PROJECTS_ONLY: bool = true;

    /// What every service has.
    fn core(&self) -> &Core;

    /// Its calls.
    fn endpoints() -> Endpoints<Self>;

    /// Its policy rules.
    fn rules() -> &'static [RuleInfo];

    /// Its tables, oldest first.
    fn migrations() -> Vec<Migration>;
}

/// A service that compares what it knows with itself and with its siblings, and changes nothing by it.
pub trait Check: Service {
    /// Everything that does not fit together.
    ///
    /// # Errors
    /// When its database does not answer.
    fn check(&self) -> impl Future<Output = Result<Vec<Finding>, nephos_db::Error>> + Send;
}

/// What every service has.
#[derive(Clone, Debug)]
pub struct Core {
    /// Its own database; no other service touches it.
    pub db: Db,
    /// Its compiled rules.
    pub policy: Policy,
    /// The time.
    pub clock: Clock,
    /// Checks tokens without asking anybody.
    pub verifier: Verifier,
}

/// Everything a handler may use: the service, the caller, the version, the request id. Cheap to clone.
pub struct Cx<S> {
    service: Arc<S>,
    /// Who asks. On a public endpoint without a token, nobody.
    pub caller: Arc<Caller>,
    /// The negotiated version.
    pub version: Version,
    /// Follows the work through every service and log line.
    pub request_id: RequestId,
    token: Option<Arc<str>>,
    base_url: Arc<str>,
}

impl<S> Clone for Cx<S> {
    fn clone(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            caller: Arc::clone(&self.caller),
            version: self.version,
            request_id: self.request_id.clone(),
            token: self.token.clone(),
            base_url: Arc::clone(&self.base_url),
        }
    }
}

impl<S> std::ops::Deref for Cx<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.service
    }
}

/// What the pipeline knows of a request when it makes a [`Cx`].
#[derive(Debug)]
pub(crate) struct Asked {
    pub caller: Arc<Caller>,
    pub version: Version,
    pub request_id: RequestId,
    pub token: Option<Arc<str>>,
    pub base_url: String,
}

impl<S: Service> Cx<S> {
    pub(crate) fn new(service: Arc<S>, asked: Asked) -> Self {
        Self {
            service,
            caller: asked.caller,
            version: asked.version,
            request_id: asked.request_id,
            token: asked.token,
            base_url: asked.base_url.into(),
        }
    }

    /// The service behind an `Arc`, for work that outlives the request.
    #[must_use]
    pub fn service(&self) -> &Arc<S> {
        &self.service
    }

    /// The service's database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.service.core().db
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.service.core().clock.now()
    }

    /// The host that asks, by its token. A request that also names one must name the same.
    ///
    /// # Errors
    /// 403 when the token is of another host, or of none.
    pub fn host(&self, named: Option<&str>) -> Result<&HostName, Fault> {
        let refused = |words: String| Err(Fault::forbidden(words).kind("PolicyNotAuthorized"));
        match (&self.caller.host, named) {
            (Some(own), Some(named)) if own.as_str() != named => refused(format!(
                "The token is of host {own}, and the request names host {named}."
            )),
            (Some(own), _) => Ok(own),
            (None, _) => refused("Only the token of a host is good for this.".to_owned()),
        }
    }

    /// Opens a write transaction.
    ///
    /// # Errors
    /// When the database is not reachable.
    pub async fn write(&self) -> Result<Tx, Fault> {
        Ok(self.db().write().await?)
    }

    /// Opens a write transaction that guards itself ([`nephos_db::Db::guarded`]).
    ///
    /// # Errors
    /// When the database is not reachable.
    pub async fn guarded(&self) -> Result<Tx, Fault> {
        Ok(self.db().guarded().await?)
    }

    /// The caller's own token, to ask a sibling service in the caller's name while the request lasts.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The absolute public URL of `path` below this service's prefix, as this client reaches it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Proves that the caller may do `R` with the loaded thing.
    ///
    /// # Errors
    /// 404 when there is none or the caller may not know of it, else 403.
    pub fn allow<R: Rule, T: Resource>(
        &self,
        rule: R,
        loaded: Option<T>,
    ) -> Result<Authorized<T, R>, Fault> {
        let core = self.service.core();
        nephos_auth::allow(&core.policy, rule, &self.caller, loaded).map_err(
            |denied| match denied {
                Denied::NotFound { kind } => {
                    Fault::not_found(format!("{kind} could not be found."))
                        .kind(format!("{kind}NotFound"))
                }
                Denied::Forbidden { rule } => forbidden::<S>(rule),
            },
        )
    }

    /// Whether the caller passes `R` against `target`; for what only some callers see.
    #[must_use]
    pub fn may<R: Rule>(&self, _rule: R, target: &Target) -> bool {
        self.service
            .core()
            .policy
            .check(R::INFO, &self.caller, target)
    }

    /// Whether the caller would pass `R` against `target` without one of its roles.
    #[must_use]
    pub fn may_without<R: Rule>(&self, role: &str, _rule: R, target: &Target) -> bool {
        let mut other = Caller::clone(&self.caller);
        other.roles.retain(|mine| !mine.eq_ignore_ascii_case(role));
        self.service.core().policy.check(R::INFO, &other, target)
    }

    /// Refuses the caller unless it passes `R` against `target`.
    ///
    /// # Errors
    /// 403 naming the rule.
    pub fn require<R: Rule>(&self, rule: R, target: &Target) -> Result<(), Fault> {
        if self.may(rule, target) {
            Ok(())
        } else {
            Err(forbidden::<S>(R::INFO.name))
        }
    }
}

/// The 403 of a service for a rule.
pub(crate) fn forbidden<S: Service>(rule: &str) -> Fault {
    Fault::forbidden((S::DIALECT.forbidden)(rule)).kind("PolicyNotAuthorized")
}

/// A request as its endpoint declares it.
#[derive(Debug)]
pub struct Req<E: Endpoint> {
    /// The names of the path.
    pub path: E::Path,
    /// The query.
    pub query: E::Query,
    /// The body.
    pub body: E::Body,
    /// The headers.
    pub headers: Arc<HeaderMap>,
}

impl<E: Endpoint> Req<E> {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The media type of the body without its parameters, in lower case.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        let whole = self.header("content-type")?;
        Some(
            whole
                .split(';')
                .next()
                .unwrap_or(whole)
                .trim()
                .to_ascii_lowercase(),
        )
    }
}
