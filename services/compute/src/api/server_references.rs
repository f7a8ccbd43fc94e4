//! What a new server refers to: flavor, image, key, networks, security groups; asked for at once, in the caller's name.

use std::net::IpAddr;

use nephos_api::version::v;
use nephos_api::{Fault, quoted};
use nephos_types::ProjectId;
use serde_json::Value;

use super::fault::invalid_text;
use super::flavors::visible;
use super::server_create::{NetworkRef, Networks, NewServer};
use super::{Cx, fault, server_devices};
use crate::model::flavor::Flavor;
use crate::model::server::{ImageCopy, Nic};
use crate::model::volume::Volume;
use crate::peers::{Network, image_copy};
use crate::store;

/// What the siblings and our own tables say of a request's references.
pub(super) struct References {
    pub(super) flavor: Flavor,
    pub(super) image: ImageCopy,
    pub(super) volumes: Vec<Volume>,
    pub(super) key: Option<(String, String)>,
    pub(super) nics: Vec<Nic>,
    pub(super) groups: Vec<String>,
}

/// The form of what a request refers to, as Nova's schema has it.
pub(super) fn check_references(cx: &Cx, new: &NewServer) -> Result<(), Fault> {
    flavor_ref(&new.flavor)?;
    if let Some(text) = new.image.as_deref().filter(|text| !text.is_empty()) {
        image_id(text)?;
    }
    let list = match &new.networks {
        Some(Networks::Word(word)) if cx.version < v(2, 37) => {
            return Err(invalid_text("networks", word, "is not of type 'array'"));
        }
        Some(Networks::Word(word)) if word == "none" || word == "auto" => return Ok(()),
        Some(Networks::Word(word)) => {
            return Err(invalid_text(
                "networks",
                word,
                "is not one of ['none', 'auto']",
            ));
        }
        None if cx.version >= v(2, 37) => {
            return Err(Fault::bad_request(
                "Invalid input for field/attribute server. 'networks' is a required property",
            ));
        }
        None => return Ok(()),
        Some(Networks::List(list)) => list,
    };
    // Tags came with 2.32, were lost from 2.37 to 2.41, and are back since 2.42.
    let tags = cx.version >= v(2, 42) || (v(2, 32)..v(2, 37)).contains(&cx.version);
    for wish in list {
        for (field, id) in [("uuid", &wish.uuid), ("port", &wish.port)] {
            if let Some(id) = id
                .as_deref()
                .filter(|id| uuid::Uuid::try_parse(id).is_err())
            {
                return Err(invalid_text(field, id, "is not a 'uuid'"));
            }
        }
        if let Some(ip) = wish
            .fixed_ip
            .as_deref()
            .filter(|ip| ip.parse::<IpAddr>().is_err())
        {
            return Err(invalid_text("fixed_ip", ip, "is not a 'ipv4'"));
        }
        if let Some(tag) = &wish.tag {
            if !tags {
                return Err(Fault::bad_request(
                    "Additional properties are not allowed ('tag' was unexpected)",
                ));
            }
            super::server_tags::check(std::slice::from_ref(tag))?;
        }
    }
    Ok(())
}

pub(super) async fn references(cx: &Cx, new: &NewServer) -> Result<References, Fault> {
    let flavor_id = flavor_ref(&new.flavor)?;
    let wanted = server_devices::wanted(cx, new)?;
    let (flavor, found, key, nics) = tokio::join!(
        visible(cx, &flavor_id),
        server_devices::found(cx, &wanted),
        key(cx, new.key_name.as_deref()),
        nics(cx, new),
    );
    // A flavor that is not there is a mistake in the request; a database that is away is none.
    let flavor = flavor.map_err(|why| match why.status.as_u16() {
        404 => Fault::bad_request(why.message),
        _other => why,
    })?;
    let found = found?;
    server_devices::check_fits(&flavor, &found)?;
    let groups = groups(cx, new).await?;
    Ok(References {
        flavor,
        image: found.image,
        volumes: found.volumes,
        key: key?,
        nics: nics?,
        groups,
    })
}

pub(super) fn flavor_ref(asked: &Value) -> Result<String, Fault> {
    let text = match asked {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _other => String::new(),
    };
    // Old clients send the flavor's URL.
    let id = text.rsplit('/').next().unwrap_or_default();
    if id.is_empty() {
        let said = match asked {
            Value::String(_) => "is too short",
            _other => "is not of type 'string', 'integer'",
        };
        let said = format!("{} {said}", quoted(asked));
        return Err(fault::invalid("flavorRef", asked, said));
    }
    Ok(id.to_owned())
}

/// An image's id; old clients send its URL.
pub(super) fn image_id(text: &str) -> Result<String, Fault> {
    let id = text.rsplit('/').next().unwrap_or_default().to_owned();
    if uuid::Uuid::try_parse(&id).is_err() {
        return Err(invalid_text("imageRef", text, "is not a 'uuid'"));
    }
    Ok(id)
}

pub(super) async fn image(cx: &Cx, id: &str) -> Result<ImageCopy, Fault> {
    let token = cx.token().unwrap_or_default();
    let shown = cx
        .siblings
        .image(token, id, &cx.request_id)
        .await
        .map_err(|why| match why.is_not_found() {
            true => Fault::bad_request(format!("Can not find requested image: {id}")),
            false => fault::from_peer(&why),
        })?;
    image_copy(&shown).map_err(Fault::bad_request)
}

pub(super) async fn key(cx: &Cx, name: Option<&str>) -> Result<Option<(String, String)>, Fault> {
    let Some(name) = name else { return Ok(None) };
    let found = store::keypairs::get(cx.db(), cx.caller.user_id.as_str(), name).await?;
    let key = found.ok_or_else(|| Fault::bad_request("Invalid key_name provided."))?;
    Ok(Some((key.name, key.public_key)))
}

pub(super) fn check_fits(flavor: &Flavor, image: &ImageCopy) -> Result<(), Fault> {
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
        Some(Networks::Word(word)) if word == "none" => return Ok(Vec::new()),
        Some(Networks::List(list)) if !list.is_empty() => list,
        _automatic => return automatic(cx, token, &project).await,
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
    for wish in list {
        let nic = one_nic(cx, token, wish, &known).await?;
        let same = |other: &Nic| !nic.port_id.is_empty() && other.port_id == nic.port_id;
        if nics.iter().any(same) {
            return Err(Fault::bad_request(format!(
                "Port {} is named twice.",
                nic.port_id
            )));
        }
        nics.push(nic);
    }
    Ok(nics)
}

async fn one_nic(cx: &Cx, token: &str, wish: &NetworkRef, known: &[Network]) -> Result<Nic, Fault> {
    if let Some(port) = &wish.port {
        let found = cx.siblings.port_of_caller(token, port).await;
        let found = found.map_err(|why| match why.is_not_found() {
            true => Fault::bad_request(format!("Port id {port} could not be found.")),
            false => fault::from_peer(&why),
        })?;
        if !found.device_id.is_empty() || found.is_of_the_cloud() {
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
    if let Some(ip) = &wish.fixed_ip {
        let taken = cx.siblings.address_is_taken(id, ip).await;
        if taken.map_err(|why| fault::from_peer(&why))? {
            return Err(Fault::bad_request(format!(
                "Fixed IP address {ip} is already in use on instance network {id}."
            )));
        }
    }
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
