//! The ports of a server: made or bound one by one, found again after a crash by what they are plugged into.

use nephos_ops::{OpCx, StepError};
use nephos_runtime::crash_point;

use super::step_error;
use crate::model::server::Server;
use crate::peers::Port;
use crate::{Compute, store};

/// Makes or binds the first port that is not bound yet. False: all are.
pub(super) async fn ensure_next(
    cx: &OpCx<Compute>,
    server: &Server,
) -> Result<bool, StepError> {
    let waiting = server.nics.iter().position(|nic| nic.bound.is_none() && !nic.leaving);
    let Some((index, nic)) = waiting.and_then(|at| Some((at, server.nics.get(at)?))) else {
        return Ok(false);
    };
    let port = if nic.ours {
        match unclaimed(cx, server, &nic.network_id).await? {
            Some(port) => port,
            None => {
                crash_point!("port.before_create");
                let groups = security_groups(cx, server).await?;
                let port = cx.siblings.create_port(server, nic, &groups).await.map_err(step_error)?;
                crash_point!("port.created");
                port
            }
        }
    } else {
        crash_point!("port.before_bind");
        let port = cx.siblings.bind_port(server, &nic.port_id).await.map_err(step_error)?;
        crash_point!("port.bound");
        port
    };
    let bound = cx.siblings.describe(&port).await.map_err(step_error)?;
    let mut tx = cx.write("network").await?;
    let Some(mut fresh) = store::servers::lock(&mut tx, &server.id).await? else {
        return Err(StepError::LeaseLost);
    };
    if let Some(nic) = fresh.nics.get_mut(index) {
        nic.network_id = port.network_id;
        nic.port_id = port.id;
        nic.bound = Some(bound);
    }
    store::servers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    crash_point!("port.noted");
    Ok(true)
}

/// A port of this server in that network which no interface has: made by a try that was cut off.
async fn unclaimed(
    cx: &OpCx<Compute>,
    server: &Server,
    network: &str,
) -> Result<Option<Port>, StepError> {
    let ports = cx.siblings.ports_of(&server.id).await.map_err(step_error)?;
    let taken = |port: &Port| server.nics.iter().any(|nic| nic.port_id == port.id);
    Ok(ports.into_iter().find(|port| port.network_id == network && !taken(port)))
}

async fn security_groups(cx: &OpCx<Compute>, server: &Server) -> Result<Vec<String>, StepError> {
    let mut ids = Vec::new();
    for name in &server.security_groups {
        let project = server.project_id.as_str();
        let found = cx.siblings.security_group(project, name).await.map_err(step_error)?;
        match found {
            Some(id) => ids.push(id),
            // The default group is made by the network service when it is first needed.
            None if name == "default" => return Ok(Vec::new()),
            None => {
                return Err(StepError::Permanent(format!(
                    "Security group {name} was removed before the server could use it."
                )));
            }
        }
    }
    Ok(ids)
}

/// Removes or gives back the first port that is plugged into the server and in `which`. False: none is left.
pub(super) async fn release_next(
    cx: &OpCx<Compute>,
    server: &Server,
    which: impl Fn(&Port) -> bool,
) -> Result<bool, StepError> {
    let ports = cx.siblings.ports_of(&server.id).await.map_err(step_error)?;
    let Some(port) = ports.into_iter().find(which) else { return Ok(false) };
    let given = server.nics.iter().any(|nic| nic.port_id == port.id && !nic.ours);
    crash_point!("port.before_release");
    if given {
        cx.siblings.unbind_port(&port.id).await.map_err(step_error)?;
    } else {
        cx.siblings.remove_port(&port.id).await.map_err(step_error)?;
    }
    crash_point!("port.released");
    Ok(true)
}
