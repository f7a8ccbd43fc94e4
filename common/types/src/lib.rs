//! Ids, names, sizes and times: the nouns every service shares.
//!
//! Pure data: no async, no SQL, no HTTP, no clock. Everything here may be used in a `model/` room.

mod count;
pub mod feed;
mod finding;
mod id;
pub mod standard;
mod time;
mod value;
mod wake;

pub use count::count;
pub use finding::Finding;
pub use time::{Micros, Timestamp};
pub use value::{Arg, ArgKind, FromArg, ToArg};
pub use wake::Wake;

/// What `id!` expands to; a crate that declares ids needs no dependency for it.
#[doc(hidden)]
pub mod __private {
    pub use serde::{Deserialize, Deserializer, Serialize, Serializer};
    pub use utoipa::openapi::{RefOr, schema::Schema};
    pub use utoipa::{PartialSchema, ToSchema};
    pub use uuid::Uuid;

    pub type SchemaRef = RefOr<Schema>;
}

id! {
    /// A Keystone project: the owner of things. 32 hex characters, or a name like `default` when migrated.
    ProjectId
}
id! {
    /// A Keystone user.
    UserId
}
id! {
    /// A Keystone domain; the first one is literally `default`.
    DomainId
}
id! {
    /// A machine with an agent, as the services know it.
    HostName
}
id! {
    /// One HTTP request, `req-<uuid>`; it follows the work through every service and log line.
    RequestId
}
