//! Hosts, for whoever empties one: `nephos host drain`.

use nephos_api::{Fault, Json, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::not_found;
use crate::model::body::{Fields, missing};
use crate::store::hosts;
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct HostPath {
    pub host: String,
}

endpoint! {
    /// Show how many load balancers a host has, and whether it is to be without.
    ShowHost: GET "/host/v1/hosts/{host}" => 200,
    policy: rules::Hosts,
    path: HostPath,
    reply: Json<Value>,
    handler: show_host,
}
async fn show_host(cx: Cx, req: Req<ShowHost>) -> Reply<ShowHost> {
    shown(&cx, &req.path.host).await
}

endpoint! {
    /// Say whether a host is to be without load balancers: those that it has move to others.
    UpdateHost: PUT "/host/v1/hosts/{host}" => 200,
    policy: rules::Hosts,
    path: HostPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_host,
}
async fn update_host(cx: Cx, req: Req<UpdateHost>) -> Reply<UpdateHost> {
    let fields = Fields::inside(&req.body.0, "host")?.only(&[&["drained"]])?;
    let drained = fields.flag("drained")?.ok_or_else(|| missing("drained"))?;
    let mut tx = cx.write().await?;
    if !hosts::drain(&mut tx, &req.path.host, drained).await? {
        return Err(not_found("Host", &req.path.host));
    }
    tx.commit().await?;
    shown(&cx, &req.path.host).await
}

async fn shown(cx: &Cx, name: &str) -> Result<Json<Value>, Fault> {
    let all = hosts::all(cx.db()).await?;
    let host = all.into_iter().find(|host| host.host == name);
    let host = host.ok_or_else(|| not_found("Host", name))?;
    let count = hosts::count(cx.db(), name).await?;
    Ok(Json(json!({"host": {
        "name": host.host, "drained": host.drained, "load_balancers": count,
        "haproxy": host.haproxy, "seen_at": host.seen_at.iso_naive(),
    }})))
}
