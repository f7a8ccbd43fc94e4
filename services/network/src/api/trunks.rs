//! Trunks.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Resource as _, Target};
use nephos_db::Tx;
use serde_json::Value;

use crate::Cx;
use crate::api::envelope::{self, Keys, Made, Many, One};
use crate::api::input::{self, Flag};
use crate::api::listing::{Filter, Listing, asked_fields, visible};
use crate::api::trunk_body::{SubPortsBody, SubPortsView, TrunkKind, TrunkView, Wish, read, view};
use crate::api::{ById, allow};
use crate::model::network::Network;
use crate::model::port::Port;
use crate::model::refusal::Refusal;
use crate::model::trunk::{self, ERROR, INHERIT, SubPort, Trunk, VLAN};
use crate::rules;
use crate::store::{Reader, networks, ports, quotas, trunks};

const LISTING: Listing = Listing {
    id: "id",
    updated_at: "updated_at",
    marker: trunks::SELECT,
    filters: &[
        ("id", Filter::Text("id")),
        ("name", Filter::Text("name")),
        ("description", Filter::Text("description")),
        ("project_id", Filter::Text("project_id")),
        ("tenant_id", Filter::Text("project_id")),
        ("port_id", Filter::Text("port_id")),
        ("admin_state_up", Filter::Flag("admin_state_up")),
        ("status", Filter::Text("status")),
        ("revision_number", Filter::Int("revision")),
    ],
    sorts: &[
        ("name", "name"),
        ("description", "description"),
        ("project_id", "project_id"),
        ("tenant_id", "project_id"),
        ("port_id", "port_id"),
        ("admin_state_up", "admin_state_up"),
        ("status", "status"),
        ("revision_number", "revision"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
};

endpoint! {
    /// List trunks.
    ListTrunks: GET "/v2.0/trunks" => 200,
    policy: rules::GetTrunk,
    query: Params,
    reply: Json<Many<TrunkKind>>,
    handler: list_trunks,
}
async fn list_trunks(cx: Cx, req: Req<ListTrunks>) -> Reply<ListTrunks> {
    let query = visible(&cx, trunks::query(), "project_id = {}", "");
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = trunks::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for trunk in &found {
        let shown = envelope::show(&view(trunk), &asked.keys)?;
        rows.push((trunk.id.clone(), shown));
    }
    Ok(Json(asked.page(&cx, "/v2.0/trunks", rows)))
}

endpoint! {
    /// Show a trunk with its subports.
    ShowTrunk: GET "/v2.0/trunks/{id}" => 200,
    policy: Loaded<rules::GetTrunk>,
    path: ById,
    query: Params,
    reply: Json<One<TrunkKind>>,
    handler: show_trunk,
}
async fn show_trunk(cx: Cx, req: Req<ShowTrunk>) -> Reply<ShowTrunk> {
    let id = req.path.id.as_str();
    let found = trunks::get(&mut Reader::Db(cx.db()), id).await?;
    let trunk = allow(&cx, rules::GetTrunk, (id, found))?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(&trunk), &keys)?))
}

endpoint! {
    /// Create one or more trunks.
    CreateTrunks: POST "/v2.0/trunks" => 201,
    policy: Loaded<rules::CreateTrunk>,
    body: envelope::New<TrunkKind>,
    reply: Json<Made<TrunkKind>>,
    handler: create_trunks,
}
async fn create_trunks(cx: Cx, req: Req<CreateTrunks>) -> Reply<CreateTrunks> {
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    for new in &req.body.items {
        let project_id = input::project(&cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
        cx.require(rules::CreateTrunk, &Target::of_project(&project_id))?;
        let wishes = match &new.sub_ports {
            None => Vec::new(),
            Some(given) => read(given).map_err(|why| {
                Refusal::request(format!("Invalid input for sub_ports. Reason: {why}."))
            })?,
        };
        trunk::check_number(wishes.len())?;
        quotas::take(&mut tx, &project_id, "trunk", 1).await?;
        let parent = free_port(&cx, &mut tx, &new.port_id).await?;
        trunk::check_parent(&parent)?;
        let parts = check(&cx, &mut tx, &parent, &wishes).await?;
        let now = cx.now();
        let made = Trunk {
            id: nephos_runtime::ids::uuid().to_string(),
            project_id,
            name: new.name.clone().unwrap_or_default().0,
            description: new.description.clone().unwrap_or_default().0,
            port_id: parent.id,
            admin_state_up: new.admin_state_up.is_none_or(|flag| flag.0),
            status: String::new(),
            revision: 1,
            created_at: now,
            updated_at: now,
            sub_ports: Vec::new(),
            tags: Vec::new(),
        };
        trunks::insert(&mut tx, &made).await?;
        for part in &parts {
            trunks::add(&mut tx, now, &made.id, part).await?;
        }
        views.push(view(&again(&mut tx, &made.id).await?));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

/// The trunk as it is now.
async fn again(tx: &mut Tx, id: &str) -> Result<Trunk, Fault> {
    let found = trunks::get(&mut Reader::Tx(tx), id).await?;
    found.ok_or_else(|| crate::api::fault::not_found(Trunk::KIND, id).into())
}

/// A port that the caller may change and no trunk has.
async fn free_port(cx: &Cx, tx: &mut Tx, id: &str) -> Result<Port, Fault> {
    let port = own_port(cx, tx, id).await?;
    check_free(tx, id).await?;
    Ok(port)
}

/// A port that the caller may change: who only has its network may not take it for a guest of theirs.
async fn own_port(cx: &Cx, tx: &mut Tx, id: &str) -> Result<Port, Fault> {
    let found = ports::get(&mut Reader::Tx(tx), id).await?;
    Ok(allow(cx, rules::UpdatePort, (id, found))?.into_inner())
}

async fn check_free(tx: &mut Tx, id: &str) -> Result<(), Fault> {
    match trunks::user_of(tx, id).await? {
        Some(used) => Err(used.forbids(id).into()),
        None => Ok(()),
    }
}

/// The subports that are asked for, if all of them can be (neutron/services/trunk/rules.py, in its order).
async fn check(
    cx: &Cx,
    tx: &mut Tx,
    parent: &Port,
    wishes: &[Wish],
) -> Result<Vec<SubPort>, Fault> {
    if wishes.is_empty() {
        return Ok(Vec::new());
    }
    let most = network_of(tx, parent).await?.mtu;
    let mut parts: Vec<SubPort> = Vec::new();
    for wish in wishes {
        let id = wish.port_id.as_str();
        if id == parent.id {
            return Err(trunk::parent_in_use(id).into());
        }
        let port = own_port(cx, tx, id).await?;
        let network = network_of(tx, &port).await?;
        trunk::check_mtu((&parent.id, most), (id, network.mtu))?;
        let segmentation_id = tag(wish, &network)?;
        // The same one may be written in several ways: 7, "7".
        if has_tag(&parts, segmentation_id) {
            return Err(
                trunk::tag_in_use(segmentation_id, "another subport of the request").into(),
            );
        }
        check_free(tx, id).await?;
        trunk::check_subport(&port)?;
        parts.push(SubPort {
            port_id: port.id,
            segmentation_type: VLAN.to_owned(),
            segmentation_id,
        });
    }
    Ok(parts)
}

fn has_tag(parts: &[SubPort], tag: u16) -> bool {
    parts.iter().any(|one| one.segmentation_id == tag)
}

async fn network_of(tx: &mut Tx, port: &Port) -> Result<Network, Fault> {
    let found = networks::bare(&mut Reader::Tx(tx), &port.network_id).await?;
    found.ok_or_else(|| Refusal::no_network(&port.network_id).into())
}

/// The tag of a subport. No network of this cloud is a VLAN elsewhere, so none has a tag that could be inherited.
fn tag(wish: &Wish, network: &Network) -> Result<u16, Fault> {
    if wish.segmentation_type.as_deref() == Some(INHERIT) {
        let kind = network.network_type.as_str();
        return Err(Refusal::input(format!("Unknown segmentation_type '{kind}'")).into());
    }
    let (kind, tag) = wish.segmentation()?;
    if kind != VLAN {
        return Err(Refusal::input(format!("Unknown segmentation_type '{kind}'")).into());
    }
    let fits = u16::try_from(tag)
        .ok()
        .filter(|tag| (1..=4094).contains(tag));
    fits.ok_or_else(|| Refusal::input(format!("Segmentation ID '{tag}' is not in range")).into())
}

endpoint! {
    /// Change a trunk.
    UpdateTrunk: PUT "/v2.0/trunks/{id}" => 200,
    policy: Loaded<rules::UpdateTrunk>,
    path: ById,
    body: envelope::Change<TrunkKind>,
    reply: Json<One<TrunkKind>>,
    handler: update_trunk,
}
async fn update_trunk(cx: Cx, req: Req<UpdateTrunk>) -> Reply<UpdateTrunk> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = trunks::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut trunk = allow(&cx, rules::UpdateTrunk, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), trunk.revision)?;
    let change = &req.body.0;
    if let Some(name) = &change.name {
        trunk.name.clone_from(&name.0);
    }
    if let Some(description) = &change.description {
        trunk.description.clone_from(&description.0);
    }
    if let Some(Flag(up)) = change.admin_state_up {
        trunk.admin_state_up = up;
    }
    trunk.updated_at = cx.now();
    trunks::update(&mut tx, &trunk).await?;
    trunk.revision += 1;
    tx.commit().await?;
    Ok(Json(One::of(&view(&trunk), &Keys::default())?))
}

endpoint! {
    /// Delete a trunk; its ports stay.
    DeleteTrunk: DELETE "/v2.0/trunks/{id}" => 204,
    policy: Loaded<rules::DeleteTrunk>,
    path: ById,
    reply: Empty,
    handler: delete_trunk,
}
async fn delete_trunk(cx: Cx, req: Req<DeleteTrunk>) -> Reply<DeleteTrunk> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = trunks::get(&mut Reader::Tx(&mut tx), id).await?;
    let trunk = allow(&cx, rules::DeleteTrunk, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), trunk.revision)?;
    trunk.check_may_be_managed()?;
    for part in &trunk.sub_ports {
        trunks::take(&mut tx, cx.now(), &part.port_id).await?;
    }
    trunks::remove(&mut tx, id).await?;
    quotas::give(&mut tx, &trunk.project_id, "trunk", 1).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// List the subports of a trunk.
    GetSubports: GET "/v2.0/trunks/{id}/get_subports" => 200,
    policy: Loaded<rules::GetSubports>,
    path: ById,
    reply: Json<SubPortsView>,
    handler: get_subports,
}
async fn get_subports(cx: Cx, req: Req<GetSubports>) -> Reply<GetSubports> {
    let id = req.path.id.as_str();
    let found = trunks::get(&mut Reader::Db(cx.db()), id).await?;
    let trunk = allow(&cx, rules::GetSubports, (id, found))?.into_inner();
    let sub_ports = trunk.sub_ports;
    Ok(Json(SubPortsView { sub_ports }))
}

fn wishes(given: &Value) -> Result<Vec<Wish>, Refusal> {
    read(given).map_err(Refusal::input)
}

endpoint! {
    /// Give a trunk more subports.
    AddSubports: PUT "/v2.0/trunks/{id}/add_subports" => 200,
    policy: Loaded<rules::AddSubports>,
    path: ById,
    body: Json<SubPortsBody>,
    reply: Json<TrunkView>,
    handler: add_subports,
}
async fn add_subports(cx: Cx, req: Req<AddSubports>) -> Reply<AddSubports> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = trunks::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut trunk = allow(&cx, rules::AddSubports, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), trunk.revision)?;
    let wishes = wishes(&req.body.sub_ports)?;
    trunk::check_number(trunk.sub_ports.len() + wishes.len())?;
    let parent = ports::get(&mut Reader::Tx(&mut tx), &trunk.port_id).await?;
    let parent = parent.ok_or_else(|| Refusal::no_port(&trunk.port_id))?;
    let parts = check(&cx, &mut tx, &parent, &wishes).await?;
    trunk.check_may_be_managed()?;
    if trunk.status == ERROR {
        return Err(Refusal::conflict(
            "TrunkInErrorState",
            format!(
                "Trunk {id} is in error state. Attempt to resolve the error condition before proceeding."
            ),
        )
        .into());
    }
    trunk.updated_at = cx.now();
    trunks::update(&mut tx, &trunk).await?;
    for part in &parts {
        let tag = part.segmentation_id;
        if has_tag(&trunk.sub_ports, tag) {
            return Err(trunk::tag_in_use(tag, &format!("trunk {id}")).into());
        }
        trunks::add(&mut tx, cx.now(), id, part).await?;
    }
    let trunk = again(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(view(&trunk)))
}

endpoint! {
    /// Take subports from a trunk.
    RemoveSubports: PUT "/v2.0/trunks/{id}/remove_subports" => 200,
    policy: Loaded<rules::RemoveSubports>,
    path: ById,
    body: Json<SubPortsBody>,
    reply: Json<TrunkView>,
    handler: remove_subports,
}
async fn remove_subports(cx: Cx, req: Req<RemoveSubports>) -> Reply<RemoveSubports> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = trunks::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut trunk = allow(&cx, rules::RemoveSubports, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), trunk.revision)?;
    trunk.check_may_be_managed()?;
    trunk.updated_at = cx.now();
    trunks::update(&mut tx, &trunk).await?;
    for Wish { port_id, .. } in wishes(&req.body.sub_ports)? {
        if !trunk.sub_ports.iter().any(|one| one.port_id == port_id) {
            return Err(Refusal::missing(
                "SubPortNotFound",
                format!("SubPort {port_id} on trunk {id} could not be found."),
            )
            .into());
        }
        trunks::take(&mut tx, cx.now(), &port_id).await?;
    }
    let trunk = again(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(view(&trunk)))
}
