//! SQLite and PostgreSQL behind one door.
//!
//! One text per statement, `$1` placeholders, a closed set of value types; nothing here is generic over the engine.
//! Invariants: a [`Tx`] is dead after its first failed statement on both engines; wake-ups leave only after the commit
//! that they belong to; on SQLite all writes go through one connection, whose commits are shared by those who wait;
//! on PostgreSQL transactions are serializable, so that a check and the write that relies on it see the same state.

mod again;
mod engine;
mod error;
mod migrate;
mod pg;
mod query;
mod row;
mod sqlite;
mod tx;
mod value;

pub use again::{Watched, watched};
pub use engine::{Db, DbUrl, EngineKind};
pub use error::{Error, Kind};
pub use migrate::Migration;
pub use nephos_types::{Arg, FromArg, ToArg};
pub use query::{Direction, Page, Where};
pub use row::{FromRow, Row};
pub use tx::Tx;
