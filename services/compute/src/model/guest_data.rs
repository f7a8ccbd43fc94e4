//! What a guest may read about itself: the documents of the metadata service, which are also the files of a config drive.
//!
//! Forms: Nova's metadata (`openstack/latest/…`) and EC2's (`latest/meta-data/…`), as cloud-init reads them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::server::Server;
use super::volume::{ROOT_DEVICE, Volume};

/// Versions of the OpenStack documents that are listed; all have the same content.
const OPENSTACK_VERSIONS: &[&str] = &[
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "latest",
];
/// Versions of the EC2 documents that are listed.
const EC2_VERSIONS: &[&str] = &["2009-04-04", "latest"];

/// `meta_data.json`.
#[must_use]
pub fn meta_data(server: &Server) -> Value {
    let mut data = json!({
        "uuid": server.id,
        "name": server.name,
        "hostname": server.hostname,
        "launch_index": server.launch_index,
        "availability_zone": server.zone,
        "project_id": server.project_id,
        "meta": server.metadata,
        "devices": devices(server),
        "dedicated_cpus": [],
    });
    if let (false, Some(object)) = (server.files.is_empty(), data.as_object_mut()) {
        let entry = |(index, (path, _)): (usize, &(String, String))| json!({"path": path, "content_path": format!("/content/{index:04}")});
        object.insert(
            "files".into(),
            server.files.iter().enumerate().map(entry).collect(),
        );
    }
    if let (Some((name, text)), Some(object)) = (&server.key, data.as_object_mut()) {
        object.insert("public_keys".into(), json!({ (name.as_str()): text }));
        object.insert(
            "keys".into(),
            json!([{"name": name, "type": "ssh", "data": text}]),
        );
    }
    data
}

fn devices(server: &Server) -> Vec<Value> {
    let tagged = server
        .nics
        .iter()
        .filter_map(|nic| Some((nic.tag.as_ref()?, nic.bound.as_ref()?)));
    let nics = tagged
        .map(|(tag, bound)| json!({"type": "nic", "bus": "none", "address": "none", "mac": bound.mac, "tags": [tag]}));
    let plugged = |volume: &&Volume| volume.connection.is_some() && !volume.leaving;
    let disks = server.volumes.iter().filter(plugged).filter_map(|volume| {
        Some(json!({
            "type": "disk", "bus": "none", "address": "none", "serial": volume.volume_id, "path": volume.device,
            "tags": [volume.tag.as_ref()?],
        }))
    });
    nics.chain(disks).collect()
}

/// `network_data.json`.
#[must_use]
pub fn network_data(server: &Server) -> Value {
    let (mut links, mut networks, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for nic in &server.nics {
        let Some(bound) = &nic.bound else { continue };
        let link = super::spec::PortSpec::tap_name(&nic.port_id.as_str().into());
        links.push(json!({
            "id": link, "vif_id": nic.port_id, "type": "phy", "mtu": bound.mtu,
            "ethernet_mac_address": bound.mac,
        }));
        for address in &bound.addresses {
            let index = networks.len();
            networks.push(network(address, &link, &nic.network_id, index));
            for dns in &address.dns {
                let service = json!({"type": "dns", "address": dns});
                if !services.contains(&service) {
                    services.push(service);
                }
            }
        }
    }
    json!({"links": links, "networks": networks, "services": services})
}

fn network(
    address: &super::server::BoundAddress,
    link: &str,
    network_id: &str,
    index: usize,
) -> Value {
    let six = address.ip.contains(':');
    let id = format!("network{index}");
    if address.dhcp {
        let kind = if six { "ipv6_dhcp" } else { "ipv4_dhcp" };
        return json!({"id": id, "type": kind, "link": link, "network_id": network_id});
    }
    let (any, none) = if six {
        ("::", "::")
    } else {
        ("0.0.0.0", "0.0.0.0")
    };
    let routes: Vec<Value> = address
        .gateway
        .iter()
        .map(|gateway| json!({"network": any, "netmask": none, "gateway": gateway}))
        .collect();
    let net = address.cidr.parse::<ipnet::IpNet>().ok();
    json!({
        "id": id, "type": if six { "ipv6" } else { "ipv4" }, "link": link, "network_id": network_id,
        "ip_address": address.ip, "netmask": net.map(|net| net.netmask().to_string()), "routes": routes,
        "services": address.dns.iter().map(|dns| json!({"type": "dns", "address": dns})).collect::<Vec<_>>(),
    })
}

/// The user data, decoded.
#[must_use]
pub fn user_data(server: &Server) -> Option<Vec<u8>> {
    server
        .user_data
        .as_ref()
        .and_then(|text| STANDARD.decode(text).ok())
}

/// The files of a config drive.
#[must_use]
pub fn config_drive(server: &Server) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["openstack/latest", "openstack/2018-08-27"] {
        for name in openstack_files(server) {
            let content = match name {
                // Only here: the metadata service is asked over the network.
                "meta_data.json" => Some(with_password(server)),
                _other => openstack_file(server, name),
            };
            if let Some(content) = content {
                files.insert(format!("{folder}/{name}"), content);
            }
        }
    }
    for index in 0..server.files.len() {
        let number = format!("{index:04}");
        if let Some(content) = file(server, &number) {
            files.insert(format!("openstack/content/{number}"), content);
        }
    }
    let mut ec2 = json!({
        "instance-id": ec2_id(server), "hostname": server.hostname, "local-hostname": server.hostname,
        "ami-launch-index": server.launch_index,
    });
    if let (Some((name, text)), Some(object)) = (&server.key, ec2.as_object_mut()) {
        object.insert(
            "public-keys".into(),
            json!({"0": format!("0={name}"), "openssh-key": text}),
        );
    }
    files.insert(
        "ec2/latest/meta-data.json".to_owned(),
        ec2.to_string().into_bytes(),
    );
    files
}

fn with_password(server: &Server) -> Vec<u8> {
    let mut data = meta_data(server);
    if let (Some(password), Some(data)) = (&server.admin_pass, data.as_object_mut()) {
        data.insert("admin_pass".into(), json!(password));
    }
    data.to_string().into_bytes()
}

/// Files that were given at creation stand as `content/0000` and so on; `meta_data.json` says where they belong.
fn file(server: &Server, number: &str) -> Option<Vec<u8>> {
    let (_, text) = server.files.get(number.parse::<usize>().ok()?)?;
    STANDARD.decode(text).ok()
}

fn openstack_files(server: &Server) -> Vec<&'static str> {
    let mut names = vec![
        "meta_data.json",
        "network_data.json",
        "vendor_data.json",
        "vendor_data2.json",
    ];
    if server.user_data.is_some() {
        names.push("user_data");
    }
    names
}

fn openstack_file(server: &Server, name: &str) -> Option<Vec<u8>> {
    match name {
        "meta_data.json" => Some(meta_data(server).to_string().into_bytes()),
        "network_data.json" => Some(network_data(server).to_string().into_bytes()),
        "vendor_data.json" | "vendor_data2.json" => Some(b"{}".to_vec()),
        "user_data" => user_data(server),
        _unknown => None,
    }
}

/// What the metadata service answers at `path`, and its media type; none is 404.
#[must_use]
pub fn answer(server: &Server, path: &str) -> Option<(&'static str, Vec<u8>)> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let media = match parts.last() {
        Some(name) if name.ends_with(".json") => "application/json",
        Some(&"user_data" | &"user-data") => "application/octet-stream",
        _text => "text/plain; charset=utf-8",
    };
    content(server, &parts).map(|body| (media, body))
}

/// Whether `path` is where a guest leaves its password.
#[must_use]
pub fn is_password(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    matches!(parts.as_slice(), ["openstack", version, "password"] if OPENSTACK_VERSIONS.contains(version))
}

fn content(server: &Server, parts: &[&str]) -> Option<Vec<u8>> {
    match parts {
        [] => Some(lines(EC2_VERSIONS.iter().copied())),
        ["openstack"] => Some(lines(OPENSTACK_VERSIONS.iter().copied())),
        ["openstack", "content", number] => file(server, number),
        ["openstack", version] if OPENSTACK_VERSIONS.contains(version) => Some(lines(
            openstack_files(server).into_iter().chain(["password"]),
        )),
        ["openstack", version, "password"] if OPENSTACK_VERSIONS.contains(version) => {
            Some(server.guest_password.clone().into_bytes())
        }
        ["openstack", version, name] if OPENSTACK_VERSIONS.contains(version) => {
            openstack_file(server, name)
        }
        [version] if EC2_VERSIONS.contains(version) => {
            let user = server.user_data.as_ref().map(|_| "user-data");
            Some(lines(["meta-data/"].into_iter().chain(user)))
        }
        [version, "user-data"] if EC2_VERSIONS.contains(version) => user_data(server),
        [version, "meta-data", rest @ ..] if EC2_VERSIONS.contains(version) => ec2(server, rest),
        _unknown => None,
    }
}

fn ec2(server: &Server, rest: &[&str]) -> Option<Vec<u8>> {
    let text = |text: &str| Some(text.as_bytes().to_vec());
    let first = |wanted: fn(&super::server::BoundAddress) -> Option<&String>| {
        let addresses = server.nics.iter().filter_map(|nic| nic.bound.as_ref());
        addresses
            .flat_map(|bound| &bound.addresses)
            .find_map(wanted)
            .cloned()
    };
    match rest {
        [] => {
            let mut names = vec![
                "ami-id",
                "ami-launch-index",
                "block-device-mapping/",
                "hostname",
                "instance-id",
                "instance-type",
                "local-hostname",
                "local-ipv4",
                "placement/",
                "public-hostname",
                "public-ipv4",
            ];
            if server.key.is_some() {
                names.push("public-keys/");
            }
            Some(lines(names.into_iter()))
        }
        ["ami-id"] => text(server.image.id.as_str()),
        ["ami-launch-index"] => text(&server.launch_index.to_string()),
        ["block-device-mapping"] => {
            let all = mappings(server);
            Some(lines(all.iter().map(|(name, _)| name.as_str())))
        }
        ["block-device-mapping", name] => {
            let all = mappings(server);
            let (_, device) = all.into_iter().find(|(known, _)| known == name)?;
            text(&device)
        }
        ["hostname" | "local-hostname" | "public-hostname"] => text(&server.hostname),
        ["instance-id"] => text(&ec2_id(server)),
        ["instance-type"] => text(&server.flavor.name),
        ["local-ipv4"] => text(&first(|address| {
            Some(&address.ip).filter(|ip| !ip.contains(':'))
        })?),
        ["public-ipv4"] => text(&first(|address| address.floating.first()).unwrap_or_default()),
        ["placement"] => text("availability-zone"),
        ["placement", "availability-zone"] => text(server.zone.as_deref().unwrap_or_default()),
        ["public-keys"] => server
            .key
            .as_ref()
            .and_then(|(name, _)| text(&format!("0={name}"))),
        ["public-keys", "0"] => server.key.as_ref().and_then(|_| text("openssh-key")),
        ["public-keys", "0", "openssh-key"] => server.key.as_ref().and_then(|(_, key)| text(key)),
        _unknown => None,
    }
}

/// EC2's names of the disks: what the server boots from twice, then its volumes by number.
fn mappings(server: &Server) -> Vec<(String, String)> {
    let mut all = vec![
        (
            "ami".to_owned(),
            super::volume::short(ROOT_DEVICE).to_owned(),
        ),
        ("root".to_owned(), ROOT_DEVICE.to_owned()),
    ];
    let plugged = |volume: &&Volume| volume.connection.is_some() && !volume.leaving;
    let devices = server.volumes.iter().filter(plugged);
    let others = devices.filter(|volume| !volume.is_root).enumerate();
    all.extend(others.map(|(number, volume)| (format!("ebs{number}"), volume.device.clone())));
    all
}

/// EC2 wants `i-` and hexadecimal digits; Nova counts, we take the beginning of the id.
fn ec2_id(server: &Server) -> String {
    let hex: String = server
        .id
        .as_str()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(8)
        .collect();
    format!("i-{hex}")
}

fn lines<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    names.collect::<Vec<_>>().join("\n").into_bytes()
}
