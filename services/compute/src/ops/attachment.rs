//! What the block service is told once the work on the server has ended: so that nobody who sees the volume's new state
//! finds the server still busy.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{OPS, step_error};
use crate::Compute;
use crate::model::server::Server;
use crate::model::volume::Volume;

/// A block service that is away for longer has an operator at work.
const DEADLINE_SECS: i64 = 24 * 3600;

pub(crate) struct Attachment;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verb {
    /// The server uses the volume.
    Complete,
    /// It does not any more.
    Remove,
    /// It still does, though it was asked to let go of it.
    Keep,
}

#[derive(Serialize, Deserialize)]
struct Args {
    verb: Verb,
    project_id: String,
    volume_id: String,
    attachment_id: String,
}

/// Begins it, in place of what is still to be told of the same attachment.
pub(super) async fn request(
    tx: &mut Tx,
    now: Timestamp,
    op: &Operation,
    (server, volume, verb): (&Server, &Volume, Verb),
) -> Result<(), nephos_db::Error> {
    let Some(attachment_id) = &volume.attachment_id else {
        return Ok(());
    };
    let args = Args {
        verb,
        project_id: server.project_id.to_string(),
        volume_id: volume.volume_id.clone(),
        attachment_id: attachment_id.clone(),
    };
    let new = New {
        topic: OPS,
        kind: Attachment::KIND,
        resource_id: &format!("attachment/{attachment_id}"),
        args: json!(args),
        caller: &op.caller,
        request_id: &op.request_id,
        deadline_secs: DEADLINE_SECS,
    };
    match nephos_ops::supersede(tx, now, new).await {
        Ok(_) | Err(EnqueueError::Busy { .. }) => Ok(()),
        Err(EnqueueError::Db(why)) => Err(why),
        Err(EnqueueError::Store(why)) => Err(nephos_db::Error::damaged(why.to_string())),
    }
}

impl Reconcile<Compute> for Attachment {
    const KIND: &'static str = "server.attachment";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let args: Args = op.args()?;
        let (project, id) = (&args.project_id, &args.attachment_id);
        crash_point!("attachment.before");
        let told = match args.verb {
            Verb::Complete => cx.siblings.complete_attachment(project, id).await,
            Verb::Remove => cx.siblings.remove_attachment(project, id).await,
            Verb::Keep => {
                let volume = &args.volume_id;
                cx.siblings.show_detaching(project, volume, false).await
            }
        };
        told.map_err(step_error)?;
        crash_point!("attachment.told");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        _cx: &OpCx<Compute>,
        op: &Operation,
        failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let (attachment, why) = (&op.resource_id, &failure.message);
        tracing::warn!(
            attachment,
            why,
            "the block service was not told that an attachment has ended; its volume stays in use until `openstack volume attachment delete`"
        );
        Ok(())
    }
}
