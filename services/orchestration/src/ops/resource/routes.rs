//! Routes of a router beside those of its interfaces and its gateway.
//!
//! A route is noted before the router has it. What is noted is this resource's, and is taken away with it; a route that
//! was there before is somebody else's, and is refused.

use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::rest::id_of;
use super::{Did, Outcome, Seen, Why, Work, gone};
use crate::peers::Ask;

/// Where the routes are noted that the resource has, or is to have.
const ROUTES: &str = "routes";

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
