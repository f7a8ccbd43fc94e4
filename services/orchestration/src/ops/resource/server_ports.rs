//! The ports that a template puts into a server: they can be in one server only.

use nephos_runtime::crash_point;
use serde_json::Value;

use super::rest::id_of;
use super::server::shown_server;
use super::{Did, Outcome, Seen, Why, Work};
use crate::ops::LOOK_AGAIN;
use crate::peers::Ask;

/// Takes the template's ports out of the server, one after another; done when none is in it any more.
pub(crate) async fn release(work: &Work<'_>) -> Did {
    let done = || Ok(Outcome::Done(Seen::default()));
    let Some(id) = work.physical() else {
        return done();
    };
    if shown_server(work, id).await?.is_none() {
        return done();
    }
    let mut ports = Vec::new();
    let nics = work
        .row
        .properties
        .get("networks")
        .and_then(Value::as_array);
    for nic in nics.into_iter().flatten() {
        if let Some(port) = nic.get("port").and_then(Value::as_str) {
            ports.push(id_of(work, "ports", port).await?);
        }
    }
    let target = format!("/v2.1/servers/{id}/os-interface");
    let list = work.ask(&Ask::get("compute", target.as_str())).await?;
    let plugged = list.get("interfaceAttachments").and_then(Value::as_array);
    let ids = plugged.into_iter().flatten();
    let mut ids = ids.filter_map(|nic| nic.get("port_id")?.as_str());
    let Some(port) = ids.find(|id| ports.iter().any(|port| port == id)) else {
        return done();
    };
    crash_point!("server.release");
    let sent = work
        .ask(&Ask::delete("compute", format!("{target}/{port}")))
        .await;
    crash_point!("server.released");
    match sent {
        // It is at something else, perhaps at taking this port out already.
        Err(why) if why.is_conflict() => Err(Why::Later(why.message)),
        Err(why) if !why.is_not_found() => Err(why.into()),
        _sent_or_gone => Ok(Outcome::Wait(Seen::default(), LOOK_AGAIN / 4)),
    }
}
