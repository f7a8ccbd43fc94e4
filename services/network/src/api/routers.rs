//! Routers.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::Tx;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{self, Keys, Kind, Made, Many, One};
use crate::api::input::{self, Flag, Name};
use crate::api::listing::{Filter, Listing, asked_fields, visible};
use crate::api::networks::zone_hints;
use crate::api::router_gateway::{self, GatewayBody, GatewayView};
use crate::api::router_routes::{check_routes, routes_of};
use crate::api::subnet_body::RouteBody;
use crate::api::{ById, allow};
use crate::model::refusal::Refusal;
use crate::model::router::Router;
use crate::rules;
use crate::store::{Reader, publish_router, quotas, routers, tags};

pub(crate) struct RouterKind;

impl Kind for RouterKind {
    const ONE: &'static str = "router";
    const MANY: &'static str = "routers";
    type View = RouterView;
    type New = NewRouter;
    type Change = RouterChange;
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRouter {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    admin_state_up: Option<Flag>,
    external_gateway_info: Option<GatewayBody>,
    availability_zone_hints: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    project_id: Option<String>,
    tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouterChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    admin_state_up: Option<Flag>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    external_gateway_info: Option<Option<GatewayBody>>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    routes: Option<Option<Vec<RouteBody>>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RouterView {
    id: String,
    name: String,
    description: String,
    tenant_id: String,
    project_id: String,
    status: &'static str,
    admin_state_up: bool,
    external_gateway_info: Option<GatewayView>,
    routes: Vec<RouteBody>,
    availability_zone_hints: Vec<String>,
    availability_zones: Vec<String>,
    tags: Vec<String>,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

pub(super) fn view(cx: &Cx, router: &Router) -> RouterView {
    let zones = if router.host.is_empty() {
        Vec::new()
    } else {
        vec![cx.config.availability_zone.clone()]
    };
    RouterView {
        id: router.id.clone(),
        name: router.name.clone(),
        description: router.description.clone(),
        tenant_id: router.project_id.clone(),
        project_id: router.project_id.clone(),
        status: "ACTIVE",
        admin_state_up: router.admin_state_up,
        external_gateway_info: router_gateway::view(router),
        routes: router.routes.iter().map(RouteBody::from).collect(),
        availability_zone_hints: router.zone_hints.clone(),
        availability_zones: zones,
        tags: router.tags.clone(),
        revision_number: router.revision,
        created_at: router.created_at,
        updated_at: router.updated_at,
    }
}

const LISTING: Listing = Listing {
    id: "id",
    updated_at: "updated_at",
    marker: "SELECT id, name, description, project_id, admin_state_up, created_at, updated_at, revision FROM routers",
    filters: &[
        ("id", Filter::Text("id")),
        ("name", Filter::Text("name")),
        ("description", Filter::Text("description")),
        ("project_id", Filter::Text("project_id")),
        ("tenant_id", Filter::Text("project_id")),
        ("admin_state_up", Filter::Flag("admin_state_up")),
        ("revision_number", Filter::Int("revision")),
    ],
    sorts: &[
        ("name", "name"),
        ("description", "description"),
        ("project_id", "project_id"),
        ("tenant_id", "project_id"),
        ("admin_state_up", "admin_state_up"),
        ("revision_number", "revision"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
};

endpoint! {
    /// List routers.
    ListRouters: GET "/v2.0/routers" => 200,
    policy: rules::GetRouter,
    query: Params,
    reply: Json<Many<RouterKind>>,
    handler: list_routers,
}
async fn list_routers(cx: Cx, req: Req<ListRouters>) -> Reply<ListRouters> {
    let query = visible(&cx, routers::query(), "project_id = {}", "");
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = routers::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for router in &found {
        rows.push((
            router.id.clone(),
            envelope::show(&view(&cx, router), &asked.keys)?,
        ));
    }
    Ok(Json(asked.page(&cx, "/v2.0/routers", rows)))
}

endpoint! {
    /// Show a router.
    ShowRouter: GET "/v2.0/routers/{id}" => 200,
    policy: Loaded<rules::GetRouter>,
    path: ById,
    query: Params,
    reply: Json<One<RouterKind>>,
    handler: show_router,
}
async fn show_router(cx: Cx, req: Req<ShowRouter>) -> Reply<ShowRouter> {
    let id = req.path.id.as_str();
    let found = routers::get(&mut Reader::Db(cx.db()), id).await?;
    let router = allow(&cx, rules::GetRouter, (id, found))?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(&cx, &router), &keys)?))
}

endpoint! {
    /// Create one or more routers.
    CreateRouters: POST "/v2.0/routers" => 201,
    policy: Loaded<rules::CreateRouter>,
    body: envelope::New<RouterKind>,
    reply: Json<Made<RouterKind>>,
    handler: create_routers,
}
async fn create_routers(cx: Cx, req: Req<CreateRouters>) -> Reply<CreateRouters> {
    let mut planned = Vec::new();
    for new in &req.body.items {
        let router = plan(&cx, new)?;
        if let Some(gateway) = &new.external_gateway_info {
            let target = Target::of_project(&router.project_id);
            router_gateway::check_new(&cx, gateway, &target)?;
        }
        planned.push((new, router));
    }
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    for (new, mut router) in planned {
        insert(&cx, &mut tx, new, &mut router).await?;
        views.push(view(&cx, &router));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

fn plan(cx: &Cx, new: &NewRouter) -> Result<Router, Fault> {
    let project_id = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
    cx.require(rules::CreateRouter, &Target::of_project(&project_id))?;
    let now = cx.now();
    Ok(Router {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id,
        name: new.name.clone().unwrap_or_default().0,
        description: new.description.clone().unwrap_or_default().0,
        admin_state_up: new.admin_state_up.is_none_or(|flag| flag.0),
        gateway_port_id: None,
        gateway_network_id: String::new(),
        enable_snat: true,
        routes: Vec::new(),
        zone_hints: zone_hints(
            cx,
            new.availability_zone_hints.as_deref().unwrap_or_default(),
        )?,
        host: String::new(),
        revision: 1,
        created_at: now,
        updated_at: now,
        external_fixed_ips: Vec::new(),
        tags: input::check_tags(new.tags.as_deref().unwrap_or_default())?,
    })
}

async fn insert(cx: &Cx, tx: &mut Tx, new: &NewRouter, router: &mut Router) -> Result<(), Fault> {
    quotas::take(tx, &router.project_id, "router", 1).await?;
    routers::insert(tx, router).await?;
    for tag in &router.tags {
        tags::insert(tx, &router.id, tag).await?;
    }
    if let Some(gateway) = &new.external_gateway_info {
        router_gateway::set(cx, tx, router, gateway).await?;
        save(tx, router).await?;
        publish_router::router(tx, cx.now(), &router.id).await?;
        *router = reload(tx, &router.id).await?;
    }
    Ok(())
}

/// Writes the row, which nobody else may have changed since it was read.
pub(super) async fn save(tx: &mut Tx, router: &mut Router) -> Result<(), Fault> {
    routers::update(tx, router).await?;
    router.revision += 1;
    Ok(())
}

/// The router as it is now, with addresses and home.
pub(super) async fn reload(tx: &mut Tx, id: &str) -> Result<Router, Fault> {
    let found = routers::get(&mut Reader::Tx(tx), id).await?;
    found.ok_or_else(|| Refusal::no_router(id).into())
}

endpoint! {
    /// Change a router.
    UpdateRouter: PUT "/v2.0/routers/{id}" => 200,
    policy: Loaded<rules::UpdateRouter>,
    path: ById,
    body: envelope::Change<RouterKind>,
    reply: Json<One<RouterKind>>,
    handler: update_router,
}
async fn update_router(cx: Cx, req: Req<UpdateRouter>) -> Reply<UpdateRouter> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = routers::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut router = allow(&cx, rules::UpdateRouter, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), router.revision)?;
    let change = &req.body.0;
    if let Some(Some(gateway)) = &change.external_gateway_info {
        let target = Target::of_project(&router.project_id);
        router_gateway::check_change(&cx, gateway, &target)?;
    }
    if let Some(name) = &change.name {
        router.name.clone_from(&name.0);
    }
    if let Some(description) = &change.description {
        router.description.clone_from(&description.0);
    }
    if let Some(Flag(up)) = change.admin_state_up {
        router.admin_state_up = up;
    }
    router.updated_at = cx.now();
    match &change.external_gateway_info {
        None => {}
        Some(None) => router_gateway::clear(&cx, &mut tx, &mut router).await?,
        Some(Some(gateway)) => router_gateway::set(&cx, &mut tx, &mut router, gateway).await?,
    }
    if let Some(routes) = &change.routes {
        router.routes = routes_of(routes.as_deref().unwrap_or_default());
        check_routes(&mut tx, &router).await?;
    }
    save(&mut tx, &mut router).await?;
    publish_router::router(&mut tx, cx.now(), id).await?;
    let router = reload(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(One::of(&view(&cx, &router), &Keys::default())?))
}

endpoint! {
    /// Delete a router.
    DeleteRouter: DELETE "/v2.0/routers/{id}" => 204,
    policy: Loaded<rules::DeleteRouter>,
    path: ById,
    reply: Empty,
    handler: delete_router,
}
async fn delete_router(cx: Cx, req: Req<DeleteRouter>) -> Reply<DeleteRouter> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = routers::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut router = allow(&cx, rules::DeleteRouter, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), router.revision)?;
    let legs = routers::interfaces(&mut Reader::Tx(&mut tx), id).await?;
    if !legs.is_empty() {
        let names: Vec<&str> = legs.iter().take(5).map(|port| port.id.as_str()).collect();
        return Err(Refusal::conflict(
            "RouterInUse",
            format!(
                "Router {id} still has ports: {}. Remove its interfaces first.",
                names.join(", ")
            ),
        )
        .into());
    }
    router_gateway::clear(&cx, &mut tx, &mut router).await?;
    routers::remove(&mut tx, id).await?;
    quotas::give(&mut tx, &router.project_id, "router", 1).await?;
    publish_router::router(&mut tx, cx.now(), id).await?;
    nephos_ops::feed::forget(&mut tx, crate::model::spec::KIND_ROUTER, id).await?;
    tx.commit().await?;
    Ok(Empty)
}
