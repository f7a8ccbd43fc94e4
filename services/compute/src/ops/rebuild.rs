//! A disk made anew from an image: the host is told of another disk, and does what it does for any other wish.

use nephos_auth::Authorized;
use nephos_db::Tx;
use nephos_ops::{EnqueueError, Reconcile as _};
use serde_json::json;

use super::power::Power;
use super::{Asked, Work, begin};
use crate::model::server::{Server, VmState};
use crate::store;

/// An image may have to be fetched first.
const DEADLINE_SECS: i64 = 1800;

/// Asks for it; the caller has checked the state and the lock. Gives the server as it is now.
pub(crate) async fn request<R>(
    tx: &mut Tx,
    asked: Asked<'_>,
    server: &Authorized<Server, R>,
    mut wanted: Server,
) -> Result<Server, EnqueueError> {
    let work = Work {
        kind: Power::KIND,
        server: &server.id,
        action: "rebuild",
        args: json!({"event": "compute_rebuild_instance"}),
        deadline_secs: DEADLINE_SECS,
    };
    begin(tx, asked, work).await?;
    if let Some(fresh) = store::servers::lock(tx, &server.id).await? {
        // What the host said meanwhile stays; the rest is the wish.
        wanted.nics = fresh.nics;
        wanted.generation = fresh.generation;
        wanted.disk_epoch = fresh.disk_epoch;
        wanted.power_state = fresh.power_state;
    }
    // One that was off is off again afterwards.
    let want = if wanted.vm_state == VmState::Stopped {
        "stopped"
    } else {
        "running"
    };
    want.clone_into(&mut wanted.want);
    wanted.task_state = Some("rebuilding".to_owned());
    wanted.disk_epoch += 1;
    wanted.generation += 1;
    wanted.updated_at = asked.now;
    store::servers::update(tx, &wanted).await?;
    store::servers::update_content(tx, &wanted).await?;
    Ok(wanted)
}
