//! The resource types by the service that has the things.

pub(super) mod cinder;
pub(super) mod glance;
pub(super) mod heat;
pub(super) mod keystone;
pub(super) mod neutron;
mod neutron_port;
pub(super) mod neutron_shared;
pub(super) mod neutron_trunk;
pub(super) mod nova;
pub(super) mod object;
pub(super) mod octavia;
pub(super) mod signals;
pub(super) mod software;

use super::property::{Prop, Rule, integer};

/// A limit of a quota; -1 is none.
const fn limit(name: &'static str, doc: &'static str) -> Prop {
    integer(name, doc)
        .in_place()
        .rule(Rule::Range(-1, i32::MAX as i64))
}
