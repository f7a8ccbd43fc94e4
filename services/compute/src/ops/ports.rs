//! The ports of a server: made or bound, found again after a crash by what they are plugged into.

use nephos_db::Tx;
use nephos_ops::{OpCx, StepError};
use nephos_peer::PeerError;
use nephos_runtime::crash_point;
use nephos_types::Wake;

use super::{PORTS, step_error};
use crate::model::server::{BoundNic, Nic, Server};
use crate::peers::Port;
use crate::{Compute, store};

/// What the network service has for an interface.
#[derive(Debug)]
pub(super) struct Plugged {
    index: usize,
    port: Port,
    bound: BoundNic,
}

/// Makes or binds the ports that are not bound yet. None: all are. Whoever asked notes them with [`note`].
pub(super) async fn ensure(
    cx: &OpCx<Compute>,
    server: &Server,
) -> Result<Option<Vec<Plugged>>, StepError> {
    let wanted: Vec<&Nic> = wanted(server).map(|(_, nic)| nic).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut here = if wanted.iter().any(|nic| nic.ours) {
        cx.siblings.ports_of(&server.id).await.map_err(step_error)?
    } else {
        Vec::new()
    };
    let late = store::late_ports::given(cx.db(), &server.id).await?;
    here.retain(|port| {
        !late.contains(&port.id) && !server.nics.iter().any(|nic| nic.port_id == port.id)
    });
    plug_all(cx, server, here).await.map(Some)
}

/// As [`ensure`], for a server for which nobody has asked for ports before; it is not noted yet where it is to be.
pub(super) async fn make(cx: &OpCx<Compute>, server: &Server) -> Result<Vec<Plugged>, StepError> {
    plug_all(cx, server, Vec::new()).await
}

/// The interfaces whose ports are not bound yet, with their places.
fn wanted(server: &Server) -> impl Iterator<Item = (usize, &Nic)> {
    let nics = server.nics.iter().enumerate();
    nics.filter(|(_, nic)| nic.bound.is_none() && !nic.leaving)
}

/// Makes or binds a port for each interface, or takes what is `here` already.
async fn plug_all(
    cx: &OpCx<Compute>,
    server: &Server,
    mut here: Vec<Port>,
) -> Result<Vec<Plugged>, StepError> {
    let mut plugged = Vec::new();
    for (index, nic) in wanted(server) {
        let found = here.iter().position(|port| fits(port, nic, server));
        let port = match found {
            Some(at) => here.swap_remove(at),
            None => plug(cx, server, nic).await?,
        };
        let bound = cx
            .siblings
            .describe(&port, nic.ours && nic.port_id.is_empty())
            .await
            .map_err(step_error)?;
        plugged.push(Plugged { index, port, bound });
    }
    Ok(plugged)
}

/// Whether a port that no interface has was made for this one, by a try that was cut off.
fn fits(port: &Port, nic: &Nic, server: &Server) -> bool {
    let has = |ip: &String| port.fixed_ips.iter().any(|fixed| fixed.ip_address == *ip);
    let address_fits = match &nic.fixed_ip {
        Some(ip) => has(ip),
        // Not one that was made for an interface with an address of its own.
        None => !server
            .nics
            .iter()
            .filter_map(|other| other.fixed_ip.as_ref())
            .any(has),
    };
    nic.ours && nic.port_id.is_empty() && port.network_id == nic.network_id && address_fits
}

async fn plug(cx: &OpCx<Compute>, server: &Server, nic: &Nic) -> Result<Port, StepError> {
    // One that was made already moves with the server.
    if nic.ours && nic.port_id.is_empty() {
        let groups = security_groups(cx, server).await?;
        crash_point!("port.before_create");
        let port = cx
            .siblings
            .create_port(server, nic, &groups)
            .await
            .map_err(port_error)?;
        crash_point!("port.created");
        return Ok(port);
    }
    bind(cx, server, &nic.port_id).await
}

/// How often a port is looked at again that somebody else changes meanwhile.
const LOOKS: usize = 12;

/// Binds a port that was given to the server.
async fn bind(cx: &OpCx<Compute>, server: &Server, id: &str) -> Result<Port, StepError> {
    for _look in 0..LOOKS {
        let port = cx.siblings.port(id).await.map_err(step_error)?;
        // It was free when the server was asked for; another that was asked for with it may have been quicker.
        let is_others = !port.device_id.is_empty() && port.device_id != server.id.as_str();
        if is_others || port.is_of_the_cloud() {
            return Err(StepError::Permanent(format!("Port {id} is still in use.")));
        }
        crash_point!("port.before_bind");
        match cx.siblings.bind_port(server, &port).await {
            Err(why) if why.status == Some(412) => {}
            bound => {
                crash_point!("port.bound");
                return bound.map_err(port_error);
            }
        }
    }
    Err(changing(id))
}

/// An address that is taken or a quota that is used up does not pass by itself.
fn port_error(why: PeerError) -> StepError {
    if why.is_conflict() {
        StepError::Permanent(why.message)
    } else {
        step_error(why)
    }
}

/// Writes what was plugged into the row that is about to be stored.
pub(super) fn note(tx: &mut Tx, server: &mut Server, plugged: Vec<Plugged>) {
    for Plugged { index, port, bound } in plugged {
        if let Some(nic) = server.nics.get_mut(index) {
            nic.network_id = port.network_id;
            nic.port_id = port.id;
            nic.bound = Some(bound);
        }
    }
    tx.wake(Wake::new(PORTS, server.id.as_str()));
}

async fn security_groups(cx: &OpCx<Compute>, server: &Server) -> Result<Vec<String>, StepError> {
    // Alone, it is what the network service gives a port that asks for none.
    if server.security_groups.iter().all(|name| name == "default") {
        return Ok(Vec::new());
    }
    let mut ids = Vec::new();
    for name in &server.security_groups {
        let project = server.project_id.as_str();
        let found = cx
            .siblings
            .security_group(project, name)
            .await
            .map_err(step_error)?;
        let id = found.ok_or_else(|| {
            StepError::Permanent(format!(
                "Security group {name} was removed before the server could use it."
            ))
        })?;
        // Asked for by its name and by its id, it is one group, and the network service takes each once.
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Removes or gives back the ports that are plugged into the server and in `which`. False: there is none.
pub(super) async fn release(
    cx: &OpCx<Compute>,
    server: &Server,
    which: impl Fn(&Port) -> bool,
) -> Result<bool, StepError> {
    let mut ports = cx.siblings.ports_of(&server.id).await.map_err(step_error)?;
    ports.retain(which);
    let late = store::late_ports::given(cx.db(), &server.id).await?;
    for port in &ports {
        let given = late.contains(&port.id)
            || server
                .nics
                .iter()
                .any(|nic| nic.port_id == port.id && !nic.ours);
        crash_point!("port.before_release");
        if given {
            unbind(cx, server, port).await?;
        } else {
            match cx.siblings.remove_port(&port.id).await {
                // It has become part of something else meanwhile (a trunk): whoever did that has it now.
                Err(why) if why.is_conflict() => unbind(cx, server, port).await?,
                removed => removed.map_err(step_error)?,
            }
        }
        crash_point!("port.released");
    }
    Ok(!ports.is_empty())
}

/// Where the ports of a server that goes to another host while it runs are to be.
#[derive(Clone, Copy)]
pub(super) enum Spot<'a> {
    /// Where they are, and made ready on this host.
    Next(&'a str),
    /// On this host, and on no other.
    On(&'a str),
}

/// Says where a port is to be, as often as it takes while others change it. One that is not the server's any more stays
/// where it is.
pub(super) async fn turn(
    cx: &OpCx<Compute>,
    server: &Server,
    id: &str,
    spot: Spot<'_>,
) -> Result<(), StepError> {
    for _look in 0..LOOKS {
        let Some(port) = still(cx, server, id).await? else {
            return Ok(());
        };
        crash_point!("port.before_turn");
        let turned = match spot {
            Spot::Next(host) => cx.siblings.prepare_port(&port, host).await,
            Spot::On(host) => cx.siblings.turn_port(&port, host).await,
        };
        match turned {
            Err(why) if why.status == Some(412) => {}
            turned => {
                crash_point!("port.turned");
                return turned.map_err(step_error);
            }
        }
    }
    Err(changing(id))
}

/// A port that is still plugged into the server.
async fn still(cx: &OpCx<Compute>, server: &Server, id: &str) -> Result<Option<Port>, StepError> {
    let port = match cx.siblings.port(id).await {
        Err(why) if why.is_not_found() => return Ok(None),
        found => found.map_err(step_error)?,
    };
    Ok(Some(port).filter(|port| port.device_id == server.id.as_str()))
}

fn changing(id: &str) -> StepError {
    StepError::Transient(format!("port {id} is being changed all the time"))
}

/// Gives a port back, as often as it takes while others change it.
async fn unbind(cx: &OpCx<Compute>, server: &Server, port: &Port) -> Result<(), StepError> {
    let mut port = port.clone();
    for _look in 0..LOOKS {
        match cx.siblings.unbind_port(&port).await {
            Err(why) if why.status == Some(412) => {}
            unbound => return unbound.map_err(step_error),
        }
        match still(cx, server, &port.id).await? {
            Some(fresh) => port = fresh,
            None => return Ok(()),
        }
    }
    Err(changing(&port.id))
}
