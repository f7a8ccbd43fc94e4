//! `POST /servers/{id}/action`: one row per action.

use nephos_api::{Accepted, Empty, Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::{Authorized, Rule};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Cx, ServerPath, asked, fault, name_it, server};
use crate::model::migration::Kind;
use crate::model::server::{LockedBy, Refused, Server, VmState};
use crate::ops;
use crate::ops::power::{self, Verb};
use crate::peers::Port;
use crate::{rules, store};

/// The server, when the caller may do this to it and no lock is in the way.
async fn allowed<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &ServerPath,
    verb: &str,
) -> Result<Authorized<Server, R>, Fault> {
    let id = &path.id;
    let server = cx.allow(rule, server(cx, id).await?).map_err(name_it(id))?;
    server
        .check_unlocked(cx.caller.is_admin())
        .map_err(|why| fault::refused(&server, verb, why))?;
    Ok(server)
}

async fn change_power<R: Rule>(
    cx: &Cx,
    server: &Authorized<Server, R>,
    verb: Verb,
) -> Result<Accepted, Fault> {
    server
        .check_can(verb.from)
        .map_err(|why| fault::refused(server, verb.action, why))?;
    let mut tx = cx.write().await?;
    let begun = power::request(&mut tx, asked(cx), server, verb).await;
    begun.map_err(|why| fault::busy(server, verb.action, why))?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Start a server.
    Start: POST "/v2.1/servers/{id}/action" ["os-start"] => 202,
    policy: Loaded<rules::StartServer>,
    path: ServerPath,
    reply: Accepted,
    handler: start,
}

async fn start(cx: Cx, req: Req<Start>) -> Reply<Start> {
    let server = allowed(&cx, rules::StartServer, &req.path, "start").await?;
    change_power(&cx, &server, power::START).await
}

endpoint! {
    /// Stop a server.
    Stop: POST "/v2.1/servers/{id}/action" ["os-stop"] => 202,
    policy: Loaded<rules::StopServer>,
    path: ServerPath,
    reply: Accepted,
    handler: stop,
}

async fn stop(cx: Cx, req: Req<Stop>) -> Reply<Stop> {
    let server = allowed(&cx, rules::StopServer, &req.path, "stop").await?;
    change_power(&cx, &server, power::STOP).await
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct RebootBody {
    reboot: RebootHow,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RebootHow {
    #[serde(rename = "type")]
    kind: String,
}

endpoint! {
    /// Reboot a server.
    Reboot: POST "/v2.1/servers/{id}/action" ["reboot"] => 202,
    policy: Loaded<rules::RebootServer>,
    path: ServerPath,
    body: Json<RebootBody>,
    reply: Accepted,
    handler: reboot,
}

async fn reboot(cx: Cx, req: Req<Reboot>) -> Reply<Reboot> {
    let verb = match req.body.0.reboot.kind.to_ascii_uppercase().as_str() {
        "SOFT" => power::SOFT_REBOOT,
        "HARD" => power::HARD_REBOOT,
        other => {
            return Err(fault::invalid_text(
                "type",
                other,
                "is not one of ['HARD', 'SOFT']",
            ));
        }
    };
    let server = allowed(&cx, rules::RebootServer, &req.path, "reboot").await?;
    change_power(&cx, &server, verb).await
}

endpoint! {
    /// Freeze a server in memory.
    Pause: POST "/v2.1/servers/{id}/action" ["pause"] => 202,
    policy: Loaded<rules::PauseServer>,
    path: ServerPath,
    reply: Accepted,
    handler: pause,
}

async fn pause(cx: Cx, req: Req<Pause>) -> Reply<Pause> {
    let server = allowed(&cx, rules::PauseServer, &req.path, "pause").await?;
    change_power(&cx, &server, power::PAUSE).await
}

endpoint! {
    /// Let a frozen server go on.
    Unpause: POST "/v2.1/servers/{id}/action" ["unpause"] => 202,
    policy: Loaded<rules::UnpauseServer>,
    path: ServerPath,
    reply: Accepted,
    handler: unpause,
}

async fn unpause(cx: Cx, req: Req<Unpause>) -> Reply<Unpause> {
    let server = allowed(&cx, rules::UnpauseServer, &req.path, "unpause").await?;
    change_power(&cx, &server, power::UNPAUSE).await
}

endpoint! {
    /// Save a server to disk and free its memory.
    Suspend: POST "/v2.1/servers/{id}/action" ["suspend"] => 202,
    policy: Loaded<rules::SuspendServer>,
    path: ServerPath,
    reply: Accepted,
    handler: suspend,
}

async fn suspend(cx: Cx, req: Req<Suspend>) -> Reply<Suspend> {
    let server = allowed(&cx, rules::SuspendServer, &req.path, "suspend").await?;
    change_power(&cx, &server, power::SUSPEND).await
}

endpoint! {
    /// Bring a saved server back.
    Resume: POST "/v2.1/servers/{id}/action" ["resume"] => 202,
    policy: Loaded<rules::ResumeServer>,
    path: ServerPath,
    reply: Accepted,
    handler: resume,
}

async fn resume(cx: Cx, req: Req<Resume>) -> Reply<Resume> {
    let server = allowed(&cx, rules::ResumeServer, &req.path, "resume").await?;
    change_power(&cx, &server, power::RESUME).await
}

endpoint! {
    /// Delete a server whatever is being done to it.
    ForceDelete: POST "/v2.1/servers/{id}/action" ["forceDelete"] => 202,
    policy: Loaded<rules::ForceDeleteServer>,
    path: ServerPath,
    reply: Empty,
    handler: force_delete,
}

async fn force_delete(cx: Cx, req: Req<ForceDelete>) -> Reply<ForceDelete> {
    let server = allowed(&cx, rules::ForceDeleteServer, &req.path, "force_delete").await?;
    let mut tx = cx.write().await?;
    let begun = ops::delete::request(&mut tx, asked(&cx), &server).await;
    begun.map_err(|why| fault::busy(&server, "force_delete", why))?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Bring a deleted server back; here a deleted server is gone at once.
    Restore: POST "/v2.1/servers/{id}/action" ["restore"] => 202,
    policy: Loaded<rules::RestoreServer>,
    path: ServerPath,
    reply: Accepted,
    handler: restore,
}

async fn restore(cx: Cx, req: Req<Restore>) -> Reply<Restore> {
    let server = allowed(&cx, rules::RestoreServer, &req.path, "restore").await?;
    let state = Refused::State(format!("vm_state {}", server.vm_state.word()));
    Err(fault::refused(&server, "restore", state))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct LockBody {
    lock: Option<LockWhy>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LockWhy {
    #[serde(default)]
    locked_reason: Option<String>,
}

endpoint! {
    /// Lock a server against changes.
    Lock: POST "/v2.1/servers/{id}/action" ["lock"] => 202,
    policy: Loaded<rules::LockServer>,
    path: ServerPath,
    body: Json<LockBody>,
    reply: Accepted,
    handler: lock,
}

async fn lock(cx: Cx, req: Req<Lock>) -> Reply<Lock> {
    let id = &req.path.id;
    let reason = req.body.0.lock.and_then(|why| why.locked_reason);
    match reason.as_deref() {
        Some("") => return Err(fault::invalid_text("locked_reason", "", "is too short")),
        Some(long) if long.chars().count() > 255 => {
            return Err(fault::invalid_text("locked_reason", long, "is too long"));
        }
        _fitting => {}
    }
    let allowed = cx
        .allow(rules::LockServer, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let by_owner = cx.caller.project_id() == Some(&allowed.project_id);
    change(&cx, &allowed, |server| {
        server.locked_by = Some(if by_owner {
            LockedBy::Owner
        } else {
            LockedBy::Admin
        });
        server.locked_reason = reason;
    })
    .await
}

endpoint! {
    /// Unlock a server.
    Unlock: POST "/v2.1/servers/{id}/action" ["unlock"] => 202,
    policy: Loaded<rules::UnlockServer>,
    path: ServerPath,
    reply: Accepted,
    handler: unlock,
}

async fn unlock(cx: Cx, req: Req<Unlock>) -> Reply<Unlock> {
    let id = &req.path.id;
    let allowed = cx
        .allow(rules::UnlockServer, server(&cx, id).await?)
        .map_err(name_it(id))?;
    if allowed.locked_by == Some(LockedBy::Admin) {
        cx.require(rules::UnlockOverride, &nephos_auth::Target::new())?;
    }
    change(&cx, &allowed, |server| {
        server.locked_by = None;
        server.locked_reason = None;
    })
    .await
}

/// Changes what is only in the row.
pub(crate) async fn change<R: Rule>(
    cx: &Cx,
    server: &Authorized<Server, R>,
    with: impl FnOnce(&mut Server) + Send,
) -> Result<Accepted, Fault> {
    let with = |server: &mut Server| {
        with(server);
        Ok(())
    };
    change_if(cx, server, with).await
}

/// Likewise, unless `with` refuses the server as it is now.
pub(crate) async fn change_if<R: Rule>(
    cx: &Cx,
    server: &Authorized<Server, R>,
    with: impl FnOnce(&mut Server) -> Result<(), Fault> + Send,
) -> Result<Accepted, Fault> {
    let mut tx = cx.write().await?;
    let fresh = store::servers::lock(&mut tx, &server.id).await?;
    let mut fresh = fresh.ok_or_else(|| fault::no_server(server.id.as_str()))?;
    with(&mut fresh)?;
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    Ok(Accepted)
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct ResetBody {
    #[serde(rename = "os-resetState")]
    reset: ResetTo,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResetTo {
    state: String,
}

endpoint! {
    /// Set a server's state by hand.
    ResetState: POST "/v2.1/servers/{id}/action" ["os-resetState"] => 202,
    policy: Loaded<rules::ResetState>,
    path: ServerPath,
    body: Json<ResetBody>,
    reply: Accepted,
    handler: reset_state,
}

async fn reset_state(cx: Cx, req: Req<ResetState>) -> Reply<ResetState> {
    let state = match req.body.0.reset.state.as_str() {
        "active" => VmState::Active,
        "error" => VmState::Error,
        other => {
            return Err(fault::invalid_text(
                "state",
                other,
                "is not one of ['active', 'error']",
            ));
        }
    };
    let id = &req.path.id;
    let allowed = cx
        .allow(rules::ResetState, server(&cx, id).await?)
        .map_err(name_it(id))?;
    // One whose move has not ended goes on with that: its owner confirms or reverts it. Of a move while it runs nobody
    // decides but the hosts, by where the guest is.
    let moves = store::migrations::live(cx.db(), id).await?;
    let decided = moves.is_some_and(|one| one.kind != Kind::Live);
    let state = if decided && state == VmState::Active {
        VmState::Resized
    } else {
        state
    };
    change(&cx, &allowed, |server| {
        server.vm_state = state;
        server.task_state = None;
    })
    .await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupName {
    name: String,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct AddGroupBody {
    #[serde(rename = "addSecurityGroup")]
    add: GroupName,
}

endpoint! {
    /// Put a server's ports into a security group.
    AddSecurityGroup: POST "/v2.1/servers/{id}/action" ["addSecurityGroup"] => 202,
    policy: Loaded<rules::AddSecurityGroup>,
    path: ServerPath,
    body: Json<AddGroupBody>,
    reply: Accepted,
    handler: add_security_group,
}

async fn add_security_group(cx: Cx, req: Req<AddSecurityGroup>) -> Reply<AddSecurityGroup> {
    let server = allowed(&cx, rules::AddSecurityGroup, &req.path, "addSecurityGroup").await?;
    let name = &req.body.0.add.name;
    let (group, ports) = group_and_ports(&cx, &server, name).await?;
    if ports
        .iter()
        .all(|port| port.security_groups.contains(&group))
    {
        return Err(Fault::conflict(format!(
            "Security group {name} is already associated with the instance {}",
            server.id
        )));
    }
    for port in ports {
        let add = |groups: &mut Vec<String>| {
            if !groups.contains(&group) {
                groups.push(group.clone());
            }
        };
        set_groups(&cx, port, add).await?;
    }
    let add = |server: &mut Server| {
        // News from the network service says the same later; who looks now sees it already.
        for bound in server.nics.iter_mut().filter_map(|nic| nic.bound.as_mut()) {
            if !bound.groups.contains(name) {
                bound.groups.push(name.clone());
            }
        }
        if !server.security_groups.contains(name) {
            server.security_groups.push(name.clone());
        }
    };
    // The ports are done: only the row is written again when another was quicker.
    cx.db().again(|| change(&cx, &server, add)).await
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct RemoveGroupBody {
    #[serde(rename = "removeSecurityGroup")]
    remove: GroupName,
}

endpoint! {
    /// Take a server's ports out of a security group.
    RemoveSecurityGroup: POST "/v2.1/servers/{id}/action" ["removeSecurityGroup"] => 202,
    policy: Loaded<rules::RemoveSecurityGroup>,
    path: ServerPath,
    body: Json<RemoveGroupBody>,
    reply: Accepted,
    handler: remove_security_group,
}

async fn remove_security_group(
    cx: Cx,
    req: Req<RemoveSecurityGroup>,
) -> Reply<RemoveSecurityGroup> {
    let server = allowed(
        &cx,
        rules::RemoveSecurityGroup,
        &req.path,
        "removeSecurityGroup",
    )
    .await?;
    let name = &req.body.0.remove.name;
    let (group, ports) = group_and_ports(&cx, &server, name).await?;
    let ports: Vec<Port> = ports
        .into_iter()
        .filter(|port| port.security_groups.contains(&group))
        .collect();
    if ports.is_empty() {
        return Err(Fault::not_found(format!(
            "Security group {name} is not associated with the instance {}",
            server.id
        )));
    }
    for port in ports {
        set_groups(&cx, port, |groups| groups.retain(|id| *id != group)).await?;
    }
    let remove = |server: &mut Server| {
        for bound in server.nics.iter_mut().filter_map(|nic| nic.bound.as_mut()) {
            bound.groups.retain(|known| known != name);
        }
        server.security_groups.retain(|known| known != name);
    };
    cx.db().again(|| change(&cx, &server, remove)).await
}

async fn group_and_ports(
    cx: &Cx,
    server: &Server,
    name: &str,
) -> Result<(String, Vec<Port>), Fault> {
    let peer = |why| fault::from_peer(&why);
    let group = cx
        .siblings
        .security_group(server.project_id.as_str(), name)
        .await
        .map_err(peer)?;
    let group = group.ok_or_else(|| {
        Fault::not_found(format!(
            "Security group {name} not found for project {}.",
            server.project_id
        ))
    })?;
    let ports = cx.siblings.ports_of(&server.id).await.map_err(peer)?;
    if ports.is_empty() {
        return Err(Fault::not_found(format!(
            "Instance {} has no ports that could be in a security group.",
            server.id
        )));
    }
    Ok((group, ports))
}

/// How often a port is looked at again that others change meanwhile.
const LOOKS: usize = 40;

/// Changes the groups that a port has now.
async fn set_groups(cx: &Cx, mut port: Port, with: impl Fn(&mut Vec<String>)) -> Result<(), Fault> {
    let token = cx.token().unwrap_or_default();
    let peer = |why| fault::from_peer(&why);
    for _look in 0..LOOKS {
        let mut groups = port.security_groups.clone();
        with(&mut groups);
        if groups == port.security_groups {
            return Ok(());
        }
        let set = cx.siblings.set_security_groups(token, &port, &groups).await;
        match set {
            Err(why) if why.status == Some(412) => {}
            settled => return settled.map_err(peer),
        }
        port = cx
            .siblings
            .port_of_caller(token, &port.id)
            .await
            .map_err(peer)?;
    }
    Err(Fault::conflict(format!(
        "Port {} is being changed by many at once. Try again.",
        port.id
    )))
}
