//! `/os-availability-zone`.

use std::collections::BTreeMap;

use nephos_api::{Json, Reply, Req, endpoint};
use serde_json::{Map, Value, json};

use super::Cx;
use crate::store::hosts::HostRow;
use crate::{rules, store};

async fn zones(cx: &Cx) -> Result<BTreeMap<String, Vec<HostRow>>, nephos_db::Error> {
    let mut zones: BTreeMap<String, Vec<HostRow>> = BTreeMap::new();
    // The default zone is there before its first host.
    zones.insert(cx.config.default_zone.clone(), Vec::new());
    for row in store::hosts::list(cx.db()).await? {
        zones.entry(row.zone.clone()).or_default().push(row);
    }
    Ok(zones)
}

fn view(name: &str, hosts: &[HostRow], shown: Value) -> Value {
    let available = hosts.is_empty() || hosts.iter().any(|row| !row.disabled);
    json!({"zoneName": name, "zoneState": {"available": available}, "hosts": shown})
}

endpoint! {
    /// List availability zones.
    ListZones: GET "/v2.1/os-availability-zone" => 200,
    policy: rules::ListZones,
    reply: Json<Value>,
    handler: list_zones,
}

async fn list_zones(cx: Cx, _req: Req<ListZones>) -> Reply<ListZones> {
    let zones = zones(&cx).await?;
    let all: Vec<Value> = zones
        .iter()
        .map(|(name, hosts)| view(name, hosts, Value::Null))
        .collect();
    Ok(Json(json!({ "availabilityZoneInfo": all })))
}

endpoint! {
    /// List availability zones with their hosts.
    ListZonesDetail: GET "/v2.1/os-availability-zone/detail" => 200,
    policy: rules::ListZonesDetail,
    reply: Json<Value>,
    handler: list_zones_detail,
}

async fn list_zones_detail(cx: Cx, _req: Req<ListZonesDetail>) -> Reply<ListZonesDetail> {
    let zones = zones(&cx).await?;
    let detail = |hosts: &[HostRow]| {
        let shown: Map<String, Value> = hosts
            .iter()
            .map(|row| {
                let up = row.is_up(cx.now(), cx.config.host_down_after_secs);
                let service = json!({"available": up, "active": !row.disabled, "updated_at": row.seen_at.iso_naive()});
                (row.host.clone(), json!({ "nova-compute": service }))
            })
            .collect();
        Value::Object(shown)
    };
    let all: Vec<Value> = zones
        .iter()
        .map(|(name, hosts)| view(name, hosts, detail(hosts)))
        .collect();
    Ok(Json(json!({ "availabilityZoneInfo": all })))
}
