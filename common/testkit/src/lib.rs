//! A service under test: real database, virtual clock, callers of every kind, the pipeline without a socket.
//!
//! ```ignore
//! let world = World::new().await;
//! let app = world.app(Compute::new(world.core::<Compute>().await, world.peers().await, …));
//! let answer = world.ask(&app).as_persona(Persona::Member).post("/v2.1/servers", json!({…})).await;
//! assert_eq!(answer.status, 202);
//! ```

mod ask;
mod matrix;
mod persona;
mod world;

pub use ask::{Answer, Ask};
pub use matrix::{check_golden, check_matrix, matrix};
pub use persona::{HOST, OTHER_HOST, Persona};
pub use world::{START, World};
