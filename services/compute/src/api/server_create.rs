//! `POST /servers`: references are checked at once (Nova answers 400 for bad ones), then the wish is written; the work
//! is the boot operation's.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use nephos_api::version::v;
use nephos_api::{Fault, Json, Reply, Req, Shape, With, endpoint, quoted};
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::flavors::{Link, Number, links};
use super::server_devices::{BlockDevice, names_volumes};
use super::server_fields::{Fields, fields, zone_and_host};
use super::server_references::{References, check_references, references};
use super::versions::{SERVER_CREATE, SERVER_CREATE_KEYS};
use super::{Cx, asked, fault, is_true};
use crate::model::name;
use crate::model::quota::Usage;
use crate::model::server::{Server, VmState, power};
use crate::model::spec::ServerId;
use crate::ops::{self, Work};
use crate::{rules, store};

/// Servers of one request.
const MAX_COUNT: i64 = 1000;

#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateBody {
    server: NewServer,
    #[serde(
        default,
        rename = "os:scheduler_hints",
        alias = "OS-SCH-HNT:scheduler_hints"
    )]
    #[schema(value_type = Option<Object>)]
    hints: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct NewServer {
    pub(super) name: String,
    #[serde(default, rename = "imageRef")]
    pub(super) image: Option<String>,
    #[serde(rename = "flavorRef")]
    pub(super) flavor: Value,
    #[serde(default, rename = "adminPass")]
    pub(super) admin_pass: Option<String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) networks: Option<Networks>,
    #[serde(default, rename = "OS-DCF:diskConfig")]
    pub(super) disk_config: Option<String>,
    #[serde(default, rename = "accessIPv4")]
    pub(super) access_ipv4: Option<String>,
    #[serde(default, rename = "accessIPv6")]
    pub(super) access_ipv6: Option<String>,
    #[serde(default)]
    pub(super) availability_zone: Option<String>,
    #[serde(default)]
    pub(super) block_device_mapping: Option<Vec<BlockDevice>>,
    #[serde(default)]
    pub(super) block_device_mapping_v2: Option<Vec<BlockDevice>>,
    #[serde(default)]
    pub(super) config_drive: Option<Value>,
    #[serde(default)]
    pub(super) key_name: Option<String>,
    #[serde(default)]
    pub(super) min_count: Option<Number>,
    #[serde(default)]
    pub(super) max_count: Option<Number>,
    #[serde(default)]
    pub(super) return_reservation_id: Option<Value>,
    #[serde(default)]
    pub(super) security_groups: Option<Vec<GroupRef>>,
    #[serde(default)]
    pub(super) user_data: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) personality: Option<Vec<File>>,
    #[serde(default)]
    pub(super) trusted_image_certificates: Option<Vec<String>>,
    #[serde(default)]
    pub(super) host: Option<String>,
    #[serde(default)]
    pub(super) hypervisor_hostname: Option<String>,
    #[serde(default)]
    pub(super) hostname: Option<String>,
}

/// `auto`, `none`, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Networks {
    Word(String),
    List(Vec<NetworkRef>),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkRef {
    #[serde(default)]
    pub(super) uuid: Option<String>,
    #[serde(default)]
    pub(super) port: Option<String>,
    #[serde(default)]
    pub(super) fixed_ip: Option<String>,
    #[serde(default)]
    pub(super) tag: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) contents: String,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct GroupRef {
    pub(super) name: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedReply {
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Created>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Created {
    id: String,
    links: Vec<Link>,
    #[serde(rename = "OS-DCF:diskConfig")]
    disk_config: String,
    security_groups: Vec<Value>,
    #[serde(rename = "adminPass")]
    admin_pass: String,
}

endpoint! {
    /// Create one or more servers.
    CreateServers: POST "/v2.1/servers" => 202,
    policy: rules::CreateServer,
    body: Json<CreateBody> as Shape::one("server", SERVER_CREATE).keys(SERVER_CREATE_KEYS),
    reply: With<Json<CreatedReply>>,
    handler: create_servers,
}

async fn create_servers(cx: Cx, req: Req<CreateServers>) -> Reply<CreateServers> {
    let CreateBody { server: new, hints } = req.body.0;
    let group = group_hint(hints.as_ref())?;
    let (least, most) = counts(&new)?;
    let fields = fields(&cx, &new)?;
    check_references(&cx, &new)?;
    check_many(&new, most)?;
    let references = references(&cx, &new).await?;
    let mut first = plan(&cx, &new, fields, references)?;
    first.group_id = group;
    check_place(&cx, &first).await?;
    let limits = store::quota::limits(cx.db(), first.project_id.as_str()).await?;
    check_limits(&first, &limits)?;
    let count = fitting(&cx, &first, &limits, (least, most)).await?;
    let servers = copies(&first, count);
    let first = servers.first().unwrap_or(&first);
    let usage = servers
        .iter()
        .map(Server::usage)
        .fold(Usage::default(), |sum, one| Usage {
            instances: sum.instances + one.instances,
            cores: sum.cores + one.cores,
            ram: sum.ram + one.ram,
        });
    let mut tx = cx.write().await?;
    let taken = store::quota::take(&mut tx, first.project_id.as_str(), &limits, usage).await?;
    if let Err(over) = taken {
        return Err(fault::over_quota(&over));
    }
    join_group(&mut tx, first, servers.len(), &limits).await?;
    store::servers::insert(&mut tx, &servers).await?;
    let work = Work {
        kind: ops::boot::Boot::NAME,
        server: &first.id,
        action: "create",
        args: json!({}),
        deadline_secs: cx.config.boot_deadline_secs,
    };
    let ids: Vec<_> = servers.iter().map(|server| &server.id).collect();
    let begun = ops::begin_new(&mut tx, asked(&cx), work, &ids).await;
    begun.map_err(|why| fault::busy(first, "create", why))?;
    tx.commit().await?;
    Ok(reply(&cx, &new, first))
}

/// What can be had only once is not for several servers.
fn check_many(new: &NewServer, most: u32) -> Result<(), Fault> {
    if most == 1 {
        return Ok(());
    }
    if let Some(Networks::List(list)) = &new.networks {
        if list.iter().any(|wish| wish.port.is_some()) {
            return Err(Fault::bad_request(
                "Unable to launch multiple instances with a single configured port ID. Please launch your instance one \
                 by one with different ports.",
            ));
        }
        if list.iter().any(|wish| wish.fixed_ip.is_some()) {
            return Err(Fault::bad_request(
                "Unable to launch multiple instances with a single fixed IP address. Please launch your instance one \
                 by one with different addresses.",
            ));
        }
    }
    if names_volumes(new) {
        return Err(Fault::bad_request(
            "Cannot attach one or more volumes to multiple instances",
        ));
    }
    if new.hostname.is_some() {
        return Err(Fault::bad_request(
            "Unable to launch multiple instances with a single hostname.",
        ));
    }
    Ok(())
}

/// A zone or a host that is not there is said at once (Nova answers 400).
async fn check_place(cx: &Cx, server: &Server) -> Result<(), Fault> {
    if server.wanted_zone.is_none() && server.wanted_host.is_none() {
        return Ok(());
    }
    let hosts = store::hosts::states(cx.db(), None).await?;
    if let Some(zone) = &server.wanted_zone
        && *zone != cx.config.default_zone
        && !hosts.iter().any(|host| host.zone == *zone)
    {
        return Err(Fault::bad_request(
            "The requested availability zone is not available",
        ));
    }
    match &server.wanted_host {
        Some(name) if !hosts.iter().any(|host| host.host == *name) => Err(Fault::bad_request(
            format!("Compute host {name} could not be found."),
        )),
        _known => Ok(()),
    }
}

fn check_limits(server: &Server, limits: &BTreeMap<String, i64>) -> Result<(), Fault> {
    let over = |name: &str, amount: usize| {
        let limit = limits.get(name).copied().unwrap_or(-1);
        limit >= 0 && i64::try_from(amount).unwrap_or(i64::MAX) > limit
    };
    if over("metadata_items", server.metadata.len()) {
        let limit = limits.get("metadata_items").copied().unwrap_or(0);
        return Err(Fault::forbidden(format!(
            "Maximum number of metadata items exceeds {limit}"
        )));
    }
    if over("injected_files", server.files.len()) {
        return Err(Fault::forbidden("Personality file limit exceeded"));
    }
    let size = |file: &(String, String)| STANDARD.decode(&file.1).map_or(0, |bytes| bytes.len());
    if server
        .files
        .iter()
        .any(|file| over("injected_file_content_bytes", size(file)))
    {
        return Err(Fault::forbidden("Personality file content exceeds maximum"));
    }
    if server
        .files
        .iter()
        .any(|file| over("injected_file_path_bytes", file.0.len()))
    {
        return Err(Fault::forbidden("Personality file path exceeds maximum"));
    }
    Ok(())
}

/// As many as the quota has room for, between what is needed at least and what would be taken at most.
async fn fitting(
    cx: &Cx,
    server: &Server,
    limits: &BTreeMap<String, i64>,
    (least, most): (u32, u32),
) -> Result<u32, Fault> {
    if least == most {
        return Ok(most);
    }
    let used = store::quota::usage(cx.db(), server.project_id.as_str()).await?;
    let room = server
        .usage()
        .each()
        .into_iter()
        .filter_map(|(resource, each)| {
            let limit = limits.get(resource).copied().filter(|limit| *limit >= 0)?;
            let free = (limit - used.get(resource).copied().unwrap_or(0)).max(0);
            free.checked_div(each)
        });
    let room = room
        .min()
        .and_then(|room| u32::try_from(room).ok())
        .unwrap_or(most);
    // Less than the least is for the quota itself to refuse, in its own words.
    Ok(room.clamp(least, most))
}

fn reply(cx: &Cx, new: &NewServer, first: &Server) -> With<Json<CreatedReply>> {
    let wants_reservation = new.return_reservation_id.as_ref().is_some_and(is_true);
    if wants_reservation {
        let reservation_id = Some(first.reservation_id.clone());
        return With::new(Json(CreatedReply {
            server: None,
            reservation_id,
        }));
    }
    let groups = first
        .security_groups
        .iter()
        .map(|name| json!({ "name": name }))
        .collect();
    let created = Created {
        id: first.id.to_string(),
        links: links(cx, "servers", first.id.as_str()),
        disk_config: first.disk_config.clone(),
        security_groups: groups,
        admin_pass: first.admin_pass.clone().unwrap_or_default(),
    };
    let location = cx.url(&format!("/v2.1/servers/{}", first.id));
    With::new(Json(CreatedReply {
        server: Some(created),
        reservation_id: None,
    }))
    .header(header::LOCATION, &location)
}

/// The group that the hint names; other hints that Nova knows are refused, the rest means nothing to it either.
fn group_hint(hints: Option<&serde_json::Map<String, Value>>) -> Result<Option<String>, Fault> {
    let known = [
        "same_host",
        "different_host",
        "query",
        "target_cell",
        "build_near_host_ip",
        "cidr",
    ];
    match hints
        .into_iter()
        .flatten()
        .find(|(key, _)| known.contains(&key.as_str()))
    {
        None => {}
        Some((key, _)) => {
            return Err(Fault::bad_request(format!(
                "The scheduler hint '{key}' is not offered by this cloud. Leave it out."
            )));
        }
    }
    let Some(group) = hints.and_then(|hints| hints.get("group")) else {
        return Ok(None);
    };
    let id = group
        .as_str()
        .filter(|id| uuid::Uuid::try_parse(id).is_ok());
    match id {
        Some(id) => Ok(Some(id.to_owned())),
        None => {
            let said = format!("{} is not a 'uuid'", quoted(group));
            Err(fault::invalid("group", group, said))
        }
    }
}

/// Checks, alone with the group, that it is the caller's and that its quota has room for so many more servers.
async fn join_group(
    tx: &mut Tx,
    first: &Server,
    more: usize,
    limits: &BTreeMap<String, i64>,
) -> Result<(), Fault> {
    let Some(id) = &first.group_id else {
        return Ok(());
    };
    let members = store::server_groups::count(tx, id, first.project_id.as_str()).await?;
    let members = members
        .ok_or_else(|| Fault::bad_request(format!("Instance group {id} could not be found.")))?;
    let limit = limits.get("server_group_members").copied().unwrap_or(-1);
    let wanted = i64::try_from(more).unwrap_or(i64::MAX);
    if limit >= 0 && members.saturating_add(wanted) > limit {
        return Err(Fault::forbidden(format!(
            "Quota exceeded, too many servers in group: it has {members} of {limit}."
        )));
    }
    Ok(())
}

fn counts(new: &NewServer) -> Result<(u32, u32), Fault> {
    let number = |count: Option<&Number>, name: &str| {
        count
            .map(|count| count.whole(name, 1, MAX_COUNT))
            .transpose()
    };
    let least = number(new.min_count.as_ref(), "min_count")?;
    let most = number(new.max_count.as_ref(), "max_count")?;
    let (least, most) = match (least, most) {
        (None, None) => (1, 1),
        (Some(least), None) => (least, least),
        (None, Some(most)) => (1, most),
        (Some(least), Some(most)) => (least, most),
    };
    if least > most {
        return Err(Fault::bad_request("min_count must be <= max_count"));
    }
    Ok((
        u32::try_from(least).unwrap_or(1),
        u32::try_from(most).unwrap_or(1),
    ))
}

/// The first server of the request; the others are copies of it.
fn plan(cx: &Cx, new: &NewServer, fields: Fields, references: References) -> Result<Server, Fault> {
    let project = cx.caller.project_id().cloned();
    let project_id = project.ok_or_else(|| {
        Fault::forbidden("A server belongs to a project: use a token that is scoped to one.")
    })?;
    if new
        .trusted_image_certificates
        .as_ref()
        .is_some_and(|ids| !ids.is_empty())
    {
        return Err(Fault::bad_request(
            "This cloud does not check image signatures: leave trusted_image_certificates out.",
        ));
    }
    let (wanted_zone, wanted_host) = zone_and_host(cx, new)?;
    let id = ServerId::from(nephos_runtime::ids::uuid());
    let hostname = fields
        .hostname
        .unwrap_or_else(|| name::hostname(&fields.name, id.as_str()));
    let admin_pass = match &new.admin_pass {
        Some(given) => given.clone(),
        None => nephos_runtime::ids::hex().chars().take(12).collect(),
    };
    let config_drive = match &new.config_drive {
        None => false,
        Some(Value::String(word)) if word.is_empty() => false,
        Some(asked) => is_true(asked),
    };
    let now = cx.now();
    Ok(Server {
        id,
        project_id,
        user_id: cx.caller.user_id.clone(),
        name: fields.name,
        description: new
            .description
            .clone()
            .or_else(|| (cx.version < v(2, 19)).then(|| new.name.clone())),
        hostname,
        image: references.image,
        flavor: references.flavor,
        key: references.key,
        user_data: fields.user_data,
        config_drive,
        admin_pass: Some(admin_pass),
        guest_password: String::new(),
        files: fields.files,
        wanted_zone,
        wanted_host,
        zone: None,
        host: None,
        vm_state: VmState::Building,
        task_state: Some("scheduling".to_owned()),
        want: "running".to_owned(),
        power_state: power::NOSTATE,
        generation: 1,
        reboot_sequence: 0,
        reboot_kind: String::new(),
        disk_epoch: 0,
        nics: references.nics,
        security_groups: references.groups,
        metadata: fields.metadata,
        tags: fields.tags,
        locked_by: None,
        locked_reason: None,
        fault: None,
        excluded_hosts: Vec::new(),
        reservation_id: format!(
            "r-{}",
            nephos_runtime::ids::hex().get(..8).unwrap_or_default()
        ),
        launch_index: 0,
        access_ipv4: fields.access_ipv4,
        access_ipv6: fields.access_ipv6,
        disk_config: fields.disk_config,
        created_at: now,
        updated_at: now,
        launched_at: None,
        group_id: None,
        volumes: references.volumes,
    })
}

fn copies(first: &Server, count: u32) -> Vec<Server> {
    let mut all = vec![first.clone()];
    if count == 1 {
        return all;
    }
    for index in 0..count {
        let mut server = first.clone();
        if index > 0 {
            server.id = ServerId::from(nephos_runtime::ids::uuid());
            for volume in &mut server.volumes {
                volume.id = nephos_runtime::ids::uuid().to_string();
            }
        }
        // Nova's multi_instance_name_template.
        server.name = format!("{}-{}", first.name, index + 1);
        server.hostname = name::hostname(&server.name, server.id.as_str());
        server.launch_index = i64::from(index);
        match index {
            0 => all = vec![server],
            _more => all.push(server),
        }
    }
    all
}
