//! Ids, names, sizes and times: the nouns every service shares.
//!
//! Pure data: no async, no SQL, no HTTP, no clock. Everything here may be used in a `model/` room.

pub mod feed;
mod id;
mod time;
mod value;
mod wake;

pub use time::{Micros, Timestamp};
pub use value::{Arg, ArgKind, FromArg, ToArg};
pub use wake::Wake;

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
    /// One HTTP request, `req-<uuid>`; it follows the work through every service and log line.
    RequestId
}
