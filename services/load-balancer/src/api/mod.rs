//! The calls: one file per resource.

mod discovery;
pub(crate) mod fault;
mod graph;
mod host;
mod hosts;
mod l7_policies;
mod l7_rules;
mod listeners;
mod listing;
mod load_balancers;
mod members;
mod monitors;
mod pools;
mod quotas;
mod views;
mod vip;

use std::collections::BTreeMap;

use nephos_api::{Endpoints, Fault, routes};
use nephos_auth::{Authorized, Caller, Resource, Rule, Target};
use nephos_db::Tx;
use nephos_ops::feed;
use serde::Deserialize;
use serde_json::{Value, json};

use self::fault::{busy, immutable, not_found};
use self::views::Beside;
use crate::model::body::Label;
use crate::model::refusal::Refusal;
use crate::model::spec::{KIND_LOAD_BALANCER, LoadBalancerSeen};
use crate::model::status::{Operating, Provisioning};
use crate::model::tree::{Balancer, BalancerId, Detail, Kind, Part, PartId, Tree};
use crate::ops::{Asked, apply};
use crate::store::quotas::{self as limits, Limits};
use crate::store::{balancers, parts};
use crate::{Cx, Svc};

pub(crate) fn endpoints() -> Endpoints<Svc> {
    routes![
        discovery::ListProviders,
        discovery::ListVersions,
        discovery::ShowVersion,
        host::HostFeed,
        host::HostObserved,
        hosts::ShowHost,
        hosts::UpdateHost,
        l7_policies::CreatePolicy,
        l7_policies::DeletePolicy,
        l7_policies::ListPolicies,
        l7_policies::ShowPolicy,
        l7_policies::UpdatePolicy,
        l7_rules::CreateRule,
        l7_rules::DeleteRule,
        l7_rules::ListRules,
        l7_rules::ShowRule,
        l7_rules::UpdateRule,
        listeners::CreateListener,
        listeners::DeleteListener,
        listeners::ListListeners,
        listeners::ShowListener,
        listeners::ShowListenerStats,
        listeners::UpdateListener,
        load_balancers::CreateBalancer,
        load_balancers::DeleteBalancer,
        load_balancers::FailOver,
        load_balancers::ListBalancers,
        load_balancers::ShowBalancer,
        load_balancers::ShowBalancerStats,
        load_balancers::ShowBalancerStatus,
        load_balancers::ShowBalancerStatuses,
        load_balancers::UpdateBalancer,
        members::CreateMember,
        members::DeleteMember,
        members::ListMembers,
        members::ReplaceMembers,
        members::ShowMember,
        members::UpdateMember,
        monitors::CreateMonitor,
        monitors::DeleteMonitor,
        monitors::ListMonitors,
        monitors::ShowMonitor,
        monitors::UpdateMonitor,
        pools::CreatePool,
        pools::DeletePool,
        pools::ListPools,
        pools::ShowPool,
        pools::UpdatePool,
        quotas::DeleteQuota,
        quotas::ListQuotas,
        quotas::ShowDefaultQuota,
        quotas::ShowQuota,
        quotas::UpdateQuota,
    ]
}

/// The path of one thing.
#[derive(Debug, Deserialize)]
pub(crate) struct ItemPath {
    pub id: String,
}

/// The path of what hangs on one thing.
#[derive(Debug, Deserialize)]
pub(crate) struct ParentPath {
    pub parent: String,
}

/// The path of one of those.
#[derive(Debug, Deserialize)]
pub(crate) struct ChildPath {
    pub parent: String,
    pub id: String,
}

/// Who reads everywhere may know of everything.
fn visible(caller: &Caller, project: &str) -> bool {
    let everywhere = [
        "service",
        "load-balancer_global_observer",
        "load-balancer_admin",
    ];
    let own = caller
        .project_id()
        .is_some_and(|own| own.as_str() == project);
    caller.is_admin() || own || everywhere.iter().any(|role| caller.has_role(role))
}

impl Resource for Balancer {
    const KIND: &'static str = "Load Balancer";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        visible(caller, &self.project_id)
    }
}

impl Resource for Part {
    const KIND: &'static str = "Part";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        visible(caller, &self.project_id)
    }
}

/// A load balancer that the caller may do `rule` with.
pub(crate) async fn balancer<R: Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
) -> Result<Authorized<Balancer, R>, Fault> {
    let found = balancers::find(cx.db(), &BalancerId::from(id)).await?;
    cx.allow(rule, found)
        .map_err(|why| named(why, Balancer::KIND, id))
}

/// A part that the caller may do `rule` with.
pub(crate) async fn part<R: Rule>(
    cx: &Cx,
    rule: R,
    (kind, id): (Kind, &str),
) -> Result<Authorized<Part, R>, Fault> {
    let found = parts::find(cx.db(), kind, id).await?;
    cx.allow(rule, found)
        .map_err(|why| named(why, kind.title(), id))
}

/// Likewise, of one that hangs on a parent.
pub(crate) async fn child<R: Rule>(
    cx: &Cx,
    rule: R,
    (kind, path): (Kind, &ChildPath),
) -> Result<Authorized<Part, R>, Fault> {
    let found = part(cx, rule, (kind, &path.id)).await?;
    if found.parent_id == path.parent {
        return Ok(found);
    }
    Err(not_found(kind.title(), &path.id))
}

/// A 404 in the words of the thing that is not there.
fn named(why: Fault, kind: &str, id: &str) -> Fault {
    if why.status == http::StatusCode::NOT_FOUND {
        not_found(kind, id)
    } else {
        why
    }
}

/// Parts of one kind that are to be, to be otherwise, and to go.
#[derive(Default)]
pub(crate) struct Replacement {
    pub new: Vec<Part>,
    pub changed: Vec<Part>,
    pub gone: Vec<Part>,
}

/// A change of a load balancer under way: as one transaction sees it, with work to follow.
pub(crate) struct Change {
    pub tx: Tx,
    pub tree: Tree,
    limits: Limits,
    added: Vec<Kind>,
    /// Whether anything was added or changed, and not only removed.
    grows: bool,
}

impl Change {
    /// Refused while it is being deleted; anything else that is under way takes the change in.
    pub(crate) async fn begin(cx: &Cx, id: &BalancerId) -> Result<Self, Fault> {
        let gone = || not_found(Balancer::KIND, id.as_str());
        let before = balancers::find(cx.db(), id).await?.ok_or_else(gone)?;
        let limits = limits::of(cx.db(), &before.project_id).await?;
        let mut tx = cx.write().await?;
        let asked = apply::request(&mut tx, Asked::of(cx), id).await;
        asked.map_err(|why| busy(id.as_str(), why))?;
        let tree = balancers::tree_in(&mut tx, id).await?.ok_or_else(gone)?;
        if tree.balancer.going {
            return Err(immutable(id.as_str()));
        }
        Ok(Self {
            tx,
            tree,
            limits,
            added: Vec::new(),
            grows: false,
        })
    }

    /// A part as this transaction sees it; what is being removed is there no longer.
    pub(crate) fn part(&self, kind: Kind, id: &str) -> Result<Part, Fault> {
        let found = self.tree.part(kind, id).cloned();
        found.ok_or_else(|| not_found(kind.title(), id))
    }

    /// Adds parts that stand in the tree already, the others of which admitted them.
    pub(crate) async fn insert(&mut self, ids: &[PartId]) -> Result<(), Fault> {
        for part in self.tree.parts.iter().filter(|part| ids.contains(&part.id)) {
            parts::insert(&mut self.tx, part).await?;
            self.added.push(part.kind());
            self.grows = true;
        }
        Ok(())
    }

    /// Writes a part that was changed, once the others admit it.
    pub(crate) async fn update(&mut self, cx: &Cx, mut part: Part) -> Result<(), Fault> {
        self.tree.admits(&part)?;
        self.grows = true;
        parts::touch(&mut part, cx.now());
        self.write(part).await
    }

    /// Writes a part as it is.
    pub(crate) async fn write(&mut self, part: Part) -> Result<(), Fault> {
        parts::update(&mut self.tx, &part).await?;
        if let Some(old) = self.tree.parts.iter_mut().find(|old| old.id == part.id) {
            *old = part;
        }
        Ok(())
    }

    /// Marks a part, and everything that hangs on it, as to be removed.
    pub(crate) async fn remove(&mut self, cx: &Cx, id: &str) -> Result<(), Fault> {
        let mut going = vec![id.to_owned()];
        while let Some(id) = going.pop() {
            let parts = self.tree.parts.iter().filter(|part| part.stays());
            going.extend(
                parts
                    .filter(|part| part.parent_id == id)
                    .map(|part| part.id.to_string()),
            );
            let part = self.tree.parts.iter().find(|part| part.id.as_str() == id);
            if let Some(mut part) = part.cloned() {
                part.provisioning = Provisioning::PendingDelete;
                part.updated_at = Some(cx.now());
                self.write(part).await?;
            }
        }
        Ok(())
    }

    /// Writes parts of one kind, on which nothing hangs, that were compared with those that are there.
    pub(crate) async fn replace(&mut self, cx: &Cx, news: Replacement) -> Result<(), Fault> {
        let Replacement { new, changed, gone } = news;
        self.tree.has_room(new.len())?;
        self.grows |= !new.is_empty() || !changed.is_empty();
        let mut written: BTreeMap<PartId, Part> = BTreeMap::new();
        for mut part in changed {
            parts::touch(&mut part, cx.now());
            written.insert(part.id.clone(), part);
        }
        for mut part in gone {
            part.provisioning = Provisioning::PendingDelete;
            part.updated_at = Some(cx.now());
            written.insert(part.id.clone(), part);
        }
        for part in written.values() {
            parts::update(&mut self.tx, part).await?;
        }
        for old in &mut self.tree.parts {
            if let Some(part) = written.remove(&old.id) {
                *old = part;
            }
        }
        for part in new {
            parts::insert(&mut self.tx, &part).await?;
            if self.added.last() != Some(&part.kind()) {
                self.added.push(part.kind());
            }
            self.tree.parts.push(part);
        }
        Ok(())
    }

    /// Commits, unless the project has more than it may have; gives the load balancer as it is then.
    pub(crate) async fn done(mut self, cx: &Cx) -> Result<Tree, Fault> {
        let project = self.tree.balancer.project_id.clone();
        // What is too large already may become smaller step by step.
        if self.grows {
            can_be(&self.tree)?;
        } else {
            is_sound(&self.tree)?;
        }
        limits::check_parts(&mut self.tx, &project, &self.limits, &self.added).await??;
        balancers::touch(&mut self.tx, &mut self.tree.balancer, cx.now()).await?;
        self.tx.commit().await?;
        Ok(self.tree)
    }
}

/// Longest configuration, in bytes: a host reports of all that is in it, in one request.
const MAX_CONFIG: usize = 768 * 1024;
/// Longest document, in bytes: a host reads those of all its load balancers at once.
const MAX_DOCUMENT: usize = 2 * 1024 * 1024;

/// Refuses what its host could not carry out: what it is told makes a configuration, or the request is wrong.
fn is_sound(tree: &Tree) -> Result<(), Refusal> {
    let made = crate::model::render::can_be(&tree.document());
    made.map(|_bytes| ()).map_err(Refusal::invalid)
}

/// Likewise, and what is more than a host takes.
pub(crate) fn can_be(tree: &Tree) -> Result<(), Refusal> {
    let document = tree.document();
    let config = crate::model::render::can_be(&document).map_err(Refusal::invalid)?;
    let told = serde_json::to_vec(&document).map_or(usize::MAX, |text| text.len());
    for (what, bytes, most) in [
        ("configuration", config, MAX_CONFIG),
        ("description for its host", told, MAX_DOCUMENT),
    ] {
        if bytes > most {
            return Err(Refusal::invalid(format!(
                "the load balancer is too large: its {what} would have {bytes} bytes, more than {most}. Use several load balancers, or fewer listeners, members, rules or ranges of addresses."
            )));
        }
    }
    Ok(())
}

/// A new part of a load balancer; not in it yet.
pub(crate) fn new_part(
    tree: &Tree,
    cx: &Cx,
    parent: &str,
    (label, detail): (Label, Detail),
) -> Part {
    // Those that one request makes are kept in their order.
    let after = u64::try_from(tree.parts.len()).unwrap_or_default();
    Part {
        id: PartId::from(nephos_runtime::ids::uuid()),
        balancer_id: tree.balancer.id.clone(),
        parent_id: parent.to_owned(),
        project_id: tree.balancer.project_id.clone(),
        name: label.name.unwrap_or_default(),
        description: label.description.unwrap_or_default(),
        enabled: label.enabled.unwrap_or(true),
        provisioning: Provisioning::PendingCreate,
        operating: match &detail {
            Detail::Member(_) => Operating::NoMonitor,
            _other => Operating::Offline,
        },
        tags: label.tags.unwrap_or_default(),
        detail,
        created_at: cx.now().plus(std::time::Duration::from_micros(after)),
        updated_at: None,
    }
}

/// Takes in what is changed on everything in the same way.
pub(crate) fn relabel(part: &mut Part, label: Label) {
    if let Some(name) = label.name {
        part.name = name;
    }
    if let Some(description) = label.description {
        part.description = description;
    }
    if let Some(enabled) = label.enabled {
        part.enabled = enabled;
    }
    if let Some(tags) = label.tags {
        part.tags = tags;
    }
}

/// A part of a tree, as a reply.
pub(crate) fn shown(tree: &Tree, kind: Kind, id: &str, key: &str) -> Result<Value, Fault> {
    let links = tree.links();
    let part = tree.part(kind, id);
    let part = part.ok_or_else(|| not_found(kind.title(), id))?;
    Ok(json!({ (key): views::part(part, Beside(&links)) }))
}

/// What the host of a load balancer saw of it last.
pub(crate) async fn seen(cx: &Cx, balancer: &Balancer) -> Result<Option<LoadBalancerSeen>, Fault> {
    let all = feed::observed(cx.db(), KIND_LOAD_BALANCER, balancer.id.as_str()).await?;
    let own = all
        .into_iter()
        .find(|seen| Some(&seen.host) == balancer.host.as_ref());
    Ok(own.and_then(|seen| serde_json::from_value(seen.observed.detail).ok()))
}

/// The rule against a project that a load balancer says.
pub(crate) fn require<R: Rule>(cx: &Cx, rule: R, project: &str) -> Result<(), Fault> {
    cx.require(rule, &Target::of_project(project))
}

/// What hangs on what beside these parts, where their views say it.
async fn beside(cx: &Cx, kind: Kind, found: &[&Part]) -> Result<Vec<parts::Link>, Fault> {
    if !matches!(kind, Kind::Listener | Kind::Pool | Kind::Policy) {
        return Ok(Vec::new());
    }
    let balancers: std::collections::BTreeSet<&BalancerId> =
        found.iter().map(|part| &part.balancer_id).collect();
    Ok(parts::links(cx.db(), balancers).await?)
}

/// A page of parts.
pub(crate) async fn list_parts(
    cx: &Cx,
    (kind, asked): (Kind, listing::Asked),
    names: (&str, &str),
) -> Result<Value, Fault> {
    let found = crate::store::listing::parts(cx.db(), kind, &asked.listing).await?;
    let found = found.ok_or_else(|| listing::no_marker(&asked))?;
    let links = beside(cx, kind, &found.iter().collect::<Vec<_>>()).await?;
    let views = found.iter().map(|one| views::part(one, Beside(&links)));
    Ok(asked.page(cx, names, views.collect()))
}

/// One part, with the fields that are asked for.
pub(crate) async fn show_part(
    cx: &Cx,
    part: &Part,
    (key, query): (&str, &nephos_api::Params),
) -> Result<Value, Fault> {
    let links = beside(cx, part.kind(), &[part]).await?;
    let view = views::part(part, Beside(&links));
    Ok(json!({ (key): listing::only(view, &listing::fields_of(query)) }))
}
