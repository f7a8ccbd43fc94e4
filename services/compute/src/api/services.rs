//! `/os-services`: the agents of hosts, taken out of service and back.

use nephos_api::version::{hide, v};
use nephos_api::{Fault, Json, Params, Reply, Req, Shape, endpoint};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Cx;
use super::versions::SERVICE_VIEW;
use crate::store::hosts::HostRow;
use crate::{rules, store};

/// The only kind of service that hosts have.
const BINARY: &str = "nova-compute";

#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceView {
    id: String,
    #[serde(rename = "_number", skip_serializing_if = "hide")]
    number: i64,
    binary: &'static str,
    host: String,
    zone: String,
    status: &'static str,
    state: &'static str,
    updated_at: String,
    disabled_reason: Option<String>,
    forced_down: bool,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceList {
    services: Vec<ServiceView>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceReply {
    service: ServiceView,
}

fn view(cx: &Cx, row: HostRow) -> ServiceView {
    let up = row.is_up(cx.now(), cx.config.host_down_after_secs);
    ServiceView {
        id: row.service_id,
        number: row.number,
        binary: BINARY,
        host: row.host,
        zone: row.zone,
        status: if row.disabled { "disabled" } else { "enabled" },
        state: if up { "up" } else { "down" },
        updated_at: row.seen_at.max(row.updated_at).iso_naive(),
        disabled_reason: row.disabled_reason,
        forced_down: row.forced_down,
    }
}

endpoint! {
    /// List services.
    ListServices: GET "/v2.1/os-services" => 200,
    policy: rules::ListServices,
    query: Params,
    reply: Json<ServiceList> as Shape::each("services", SERVICE_VIEW),
    handler: list_services,
}

async fn list_services(cx: Cx, req: Req<ListServices>) -> Reply<ListServices> {
    super::refuse_unknown(&cx, &req.query, v(2, 75), &["host", "binary"])?;
    let rows = store::hosts::list(cx.db()).await?;
    let wanted = |row: &HostRow| {
        req.query.get("host").is_none_or(|host| host == row.host)
            && req
                .query
                .get("binary")
                .is_none_or(|binary| binary == BINARY)
    };
    let services = rows
        .into_iter()
        .filter(wanted)
        .map(|row| view(&cx, row))
        .collect();
    Ok(Json(ServiceList { services }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceUpdate {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    disabled_reason: Option<String>,
    #[serde(default)]
    forced_down: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ServicePath {
    id: String,
}

endpoint! {
    /// Take a service out, or back.
    UpdateService: PUT "/v2.1/os-services/{id}" => 200,
    versions: 2.53..,
    policy: rules::UpdateService,
    path: ServicePath,
    body: Json<ServiceUpdate>,
    reply: Json<ServiceReply> as Shape::one("service", SERVICE_VIEW),
    handler: update_service,
}

async fn update_service(cx: Cx, req: Req<UpdateService>) -> Reply<UpdateService> {
    let id = &req.path.id;
    if uuid::Uuid::try_parse(id).is_err() {
        return Err(Fault::bad_request(format!("Invalid uuid {id}")));
    }
    let ServiceUpdate {
        status,
        disabled_reason,
        forced_down,
    } = req.body.0;
    if status.is_none() && forced_down.is_none() {
        return Err(Fault::bad_request(
            "No updates were requested. Fields 'status' or 'forced_down' should be specified.",
        ));
    }
    let rows = store::hosts::list(cx.db()).await?;
    let found = rows.into_iter().find(|row| row.service_id == *id);
    let row = found.ok_or_else(|| Fault::not_found(format!("Service {id} could not be found.")))?;
    let host = row.host;
    let disabled = match status.as_deref() {
        None => None,
        Some("enabled") if disabled_reason.is_some() => {
            return Err(Fault::bad_request(
                "Specifying 'disabled_reason' when status is 'enabled' is invalid.",
            ));
        }
        Some("enabled") => Some((false, None)),
        Some("disabled") => Some((true, disabled_reason.map(reason).transpose()?)),
        Some(other) => {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute status. '{other}' is neither enabled nor disabled."
            )));
        }
    };
    let mut tx = cx.write().await?;
    if let Some((disabled, why)) = disabled {
        store::hosts::set_disabled(&mut tx, cx.now(), &host, (disabled, why.as_deref())).await?;
    }
    if let Some(down) = forced_down {
        store::hosts::set_forced_down(&mut tx, cx.now(), &host, down).await?;
    }
    tx.commit().await?;
    let row = store::hosts::get(cx.db(), &host).await?;
    let row = row.ok_or_else(|| Fault::not_found(format!("Service {id} could not be found.")))?;
    Ok(Json(ServiceReply {
        service: view(&cx, row),
    }))
}

fn reason(text: String) -> Result<String, Fault> {
    if text.trim().is_empty() || text.chars().count() > 255 {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute disabled_reason. 1 to 255 characters.",
        ));
    }
    Ok(text)
}

async fn disable(cx: &Cx, host: &str, state: (bool, Option<&str>)) -> Result<(), Fault> {
    let mut tx = cx.write().await?;
    store::hosts::set_disabled(&mut tx, cx.now(), host, state).await?;
    Ok(tx.commit().await?)
}

/// Below 2.53 a service is known by host and binary.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByName {
    host: String,
    binary: String,
    #[serde(default)]
    disabled_reason: Option<String>,
    #[serde(default)]
    forced_down: Option<bool>,
}

async fn by_name(cx: &Cx, body: &ByName) -> Result<HostRow, Fault> {
    let ByName { host, binary, .. } = body;
    let missing = || Fault::not_found(format!("Could not find binary {binary} on host {host}."));
    if binary != BINARY {
        return Err(missing());
    }
    store::hosts::get(cx.db(), host).await?.ok_or_else(missing)
}

endpoint! {
    /// Take a host back into service, as it was.
    EnableService: PUT "/v2.1/os-services/enable" => 200,
    versions: 2.1..=2.52,
    policy: rules::UpdateService,
    body: Json<ByName>,
    reply: Json<Value>,
    handler: enable_service,
}

async fn enable_service(cx: Cx, req: Req<EnableService>) -> Reply<EnableService> {
    let row = by_name(&cx, &req.body).await?;
    disable(&cx, &row.host, (false, None)).await?;
    Ok(Json(
        json!({"service": {"host": row.host, "binary": BINARY, "status": "enabled"}}),
    ))
}

endpoint! {
    /// Take a host out of service, as it was.
    DisableService: PUT "/v2.1/os-services/disable" => 200,
    versions: 2.1..=2.52,
    policy: rules::UpdateService,
    body: Json<ByName>,
    reply: Json<Value>,
    handler: disable_service,
}

async fn disable_service(cx: Cx, req: Req<DisableService>) -> Reply<DisableService> {
    let row = by_name(&cx, &req.body).await?;
    disable(&cx, &row.host, (true, None)).await?;
    Ok(Json(
        json!({"service": {"host": row.host, "binary": BINARY, "status": "disabled"}}),
    ))
}

endpoint! {
    /// Take a host out of service and say why, as it was.
    DisableServiceWhy: PUT "/v2.1/os-services/disable-log-reason" => 200,
    versions: 2.1..=2.52,
    policy: rules::UpdateService,
    body: Json<ByName>,
    reply: Json<Value>,
    handler: disable_service_why,
}

async fn disable_service_why(cx: Cx, req: Req<DisableServiceWhy>) -> Reply<DisableServiceWhy> {
    let asked = req.body.disabled_reason.clone();
    let why = reason(asked.ok_or_else(|| Fault::bad_request("Missing disabled reason field"))?)?;
    let row = by_name(&cx, &req.body).await?;
    disable(&cx, &row.host, (true, Some(&why))).await?;
    let shown =
        json!({"host": row.host, "binary": BINARY, "status": "disabled", "disabled_reason": why});
    Ok(Json(json!({ "service": shown })))
}

endpoint! {
    /// Declare a host dead, or take it back, as it was.
    ForceDownService: PUT "/v2.1/os-services/force-down" => 200,
    versions: 2.11..=2.52,
    policy: rules::UpdateService,
    body: Json<ByName>,
    reply: Json<Value>,
    handler: force_down_service,
}

async fn force_down_service(cx: Cx, req: Req<ForceDownService>) -> Reply<ForceDownService> {
    let asked = req.body.forced_down;
    let down = asked.ok_or_else(|| Fault::bad_request("Missing forced_down field"))?;
    let row = by_name(&cx, &req.body).await?;
    let mut tx = cx.write().await?;
    store::hosts::set_forced_down(&mut tx, cx.now(), &row.host, down).await?;
    tx.commit().await?;
    Ok(Json(
        json!({"service": {"host": row.host, "binary": BINARY, "forced_down": down}}),
    ))
}
