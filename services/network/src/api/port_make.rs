//! Making the ports that are asked for.
//!
//! Hundreds come at once, and whatever one decides by, the database guards: addresses and MACs are keys, what it belongs to
//! stays because it refers to it, grants are held, the quota is a condition, and its host is told by one at a time. What it
//! tells a host anew is looked at again once it is committed.

use std::collections::HashMap;
use std::sync::Arc;

use nephos_api::Fault;
use nephos_db::Tx;
use nephos_runtime::{Together, request};

use crate::Cx;
use crate::api::fixed_ips::Choice;
use crate::api::input;
use crate::api::port_body::NewPort;
use crate::api::port_build::{self, Insert};
use crate::api::{port_rules, resource};
use crate::model::network::Network;
use crate::model::port::Port;
use crate::model::refusal::Refusal;
use crate::model::subnet::Subnet;
use crate::store::{Reader, networks, rbac, security_groups};

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
}

/// Makes all these ports, or none.
pub(super) async fn make(cx: &Cx, items: Vec<NewPort>) -> Result<Vec<Port>, Fault> {
    let mut pieces: Vec<Piece> = items
        .into_iter()
        .map(|new| Piece {
            cx: cx.clone(),
            new: Arc::new(new),
        })
        .collect();
    if let [piece] = pieces.as_mut_slice() {
        let together = |pieces: Vec<Piece>| async move {
            // Of several, what is wrong with one is not the fault of the others: each hears it alone.
            let made = make_all(&pieces).await.unwrap_or_default().into_iter();
            made.map(Some)
                .chain(std::iter::repeat(None))
                .take(pieces.len())
                .collect()
        };
        let made = cx
            .makers
            .join(&cx.core.clock, piece.clone(), together)
            .await;
        if let Some(Some(port)) = made {
            return Ok(vec![port]);
        }
    }
    Box::pin(make_all(&pieces)).await
}

/// Makes them in one transaction.
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
    // Hosts are told in one order: two transactions that tell the same ones do not wait for each other.
    let mut order: Vec<(&Piece, &mut Port)> = pieces.iter().zip(&mut planned).collect();
    order.sort_by(|(_, one), (_, other)| one.host.cmp(&other.host));
    for (piece, port) in order {
        let id = piece.cx.request_id.clone();
        request::under(id, known.insert(&mut tx, piece, port)).await?;
    }
    tx.commit().await?;
    Ok(planned)
}

/// What one transaction has read for several ports.
#[derive(Default)]
struct Known {
    networks: HashMap<String, Network>,
    subnets: HashMap<String, Vec<Subnet>>,
    /// The default group of each project.
    groups: HashMap<String, String>,
}

impl Known {
    /// The port that a body describes, if the caller may make it.
    async fn plan(&mut self, tx: &mut Tx, Piece { cx, new }: &Piece) -> Result<Port, Fault> {
        let project = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
        let network = self.usable_network(cx, tx, &new.network_id).await?;
        port_rules::check_new(cx, new, &project, network)?;
        port_build::plan(cx, new, network, &project)
    }

    async fn usable_network(&mut self, cx: &Cx, tx: &mut Tx, id: &str) -> Result<&Network, Fault> {
        if !cx.caller.is_admin() {
            rbac::hold(tx, &[id.to_owned()]).await?;
        }
        if !self.networks.contains_key(id)
            && let Some(network) = networks::bare(&mut Reader::Tx(tx), id).await?
        {
            self.networks.insert(id.to_owned(), network);
        }
        let visible = self
            .networks
            .get(id)
            .filter(|network| resource::visible(&cx.caller, &network.project_id, &network.grants));
        visible.ok_or_else(|| Refusal::no_network(id).into())
    }

    async fn insert(
        &mut self,
        tx: &mut Tx,
        Piece { cx, new }: &Piece,
        port: &mut Port,
    ) -> Result<(), Fault> {
        port.security_groups = self
            .groups(tx, port, new.security_groups.as_deref())
            .await?;
        port.check_security()?;
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
        port_build::insert(tx, port, how).await
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
