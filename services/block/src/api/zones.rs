//! Availability zones.

use std::collections::BTreeMap;

use nephos_api::{Json, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::{ProjectPath, at_project};
use crate::Cx;
use crate::store::backends;

endpoint! {
    /// List availability zones.
    ListZones: GET "/v3/{project_id}/os-availability-zone" => 200,
    policy: nephos_api::Authenticated,
    path: ProjectPath,
    reply: Json<Value>,
    handler: list,
}
async fn list(cx: Cx, req: Req<ListZones>) -> Reply<ListZones> {
    at_project(&cx, &req.path.project_id)?;
    let mut zones: BTreeMap<String, bool> = BTreeMap::new();
    for backend in backends::list(cx.db()).await? {
        let up = backend.is_up(cx.now()) && !backend.disabled;
        *zones.entry(backend.zone).or_default() |= up;
    }
    let all: Vec<Value> = zones
        .iter()
        .map(|(name, up)| json!({"zoneName": name, "zoneState": {"available": up}}))
        .collect();
    Ok(Json(json!({ "availabilityZoneInfo": all })))
}
