//! What a server *is*: pure data and rules. No async, no SQL, no HTTP, no clock.

pub mod console;
pub mod disk;
pub mod extra_specs;
pub mod flavor;
pub mod guest_data;
pub mod guest_password;
pub mod keypair;
pub mod live;
pub mod migration;
pub mod name;
pub mod quota;
pub mod schedule;
pub mod server;
pub mod server_group;
pub mod snapshot;
pub mod spec;
pub mod volume;
