//! The rules of one service, parsed once, with the operator's changes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::caller::{Caller, Scope};
use crate::language::{Expr, Part, SyntaxError, Template};
use crate::overrides::Overrides;
use crate::personas;
use crate::rules::RuleInfo;
use crate::target::Target;

/// A service's compiled rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Arc<HashMap<String, Expr>>,
    projects_only: bool,
}

/// Why rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A rule that is no rule.
    #[error("policy rule \"{rule}\": {cause}")]
    Syntax {
        /// Its name.
        rule: String,
        /// What is wrong.
        #[source]
        cause: SyntaxError,
    },
    /// A rule that the service uses refers to one that does not exist.
    #[error("policy rule \"{rule}\" refers to \"rule:{missing}\", which does not exist")]
    Missing {
        /// Where it stands.
        rule: String,
        /// What is not there.
        missing: String,
    },
    /// A rule that refers to itself, perhaps through others.
    #[error("policy rule \"{rule}\" refers to itself")]
    Cycle {
        /// Its name.
        rule: String,
    },
}

impl Policy {
    /// Compiles the base rules, then the service's, then the operator's; a later one of the same name replaces.
    ///
    /// An override for a rule that this service does not have is kept (others may refer to it) and otherwise ignored,
    /// so that a real cloud's file can be dropped in.
    ///
    /// # Errors
    /// When any rule cannot be read, refers to itself, or one in use refers to nothing.
    pub fn new(rules: &[RuleInfo], overrides: &Overrides) -> Result<Self, PolicyError> {
        let base = personas::BASE
            .iter()
            .chain(rules)
            .map(|rule| (rule.name, rule.default));
        let mut compiled = HashMap::new();
        for (name, text) in base.chain(overrides.iter()) {
            let expr = Expr::parse(text).map_err(|cause| PolicyError::Syntax {
                rule: name.to_owned(),
                cause,
            })?;
            compiled.insert(name.to_owned(), expr);
        }
        for rule in rules {
            check_references(&compiled, rule.name, &mut Vec::new())?;
        }
        for (name, _) in overrides.iter() {
            match check_references(&compiled, name, &mut Vec::new()) {
                Err(PolicyError::Missing { rule, missing }) => {
                    tracing::warn!(rule, missing, "an unused policy rule refers to nothing");
                }
                other => other?,
            }
        }
        Ok(Self {
            rules: Arc::new(compiled),
            projects_only: false,
        })
    }

    /// Whether everything is denied to callers who act for the system or for a domain, as in a service that knows
    /// projects only.
    #[must_use]
    pub fn projects_only(mut self, only: bool) -> Self {
        self.projects_only = only;
        self
    }

    /// Whether the rule allows the caller to touch the target. A rule that is not known denies.
    #[must_use]
    pub fn check(&self, rule: &RuleInfo, caller: &Caller, target: &Target) -> bool {
        self.check_named(rule.name, caller, target)
    }

    /// The same by name, for rules whose names are made of data (Neutron's `create_port:binding:profile`).
    #[must_use]
    pub fn check_named(&self, rule: &str, caller: &Caller, target: &Target) -> bool {
        if self.projects_only && matches!(caller.scope, Scope::System | Scope::Domain { .. }) {
            return false;
        }
        self.rules
            .get(rule)
            .is_some_and(|expr| self.eval(expr, caller, target))
    }

    /// The expression in force for a rule, for the policy sample and for tests.
    #[must_use]
    pub fn expression(&self, rule: &str) -> Option<&Expr> {
        self.rules.get(rule)
    }

    /// Terminates: depth is limited by the parser and references have no cycles.
    fn eval(&self, expr: &Expr, caller: &Caller, target: &Target) -> bool {
        match expr {
            Expr::Always => true,
            Expr::Never => false,
            Expr::Not(inner) => !self.eval(inner, caller, target),
            Expr::All(list) => list.iter().all(|inner| self.eval(inner, caller, target)),
            Expr::Any(list) => list.iter().any(|inner| self.eval(inner, caller, target)),
            Expr::Rule(name) => self.check_named(name, caller, target),
            Expr::Role(name) => name.filled(target, |role| caller.has_role(role)),
            Expr::Field { name, value, .. } => field_is(target.get(name), value),
            Expr::Literal { value, wanted, .. } => wanted.filled(target, |text| text == value),
            // Python compares `str(None)`: a constant `None` asks whether the caller lacks the attribute.
            Expr::Attribute { path, wanted } if wanted.is_constant("None") => {
                !attribute_is_set(caller, path)
            }
            Expr::Attribute { path, wanted } => {
                wanted.filled(target, |text| attribute_is(caller, path, text))
            }
        }
    }
}

/// Neutron's field check: the same text, or after `~` a pattern, of which plain beginnings (`~^network:`) are understood.
fn field_is(found: Option<&str>, wanted: &str) -> bool {
    match wanted.strip_prefix('~') {
        None => found == Some(wanted),
        Some(pattern) => {
            let beginning = pattern.strip_prefix('^').unwrap_or(pattern);
            let plain = !beginning.contains(['.', '*', '+', '?', '[', '(', '|', '$', '\\', '{']);
            plain && found.is_some_and(|text| text.starts_with(beginning))
        }
    }
}

fn check_references<'a>(
    rules: &'a HashMap<String, Expr>,
    rule: &'a str,
    path: &mut Vec<&'a str>,
) -> Result<(), PolicyError> {
    if path.contains(&rule) {
        return Err(PolicyError::Cycle {
            rule: rule.to_owned(),
        });
    }
    let Some(expr) = rules.get(rule) else {
        let rule_name = path.last().copied().unwrap_or(rule);
        return Err(PolicyError::Missing {
            rule: rule_name.to_owned(),
            missing: rule.to_owned(),
        });
    };
    path.push(rule);
    let mut references = Vec::new();
    expr.references(&mut |name| references.push(name));
    for name in references {
        check_references(rules, name, path)?;
    }
    path.pop();
    Ok(())
}

impl Template {
    fn is_constant(&self, wanted: &str) -> bool {
        matches!(self.0.as_slice(), [Part::Text(text)] if text == wanted)
    }

    /// Fills the holes and asks; a hole without a value is "no", as in oslo.policy.
    fn filled(&self, target: &Target, ask: impl FnOnce(&str) -> bool) -> bool {
        match self.0.as_slice() {
            [Part::Text(text)] => ask(text),
            [Part::Hole(name)] => target.get(name).is_some_and(ask),
            parts => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(plain) => text.push_str(plain),
                        Part::Hole(name) => match target.get(name) {
                            Some(value) => text.push_str(value),
                            None => return false,
                        },
                    }
                }
                ask(&text)
            }
        }
    }
}

/// The names under which oslo.context and Keystone's token model show a caller to rules.
fn attribute_is(caller: &Caller, path: &str, wanted: &str) -> bool {
    if path == "roles" {
        return caller.roles.iter().any(|role| role == wanted);
    }
    attribute(caller, path) == Some(wanted)
}

fn attribute_is_set(caller: &Caller, path: &str) -> bool {
    path == "roles" || attribute(caller, path).is_some()
}

fn attribute<'c>(caller: &'c Caller, path: &str) -> Option<&'c str> {
    let project = || match &caller.scope {
        Scope::Project {
            id,
            name,
            domain_id,
            domain_name,
            ..
        } => Some((id, name, domain_id, domain_name)),
        Scope::Unscoped | Scope::Domain { .. } | Scope::System => None,
    };
    let domain = || match &caller.scope {
        Scope::Domain { id, name } => Some((id, name)),
        Scope::Unscoped | Scope::Project { .. } | Scope::System => None,
    };
    let trust = caller.trust.as_ref();
    match path {
        "user_id" | "token.user.id" => Some(caller.user_id.as_str()),
        "user_name" => Some(caller.user_name.as_str()),
        "user_domain_id" | "token.user.domain.id" => Some(caller.user_domain_id.as_str()),
        "project_id" | "tenant_id" | "tenant" | "token.project.id" => {
            project().map(|(id, ..)| id.as_str())
        }
        "project_name" => project().map(|(_, name, ..)| name.as_str()),
        "project_domain_id" | "token.project.domain.id" => {
            project().map(|(_, _, domain, _)| domain.as_str())
        }
        "domain_id" | "token.domain.id" => domain().map(|(id, _)| id.as_str()),
        "domain_name" => domain().map(|(_, name)| name.as_str()),
        "system_scope" | "system" => matches!(caller.scope, Scope::System).then_some("all"),
        "is_admin" => Some(if caller.is_admin() { "True" } else { "False" }),
        "trust_id" => trust.map(|trust| trust.id.as_str()),
        "trustor_id" => trust.map(|trust| trust.trustor_id.as_str()),
        "trustee_id" => trust.map(|trust| trust.trustee_id.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(rules: &'static [RuleInfo], overrides: &str) -> Result<Policy, PolicyError> {
        Policy::new(rules, &Overrides::parse(overrides).unwrap())
    }

    const fn rule(name: &'static str, default: &'static str) -> RuleInfo {
        RuleInfo {
            name,
            default,
            description: "",
        }
    }

    #[track_caller]
    fn check(text: &'static str, caller: &Caller, target: &Target, allowed: bool) {
        let info = rule("x", text);
        let policy = Policy::new(&[info], &Overrides::default()).unwrap();
        assert_eq!(policy.check(&info, caller, target), allowed, "{text}");
    }

    #[test]
    fn every_kind_of_check() {
        let caller = Caller::new("alice", Scope::project("p"), &["Member", "reader"]);
        let mine = Target::of_project("p").with("target.user.id", "alice");
        let other = Target::of_project("q")
            .with("owner", None::<&str>)
            .with("visibility", "public");
        check("@", &caller, &other, true);
        check("!", &caller, &mine, false);
        check("", &caller, &mine, true);
        check("role:member", &caller, &other, true);
        check("role:admin", &caller, &mine, false);
        check("project_id:%(project_id)s", &caller, &mine, true);
        check("project_id:%(project_id)s", &caller, &other, false);
        check("project_id:%(absent)s", &caller, &mine, false);
        check("user_id:%(target.user.id)s", &caller, &mine, true);
        check("user_id:alice", &caller, &other, true);
        check("system_scope:all", &caller, &mine, false);
        check("None:%(owner)s", &caller, &other, true);
        check("None:%(absent)s", &caller, &other, false);
        check("'public':%(visibility)s", &caller, &other, true);
        check("field:images:visibility=public", &caller, &other, true);
        check("is_admin:False", &caller, &other, true);
        check("field:images:visibility=~^pub", &caller, &other, true);
        check("field:images:visibility=~^priv", &caller, &other, false);
        check("domain_id:%(owner)s", &caller, &other, false);
        check("domain_id:None", &caller, &other, true);
        check("not project_id:None", &caller, &other, true);
        check(
            "not role:admin and (role:reader or !)",
            &caller,
            &other,
            true,
        );
        check("rule:project_member_or_admin", &caller, &mine, true);
        check("rule:project_manager_or_admin", &caller, &mine, false);
    }

    #[test]
    fn a_service_of_projects_serves_no_other_scope() {
        let overrides = Overrides::parse("anyone: ''").unwrap();
        let policy = Policy::new(&[], &overrides).unwrap();
        let domain = Scope::Domain {
            id: "d".into(),
            name: "d".into(),
        };
        for (scope, allowed) in [
            (Scope::System, false),
            (domain, false),
            (Scope::Unscoped, true),
        ] {
            let caller = Caller::new("u", scope, &["admin"]);
            let target = Target::new();
            assert!(policy.check_named("anyone", &caller, &target));
            let closed = policy.clone().projects_only(true);
            assert_eq!(closed.check_named("anyone", &caller, &target), allowed);
        }
    }

    #[test]
    fn system_and_domain_scopes_are_seen() {
        let system = Caller::new("u", Scope::System, &["reader"]);
        check(
            "role:reader and system_scope:all",
            &system,
            &Target::new(),
            true,
        );
        let domain = Scope::Domain {
            id: "d".into(),
            name: "D".to_owned(),
        };
        let domain = Caller::new("u", domain, &["reader"]);
        let target = Target::new().with("target.domain_id", "d");
        check(
            "role:reader and domain_id:%(target.domain_id)s",
            &domain,
            &target,
            true,
        );
        check(
            "token.domain.id:%(target.domain_id)s",
            &domain,
            &target,
            true,
        );
        check("project_id:%(target.domain_id)s", &domain, &target, false);
    }

    #[test]
    fn overrides_replace_base_rules_and_service_rules() {
        const RULES: &[RuleInfo] = &[rule("a", "rule:project_member_api"), rule("b", "!")];
        let policy = policy(RULES, "project_member_api: role:chief\n\"b\": \"@\"\n").unwrap();
        let caller = Caller::new("u", Scope::Unscoped, &["chief"]);
        assert!(policy.check_named("a", &caller, &Target::new()));
        assert!(policy.check_named("b", &caller, &Target::new()));
        assert!(!policy.check_named("unheard_of", &caller, &Target::new()));
    }

    #[test]
    fn broken_rules_stop_the_start() {
        const RULES: &[RuleInfo] = &[rule("a", "rule:b"), rule("b", "role:x")];
        let error = |text| policy(RULES, text).unwrap_err().to_string();
        assert_eq!(error("b: rule:a"), "policy rule \"a\" refers to itself");
        assert_eq!(
            error("b: rule:c"),
            "policy rule \"b\" refers to \"rule:c\", which does not exist"
        );
        assert_eq!(
            error("b: role:x and"),
            "policy rule \"b\": the rule ends too early"
        );
        assert!(policy(RULES, "not_ours: rule:nor_this").is_ok());
        assert!(policy(RULES, "not_ours: rule:not_ours").is_err());
    }

    proptest! {
        /// The three connectives mean what the truth table says, however they are nested.
        #[test]
        fn connectives_agree_with_booleans(bits in proptest::collection::vec(any::<bool>(), 3), shape in 0_usize..6) {
            let word = |bit: bool| if bit { "@" } else { "!" };
            let (a, b, c) = (bits[0], bits[1], bits[2]);
            let (x, y, z) = (word(a), word(b), word(c));
            let (text, expected) = match shape {
                0 => (format!("{x} or {y} and {z}"), a || b && c),
                1 => (format!("{x} and {y} or {z}"), a && b || c),
                2 => (format!("not {x} and {y} or not {z}"), !a && b || !c),
                3 => (format!("not ({x} and {y}) or {z}"), !(a && b) || c),
                4 => (format!("({x} or {y}) and not {z}"), (a || b) && !c),
                _ => (format!("{x} or not {y} and {z}"), a || !b && c),
            };
            let overrides = Overrides::parse(&format!("x: \"{text}\"")).unwrap();
            let policy = Policy::new(&[], &overrides).unwrap();
            let caller = Caller::new("u", Scope::Unscoped, &[]);
            prop_assert_eq!(policy.check_named("x", &caller, &Target::new()), expected);
        }
    }
}
