//! Whether a server of a size fits now, in words for whoever wants to launch it.

use nephos_api::{Fault, Json, Public, Reply, Req, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{fault, guard, signed};
use crate::Cx;
use crate::peers::{self, Constraint};

/// The size of a server.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct FitQuery {
    vcpus: u32,
    ram_mib: u32,
    disk_gib: u32,
}

/// Whether it fits. Users learn no more: how much room a cloud has is its operator's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FitView {
    fits: bool,
    /// What there is too little of: `VCPU`, `MEMORY_MB`, `DISK_GB`; none when there is no host at all.
    lacking: Option<String>,
    /// Why not.
    why: Option<String>,
}

endpoint! {
    /// Show whether a server of this size fits on any host now, and why not.
    ShowFit: GET "/v1/fit" => 200,
    policy: Public,
    query: FitQuery,
    reply: Json<FitView>,
    handler: show_fit,
}
async fn show_fit(cx: Cx, req: Req<ShowFit>) -> Reply<ShowFit> {
    guard::from_own_page(&req.headers, &cx.url(""))?;
    let _who = signed::find(&cx, &req.headers, &cx.url("")).await?;
    let size = &req.query;
    let wanted = [
        ("VCPU", size.vcpus),
        ("MEMORY_MB", size.ram_mib),
        ("DISK_GB", size.disk_gib),
    ];
    let wanted = wanted.iter().filter(|(_, amount)| *amount > 0);
    let resources: Vec<String> = wanted
        .map(|(class, amount)| format!("{class}:{amount}"))
        .collect();
    if resources.is_empty() {
        return Err(Fault::bad_request("A server needs at least one resource."));
    }
    let explained = peers::explain(&cx.peers, &resources.join(",")).await;
    let explained = explained.map_err(|error| fault::peer(&error))?;
    let stopper = explained
        .constraints
        .iter()
        .find(|constraint| constraint.left == 0);
    Ok(Json(FitView {
        fits: explained.left > 0,
        lacking: stopper.and_then(|constraint| constraint.resource_class.clone()),
        why: (explained.left == 0).then(|| why(stopper, size)),
    }))
}

fn why(stopper: Option<&Constraint>, size: &FitQuery) -> String {
    let class = stopper.and_then(|constraint| constraint.resource_class.as_deref());
    match class {
        Some("VCPU") => format!("No host has {} vCPUs free at once now.", size.vcpus),
        Some("MEMORY_MB") => format!(
            "No host has {} MiB of memory free at once now.",
            size.ram_mib
        ),
        Some("DISK_GB") => format!(
            "No host has {} GiB of disk free at once now.",
            size.disk_gib
        ),
        Some(other) => format!("No host has enough {other} now."),
        None => match stopper {
            Some(constraint) => format!("No host is left after {}.", constraint.constraint),
            None => "No host takes servers now.".to_owned(),
        },
    }
}
