//! `/limits`.

use nephos_api::version::{Version, v};
use nephos_api::{Fault, Json, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use serde_json::{Map, Value, json};

use super::Cx;
use crate::{rules, store};

/// Name, the quota or (after `=`) the usage it shows, and the first version that has it no more.
const ABSOLUTE: &[(&str, &str, Version)] = &[
    ("maxTotalInstances", "instances", Version::LAST),
    ("maxTotalCores", "cores", Version::LAST),
    ("maxTotalRAMSize", "ram", Version::LAST),
    ("maxServerMeta", "metadata_items", Version::LAST),
    ("maxTotalKeypairs", "key_pairs", Version::LAST),
    ("maxServerGroups", "server_groups", Version::LAST),
    (
        "maxServerGroupMembers",
        "server_group_members",
        Version::LAST,
    ),
    ("maxImageMeta", "metadata_items", v(2, 39)),
    ("maxPersonality", "injected_files", v(2, 57)),
    (
        "maxPersonalitySize",
        "injected_file_content_bytes",
        v(2, 57),
    ),
    ("maxTotalFloatingIps", "floating_ips", v(2, 36)),
    ("maxSecurityGroups", "security_groups", v(2, 36)),
    ("maxSecurityGroupRules", "security_group_rules", v(2, 36)),
    ("totalInstancesUsed", "=instances", Version::LAST),
    ("totalCoresUsed", "=cores", Version::LAST),
    ("totalRAMUsed", "=ram", Version::LAST),
    ("totalServerGroupsUsed", "=server_groups", Version::LAST),
    ("totalFloatingIpsUsed", "=floating_ips", v(2, 36)),
    ("totalSecurityGroupsUsed", "=security_groups", v(2, 36)),
];

endpoint! {
    /// Show limits and how much of them is used.
    ShowLimits: GET "/v2.1/limits" => 200,
    policy: rules::ShowLimits,
    query: Params,
    reply: Json<Value>,
    handler: show_limits,
}

async fn show_limits(cx: Cx, req: Req<ShowLimits>) -> Reply<ShowLimits> {
    super::refuse_unknown(&cx, &req.query, v(2, 75), &["tenant_id", "reserved"])?;
    let own = cx
        .caller
        .project_id()
        .map(ToString::to_string)
        .unwrap_or_default();
    let project = match req.query.get("tenant_id") {
        Some(asked) if asked != own => {
            cx.require(rules::ShowOtherLimits, &Target::new())?;
            asked.to_owned()
        }
        _own => own,
    };
    if project.is_empty() {
        return Err(Fault::bad_request(
            "Limits belong to a project: name one by tenant_id.",
        ));
    }
    let limits = store::quota::limits(cx.db(), &project).await?;
    let used = store::quota::usage(cx.db(), &project).await?;
    let mut absolute = Map::new();
    for (name, quota, gone) in ABSOLUTE {
        if cx.version >= *gone {
            continue;
        }
        let value = match quota.strip_prefix('=') {
            Some(resource) => used.get(resource).copied().unwrap_or(0),
            None => limits.get(*quota).copied().unwrap_or(-1),
        };
        absolute.insert((*name).to_owned(), json!(value));
    }
    Ok(Json(json!({"limits": {"rate": [], "absolute": absolute}})))
}
