//! `/servers/{id}/os-server-password`: what a guest left through the metadata service, encrypted with its owner's key.

use nephos_api::{Empty, Json, Loaded, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::{Cx, ServerPath, name_it, server};
use crate::{rules, store};

endpoint! {
    /// Show the encrypted password of a server.
    ShowPassword: GET "/v2.1/servers/{id}/os-server-password" => 200,
    policy: Loaded<rules::ShowPassword>,
    path: ServerPath,
    reply: Json<Value>,
    handler: show_password,
}

async fn show_password(cx: Cx, req: Req<ShowPassword>) -> Reply<ShowPassword> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ShowPassword, server(&cx, id).await?)
        .map_err(name_it(id))?;
    Ok(Json(json!({"password": server.guest_password})))
}

endpoint! {
    /// Forget the encrypted password of a server.
    ClearPassword: DELETE "/v2.1/servers/{id}/os-server-password" => 204,
    policy: Loaded<rules::ClearPassword>,
    path: ServerPath,
    reply: Empty,
    handler: clear_password,
}

async fn clear_password(cx: Cx, req: Req<ClearPassword>) -> Reply<ClearPassword> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ClearPassword, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let mut tx = cx.write().await?;
    store::servers::clear_guest_password(&mut tx, &server.id).await?;
    tx.commit().await?;
    Ok(Empty)
}
