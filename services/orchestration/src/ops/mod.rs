//! Reconcilers of stacks, and what requests write for them.

mod back;
pub(crate) mod converge;
mod discard;
mod ending;
pub(crate) mod facts;
mod ground;
pub(crate) mod judge;
mod make;
pub(crate) mod offload;
pub(crate) mod preview;
pub(crate) mod refuse;
mod remove;
mod renew;
pub(crate) mod request;
pub(crate) mod resource;
pub(crate) mod sweep;

use std::time::Duration;

use nephos_ops::Reconcilers;

use crate::Svc;

/// What the service's workers listen to.
pub(crate) const TOPIC: &str = "orchestration.ops";
/// Resources of one stack that are worked on at once.
const AT_ONCE: usize = 16;
/// Something that takes its time is looked at again this soon.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A stack is given up by its own time; its operation stays for this long after it, so that the end can be written.
const SLACK_SECS: i64 = 3600;

pub(crate) fn reconcilers() -> Reconcilers<Svc> {
    Reconcilers::new()
        .with(converge::Converge)
        .with(remove::Remove)
        .with(sweep::Sweep)
}
