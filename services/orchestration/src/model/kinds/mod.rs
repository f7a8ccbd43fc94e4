//! The resource types by the service that has the things.

pub(super) mod cinder;
pub(super) mod glance;
pub(super) mod heat;
pub(super) mod neutron;
pub(super) mod neutron_shared;
pub(super) mod nova;
pub(super) mod object;
pub(super) mod software;
