//! Transfers: a volume is offered, and whoever has the key takes it, with its snapshots or without.

use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use nephos_auth::{Authorized, Resource, Rule, Target};
use serde_json::{Value, json};

use super::fault::{invalid_snapshot, invalid_volume, no_volume, over_quota};
use super::versions::TRANSFER_VIEW;
use super::volume_create::check_one;
use super::{
    ItemPath, ProjectPath, at_project, links, missing, next_link, project_of, volume_by_id, whose,
};
use crate::model::body::Fields;
use crate::model::layer::Format;
use crate::model::list::ListQuery;
use crate::model::quota::Usage;
use crate::model::snapshot::SnapshotStatus;
use crate::model::transfer::{Transfer, hash};
use crate::model::volume::Status;
use crate::store::{quota, snapshots, transfers, volumes};
use crate::{Cx, rules};

impl Resource for Transfer {
    const KIND: &'static str = "Transfer";

    fn project_id(&self) -> Option<&str> {
        Some(self.project_id.as_str())
    }
}

fn no_transfer(id: &str) -> Fault {
    Fault::not_found(format!("Transfer {id} could not be found."))
}

async fn load<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &ItemPath,
) -> Result<Authorized<Transfer, R>, Fault> {
    at_project(cx, &path.project_id)?;
    let found = transfers::find(cx.db(), &path.id).await?;
    cx.allow(rule, found)
        .map_err(|fault| missing(fault, || no_transfer(&path.id)))
}

fn brief(cx: &Cx, transfer: &Transfer) -> Value {
    let place = format!("volume-transfers/{}", transfer.id);
    json!({
        "id": transfer.id, "volume_id": transfer.volume_id, "name": transfer.name,
        "links": links(cx, transfer.project_id.as_str(), &place),
    })
}

fn whole(cx: &Cx, transfer: &Transfer) -> Value {
    let mut view = brief(cx, transfer);
    if let Some(view) = view.as_object_mut() {
        view.insert(
            "created_at".to_owned(),
            json!(transfer.created_at.iso_naive()),
        );
        view.insert("no_snapshots".to_owned(), json!(transfer.no_snapshots));
        view.insert("source_project_id".to_owned(), json!(transfer.project_id));
        view.insert("destination_project_id".to_owned(), Value::Null);
        view.insert("accepted".to_owned(), json!(false));
    }
    view
}

endpoint! {
    /// Offer a volume to whoever has the key.
    CreateTransfer: POST "/v3/{project_id}/volume-transfers" => 202,
    policy: Loaded<rules::CreateTransfer>,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value> as Shape::one("transfer", TRANSFER_VIEW),
    handler: create,
}
async fn create(cx: Cx, req: Req<CreateTransfer>) -> Reply<CreateTransfer> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "transfer").map_err(Fault::bad_request)?;
    let id = fields.uuid("volume_id").map_err(Fault::bad_request)?;
    let id = id.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute volume_id. 'volume_id' is a required property",
        )
    })?;
    let name = fields.text("name").map_err(Fault::bad_request)?;
    let no_snapshots = fields
        .flag("no_snapshots")
        .map_err(Fault::bad_request)?
        .unwrap_or(false);
    let volume = volume_by_id(&cx, rules::CreateTransfer, &id).await?;
    let key: String = nephos_runtime::ids::hex().chars().take(16).collect();
    let salt: String = nephos_runtime::ids::hex().chars().take(8).collect();
    let transfer = Transfer {
        id: nephos_runtime::ids::uuid().to_string(),
        volume_id: volume.id.clone(),
        project_id: volume.owner.project_id.clone(),
        name,
        key_hash: hash(&salt, &key),
        salt,
        no_snapshots,
        created_at: cx.now(),
    };
    let mut tx = cx.write().await?;
    let now = volumes::find_in(&mut tx, &volume.id).await?;
    let now = now.ok_or_else(|| no_volume(volume.id.as_str()))?;
    if now.group_id.is_some() {
        return Err(invalid_volume("it is in a group, and stays in its project"));
    }
    // As Cinder's before 3.70: whoever had it would go on having what opens it.
    if now.format == Format::Luks {
        return Err(invalid_volume(
            "transferring encrypted volume is not supported",
        ));
    }
    if !no_snapshots {
        let of_it = snapshots::own_of(&mut tx, &now).await?;
        if let Some(one) = of_it
            .iter()
            .find(|one| one.status != SnapshotStatus::Available)
        {
            return Err(invalid_snapshot(format!(
                "snapshot: {} status must be available, but it is {}",
                one.id,
                one.status.as_str()
            )));
        }
    }
    let moves = (Status::Available, Status::AwaitingTransfer);
    if !volumes::move_status(&mut tx, &volume.id, moves, cx.now()).await? {
        return Err(invalid_volume("status must be available"));
    }
    // An earlier offer ended when somebody set the volume's state by hand.
    transfers::remove_of(&mut tx, volume.id.as_str()).await?;
    transfers::insert(&mut tx, &transfer).await?;
    tx.commit().await?;
    let mut view = whole(&cx, &transfer);
    if let Some(view) = view.as_object_mut() {
        // Told once, here, and never again.
        view.insert("auth_key".to_owned(), json!(key));
    }
    Ok(Json(json!({ "transfer": view })))
}

endpoint! {
    /// Show a transfer.
    ShowTransfer: GET "/v3/{project_id}/volume-transfers/{id}" => 200,
    policy: Loaded<rules::GetTransfer>,
    path: ItemPath,
    reply: Json<Value> as Shape::one("transfer", TRANSFER_VIEW),
    handler: show,
}
async fn show(cx: Cx, req: Req<ShowTransfer>) -> Reply<ShowTransfer> {
    let transfer = load(&cx, rules::GetTransfer, &req.path).await?;
    Ok(Json(json!({ "transfer": whole(&cx, &transfer) })))
}

endpoint! {
    /// List transfers.
    ListTransfers: GET "/v3/{project_id}/volume-transfers" => 200,
    policy: rules::GetAllTransfers,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list,
}
async fn list(cx: Cx, req: Req<ListTransfers>) -> Reply<ListTransfers> {
    page(
        &cx,
        (&req.path.project_id, "volume-transfers"),
        &req.query,
        brief,
    )
    .await
}

endpoint! {
    /// List transfers with details.
    ListTransfersDetail: GET "/v3/{project_id}/volume-transfers/detail" => 200,
    policy: rules::GetAllTransfers,
    path: ProjectPath,
    query: Params,
    reply: Json<Value> as Shape::each("transfers", TRANSFER_VIEW),
    handler: list_detail,
}
async fn list_detail(cx: Cx, req: Req<ListTransfersDetail>) -> Reply<ListTransfersDetail> {
    page(
        &cx,
        (&req.path.project_id, "volume-transfers/detail"),
        &req.query,
        whole,
    )
    .await
}

async fn page(
    cx: &Cx,
    (path, place): (&str, &str),
    params: &Params,
    view: fn(&Cx, &Transfer) -> Value,
) -> Result<Json<Value>, Fault> {
    at_project(cx, path)?;
    let asked =
        ListQuery::parse(&params.0, &["created_at", "id", "name"]).map_err(Fault::bad_request)?;
    let after = match &asked.marker {
        Some(marker) => {
            let found = transfers::find(cx.db(), marker).await?;
            let found = found.filter(|one| Resource::visible_to(one, &cx.caller));
            Some(found.ok_or_else(|| no_transfer(marker))?)
        }
        None => None,
    };
    let project = whose(cx, path, asked.all_projects);
    let found = transfers::page(cx.db(), project.as_deref(), (after.as_ref(), asked.limit)).await?;
    let last = found.last().map(|one| one.id.as_str());
    let here = format!("/v3/{}/{place}", project_of(cx, path));
    let mut body =
        json!({ "transfers": found.iter().map(|one| view(cx, one)).collect::<Vec<_>>() });
    if let Some(next) = next_link(cx, &here, params, (found.len(), asked.limit, last))
        && let Some(body) = body.as_object_mut()
    {
        body.insert("transfers_links".to_owned(), next);
    }
    Ok(Json(body))
}

endpoint! {
    /// Take an offer back.
    DeleteTransfer: DELETE "/v3/{project_id}/volume-transfers/{id}" => 202,
    policy: Loaded<rules::DeleteTransfer>,
    path: ItemPath,
    reply: Accepted,
    handler: delete,
}
async fn delete(cx: Cx, req: Req<DeleteTransfer>) -> Reply<DeleteTransfer> {
    let transfer = load(&cx, rules::DeleteTransfer, &req.path).await?;
    let mut tx = cx.write().await?;
    if !transfers::remove(&mut tx, &transfer.id).await? {
        return Err(no_transfer(&req.path.id));
    }
    let moves = (Status::AwaitingTransfer, Status::Available);
    volumes::move_status(&mut tx, &transfer.volume_id, moves, cx.now()).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Take a volume that is offered.
    AcceptTransfer: POST "/v3/{project_id}/volume-transfers/{id}/accept" => 202,
    policy: rules::AcceptTransfer,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: accept,
}
async fn accept(cx: Cx, req: Req<AcceptTransfer>) -> Reply<AcceptTransfer> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "accept").map_err(Fault::bad_request)?;
    // Not in the words of other fields: they would repeat it.
    let key = fields.text("auth_key").map_err(|_| {
        Fault::bad_request(
            "Invalid input for field/attribute auth_key. It is a text of at most 255 characters.",
        )
    })?;
    let key = key.unwrap_or_default();
    let project = project_of(&cx, &req.path.project_id);
    cx.require(rules::AcceptTransfer, &Target::of_project(&project))?;
    let limits = quota::limits(cx.db(), &project).await?;
    let mut tx = cx.write().await?;
    let transfer = transfers::find_in(&mut tx, &req.path.id).await?;
    let transfer = transfer.ok_or_else(|| no_transfer(&req.path.id))?;
    if !transfer.opens_with(&key) {
        return Err(Fault::bad_request(format!(
            "Invalid auth key: Attempt to transfer {} with invalid auth key.",
            transfer.id
        )));
    }
    let volume = volumes::find_in(&mut tx, &transfer.volume_id).await?;
    let mut volume = volume.ok_or_else(|| no_volume(transfer.volume_id.as_str()))?;
    if volume.status != Status::AwaitingTransfer {
        return Err(invalid_volume(format!(
            "Transfer {}: Volume id {} in unexpected state {}, expected awaiting-transfer",
            transfer.id,
            volume.id,
            volume.status.as_str()
        )));
    }
    check_one(&limits, volume.size_gib)?;
    let former = volume.owner.project_id.clone();
    // What stayed with somebody who had it earlier stays there.
    let own = snapshots::own_of(&mut tx, &volume).await?;
    let mut moved = vec![Usage::volume(volume.size_gib, &volume.type_id)];
    volume.owner.project_id = project.clone().into();
    volume.owner.user_id = cx.caller.user_id.clone();
    volume.status = Status::Available;
    volume.updated_at = cx.now();
    volumes::update(&mut tx, &volume).await?;
    for mut snapshot in own.into_iter().filter(|_| !transfer.no_snapshots) {
        moved.push(Usage::snapshot(snapshot.size_gib, &snapshot.type_id));
        snapshot.owner = volume.owner.clone();
        snapshots::update(&mut tx, &snapshot).await?;
    }
    for usage in &moved {
        if let Err(over) = quota::take(&mut tx, &project, &limits, usage).await? {
            return Err(over_quota(&over));
        }
        quota::give_back(&mut tx, former.as_str(), usage).await?;
    }
    transfers::remove(&mut tx, &transfer.id).await?;
    tx.commit().await?;
    Ok(Json(json!({ "transfer": brief(&cx, &transfer) })))
}
