//! Disks on their way from one host to another. As with consoles, nobody dials a host: the one that the server moves to
//! asks here, the one that it leaves hears of it through its feed and brings the bytes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use nephos_api::{Download, Fault, Hosts, Payload, Reply, Req, Stream, With, endpoint};
use nephos_ops::feed;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use utoipa::ToSchema;

use super::{Cx, ServerPath, server};
use crate::model::disk::{DiskCall, KIND_DISK};
use crate::model::spec::ServerId;
use crate::ops::consoles::Joined;
use crate::{ops, rules};

/// A host that has not come by then is not waited for; who asked asks again.
const COMES_WITHIN: Duration = Duration::from_secs(20);

#[derive(Deserialize, ToSchema)]
pub(crate) struct FromQuery {
    /// The first byte that is wanted.
    #[serde(default)]
    from: u64,
}

endpoint! {
    /// Bring the disk of a server to the host that it moves to.
    CarryDisk: GET "/host/v1/disks/{id}" => 200,
    policy: Hosts<rules::HostFeed>,
    path: ServerPath,
    query: FromQuery,
    reply: With<Download>,
    handler: carry_disk,
}

async fn carry_disk(cx: Cx, req: Req<CarryDisk>) -> Reply<CarryDisk> {
    let (id, from) = (&req.path.id, req.query.from);
    let host = cx.host(None)?.as_str().to_owned();
    let (source, epoch) = on_its_way(&cx, id, &host).await?;
    let room = cx.consoles.room().ok_or_else(|| {
        Fault::unavailable("Too many consoles and disks are under way already. Try again later.")
    })?;
    let session = nephos_runtime::ids::hex();
    let mut waiter = cx.consoles.wait(&session, &source);
    let call = DiskCall {
        session,
        epoch,
        from,
    };
    publish(&cx, (&source, id), &call).await?;
    let away = || {
        Fault::unavailable(format!(
            "Host {source}, which has the disk of server {id}, does not answer. Try again later."
        ))
    };
    let came = cx.core.clock.timeout(COMES_WITHIN, waiter.answer()).await;
    let joined = came.ok_or_else(away)?.map_err(|why| {
        Fault::unavailable(format!(
            "Host {source} cannot bring the disk of server {id}: {why}."
        ))
    })?;
    Ok(With::new(Download {
        content_type: "application/octet-stream",
        body: relayed(joined, room),
    }))
}

/// The host that has the disk, and its epoch there: only what moves to the host that asks.
async fn on_its_way(cx: &Cx, id: &ServerId, host: &str) -> Result<(String, i64), Fault> {
    let found = server(cx, id).await?;
    let found = found.filter(|server| server.host.as_deref() == Some(host));
    let from = found.and_then(|server| server.image.disk_from);
    let carried = from.and_then(|from| Some((from.carried?.host, from.epoch)));
    carried.ok_or_else(|| {
        Fault::not_found(format!(
            "No disk of server {id} is on its way to host {host}."
        ))
    })
}

async fn publish(cx: &Cx, (source, id): (&str, &ServerId), call: &DiskCall) -> Result<(), Fault> {
    let place = feed::Place {
        topic: ops::FEED,
        host: source,
        kind: KIND_DISK,
        id: id.as_str(),
    };
    let mut tx = cx.write().await?;
    feed::publish_anew(&mut tx, cx.now(), place, call).await?;
    tx.commit().await?;
    Ok(())
}

/// The disk's bytes; the host is let go when they have all been taken, or nobody takes them any more.
fn relayed(joined: Joined, room: OwnedSemaphorePermit) -> Payload {
    type Way = (Stream, mpsc::Sender<Bytes>, OwnedSemaphorePermit);
    let next = |(mut said, typed, room): Way| async move {
        match said.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), (said, typed, room))),
            Ok(None) => None,
            Err(why) => Some((Err(why), (said, typed, room))),
        }
    };
    Payload::Open(stream::unfold((joined.said, joined.typed, room), next).boxed())
}
