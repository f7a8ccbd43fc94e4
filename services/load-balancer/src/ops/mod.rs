//! What goes on behind requests: one file per verb.

pub(crate) mod apply;
pub(crate) mod delete;
pub(crate) mod house;
pub(crate) mod observe;
mod watch;

pub(crate) use self::watch::Watch;
use nephos_auth::Caller;
use nephos_ops::feed::Place;
use nephos_ops::{New, Reconcilers, StepError};
use nephos_peer::PeerError;
use nephos_types::{RequestId, Timestamp};
use serde_json::json;

use crate::Svc;
use crate::model::spec::KIND_LOAD_BALANCER;
use crate::model::tree::BalancerId;
use crate::peers::{Port, Siblings};

/// What the workers listen to.
pub(crate) const TOPIC: &str = "load-balancer.ops";
/// What polls of hosts listen to.
pub(crate) const FEED: &str = "load-balancer.feed";
/// Work that takes longer is given up. Each kind gives up long before that, in its own words.
const WITHIN_SECS: i64 = 24 * 3600;

pub(crate) fn reconcilers() -> Reconcilers<Svc> {
    Reconcilers::new().with(apply::Apply).with(delete::Delete)
}

/// Who asks for work, when, in which request.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub caller: &'a Caller,
    pub request_id: &'a RequestId,
    pub now: Timestamp,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(cx: &'a crate::Cx) -> Self {
        Self {
            caller: &cx.caller,
            request_id: &cx.request_id,
            now: cx.now(),
        }
    }

    fn work(self, kind: &'static str, id: &'a BalancerId) -> New<'a> {
        New {
            topic: TOPIC,
            kind,
            resource_id: id.as_str(),
            args: json!({}),
            caller: self.caller,
            request_id: self.request_id,
            deadline_secs: WITHIN_SECS,
        }
    }
}

/// Where a host is told of a load balancer.
pub(crate) const fn place<'a>(host: &'a str, id: &'a BalancerId) -> Place<'a> {
    Place {
        topic: FEED,
        host,
        kind: KIND_LOAD_BALANCER,
        // `as_str` of an id is not const.
        id: id.0.as_str(),
    }
}

/// What a sibling's refusal means for a step.
fn refused(why: &PeerError) -> StepError {
    if why.is_transient() || why.status == Some(401) {
        StepError::Away(why.to_string())
    } else {
        StepError::Permanent(why.to_string())
    }
}

/// A port that a load balancer has no more, as it was seen: one that was made for it goes, another is its owner's again.
async fn give_up(siblings: &Siblings, port: &Port) -> Result<(), PeerError> {
    match port.was_made() {
        true => siblings.delete_port(port).await,
        false => siblings.release_port(port).await,
    }
}
