//! What is kept of a thing that goes (`deletion_policy: snapshot`): of a volume a backup, as in the original.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::{Outcome, Seen, Why, Work};
use crate::peers::{Ask, encoded};

/// Where a resource notes that a copy of its thing is to stay.
pub(crate) const SNAPSHOT: &str = "snapshot";

/// A backup is looked at again this soon.
const SOON: Duration = Duration::from_secs(1);

/// Makes a backup of a volume that is about to go, if one is to stay; nothing when it is there, or none is wanted.
pub(super) async fn volume(work: &Work<'_>, id: &str) -> Result<Option<Outcome>, Why> {
    if work.row.data.get(SNAPSHOT) != Some(&json!(true)) {
        return Ok(None);
    }
    let backups = format!("/v3/{}/backups", work.stack.project_id);
    let target = format!("{backups}/detail?volume_id={}", encoded(id));
    let list = work.ask(&Ask::get("block", target)).await?;
    let mark = work.mark();
    let text = |backup: &Value, key: &str| {
        let text = backup.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let backups_there = list.get("backups").and_then(Value::as_array);
    let ours = backups_there
        .into_iter()
        .flatten()
        .find(|backup| text(backup, "description") == mark);
    let Some(backup) = ours else {
        let body = json!({"backup": {
            "volume_id": id, "name": work.thing_name(), "description": mark, "force": true,
        }});
        crash_point!("volume.keep");
        work.ask(&Ask::post("block", backups, &body)).await?;
        crash_point!("volume.kept");
        return Ok(Some(Outcome::Wait(Seen::default(), SOON)));
    };
    match text(backup, "status").as_str() {
        "available" => Ok(None),
        status if status.starts_with("error") => Err(Why::Refused(format!(
            "The backup {} of volume {id} went to status {status}: {}",
            text(backup, "id"),
            text(backup, "fail_reason")
        ))),
        _under_way => Ok(Some(Outcome::Wait(Seen::default(), SOON))),
    }
}
