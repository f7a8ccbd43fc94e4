//! `/servers/{id}/os-volume_attachments`: the volumes of a server.

use std::time::Duration;

use nephos_api::version::{hide, v};
use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use nephos_auth::Authorized;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::server_devices::check_attachable;
use super::versions::{ATTACH, ATTACHED_VIEW, ATTACHMENT_UPDATE, ATTACHMENT_VIEW};
use super::{Cx, ServerPath, asked, fault, is_true, name_it, news, server};
use crate::model::server::{NoPlace, Server, VmState};
use crate::model::spec::ServerId;
use crate::model::volume::{Volume, is_device, is_ours};
use crate::ops::attach_volume::NotBegun;
use crate::peers::ShownVolume;
use crate::{ops, rules, store};

/// The block service has promised the volume by then, or the caller is told to look later.
const PROMISED_WITHIN: Duration = Duration::from_secs(30);
/// States in which a server's volumes change (nova/compute/api.py, attach_volume).
const STATES: &[VmState] = &[
    VmState::Active,
    VmState::Paused,
    VmState::Stopped,
    VmState::Resized,
];

#[derive(Debug, Deserialize)]
pub(crate) struct AttachmentPath {
    id: ServerId,
    volume: String,
}

/// A volume of a server.
#[derive(Serialize, ToSchema)]
pub(crate) struct AttachmentView {
    #[serde(rename = "_id", skip_serializing_if = "hide")]
    id: String,
    #[serde(rename = "volumeId")]
    volume_id: String,
    #[serde(rename = "serverId")]
    server_id: String,
    device: String,
    tag: Option<String>,
    delete_on_termination: bool,
    attachment_id: Option<String>,
    bdm_uuid: String,
}

impl AttachmentView {
    fn of(server: &Server, volume: &Volume) -> Self {
        Self {
            id: volume.volume_id.clone(),
            volume_id: volume.volume_id.clone(),
            server_id: server.id.to_string(),
            device: volume.device.clone(),
            tag: volume.tag.clone(),
            delete_on_termination: volume.delete_on_termination,
            attachment_id: volume.attachment_id.clone(),
            bdm_uuid: volume.id.clone(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AttachmentsReply {
    #[serde(rename = "volumeAttachments")]
    attachments: Vec<AttachmentView>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AttachmentReply {
    #[serde(rename = "volumeAttachment")]
    attachment: AttachmentView,
}

endpoint! {
    /// List a server's volumes.
    ListAttachments: GET "/v2.1/servers/{id}/os-volume_attachments" => 200,
    policy: Loaded<rules::ListAttachments>,
    path: ServerPath,
    query: Params,
    reply: Json<AttachmentsReply> as Shape::each("volumeAttachments", ATTACHMENT_VIEW),
    handler: list_attachments,
}

async fn list_attachments(cx: Cx, req: Req<ListAttachments>) -> Reply<ListAttachments> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ListAttachments, server(&cx, id).await?)
        .map_err(name_it(id))?;
    // 2.75 refuses what it does not know.
    super::refuse_unknown(&cx, &req.query, v(2, 75), &["limit", "offset"])?;
    let number = |key: &str| super::page_limit(req.query.get(key));
    let limit = usize::try_from(number("limit")?).unwrap_or(usize::MAX);
    let skipped = match req.query.get("offset") {
        Some(_) => usize::try_from(number("offset")?).unwrap_or(usize::MAX),
        None => 0,
    };
    // 2.89 shows what the block service calls it, so only what has a name there.
    let named = |volume: &&Volume| cx.version < v(2, 89) || volume.attachment_id.is_some();
    let there = server
        .volumes
        .iter()
        .filter(|one| !one.volume_id.is_empty());
    let page = there.skip(skipped).take(limit).filter(named);
    let attachments = page.map(|volume| AttachmentView::of(&server, volume));
    Ok(Json(AttachmentsReply {
        attachments: attachments.collect(),
    }))
}

fn find<'a>(server: &'a Server, volume: &str) -> Result<&'a Volume, Fault> {
    let mut all = server.volumes.iter();
    let found = all.find(|one| one.volume_id == volume && !volume.is_empty());
    found.ok_or_else(|| {
        Fault::not_found(format!(
            "Instance {} is not attached to volume {volume}",
            server.id
        ))
    })
}

endpoint! {
    /// Show a volume of a server.
    ShowAttachment: GET "/v2.1/servers/{id}/os-volume_attachments/{volume}" => 200,
    policy: Loaded<rules::ShowAttachment>,
    path: AttachmentPath,
    reply: Json<AttachmentReply> as Shape::one("volumeAttachment", ATTACHMENT_VIEW),
    handler: show_attachment,
}

async fn show_attachment(cx: Cx, req: Req<ShowAttachment>) -> Reply<ShowAttachment> {
    let AttachmentPath { id, volume } = &req.path;
    let server = cx
        .allow(rules::ShowAttachment, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let attachment = AttachmentView::of(&server, find(&server, volume)?);
    Ok(Json(AttachmentReply { attachment }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachBody {
    #[serde(rename = "volumeAttachment")]
    wish: Wish,
}

#[derive(Deserialize, ToSchema)]
struct Wish {
    #[serde(rename = "volumeId")]
    volume_id: String,
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    delete_on_termination: Option<Value>,
}

/// What was given, and where.
#[derive(Serialize, ToSchema)]
pub(crate) struct AttachedView {
    id: String,
    #[serde(rename = "serverId")]
    server_id: String,
    #[serde(rename = "volumeId")]
    volume_id: String,
    device: String,
    tag: Option<String>,
    delete_on_termination: bool,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AttachedReply {
    #[serde(rename = "volumeAttachment")]
    attachment: AttachedView,
}

endpoint! {
    /// Give a server a volume.
    AttachVolume: POST "/v2.1/servers/{id}/os-volume_attachments" => 200,
    policy: Loaded<rules::AttachVolume>,
    path: ServerPath,
    body: Json<AttachBody> as Shape::one("volumeAttachment", ATTACH).keys(&["volumeId", "device", "tag",
        "delete_on_termination"]),
    reply: Json<AttachedReply> as Shape::one("volumeAttachment", ATTACHED_VIEW),
    handler: attach_volume,
}

async fn attach_volume(cx: Cx, req: Req<AttachVolume>) -> Reply<AttachVolume> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::AttachVolume, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let refused = |why| fault::refused(&server, "attach_volume", why);
    let wish = req.body.0.wish;
    check(&wish)?;
    server
        .check_unlocked(cx.caller.is_admin())
        .map_err(refused)?;
    server.check_can(STATES).map_err(refused)?;
    let shown = shown(&cx, &server, &wish.volume_id).await?;
    if server.volumes.iter().any(|one| one.volume_id == shown.id) {
        return Err(fault::no_place(&NoPlace::There(shown.id)));
    }
    check_attachable(&cx, &shown)?;
    let volume = wanted(&shown, wish);
    let mut wakes = cx.bus.subscribe_to(ops::VOLUMES, [id.to_string()]);
    let mut tx = cx.write().await?;
    let begun = ops::attach_volume::request(&mut tx, asked(&cx), &server, volume).await;
    let volume = begun.map_err(|why| match why {
        NotBegun::Enqueue(why) => fault::busy(&server, "attach_volume", why),
        NotBegun::Place(why) => fault::no_place(&why),
    })?;
    tx.commit().await?;
    let promised = || async {
        let promised = is_promised(&cx, &server, &volume).await?;
        Ok(promised.then_some(()))
    };
    let promised = news::found(&cx.core.clock, &mut wakes, PROMISED_WITHIN, promised).await?;
    promised.ok_or_else(|| {
        Fault::unavailable(
            "The block service takes its time: the volume will be attached when it answers.",
        )
    })?;
    Ok(Json(AttachedReply {
        attachment: AttachedView {
            id: volume.volume_id.clone(),
            server_id: server.id.to_string(),
            volume_id: volume.volume_id,
            device: volume.device,
            tag: volume.tag,
            delete_on_termination: volume.delete_on_termination,
        },
    }))
}

fn check(wish: &Wish) -> Result<(), Fault> {
    if uuid::Uuid::try_parse(&wish.volume_id).is_err() {
        return Err(Fault::bad_request(format!(
            "Invalid input for field/attribute volumeId. Value: {}. It is not a 'uuid'",
            wish.volume_id
        )));
    }
    if let Some(device) = wish.device.as_deref()
        && !is_device(device)
    {
        return Err(Fault::bad_request(format!(
            "The supplied device path ({device}) is invalid."
        )));
    }
    if let Some(tag) = &wish.tag {
        super::server_tags::check(std::slice::from_ref(tag))?;
    }
    Ok(())
}

fn wanted(shown: &ShownVolume, wish: Wish) -> Volume {
    // Devices of other buses are not had here; Nova's libvirt driver does not heed them either.
    let device = wish.device.filter(|device| is_ours(device));
    Volume {
        id: nephos_runtime::ids::uuid().to_string(),
        volume_id: shown.id.clone(),
        size_gib: shown.size,
        device: device.unwrap_or_default(),
        delete_on_termination: wish.delete_on_termination.as_ref().is_some_and(is_true),
        tag: wish.tag,
        shared: shown.multiattach,
        ..Volume::default()
    }
}

/// The volume, as the caller sees it.
async fn shown(cx: &Cx, server: &Server, volume: &str) -> Result<ShownVolume, Fault> {
    let token = cx.token().unwrap_or_default();
    let project = cx.caller.project_id();
    let project = project.map_or(server.project_id.as_str(), |project| project.as_str());
    let shown = cx.siblings.volume_of_caller(token, project, volume).await;
    shown.map_err(
        |why| match why.is_not_found() || !cx.siblings.have_volumes() {
            // A cloud without volumes has this one as little as any.
            true => Fault::not_found(format!("Volume {volume} could not be found.")),
            false => fault::from_peer(&why),
        },
    )
}

/// Whether the block service has promised the volume to the server.
///
/// # Errors
/// What went wrong, when the work has ended without it.
async fn is_promised(
    cx: &Cx,
    server: &Authorized<Server, rules::AttachVolume>,
    volume: &Volume,
) -> Result<bool, Fault> {
    let fresh = store::servers::get(cx.db(), server.id.as_str()).await?;
    let fresh = fresh.ok_or_else(|| fault::no_server(server.id.as_str()))?;
    let place = fresh.volumes.iter().find(|one| one.id == volume.id);
    match place {
        Some(one) if !one.leaving => return Ok(one.attachment_id.is_some()),
        // The host could not; that is for the history, as in Nova.
        Some(_leaving) => return Ok(true),
        None => {}
    }
    let action = store::actions::get(cx.db(), server.id.as_str(), cx.request_id.as_str()).await?;
    let why = action.and_then(|action| action.events.into_iter().find_map(|event| event.details));
    match why {
        Some(why) => Err(Fault::bad_request(format!("Invalid volume: {why}"))),
        // Attached and taken out again by somebody quick.
        None => Ok(true),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateBody {
    #[serde(rename = "volumeAttachment")]
    wish: Update,
}

#[derive(Deserialize, ToSchema)]
struct Update {
    #[serde(rename = "volumeId")]
    volume_id: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, rename = "serverId")]
    server_id: Option<String>,
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    delete_on_termination: Option<Value>,
}

endpoint! {
    /// Change whether a volume goes with its server.
    UpdateAttachment: PUT "/v2.1/servers/{id}/os-volume_attachments/{volume}" => 202,
    policy: Loaded<rules::UpdateAttachment>,
    path: AttachmentPath,
    body: Json<UpdateBody> as Shape::one("volumeAttachment", ATTACHMENT_UPDATE).keys(&["volumeId", "id", "serverId",
        "device", "tag", "delete_on_termination"]),
    reply: Accepted,
    handler: update_attachment,
}

async fn update_attachment(cx: Cx, req: Req<UpdateAttachment>) -> Reply<UpdateAttachment> {
    let AttachmentPath { id, volume } = &req.path;
    let wish = req.body.0.wish;
    let loaded = server(&cx, id).await?;
    // Below 2.85, and when it names another volume, it is the block service's way to move what a guest has.
    if cx.version < v(2, 85) || wish.volume_id != *volume {
        let server = cx.allow(rules::SwapVolume, loaded).map_err(name_it(id))?;
        find(&server, volume)?;
        // The block service of this cloud moves none.
        return Err(Fault::conflict(format!(
            "volume {volume} is not migrating; this API should only be called by Cinder"
        )));
    }
    let server = cx
        .allow(rules::UpdateAttachment, loaded)
        .map_err(name_it(id))?;
    let mut tx = cx.write().await?;
    let fresh = store::servers::lock(&mut tx, &server.id).await?;
    let mut fresh = fresh.ok_or_else(|| fault::no_server(id.as_str()))?;
    let place = find(&fresh, volume)?.clone();
    unchanged("id", wish.id.as_deref(), Some(volume))?;
    unchanged("serverId", wish.server_id.as_deref(), Some(id.as_str()))?;
    unchanged("device", wish.device.as_deref(), Some(&place.device))?;
    unchanged("tag", wish.tag.as_deref(), place.tag.as_deref())?;
    if let Some(asked) = &wish.delete_on_termination {
        let asked = is_true(asked);
        for one in fresh.volumes.iter_mut().filter(|one| one.id == place.id) {
            one.delete_on_termination = asked;
        }
    }
    store::servers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    Ok(Accepted)
}

fn unchanged(key: &str, asked: Option<&str>, is: Option<&str>) -> Result<(), Fault> {
    match asked.is_none() || asked == is {
        true => Ok(()),
        false => Err(Fault::bad_request(format!(
            "The {key} property is not mutable"
        ))),
    }
}

endpoint! {
    /// Take a volume from a server.
    DetachVolume: DELETE "/v2.1/servers/{id}/os-volume_attachments/{volume}" => 202,
    policy: Loaded<rules::DetachVolume>,
    path: AttachmentPath,
    reply: Accepted,
    handler: detach_volume,
}

async fn detach_volume(cx: Cx, req: Req<DetachVolume>) -> Reply<DetachVolume> {
    let AttachmentPath { id, volume } = &req.path;
    let server = cx
        .allow(rules::DetachVolume, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let refused = |why| fault::refused(&server, "detach_volume", why);
    let place = find(&server, volume)?;
    if place.is_root {
        return Err(Fault::bad_request("Cannot detach a root device volume"));
    }
    server
        .check_unlocked(cx.caller.is_admin())
        .map_err(refused)?;
    server.check_can(STATES).map_err(refused)?;
    let mut tx = cx.write().await?;
    let begun = ops::detach_volume::request(&mut tx, asked(&cx), &server, place).await;
    begun.map_err(|why| fault::busy(&server, "detach_volume", why))?;
    tx.commit().await?;
    Ok(Accepted)
}
