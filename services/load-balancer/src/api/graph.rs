//! What bodies make at once: pools with members and monitors, listeners with pools and policies, policies with rules.

use nephos_api::Fault;

use super::new_part;
use crate::Cx;
use crate::model::body::{Fields, Label};
use crate::model::l7::{self, Policy, Rule};
use crate::model::listener::{self, Listener};
use crate::model::member::{self, Member};
use crate::model::monitor::{self, Monitor};
use crate::model::pool::{self, Pool};
use crate::model::refusal::Refusal;
use crate::model::tree::{Detail, Kind, Part, PartId, Tree};

/// Puts new things into a tree, each of which the others admit.
pub(crate) struct Graph<'a> {
    pub cx: &'a Cx,
    pub tree: &'a mut Tree,
    /// What is new in it.
    pub made: Vec<PartId>,
}

impl<'a> Graph<'a> {
    pub(crate) const fn new(cx: &'a Cx, tree: &'a mut Tree) -> Self {
        Self {
            cx,
            tree,
            made: Vec::new(),
        }
    }

    fn add(&mut self, parent: &str, label: Label, detail: Detail) -> Result<PartId, Refusal> {
        let part = new_part(self.tree, self.cx, parent, (label, detail));
        self.tree.admits(&part)?;
        let id = part.id.clone();
        self.tree.parts.push(part);
        self.made.push(id.clone());
        Ok(id)
    }

    /// A member of a pool.
    pub(crate) fn member(&mut self, pool: &str, fields: Fields<'_>) -> Result<PartId, Refusal> {
        let fields = fields.only(&[Label::FIELDS, member::NEW, member::CHANGE])?;
        let member = Member::new(fields)?;
        self.add(pool, Label::read(fields)?, Detail::Member(member))
    }

    /// The monitor of a pool.
    pub(crate) fn monitor(&mut self, pool: &str, fields: Fields<'_>) -> Result<PartId, Refusal> {
        let fields = fields.only(&[Label::FIELDS, monitor::NEW, monitor::CHANGE])?;
        let monitor = Monitor::new(fields)?;
        self.add(pool, Label::read(fields)?, Detail::Monitor(monitor))
    }

    /// A pool with its members and its monitor.
    pub(crate) fn pool(&mut self, fields: Fields<'_>) -> Result<PartId, Refusal> {
        let fields = fields.only(&[Label::FIELDS, pool::NEW, pool::CHANGE])?;
        let new = Pool::new(fields)?;
        let id = self.add("", Label::read(fields)?, Detail::Pool(new))?;
        for member in fields.list("members")? {
            self.member(id.as_str(), Fields::of(member, "members")?)?;
        }
        if let Some(monitor) = fields.get("healthmonitor") {
            self.monitor(id.as_str(), Fields::of(monitor, "healthmonitor")?)?;
        }
        Ok(id)
    }

    /// A pool that is made here, or one that is named and made by the same request.
    fn pool_or_named(&mut self, fields: Fields<'_>) -> Result<PartId, Refusal> {
        if fields.get("protocol").is_some() {
            return self.pool(fields);
        }
        let name = fields.needed("name")?;
        let mut pools = self.tree.staying(Kind::Pool);
        let found = pools.find(|part| part.name == name && self.made.contains(&part.id));
        let found = found.map(|part| part.id.clone());
        found.ok_or_else(|| Refusal::plain(format!("Missing details for Pool object: {name}")))
    }

    /// A listener with its default pool and its policies.
    pub(crate) fn listener(&mut self, fields: Fields<'_>) -> Result<PartId, Refusal> {
        let fields = fields.only(&[Label::FIELDS, listener::NEW, listener::CHANGE])?;
        let mut new = Listener::new(fields, &self.tree.balancer.vip.addresses())?;
        if let Some(pool) = fields.get("default_pool") {
            let pool = self.pool_or_named(Fields::of(pool, "default_pool")?)?;
            new.default_pool_id = Some(pool.to_string());
        }
        let id = self.add("", Label::read(fields)?, Detail::Listener(new))?;
        for policy in fields.list("l7policies")? {
            self.policy(id.as_str(), Fields::of(policy, "l7policies")?)?;
        }
        Ok(id)
    }

    /// A policy of a listener with its rules, at its place among the others.
    pub(crate) fn policy(&mut self, listener: &str, fields: Fields<'_>) -> Result<PartId, Refusal> {
        let fields = fields.only(&[Label::FIELDS, l7::NEW_POLICY, l7::CHANGE_POLICY])?;
        let pool = match fields.get("redirect_pool") {
            Some(pool) => Some(self.pool_or_named(Fields::of(pool, "redirect_pool")?)?),
            None => None,
        };
        let new = match pool {
            None => Policy::new(fields)?,
            Some(pool) => {
                let mut body = fields.0.clone();
                body.insert("redirect_pool_id".to_owned(), pool.to_string().into());
                Policy::new(Fields(&body))?
            }
        };
        let position = new.position;
        let id = self.add(listener, Label::read(fields)?, Detail::Policy(new))?;
        let _written_by_whoever_asked = self.tree.reorder(listener, Some((&id, position)));
        for rule in fields.list("rules")? {
            self.rule(id.as_str(), Fields::of(rule, "rules")?)?;
        }
        Ok(id)
    }

    /// A rule of a policy.
    pub(crate) fn rule(&mut self, policy: &str, fields: Fields<'_>) -> Result<PartId, Refusal> {
        let fields = fields.only(&[l7::RULE])?;
        let label = Label {
            enabled: fields.flag("admin_state_up")?,
            tags: fields.tags()?,
            ..Label::default()
        };
        self.add(policy, label, Detail::Rule(Rule::new(fields)?))
    }
}

impl super::Change {
    /// Makes new things by `build`, and gives the one that it is about.
    pub(crate) async fn make(
        &mut self,
        cx: &Cx,
        build: impl FnOnce(&mut Graph<'_>) -> Result<PartId, Refusal> + Send,
    ) -> Result<PartId, Fault> {
        let before = self.tree.clone();
        let mut graph = Graph::new(cx, &mut self.tree);
        let id = build(&mut graph)?;
        let made = graph.made;
        self.insert(&made).await?;
        // What moved to make room.
        let moved: Vec<Part> = self
            .tree
            .parts
            .iter()
            .filter(|part| {
                before
                    .parts
                    .iter()
                    .any(|old| old.id == part.id && old != *part)
            })
            .cloned()
            .collect();
        for part in moved {
            self.write(part).await?;
        }
        Ok(id)
    }
}
