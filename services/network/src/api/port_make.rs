//! Making the ports that are asked for.
//!
//! Hundreds come at once, and whatever one decides by, the database guards: addresses and MACs are keys, what it belongs to
//! stays because it refers to it, grants are held, the quota is a condition, and its host is told by one at a time. What it
//! tells a host anew is looked at again once it is committed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nephos_api::Fault;
use nephos_db::Tx;
use nephos_runtime::{Together, request};

use crate::Cx;
use crate::api::fixed_ips::Choice;
use crate::api::input;
use crate::api::port_body::NewPort;
use crate::api::port_build::{self, Insert};
use crate::api::{port_rules, qos, resource};
use crate::model::network::Network;
use crate::model::port::Port;
use crate::model::refusal::Refusal;
use crate::model::subnet::Subnet;
use crate::store::{Reader, networks, ports, quotas, rbac, security_groups};

/// Requests for a port that become one transaction at most: whoever waits for it waits for all of them.
const AT_ONCE: usize = 16;

/// Requests for one port each. None of them: it is made alone, because what they were together failed.
pub(crate) type Makers = Together<Piece, Option<Port>>;

/// Those who come while others are at work wait for each other.
pub(crate) fn makers() -> Makers {
    Together::of(AT_ONCE)
}

/// One request for one port.
#[derive(Clone)]
pub(crate) struct Piece {
    cx: Cx,
    new: Arc<NewPort>,
    /// What its port is called, however often it is tried to make it.
    id: String,
}

/// Makes all these ports, or none.
pub(super) async fn make(cx: &Cx, items: Vec<NewPort>) -> Result<Vec<Port>, Fault> {
    let mut pieces: Vec<Piece> = items
        .into_iter()
        .map(|new| Piece {
            cx: cx.clone(),
            new: Arc::new(new),
            id: nephos_runtime::ids::uuid().to_string(),
        })
        .collect();
    if let [piece] = pieces.as_mut_slice() {
        let work = |pieces: Vec<Piece>| async move { make_all(&pieces).await.ok() };
        let clock = &cx.core.clock;
        let made = cx.makers.join_transaction(clock, piece.clone(), work).await;
        if let Some(port) = made {
            return Ok(vec![port]);
        }
        // Its transaction may stand although nobody heard so.
        if let Some(port) = ports::get(&mut Reader::Db(cx.db()), &piece.id).await? {
            return Ok(vec![port]);
        }
    }
    Box::pin(make_all(&pieces)).await
}

/// Makes them in one transaction. First all are counted, then written, then hosts are told, each in one order, as whoever
/// makes or removes ports does: no two wait for each other.
async fn make_all(pieces: &[Piece]) -> Result<Vec<Port>, Fault> {
    let Some(Piece { cx, .. }) = pieces.first() else {
        return Ok(Vec::new());
    };
    let mut tx = cx.guarded().await?;
    let mut known = Known::default();
    let mut planned = Vec::new();
    for piece in pieces {
        planned.push(known.plan(&mut tx, piece).await?);
    }
    count(&mut tx, &planned).await?;
    let mut order: Vec<(&Piece, &mut Port)> = pieces.iter().zip(&mut planned).collect();
    order.sort_by(|(_, one), (_, other)| one.network_id.cmp(&other.network_id));
    for (piece, port) in &mut order {
        known.write(&mut tx, piece, port).await?;
    }
    order.sort_by(|(_, one), (_, other)| one.host.cmp(&other.host));
    for (piece, port) in order {
        let id = piece.cx.request_id.clone();
        request::under(id, port_build::tell_host(&mut tx, port)).await?;
    }
    tx.commit().await?;
    Ok(planned)
}

/// They are their projects' now, as far as these may have so many.
async fn count(tx: &mut Tx, planned: &[Port]) -> Result<(), Fault> {
    let mut more: BTreeMap<&str, i64> = BTreeMap::new();
    for port in planned.iter().filter(|port| !port.project_id.is_empty()) {
        *more.entry(&port.project_id).or_default() += 1;
    }
    for (project, count) in more {
        quotas::take(tx, project, "port", count).await?;
    }
    Ok(())
}

/// What one transaction has read for several ports.
#[derive(Default)]
struct Known {
    /// With their grants, by whether these are held: what an administrator needs none for, others read again.
    networks: HashMap<(String, bool), Network>,
    subnets: HashMap<String, Vec<Subnet>>,
    /// The default group of each project.
    groups: HashMap<String, String>,
}

impl Known {
    /// The port that a body describes, if the caller may make it.
    async fn plan(&mut self, tx: &mut Tx, piece: &Piece) -> Result<Port, Fault> {
        let Piece { cx, new, id } = piece;
        let project = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
        let network = self.usable_network(cx, tx, &new.network_id).await?;
        port_rules::check_new(cx, new, &project, network)?;
        let id = id.clone();
        let port = port_build::plan(cx, new, network, &project)?;
        Ok(Port { id, ..port })
    }

    async fn usable_network(&mut self, cx: &Cx, tx: &mut Tx, id: &str) -> Result<&Network, Fault> {
        let held = !cx.caller.is_admin();
        if held {
            rbac::hold(tx, &[id.to_owned()]).await?;
        }
        let key = (id.to_owned(), held);
        if !self.networks.contains_key(&key)
            && let Some(network) = networks::bare(&mut Reader::Tx(tx), id).await?
        {
            self.networks.insert(key.clone(), network);
        }
        let visible = self
            .networks
            .get(&key)
            .filter(|network| resource::visible(&cx.caller, &network.project_id, &network.grants));
        visible.ok_or_else(|| Refusal::no_network(id).into())
    }

    async fn write(
        &mut self,
        tx: &mut Tx,
        Piece { cx, new, .. }: &Piece,
        port: &mut Port,
    ) -> Result<(), Fault> {
        port.security_groups = self
            .groups(tx, port, new.security_groups.as_deref())
            .await?;
        port.check_security()?;
        if let Some(policy) = &port.qos_policy_id {
            qos::check_usable(cx, tx, policy).await?;
        }
        let network = port.network_id.clone();
        if !self.subnets.contains_key(&network) {
            let subnets = port_build::subnets_of(tx, &network).await?;
            self.subnets.insert(network.clone(), subnets);
        }
        let how = Insert {
            choice: Choice {
                subnets: self.subnets.get(&network).map_or(&[][..], Vec::as_slice),
                runs: &cx.runs,
            },
            fixed_ips: new.fixed_ips.as_deref(),
            any_mac: new.mac_address.is_none(),
        };
        port_build::write(tx, port, how).await
    }

    async fn groups(
        &mut self,
        tx: &mut Tx,
        port: &Port,
        asked: Option<&[String]>,
    ) -> Result<Vec<String>, Fault> {
        let wants_default =
            asked.is_none() && !port.is_network_owned() && port.port_security_enabled;
        if !wants_default {
            return port_build::groups(tx, port, asked).await;
        }
        if let Some(known) = self.groups.get(&port.project_id) {
            return Ok(vec![known.clone()]);
        }
        let now = port.updated_at;
        let default = security_groups::ensure_default(tx, &port.project_id, now).await?;
        self.groups.insert(port.project_id.clone(), default.clone());
        Ok(vec![default])
    }
}
