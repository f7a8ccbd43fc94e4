//! `block_device_mapping` and `block_device_mapping_v2` of a new server: which volumes it gets, and what it boots from.
//! First what is asked for is judged by itself, then what it refers to is asked for in the caller's name.

use nephos_api::Fault;
use nephos_api::version::v;
use nephos_auth::Target;
use nephos_peer::PeerError;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::flavors::Number;
use super::server_create::NewServer;
use super::{Cx, fault, is_true};
use crate::model::flavor::Flavor;
use crate::model::server::{ImageCopy, NoPlace};
use crate::model::volume::{self, Origin, ROOT_DEVICE, Source, Volume};
use crate::peers::ShownVolume;
use crate::rules;

/// GiB of a volume that Nova's schema takes at most.
const MAX_GIB: i64 = 0x7FFF_FFFF;

/// A device, in the newer form; the older form uses some of the same keys.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BlockDevice {
    pub(super) source_type: Option<String>,
    pub(super) destination_type: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) volume_id: Option<String>,
    pub(super) snapshot_id: Option<String>,
    pub(super) image_id: Option<String>,
    pub(super) boot_index: Option<Value>,
    pub(super) device_name: Option<String>,
    pub(super) delete_on_termination: Option<Value>,
    pub(super) volume_size: Option<Value>,
    pub(super) volume_type: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) no_device: Option<Value>,
    // Taken and of no effect: every disk here is a virtio disk of the whole volume.
    #[serde(rename = "guest_format")]
    _guest_format: Option<String>,
    #[serde(rename = "device_type")]
    _device_type: Option<String>,
    pub(super) disk_bus: Option<String>,
    #[serde(rename = "virtual_name")]
    _virtual_name: Option<String>,
    #[serde(rename = "connection_info")]
    _connection_info: Option<String>,
}

/// What the volumes of a new server are.
#[derive(Debug, PartialEq, Eq)]
enum What {
    /// One that is there.
    Volume(String),
    /// One that is to be made.
    New(Origin),
}

#[derive(Debug)]
struct Device {
    what: What,
    is_root: bool,
    size_gib: Option<u64>,
    volume_type: Option<String>,
    device: Option<String>,
    delete_on_termination: bool,
    tag: Option<String>,
}

/// What a new server boots from and has.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The image of the request, which is the root disk's unless a volume is.
    image: Option<String>,
    devices: Vec<Device>,
}

/// The same, with what the siblings say of it.
pub(super) struct Found {
    pub(super) image: ImageCopy,
    pub(super) volumes: Vec<Volume>,
}

fn invalid(details: &str) -> Fault {
    Fault::bad_request(format!("Block Device Mapping is Invalid: {details}"))
}

fn boot_sequence() -> Fault {
    invalid(
        "Boot sequence for the instance and image/block device mapping combination is not valid.",
    )
}

/// Whether a volume that is there is asked for: only one server can have it.
pub(super) fn names_volumes(new: &NewServer) -> bool {
    let lists = [&new.block_device_mapping, &new.block_device_mapping_v2];
    lists
        .into_iter()
        .flatten()
        .flatten()
        .any(|device| device.volume_id.is_some() || device.source_type.as_deref() == Some("volume"))
}

/// What is asked for, as far as that can be judged by itself.
pub(super) fn wanted(cx: &Cx, new: &NewServer) -> Result<Wanted, Fault> {
    let image = new.image.as_deref().filter(|id| !id.is_empty());
    let image = image.map(super::server_references::image_id).transpose()?;
    let older = new.block_device_mapping.as_deref().unwrap_or_default();
    let newer = new.block_device_mapping_v2.as_deref().unwrap_or_default();
    let devices = match (older, newer) {
        ([], []) => {
            let image = image.ok_or_else(|| Fault::bad_request("Missing imageRef attribute"))?;
            return Ok(Wanted {
                image: Some(image),
                devices: Vec::new(),
            });
        }
        ([], newer) => of_newer(cx, newer, image.is_some())?,
        (older, []) => of_older(older, image.is_some())?,
        _both => {
            return Err(Fault::bad_request(
                "Using different block_device_mapping syntaxes is not allowed in the same request.",
            ));
        }
    };
    cx.require(rules::CreateServerWithVolume, &own(cx))?;
    if image.is_some() && devices.iter().any(|one| !one.is_root && is_root_name(one)) {
        return Err(Fault::bad_request(
            "The volume cannot be assigned the same device name as the root device vda",
        ));
    }
    Ok(Wanted { image, devices })
}

fn own(cx: &Cx) -> Target {
    let mut target = Target::new();
    let project = cx.caller.project_id().map_or("", |id| id.as_str());
    target.set("project_id", project);
    target
}

fn is_root_name(device: &Device) -> bool {
    device.device.as_deref().map(volume::short) == Some(volume::short(ROOT_DEVICE))
}

fn of_newer(cx: &Cx, list: &[BlockDevice], has_image: bool) -> Result<Vec<Device>, Fault> {
    let (mut devices, mut indexes) = (Vec::new(), Vec::new());
    for asked in list {
        check_keys(cx, asked)?;
        if asked.no_device.as_ref().is_some_and(is_true) {
            continue;
        }
        let index = boot_index(asked)?;
        indexes.extend(index.filter(|index| *index >= 0));
        devices.extend(newer(asked, index, has_image)?);
    }
    indexes.sort_unstable();
    if indexes.is_empty() || (0..).zip(&indexes).any(|(at, index)| at != *index) {
        return Err(boot_sequence());
    }
    Ok(devices)
}

/// Keys that came with later versions.
fn check_keys(cx: &Cx, asked: &BlockDevice) -> Result<(), Fault> {
    let unexpected = |key: &str| {
        Fault::bad_request(format!(
            "Additional properties are not allowed ('{key}' was unexpected)"
        ))
    };
    // Tags came with 2.32, were lost from 2.37 to 2.41, and are back since 2.42.
    let tags = cx.version >= v(2, 42) || (v(2, 32)..v(2, 37)).contains(&cx.version);
    if let Some(tag) = &asked.tag {
        if !tags {
            return Err(unexpected("tag"));
        }
        super::server_tags::check(std::slice::from_ref(tag))?;
    }
    if asked.volume_type.is_some() && cx.version < v(2, 67) {
        return Err(unexpected("volume_type"));
    }
    Ok(())
}

fn boot_index(asked: &BlockDevice) -> Result<Option<i64>, Fault> {
    match &asked.boot_index {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) if number.is_i64() => Ok(number.as_i64()),
        Some(Value::String(text)) => match text.parse() {
            Ok(index) => Ok(Some(index)),
            Err(_) => Err(invalid("Boot index is invalid.")),
        },
        Some(_other) => Err(invalid("Boot index is invalid.")),
    }
}

/// None: it is the image of the request, on the host's own disk.
fn newer(
    asked: &BlockDevice,
    index: Option<i64>,
    has_image: bool,
) -> Result<Option<Device>, Fault> {
    let by_key = [
        ("volume", &asked.volume_id),
        ("snapshot", &asked.snapshot_id),
        ("image", &asked.image_id),
    ];
    let named = by_key.into_iter().find_map(|(kind, id)| {
        let id = id.as_ref()?;
        Some((kind, id))
    });
    let source = asked.source_type.as_deref();
    let source = source.or_else(|| named.map(|(kind, _)| kind));
    let source = source.ok_or_else(|| invalid("Some required fields are missing"))?;
    let id = asked.uuid.as_ref().or_else(|| named.map(|(_, id)| id));
    if source == "blank" && id.is_some() {
        return Err(invalid("Invalid device UUID."));
    }
    let usual = match source {
        "image" | "blank" => "local",
        _volume => "volume",
    };
    let place = asked.destination_type.as_deref().unwrap_or(usual);
    let missing = || invalid("Missing device UUID.");
    let given = || id.cloned().ok_or_else(missing);
    let what = match (source, place) {
        ("blank", "volume") => What::New(Origin::Blank),
        ("volume", "volume") => What::Volume(given()?),
        ("snapshot", "volume") => What::New(Origin::Snapshot(given()?)),
        ("image", "volume") => What::New(Origin::Image(given()?)),
        ("image", "local") => {
            let _is_the_one_of_the_request = given()?;
            if !has_image || index != Some(0) {
                return Err(invalid("Mapping image to local is not supported."));
            }
            return Ok(None);
        }
        // Hosts make no disks of their own but the root disk.
        ("blank", "local") => {
            return Err(invalid(
                "You specified more local devices than the limit allows",
            ));
        }
        ("volume" | "snapshot", "local") => {
            return Err(invalid("A volume or a snapshot is no local device."));
        }
        (kind, place) => {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute block_device_mapping_v2. Neither source_type '{kind}' nor \
                 destination_type '{place}' may be anything else than documented."
            )));
        }
    };
    device(asked, what, index == Some(0)).map(Some)
}

/// What both forms have in common.
fn device(asked: &BlockDevice, what: What, is_root: bool) -> Result<Device, Fault> {
    if let Some(bus) = &asked.disk_bus
        && bus != "virtio"
    {
        return Err(invalid(&format!(
            "this cloud's disks are on the virtio bus, not on '{bus}'."
        )));
    }
    if matches!(what, What::Volume(_)) && asked.volume_type.is_some() {
        return Err(invalid(
            "Specifying volume type to existing volume is not supported.",
        ));
    }
    let size_gib = match asked.volume_size.clone() {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(size) => {
            let number: Number = serde_json::from_value(size)
                .map_err(|_| invalid("volume_size must be a whole number of GiB."))?;
            Some(number.whole("volume_size", 1, MAX_GIB)?)
        }
    };
    let name = asked.device_name.as_deref().filter(|name| !name.is_empty());
    let fits = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if name.is_some_and(|name| name.len() > 255 || !name.chars().all(fits)) {
        return Err(invalid("Device name contains spaces or strange letters."));
    }
    let name = name.map(|name| format!("/dev/{}", volume::short(name)));
    Ok(Device {
        what,
        is_root,
        size_gib,
        volume_type: asked.volume_type.clone(),
        device: name,
        delete_on_termination: asked.delete_on_termination.as_ref().is_some_and(is_true),
        tag: asked.tag.clone(),
    })
}

/// The older form: without an image, the device called vda is what the server boots from, or else the first.
fn of_older(list: &[BlockDevice], has_image: bool) -> Result<Vec<Device>, Fault> {
    let mut devices = Vec::new();
    for asked in list {
        if asked.no_device.as_ref().is_some_and(is_true) {
            continue;
        }
        let what = match (&asked.volume_id, &asked.snapshot_id) {
            (Some(id), _) => What::Volume(id.clone()),
            (None, Some(id)) => What::New(Origin::Snapshot(id.clone())),
            (None, None) => {
                return Err(invalid(
                    "You specified more local devices than the limit allows",
                ));
            }
        };
        devices.push(device(asked, what, false)?);
    }
    if !has_image {
        let named = devices.iter().position(is_root_name).unwrap_or(0);
        let root = devices.get_mut(named).ok_or_else(boot_sequence)?;
        root.is_root = true;
    }
    Ok(devices)
}

/// Asks for everything that is referred to.
pub(super) async fn found(cx: &Cx, wanted: &Wanted) -> Result<Found, Fault> {
    let mut image = match &wanted.image {
        Some(id) => Some(super::server_references::image(cx, id).await?),
        None => None,
    };
    let mut volumes: Vec<Volume> = Vec::new();
    for device in &wanted.devices {
        let (volume, content) = one(cx, device).await?;
        if device.is_root && image.is_none() {
            check_root(&volume, &content)?;
            image = Some(content);
        }
        volumes.push(volume);
    }
    name_devices(wanted, &mut volumes)?;
    Ok(Found {
        image: image.ok_or_else(boot_sequence)?,
        volumes,
    })
}

fn check_root(volume: &Volume, content: &ImageCopy) -> Result<(), Fault> {
    if volume.size_gib < content.min_disk_gib {
        return Err(Fault::bad_request(format!(
            "Volume is smaller than the minimum size specified in image metadata. Volume size is {} bytes, minimum \
             size is {} bytes.",
            volume.size_gib << 30,
            content.min_disk_gib << 30
        )));
    }
    Ok(())
}

/// The root disk is the first; others are what they ask to be, or what is free.
fn name_devices(wanted: &Wanted, volumes: &mut [Volume]) -> Result<(), Fault> {
    let mut taken = vec![ROOT_DEVICE.to_owned()];
    for (device, volume) in wanted.devices.iter().zip(volumes.iter_mut()) {
        let asked = device.device.as_ref().filter(|name| volume::is_ours(name));
        if device.is_root {
            ROOT_DEVICE.clone_into(&mut volume.device);
        } else if let Some(name) = asked {
            if taken.contains(name) {
                return Err(fault::no_place(&NoPlace::DeviceTaken(name.clone())));
            }
            taken.push(name.clone());
            volume.device.clone_from(name);
        }
    }
    for volume in volumes.iter_mut().filter(|one| one.device.is_empty()) {
        let free = volume::free_device(taken.iter().map(String::as_str));
        volume.device = free.ok_or_else(|| fault::no_place(&NoPlace::Full))?;
        taken.push(volume.device.clone());
    }
    Ok(())
}

/// A device's volume, and what is on it as far as that is known.
async fn one(cx: &Cx, device: &Device) -> Result<(Volume, ImageCopy), Fault> {
    let mut volume = Volume {
        id: nephos_runtime::ids::uuid().to_string(),
        size_gib: device.size_gib.unwrap_or(0),
        is_root: device.is_root,
        delete_on_termination: device.delete_on_termination,
        tag: device.tag.clone(),
        ..Volume::default()
    };
    let mut content = ImageCopy::none();
    match &device.what {
        What::Volume(id) => {
            let shown = shown(cx, id).await?;
            check_attachable(cx, &shown)?;
            if device.is_root && shown.bootable != "true" {
                return Err(Fault::bad_request(format!(
                    "Block Device {id} is not bootable."
                )));
            }
            content = on(&shown);
            volume.shared = shown.multiattach;
            volume.size_gib = shown.size;
            volume.volume_id = shown.id;
        }
        What::New(origin) => {
            match origin {
                Origin::Image(id) => content = of_image(cx, id, &volume).await?,
                Origin::Snapshot(id) => {
                    let (size, on_it) = of_snapshot(cx, id, device.is_root).await?;
                    content = on_it;
                    if volume.size_gib == 0 {
                        volume.size_gib = size;
                    }
                }
                Origin::Blank if volume.size_gib == 0 => {
                    return Err(Fault::bad_request(
                        "Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size",
                    ));
                }
                Origin::Blank if device.is_root => {
                    return Err(invalid("an empty volume is not bootable."));
                }
                Origin::Blank => {}
            }
            volume.source = Some(Source {
                from: origin.clone(),
                volume_type: device.volume_type.clone(),
            });
        }
    }
    Ok((volume, content))
}

async fn of_image(cx: &Cx, id: &str, volume: &Volume) -> Result<ImageCopy, Fault> {
    let failed = |_why| invalid(&format!("failed to get image {id}."));
    let copy = super::server_references::image(cx, id).await;
    let copy = copy.map_err(failed)?;
    if volume.size_gib == 0 {
        return Err(Fault::bad_request(
            "Images with destination_type 'volume' need to have a non-zero size specified",
        ));
    }
    check_root(volume, &copy)?;
    // The server was made of a volume: the image is only what its guest is told of it.
    Ok(ImageCopy {
        min_disk_gib: copy.min_disk_gib,
        min_ram_mib: copy.min_ram_mib,
        properties: copy.properties,
        ..ImageCopy::none()
    })
}

async fn of_snapshot(cx: &Cx, id: &str, is_root: bool) -> Result<(u64, ImageCopy), Fault> {
    let failed = || invalid(&format!("failed to get snapshot {id}."));
    let (token, project) = (cx.token().unwrap_or_default(), project(cx));
    let shown = cx.siblings.snapshot_of_caller(token, project, id).await;
    let shown = shown.map_err(|why| missing_or_away(cx, &why, failed()))?;
    if shown.status != "available" {
        return Err(failed());
    }
    if !is_root {
        return Ok((shown.size, ImageCopy::none()));
    }
    let of = cx
        .siblings
        .volume_of_caller(token, project, &shown.volume_id)
        .await;
    Ok((
        shown.size,
        of.map_or_else(|_gone| ImageCopy::none(), |of| on(&of)),
    ))
}

fn project(cx: &Cx) -> &str {
    cx.caller.project_id().map_or("", |id| id.as_str())
}

/// A block service that does not answer is said to be away; whatever else it says, or that there is none, means that the thing is not there.
fn missing_or_away(cx: &Cx, why: &PeerError, missing: Fault) -> Fault {
    match why.status {
        Some(401 | 403 | 503) => fault::from_peer(why),
        None if cx.siblings.have_volumes() => fault::from_peer(why),
        _other => missing,
    }
}

async fn shown(cx: &Cx, id: &str) -> Result<ShownVolume, Fault> {
    let failed = || invalid(&format!("failed to get volume {id}."));
    let token = cx.token().unwrap_or_default();
    let shown = cx.siblings.volume_of_caller(token, project(cx), id).await;
    shown.map_err(|why| missing_or_away(cx, &why, failed()))
}

/// What is on a volume, by what it was made of.
fn on(volume: &ShownVolume) -> ImageCopy {
    let known = &volume.volume_image_metadata;
    let number = |key: &str| known.get(key).and_then(|text| text.parse().ok());
    let own = [
        "min_disk",
        "min_ram",
        "image_id",
        "image_name",
        "checksum",
        "size",
    ];
    let properties = known.iter().filter(|(key, _)| !own.contains(&key.as_str()));
    ImageCopy {
        min_disk_gib: number("min_disk").unwrap_or(0),
        min_ram_mib: number("min_ram").unwrap_or(0),
        properties: properties
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        ..ImageCopy::none()
    }
}

/// Whether a volume may be given to a server now.
pub(super) fn check_attachable(cx: &Cx, volume: &ShownVolume) -> Result<(), Fault> {
    // 2.60: volumes of several servers.
    if volume.multiattach && cx.version < v(2, 60) {
        return Err(Fault::bad_request(
            "Multiattach volumes are only supported starting with compute API version 2.60.",
        ));
    }
    let id = &volume.id;
    match volume.status.as_str() {
        "available" => Ok(()),
        "in-use" if volume.multiattach => Ok(()),
        status => Err(Fault::bad_request(format!(
            "Invalid volume: volume {id} status must be available to be attached, but the current status is {status}."
        ))),
    }
}

/// Whether the flavor is enough for what a server boots from.
pub(super) fn check_fits(flavor: &Flavor, found: &Found) -> Result<(), Fault> {
    if found.volumes.iter().any(|volume| volume.is_root) {
        // The disk of the flavor is not used.
        let flavor = Flavor {
            disk_gib: 0,
            ..flavor.clone()
        };
        return super::server_references::check_fits(&flavor, &found.image);
    }
    super::server_references::check_fits(flavor, &found.image)
}
