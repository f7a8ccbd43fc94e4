//! The properties that a resource of a type is made with: each of them fits, and so do all of them together.

use serde_json::{Map, Value};

use super::balancing;
use super::group;
use super::kind::{BLOCK_LIMITS, How, Kind};
use super::property::fill;
use super::refusal::Refusal;
use super::region;

/// The properties of a type as it is made with them.
pub(crate) fn properties(
    kind: &Kind,
    given: &Map<String, Value>,
    later: &[String],
) -> Result<Map<String, Value>, Refusal> {
    if matches!(kind.how, How::Nothing) {
        return Ok(given.clone());
    }
    let filled = fill(kind.props, given, later)?;
    if filled.get("signal_transport").and_then(Value::as_str) == Some("ZAQAR_SIGNAL") {
        return Err(Refusal::invalid(
            "signal_transport: ZAQAR_SIGNAL is not available, there is no messaging service in this cloud.",
        ));
    }
    let has = |name: &str| filled.contains_key(name);
    let needs_one = |names: [&str; 2]| {
        if has(names[0]) || has(names[1]) {
            Ok(())
        } else {
            Err(Refusal::invalid(format!(
                "Property {} not assigned",
                names[0]
            )))
        }
    };
    match kind.name {
        "OS::Neutron::Port" | "OS::Neutron::Subnet" | "OS::Neutron::RouterGateway" => {
            needs_one(["network", "network_id"])?
        }
        "OS::Neutron::FloatingIP" => needs_one(["floating_network", "floating_network_id"])?,
        "OS::Neutron::RouterInterface" => {
            needs_one(["router", "router_id"])?;
            if !["subnet", "subnet_id", "port", "port_id"]
                .iter()
                .any(|name| has(name))
            {
                return Err(Refusal::invalid(
                    "At least one of the following properties must be specified: subnet, port.",
                ));
            }
        }
        "OS::Nova::Server" => {
            check_devices(&filled, later)?;
            if !later.iter().any(|name| name == "networks") {
                check_nics(&filled)?;
            }
        }
        "OS::Cinder::VolumeType" => {
            let projects = filled.get("projects").and_then(Value::as_array);
            let public = filled.get("is_public").and_then(Value::as_bool) != Some(false);
            if public && projects.is_some_and(|projects| !projects.is_empty()) {
                return Err(Refusal::invalid(
                    "Can not specify property \"projects\" if the volume type is public.",
                ));
            }
        }
        "OS::Cinder::Quota" => {
            let limits = BLOCK_LIMITS;
            if !limits.iter().any(|name| has(name)) {
                return Err(Refusal::invalid(format!(
                    "At least one of the following properties must be specified: {}.",
                    limits.join(", ")
                )));
            }
        }
        name if name.starts_with("OS::Octavia::") => {
            balancing::check(name.trim_start_matches("OS::Octavia::"), &filled)?;
        }
        name if name.starts_with("OS::Keystone::") && !later.iter().any(|name| name == "roles") => {
            check_roles(&filled)?;
        }
        "OS::Heat::Stack" => region::check_context(&filled)?,
        "OS::Heat::AutoScalingGroup" if later.is_empty() => {
            group::size(&filled, None)?;
        }
        _other => {}
    }
    Ok(filled)
}

/// Each role is given on a project or on a domain.
fn check_roles(properties: &Map<String, Value>) -> Result<(), Refusal> {
    let roles = properties.get("roles").and_then(Value::as_array);
    for one in roles.into_iter().flatten() {
        let has = |name: &str| one.get(name).is_some_and(|value| !value.is_null());
        let role = one.get("role").and_then(Value::as_str).unwrap_or_default();
        let why = match (has("project"), has("domain")) {
            (true, true) => {
                "Cannot define the following properties at the same time: project, domain."
                    .to_owned()
            }
            (false, false) if !role.is_empty() => {
                format!("Either project or domain must be specified for role {role}")
            }
            _one_of_them => continue,
        };
        return Err(Refusal::invalid(format!("roles: {why}")));
    }
    Ok(())
}

/// Each nic of a server says what it is in, once.
fn check_nics(server: &Map<String, Value>) -> Result<(), Refusal> {
    let nics = server.get("networks").and_then(Value::as_array);
    for nic in nics.into_iter().flatten().filter_map(Value::as_object) {
        let has = |name: &str| nic.get(name).is_some_and(|value| !value.is_null());
        let network = has("network") || has("uuid");
        let why = if has("allocate_network") {
            let alone = nic.values().filter(|value| !value.is_null()).count() == 1;
            (!alone).then_some(
                "Can not specify \"allocate_network\" with other keys of networks at the same time.",
            )
        } else if !network && !has("port") && !has("subnet") {
            Some(
                "One of the properties \"network\", \"port\", \"allocate_network\" or \"subnet\" should be set for the specified network of a server.",
            )
        } else if has("port") && has("fixed_ip") {
            Some(
                "Cannot define the following properties at the same time: networks/fixed_ip, networks/port.",
            )
        } else if has("floating_ip")
            && !["port", "subnet", "port_extra_properties"]
                .iter()
                .any(|name| has(name))
        {
            Some(
                "Property \"floating_ip\" is not supported if only \"network\" is specified, because the corresponding port can not be retrieved.",
            )
        } else if without_ips(nic) && (has("subnet") || has("fixed_ip")) {
            Some(
                "Cannot define the following properties at the same time: networks/port_extra_properties/no_fixed_ips, networks/subnet, networks/fixed_ip.",
            )
        } else {
            None
        };
        if let Some(why) = why {
            return Err(Refusal::invalid(format!("networks: {why}")));
        }
    }
    Ok(())
}

/// Whether the port of a nic is to have no addresses.
fn without_ips(nic: &Map<String, Value>) -> bool {
    let extra = nic.get("port_extra_properties");
    extra.and_then(|extra| extra.get("no_fixed_ips")?.as_bool()) == Some(true)
}

/// A server boots from one thing.
fn check_devices(server: &Map<String, Value>, later: &[String]) -> Result<(), Refusal> {
    let list = |name: &str| server.get(name).and_then(Value::as_array);
    let known = |name: &str| !later.iter().any(|one| one == name);
    let (older, newer) = (
        list("block_device_mapping"),
        list("block_device_mapping_v2"),
    );
    if older.is_some() && newer.is_some() {
        return Err(Refusal::invalid(
            "Cannot define the following properties at the same time: block_device_mapping, block_device_mapping_v2.",
        ));
    }
    let mut roots = usize::from(server.contains_key("image"));
    for device in newer.into_iter().flatten() {
        let has = |name: &&&str| device.get(**name).is_some_and(|value| !value.is_null());
        let sources = ["volume_id", "snapshot_id", "image", "image_id"];
        if known("block_device_mapping_v2") && sources.iter().filter(has).count() != 1 {
            return Err(Refusal::invalid(
                "block_device_mapping_v2: exactly one of volume_id, snapshot_id and image must be specified.",
            ));
        }
        let index = device.get("boot_index").and_then(Value::as_i64);
        roots += usize::from(index.unwrap_or(0) == 0);
    }
    let all_known = ["image", "block_device_mapping", "block_device_mapping_v2"]
        .iter()
        .all(|name| known(name));
    if roots > 1 {
        return Err(Refusal::invalid("Multiple bootable sources for instance."));
    }
    if roots == 0 && older.is_none() && all_known {
        return Err(Refusal::invalid(
            "Neither image nor bootable volume is specified for instance.",
        ));
    }
    Ok(())
}
