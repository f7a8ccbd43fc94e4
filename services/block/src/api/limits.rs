//! What a project may have and has.

use nephos_api::{Json, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use serde_json::{Value, json};

use super::{ProjectPath, at_project, project_of};
use crate::store::quota;
use crate::{Cx, rules};

endpoint! {
    /// Show limits, and what of them is used.
    ShowLimits: GET "/v3/{project_id}/limits" => 200,
    policy: nephos_api::Authenticated,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: show,
}
async fn show(cx: Cx, req: Req<ShowLimits>) -> Reply<ShowLimits> {
    at_project(&cx, &req.path.project_id)?;
    let own = project_of(&cx, &req.path.project_id);
    // From 3.39 on administrators ask for others.
    let asked = req.query.get("project_id").filter(|_| cx.caller.is_admin());
    let project = asked.unwrap_or(&own);
    let limits = quota::limits(cx.db(), project).await?;
    let used = quota::usage(cx.db(), project).await?;
    let limit = |name: &str| limits.get(name).copied().unwrap_or(-1);
    let used = |name: &str| used.get(name).copied().unwrap_or(0);
    let mut absolute = json!({
        "maxTotalVolumes": limit("volumes"), "maxTotalVolumeGigabytes": limit("gigabytes"),
        "maxTotalSnapshots": limit("snapshots"), "maxTotalBackups": limit("backups"),
        "maxTotalBackupGigabytes": limit("backup_gigabytes"),
    });
    if cx.may(rules::UsedLimits, &Target::of_project(project))
        && let Some(absolute) = absolute.as_object_mut()
    {
        let all = [
            ("totalVolumesUsed", "volumes"),
            ("totalGigabytesUsed", "gigabytes"),
            ("totalSnapshotsUsed", "snapshots"),
            ("totalBackupsUsed", "backups"),
            ("totalBackupGigabytesUsed", "backup_gigabytes"),
        ];
        absolute.extend(all.map(|(shown, name)| (shown.to_owned(), json!(used(name)))));
    }
    Ok(Json(
        json!({ "limits": {"rate": [], "absolute": absolute} }),
    ))
}
