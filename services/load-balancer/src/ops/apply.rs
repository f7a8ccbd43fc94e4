//! Bringing a load balancer to what it should be: its port on a host, the host told of it, the host's word that it is so.
//!
//! There is one piece of work for all changes: a request changes rows and says that there is news, and whatever was under
//! way goes on from what the rows say then.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use nephos_db::Tx;
use nephos_ops::{
    EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue_or_nudge, feed,
};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;

use super::{Asked, place, refused};
use crate::Svc;
use crate::model::spec::{KIND_LOAD_BALANCER, LoadBalancerSeen};
use crate::model::status::Provisioning;
use crate::model::tree::{Balancer, BalancerId, Tree};
use crate::peers::{NewPort, Outside, Port};
use crate::store::hosts::Host;
use crate::store::{balancers, hosts, parts};

pub(crate) struct Apply;

/// Without news, it is looked again so often.
const LOOK: Duration = Duration::from_secs(5);
/// What somebody else just changed is looked at again after this.
const SOON: Duration = Duration::from_millis(200);

/// Wants a load balancer to be what its rows say.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    id: &BalancerId,
) -> Result<(), EnqueueError> {
    enqueue_or_nudge(
        tx,
        asked.now,
        asked.work(<Apply as Reconcile<Svc>>::KIND, id),
    )
    .await
}

/// Wants a load balancer to be on another host than now, where there is one.
pub(crate) async fn request_move(
    tx: &mut Tx,
    asked: Asked<'_>,
    balancer: &mut Balancer,
) -> Result<(), EnqueueError> {
    request(tx, asked, &balancer.id).await?;
    if let Some(host) = balancer.host.take() {
        balancer.left_host = Some(host);
    }
    balancers::touch(tx, balancer, asked.now).await?;
    Ok(())
}

impl Reconcile<Svc> for Apply {
    const KIND: &'static str = "load_balancer.apply";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = BalancerId::from(op.resource_id.as_str());
        let Some(tree) = balancers::tree(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let balancer = &tree.balancer;
        let Some(host) = balancer.host.clone() else {
            return choose(cx, op, balancer).await;
        };
        let port = cx.siblings.port(&balancer.vip.port_id).await;
        let Some(port) = port.map_err(|why| refused(&why))? else {
            return port_again(cx, balancer).await;
        };
        if port.host.as_deref() != Some(&*host) || !port.is_of(&id) {
            return bind(cx, balancer, &port, &host).await;
        }
        let mut tx = cx.write("tell").await?;
        let Some(tree) = balancers::tree_in(&mut tx, &id).await? else {
            return Ok(Next::Again);
        };
        if tree.balancer.host.as_deref() != Some(&*host) {
            return Ok(Next::Again);
        }
        let spot = place(&host, &id);
        feed::publish_changed(&mut tx, cx.now(), spot, &tree.document()).await?;
        let wanted = feed::published_in(&mut tx, spot).await?.unwrap_or_default();
        tx.commit().await?;
        crash_point!("apply.told");
        look(cx, op, &tree, wanted).await
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = BalancerId::from(op.resource_id.as_str());
        let Some(mut balancer) = balancers::find_in(tx, &id).await? else {
            return Ok(());
        };
        // What failed is what was wanted before; what is wanted since, nobody has tried.
        if cx.has_news(tx).await? {
            let asked = Asked {
                caller: &op.caller,
                request_id: &op.request_id,
                now: cx.now(),
            };
            match request(tx, asked, &id).await {
                Ok(()) => return Ok(()),
                Err(EnqueueError::Db(why)) => return Err(why),
                Err(why) => tracing::warn!(%why, load_balancer = %id, "it is tried again later"),
            }
        }
        balancer.provisioning = Provisioning::Error;
        balancer.problem = Some(failure.message.clone());
        balancer.updated_at = Some(cx.now());
        balancers::update(tx, &balancer).await?;
        parts::fail(tx, &id).await
    }
}

/// Puts the port on the host as it was seen: whoever was quicker has it.
async fn bind(
    cx: &OpCx<Svc>,
    balancer: &Balancer,
    port: &Port,
    host: &str,
) -> Result<Next, StepError> {
    if !port.is_free() && !port.is_of(&balancer.id) {
        let words = format!(
            "Port {}, the VIP of the load balancer, is used by {} {}.",
            port.id, port.device_owner, port.device_id
        );
        return Ok(Next::Fail(Failure::new(words)));
    }
    // What was asked of its addresses was asked when it was given; until it is bound its owner may change them.
    let has: BTreeSet<IpAddr> = port
        .fixed_ips
        .iter()
        .filter_map(|one| one.ip_address.parse().ok())
        .collect();
    let mut addresses = balancer.vip.addresses().into_iter();
    if let Some(lost) = addresses.find(|address| !has.contains(address)) {
        let words = format!(
            "Port {}, the VIP of the load balancer, no longer has the address {lost}. Give it back to the port, or make another load balancer.",
            port.id
        );
        return Ok(Next::Fail(Failure::new(words)));
    }
    crash_point!("apply.bind");
    match cx.siblings.bind_port(port, balancer, host).await {
        // It was changed since, or is gone, which the next look finds.
        Err(why) if crate::peers::has_changed(&why) || why.is_not_found() => Ok(Next::After(SOON)),
        bound => {
            bound.map_err(|why| refused(&why))?;
            crash_point!("apply.bound");
            Ok(Next::Again)
        }
    }
}

/// Since when what is wanted now is waited for.
fn since(op: &Operation, balancer: &Balancer) -> Timestamp {
    let changed = balancer.updated_at.unwrap_or(balancer.created_at);
    changed.max(op.created_at)
}

/// Waits for news; after too long, it has failed for now.
fn wait(cx: &OpCx<Svc>, op: &Operation, balancer: &Balancer, words: String) -> Next {
    let until = since(op, balancer).plus_secs(cx.config.apply_secs);
    if cx.now() < until {
        return Next::After(LOOK);
    }
    Next::Fail(Failure::new(words))
}

/// Gives a load balancer a host, and takes it from all others.
async fn choose(cx: &OpCx<Svc>, op: &Operation, balancer: &Balancer) -> Result<Next, StepError> {
    let hosts = hosts::all(cx.db()).await?;
    let outside = cx.siblings.outside(&balancer.vip.network_id).await;
    let outside = outside.map_err(|why| refused(&why))?;
    let now = cx.now();
    let wish = Wish {
        left: balancer.left_host.as_deref(),
        outside: outside.as_ref(),
    };
    let Some(host) = best(&hosts, wish, now, cx.config.host_down_after_secs) else {
        return Ok(wait(cx, op, balancer, nowhere(outside.as_ref())));
    };
    crash_point!("apply.choose");
    let mut tx = cx.write("choose").await?;
    let Some(mut fresh) = balancers::find_in(&mut tx, &balancer.id).await? else {
        return Ok(Next::Again);
    };
    for other in feed::hosts_of(&mut tx, KIND_LOAD_BALANCER, fresh.id.as_str()).await? {
        if other != host {
            feed::withdraw_present(&mut tx, now, place(&other, &fresh.id)).await?;
        }
    }
    fresh.host = Some(host);
    balancers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    crash_point!("apply.chosen");
    Ok(Next::Again)
}

fn nowhere(outside: Option<&Outside>) -> String {
    match outside {
        None => "No host that runs load balancers reports at the moment; `nephos doctor` says on each what it lacks.".to_owned(),
        Some(Outside { physical, .. }) => format!(
            "No host that runs load balancers and reports leads to the network outside {physical}, where the VIP is; `openstack network agent show` says which each reaches, `nephos doctor` there why not."
        ),
    }
}

/// Where a load balancer should be.
#[derive(Clone, Copy, Default)]
struct Wish<'a> {
    /// Elsewhere than here, if there is anywhere else.
    left: Option<&'a str>,
    /// Where the network of its VIP is reached; none: everywhere.
    outside: Option<&'a Outside>,
}

/// The host with the fewest load balancers; the one that is to be left only when there is no other.
fn best(hosts: &[Host], wish: Wish<'_>, now: Timestamp, down_after_secs: i64) -> Option<String> {
    let able = |host: &&Host| {
        let stays = !host.drained || wish.left == Some(&*host.host);
        let reaches = wish
            .outside
            .is_none_or(|one| one.hosts.contains(&host.host));
        host.haproxy.is_some() && host.lives(now, down_after_secs) && stays && reaches
    };
    let key = |host: &&Host| {
        (
            wish.left == Some(&*host.host),
            host.balancers,
            host.host.clone(),
        )
    };
    let able = hosts.iter().filter(able);
    able.min_by_key(key).map(|host| host.host.clone())
}

/// The port of a load balancer is gone: one that was made for it is made again, with its addresses.
async fn port_again(cx: &OpCx<Svc>, balancer: &Balancer) -> Result<Next, StepError> {
    let vip = &balancer.vip;
    if !vip.own_port {
        let words = format!(
            "Port {}, the VIP of the load balancer, is gone.",
            vip.port_id
        );
        return Ok(Next::Fail(Failure::new(words)));
    }
    let mine = cx.siblings.ports_of(&balancer.id).await;
    let mine = mine.map_err(|why| refused(&why))?.into_iter();
    // Anybody may write anything into the device of a port of theirs.
    let mut mine = mine.filter(|port| port.is_of(&balancer.id) && port.was_made());
    let mine = mine.find(|port| port.network_id == vip.network_id);
    let port = match mine {
        Some(port) => port,
        None => {
            let mut addresses = vec![(vip.subnet_id.clone(), Some(vip.address.clone()))];
            let further = vip.additional.iter();
            addresses
                .extend(further.map(|one| (one.subnet_id.clone(), Some(one.ip_address.clone()))));
            crash_point!("apply.port");
            let new = NewPort {
                balancer: &balancer.id,
                project: &balancer.project_id,
                network: &vip.network_id,
                addresses: &addresses,
            };
            let made = cx.siblings.make_port(&new).await;
            let made = made.map_err(|why| refused(&why))?;
            crash_point!("apply.port_made");
            made
        }
    };
    let mut tx = cx.write("port").await?;
    let Some(mut fresh) = balancers::find_in(&mut tx, &balancer.id).await? else {
        return Ok(Next::Again);
    };
    fresh.vip.port_id = port.id;
    balancers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    Ok(Next::Again)
}

/// What the host says of what it was told.
async fn look(cx: &OpCx<Svc>, op: &Operation, tree: &Tree, wanted: i64) -> Result<Next, StepError> {
    let balancer = &tree.balancer;
    let host = balancer.host.as_deref().unwrap_or_default();
    let seen = feed::observed(cx.db(), KIND_LOAD_BALANCER, balancer.id.as_str()).await?;
    let seen = seen.into_iter().find(|seen| seen.host == host);
    let Some(seen) = seen
        .map(|seen| seen.observed)
        .filter(|seen| seen.generation_seen == wanted)
    else {
        let words = format!(
            "Host {host} has not carried it out in {} s.",
            cx.config.apply_secs
        );
        return Ok(wait(cx, op, balancer, words));
    };
    let detail = serde_json::from_value::<LoadBalancerSeen>(seen.detail).unwrap_or_default();
    if seen.state == "waiting" {
        let why = detail.problem.unwrap_or(seen.state);
        let words = format!("Host {host} could not carry it out so far: {why}");
        return Ok(wait(cx, op, balancer, words));
    }
    if !matches!(seen.state.as_str(), "up" | "down") {
        let why = detail.problem.unwrap_or(seen.state);
        let words = format!("Host {host} cannot carry it out: {why}");
        return Ok(Next::Fail(Failure::new(words)));
    }
    let mut tx = cx.finish("active").await?;
    parts::settle(&mut tx, &balancer.id).await?;
    if let Some(mut fresh) = balancers::tree_in(&mut tx, &balancer.id).await? {
        fresh.balancer.provisioning = Provisioning::Active;
        fresh.balancer.problem = None;
        fresh.balancer.left_host = None;
        balancers::update(&mut tx, &fresh.balancer).await?;
        super::observe::write_statuses(&mut tx, &fresh, Some(&detail)).await?;
    }
    tx.commit().await?;
    crash_point!("apply.active");
    Ok(Next::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, balancers: i64, seen_at: i64) -> Host {
        Host {
            host: name.to_owned(),
            seen_at: Timestamp(seen_at * 1_000_000),
            haproxy: Some("2.6".to_owned()),
            balancers,
            drained: false,
        }
    }

    fn chosen(hosts: &[Host], wish: Wish<'_>) -> Option<String> {
        best(hosts, wish, Timestamp(1_000_000_000), 120)
    }

    #[test]
    fn the_least_busy_living_host_is_chosen() {
        let hosts = [host("a", 2, 990), host("b", 1, 990), host("c", 0, 100)];
        let leaving = |left| Wish {
            left,
            ..Wish::default()
        };
        let choose = |left| chosen(&hosts, leaving(left));
        assert_eq!(choose(None).as_deref(), Some("b"));
        assert_eq!(choose(Some("b")).as_deref(), Some("a"));
        assert_eq!(chosen(&hosts[2..], Wish::default()), None);
        assert_eq!(
            chosen(&hosts[..1], leaving(Some("a"))).as_deref(),
            Some("a")
        );
        let without = Host {
            haproxy: None,
            ..host("d", 0, 999)
        };
        assert_eq!(chosen(&[without], Wish::default()), None);
    }

    #[test]
    fn a_drained_host_is_chosen_only_by_who_is_there_and_a_network_outside_only_where_it_is_reached()
     {
        let drained = Host {
            drained: true,
            ..host("a", 0, 990)
        };
        let hosts = [drained, host("b", 1, 990)];
        let leaving = Wish {
            left: Some("a"),
            outside: None,
        };
        assert_eq!(chosen(&hosts, Wish::default()).as_deref(), Some("b"));
        assert_eq!(chosen(&hosts, leaving).as_deref(), Some("b"));
        assert_eq!(chosen(&hosts[..1], leaving).as_deref(), Some("a"));
        assert_eq!(chosen(&hosts[..1], Wish::default()), None);
        let reached = |names: &[&str]| Outside {
            physical: "public".to_owned(),
            hosts: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (names, expected) in [(&["b", "c"][..], Some("b")), (&["c"], None), (&[], None)] {
            let outside = reached(names);
            let wish = Wish {
                left: None,
                outside: Some(&outside),
            };
            assert_eq!(chosen(&hosts, wish).as_deref(), expected);
        }
        assert!(nowhere(Some(&reached(&[]))).contains("public"));
    }
}
