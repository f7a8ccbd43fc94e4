//! Where ids come from.

use nephos_types::RequestId;
use uuid::Uuid;

/// A random UUID (version 4), the form Nova, Neutron, Glance and Cinder show.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one source of random ids")]
pub fn uuid() -> Uuid {
    Uuid::new_v4()
}

/// 32 random hex characters, the form of Keystone's ids.
#[must_use]
pub fn hex() -> String {
    uuid().simple().to_string()
}

/// A new request id, `req-<uuid>`.
#[must_use]
pub fn request_id() -> RequestId {
    RequestId(format!("req-{}", uuid().hyphenated()))
}

/// The id that `name` has under `namespace` (UUID version 5): asking again gives the same one,
/// so a repeated step finds what its first try made.
#[must_use]
pub fn derived(namespace: &Uuid, name: &str) -> Uuid {
    Uuid::new_v5(namespace, name.as_bytes())
}
