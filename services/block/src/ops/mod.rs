//! What goes on behind requests: one file per verb.

pub(crate) mod attach;
pub(crate) mod backup;
pub(crate) mod backup_delete;
pub(crate) mod backup_import;
pub(crate) mod check;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod extend;
pub(crate) mod group;
pub(crate) mod group_snapshot;
pub(crate) mod house;
pub(crate) mod layer;
pub(crate) mod migrate;
pub(crate) mod moving;
pub(crate) mod objects;
pub(crate) mod restore;
pub(crate) mod retype;
pub(crate) mod revert;
pub(crate) mod shorten;
pub(crate) mod snapshot;
pub(crate) mod upload;

use std::time::Duration;

use nephos_auth::Caller;
use nephos_db::Tx;
use nephos_ops::{Failure, New, Next, OpCx, Operation, Reconcilers, StepError};
use nephos_types::{RequestId, Timestamp};
use serde_json::Value;

use crate::model::message::{Event, KEEP_SECS};
use crate::model::volume::Owner;
use crate::store::messages::{self, Message};
use crate::{Block, Driver, DriverError, Svc};

/// What the workers listen to.
pub(crate) const TOPIC: &str = "block.ops";
/// Another piece of work has the file for a moment.
pub(crate) const SOON: Duration = Duration::from_millis(200);

pub(crate) fn reconcilers() -> Reconcilers<Svc> {
    Reconcilers::new()
        .with(backup::Create)
        .with(backup_delete::Delete)
        .with(backup_import::Import)
        .with(restore::Restore)
        .with(create::Create)
        .with(delete::Delete)
        .with(extend::Extend)
        .with(group::Create)
        .with(group::Delete)
        .with(group_snapshot::Create)
        .with(group_snapshot::Delete)
        .with(migrate::Migrate)
        .with(retype::Retype)
        .with(revert::Revert)
        .with(snapshot::Create)
        .with(snapshot::Delete)
        .with(upload::Upload)
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

    pub(crate) fn work(self, kind: &'static str, id: &'a str, args: Value) -> New<'a> {
        New {
            topic: TOPIC,
            kind,
            resource_id: id,
            args,
            caller: self.caller,
            request_id: self.request_id,
            deadline_secs: WITHIN_SECS,
        }
    }
}

/// Work that takes longer has failed.
const WITHIN_SECS: i64 = 24 * 3600;

/// The back end of this process with this name.
pub(crate) fn driver<'a>(cx: &'a OpCx<Svc>, name: &str) -> Result<&'a Driver, StepError> {
    cx.service().driver(name).ok_or_else(|| {
        StepError::Transient(format!("no process that has back end {name} works on this"))
    })
}

/// What a back end's refusal means for a step.
pub(crate) fn refused(why: &DriverError, words: &str) -> Result<Next, StepError> {
    if why.is_final() {
        Ok(Next::Fail(Failure {
            code: 500,
            message: format!("{words}: {why}."),
            details: String::new(),
        }))
    } else {
        Err(StepError::Transient(why.to_string()))
    }
}

/// Tells the users of a project what became of their volume or snapshot.
pub(crate) async fn tell(
    tx: &mut Tx,
    cx: &OpCx<Svc>,
    op: &Operation,
    (owner, kind, event, words): (&Owner, &str, Event, &str),
) -> Result<(), nephos_db::Error> {
    let (action, detail) = event.numbers();
    let now = cx.now();
    let message = Message {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id: owner.project_id.0.clone(),
        request_id: op.request_id.to_string(),
        resource_type: kind.to_owned(),
        resource_id: op.resource_id.clone(),
        action: action.to_owned(),
        detail: detail.to_owned(),
        words: words.to_owned(),
        created_at: now,
        expires_at: now.plus_secs(KEEP_SECS),
    };
    messages::insert(tx, &message).await
}

impl Block {
    /// Which of the back ends of this process have this name.
    pub(crate) fn driver(&self, name: &str) -> Option<&Driver> {
        self.drivers.get(name)
    }
}
