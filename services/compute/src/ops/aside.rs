//! Work that waits until a guest lets go of something is put aside for what its owner wants meanwhile, and goes on after it:
//! a guest that stands still lets go of nothing until it is set going, or is off. (In Nova a detach holds up nothing:
//! nova.compute.api `detach_volume` sets no task state.)

use nephos_auth::Caller;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, New, OpCx, Operation, Reconcile};
use nephos_types::RequestId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::OPS;
use super::detach_volume::DetachVolume;
use super::interfaces::Interfaces;
use crate::Compute;

/// What waits for a guest.
const PATIENT: [&str; 2] = [DetachVolume::KIND, Interfaces::KIND];
/// Where the arguments of other work keep it.
const KEY: &str = "aside";

/// Work that was put aside: all that it takes to begin it anew for whoever asked for it.
#[derive(Serialize, Deserialize)]
struct Aside {
    kind: String,
    args: Value,
    caller: Caller,
    request_id: RequestId,
    deadline_secs: i64,
}

/// Whether this work waits for a guest.
pub(super) fn is_patient(op: &Operation) -> bool {
    PATIENT.contains(&op.kind.as_str())
}

/// Whether this work has put other work aside.
pub(super) fn has(op: &Operation) -> bool {
    op.args.get(KEY).is_some_and(Value::is_object)
}

/// The arguments of work that takes the place of `live`: with that put aside if it waits for a guest, or with what it had
/// put aside itself.
pub(super) fn with(mut args: Value, live: Option<&Operation>) -> Result<Value, EnqueueError> {
    let aside = match live {
        Some(op) if is_patient(op) => serde_json::to_value(Aside {
            kind: op.kind.clone(),
            args: op.args.clone(),
            caller: op.caller.clone(),
            request_id: op.request_id.clone(),
            deadline_secs: op.deadline.secs() - op.created_at.secs(),
        })?,
        Some(op) if has(op) => op.args.get(KEY).cloned().unwrap_or_default(),
        _nothing => return Ok(args),
    };
    if let Value::Object(args) = &mut args {
        args.insert(KEY.to_owned(), aside);
    }
    Ok(args)
}

/// This work ends in this transaction: what it has put aside goes on.
pub(super) async fn go_on(
    cx: &OpCx<Compute>,
    op: &Operation,
    tx: &mut Tx,
) -> Result<(), nephos_db::Error> {
    let Some(aside) = op.args.get(KEY).filter(|aside| aside.is_object()) else {
        return Ok(());
    };
    let aside: Aside = match serde_json::from_value(aside.clone()) {
        Ok(aside) => aside,
        Err(why) => return Err(nephos_db::Error::damaged(why.to_string())),
    };
    let Some(kind) = PATIENT.into_iter().find(|kind| *kind == aside.kind) else {
        return Ok(());
    };
    let new = New {
        topic: OPS,
        kind,
        resource_id: &op.resource_id,
        args: aside.args,
        caller: &aside.caller,
        request_id: &aside.request_id,
        deadline_secs: aside.deadline_secs,
    };
    match nephos_ops::enqueue(tx, cx.now(), new).await {
        Ok(_begun) => Ok(()),
        Err(EnqueueError::Db(why)) => Err(why),
        // Other work is there already: it has the server now, and a guest that is asked again gives the same answer.
        Err(EnqueueError::Busy { .. } | EnqueueError::Store(_)) => Ok(()),
    }
}
