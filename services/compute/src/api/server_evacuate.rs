//! Evacuating a server from a host that is lost.

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, Shape, endpoint};
use nephos_auth::Authorized;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::versions::{EVACUATE, EVACUATE_KEYS};
use super::{Cx, ServerPath, asked, fault, is_true, name_it, server};
use crate::model::server::{Refused, Server, VmState};
use crate::ops::evacuate::Evacuation;
use crate::{ops, rules, store};

#[derive(Deserialize, ToSchema)]
pub(crate) struct EvacuateBody {
    evacuate: Evacuating,
}

#[derive(Deserialize, ToSchema)]
struct Evacuating {
    #[serde(default)]
    host: Option<String>,
    #[serde(default, rename = "adminPass")]
    admin_pass: Option<String>,
    #[serde(default, rename = "onSharedStorage")]
    on_shared_storage: Option<Value>,
    #[serde(default)]
    force: Option<Value>,
}

endpoint! {
    /// Make a server anew on another host, because its own is lost.
    EvacuateOld: POST "/v2.1/servers/{id}/action" ["evacuate"] => 200,
    versions: 2.1..=2.13,
    policy: Loaded<rules::EvacuateServer>,
    path: ServerPath,
    body: Json<EvacuateBody> as Shape::one("evacuate", EVACUATE).keys(EVACUATE_KEYS),
    reply: Json<Value>,
    handler: evacuate_old,
}

/// Before 2.14 the password was in the answer, and the caller had to say what is on shared storage.
async fn evacuate_old(cx: Cx, req: Req<EvacuateOld>) -> Reply<EvacuateOld> {
    let wish = req.body.0.evacuate;
    match &wish.on_shared_storage {
        None => {
            return Err(Fault::bad_request(
                "Invalid input for field/attribute evacuate. 'onSharedStorage' is a required property",
            ));
        }
        Some(shared) if is_true(shared) => {
            return Err(Fault::bad_request(
                "Disks of servers are on their hosts here, not on shared storage: say onSharedStorage false.",
            ));
        }
        Some(_) => {}
    }
    let password = evacuate_to(&cx, &req.path, wish).await?;
    Ok(Json(json!({ "adminPass": password })))
}

endpoint! {
    /// Make a server anew on another host, because its own is lost.
    Evacuate: POST "/v2.1/servers/{id}/action" ["evacuate"] => 200,
    versions: 2.14..,
    policy: Loaded<rules::EvacuateServer>,
    path: ServerPath,
    body: Json<EvacuateBody> as Shape::one("evacuate", EVACUATE).keys(EVACUATE_KEYS),
    reply: Accepted,
    handler: evacuate,
}

async fn evacuate(cx: Cx, req: Req<Evacuate>) -> Reply<Evacuate> {
    let wish = req.body.0.evacuate;
    if wish.force.as_ref().is_some_and(is_true) && wish.host.is_none() {
        return Err(Fault::bad_request(
            "Can't force to a non-provided destination",
        ));
    }
    evacuate_to(&cx, &req.path, wish).await?;
    Ok(Accepted)
}

/// Asks for it; gives the password that the guest gets.
async fn evacuate_to(cx: &Cx, path: &ServerPath, wish: Evacuating) -> Result<String, Fault> {
    let id = &path.id;
    let server = cx
        .allow(rules::EvacuateServer, server(cx, id).await?)
        .map_err(name_it(id))?;
    if let Some(to) = &wish.host
        && store::hosts::get(cx.db(), to).await?.is_none()
    {
        return Err(Fault::not_found(format!("Compute host {to} not found.")));
    }
    let from = lost_host(cx, &server).await?;
    if wish.host.as_ref() == Some(&from) {
        return Err(Fault::bad_request("The target host can't be the same one."));
    }
    if store::migrations::live(cx.db(), id).await?.is_some() {
        return Err(Fault::conflict(format!(
            "Cannot 'evacuate' instance {id} while a move of it has not ended. Revert that one first."
        )));
    }
    let states = [VmState::Active, VmState::Stopped, VmState::Error];
    if !states.contains(&server.vm_state) {
        let why = Refused::State(format!("vm_state {}", server.vm_state.word()));
        return Err(fault::refused(&server, "evacuate", why));
    }
    // 2.95: it is left off, for its owner to look at first.
    let off = cx.version >= v(2, 95) || server.vm_state == VmState::Stopped;
    let made = || nephos_runtime::ids::hex().chars().take(12).collect();
    let admin_pass: String = wish.admin_pass.unwrap_or_else(made);
    let wish = Evacuation {
        from,
        to: wish.host,
        want: if off { "stopped" } else { "running" },
        admin_pass: admin_pass.clone(),
    };
    let mut tx = cx.write().await?;
    let begun = ops::evacuate::request(&mut tx, asked(cx), &server, wish).await;
    begun.map_err(|why| fault::busy(&server, "evacuate", why))?;
    tx.commit().await?;
    Ok(admin_pass)
}

/// The host that the server is on, when it is declared to be off.
async fn lost_host<R>(cx: &Cx, server: &Authorized<Server, R>) -> Result<String, Fault> {
    if server.task_state.as_deref() == Some("deleting") {
        let why = Refused::State("task_state deleting".to_owned());
        return Err(fault::refused(server, "evacuate", why));
    }
    let Some(host) = &server.host else {
        return Err(Fault::conflict(format!(
            "Instance {} is on no host.",
            server.id
        )));
    };
    if store::hosts::is_fenced(cx.db(), host).await? {
        return Ok(host.clone());
    }
    // Nova says the first sentence, of a host that still reports.
    Err(Fault::bad_request(format!(
        "Compute service of {host} is still in use. A host that is only silent may still run its servers: make sure that \
         it is off, and declare it with force-down."
    )))
}
