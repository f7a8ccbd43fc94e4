//! `GET /servers` and `/servers/detail`: filters, order, pages.

use nephos_api::version::v;
use nephos_api::{Fault, Json, Params, Reply, Req, Shape, endpoint};
use nephos_db::{Arg, Direction, Page, ToArg as _};
use nephos_types::Timestamp;
use regex::{Regex, RegexBuilder};
use serde::Serialize;
use utoipa::ToSchema;

use super::flavors::{Link, links};
use super::server_view::{ServerView, Viewer};
use super::versions::SERVER_VIEW;
use super::{Cx, page_limit};
use crate::model::server::{Server, VmState};
use crate::peers::encoded;
use crate::store::servers::{Filter, NamePattern};
use crate::{rules, store};

#[derive(Serialize, ToSchema)]
pub(crate) struct ServerList {
    servers: Vec<ServerView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers_links: Vec<Link>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BriefServer {
    id: String,
    name: String,
    links: Vec<Link>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BriefServerList {
    servers: Vec<BriefServer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers_links: Vec<Link>,
}

endpoint! {
    /// List servers.
    ListServers: GET "/v2.1/servers" => 200,
    policy: rules::ListServers,
    query: Params,
    reply: Json<BriefServerList>,
    handler: list_servers,
}

async fn list_servers(cx: Cx, req: Req<ListServers>) -> Reply<ListServers> {
    let (servers, servers_links) = listed(&cx, "/v2.1/servers", &req.query, false).await?;
    let brief = |server: Server| BriefServer {
        links: links(&cx, "servers", server.id.as_str()),
        id: server.id.into(),
        name: server.name,
    };
    Ok(Json(BriefServerList {
        servers: servers.into_iter().map(brief).collect(),
        servers_links,
    }))
}

endpoint! {
    /// List servers with details.
    ListServersDetail: GET "/v2.1/servers/detail" => 200,
    policy: rules::ListServersDetail,
    query: Params,
    reply: Json<ServerList> as Shape::each("servers", SERVER_VIEW),
    handler: list_servers_detail,
}

async fn list_servers_detail(cx: Cx, req: Req<ListServersDetail>) -> Reply<ListServersDetail> {
    let (servers, servers_links) = listed(&cx, "/v2.1/servers/detail", &req.query, true).await?;
    let viewer = Viewer::new(&cx, false).await?;
    let servers = servers
        .into_iter()
        .map(|server| viewer.view(server))
        .collect();
    Ok(Json(ServerList {
        servers,
        servers_links,
    }))
}

/// Rows that are read at once while a filter is looked at in the rows.
const SCAN: u32 = 500;

async fn listed(
    cx: &Cx,
    path: &str,
    query: &Params,
    detail: bool,
) -> Result<(Vec<Server>, Vec<Link>), Fault> {
    super::refuse_unknown(cx, query, v(2, 75), KNOWN)?;
    let limit = page_limit(query.get("limit"))?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut filter, looks) = (filter(cx, query)?, looks(cx, query)?);
    // 2.3: admins see what their guests were given.
    filter.user_data = detail && cx.version >= v(2, 3) && Viewer::sees_hosts(cx);
    let sort = sort(query)?;
    let mut after = match query.get("marker") {
        None => None,
        Some(marker) => {
            let missing = || Fault::bad_request(format!("marker [{marker}] not found"));
            let at = store::servers::get(cx.db(), marker)
                .await?
                .ok_or_else(missing)?;
            Some(position(&sort, &at))
        }
    };
    let mut found: Vec<Server> = Vec::new();
    // Without looks, one statement is the page.
    let chunk = if looks.is_empty() { limit } else { SCAN };
    loop {
        let page = Page {
            sort: sort.clone(),
            after: after.take(),
            limit: Some(chunk),
        };
        let rows = store::servers::list(cx.db(), &filter, page).await?;
        let last = rows.len() < usize::try_from(chunk).unwrap_or(usize::MAX);
        after = rows.last().map(|row| position(&sort, row));
        let passing = rows
            .into_iter()
            .filter(|row| looks.iter().all(|look| look.passes(row)));
        found.extend(passing.take(wanted - found.len()));
        if last || found.len() >= wanted {
            break;
        }
    }
    let next = found
        .last()
        .filter(|_| found.len() == wanted)
        .map(|server| Link {
            rel: "next",
            href: next_url(cx, path, query, server.id.as_str()),
        });
    Ok((found, next.into_iter().collect()))
}

/// The URL of the page behind `marker`, with everything else as it was asked.
pub(crate) fn next_url(cx: &Cx, path: &str, query: &Params, marker: &str) -> String {
    let kept = query.0.iter().filter(|(key, _)| key != "marker");
    let kept = kept.map(|(key, value)| format!("{}={}&", encoded(key), encoded(value)));
    cx.url(&format!(
        "{path}?{}marker={}",
        kept.collect::<String>(),
        encoded(marker)
    ))
}

/// Everything that a list of servers may be asked by (nova.api.openstack.compute.schemas.servers).
const KNOWN: &[&str] = &[
    "user_id",
    "project_id",
    "tenant_id",
    "launch_index",
    "image_ref",
    "image",
    "kernel_id",
    "ramdisk_id",
    "hostname",
    "key_name",
    "instance_type_id",
    "flavor",
    "reservation_id",
    "launched_at",
    "terminated_at",
    "created_at",
    "availability_zone",
    "name",
    "display_name",
    "host",
    "power_state",
    "vm_state",
    "task_state",
    "status",
    "progress",
    "access_ip_v4",
    "access_ip_v6",
    "config_drive",
    "deleted",
    "display_description",
    "description",
    "node",
    "uuid",
    "root_device_name",
    "cell_name",
    "locked_by",
    "tags",
    "tags-any",
    "not-tags",
    "not-tags-any",
    "ip",
    "ip6",
    "changes-since",
    "changes-before",
    "all_tenants",
    "limit",
    "marker",
    "sort_key",
    "sort_dir",
    "soft_deleted",
    "locked",
    "block_device_mapping",
    "services",
    "metadata",
    "system_metadata",
    "info_cache",
    "security_groups",
    "pci_devices",
];

const SORT_KEYS: &[(&str, &str)] = &[
    ("created_at", "created_at"),
    ("updated_at", "updated_at"),
    ("display_name", "name"),
    ("name", "name"),
    ("uuid", "id"),
    ("project_id", "project_id"),
    ("user_id", "user_id"),
    ("vm_state", "vm_state"),
    ("power_state", "power_state"),
    ("image_ref", "image_id"),
    ("instance_type_id", "flavor_id"),
    ("launch_index", "launch_index"),
    ("hostname", "hostname"),
];

fn sort(query: &Params) -> Result<Vec<(&'static str, Direction)>, Fault> {
    let mut sort = Vec::new();
    let mut directions = query.all("sort_dir");
    for key in query.all("sort_key") {
        let column = SORT_KEYS
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, column)| *column);
        let column =
            column.ok_or_else(|| Fault::bad_request(format!("Invalid sort key '{key}'")))?;
        sort.push((column, direction(directions.next().unwrap_or("desc"))?));
    }
    if sort.is_empty() {
        sort.push((
            "created_at",
            direction(directions.next().unwrap_or("desc"))?,
        ));
    }
    sort.push(("id", Direction::Desc));
    Ok(sort)
}

fn direction(word: &str) -> Result<Direction, Fault> {
    match word {
        "asc" => Ok(Direction::Asc),
        "desc" => Ok(Direction::Desc),
        other => Err(Fault::bad_request(format!(
            "Invalid sort direction '{other}'"
        ))),
    }
}

fn position(sort: &[(&'static str, Direction)], server: &Server) -> Vec<Arg> {
    let value = |column: &str| match column {
        "created_at" => server.created_at.to_arg(),
        "updated_at" => server.updated_at.to_arg(),
        "name" => server.name.to_arg(),
        "project_id" => server.project_id.to_arg(),
        "user_id" => server.user_id.to_arg(),
        "vm_state" => server.vm_state.word().to_arg(),
        "power_state" => server.power_state.to_arg(),
        "image_id" => server.image.id.to_arg(),
        "flavor_id" => server.flavor.id.to_arg(),
        "launch_index" => server.launch_index.to_arg(),
        "hostname" => server.hostname.to_arg(),
        _id => server.id.to_arg(),
    };
    sort.iter().map(|(column, _)| value(column)).collect()
}

/// `all_tenants` and the filters that SQL answers.
fn filter(cx: &Cx, query: &Params) -> Result<Filter, Fault> {
    let everybody = match query.get("all_tenants") {
        None => false,
        Some("" | "1" | "true" | "True" | "t" | "yes" | "on") => true,
        Some("0" | "false" | "False" | "f" | "no" | "off") => false,
        Some(other) => {
            return Err(Fault::bad_request(format!(
                "Invalid value '{other}' for all_tenants."
            )));
        }
    };
    let own = cx
        .caller
        .project_id()
        .map(|project| project.to_string())
        .unwrap_or_default();
    let asked_project = query.get("project_id").or_else(|| query.get("tenant_id"));
    if everybody {
        cx.require(rules::ListAllServers, &nephos_auth::Target::new())?;
    }
    let project_id = match (everybody, asked_project) {
        (true, asked) => asked.map(str::to_owned),
        (false, Some(asked)) if cx.caller.is_admin() => Some(asked.to_owned()),
        (false, _) => Some(own),
    };
    let mut filter = Filter {
        project_id,
        ..Filter::default()
    };
    let admin = cx.caller.is_admin();
    let wide = admin || cx.version >= v(2, 83);
    for (key, column, allowed) in [
        ("image", "image_id", true),
        ("flavor", "flavor_id", true),
        ("reservation_id", "reservation_id", true),
        // 2.83: not for admins only any more.
        ("key_name", "key_name", wide),
        ("availability_zone", "zone", wide),
        ("task_state", "task_state", wide),
        ("user_id", "user_id", wide),
        ("uuid", "id", admin),
        ("host", "host", admin),
    ] {
        if let Some(value) = query.get(key).filter(|_| allowed) {
            filter.equal.push((column, value.to_arg()));
        }
    }
    filter.vm_states = states(cx, query, wide)?;
    let time = |key: &str| -> Result<Option<Timestamp>, Fault> {
        let wrong = |text: &str| {
            Fault::bad_request(format!(
                "Invalid input for query parameters {key}. Value: {text}."
            ))
        };
        query
            .get(key)
            .map(|text| Timestamp::parse(text).ok_or_else(|| wrong(text)))
            .transpose()
    };
    filter.changed_since = time("changes-since")?;
    if cx.version >= v(2, 66) {
        filter.changed_before = time("changes-before")?;
        if let (Some(since), Some(before)) = (filter.changed_since, filter.changed_before)
            && since > before
        {
            return Err(Fault::bad_request(
                "The value of changes-since must be less than or equal to changes-before.",
            ));
        }
    }
    filter.names = query.all("name").filter_map(plain).collect();
    if query
        .get("deleted")
        .is_some_and(|word| word == "true" || word == "True")
    {
        // Rows die with their servers: of deleted ones there is nothing to list.
        filter.vm_states = Some(Vec::new());
    }
    Ok(filter)
}

/// `status` in the API's words, `vm_state` in the database's.
fn states(cx: &Cx, query: &Params, wide: bool) -> Result<Option<Vec<&'static str>>, Fault> {
    let mut states: Option<Vec<&'static str>> = None;
    for status in query.all("status") {
        let state = match status.to_ascii_uppercase().as_str() {
            "ACTIVE" | "REBOOT" | "HARD_REBOOT" => Some(VmState::Active),
            "BUILD" => Some(VmState::Building),
            "SHUTOFF" => Some(VmState::Stopped),
            "PAUSED" => Some(VmState::Paused),
            "SUSPENDED" => Some(VmState::Suspended),
            "ERROR" => Some(VmState::Error),
            "VERIFY_RESIZE" | "REVERT_RESIZE" => Some(VmState::Resized),
            // Known to Nova, and no server here ever is that.
            "DELETED" | "MIGRATING" | "PASSWORD" | "REBUILD" | "RESCUE" | "RESIZE" | "SHELVED"
            | "SHELVED_OFFLOADED" | "SOFT_DELETED" | "UNKNOWN" => None,
            // 2.38: what is no status is refused; before, it found none.
            _other if cx.version >= v(2, 38) => {
                return Err(Fault::bad_request("Invalid status value"));
            }
            _other => None,
        };
        states
            .get_or_insert_default()
            .extend(state.map(VmState::word));
    }
    if let Some(state) = query.get("vm_state").filter(|_| wide) {
        states
            .get_or_insert_default()
            .extend(VmState::parse(state).map(VmState::word));
    }
    Ok(states)
}

/// A filter that is looked at in the rows.
enum Look {
    Name(Regex),
    Hostname(Regex),
    Description(Regex),
    Address(Regex),
    Locked(bool),
    ConfigDrive(bool),
    Power(i64),
    AllTags(Vec<String>),
    AnyTag(Vec<String>),
    NotAllTags(Vec<String>),
    NotAnyTag(Vec<String>),
}

impl Look {
    fn passes(&self, server: &Server) -> bool {
        let has = |tag: &String| server.tags.contains(tag);
        match self {
            Self::Name(pattern) => pattern.is_match(&server.name),
            Self::Hostname(pattern) => pattern.is_match(&server.hostname),
            Self::Description(pattern) => {
                pattern.is_match(server.description.as_deref().unwrap_or_default())
            }
            Self::Address(pattern) => {
                let bound = server.nics.iter().filter_map(|nic| nic.bound.as_ref());
                let mut all = bound.flat_map(|bound| &bound.addresses);
                all.any(|at| {
                    pattern.is_match(&at.ip) || at.floating.iter().any(|ip| pattern.is_match(ip))
                })
            }
            Self::Locked(wanted) => server.locked_by.is_some() == *wanted,
            Self::ConfigDrive(wanted) => server.config_drive == *wanted,
            Self::Power(wanted) => server.power_state == *wanted,
            Self::AllTags(tags) => tags.iter().all(has),
            Self::AnyTag(tags) => tags.iter().any(has),
            Self::NotAllTags(tags) => !tags.iter().all(has),
            Self::NotAnyTag(tags) => !tags.iter().any(has),
        }
    }
}

fn looks(cx: &Cx, query: &Params) -> Result<Vec<Look>, Fault> {
    let mut looks = Vec::new();
    let admin = cx.caller.is_admin();
    for (key, make, allowed) in [
        ("name", Look::Name as fn(Regex) -> Look, true),
        ("hostname", Look::Hostname, admin),
        ("description", Look::Description, admin),
        ("ip", Look::Address, true),
        // 2.5: not for admins only any more.
        ("ip6", Look::Address, admin || cx.version >= v(2, 5)),
    ] {
        let in_sql = |text: &str| key == "name" && plain(text).is_some();
        for text in query.all(key).filter(|_| allowed) {
            if in_sql(text) {
                continue;
            }
            looks.push(make(pattern(key, text)?));
        }
    }
    let at = |minor| cx.version >= v(2, minor);
    let wide = cx.caller.is_admin() || at(83);
    for (key, make, since) in [
        ("tags", Look::AllTags as fn(Vec<String>) -> Look, 26),
        ("tags-any", Look::AnyTag, 26),
        ("not-tags", Look::NotAllTags, 26),
        ("not-tags-any", Look::NotAnyTag, 26),
    ] {
        if let (Some(text), true) = (query.get(key), at(since)) {
            looks.push(make(text.split(',').map(str::to_owned).collect()));
        }
    }
    if let (Some(word), true) = (query.get("locked"), at(73)) {
        let wanted = super::truth(word);
        looks.push(Look::Locked(wanted.ok_or_else(|| {
            Fault::bad_request(format!("Invalid value '{word}' for locked."))
        })?));
    }
    if let Some(word) = query.get("config_drive").filter(|_| wide) {
        looks.push(Look::ConfigDrive(super::truth(word).unwrap_or(false)));
    }
    if let Some(word) = query.get("power_state").filter(|_| wide) {
        looks.push(Look::Power(word.parse().unwrap_or(-1)));
    }
    Ok(looks)
}

/// The pattern of a name, if it is text with at most an anchor: SQL looks for that, and reads no other row.
fn plain(text: &str) -> Option<NamePattern> {
    let (from_start, text) = match text.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (to_end, text) = match text.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // A hyphen means something only in brackets, which `escape` does not leave alone either.
    let is_plain = regex::escape(text).replace("\\-", "-") == text;
    let text = text.to_owned();
    match (from_start, to_end) {
        _other if !is_plain => None,
        (true, true) => Some(NamePattern::Is(text)),
        (true, false) => Some(NamePattern::Prefix(text)),
        (false, false) => Some(NamePattern::Contains(text)),
        (false, true) => None,
    }
}

/// Patterns are the user's: their size is bounded, and this engine's time is linear.
fn pattern(key: &str, text: &str) -> Result<Regex, Fault> {
    RegexBuilder::new(text)
        .size_limit(1 << 18)
        .build()
        .map_err(|_| {
            Fault::bad_request(format!(
                "Invalid input for query parameters {key}: '{text}' is no regular expression."
            ))
        })
}
