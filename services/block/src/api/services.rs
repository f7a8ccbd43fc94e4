//! Back ends as services, pools, hosts, and what they can do.

use nephos_api::{Empty, Fault, Json, Params, Reply, Req, Shape, endpoint};
use serde_json::{Value, json};

use super::versions::SERVICE_VIEW;
use super::{ItemPath, ProjectPath, at_project};
use crate::model::backend::Backend;
use crate::model::body::{Fields, truth};
use crate::store::{backends, types};
use crate::{Cx, rules};

/// The names under which Cinder's processes are known. One process is all of them here.
const VOLUME: &str = "cinder-volume";
const SCHEDULER: &str = "cinder-scheduler";
const BACKUP: &str = "cinder-backup";

fn service(cx: &Cx, backend: &Backend) -> Value {
    let up = backend.is_up(cx.now());
    json!({
        "binary": VOLUME, "host": backend.service_host(), "zone": backend.zone,
        "status": if backend.disabled { "disabled" } else { "enabled" }, "state": if up { "up" } else { "down" },
        "updated_at": backend.reported_at.iso_naive(), "disabled_reason": backend.disabled_reason,
        "replication_status": "disabled", "active_backend_id": null, "frozen": backend.frozen, "cluster": null,
        "backend_state": if up { "up" } else { "down" },
    })
}

endpoint! {
    /// List services.
    ListServices: GET "/v3/{project_id}/os-services" => 200,
    policy: rules::ListServices,
    path: ProjectPath,
    query: Params,
    reply: Json<Value> as Shape::each("services", SERVICE_VIEW),
    handler: list_services,
}
async fn list_services(cx: Cx, req: Req<ListServices>) -> Reply<ListServices> {
    at_project(&cx, &req.path.project_id)?;
    let all = backends::list(cx.db()).await?;
    let mut views: Vec<Value> = all.iter().map(|backend| service(&cx, backend)).collect();
    let mut hosts: Vec<&Backend> = all.iter().collect();
    hosts.dedup_by(|one, other| one.host == other.host);
    let others = hosts
        .into_iter()
        .flat_map(|backend| [(backend, SCHEDULER), (backend, BACKUP)]);
    for (backend, binary) in others {
        let mut view = service(&cx, backend);
        if let Some(view) = view.as_object_mut() {
            for absent in [
                "replication_status",
                "active_backend_id",
                "frozen",
                "backend_state",
            ] {
                view.shift_remove(absent);
            }
            view.insert("binary".to_owned(), json!(binary));
            view.insert("host".to_owned(), json!(backend.host));
            view.insert("status".to_owned(), json!("enabled"));
            view.insert("disabled_reason".to_owned(), Value::Null);
        }
        views.insert(0, view);
    }
    let text = |view: &Value, key: &str| {
        view.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if let Some(host) = req.query.get("host") {
        // A host alone stands for all of its back ends.
        views.retain(|view| {
            let shown = text(view, "host");
            shown == host || shown.split('@').next() == Some(host)
        });
    }
    if let Some(binary) = req.query.get("binary").or_else(|| req.query.get("service")) {
        views.retain(|view| text(view, "binary") == binary);
    }
    Ok(Json(json!({ "services": views })))
}

async fn turn(
    cx: &Cx,
    body: &Value,
    (disabled, with_reason): (bool, bool),
) -> Result<Json<Value>, Fault> {
    let fields = body
        .as_object()
        .map(Fields)
        .ok_or_else(|| Fault::bad_request("The body must be an object."))?;
    let host = fields.text("host").map_err(Fault::bad_request)?;
    let host =
        host.ok_or_else(|| Fault::bad_request("Missing required element 'host' in request body."))?;
    let binary = fields
        .either("binary", "service")
        .map_err(Fault::bad_request)?
        .flatten();
    let binary = binary.unwrap_or_default();
    let reason = fields.text("disabled_reason").map_err(Fault::bad_request)?;
    if with_reason && reason.as_deref().is_none_or(str::is_empty) {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute disabled_reason. It is a required property",
        ));
    }
    let all = backends::list(cx.db()).await?;
    let found = all
        .iter()
        .find(|backend| binary == VOLUME && backend.service_host() == host);
    let found = found.ok_or_else(|| {
        Fault::not_found(format!(
            "Service {binary} could not be found on host {host}."
        ))
    })?;
    let reason = reason.filter(|_| disabled);
    let mut tx = cx.write().await?;
    backends::set_disabled(&mut tx, &found.name, disabled, reason.as_deref()).await?;
    tx.commit().await?;
    let mut view = json!({
        "host": host, "service": binary, "binary": binary, "disabled": disabled,
        "status": if disabled { "disabled" } else { "enabled" },
    });
    if (with_reason || !disabled)
        && let Some(view) = view.as_object_mut()
    {
        view.insert("disabled_reason".to_owned(), json!(reason));
    }
    Ok(Json(view))
}

endpoint! {
    /// Let a back end take new volumes.
    EnableService: PUT "/v3/{project_id}/os-services/enable" => 200,
    policy: rules::UpdateServices,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: enable,
}
async fn enable(cx: Cx, req: Req<EnableService>) -> Reply<EnableService> {
    at_project(&cx, &req.path.project_id)?;
    turn(&cx, &req.body.0, (false, false)).await
}

endpoint! {
    /// Keep new volumes from a back end.
    DisableService: PUT "/v3/{project_id}/os-services/disable" => 200,
    policy: rules::UpdateServices,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: disable,
}
async fn disable(cx: Cx, req: Req<DisableService>) -> Reply<DisableService> {
    at_project(&cx, &req.path.project_id)?;
    turn(&cx, &req.body.0, (true, false)).await
}

endpoint! {
    /// Keep new volumes from a back end and say why.
    DisableServiceWithReason: PUT "/v3/{project_id}/os-services/disable-log-reason" => 200,
    policy: rules::UpdateServices,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: disable_with_reason,
}
async fn disable_with_reason(
    cx: Cx,
    req: Req<DisableServiceWithReason>,
) -> Reply<DisableServiceWithReason> {
    at_project(&cx, &req.path.project_id)?;
    turn(&cx, &req.body.0, (true, true)).await
}

/// Freezes or thaws a back end: frozen, it takes no new volumes until it is thawed.
async fn freeze(cx: &Cx, body: &Value, frozen: bool) -> Result<Empty, Fault> {
    let host = body.get("host").and_then(Value::as_str).unwrap_or_default();
    let all = backends::list(cx.db()).await?;
    let found = all.iter().find(|backend| backend.service_host() == host);
    let found = found.ok_or_else(|| {
        Fault::bad_request(format!(
            "Service cinder-volume could not be found on host {host}."
        ))
    })?;
    let mut tx = cx.write().await?;
    let reason = frozen.then_some("frozen");
    backends::set_disabled(&mut tx, &found.name, frozen, reason).await?;
    backends::set_frozen(&mut tx, &found.name, frozen).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Freeze a back end.
    FreezeHost: PUT "/v3/{project_id}/os-services/freeze" => 200,
    policy: rules::FreezeHost,
    path: ProjectPath,
    body: Json<Value>,
    reply: Empty,
    handler: freeze_host,
}
async fn freeze_host(cx: Cx, req: Req<FreezeHost>) -> Reply<FreezeHost> {
    at_project(&cx, &req.path.project_id)?;
    freeze(&cx, &req.body.0, true).await
}

endpoint! {
    /// Thaw a back end.
    ThawHost: PUT "/v3/{project_id}/os-services/thaw" => 200,
    policy: rules::ThawHost,
    path: ProjectPath,
    body: Json<Value>,
    reply: Empty,
    handler: thaw_host,
}
async fn thaw_host(cx: Cx, req: Req<ThawHost>) -> Reply<ThawHost> {
    at_project(&cx, &req.path.project_id)?;
    freeze(&cx, &req.body.0, false).await
}

const fn gib(bytes: u64) -> u64 {
    bytes >> 30
}

endpoint! {
    /// List pools: each back end is one.
    GetPools: GET "/v3/{project_id}/scheduler-stats/get_pools" => 200,
    policy: rules::GetPools,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: get_pools,
}
async fn get_pools(cx: Cx, req: Req<GetPools>) -> Reply<GetPools> {
    at_project(&cx, &req.path.project_id)?;
    let detail = req
        .query
        .get("detail")
        .map(|word| truth(word).unwrap_or(false));
    let mut all = backends::list(cx.db()).await?;
    if let Some(name) = req.query.get("name") {
        all.retain(|backend| backend.pool() == name);
    }
    if let Some(word) = req.query.get("volume_type") {
        let kind = types::find(cx.db(), word)
            .await?
            .ok_or_else(|| super::fault::no_type(word))?;
        let wanted = kind.specs.get("volume_backend_name").cloned();
        all.retain(|backend| wanted.as_ref().is_none_or(|wanted| *wanted == backend.name));
    }
    let pools: Vec<Value> = all
        .iter()
        .map(|backend| {
            let mut pool = json!({ "name": backend.pool() });
            if detail == Some(true)
                && let Some(pool) = pool.as_object_mut()
            {
                pool.insert("capabilities".to_owned(), capabilities(backend));
            }
            pool
        })
        .collect();
    Ok(Json(json!({ "pools": pools })))
}

fn capabilities(backend: &Backend) -> Value {
    json!({
        "volume_backend_name": backend.name, "vendor_name": "Nephos", "driver_version": env!("CARGO_PKG_VERSION"),
        "storage_protocol": "file", "total_capacity_gb": gib(backend.total_bytes),
        "free_capacity_gb": gib(backend.free_bytes), "provisioned_capacity_gb": backend.provisioned_gib,
        "allocated_capacity_gb": backend.provisioned_gib, "reserved_percentage": 0, "QoS_support": false,
        "multiattach": true, "thin_provisioning_support": true, "max_over_subscription_ratio": "20.0",
        "filter_function": null, "goodness_function": null, "timestamp": backend.reported_at.iso_naive(),
        "updated": backend.reported_at.iso_naive(), "location_info": null, "pool_name": backend.name,
    })
}

endpoint! {
    /// Show what a back end can do.
    ShowCapabilities: GET "/v3/{project_id}/capabilities/{id}" => 200,
    policy: rules::Capabilities,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_capabilities,
}
async fn show_capabilities(cx: Cx, req: Req<ShowCapabilities>) -> Reply<ShowCapabilities> {
    at_project(&cx, &req.path.project_id)?;
    let all = backends::list(cx.db()).await?;
    let wanted = req.path.id.split('#').next().unwrap_or_default();
    let found = all.iter().find(|backend| backend.service_host() == wanted);
    let found = found.ok_or_else(|| {
        Fault::not_found(format!(
            "Service (cinder-volume) could not be found on host {}.",
            req.path.id
        ))
    })?;
    Ok(Json(json!({
        "namespace": format!("OS::Storage::Capabilities::{}", found.service_host()), "vendor_name": "Nephos",
        "volume_backend_name": found.name, "pool_name": null, "driver_version": env!("CARGO_PKG_VERSION"),
        "storage_protocol": "file", "display_name": null, "description": null, "visibility": null,
        "replication_targets": [], "properties": {},
    })))
}

endpoint! {
    /// List hosts.
    ListHosts: GET "/v3/{project_id}/os-hosts" => 200,
    policy: rules::Hosts,
    path: ProjectPath,
    reply: Json<Value>,
    handler: list_hosts,
}
async fn list_hosts(cx: Cx, req: Req<ListHosts>) -> Reply<ListHosts> {
    at_project(&cx, &req.path.project_id)?;
    let all = backends::list(cx.db()).await?;
    let hosts: Vec<Value> = all
        .iter()
        .map(|backend| {
            let state = if backend.disabled {
                "disabled"
            } else {
                "enabled"
            };
            json!({
                "host_name": backend.service_host(), "service": VOLUME, "zone": backend.zone,
                "service-status": if backend.is_up(cx.now()) { "available" } else { "unavailable" },
                "service-state": state, "last-update": backend.reported_at.iso_naive(),
            })
        })
        .collect();
    Ok(Json(json!({ "hosts": hosts })))
}

endpoint! {
    /// Show a host: what projects have on it.
    ShowHost: GET "/v3/{project_id}/os-hosts/{id}" => 200,
    policy: rules::Hosts,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_host,
}
async fn show_host(cx: Cx, req: Req<ShowHost>) -> Reply<ShowHost> {
    at_project(&cx, &req.path.project_id)?;
    let all = backends::list(cx.db()).await?;
    let found = all
        .iter()
        .find(|backend| backend.service_host() == req.path.id);
    let found = found
        .ok_or_else(|| Fault::not_found(format!("Host {} could not be found.", req.path.id)))?;
    let rows = backends::by_project(cx.db(), &found.name).await?;
    let resource = |project: &str, sums: [i64; 4]| {
        let [volumes, volume_gib, snapshots, snapshot_gib] = sums;
        json!({"resource": {
            "host": req.path.id, "project": project, "volume_count": volumes.to_string(),
            "total_volume_gb": volume_gib.to_string(), "snapshot_count": snapshots.to_string(),
            "total_snapshot_gb": snapshot_gib.to_string(),
        }})
    };
    let total = rows.values().fold([0; 4], |sum, row| {
        std::array::from_fn(|at| {
            sum.get(at).copied().unwrap_or(0) + row.get(at).copied().unwrap_or(0)
        })
    });
    let mut views = vec![resource("(total)", total)];
    views.extend(rows.iter().map(|(project, sums)| resource(project, *sums)));
    Ok(Json(json!({ "host": views })))
}
