//! Routes of a router beside those of its interfaces and its gateway.
//!
//! A route is noted before the router has it. What is noted is this resource's, and is taken away with it; a route that
//! was there before is somebody else's, and is refused.

use std::net::IpAddr;

use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::rest::id_of;
use super::{Did, Outcome, Seen, Why, Work, gone};
use crate::peers::{Ask, encoded};

/// Where the routes are noted that the resource has, or is to have.
const ROUTES: &str = "routes";
/// The field that says by whom a route goes.
const NEXT: &str = "nexthop";

async fn router(work: &Work<'_>) -> Result<String, Why> {
    let given = work.text("router").or_else(|| work.text("router_id"));
    id_of(work, "routers", given.unwrap_or_default()).await
}

fn wanted(work: &Work<'_>) -> Vec<Value> {
    let plain = |route: &Value| json!({"destination": route.get("destination"), "nexthop": route.get("nexthop")});
    match work.prop(ROUTES).and_then(Value::as_array) {
        Some(routes) => routes.iter().map(plain).collect(),
        None => match (work.text("destination"), work.text("nexthop")) {
            (Some(destination), Some(nexthop)) => {
                vec![json!({"destination": destination, "nexthop": nexthop})]
            }
            _none => Vec::new(),
        },
    }
}

fn noted(work: &Work<'_>) -> Vec<Value> {
    let list = work.row.data.get(ROUTES).and_then(Value::as_array);
    list.cloned().unwrap_or_default()
}

async fn there(work: &Work<'_>, router: &str) -> Result<Vec<Value>, Why> {
    let target = format!("/v2.0/routers/{router}");
    let shown = work.ask(&Ask::get("network", target)).await?;
    let list = shown.pointer("/router/routes").and_then(Value::as_array);
    Ok(list.cloned().unwrap_or_default())
}

fn name(route: &Value, field: &str) -> String {
    let text = route.get(field).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// Has the router have the routes that are wanted, and none of those that were.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    let router = router(work).await?;
    let (wanted, noted) = (wanted(work), noted(work));
    let news: Vec<Value> = wanted
        .iter()
        .filter(|route| !noted.contains(route))
        .cloned()
        .collect();
    if !news.is_empty() {
        let there = there(work, &router).await?;
        if let Some(other) = news.iter().find(|route| there.contains(route)) {
            return Err(Why::Refused(format!(
                "Route duplicates an existing route: {} by {} of the router {router}.",
                name(other, "destination"),
                name(other, "nexthop")
            )));
        }
        let all: Vec<Value> = noted.into_iter().chain(news).collect();
        let seen = Seen::default().with(ROUTES, all);
        return Ok(Outcome::Wait(seen, std::time::Duration::ZERO));
    }
    let old: Vec<Value> = noted
        .iter()
        .filter(|route| !wanted.contains(route))
        .cloned()
        .collect();
    if !old.is_empty() {
        ask(work, &router, "remove_extraroutes", &old).await?;
    }
    if !wanted.is_empty() {
        ask(work, &router, "add_extraroutes", &wanted).await?;
    }
    let id = match (work.text("destination"), work.text("nexthop")) {
        (Some(destination), Some(nexthop)) => format!("{router}:{destination}:{nexthop}"),
        _several => router,
    };
    Ok(Outcome::Done(Seen::id(id).with(ROUTES, wanted)))
}

async fn ask(work: &Work<'_>, router: &str, verb: &str, routes: &[Value]) -> Result<(), Why> {
    let body = json!({"router": {"routes": routes}});
    let target = format!("/v2.0/routers/{router}/{verb}");
    crash_point!("routes.change");
    work.ask(&Ask::put("network", target, &body)).await?;
    crash_point!("routes.changed");
    Ok(())
}

/// Whether the router has still the routes that were noted; each that it has not is named.
pub(super) async fn look(work: &Work<'_>) -> Did {
    let Some(router) = work.physical().and_then(|id| id.split(':').next()) else {
        let why = "it was never made".to_owned();
        return Ok(Outcome::Failed(Seen::default(), why));
    };
    let target = format!("/v2.0/routers/{}", encoded(router));
    let shown = match work.ask(&Ask::get("network", target)).await {
        Ok(shown) => shown,
        Err(why) if why.is_not_found() => {
            let why = format!("router {router} is not there any more: {}", why.message);
            return Ok(Outcome::Failed(Seen::missing(), why));
        }
        Err(why) => return Err(why.into()),
    };
    let list = shown.pointer("/router/routes").and_then(Value::as_array);
    let there: Vec<Route> = list.into_iter().flatten().map(Route::of).collect();
    let lost = |route: &&Value| !there.contains(&Route::of(route));
    let named = |route: &Value| format!("{} by {}", name(route, "destination"), name(route, NEXT));
    let noted = noted(work);
    let lost: Vec<String> = noted.iter().filter(lost).map(named).collect();
    if lost.is_empty() {
        return Ok(Outcome::Done(Seen::default()));
    }
    let noun = if lost.len() == 1 { "route" } else { "routes" };
    let lost = lost.join(", ");
    let why = format!("router {router} does not have the {noun} {lost} any more");
    Ok(Outcome::Failed(Seen::missing(), why))
}

/// A route as what it means: an address may be written in several ways.
#[derive(PartialEq)]
struct Route {
    to: Option<(IpAddr, String)>,
    by: Option<IpAddr>,
}

impl Route {
    fn of(route: &Value) -> Self {
        let text = name(route, "destination");
        let (address, length) = text.split_once('/').unwrap_or((&text, ""));
        let address = address.parse().ok();
        Self {
            to: address.map(|address| (address, length.to_owned())),
            by: name(route, NEXT).parse().ok(),
        }
    }
}

pub(super) async fn remove(work: &Work<'_>) -> Did {
    let routes = noted(work);
    if routes.is_empty() {
        return Ok(Outcome::Done(Seen::default()));
    }
    // The id begins with the router's: its name may be another's by now.
    let known = work.physical().and_then(|id| id.split(':').next());
    let router = match known {
        Some(id) => id.to_owned(),
        None => match router(work).await {
            Ok(id) => id,
            Err(Why::Refused(_)) => return Ok(Outcome::Done(Seen::default())),
            Err(why) => return Err(why),
        },
    };
    let body = json!({"router": {"routes": routes}});
    let target = format!("/v2.0/routers/{router}/remove_extraroutes");
    crash_point!("routes.remove");
    let sent = work.ask(&Ask::put("network", target, &body)).await;
    crash_point!("routes.removed");
    gone(sent)
}
