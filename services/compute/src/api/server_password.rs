//! Passwords of guests. `/servers/{id}/os-server-password`: what a guest left through the metadata service, encrypted with
//! its owner's key. `changePassword`: another one for its administrator, by way of QEMU's agent in the guest.

use std::time::Duration;

use nephos_api::{Accepted, Empty, Fault, Hosts, Json, Loaded, Reply, Req, endpoint};
use nephos_ops::feed;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Cx, ServerPath, asked, fault, name_it, news, server};
use crate::model::guest_password::{self, GuestPassword};
use crate::model::spec::ServerId;
use crate::ops::set_password;
use crate::store::guest_passwords::Sealed;
use crate::{ops, rules, store};

/// A guest that has not taken it by then is not waited for; what came of it, the server's history says.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);
/// A longer one is nobody's.
const MAX_PASSWORD_BYTES: usize = 1024;

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

#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangePasswordBody {
    #[serde(rename = "changePassword")]
    wish: NewPassword,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[serde(rename = "adminPass")]
    password: String,
}

endpoint! {
    /// Give the administrator of a guest another password.
    ChangePassword: POST "/v2.1/servers/{id}/action" ["changePassword"] => 202,
    policy: Loaded<rules::ChangePassword>,
    path: ServerPath,
    body: Json<ChangePasswordBody>,
    reply: Accepted,
    handler: change_password,
}

async fn change_password(cx: Cx, req: Req<ChangePassword>) -> Reply<ChangePassword> {
    let id = &req.path.id;
    let password = req.body.0.wish.password;
    if password.contains('\0') || password.len() > MAX_PASSWORD_BYTES {
        // Not in JSON schema's words: they would repeat it.
        return Err(Fault::bad_request(format!(
            "Invalid input for field/attribute adminPass. It has a zero character, or more than {MAX_PASSWORD_BYTES} bytes."
        )));
    }
    let server = cx
        .allow(rules::ChangePassword, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let refused = |why| fault::refused(&server, "changePassword", why);
    server
        .check_unlocked(cx.caller.is_admin())
        .and_then(|()| server.check_can(set_password::FROM))
        .map_err(refused)?;
    if !guest_password::has_agent(&server.image) {
        return Err(Fault::conflict(
            "QEMU guest agent is not enabled: the image of the server does not say hw_qemu_guest_agent=yes.",
        ));
    }
    let seal = cx.seal.as_ref().ok_or_else(no_seal)?;
    let sealed = seal
        .close(id.as_str(), &password)
        .map_err(|why| Fault::internal(why.to_string()))?;
    let sealed = Sealed {
        account: guest_password::account(&server.image).to_owned(),
        sealed,
    };
    let mut answers = cx.bus.subscribe_to(ops::PASSWORDS, [id.to_string()]);
    let mut tx = cx.write().await?;
    let begun = set_password::request(&mut tx, asked(&cx), &server, &sealed).await;
    let begun = begun.map_err(|why| fault::busy(&server, "changePassword", why))?;
    begun.map_err(refused)?;
    tx.commit().await?;
    let ended = || async {
        let action = store::actions::get(cx.db(), id.as_str(), cx.request_id.as_ref()).await?;
        Ok(action.and_then(|action| action.events.into_iter().next()))
    };
    let ended = news::found(&cx.core.clock, &mut answers, TAKEN_WITHIN, ended).await?;
    match ended.and_then(|event| event.details) {
        None => Ok(Accepted),
        Some(why) if why == set_password::NO_AGENT => {
            Err(Fault::new(http::StatusCode::NOT_IMPLEMENTED, why))
        }
        Some(why) => Err(Fault::conflict(format!(
            "Failed to set admin password on {id}: {why}"
        ))),
    }
}

fn no_seal() -> Fault {
    tracing::warn!(
        "a password cannot be changed: secrets.toml of this machine has no `sealing_secret`; copy it from the machine where \
         `nephos up` or `nephos bootstrap` made it"
    );
    Fault::conflict("Passwords cannot be changed here. Ask an administrator of the cloud.")
}

endpoint! {
    /// Give a host the password that it is to set in a guest.
    HostPassword: GET "/host/v1/passwords/{id}" => 200,
    policy: Hosts<rules::HostFeed>,
    path: ServerPath,
    reply: Json<Value>,
    handler: host_password,
}

/// Only to the host that is told of it now.
async fn host_password(cx: Cx, req: Req<HostPassword>) -> Reply<HostPassword> {
    let id = &req.path.id;
    let none = || Fault::not_found(format!("No password of server {id} is to be set here."));
    let host = cx.host(None)?.as_str().to_owned();
    let place = set_password::place(&host, id);
    let told = feed::published(cx.db(), place).await?;
    let sealed = store::guest_passwords::find(cx.db(), id).await?;
    let (_told, sealed) = told.zip(sealed).ok_or_else(none)?;
    let found = opened(&cx, id, sealed)?;
    let found = serde_json::to_value(found).map_err(|why| Fault::internal(why.to_string()))?;
    Ok(Json(found))
}

fn opened(cx: &Cx, id: &ServerId, sealed: Sealed) -> Result<GuestPassword, Fault> {
    let seal = cx.seal.as_ref().ok_or_else(no_seal)?;
    let password = seal.open(id.as_str(), &sealed.sealed);
    Ok(GuestPassword {
        account: sealed.account,
        password: password.map_err(|why| Fault::internal(why.to_string()))?,
    })
}
