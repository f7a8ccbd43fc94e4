//! What networks, ports and routers *are*: pure data and rules. No async, no SQL, no HTTP, no clock.

pub mod spec;
