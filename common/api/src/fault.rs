//! Faults: what HTTP shows when a request is refused, in each service's own format.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use nephos_db::Kind;
use nephos_types::RequestId;
use serde_json::Value;

use crate::{Request, Version, Wrong};

/// A refusal: what happened, why, and where possible what would help.
#[derive(Debug)]
pub struct Fault {
    /// HTTP status, 4xx or 5xx.
    pub status: StatusCode,
    /// The service's own name for it (`NetworkNotFound`, `placement.concurrent_update`); empty: by status.
    pub kind: Cow<'static, str>,
    /// A sentence for people.
    pub message: String,
    /// More keys for the body, as the service's format has them.
    pub extra: Option<Value>,
    /// Headers, such as `Retry-After`.
    pub headers: HeaderMap,
    /// What went wrong here, for the log and never for the client.
    pub(crate) cause: Option<String>,
}

macro_rules! by_status {
    ($($(#[$meta:meta])* $name:ident => $status:ident,)+) => {$(
        $(#[$meta])*
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(StatusCode::$status, message)
        }
    )+};
}

impl Fault {
    /// A fault with this status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: Cow::Borrowed(""),
            message: message.into(),
            extra: None,
            headers: HeaderMap::new(),
            cause: None,
        }
    }

    by_status! {
        /// 400: the request itself is wrong.
        bad_request => BAD_REQUEST,
        /// 401: no token, or one that is not valid.
        unauthorized => UNAUTHORIZED,
        /// 403: valid, but not allowed; also Nova's and Glance's quota refusals.
        forbidden => FORBIDDEN,
        /// 404: no such thing, or none that this caller may know of.
        not_found => NOT_FOUND,
        /// 405: the path exists, not with this method.
        method_not_allowed => METHOD_NOT_ALLOWED,
        /// 406: a version or form that this service does not speak.
        not_acceptable => NOT_ACCEPTABLE,
        /// 409: the state does not allow it now.
        conflict => CONFLICT,
        /// 410: it was here and is not any more.
        gone => GONE,
        /// 413: more than the limit.
        too_large => PAYLOAD_TOO_LARGE,
        /// 415: a media type that this call does not take.
        unsupported_media_type => UNSUPPORTED_MEDIA_TYPE,
        /// 416: no byte of the object is in the range.
        range_not_satisfiable => RANGE_NOT_SATISFIABLE,
        /// 429: later.
        too_many_requests => TOO_MANY_REQUESTS,
        /// 500: our fault. The message never holds internals.
        internal => INTERNAL_SERVER_ERROR,
        /// 501: known to the original, not offered here.
        not_implemented => NOT_IMPLEMENTED,
        /// 503: something this needs does not answer; try again.
        unavailable => SERVICE_UNAVAILABLE,
        /// 504: it took longer than anybody waits.
        gateway_timeout => GATEWAY_TIMEOUT,
        /// 507: the disk is full.
        insufficient_storage => INSUFFICIENT_STORAGE,
    }

    /// Names the kind.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Adds keys for the body.
    #[must_use]
    pub fn with(mut self, extra: Value) -> Self {
        self.extra = Some(extra);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.message)
    }
}

impl From<nephos_db::Error> for Fault {
    /// What the database refused: busy or gone is 503, a full disk 507, the rest is ours; the cause goes to the log, not to
    /// the client.
    fn from(error: nephos_db::Error) -> Self {
        match error.kind() {
            // Whoever was not quick enough begins again: an error is only what is answered as one.
            Kind::Conflict | Kind::ForeignKey => {
                tracing::debug!(%error, "another transaction was quicker");
            }
            Kind::Nul | Kind::TooLate => tracing::info!(%error, "not stored"),
            _ours_or_the_machines => tracing::error!(%error, "database refused a statement"),
        }
        let mut fault = match error.kind() {
            Kind::Full => Self::insufficient_storage(
                "The disk of this service's database is full, so nothing was changed. Try again when the operator has made room.",
            ),
            Kind::Nul => Self::bad_request("A NUL character has no place in a text."),
            Kind::TooLate => Self::gateway_timeout(
                "It took longer than the caller said it would wait, so nothing was changed. When that comes at once, the clocks of the two machines differ.",
            ),
            _busy_or_gone if error.is_transient() => {
                Self::unavailable("The database is busy or not reachable. Try again in a moment.")
            }
            _ours => Self::internal(
                "The request could not be carried out. The log has the cause by request id.",
            ),
        };
        fault.cause = Some(error.to_string());
        fault
    }
}

/// Renders a fault for a version.
pub type RenderFaultAt = fn(&Fault, &RequestId, Option<Version>) -> Value;

/// Who gets faults as a page and not as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HtmlFaults {
    /// Nobody.
    Never,
    /// Whoever accepts HTML by name and not JSON.
    Asked,
    /// Whoever accepts something and does not name JSON, as WebOb has it.
    UnlessJson,
}

/// How one service words its answers. Data: each service has one constant.
#[derive(Debug)]
pub struct Dialect {
    /// How versions are asked for.
    pub versioning: Versioning,
    /// A fault as a JSON body.
    pub render_fault: fn(&Fault, &RequestId) -> Value,
    /// A fault as a JSON body where it differs over the versions; without a version when that was what could not be agreed on.
    pub render_fault_at: Option<RenderFaultAt>,
    /// Who gets faults as a page.
    pub html_faults: HtmlFaults,
    /// The words about versions themselves.
    pub version_words: VersionWords,
    /// The message of a 403: takes the rule's name.
    pub forbidden: fn(&str) -> String,
    /// The 400 for a body that cannot be taken.
    pub wrong: fn(&Wrong<'_>) -> Fault,
    /// Largest body that is not a stream, in bytes.
    pub max_body_bytes: usize,
    /// Another name under which the request id is sent, such as `x-compute-request-id`.
    pub request_id_header: Option<&'static str>,
    /// Whether the service answers a path that exists, asked with another method, by 404 instead of 405.
    pub hides_methods: bool,
    /// Whether a slash at the end of a path stands before a name that is missing: then `/images/` is not `/images`.
    pub strict_slash: bool,
    /// An older API that the same endpoints serve.
    pub older: Option<Older>,
    /// Rewrites a request before it is routed: methods that HTTP does not know, and names that hold slashes.
    pub rewrite: Option<Rewrite>,
    /// Faults as a page of HTML for everybody, instead of as JSON.
    pub fault_page: Option<fn(&Fault) -> String>,
    /// How the request id is written in `request_id_header`.
    pub request_id_form: fn(&RequestId) -> String,
}

/// Changes a request before it is routed, or refuses it.
pub type Rewrite = fn(&mut Request) -> Result<(), Fault>;

/// An older API, served by the endpoints of a newer one at their oldest version. Keys of bodies that it does not know
/// are dropped, not refused, and it negotiates no versions.
#[derive(Clone, Copy, Debug)]
pub struct Older {
    /// Where it is.
    pub path: &'static str,
    /// Where the newer one is.
    pub served_at: &'static str,
}

impl Older {
    /// The newer API's path for one of the older API's.
    pub(crate) fn translate(self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.path)?;
        (rest.starts_with('/') && rest != "/").then(|| format!("{}{rest}", self.served_at))
    }
}

/// What a service says about versions.
#[derive(Clone, Copy, Debug)]
pub struct VersionWords {
    /// The message of a 400: what was asked for is no version.
    pub malformed: fn(&str) -> String,
    /// The message of a 406: what was asked for, the oldest and the newest there is.
    pub refused: fn(Version, Version, Version) -> String,
    /// How the header is spelled in `Vary`.
    pub vary: &'static str,
}

impl VersionWords {
    /// Nova's words, which most services use.
    #[must_use]
    pub const fn common() -> Self {
        Self {
            malformed: |asked| {
                format!(
                    "API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum."
                )
            },
            refused: |version, min, max| {
                format!(
                    "Version {version} is not supported by the API. Minimum is {min} and maximum is {max}."
                )
            },
            vary: "OpenStack-API-Version",
        }
    }
}

/// How a client names the version it wants.
#[derive(Clone, Copy, Debug)]
pub enum Versioning {
    /// By the path only.
    None,
    /// By header: `OpenStack-API-Version: <service> 2.79`.
    Microversion {
        /// The name in the header: `compute`, `placement`.
        service: &'static str,
        /// The older header with just the number.
        legacy_header: Option<&'static str>,
        /// Oldest, and what is used when nothing is asked for.
        min: Version,
        /// Newest.
        max: Version,
    },
}

impl Dialect {
    /// A dialect without microversions, with common limits.
    #[must_use]
    pub const fn plain(render_fault: fn(&Fault, &RequestId) -> Value) -> Self {
        Self {
            versioning: Versioning::None,
            render_fault,
            render_fault_at: None,
            html_faults: HtmlFaults::Never,
            version_words: VersionWords::common(),
            forbidden: |rule| format!("Policy doesn't allow {rule} to be performed."),
            wrong: |wrong| Fault::bad_request(wrong.plain()),
            max_body_bytes: 1024 * 1024,
            request_id_header: None,
            hides_methods: false,
            strict_slash: false,
            older: None,
            rewrite: None,
            fault_page: None,
            request_id_form: RequestId::to_string,
        }
    }
}
