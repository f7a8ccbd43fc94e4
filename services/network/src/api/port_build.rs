//! Makes ports, for the API and for routers and floating IPs.

use nephos_api::Fault;
use nephos_db::Tx;
use rand::Rng;
use serde_json::json;

use crate::Cx;
use crate::api::fixed_ips::{self, Choice};
use crate::api::input;
use crate::api::input::Flag;
use crate::api::port_body::{FixedIpBody, NewPort, OptionBody, PairBody};
use crate::model::network::Network;
use crate::model::port::{
    AddressPair, DhcpOption, Port, PortStatus, make_mac, parse_mac, parse_range,
};
use crate::model::refusal::Refusal;
use crate::model::subnet::Subnet;
use crate::store::{
    Reader, port_links, ports, publish, quotas, rbac, security_groups, subnets, tags,
};

const VNIC_TYPES: [&str; 10] = [
    "normal",
    "direct",
    "macvtap",
    "baremetal",
    "direct-physical",
    "virtio-forwarder",
    "smart-nic",
    "vdpa",
    "accelerator-direct",
    "accelerator-direct-physical",
];
const MAX_PAIRS: usize = 10;

/// A port with nothing but its place: what routers and floating IPs begin with.
pub(super) fn bare(cx: &Cx, network: &Network, project_id: &str) -> Port {
    let now = cx.now();
    Port {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id: project_id.to_owned(),
        network_id: network.id.clone(),
        name: String::new(),
        description: String::new(),
        mac: make_mac(rand::rng().random()),
        admin_state_up: true,
        status: PortStatus::Down,
        device_id: String::new(),
        device_owner: String::new(),
        host: String::new(),
        next_host: String::new(),
        vnic_type: "normal".to_owned(),
        profile: json!({}),
        port_security_enabled: false,
        address_pairs: Vec::new(),
        dhcp_options: Vec::new(),
        qos_policy_id: None,
        qos_network_policy_id: network.qos_policy_id.clone(),
        revision: 1,
        created_at: now,
        updated_at: now,
        network_project: network.project_id.clone(),
        fixed_ips: Vec::new(),
        security_groups: Vec::new(),
        tags: Vec::new(),
    }
}

/// The port that a body describes, without addresses and groups.
pub(super) fn plan(
    cx: &Cx,
    new: &NewPort,
    network: &Network,
    project_id: &str,
) -> Result<Port, Fault> {
    let text = |name: &Option<input::Name>| name.clone().unwrap_or_default().0;
    let mut port = bare(cx, network, project_id);
    port.name = text(&new.name);
    port.description = text(&new.description);
    port.admin_state_up = new.admin_state_up.is_none_or(|flag| flag.0);
    port.device_id = text(&new.device_id);
    port.device_owner = text(&new.device_owner);
    port.host = text(&new.host);
    if let Some(mac) = &new.mac_address {
        port.mac = read_mac(mac)?;
    }
    if let Some(kind) = &new.vnic_type {
        port.vnic_type = vnic_type(kind)?;
    }
    if let Some(profile) = &new.profile {
        port.profile = profile_of(profile)?;
    }
    port.port_security_enabled = match new.port_security_enabled {
        Some(Flag(enabled)) => enabled,
        None => network.port_security_enabled && !port.is_network_owned(),
    };
    port.address_pairs = pairs(new.allowed_address_pairs.as_deref(), &port.mac)?;
    port.dhcp_options = options(&[], new.extra_dhcp_opts.as_deref().unwrap_or_default())?;
    port.qos_policy_id.clone_from(&new.qos_policy_id);
    port.tags = input::check_tags(new.tags.as_deref().unwrap_or_default())?;
    Ok(port)
}

pub(super) fn read_mac(text: &str) -> Result<String, Refusal> {
    parse_mac(text).ok_or_else(|| {
        Refusal::request(format!(
            "Invalid input for mac_address. Reason: '{text}' is not a valid MAC address."
        ))
    })
}

pub(super) fn vnic_type(text: &str) -> Result<String, Refusal> {
    if VNIC_TYPES.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(Refusal::request(format!(
        "Invalid input for binding:vnic_type. Reason: '{text}' is not in {VNIC_TYPES:?}."
    )))
}

pub(super) fn profile_of(value: &serde_json::Value) -> Result<serde_json::Value, Refusal> {
    if value.is_object() && value.to_string().len() <= 4095 {
        return Ok(value.clone());
    }
    Err(Refusal::request(
        "Invalid input for binding:profile. Reason: it must be an object of at most 4095 bytes.",
    ))
}

/// Address pairs: checked, with the port's MAC where they name none, none twice.
pub(super) fn pairs(bodies: Option<&[PairBody]>, mac: &str) -> Result<Vec<AddressPair>, Refusal> {
    let bodies = bodies.unwrap_or_default();
    if bodies.len() > MAX_PAIRS {
        return Err(Refusal::invalid(
            "AllowedAddressPairExhausted",
            format!("The number of allowed address pair exceeds the maximum {MAX_PAIRS}."),
        ));
    }
    let mut found: Vec<AddressPair> = Vec::new();
    for body in bodies {
        if parse_range(&body.ip_address).is_none() {
            return Err(Refusal::request(format!(
                "Invalid input for allowed_address_pairs. Reason: '{}' is not a valid IP subnet.",
                body.ip_address
            )));
        }
        let pair = AddressPair {
            mac_address: match &body.mac_address {
                None => mac.to_owned(),
                Some(text) => read_mac(text)?,
            },
            ip_address: body.ip_address.clone(),
        };
        if found.contains(&pair) {
            return Err(Refusal::invalid(
                "DuplicateAddressPairInRequest",
                format!(
                    "Request contains duplicate address pair: mac_address {} ip_address {}.",
                    pair.mac_address, pair.ip_address
                ),
            ));
        }
        found.push(pair);
    }
    Ok(found)
}

/// DHCP options as they are after these changes.
pub(super) fn options(
    before: &[DhcpOption],
    bodies: &[OptionBody],
) -> Result<Vec<DhcpOption>, Refusal> {
    let mut options = before.to_vec();
    for body in bodies {
        let version = body.ip_version.map_or(4, |int| int.0);
        let ip_version = match version {
            4 => 4,
            6 => 6,
            other => {
                return Err(Refusal::request(format!(
                    "Invalid input for extra_dhcp_opts. Reason: ip_version {other} is not in [4, 6]."
                )));
            }
        };
        let lines = |text: &str| text.contains(['\n', '\r']);
        if body.opt_name.trim().is_empty() || body.opt_name.len() > 64 || lines(&body.opt_name) {
            return Err(Refusal::request(
                "Invalid input for extra_dhcp_opts. Reason: opt_name must have 1 to 64 characters and one line.",
            ));
        }
        options.retain(|known| known.opt_name != body.opt_name || known.ip_version != ip_version);
        let Some(value) = &body.opt_value else {
            return Err(Refusal::request(
                "Invalid input for extra_dhcp_opts. Reason: Validation of dictionary's keys failed. \
                 Expected keys: {'opt_name', 'opt_value'} Provided keys: {'opt_name'}.",
            ));
        };
        if let Some(value) = value {
            if value.trim().is_empty() || value.len() > 255 || lines(value) {
                return Err(Refusal::request(format!(
                    "Invalid input for extra_dhcp_opts. Reason: the value of {} must have 1 to 255 characters and one line.",
                    body.opt_name
                )));
            }
            options.push(DhcpOption {
                opt_name: body.opt_name.clone(),
                opt_value: value.clone(),
                ip_version,
            });
        }
    }
    Ok(options)
}

/// The groups that were asked for, if the project may use them all; without a wish, the project's default group.
pub(super) async fn groups(
    tx: &mut Tx,
    port: &Port,
    asked: Option<&[String]>,
) -> Result<Vec<String>, Fault> {
    let Some(asked) = asked else {
        if port.is_network_owned() || !port.port_security_enabled {
            return Ok(Vec::new());
        }
        let now = port.updated_at;
        let default = security_groups::ensure_default(tx, &port.project_id, now).await?;
        return Ok(vec![default]);
    };
    let mut wanted: Vec<String> = Vec::new();
    for id in asked {
        if uuid::Uuid::parse_str(id).is_err() {
            let why = format!("'{id}' is not an integer or uuid");
            return Err(Refusal::input(why).into());
        }
        if !wanted.contains(id) {
            wanted.push(id.clone());
        }
    }
    if wanted.is_empty() {
        return Ok(wanted);
    }
    rbac::hold(tx, &wanted).await?;
    let usable = security_groups::usable(&mut Reader::Tx(tx), &wanted, &port.project_id).await?;
    match wanted.iter().find(|id| !usable.contains(id)) {
        Some(missing) => Err(Refusal::no_group(missing).into()),
        None => Ok(wanted),
    }
}

/// What a port is inserted with.
pub(crate) struct Insert<'a> {
    pub choice: Choice<'a>,
    pub fixed_ips: Option<&'a [FixedIpBody]>,
    /// Whether another MAC may be made when this one is in use.
    pub any_mac: bool,
}

/// Counts a port, writes it, and tells its host.
pub(super) async fn insert(tx: &mut Tx, port: &mut Port, how: Insert<'_>) -> Result<(), Fault> {
    if !port.project_id.is_empty() {
        quotas::take(tx, &port.project_id, "port", 1).await?;
    }
    write(tx, port, how).await?;
    tell_host(tx, port).await
}

/// Writes a port with its addresses, groups and tags.
pub(super) async fn write(tx: &mut Tx, port: &mut Port, how: Insert<'_>) -> Result<(), Fault> {
    const TRIES: u32 = 8;
    let mut tries = 0;
    while !ports::insert(tx, port).await? {
        tries += 1;
        if !how.any_mac || tries > TRIES {
            return Err(mac_in_use(port).into());
        }
        port.mac = make_mac(rand::rng().random());
    }
    port.fixed_ips = fixed_ips::allocate(tx, port, how.choice, how.fixed_ips).await?;
    port_links::insert(tx, &port.id, &port.security_groups).await?;
    for tag in &port.tags {
        tags::insert(tx, &port.id, tag).await?;
    }
    Ok(())
}

/// Tells the host of a port that was written, and those that hear of it.
pub(super) async fn tell_host(tx: &mut Tx, port: &Port) -> Result<(), Fault> {
    Ok(publish::port(tx, port.updated_at, None, Some(port)).await?)
}

pub(super) fn mac_in_use(port: &Port) -> Refusal {
    Refusal::conflict(
        "MacAddressInUse",
        format!(
            "Unable to complete operation for network {}. The mac address {} is in use.",
            port.network_id, port.mac
        ),
    )
}

/// The subnets of a network, as address choice wants them.
pub(super) async fn subnets_of(tx: &mut Tx, network: &str) -> Result<Vec<Subnet>, Fault> {
    Ok(subnets::of_network(&mut Reader::Tx(tx), network).await?)
}
