//! The process: every service of the cloud behind one listener.
//!
//! Map: `settings`, `secrets` and `credentials` are files; `services/` says of each service what it offers and how it is
//! built; `cloud` holds those of this process; `databases` says where their tables are; `hosts` starts what runs on
//! hosts, and `membership` is what a machine keeps that joined as one; `journal` is how an operator
//! learns what every process did; `running` is the lock that says which process runs a cloud. The commands of the binary stand in `main.rs` and
//! `commands/`.
//!
//! Invariant: everything a start makes, the next start finds; a start after `kill -9` is an ordinary start.

pub mod accounts;
pub mod cloud;
pub mod credentials;
pub mod databases;
pub mod doctor;
pub mod fsck;
pub mod hosts;
pub mod hypervisor;
pub mod journal;
pub mod membership;
pub mod running;
pub mod secrets;
pub mod services;
pub mod settings;
pub mod state;
