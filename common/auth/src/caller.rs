//! The verified identity behind a request.

use nephos_types::{DomainId, HostName, ProjectId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// Who asks, in which scope, with which roles. Everything a policy rule may look at; never the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// The user's name when the token was issued.
    pub user_name: String,
    /// The domain that owns the user.
    pub user_domain_id: DomainId,
    /// Its name.
    pub user_domain_name: String,
    /// What the token is good for.
    pub scope: Scope,
    /// Role names on that scope, implied ones included (they are expanded when the token is issued).
    pub roles: Vec<String>,
    /// How the user proved who they are: `password`, `token`, `application_credential`.
    pub methods: Vec<String>,
    /// The token's own audit id, then (for a token made from a token) the first of its chain.
    pub audit_ids: Vec<String>,
    /// When the token was issued.
    #[serde(rename = "iat", with = "micros")]
    pub issued_at: Timestamp,
    /// When it stops being good.
    #[serde(rename = "exp", with = "micros")]
    pub expires_at: Timestamp,
    /// The revision of trust that identity had before it looked at anything that the token says.
    #[serde(default, rename = "rev")]
    pub trust_revision: u64,
    /// The application credential that was used, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_credential_id: Option<String>,
    /// The only requests that an application credential with access rules may make; `None` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_rules: Option<Vec<AccessRule>>,
    /// The trust that was used, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustRef>,
    /// The host whose agents use the token. It is good for what that host has to do with itself and for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The availability zone into which that host was added, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_zone: Option<String>,
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Scope {
    /// Only for asking for another token.
    Unscoped,
    /// One project.
    Project {
        /// The project.
        id: ProjectId,
        /// Its name.
        name: String,
        /// The domain that owns it.
        domain_id: DomainId,
        /// That domain's name.
        domain_name: String,
        /// Whether the project acts as a domain.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_domain: bool,
    },
    /// One domain.
    Domain {
        /// The domain.
        id: DomainId,
        /// Its name.
        name: String,
    },
    /// The whole deployment.
    System,
}

/// The trust behind a token: the trustor lends roles to the trustee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRef {
    /// The trust.
    pub id: String,
    /// Who lends.
    pub trustor_id: UserId,
    /// Who acts.
    pub trustee_id: UserId,
    /// Whether the trustee appears as the trustor.
    pub impersonation: bool,
}

/// One kind of request that an application credential may make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRule {
    /// Service type of the catalog, like `compute`.
    pub service: String,
    /// HTTP method.
    pub method: String,
    /// Path as the client sends it; `*` and `{name}` stand for one segment, `**` for any rest.
    pub path: String,
}

impl Caller {
    /// A caller with nothing but an id, a scope and roles; names are the ids. For tests and for the start-up of the cloud.
    #[must_use]
    pub fn new(user_id: impl Into<UserId>, scope: Scope, roles: &[&str]) -> Self {
        let user_id = user_id.into();
        Self {
            user_name: user_id.to_string(),
            user_id,
            user_domain_id: DomainId::from("default"),
            user_domain_name: "Default".to_owned(),
            scope,
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            methods: vec!["password".to_owned()],
            audit_ids: Vec::new(),
            issued_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            trust_revision: 0,
            app_credential_id: None,
            access_rules: None,
            trust: None,
            host: None,
            host_zone: None,
        }
    }

    /// The agents of a host. They have the role `host` nowhere: no project, no domain.
    #[must_use]
    pub fn of_host(user_id: impl Into<UserId>, host: HostName) -> Self {
        Self {
            user_name: host.0.clone(),
            methods: vec!["host".to_owned()],
            host: Some(host),
            ..Self::new(user_id, Scope::Unscoped, &["host"])
        }
    }

    /// The project of a project-scoped token.
    #[must_use]
    pub const fn project_id(&self) -> Option<&ProjectId> {
        match &self.scope {
            Scope::Project { id, .. } => Some(id),
            Scope::Unscoped | Scope::Domain { .. } | Scope::System => None,
        }
    }

    /// The domain of a domain-scoped token.
    #[must_use]
    pub const fn domain_id(&self) -> Option<&DomainId> {
        match &self.scope {
            Scope::Domain { id, .. } => Some(id),
            Scope::Unscoped | Scope::Project { .. } | Scope::System => None,
        }
    }

    /// Whether the role is among the caller's; role names have no case, as in Keystone.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles
            .iter()
            .any(|mine| mine.eq_ignore_ascii_case(role))
    }

    /// Whether the caller has the `admin` role on the token's scope.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.has_role("admin")
    }

    /// Whether the access rules of the caller's application credential permit a request.
    ///
    /// keystonemiddleware checks this in every service before anything else; no rules permit everything.
    #[must_use]
    pub fn may_request(&self, service_type: &str, method: &str, path: &str) -> bool {
        self.access_rules.as_ref().is_none_or(|rules| {
            rules.iter().any(|rule| {
                rule.service == service_type
                    && rule.method.eq_ignore_ascii_case(method)
                    && path_matches(rule.path.as_bytes(), path.as_bytes())
            })
        })
    }
}

impl Scope {
    /// A project scope whose names are the ids, in the default domain.
    #[must_use]
    pub fn project(id: impl Into<ProjectId>) -> Self {
        let id = id.into();
        Self::Project {
            name: id.to_string(),
            id,
            domain_id: DomainId::from("default"),
            domain_name: "Default".to_owned(),
            is_domain: false,
        }
    }
}

/// keystonemiddleware's pattern: `*` and `{x}` are one or more characters without `/`, `**` is anything.
fn path_matches(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', rest @ ..] => {
            (0..=path.len()).any(|skip| path_matches(rest, path.get(skip..).unwrap_or_default()))
        }
        [b'*', rest @ ..] => segment_matches(rest, path),
        [b'{', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b'}') else {
                return false;
            };
            segment_matches(rest.get(end + 1..).unwrap_or_default(), path)
        }
        [literal, rest @ ..] => path
            .split_first()
            .is_some_and(|(first, tail)| first == literal && path_matches(rest, tail)),
    }
}

fn segment_matches(rest: &[u8], path: &[u8]) -> bool {
    let segment = path.iter().take_while(|&&byte| byte != b'/').count();
    (1..=segment).any(|taken| path_matches(rest, path.get(taken..).unwrap_or_default()))
}

/// Microseconds as a number: a caller must come back from an operation's row exactly as it went in.
mod micros {
    use nephos_types::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, matches: bool) {
        assert_eq!(
            path_matches(pattern.as_bytes(), path.as_bytes()),
            matches,
            "{pattern} {path}"
        );
    }

    #[test]
    fn access_rule_paths_follow_keystonemiddleware() {
        check("/v2.1/servers", "/v2.1/servers", true);
        check("/v2.1/servers", "/v2.1/servers/1", false);
        check("/v2.1/servers/*", "/v2.1/servers/1", true);
        check("/v2.1/servers/*", "/v2.1/servers/", false);
        check("/v2.1/servers/*", "/v2.1/servers/1/action", false);
        check("/v2.1/servers/{id}/action", "/v2.1/servers/1/action", true);
        check("/v2.1/**", "/v2.1/servers/1/action", true);
        check("/v2.1/{broken", "/v2.1/x", false);
    }

    #[test]
    fn an_application_credential_without_rules_may_request_everything_and_with_them_only_those() {
        let mut caller = Caller::new("u", Scope::project("p"), &["member"]);
        assert!(caller.may_request("compute", "GET", "/v2.1/servers"));
        caller.access_rules = Some(vec![AccessRule {
            service: "compute".to_owned(),
            method: "GET".to_owned(),
            path: "/v2.1/servers".to_owned(),
        }]);
        assert!(caller.may_request("compute", "GET", "/v2.1/servers"));
        assert!(!caller.may_request("compute", "POST", "/v2.1/servers"));
        assert!(!caller.may_request("image", "GET", "/v2.1/servers"));
    }

    #[test]
    fn a_frozen_caller_comes_back_as_it_went() {
        let mut caller = Caller::new("u", Scope::project("p"), &["member"]);
        caller.issued_at = Timestamp(1_767_323_045_000_007);
        let text = serde_json::to_string(&caller).unwrap();
        assert_eq!(serde_json::from_str::<Caller>(&text).unwrap(), caller);
    }
}
