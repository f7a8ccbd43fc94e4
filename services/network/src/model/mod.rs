//! What networks, ports and routers *are*: pure data and rules. No async, no SQL, no HTTP, no clock.

pub mod address;
pub mod network;
pub mod port;
pub mod qos;
pub mod refusal;
pub mod router;
pub mod security_group;
pub mod sharing;
pub mod spec;
pub mod subnet;
pub mod subnet_pool;
pub mod trunk;
