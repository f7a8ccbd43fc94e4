//! Servers in SQL.

use std::collections::BTreeMap;

use nephos_db::{Arg, Db, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::Timestamp;

use super::{json, parsed};
use crate::model::server::{LockedBy, Server, ServerFault, VmState};
use crate::model::spec::ServerId;

macro_rules! columns {
    () => {
        "id, project_id, user_id, name, description, hostname, image, flavor, key_name, key_data, \
         user_data, config_drive, admin_pass, guest_password, files, wanted_zone, wanted_host, zone, host, vm_state, task_state, want, \
         power_state, generation, reboot_sequence, reboot_kind, disk_epoch, networks, security_groups, metadata, tags, locked_by, \
         locked_reason, fault, excluded_hosts, reservation_id, launch_index, access_ipv4, access_ipv6, disk_config, \
         created_at, updated_at, launched_at, group_id, volumes"
    };
}

const SELECT: &str = concat!("SELECT ", columns!(), " FROM servers");

/// Without what may be large: user data, files, the key's text, passwords.
const SELECT_BRIEF: &str = "SELECT id, project_id, user_id, name, description, hostname, image, flavor, key_name, '' AS key_data, \
     CAST(NULL AS TEXT) AS user_data, config_drive, CAST(NULL AS TEXT) AS admin_pass, '' AS guest_password, '[]' AS files, wanted_zone, wanted_host, zone, host, vm_state, task_state, want, \
     power_state, generation, reboot_sequence, reboot_kind, disk_epoch, networks, security_groups, metadata, tags, locked_by, \
     locked_reason, fault, excluded_hosts, reservation_id, launch_index, access_ipv4, access_ipv6, disk_config, \
     created_at, updated_at, launched_at, group_id, volumes FROM servers";

/// The same with user data, which admins are shown.
const SELECT_WITH_USER_DATA: &str = "SELECT id, project_id, user_id, name, description, hostname, image, flavor, key_name, '' AS key_data, \
     user_data, config_drive, CAST(NULL AS TEXT) AS admin_pass, '' AS guest_password, '[]' AS files, wanted_zone, wanted_host, zone, host, vm_state, task_state, want, \
     power_state, generation, reboot_sequence, reboot_kind, disk_epoch, networks, security_groups, metadata, tags, locked_by, \
     locked_reason, fault, excluded_hosts, reservation_id, launch_index, access_ipv4, access_ipv6, disk_config, \
     created_at, updated_at, launched_at, group_id, volumes FROM servers";

impl FromRow for Server {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let state: String = row.get("vm_state")?;
        let key_name: Option<String> = row.get("key_name")?;
        let key_data: Option<String> = row.get("key_data")?;
        let locked: Option<String> = row.get("locked_by")?;
        let fault: Option<String> = row.get("fault")?;
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            user_id: row.get("user_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            hostname: row.get("hostname")?,
            image: parsed(&row.get::<String>("image")?)?,
            flavor: parsed(&row.get::<String>("flavor")?)?,
            key: key_name.zip(key_data),
            user_data: row.get("user_data")?,
            config_drive: row.get("config_drive")?,
            admin_pass: row.get("admin_pass")?,
            guest_password: row.get("guest_password")?,
            files: parsed(&row.get::<String>("files")?)?,
            wanted_zone: row.get("wanted_zone")?,
            wanted_host: row.get("wanted_host")?,
            zone: row.get("zone")?,
            host: row.get("host")?,
            vm_state: VmState::parse(&state)
                .ok_or_else(|| Error::damaged(format!("vm_state {state}")))?,
            task_state: row.get("task_state")?,
            want: row.get("want")?,
            power_state: row.get("power_state")?,
            generation: row.get("generation")?,
            reboot_sequence: row.get("reboot_sequence")?,
            reboot_kind: row.get("reboot_kind")?,
            disk_epoch: row.get("disk_epoch")?,
            nics: parsed(&row.get::<String>("networks")?)?,
            security_groups: parsed(&row.get::<String>("security_groups")?)?,
            metadata: parsed(&row.get::<String>("metadata")?)?,
            tags: parsed(&row.get::<String>("tags")?)?,
            locked_by: locked.map(|who| match who.as_str() {
                "admin" => LockedBy::Admin,
                _owner => LockedBy::Owner,
            }),
            locked_reason: row.get("locked_reason")?,
            fault: fault.map(|text| parsed::<ServerFault>(&text)).transpose()?,
            excluded_hosts: parsed(&row.get::<String>("excluded_hosts")?)?,
            reservation_id: row.get("reservation_id")?,
            launch_index: row.get("launch_index")?,
            access_ipv4: row.get("access_ipv4")?,
            access_ipv6: row.get("access_ipv6")?,
            disk_config: row.get("disk_config")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            launched_at: row.get("launched_at")?,
            group_id: row.get("group_id")?,
            volumes: parsed(&row.get::<String>("volumes")?)?,
        })
    }
}

/// What a list may be filtered by in SQL; the rest (regular expressions, addresses) is looked at in the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub project_id: Option<String>,
    pub equal: Vec<(&'static str, Arg)>,
    pub vm_states: Option<Vec<&'static str>>,
    pub changed_since: Option<Timestamp>,
    pub changed_before: Option<Timestamp>,
    /// Names that contain, begin with or are these texts.
    pub names: Vec<NamePattern>,
    /// Whether the rows are shown with their user data.
    pub user_data: bool,
}

/// A pattern that SQL can look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamePattern {
    Contains(String),
    Prefix(String),
    Is(String),
}

/// One page of servers; unless asked for, without user data. Never with files, the key's text and passwords.
pub(crate) async fn list(db: &Db, filter: &Filter, page: Page) -> Result<Vec<Server>, Error> {
    let select = if filter.user_data {
        SELECT_WITH_USER_DATA
    } else {
        SELECT_BRIEF
    };
    let mut query = Where::new(select).eq_opt("project_id", filter.project_id.as_deref());
    for name in &filter.names {
        query = match name {
            NamePattern::Contains(text) => query.contains("name", text),
            NamePattern::Prefix(text) => query.prefix("name", text),
            NamePattern::Is(text) => query.eq("name", text),
        };
    }
    for (column, value) in &filter.equal {
        query = query.eq(column, value.clone());
    }
    if let Some(states) = &filter.vm_states {
        query = query.in_("vm_state", states.iter().copied());
    }
    if let Some(since) = filter.changed_since {
        query = query.ge("updated_at", since);
    }
    if let Some(before) = filter.changed_before {
        query = query.le("updated_at", before);
    }
    db.fetch_where(&query.page(page)).await
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<Server>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .into_iter()
        .next())
}

/// The server as it is inside a transaction.
pub(crate) async fn lock(tx: &mut Tx, id: &ServerId) -> Result<Option<Server>, Error> {
    Ok(tx
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .into_iter()
        .next())
}

/// As [`lock`], in a transaction that guards itself: what is read stays so until its end.
pub(crate) async fn hold(tx: &mut Tx, id: &ServerId) -> Result<Option<Server>, Error> {
    tx.fetch_held(&Where::new(SELECT).eq("id", id)).await
}

/// Writes servers that were just asked for.
pub(crate) async fn insert(tx: &mut Tx, servers: &[Server]) -> Result<(), Error> {
    let rows: Vec<Vec<Arg>> = servers.iter().map(new_row).collect::<Result<_, _>>()?;
    tx.exec_rows(
        "INSERT INTO servers (id, project_id, user_id, name, description, hostname, image_id, image, flavor_id, \
         flavor, key_name, key_data, user_data, config_drive, wanted_zone, wanted_host, vm_state, task_state, want, \
         power_state, generation, reboot_sequence, reboot_kind, disk_epoch, networks, security_groups, metadata, tags, \
         excluded_hosts, reservation_id, launch_index, access_ipv4, access_ipv6, disk_config, created_at, updated_at, \
         admin_pass, guest_password, files, vcpus, ram_mib, disk_gib, group_id, volumes)",
        &rows,
        "",
    )
    .await?;
    Ok(())
}

fn new_row(server: &Server) -> Result<Vec<Arg>, Error> {
    let (key_name, key_data) = server.key.clone().unzip();
    Ok(args![
        server.id,
        server.project_id,
        server.user_id,
        server.name,
        server.description,
        server.hostname,
        server.image.id,
        json(&server.image)?,
        server.flavor.id,
        json(&server.flavor)?,
        key_name,
        key_data,
        server.user_data,
        server.config_drive,
        server.wanted_zone,
        server.wanted_host,
        server.vm_state.word(),
        server.task_state,
        server.want,
        server.power_state,
        server.generation,
        0,
        "",
        0,
        json(&server.nics)?,
        json(&server.security_groups)?,
        json(&server.metadata)?,
        json(&server.tags)?,
        "[]",
        server.reservation_id,
        server.launch_index,
        server.access_ipv4,
        server.access_ipv6,
        server.disk_config,
        server.created_at,
        server.created_at,
        // Without a config drive nothing could ever show it to the guest.
        server.admin_pass.as_ref().filter(|_| server.config_drive),
        "",
        json(&server.files)?,
        server.flavor.vcpus,
        server.flavor.ram_mib,
        if server.boots_from_volume() {
            0
        } else {
            server.flavor.disk_gib
        },
        server.group_id,
        json(&server.volumes)?,
    ])
}

/// Writes everything that can change.
pub(crate) async fn update(tx: &mut Tx, server: &Server) -> Result<(), Error> {
    let locked = server.locked_by.map(|who| match who {
        LockedBy::Owner => "owner",
        LockedBy::Admin => "admin",
    });
    tx.exec(
        "UPDATE servers SET name = $1, description = $2, hostname = $3, zone = $4, host = $5, vm_state = $6, \
         task_state = $7, want = $8, power_state = $9, generation = $10, reboot_sequence = $11, \
         reboot_kind = $12, networks = $13, metadata = $14, tags = $15, locked_by = $16, locked_reason = $17, \
         fault = $18, excluded_hosts = $19, access_ipv4 = $20, access_ipv6 = $21, disk_config = $22, \
         updated_at = $23, launched_at = $24, security_groups = $25, volumes = $26 WHERE id = $27",
        args![
            server.name,
            server.description,
            server.hostname,
            server.zone,
            server.host,
            server.vm_state.word(),
            server.task_state,
            server.want,
            server.power_state,
            server.generation,
            server.reboot_sequence,
            server.reboot_kind,
            json(&server.nics)?,
            json(&server.metadata)?,
            json(&server.tags)?,
            locked,
            server.locked_reason,
            server.fault.as_ref().map(json).transpose()?,
            json(&server.excluded_hosts)?,
            server.access_ipv4,
            server.access_ipv6,
            server.disk_config,
            server.updated_at,
            server.launched_at,
            json(&server.security_groups)?,
            json(&server.volumes)?,
            server.id,
        ],
    )
    .await?;
    Ok(())
}

/// Writes what only a rebuild changes.
pub(crate) async fn update_content(tx: &mut Tx, server: &Server) -> Result<(), Error> {
    let (key_name, key_data) = server.key.clone().unzip();
    tx.exec(
        "UPDATE servers SET image_id = $1, image = $2, key_name = $3, key_data = $4, user_data = $5, \
         admin_pass = $6, files = $7, disk_epoch = $8 WHERE id = $9",
        args![
            server.image.id,
            json(&server.image)?,
            key_name,
            key_data,
            server.user_data,
            server.admin_pass.as_ref().filter(|_| server.config_drive),
            json(&server.files)?,
            server.disk_epoch,
            server.id,
        ],
    )
    .await?;
    Ok(())
}

/// Writes what only a resize changes.
pub(crate) async fn update_size(tx: &mut Tx, server: &Server) -> Result<(), Error> {
    tx.exec(
        "UPDATE servers SET flavor_id = $1, flavor = $2, vcpus = $3, ram_mib = $4, disk_gib = $5 WHERE id = $6",
        args![
            server.flavor.id,
            json(&server.flavor)?,
            server.flavor.vcpus,
            server.flavor.ram_mib,
            server.flavor.disk_gib,
            server.id,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &ServerId) -> Result<(), Error> {
    tx.exec("DELETE FROM servers WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Keeps the password that a guest made; says whether it had none.
pub(crate) async fn set_guest_password(
    tx: &mut Tx,
    id: &ServerId,
    text: &str,
) -> Result<bool, Error> {
    let sql = "UPDATE servers SET guest_password = $1 WHERE id = $2 AND guest_password = ''";
    Ok(tx.exec(sql, args![text, id]).await? == 1)
}

pub(crate) async fn clear_guest_password(tx: &mut Tx, id: &ServerId) -> Result<(), Error> {
    tx.exec(
        "UPDATE servers SET guest_password = '' WHERE id = $1",
        args![id],
    )
    .await?;
    Ok(())
}

/// What servers use of a host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostUse {
    pub servers: i64,
    /// Servers that are being worked on.
    pub busy: i64,
    pub vcpus: i64,
    pub ram_mib: i64,
    pub disk_gib: i64,
}

struct HostUseRow(String, HostUse);

impl FromRow for HostUseRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let used = HostUse {
            servers: row.get("servers")?,
            busy: row.get("busy")?,
            vcpus: row.get("vcpus")?,
            ram_mib: row.get("ram_mib")?,
            disk_gib: row.get("disk_gib")?,
        };
        Ok(Self(row.get("host")?, used))
    }
}

pub(crate) async fn use_of_hosts(db: &Db) -> Result<BTreeMap<String, HostUse>, Error> {
    let rows = db
        .fetch_all::<HostUseRow>(
            "SELECT host, CAST(COUNT(*) AS BIGINT) AS servers, CAST(COUNT(task_state) AS BIGINT) AS busy, \
             CAST(SUM(vcpus) AS BIGINT) AS vcpus, CAST(SUM(ram_mib) AS BIGINT) AS ram_mib, \
             CAST(SUM(disk_gib) AS BIGINT) AS disk_gib FROM servers WHERE host IS NOT NULL GROUP BY host",
            args![],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|HostUseRow(host, used)| (host, used))
        .collect())
}

struct OnHost(String, String, String);

impl FromRow for OnHost {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("host")?, row.get("id")?, row.get("name")?))
    }
}

/// Id and name of every server, by host.
pub(crate) async fn by_host(db: &Db) -> Result<BTreeMap<String, Vec<(String, String)>>, Error> {
    let sql = "SELECT host, id, name FROM servers WHERE host IS NOT NULL ORDER BY host, id";
    let mut hosts: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for OnHost(host, id, name) in db.fetch_all::<OnHost>(sql, args![]).await? {
        hosts.entry(host).or_default().push((id, name));
    }
    Ok(hosts)
}
