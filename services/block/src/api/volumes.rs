//! Volumes: show, list, sum up, change, delete.

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use serde_json::{Value, json};

use super::fault::{busy, invalid_input, invalid_volume, no_volume};
use super::versions::{SUMMARY_VIEW, VOLUME_VIEW};
use super::volume_view::Around;
use super::{ItemPath, ProjectPath, at_project, discovery, links, next_link, volume, whose};
use crate::model::attachment::AttachStatus;
use crate::model::body::{Fields, truth};
use crate::model::list::ListQuery;
use crate::model::volume::{Status, Volume, VolumeId};
use crate::ops::{self, Asked};
use crate::store::volumes::{Listing, SORT_KEYS};
use crate::store::{attachments, metadata, snapshots, volumes};
use crate::{Cx, rules};

endpoint! {
    /// Show a volume.
    ShowVolume: GET "/v3/{project_id}/volumes/{id}" => 200,
    policy: Loaded<rules::GetVolume>,
    path: ItemPath,
    reply: Json<Value> as Shape::one("volume", VOLUME_VIEW),
    handler: show_volume,
}
async fn show_volume(cx: Cx, req: Req<ShowVolume>) -> Reply<ShowVolume> {
    let volume = volume(&cx, rules::GetVolume, &req.path).await?.into_inner();
    let around = Around::of(&cx, std::slice::from_ref(&volume)).await?;
    Ok(Json(json!({ "volume": around.whole(&cx, &volume) })))
}

endpoint! {
    /// List volumes.
    ListVolumes: GET "/v3/{project_id}/volumes" => 200,
    policy: rules::GetAllVolumes,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_volumes,
}
async fn list_volumes(cx: Cx, req: Req<ListVolumes>) -> Reply<ListVolumes> {
    let page = page(&cx, &req.path.project_id, &req.query).await?;
    let brief = |volume: &Volume| {
        let project = volume.owner.project_id.as_str();
        let links = links(&cx, project, &format!("volumes/{}", volume.id));
        json!({"id": volume.id, "name": volume.name, "links": links})
    };
    Ok(Json(page.view(&cx, ("volumes", &req.query), |volumes| {
        volumes.iter().map(brief).collect()
    })))
}

endpoint! {
    /// List volumes with details.
    ListVolumesDetail: GET "/v3/{project_id}/volumes/detail" => 200,
    policy: rules::GetAllVolumes,
    path: ProjectPath,
    query: Params,
    reply: Json<Value> as Shape::each("volumes", VOLUME_VIEW),
    handler: list_volumes_detail,
}
async fn list_volumes_detail(cx: Cx, req: Req<ListVolumesDetail>) -> Reply<ListVolumesDetail> {
    let page = page(&cx, &req.path.project_id, &req.query).await?;
    let around = Around::of(&cx, &page.volumes).await?;
    Ok(Json(page.view(
        &cx,
        ("volumes/detail", &req.query),
        |volumes| {
            volumes
                .iter()
                .map(|volume| around.whole(&cx, volume))
                .collect()
        },
    )))
}

struct Found {
    volumes: Vec<Volume>,
    limit: u32,
    count: Option<i64>,
    project: String,
}

impl Found {
    fn view(
        self,
        cx: &Cx,
        (place, query): (&str, &Params),
        each: impl FnOnce(&[Volume]) -> Vec<Value>,
    ) -> Value {
        let last = self.volumes.last().map(|volume| volume.id.to_string());
        let path = format!("/v3/{}/{place}", self.project);
        let next = next_link(
            cx,
            &path,
            query,
            (self.volumes.len(), self.limit, last.as_deref()),
        );
        let mut view = json!({ "volumes": each(&self.volumes) });
        if let Some(view) = view.as_object_mut() {
            if let Some(next) = next {
                view.insert("volumes_links".to_owned(), next);
            }
            if let Some(count) = self.count {
                view.insert("count".to_owned(), json!(count));
            }
        }
        view
    }
}

/// Filters as a version takes them: from 3.31 on unknown ones are refused, before they are ignored.
fn filters(cx: &Cx, asked: &ListQuery) -> Result<Vec<(String, String)>, Fault> {
    let known = discovery::FILTERS
        .iter()
        .find(|(resource, _)| *resource == "volume");
    let known = known.map_or(&[][..], |(_, filters)| filters);
    let mut kept = Vec::new();
    for (key, value) in &asked.filters {
        let name = key.trim_end_matches('~');
        let name = if name == "display_name" { "name" } else { name };
        let own =
            known.contains(&name) || matches!(name, "consumes_quota" | "glance_metadata" | "id");
        if own || cx.caller.is_admin() {
            if key == "bootable" && truth(value).is_none() && cx.version >= v(3, 2) {
                return Err(invalid_input(format!("'bootable = {value}'")));
            }
            kept.push((key.clone(), value.clone()));
        } else if cx.version >= v(3, 31) {
            return Err(invalid_input(format!(
                "Invalid filters {key} are found in query options."
            )));
        }
    }
    Ok(kept)
}

async fn page(cx: &Cx, path: &str, params: &Params) -> Result<Found, Fault> {
    at_project(cx, path)?;
    let asked = ListQuery::parse(&params.0, SORT_KEYS).map_err(Fault::bad_request)?;
    let filters = filters(cx, &asked)?;
    let after = match &asked.marker {
        Some(marker) => {
            let found = volumes::find(cx.db(), &VolumeId::from(marker.as_str())).await?;
            let visible = found.filter(|one| nephos_auth::Resource::visible_to(one, &cx.caller));
            Some(visible.ok_or_else(|| no_volume(marker))?)
        }
        None => None,
    };
    let project = whose(cx, path, asked.all_projects);
    let offset = u32::try_from(asked.offset).unwrap_or(u32::MAX);
    let listing = Listing {
        project: project.as_deref(),
        filters: &filters,
        sort: &asked.sort,
        after: after.as_ref(),
        limit: Some(asked.limit.saturating_add(offset.min(1_000_000))),
    };
    let mut found = volumes::page(cx.db(), &listing).await?;
    let found = found.split_off(asked.offset.min(found.len()));
    let count = match asked.with_count && cx.version >= v(3, 45) {
        true => Some(volumes::sums(cx.db(), &listing).await?.0),
        false => None,
    };
    Ok(Found {
        volumes: found,
        limit: asked.limit,
        count,
        project: super::project_of(cx, path),
    })
}

endpoint! {
    /// Sum up volumes.
    ShowVolumeSummary: GET "/v3/{project_id}/volumes/summary" => 200,
    versions: 3.12..,
    policy: rules::GetAllVolumes,
    path: ProjectPath,
    query: Params,
    reply: Json<Value> as Shape::one("volume-summary", SUMMARY_VIEW),
    handler: show_volume_summary,
}
async fn show_volume_summary(cx: Cx, req: Req<ShowVolumeSummary>) -> Reply<ShowVolumeSummary> {
    at_project(&cx, &req.path.project_id)?;
    let asked = ListQuery::parse(&req.query.0, SORT_KEYS).map_err(Fault::bad_request)?;
    let filters = filters(&cx, &asked)?;
    let project = whose(&cx, &req.path.project_id, asked.all_projects);
    let listing = Listing {
        project: project.as_deref(),
        filters: &filters,
        sort: &asked.sort,
        after: None,
        limit: Some(10_000),
    };
    let (count, size) = volumes::sums(cx.db(), &listing).await?;
    let found = volumes::page(cx.db(), &listing).await?;
    let ids: Vec<&str> = found.iter().map(|volume| volume.id.as_str()).collect();
    let mut distinct =
        std::collections::BTreeMap::<String, std::collections::BTreeSet<String>>::new();
    for items in metadata::of_many(cx.db(), metadata::VOLUME, &ids)
        .await?
        .into_values()
    {
        for (key, value) in items {
            distinct.entry(key).or_default().insert(value);
        }
    }
    let summary = json!({"total_count": count, "total_size": size, "metadata": distinct});
    Ok(Json(json!({ "volume-summary": summary })))
}

endpoint! {
    /// Change a volume's name, description or metadata.
    UpdateVolume: PUT "/v3/{project_id}/volumes/{id}" => 200,
    policy: Loaded<rules::UpdateVolume>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value> as Shape::one("volume", VOLUME_VIEW),
    handler: update_volume,
}
async fn update_volume(cx: Cx, req: Req<UpdateVolume>) -> Reply<UpdateVolume> {
    let volume = volume(&cx, rules::UpdateVolume, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "volume").map_err(Fault::bad_request)?;
    let known = [
        "name",
        "description",
        "display_name",
        "display_description",
        "metadata",
    ];
    fields.only(&known).map_err(Fault::bad_request)?;
    if fields.0.is_empty() && cx.version >= v(3, 53) {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute volume: at least one property is needed.",
        ));
    }
    let name = fields
        .either("name", "display_name")
        .map_err(Fault::bad_request)?;
    let description = fields
        .either("description", "display_description")
        .map_err(Fault::bad_request)?;
    let items = fields.metadata("metadata").map_err(Fault::bad_request)?;
    let mut tx = cx.write().await?;
    let mut volume = volumes::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(&req.path.id))?;
    if let Some(name) = name {
        volume.name = name;
    }
    if let Some(description) = description {
        volume.description = description;
    }
    volume.updated_at = cx.now();
    volumes::update(&mut tx, &volume).await?;
    if let Some(items) = items {
        metadata::replace(&mut tx, metadata::VOLUME, volume.id.as_str(), &items).await?;
    }
    tx.commit().await?;
    let around = Around::of(&cx, std::slice::from_ref(&volume)).await?;
    Ok(Json(json!({ "volume": around.brief(&cx, &volume) })))
}

endpoint! {
    /// Delete a volume.
    DeleteVolume: DELETE "/v3/{project_id}/volumes/{id}" => 202,
    policy: Loaded<rules::DeleteVolume>,
    path: ItemPath,
    query: Params,
    reply: Accepted,
    handler: delete_volume,
}
async fn delete_volume(cx: Cx, req: Req<DeleteVolume>) -> Reply<DeleteVolume> {
    let volume = volume(&cx, rules::DeleteVolume, &req.path).await?;
    let flag = |key: &str| match req.query.get(key) {
        Some(value) => {
            truth(value).ok_or_else(|| invalid_input(format!("{key} is not a boolean: {value}")))
        }
        None => Ok(false),
    };
    let cascade = flag("cascade")?;
    let force = flag("force")? && cx.version >= v(3, 23);
    if force {
        let target = nephos_auth::Target::of_project(volume.owner.project_id.as_str());
        cx.require(rules::ForceDelete, &target)?;
    }
    delete(&cx, &volume.id, How::of(cascade, force)).await?;
    Ok(Accepted)
}

/// Which volumes a request may delete.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// With their snapshots.
    cascade: bool,
    /// Whatever their state.
    force: bool,
    /// Also in a group.
    with_group: bool,
}

impl How {
    /// With the group that they are in.
    pub(crate) const WITH_GROUP: Self = Self {
        cascade: false,
        force: false,
        with_group: true,
    };

    pub(crate) const fn of(cascade: bool, force: bool) -> Self {
        Self {
            cascade,
            force,
            with_group: false,
        }
    }
}

/// Wants a volume gone, with its snapshots when that is asked for.
pub(crate) async fn delete(cx: &Cx, id: &VolumeId, how: How) -> Result<(), Fault> {
    let mut tx = cx.write().await?;
    delete_in(cx, &mut tx, id, how).await?;
    tx.commit().await?;
    cx.service().house_now();
    Ok(())
}

pub(crate) async fn delete_in(
    cx: &Cx,
    tx: &mut nephos_db::Tx,
    id: &VolumeId,
    how: How,
) -> Result<(), Fault> {
    let How { cascade, force, .. } = how;
    let Some(volume) = volumes::find_in(tx, id).await? else {
        return Err(no_volume(id.as_str()));
    };
    let users = attachments::of_volume_in(tx, id).await?;
    let used = !users.is_empty();
    let attached = users.iter().any(|one| one.status == AttachStatus::Attached);
    let grouped = volume.group_id.is_some() && !how.with_group;
    let moving =
        volume.status == Status::Maintenance && volume.migration.as_deref() == Some("migrating");
    // Force is about states: what others have of the volume, it takes from nobody (cinder/volume/api.py, delete).
    let refused = attached || grouped || moving;
    if refused || (!force && (used || !volume.status.is_deletable())) {
        return Err(invalid_volume(format!(
            "Volume status must be available or error or error_restoring or error_extending or error_managing and must \
             not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated \
             from snapshots after volume transfer. It is {}{}.",
            volume.status.as_str(),
            match (used, grouped) {
                (true, _) => " and attached",
                (false, true) => " and in a group",
                (false, false) => "",
            }
        )));
    }
    let all = snapshots::of_volume(tx, id).await?;
    if !all.is_empty() && !cascade {
        return Err(invalid_volume(format!(
            "Volume still has {} dependent snapshots. Delete them first, or delete the volume with cascade.",
            all.len()
        )));
    }
    if !cx.caller.is_admin()
        && let Some(of_others) = all
            .iter()
            .find(|one| one.owner.project_id != volume.owner.project_id)
    {
        return Err(invalid_volume(format!(
            "Snapshot {} of it stayed with another project when the volume was transferred. Whoever has it deletes it \
             first, or an administrator deletes both.",
            of_others.id
        )));
    }
    if let Some(at_work) = all
        .iter()
        .find(|one| one.status == crate::model::snapshot::SnapshotStatus::BackingUp)
    {
        return Err(invalid_volume(format!(
            "Snapshot {} is being backed up.",
            at_work.id
        )));
    }
    for snapshot in &all {
        let asked = Asked::of(cx);
        let requested = ops::snapshot::request_delete(tx, asked, snapshot).await;
        requested.map_err(|why| busy("snapshot", snapshot.id.as_str(), why))?;
    }
    let requested = ops::delete::request(tx, Asked::of(cx), &volume).await;
    requested.map_err(|why| busy("volume", id.as_str(), why))?;
    if used {
        for one in attachments::of_volume_in(tx, id).await? {
            attachments::remove(tx, &one.id).await?;
        }
    }
    Ok(())
}
