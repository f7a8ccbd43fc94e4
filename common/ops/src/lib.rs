//! Durable operations, the reconcilers that drive them, leases and host feeds.
