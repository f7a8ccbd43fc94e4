//! Which tokens are no longer good before their time.

use std::collections::HashMap;

use nephos_types::{DomainId, ProjectId, UserId};
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Scope};

/// Ends every token made before it that matches all attributes that are set; unset ones match everything.
///
/// What was before is told by the revision of trust, which grows with each revocation: a token that was being made
/// meanwhile saw what held before, whatever the clocks say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Tokens issued at or before this, in microseconds; counts only where there is no revision.
    pub issued_before: i64,
    /// Tokens made when trust had a smaller revision than this.
    #[serde(default)]
    pub revision: u64,
    /// One token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_id: Option<String>,
    /// A token and all that were made from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_chain_id: Option<String>,
    /// Tokens of one user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Tokens scoped to one project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Tokens of users of one domain, or scoped to it or to a project in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_id: Option<DomainId>,
    /// Tokens scoped to one domain itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_scope_id: Option<DomainId>,
    /// Tokens scoped to the system.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system: bool,
    /// Tokens that carry one role, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Tokens made with one application credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_credential_id: Option<String>,
    /// Tokens made with one trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_id: Option<String>,
}

impl Revocation {
    /// Whether it ends this token.
    #[must_use]
    pub fn matches(&self, token: &Caller) -> bool {
        let all = |wanted: Option<&str>, have: Option<&str>| wanted.is_none() || wanted == have;
        let scope_domain = match &token.scope {
            Scope::Project { domain_id, .. } => Some(domain_id),
            Scope::Domain { id, .. } => Some(id),
            Scope::Unscoped | Scope::System => None,
        };
        self.came_after(token)
            && all(
                self.audit_id.as_deref(),
                token.audit_ids.first().map(String::as_str),
            )
            && all(self.audit_chain_id.as_deref(), chain(token))
            && all(
                self.user_id.as_ref().map(UserId::as_str),
                Some(token.user_id.as_str()),
            )
            && all(
                self.project_id.as_ref().map(ProjectId::as_str),
                token.project_id().map(ProjectId::as_str),
            )
            && self.domain_id.as_ref().is_none_or(|domain| {
                *domain == token.user_domain_id || Some(domain) == scope_domain
            })
            && all(
                self.domain_scope_id.as_ref().map(DomainId::as_str),
                token.domain_id().map(DomainId::as_str),
            )
            && (!self.system || token.scope == Scope::System)
            && self.role.as_ref().is_none_or(|role| token.has_role(role))
            && all(
                self.app_credential_id.as_deref(),
                token.app_credential_id.as_deref(),
            )
            && all(
                self.trust_id.as_deref(),
                token.trust.as_ref().map(|trust| trust.id.as_str()),
            )
    }

    const fn came_after(&self, token: &Caller) -> bool {
        match self.revision {
            0 => self.issued_before >= token.issued_at.0,
            revision => token.trust_revision < revision,
        }
    }

    /// The narrowest attribute that is set: where the index keeps it.
    fn key(&self) -> (Kind, String) {
        let text = |id: &dyn AsRef<str>| id.as_ref().to_owned();
        if let Some(id) = &self.audit_id {
            (Kind::Audit, id.clone())
        } else if let Some(id) = &self.audit_chain_id {
            (Kind::Chain, id.clone())
        } else if let Some(id) = &self.app_credential_id {
            (Kind::AppCredential, id.clone())
        } else if let Some(id) = &self.trust_id {
            (Kind::Trust, id.clone())
        } else if let Some(id) = &self.user_id {
            (Kind::User, text(id))
        } else if let Some(id) = &self.project_id {
            (Kind::Project, text(id))
        } else {
            (Kind::Wide, String::new())
        }
    }
}

/// The first audit id of a token's chain: its parent's, or its own when it has none.
pub(crate) fn chain(token: &Caller) -> Option<&str> {
    token.audit_ids.last().map(String::as_str)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Audit,
    Chain,
    AppCredential,
    Trust,
    User,
    Project,
    /// Domains, roles, the system: few, and each touches many tokens.
    Wide,
}

/// Revocations by their narrowest attribute, so that checking a token costs a few look-ups however many there are.
#[derive(Debug, Default)]
pub(crate) struct Index(HashMap<(Kind, String), Vec<Revocation>>);

impl Index {
    pub(crate) fn new(revocations: &[Revocation]) -> Self {
        let mut index: HashMap<_, Vec<_>> = HashMap::new();
        for revocation in revocations {
            index
                .entry(revocation.key())
                .or_default()
                .push(revocation.clone());
        }
        Self(index)
    }

    pub(crate) fn ends(&self, token: &Caller) -> bool {
        let hit = |kind: Kind, id: Option<&str>| {
            id.and_then(|id| self.0.get(&(kind, id.to_owned())))
                .is_some_and(|list| list.iter().any(|revocation| revocation.matches(token)))
        };
        hit(Kind::Audit, token.audit_ids.first().map(String::as_str))
            || hit(Kind::Chain, chain(token))
            || hit(Kind::AppCredential, token.app_credential_id.as_deref())
            || hit(
                Kind::Trust,
                token.trust.as_ref().map(|trust| trust.id.as_str()),
            )
            || hit(Kind::User, Some(token.user_id.as_str()))
            || hit(Kind::Project, token.project_id().map(ProjectId::as_str))
            || hit(Kind::Wide, Some(""))
    }
}

#[cfg(test)]
mod tests {
    use nephos_types::Timestamp;

    use super::*;

    fn token() -> Caller {
        let mut token = Caller::new("alice", Scope::project("p"), &["member"]);
        token.issued_at = Timestamp(100);
        token.audit_ids = vec!["own".to_owned(), "parent".to_owned()];
        token.app_credential_id = Some("cred".to_owned());
        token
    }

    #[track_caller]
    fn check(revocation: Revocation, ends: bool) {
        assert_eq!(
            Index::new(std::slice::from_ref(&revocation)).ends(&token()),
            ends
        );
        assert_eq!(
            revocation.matches(&token()),
            ends,
            "the index must not change the answer"
        );
    }

    fn at(issued_before: i64) -> Revocation {
        Revocation {
            issued_before,
            ..Revocation::default()
        }
    }

    #[test]
    fn revisions_say_what_was_before_and_clocks_do_not() {
        let revocation = |issued_before, revision| Revocation {
            issued_before,
            revision,
            ..Revocation::default()
        };
        let mut token = token();
        token.trust_revision = 4;
        assert!(
            revocation(50, 5).matches(&token),
            "it was being made meanwhile"
        );
        assert!(
            !revocation(500, 4).matches(&token),
            "another clock is ahead"
        );
        assert!(revocation(500, 0).matches(&token));
        assert!(!revocation(50, 0).matches(&token));
    }

    #[test]
    fn each_attribute_narrows() {
        check(at(100), true);
        check(at(99), false);
        check(
            Revocation {
                audit_id: Some("own".into()),
                ..at(100)
            },
            true,
        );
        check(
            Revocation {
                audit_id: Some("parent".into()),
                ..at(100)
            },
            false,
        );
        check(
            Revocation {
                audit_chain_id: Some("parent".into()),
                ..at(100)
            },
            true,
        );
        check(
            Revocation {
                audit_chain_id: Some("own".into()),
                ..at(100)
            },
            false,
        );
        check(
            Revocation {
                user_id: Some("alice".into()),
                ..at(100)
            },
            true,
        );
        check(
            Revocation {
                user_id: Some("bob".into()),
                ..at(100)
            },
            false,
        );
        check(
            Revocation {
                project_id: Some("p".into()),
                ..at(100)
            },
            true,
        );
        check(
            Revocation {
                domain_id: Some("default".into()),
                ..at(100)
            },
            true,
        );
        check(
            Revocation {
                domain_scope_id: Some("default".into()),
                ..at(100)
            },
            false,
        );
        check(
            Revocation {
                system: true,
                ..at(100)
            },
            false,
        );
        check(
            Revocation {
                role: Some("Member".into()),
                ..at(100)
            },
            true,
        );
        check(
            Revocation {
                role: Some("admin".into()),
                ..at(100)
            },
            false,
        );
        check(
            Revocation {
                app_credential_id: Some("cred".into()),
                ..at(100)
            },
            true,
        );
        check(
            Revocation {
                trust_id: Some("t".into()),
                ..at(100)
            },
            false,
        );
        let grant = Revocation {
            user_id: Some("alice".into()),
            project_id: Some("q".into()),
            ..at(100)
        };
        check(grant, false);
    }
}
