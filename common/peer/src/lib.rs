//! Typed calls to sibling services over their public REST API.
//!
//! In one process a call is handed to the sibling's pipeline without a socket; between processes it goes by HTTP.
//! Same bytes, same policy, same tests. A service's own verbs stand in its `peers.rs`.

mod call;
mod directory;
mod disk;
mod error;
pub mod feed;
pub mod items;
pub mod outside;
mod sending;
mod session;
mod target;
mod through;
pub mod trust;

pub use call::{Answer, Call};
pub use directory::{Directory, Replicas, Transport};
pub use error::PeerError;
pub use session::{Account, Credentials, HostKey, Peers};
pub use target::strays;
