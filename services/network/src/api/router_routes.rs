//! More routes of a router.

use nephos_api::{Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{Keys, One};
use crate::api::routers::{RouterKind, reload, save, view};
use crate::api::subnet_body::RouteBody;
use crate::api::{ById, allow};
use crate::model::refusal::Refusal;
use crate::model::router::Router;
use crate::model::spec::Route;
use crate::rules;
use crate::store::{Reader, publish_router, routers, subnets};

/// Neutron's limit.
const MAX_ROUTES: usize = 30;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoutesBody {
    router: Routes,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routes {
    routes: Vec<RouteBody>,
}

/// Routes without doubles.
pub(super) fn routes_of(bodies: &[RouteBody]) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for body in bodies {
        let route = Route::from(body);
        if !routes.contains(&route) {
            routes.push(route);
        }
    }
    routes
}

/// Refuses routes by a neighbour that no leg of the router reaches.
pub(super) async fn check_routes(tx: &mut Tx, router: &Router) -> Result<(), Fault> {
    let refuse = |route: &Route, why: &str| {
        Refusal::invalid(
            "InvalidRoutes",
            format!(
                "Invalid format for routes: destination {} nexthop {}, {why}",
                route.destination, route.nexthop
            ),
        )
    };
    if router.routes.len() > MAX_ROUTES {
        return Err(Refusal::invalid(
            "RoutesExhausted",
            format!(
                "Unable to complete operation for {}. The number of routes exceeds the maximum {MAX_ROUTES}.",
                router.id
            ),
        )
        .into());
    }
    if router.routes.is_empty() {
        return Ok(());
    }
    let legs = routers::interfaces(&mut Reader::Tx(tx), &router.id).await?;
    let mut addresses: Vec<_> = legs.into_iter().flat_map(|port| port.fixed_ips).collect();
    addresses.extend(router.external_fixed_ips.iter().cloned());
    let ids: Vec<&str> = addresses
        .iter()
        .map(|fixed| fixed.subnet_id.as_str())
        .collect();
    let reached = subnets::find(&mut Reader::Tx(tx), &subnets::query().in_("s.id", ids)).await?;
    for route in &router.routes {
        if !reached
            .iter()
            .any(|subnet| subnet.cidr.contains(&route.nexthop))
        {
            return Err(refuse(route, "the nexthop is not connected with router").into());
        }
        if addresses
            .iter()
            .any(|fixed| fixed.ip_address == route.nexthop)
        {
            return Err(refuse(route, "the nexthop is used by router").into());
        }
    }
    Ok(())
}

endpoint! {
    /// Add routes to a router.
    AddExtraRoutes: PUT "/v2.0/routers/{id}/add_extraroutes" => 200,
    policy: Loaded<rules::AddExtraroutes>,
    path: ById,
    body: Json<RoutesBody>,
    reply: Json<One<RouterKind>>,
    handler: add_extra_routes,
}
async fn add_extra_routes(cx: Cx, req: Req<AddExtraRoutes>) -> Reply<AddExtraRoutes> {
    let id = req.path.id.as_str();
    let found = routers::get(&mut Reader::Db(cx.db()), id).await?;
    let mut router = allow(&cx, rules::AddExtraroutes, (id, found))?.into_inner();
    for route in routes_of(&req.body.router.routes) {
        if !router.routes.contains(&route) {
            router.routes.push(route);
        }
    }
    write(&cx, router).await
}

endpoint! {
    /// Take routes from a router.
    RemoveExtraRoutes: PUT "/v2.0/routers/{id}/remove_extraroutes" => 200,
    policy: Loaded<rules::RemoveExtraroutes>,
    path: ById,
    body: Json<RoutesBody>,
    reply: Json<One<RouterKind>>,
    handler: remove_extra_routes,
}
async fn remove_extra_routes(cx: Cx, req: Req<RemoveExtraRoutes>) -> Reply<RemoveExtraRoutes> {
    let id = req.path.id.as_str();
    let found = routers::get(&mut Reader::Db(cx.db()), id).await?;
    let mut router = allow(&cx, rules::RemoveExtraroutes, (id, found))?.into_inner();
    let gone = routes_of(&req.body.router.routes);
    router.routes.retain(|route| !gone.contains(route));
    write(&cx, router).await
}

async fn write(cx: &Cx, mut router: Router) -> Result<Json<One<RouterKind>>, Fault> {
    router.updated_at = cx.now();
    let mut tx = cx.write().await?;
    check_routes(&mut tx, &router).await?;
    save(&mut tx, &mut router).await?;
    publish_router::router(&mut tx, cx.now(), &router.id).await?;
    let router = reload(&mut tx, &router.id).await?;
    tx.commit().await?;
    Ok(Json(One::of(&view(cx, &router), &Keys::default())?))
}
