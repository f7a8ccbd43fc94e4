//! Typed endpoints with microversions, faults, paging and OpenAPI, and the HTTP shell around them.
//!
//! One [`endpoint!`] row says everything about a call; the pipeline derives the rest: routing, version negotiation,
//! authentication, coarse policy, reading the body, writing the reply, headers, OpenAPI. The pipeline is a plain
//! [`Dispatch`]; actix is a shell around it, and tests and in-process peers call it without a socket.

mod body;
mod cx;
mod endpoint;
mod fault;
mod http_types;
mod macros;
pub mod openapi;
mod path;
mod pipeline;
mod reply;
mod router;
pub mod shell;
pub mod version;
mod wrong;

pub use body::{Body, Bytes, Json, Nothing, Stream, has_nul};
pub use cx::{Check, Core, Cx, Req, Service};
pub use endpoint::{
    Access, AccessRow, Authenticated, Endpoint, EndpointInfo, Endpoints, Hosts, Loaded, Parts,
    Public, Row,
};
pub use fault::{Dialect, Fault, HtmlFaults, Older, RenderFaultAt, VersionWords, Versioning};
pub use http_types::{Dispatch, Incoming, Payload, Request, Response, Socket};
pub use path::{FromPath, FromQuery, Params};
pub use pipeline::{App, UNTIL};
pub use reply::{Accepted, Download, Empty, ReplyBody, With};
pub use version::{Change, Shape, Version, added, before, changed, removed};
pub use wrong::{Mistake, Wrong, from_value, presentable, quoted, shown};

/// For `#[serde(default, deserialize_with = "nephos_api::given::deserialize")]` on an `Option<Option<T>>`: absent is `None`, `null` is `Some(None)`.
pub mod given {
    use serde::{Deserialize, Deserializer};

    /// Reads a key that is there.
    ///
    /// # Errors
    /// As `T` does.
    pub fn deserialize<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        Option::<T>::deserialize(deserializer).map(Some)
    }
}

/// What a handler of endpoint `E` returns.
pub type Reply<E> = Result<<E as Endpoint>::Reply, Fault>;

#[doc(hidden)]
pub use http;
