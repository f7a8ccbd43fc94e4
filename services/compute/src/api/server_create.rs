//! `POST /servers`: references are checked at once (Nova answers 400 for bad ones), then the wish is written; the work
//! is the boot operation's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use nephos_api::version::v;
use nephos_api::{Fault, Json, Reply, Req, Shape, With, endpoint};
use nephos_auth::Target;
use nephos_types::ProjectId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::flavors::{Link, Number, links, visible};
use super::versions::{SERVER_CREATE, SERVER_CREATE_KEYS};
use super::{Cx, asked, fault, is_true};
use crate::model::flavor::Flavor;
use crate::model::name;
use crate::model::quota::Usage;
use crate::model::server::{ImageCopy, Nic, Server, VmState, power};
use crate::model::spec::ServerId;
use crate::ops::{self, Work};
use crate::peers::{Network, image_copy};
use crate::{rules, store};

/// User data, decoded (Nova's limit is 65535 characters of base64).
const USER_DATA_CHARS: usize = 65_535;
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
    name: String,
    #[serde(default, rename = "imageRef")]
    image: Option<String>,
    #[serde(rename = "flavorRef")]
    flavor: Value,
    #[serde(default, rename = "adminPass")]
    admin_pass: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    networks: Option<Networks>,
    #[serde(default, rename = "OS-DCF:diskConfig")]
    disk_config: Option<String>,
    #[serde(default, rename = "accessIPv4")]
    access_ipv4: Option<String>,
    #[serde(default, rename = "accessIPv6")]
    access_ipv6: Option<String>,
    #[serde(default)]
    availability_zone: Option<String>,
    #[serde(default)]
    block_device_mapping: Option<Vec<Value>>,
    #[serde(default)]
    block_device_mapping_v2: Option<Vec<BlockDevice>>,
    #[serde(default)]
    config_drive: Option<Value>,
    #[serde(default)]
    key_name: Option<String>,
    #[serde(default)]
    min_count: Option<Number>,
    #[serde(default)]
    max_count: Option<Number>,
    #[serde(default)]
    return_reservation_id: Option<Value>,
    #[serde(default)]
    security_groups: Option<Vec<GroupRef>>,
    #[serde(default)]
    user_data: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    personality: Option<Vec<File>>,
    #[serde(default)]
    trusted_image_certificates: Option<Vec<String>>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    hypervisor_hostname: Option<String>,
    #[serde(default)]
    hostname: Option<String>,
}

/// `auto`, `none`, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum Networks {
    Word(String),
    List(Vec<NetworkRef>),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NetworkRef {
    #[serde(default)]
    uuid: Option<String>,
    #[serde(default)]
    port: Option<String>,
    #[serde(default)]
    fixed_ip: Option<String>,
    #[serde(default)]
    tag: Option<String>,
}

#[derive(Deserialize, ToSchema)]
struct BlockDevice {
    #[serde(default)]
    uuid: Option<String>,
    #[serde(default)]
    source_type: String,
    #[serde(default)]
    destination_type: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct File {
    path: String,
    contents: String,
}

#[derive(Deserialize, ToSchema)]
struct GroupRef {
    name: String,
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

/// What the siblings and our own tables say of a request's references.
struct References {
    flavor: Flavor,
    image: ImageCopy,
    key: Option<(String, String)>,
    nics: Vec<Nic>,
    groups: Vec<String>,
}

async fn create_servers(cx: Cx, req: Req<CreateServers>) -> Reply<CreateServers> {
    let CreateBody { server: new, hints } = req.body.0;
    check_hints(hints.as_ref())?;
    let (least, most) = counts(&new)?;
    check_many(&new, most)?;
    let references = references(&cx, &new).await?;
    let first = plan(&cx, &new, references)?;
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
    for server in &servers {
        store::servers::insert(&mut tx, server).await?;
        let work = Work {
            kind: ops::boot::Boot::NAME,
            server: &server.id,
            action: "create",
            args: json!({}),
            deadline_secs: cx.config.boot_deadline_secs,
        };
        let begun = ops::begin(&mut tx, asked(&cx), work).await;
        begun.map_err(|why| fault::busy(server, "create", why))?;
    }
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

fn check_hints(hints: Option<&serde_json::Map<String, Value>>) -> Result<(), Fault> {
    let known = [
        "group",
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
        None => Ok(()),
        Some((key, _)) => Err(Fault::bad_request(format!(
            "The scheduler hint '{key}' is not offered by this cloud. Leave it out."
        ))),
    }
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

async fn references(cx: &Cx, new: &NewServer) -> Result<References, Fault> {
    let flavor_id = flavor_ref(&new.flavor)?;
    let image_id = image_ref(new)?;
    let token = cx.token().unwrap_or_default();
    let (flavor, image, key, nics) = tokio::join!(
        visible(cx, &flavor_id),
        cx.siblings.image(token, &image_id, &cx.request_id),
        key(cx, new.key_name.as_deref()),
        nics(cx, new),
    );
    let flavor = flavor.map_err(|why| Fault::bad_request(why.message))?;
    let image = image.map_err(|why| {
        if why.is_not_found() {
            Fault::bad_request(format!("Can not find requested image: {image_id}"))
        } else {
            fault::from_peer(&why)
        }
    })?;
    let image = image_copy(&image).map_err(Fault::bad_request)?;
    check_fits(&flavor, &image)?;
    let groups = groups(cx, new).await?;
    Ok(References {
        flavor,
        image,
        key: key?,
        nics: nics?,
        groups,
    })
}

fn flavor_ref(asked: &Value) -> Result<String, Fault> {
    let text = match asked {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _other => String::new(),
    };
    // Old clients send the flavor's URL.
    let id = text.rsplit('/').next().unwrap_or_default();
    if id.is_empty() {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute flavorRef. It must be a flavor's id.",
        ));
    }
    Ok(id.to_owned())
}

fn image_ref(new: &NewServer) -> Result<String, Fault> {
    if new
        .block_device_mapping
        .as_ref()
        .is_some_and(|mapping| !mapping.is_empty())
    {
        return Err(no_volumes());
    }
    let devices = new.block_device_mapping_v2.as_deref().unwrap_or_default();
    let local = |device: &BlockDevice| {
        device.source_type == "image"
            && device.destination_type.as_deref().unwrap_or("local") == "local"
    };
    if devices.len() > 1 || devices.iter().any(|device| !local(device)) {
        return Err(no_volumes());
    }
    let by_device = devices.first().and_then(|device| device.uuid.clone());
    let asked = new.image.clone().filter(|id| !id.is_empty()).or(by_device);
    let text = asked.ok_or_else(|| {
        Fault::bad_request("Invalid imageRef provided. A server needs an image: volumes to boot from are not offered.")
    })?;
    let id = text.rsplit('/').next().unwrap_or_default().to_owned();
    if uuid::Uuid::try_parse(&id).is_err() {
        return Err(Fault::bad_request("Invalid imageRef provided."));
    }
    Ok(id)
}

fn no_volumes() -> Fault {
    Fault::bad_request(
        "Block Device Mapping is Invalid: this cloud has no volumes yet; boot from an image.",
    )
}

async fn key(cx: &Cx, name: Option<&str>) -> Result<Option<(String, String)>, Fault> {
    let Some(name) = name else { return Ok(None) };
    let found = store::keypairs::get(cx.db(), cx.caller.user_id.as_str(), name).await?;
    let key = found.ok_or_else(|| Fault::bad_request("Invalid key_name provided."))?;
    Ok(Some((key.name, key.public_key)))
}

fn check_fits(flavor: &Flavor, image: &ImageCopy) -> Result<(), Fault> {
    if image.min_ram_mib > flavor.ram_mib {
        return Err(Fault::bad_request(format!(
            "Flavor's memory is too small for requested image: it has {} MiB, the image needs {} MiB.",
            flavor.ram_mib, image.min_ram_mib
        )));
    }
    let disk_bytes = flavor.disk_gib.saturating_mul(1 << 30);
    let raw_too_big = image.disk_format == "raw" && image.size_bytes > disk_bytes;
    if flavor.disk_gib > 0 && (image.min_disk_gib > flavor.disk_gib || raw_too_big) {
        return Err(Fault::bad_request(format!(
            "Flavor's disk is too small for requested image: it has {} GiB, the image needs {} GiB.",
            flavor.disk_gib,
            image.min_disk_gib.max(image.size_bytes.div_ceil(1 << 30))
        )));
    }
    Ok(())
}

async fn nics(cx: &Cx, new: &NewServer) -> Result<Vec<Nic>, Fault> {
    let token = cx.token().unwrap_or_default();
    let project = cx
        .caller
        .project_id()
        .cloned()
        .unwrap_or_else(|| ProjectId::from(""));
    let list = match &new.networks {
        Some(Networks::Word(word)) if cx.version < v(2, 37) => {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute networks. '{word}' needs microversion 2.37."
            )));
        }
        Some(Networks::Word(word)) if word == "none" => return Ok(Vec::new()),
        Some(Networks::Word(word)) if word == "auto" => {
            return automatic(cx, token, &project).await;
        }
        Some(Networks::Word(word)) => {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute networks. '{word}' is neither 'auto' nor 'none'."
            )));
        }
        None if cx.version >= v(2, 37) => {
            return Err(Fault::bad_request(
                "Invalid input for field/attribute server. 'networks' is a required property",
            ));
        }
        None => return automatic(cx, token, &project).await,
        Some(Networks::List(list)) if list.is_empty() => {
            return automatic(cx, token, &project).await;
        }
        Some(Networks::List(list)) => list,
    };
    let ids: Vec<String> = list.iter().filter_map(|wish| wish.uuid.clone()).collect();
    let known = if ids.is_empty() {
        Vec::new()
    } else {
        cx.siblings
            .networks(token, &ids)
            .await
            .map_err(|why| fault::from_peer(&why))?
    };
    let mut nics = Vec::new();
    // Tags came with 2.32, were lost from 2.37 to 2.41, and are back since 2.42.
    let tags = cx.version >= v(2, 42) || (v(2, 32)..v(2, 37)).contains(&cx.version);
    for wish in list {
        if let Some(tag) = &wish.tag {
            if !tags {
                return Err(Fault::bad_request(
                    "Additional properties are not allowed ('tag' was unexpected)",
                ));
            }
            super::server_tags::check(std::slice::from_ref(tag))?;
        }
        nics.push(one_nic(cx, token, wish, &known).await?);
    }
    Ok(nics)
}

async fn one_nic(cx: &Cx, token: &str, wish: &NetworkRef, known: &[Network]) -> Result<Nic, Fault> {
    if let Some(ip) = &wish.fixed_ip
        && ip.parse::<IpAddr>().is_err()
    {
        return Err(Fault::bad_request(format!(
            "Invalid fixed IP address ({ip})"
        )));
    }
    if let Some(port) = &wish.port {
        let found = cx.siblings.port_of_caller(token, port).await;
        let found = found.map_err(|why| match why.is_not_found() {
            true => Fault::bad_request(format!("Port id {port} could not be found.")),
            false => fault::from_peer(&why),
        })?;
        if !found.device_id.is_empty() {
            return Err(Fault::conflict(format!("Port {port} is still in use.")));
        }
        return Ok(Nic {
            network_id: found.network_id,
            port_id: found.id,
            ours: false,
            tag: wish.tag.clone(),
            ..Nic::default()
        });
    }
    let Some(id) = &wish.uuid else {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute networks. Each needs 'uuid' or 'port'.",
        ));
    };
    let Some(network) = known.iter().find(|network| network.id == *id) else {
        return Err(Fault::bad_request(format!(
            "Network {id} could not be found."
        )));
    };
    check_network(cx, network)?;
    Ok(Nic {
        network_id: id.clone(),
        fixed_ip: wish.fixed_ip.clone(),
        ours: true,
        tag: wish.tag.clone(),
        ..Nic::default()
    })
}

pub(crate) fn check_network(cx: &Cx, network: &Network) -> Result<(), Fault> {
    if network.subnets.is_empty() {
        return Err(Fault::bad_request(format!(
            "Network {} requires a subnet in order to boot instances on.",
            network.id
        )));
    }
    if network.external && !network.shared && !cx.caller.is_admin() {
        return Err(Fault::forbidden(format!(
            "It is not allowed to create an interface on external network {}",
            network.id
        )));
    }
    Ok(())
}

/// Nova: the project's only network, or the only one shared with it; several are for the user to choose from.
pub(crate) async fn automatic(
    cx: &Cx,
    token: &str,
    project: &ProjectId,
) -> Result<Vec<Nic>, Fault> {
    let all = cx
        .siblings
        .networks(token, &[])
        .await
        .map_err(|why| fault::from_peer(&why))?;
    let project = project.as_str();
    let own = all
        .iter()
        .filter(|network| network.project_id == project && !network.external);
    let own: Vec<&Network> = own.filter(|network| !network.subnets.is_empty()).collect();
    let found = if own.is_empty() {
        all.iter()
            .filter(|network| network.shared && !network.subnets.is_empty())
            .collect()
    } else {
        own
    };
    match found.as_slice() {
        [] => Ok(Vec::new()),
        [network] => Ok(vec![Nic {
            network_id: network.id.clone(),
            ours: true,
            ..Nic::default()
        }]),
        _several => Err(Fault::conflict(
            "Multiple possible networks found, use a Network ID to be more specific.",
        )),
    }
}

async fn groups(cx: &Cx, new: &NewServer) -> Result<Vec<String>, Fault> {
    let Some(asked) = &new.security_groups else {
        return Ok(vec!["default".to_owned()]);
    };
    let project = cx
        .caller
        .project_id()
        .map_or("", |project| project.as_str());
    let mut names: Vec<String> = Vec::new();
    for group in asked {
        let found = cx.siblings.security_group(project, &group.name).await;
        let found = found.map_err(|why| fault::from_peer(&why))?;
        if found.is_none() && group.name != "default" {
            return Err(Fault::bad_request(format!(
                "Security group {} not found.",
                group.name
            )));
        }
        if !names.contains(&group.name) {
            names.push(group.name.clone());
        }
    }
    if names.is_empty() {
        names.push("default".to_owned());
    }
    Ok(names)
}

/// The first server of the request; the others are copies of it.
fn plan(cx: &Cx, new: &NewServer, references: References) -> Result<Server, Fault> {
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
    let name = name::check("name", &new.name).map_err(Fault::bad_request)?;
    let hostname = match &new.hostname {
        Some(asked) => hostname(cx, asked)?,
        None => name::hostname(&name, id.as_str()),
    };
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
        name,
        description: new
            .description
            .clone()
            .or_else(|| (cx.version < v(2, 19)).then(|| new.name.clone())),
        hostname,
        image: references.image,
        flavor: references.flavor,
        key: references.key,
        user_data: new.user_data.as_deref().map(user_data).transpose()?,
        config_drive,
        admin_pass: Some(admin_pass),
        guest_password: String::new(),
        files: files(new.personality.as_deref().unwrap_or_default())?,
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
        nics: references.nics,
        security_groups: references.groups,
        metadata: super::server_metadata::check(&new.metadata)?,
        tags: super::server_tags::check(new.tags.as_deref().unwrap_or_default())?,
        locked_by: None,
        locked_reason: None,
        fault: None,
        excluded_hosts: Vec::new(),
        reservation_id: format!(
            "r-{}",
            nephos_runtime::ids::hex().get(..8).unwrap_or_default()
        ),
        launch_index: 0,
        access_ipv4: address(
            "accessIPv4",
            new.access_ipv4.as_deref().unwrap_or_default(),
            false,
        )?,
        access_ipv6: address(
            "accessIPv6",
            new.access_ipv6.as_deref().unwrap_or_default(),
            true,
        )?,
        disk_config: disk_config(new.disk_config.as_deref().unwrap_or("MANUAL"))?,
        created_at: now,
        updated_at: now,
        launched_at: None,
    })
}

/// `zone`, or for admins `zone:host`; from 2.74 on `host` by its own key.
fn zone_and_host(cx: &Cx, new: &NewServer) -> Result<(Option<String>, Option<String>), Fault> {
    let asked = new
        .availability_zone
        .as_deref()
        .filter(|zone| !zone.is_empty());
    let (zone, host) = match asked.and_then(|asked| asked.split_once(':')) {
        Some((zone, host)) => {
            let host = host.split(':').next().unwrap_or_default();
            (
                Some(zone.to_owned()).filter(|zone| !zone.is_empty()),
                Some(host.to_owned()),
            )
        }
        None => (asked.map(str::to_owned), None),
    };
    let host = host.filter(|host| !host.is_empty());
    let host = host
        .or_else(|| new.host.clone())
        .or_else(|| new.hypervisor_hostname.clone());
    if host.is_some() {
        cx.require(rules::CreateServerOnHost, &Target::new())?;
    }
    Ok((zone, host))
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

fn user_data(text: &str) -> Result<String, Fault> {
    let compact: String = text.split_whitespace().collect();
    if text.len() > USER_DATA_CHARS {
        return Err(Fault::bad_request(format!(
            "Invalid input for field/attribute user_data. It is longer than {USER_DATA_CHARS} characters."
        )));
    }
    if STANDARD.decode(&compact).is_err() {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute user_data. It must be base64.",
        ));
    }
    Ok(compact)
}

/// An address that the owner notes; empty is none.
pub(crate) fn address(field: &str, text: &str, six: bool) -> Result<String, Fault> {
    if text.is_empty() {
        return Ok(String::new());
    }
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_ipv6() == six => Ok(address.to_string()),
        _other => Err(Fault::bad_request(format!(
            "Invalid input for field/attribute {field}. Value: {text}. It is no IPv{} address.",
            if six { 6 } else { 4 }
        ))),
    }
}

/// `AUTO` or `MANUAL`.
pub(crate) fn disk_config(word: &str) -> Result<String, Fault> {
    match word {
        "AUTO" | "MANUAL" => Ok(word.to_owned()),
        other => Err(Fault::bad_request(format!(
            "Invalid input for field/attribute OS-DCF:diskConfig. '{other}' is neither AUTO nor MANUAL."
        ))),
    }
}

fn files(asked: &[File]) -> Result<Vec<(String, String)>, Fault> {
    let file = |file: &File| {
        let compact: String = file.contents.split_whitespace().collect();
        match STANDARD.decode(&compact) {
            Ok(_) if !file.path.is_empty() => Ok((file.path.clone(), compact)),
            _wrong => Err(Fault::bad_request(format!(
                "Invalid input for field/attribute contents. The file '{}' needs a path and base64 content.",
                file.path
            ))),
        }
    };
    asked.iter().map(file).collect()
}

/// A host name that the user chose: letters, digits and hyphens; from 2.94 on with dots; 255 characters.
pub(crate) fn hostname(cx: &Cx, text: &str) -> Result<String, Fault> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let dotted = text.contains('.') && cx.version < v(2, 94);
    if text.len() > 255 || dotted || !text.split('.').all(label) {
        return Err(Fault::bad_request(format!(
            "Invalid input for field/attribute hostname. '{text}' is no host name."
        )));
    }
    Ok(text.to_owned())
}
