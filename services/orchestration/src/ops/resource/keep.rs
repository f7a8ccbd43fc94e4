//! What is kept of a thing that goes (`deletion_policy: snapshot`): of a volume a backup, of a server an image, as in
//! the original.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::{Outcome, Seen, Why, Work};
use crate::model::stack::physical_name;
use crate::ops::LOOK_AGAIN;
use crate::peers::{Ask, encoded};

/// Where a resource notes that a copy of its thing is to stay.
pub(crate) const SNAPSHOT: &str = "snapshot";

/// A backup or an image is looked at again this soon.
const SOON: Duration = Duration::from_secs(1);

/// Where a server notes the image that is made of it, or why there can be none, and for which removal:
/// `{"image" or "refused", "for"}`. Another removal makes another one when this one came to nothing.
const IMAGE: &str = "kept_image";

/// The property by which an image is found whose id is not noted; its value is the resource's id.
const MADE_BY: &str = "stack_resource";

/// Whether something of this resource's thing is to stay.
fn wanted(work: &Work<'_>) -> bool {
    work.row.data.get(SNAPSHOT) == Some(&json!(true))
}

/// Makes a backup of a volume that is about to go, if one is to stay; nothing when it is there, or none is wanted.
pub(super) async fn volume(work: &Work<'_>, id: &str) -> Result<Option<Outcome>, Why> {
    if !wanted(work) {
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

/// Makes an image of a server that is about to go, if one is to stay; nothing when it is active, or none is wanted. Of a
/// server that is broken or was never ready nothing is kept.
pub(super) async fn server(
    work: &Work<'_>,
    id: &str,
    server: &Value,
) -> Result<Option<Outcome>, Why> {
    let text = |name: &str| server.get(name).and_then(Value::as_str).unwrap_or_default();
    if !wanted(work) || ["ERROR", "BUILD"].contains(&text("status")) {
        return Ok(None);
    }
    let noted = work.row.data.get(IMAGE);
    if let Some(why) = noted.and_then(|noted| noted.get("refused")?.as_str()) {
        // Whoever removes it again does without, as in the original: a stack could never go otherwise.
        return if is_of_this_removal(work, noted) {
            Err(Why::Refused(why.to_owned()))
        } else {
            Ok(None)
        };
    }
    // While its disk is read it does not go.
    let busy = text("OS-EXT-STS:task_state");
    let Some(image) = image_of(work, id).await? else {
        return ask_for_image(work, id, busy).await.map(Some);
    };
    let target = format!("/v2/images/{}", encoded(&image));
    let shown = match work.ask(&Ask::get("image", target)).await {
        Ok(shown) => shown,
        Err(why) if why.is_not_found() => json!({"status": "deleted"}),
        Err(why) => return Err(why.into()),
    };
    let status = shown.get("status").and_then(Value::as_str);
    match status.unwrap_or_default() {
        "active" | "deactivated" if busy.is_empty() => Ok(None),
        "active" | "deactivated" | "queued" | "saving" => {
            Ok(Some(Outcome::Wait(Seen::default(), SOON)))
        }
        status => Err(lost(id, &image, status)),
    }
}

fn lost(server: &str, image: &str, status: &str) -> Why {
    Why::Refused(format!(
        "The image {image} of server {server} that was to be kept is {status}: the server's actions say why. It was not deleted."
    ))
}

fn is_of_this_removal(work: &Work<'_>, noted: Option<&Value>) -> bool {
    noted.and_then(|noted| noted.get("for")?.as_str()) == Some(work.op.id.as_str())
}

/// The image that was asked for in this removal, or by a try that was cut off.
async fn image_of(work: &Work<'_>, id: &str) -> Result<Option<String>, Why> {
    let noted = work.row.data.get(IMAGE);
    let noted = noted.filter(|noted| is_of_this_removal(work, Some(noted)));
    if let Some(image) = noted.and_then(|noted| noted.get("image")?.as_str()) {
        return Ok(Some(image.to_owned()));
    }
    let target = format!("/v2/images?instance_uuid={}", encoded(id));
    let list = work.ask(&Ask::get("image", target)).await?;
    let list = list.get("images").and_then(Value::as_array);
    let ours =
        |image: &&Value| image.get(MADE_BY).and_then(Value::as_str) == Some(work.row.id.as_str());
    let image = list.into_iter().flatten().find(ours);
    Ok(image.and_then(|image| Some(image.get("id")?.as_str()?.to_owned())))
}

async fn ask_for_image(work: &Work<'_>, id: &str, busy: &str) -> Result<Outcome, Why> {
    let name = physical_name(&work.stack.name, &work.row.name, &work.row.id);
    let body = json!({"createImage": {"name": name, "metadata": {MADE_BY: work.row.id.as_str()}}});
    let target = format!("/v2.1/servers/{}/action", encoded(id));
    crash_point!("server.keep");
    let sent = work.ask(&Ask::post("compute", target, &body)).await;
    crash_point!("server.kept");
    match sent {
        Ok(made) => {
            let image = made.get("image_id").cloned().unwrap_or_default();
            let noted = json!({"image": image, "for": work.op.id.as_str()});
            Ok(Outcome::Wait(Seen::default().with(IMAGE, noted), SOON))
        }
        Err(why) if why.is_conflict() && !busy.is_empty() => {
            let seen = Seen::default().with("blocked", why.message);
            Ok(Outcome::Wait(seen, LOOK_AGAIN))
        }
        Err(why) if why.is_transient() => Err(why.into()),
        Err(why) => {
            let why = format!(
                "No image of server {id} can be kept (deletion_policy: snapshot), so it was not deleted; whoever deletes it \
                 again does without one: {} (HTTP {} of the compute service)",
                why.message,
                why.status.unwrap_or(0)
            );
            let noted = json!({"refused": why, "for": work.op.id.as_str()});
            let seen = Seen::default().with(IMAGE, noted);
            Ok(Outcome::Wait(seen, Duration::ZERO))
        }
    }
}
