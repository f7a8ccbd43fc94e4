//! `/os-hypervisors`: what hosts have.

use std::collections::BTreeMap;

use nephos_api::version::{hide, v};
use nephos_api::{Fault, Json, Params, Reply, Req, Shape, endpoint};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::flavors::Link;
use super::versions::{HYPERVISOR_BRIEF, HYPERVISOR_VIEW};
use super::{Cx, page_limit};
use crate::store::hosts::HostRow;
use crate::store::servers::HostUse;
use crate::{rules, store};

#[derive(Debug, Deserialize)]
pub(crate) struct HypervisorPath {
    id: String,
}

/// A hypervisor as the newest version shows it. What 2.88 took away is carried for older shapes.
#[derive(Serialize, ToSchema)]
pub(crate) struct HypervisorView {
    id: String,
    #[serde(rename = "_number", skip_serializing_if = "hide")]
    number: i64,
    hypervisor_hostname: String,
    state: &'static str,
    status: &'static str,
    hypervisor_type: String,
    hypervisor_version: u32,
    host_ip: String,
    service: ServiceRef,
    uptime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<ServerRef>>,
    #[serde(rename = "_vcpus", skip_serializing_if = "hide")]
    vcpus: i64,
    #[serde(rename = "_memory_mb", skip_serializing_if = "hide")]
    memory_mb: i64,
    #[serde(rename = "_local_gb", skip_serializing_if = "hide")]
    local_gb: i64,
    #[serde(rename = "_vcpus_used", skip_serializing_if = "hide")]
    vcpus_used: i64,
    #[serde(rename = "_memory_mb_used", skip_serializing_if = "hide")]
    memory_mb_used: i64,
    #[serde(rename = "_local_gb_used", skip_serializing_if = "hide")]
    local_gb_used: i64,
    #[serde(rename = "_free_ram_mb", skip_serializing_if = "hide")]
    free_ram_mb: i64,
    #[serde(rename = "_free_disk_gb", skip_serializing_if = "hide")]
    free_disk_gb: i64,
    #[serde(rename = "_current_workload", skip_serializing_if = "hide")]
    current_workload: i64,
    #[serde(rename = "_running_vms", skip_serializing_if = "hide")]
    running_vms: i64,
    #[serde(rename = "_disk_available_least", skip_serializing_if = "hide")]
    disk_available_least: i64,
    #[serde(rename = "_cpu_info", skip_serializing_if = "hide")]
    cpu_info: Value,
}

#[derive(Serialize, ToSchema)]
struct ServiceRef {
    id: String,
    host: String,
    disabled_reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ServerRef {
    uuid: String,
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BriefHypervisor {
    id: String,
    #[serde(rename = "_number", skip_serializing_if = "hide")]
    number: i64,
    hypervisor_hostname: String,
    state: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<ServerRef>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HypervisorReply {
    hypervisor: HypervisorView,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HypervisorList {
    hypervisors: Vec<HypervisorView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hypervisors_links: Vec<Link>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BriefHypervisorList {
    hypervisors: Vec<BriefHypervisor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hypervisors_links: Vec<Link>,
}

/// The hosts of one request, with what servers use of them.
struct Shown {
    rows: Vec<HostRow>,
    usage: BTreeMap<String, HostUse>,
    servers: Option<BTreeMap<String, Vec<(String, String)>>>,
    links: Vec<Link>,
}

fn state(cx: &Cx, row: &HostRow) -> (&'static str, &'static str) {
    let up = row.is_up(cx.now(), cx.config.host_down_after_secs);
    (
        if up { "up" } else { "down" },
        if row.disabled { "disabled" } else { "enabled" },
    )
}

impl Shown {
    fn refs(&self, row: &HostRow) -> Option<Vec<ServerRef>> {
        let all = self.servers.as_ref()?.get(&row.host).into_iter().flatten();
        Some(
            all.map(|(uuid, name)| ServerRef {
                uuid: uuid.clone(),
                name: name.clone(),
            })
            .collect(),
        )
    }

    fn brief(&self, cx: &Cx, row: &HostRow) -> BriefHypervisor {
        let (state, status) = state(cx, row);
        BriefHypervisor {
            id: row.provider_id.clone(),
            number: row.number,
            hypervisor_hostname: row.inventory.hypervisor_hostname.clone(),
            state,
            status,
            servers: self
                .refs(row)
                .filter(|refs| !refs.is_empty() || cx.version >= v(2, 75)),
        }
    }

    fn view(&self, cx: &Cx, row: &HostRow) -> HypervisorView {
        let BriefHypervisor {
            id,
            number,
            hypervisor_hostname,
            state,
            status,
            servers,
        } = self.brief(cx, row);
        let host = &row.inventory;
        let used = self.usage.get(&row.host).copied().unwrap_or_default();
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let reserved = whole(cx.config.reserved_host_memory_mib);
        HypervisorView {
            id,
            number,
            hypervisor_hostname,
            state,
            status,
            hypervisor_type: host.hypervisor_type.clone(),
            hypervisor_version: host.hypervisor_version,
            host_ip: host.host_ip.clone(),
            service: ServiceRef {
                id: row.service_id.clone(),
                host: row.host.clone(),
                disabled_reason: row.disabled_reason.clone(),
            },
            uptime: (state == "up").then(|| uptime(cx, row)),
            servers,
            vcpus: i64::from(host.vcpus),
            memory_mb: whole(host.ram_mib),
            local_gb: whole(host.disk_gib),
            vcpus_used: used.vcpus,
            memory_mb_used: used.ram_mib + reserved,
            local_gb_used: used.disk_gib,
            free_ram_mb: whole(host.ram_mib) - used.ram_mib - reserved,
            free_disk_gb: whole(host.disk_gib) - used.disk_gib,
            current_workload: used.busy,
            running_vms: used.servers,
            disk_available_least: whole(host.disk_free_gib),
            cpu_info: cpu_info(row),
        }
    }
}

fn cpu_info(row: &HostRow) -> Value {
    let cpu = &row.inventory.cpu;
    json!({
        "arch": cpu.arch, "model": cpu.model, "vendor": cpu.vendor, "features": cpu.features,
        "topology": {"sockets": cpu.sockets, "cores": cpu.cores, "threads": cpu.threads, "cells": 1},
    })
}

/// As `uptime` prints it: Horizon and people read it so.
fn uptime(cx: &Cx, row: &HostRow) -> String {
    let secs = row.inventory.uptime_secs;
    let (days, hours, minutes) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60);
    let now = cx.now().format("%H:%M:%S");
    format!(
        " {now} up {days} days, {hours:2}:{minutes:02},  0 users,  load average: 0.00, 0.00, 0.00\n"
    )
}

async fn shown(cx: &Cx, path: &str, query: &Params) -> Result<Shown, Fault> {
    let mut rows = store::hosts::list(cx.db()).await?;
    let mut links = Vec::new();
    let pattern = query
        .get("hypervisor_hostname_pattern")
        .filter(|_| cx.version >= v(2, 53));
    if let Some(pattern) = pattern {
        if query.get("limit").is_some() || query.get("marker").is_some() {
            return Err(Fault::bad_request(
                "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.",
            ));
        }
        rows = matching(rows, pattern)?;
    } else if cx.version >= v(2, 33) {
        if let Some(marker) = query.get("marker") {
            let here =
                |row: &HostRow| row.provider_id == marker || row.number.to_string() == marker;
            let at = rows.iter().position(here);
            let at =
                at.ok_or_else(|| Fault::bad_request(format!("marker [{marker}] not found")))?;
            rows = rows.split_off(at + 1);
        }
        let limit = usize::try_from(page_limit(query.get("limit"))?).unwrap_or(usize::MAX);
        if rows.len() > limit {
            rows.truncate(limit);
            let marker = rows.last().map(|row| match cx.version >= v(2, 53) {
                true => row.provider_id.clone(),
                false => row.number.to_string(),
            });
            let href = super::server_list::next_url(cx, path, query, &marker.unwrap_or_default());
            links.push(Link { rel: "next", href });
        }
    }
    let with_servers = match query.get("with_servers").filter(|_| cx.version >= v(2, 53)) {
        None => false,
        Some(word) => super::truth(word).ok_or_else(|| {
            Fault::bad_request(format!(
                "Invalid input for query parameters with_servers. Value: {word}."
            ))
        })?,
    };
    let servers = if with_servers {
        Some(store::servers::by_host(cx.db()).await?)
    } else {
        None
    };
    let usage = store::servers::use_of_hosts(cx.db()).await?;
    Ok(Shown {
        rows,
        usage,
        servers,
        links,
    })
}

fn matching(rows: Vec<HostRow>, pattern: &str) -> Result<Vec<HostRow>, Fault> {
    let found: Vec<HostRow> = rows
        .into_iter()
        .filter(|row| row.inventory.hypervisor_hostname.contains(pattern))
        .collect();
    if found.is_empty() {
        return Err(Fault::not_found(format!(
            "No hypervisor matching '{pattern}' could be found."
        )));
    }
    Ok(found)
}

endpoint! {
    /// List hypervisors.
    ListHypervisors: GET "/v2.1/os-hypervisors" => 200,
    policy: rules::ListHypervisors,
    query: Params,
    reply: Json<BriefHypervisorList> as Shape::each("hypervisors", HYPERVISOR_BRIEF),
    handler: list_hypervisors,
}

async fn list_hypervisors(cx: Cx, req: Req<ListHypervisors>) -> Reply<ListHypervisors> {
    let mut shown = shown(&cx, "/v2.1/os-hypervisors", &req.query).await?;
    let hypervisors_links = std::mem::take(&mut shown.links);
    let hypervisors = shown.rows.iter().map(|row| shown.brief(&cx, row)).collect();
    Ok(Json(BriefHypervisorList {
        hypervisors,
        hypervisors_links,
    }))
}

endpoint! {
    /// List hypervisors with details.
    ListHypervisorsDetail: GET "/v2.1/os-hypervisors/detail" => 200,
    policy: rules::ListHypervisorsDetail,
    query: Params,
    reply: Json<HypervisorList> as Shape::each("hypervisors", HYPERVISOR_VIEW),
    handler: list_hypervisors_detail,
}

async fn list_hypervisors_detail(
    cx: Cx,
    req: Req<ListHypervisorsDetail>,
) -> Reply<ListHypervisorsDetail> {
    let mut shown = shown(&cx, "/v2.1/os-hypervisors/detail", &req.query).await?;
    let hypervisors_links = std::mem::take(&mut shown.links);
    let hypervisors = shown.rows.iter().map(|row| shown.view(&cx, row)).collect();
    Ok(Json(HypervisorList {
        hypervisors,
        hypervisors_links,
    }))
}

/// Below 2.53 hypervisors are known by numbers.
async fn one(cx: &Cx, id: &str) -> Result<HostRow, Fault> {
    let by_number = cx.version < v(2, 53);
    if !by_number && uuid::Uuid::try_parse(id).is_err() {
        return Err(Fault::bad_request(format!("Invalid uuid {id}")));
    }
    let rows = store::hosts::list(cx.db()).await?;
    let found = rows.into_iter().find(|row| match by_number {
        true => row.number.to_string() == id,
        false => row.provider_id == id,
    });
    found.ok_or_else(|| Fault::not_found(format!("Compute host {id} could not be found.")))
}

endpoint! {
    /// Show a hypervisor.
    ShowHypervisor: GET "/v2.1/os-hypervisors/{id}" => 200,
    policy: rules::ShowHypervisor,
    path: HypervisorPath,
    query: Params,
    reply: Json<HypervisorReply> as Shape::one("hypervisor", HYPERVISOR_VIEW),
    handler: show_hypervisor,
}

async fn show_hypervisor(cx: Cx, req: Req<ShowHypervisor>) -> Reply<ShowHypervisor> {
    let row = one(&cx, &req.path.id).await?;
    let mut shown = shown(&cx, "", &Params(only_servers(&req.query))).await?;
    shown.links.clear();
    Ok(Json(HypervisorReply {
        hypervisor: shown.view(&cx, &row),
    }))
}

fn only_servers(query: &Params) -> Vec<(String, String)> {
    query
        .0
        .iter()
        .filter(|(key, _)| key == "with_servers")
        .cloned()
        .collect()
}

endpoint! {
    /// Find hypervisors by a part of their name.
    SearchHypervisors: GET "/v2.1/os-hypervisors/{id}/search" => 200,
    versions: 2.1..=2.52,
    policy: rules::SearchHypervisors,
    path: HypervisorPath,
    reply: Json<BriefHypervisorList> as Shape::each("hypervisors", HYPERVISOR_BRIEF),
    handler: search_hypervisors,
}

async fn search_hypervisors(cx: Cx, req: Req<SearchHypervisors>) -> Reply<SearchHypervisors> {
    let shown = found(&cx, &req.path.id, false).await?;
    let hypervisors = shown.rows.iter().map(|row| shown.brief(&cx, row)).collect();
    Ok(Json(BriefHypervisorList {
        hypervisors,
        hypervisors_links: Vec::new(),
    }))
}

endpoint! {
    /// List the servers on hypervisors with a name like this.
    ListHypervisorServers: GET "/v2.1/os-hypervisors/{id}/servers" => 200,
    versions: 2.1..=2.52,
    policy: rules::HypervisorServers,
    path: HypervisorPath,
    reply: Json<BriefHypervisorList> as Shape::each("hypervisors", HYPERVISOR_BRIEF),
    handler: list_hypervisor_servers,
}

async fn list_hypervisor_servers(
    cx: Cx,
    req: Req<ListHypervisorServers>,
) -> Reply<ListHypervisorServers> {
    let shown = found(&cx, &req.path.id, true).await?;
    let hypervisors = shown.rows.iter().map(|row| shown.brief(&cx, row)).collect();
    Ok(Json(BriefHypervisorList {
        hypervisors,
        hypervisors_links: Vec::new(),
    }))
}

async fn found(cx: &Cx, pattern: &str, with_servers: bool) -> Result<Shown, Fault> {
    let rows = matching(store::hosts::list(cx.db()).await?, pattern)?;
    let servers = if with_servers {
        Some(store::servers::by_host(cx.db()).await?)
    } else {
        None
    };
    Ok(Shown {
        rows,
        usage: BTreeMap::new(),
        servers,
        links: Vec::new(),
    })
}

endpoint! {
    /// Show the sum over all hypervisors.
    ShowStatistics: GET "/v2.1/os-hypervisors/statistics" => 200,
    versions: 2.1..=2.87,
    policy: rules::HypervisorStatistics,
    reply: Json<Value>,
    handler: show_statistics,
}

async fn show_statistics(cx: Cx, _req: Req<ShowStatistics>) -> Reply<ShowStatistics> {
    let shown = shown(&cx, "", &Params::default()).await?;
    let views: Vec<HypervisorView> = shown
        .rows
        .iter()
        .filter(|row| !row.disabled)
        .map(|row| shown.view(&cx, row))
        .collect();
    let sum = |part: fn(&HypervisorView) -> i64| views.iter().map(part).sum::<i64>();
    Ok(Json(json!({"hypervisor_statistics": {
        "count": views.len(),
        "vcpus": sum(|view| view.vcpus),
        "memory_mb": sum(|view| view.memory_mb),
        "local_gb": sum(|view| view.local_gb),
        "vcpus_used": sum(|view| view.vcpus_used),
        "memory_mb_used": sum(|view| view.memory_mb_used),
        "local_gb_used": sum(|view| view.local_gb_used),
        "free_ram_mb": sum(|view| view.free_ram_mb),
        "free_disk_gb": sum(|view| view.free_disk_gb),
        "current_workload": sum(|view| view.current_workload),
        "running_vms": sum(|view| view.running_vms),
        "disk_available_least": sum(|view| view.disk_available_least),
    }})))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct UptimeView {
    id: String,
    #[serde(rename = "_number", skip_serializing_if = "hide")]
    number: i64,
    hypervisor_hostname: String,
    state: &'static str,
    status: &'static str,
    uptime: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct UptimeReply {
    hypervisor: UptimeView,
}

endpoint! {
    /// Show how long a hypervisor has been up.
    ShowUptime: GET "/v2.1/os-hypervisors/{id}/uptime" => 200,
    versions: 2.1..=2.87,
    policy: rules::HypervisorUptime,
    path: HypervisorPath,
    reply: Json<UptimeReply> as Shape::one("hypervisor", HYPERVISOR_BRIEF),
    handler: show_uptime,
}

async fn show_uptime(cx: Cx, req: Req<ShowUptime>) -> Reply<ShowUptime> {
    let row = one(&cx, &req.path.id).await?;
    let (state, status) = state(&cx, &row);
    if state == "down" {
        return Err(Fault::bad_request(format!(
            "Compute service of {} is unavailable at this time.",
            row.host
        )));
    }
    let uptime = uptime(&cx, &row);
    let hypervisor = UptimeView {
        id: row.provider_id,
        number: row.number,
        hypervisor_hostname: row.inventory.hypervisor_hostname,
        state,
        status,
        uptime,
    };
    Ok(Json(UptimeReply { hypervisor }))
}
