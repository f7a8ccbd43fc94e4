//! One file per command.

pub mod bootstrap;
pub mod config;
pub mod detach;
pub mod doctor;
pub mod down;
pub mod drain;
pub mod events;
pub mod fsck;
pub mod host;
pub mod join;
pub mod keys;
pub mod migrate;
pub mod run;
pub mod serving;
pub mod status;
pub mod trace;
pub mod up;

/// Runs a command's asynchronous part.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
