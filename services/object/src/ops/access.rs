//! What a caller may do: by role, by a container's lists, or by a temporary URL.

use std::sync::Arc;

use nephos_auth::{Caller, Policy, Rule, Scope, Target};

use crate::model::acl::{Acl, Names};
use crate::model::names;
use crate::model::object::Container;
use crate::rules;

/// A caller and where they come from.
#[derive(Clone)]
pub(crate) struct Access {
    pub caller: Arc<Caller>,
    pub policy: Policy,
    /// The `Referer` header.
    pub referrer: Option<String>,
    /// What a temporary URL opens; then nothing else does.
    pub grant: Option<Grant>,
}

/// What the key of a temporary URL opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// All containers of an account.
    Account(String),
    /// One container.
    Container(String, String),
}

impl Access {
    /// Whether there is a caller at all.
    pub(crate) fn is_known(&self) -> bool {
        !self.caller.user_id.as_str().is_empty()
    }

    /// Whether quotas may be set.
    pub(crate) fn is_reseller(&self) -> bool {
        self.grant.is_none() && self.passes(rules::Reseller, "")
    }

    /// Whether the account is the caller's to do with as they like.
    pub(crate) fn owns(&self, account: &str) -> bool {
        let project = names::project_of(account);
        self.is_reseller()
            || (self.grant.is_none()
                && project.is_some_and(|project| self.passes(rules::Operator, project)))
    }

    /// Whether the account and what is in it may be read.
    pub(crate) fn reads_account(&self, account: &str) -> bool {
        let project = names::project_of(account);
        self.owns(account)
            || (self.grant.is_none()
                && project.is_some_and(|project| self.passes(rules::ProjectReader, project)))
    }

    /// Whether the container's objects may be read, or with `listing` their names.
    pub(crate) fn reads(&self, container: &Container, listing: bool) -> bool {
        if let Some(grant) = &self.grant {
            return grant.opens(container);
        }
        if self.reads_account(&container.account) {
            return true;
        }
        let acl = self.acl(container, "x-container-read");
        let admitted = acl.admits(self.referrer.as_deref(), listing);
        admitted == Some(true)
            || (self.is_known() && self.named(&acl, container, admitted == Some(false)))
    }

    /// Whether objects may be written into the container.
    pub(crate) fn writes(&self, container: &Container) -> bool {
        if let Some(grant) = &self.grant {
            return grant.opens(container);
        }
        if self.owns(&container.account) {
            return true;
        }
        let acl = self.acl(container, "x-container-write");
        self.is_known() && self.named(&acl, container, false)
    }

    fn acl(&self, container: &Container, header: &str) -> Acl {
        Acl::parse(container.meta.get(header).unwrap_or_default())
    }

    /// Named as a user, or, within the own account, by a role.
    fn named(&self, acl: &Acl, container: &Container, users_only: bool) -> bool {
        let caller = &*self.caller;
        let mut who = Names {
            projects: Vec::new(),
            users: vec![caller.user_id.as_str()],
            roles: caller
                .roles
                .iter()
                .map(|role| role.to_ascii_lowercase())
                .collect(),
        };
        if let Scope::Project {
            id,
            name,
            domain_id,
            ..
        } = &caller.scope
        {
            who.projects.push(id.as_str());
            // Names are unique in their domain only: they count where everybody is in the default one.
            if domain_id.as_str() == "default" && caller.user_domain_id.as_str() == "default" {
                who.projects.push(name);
                who.users.push(&caller.user_name);
            }
        }
        let own = names::project_of(&container.account)
            == caller.project_id().map(nephos_types::ProjectId::as_str);
        acl.names_user(&who) || (own && !users_only && acl.names_role(&who))
    }

    fn passes<R: Rule>(&self, _rule: R, project: &str) -> bool {
        self.policy
            .check(R::INFO, &self.caller, &Target::of_project(project))
    }
}

impl Grant {
    fn opens(&self, container: &Container) -> bool {
        match self {
            Self::Account(account) => *account == container.account,
            Self::Container(account, name) => {
                *account == container.account && *name == container.name
            }
        }
    }
}
