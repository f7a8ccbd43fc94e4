//! Permission as a type.

use std::marker::PhantomData;
use std::ops::Deref;

use crate::caller::Caller;
use crate::policy::Policy;
use crate::rules::Rule;
use crate::target::Target;

/// Something that rules protect.
pub trait Resource {
    /// What a fault calls it: `Server`, `Network`.
    const KIND: &'static str;

    /// The project that owns it.
    fn project_id(&self) -> Option<&str>;

    /// Further attributes for rules; `project_id` and `tenant_id` are set already.
    fn target(&self, _target: &mut Target) {}

    /// Whether the caller may know that it exists. Who may not gets "not found", who may but lacks the rule "forbidden".
    fn visible_to(&self, caller: &Caller) -> bool {
        caller.is_admin()
            || caller.has_role("service")
            || self.project_id().is_some_and(|owner| {
                caller
                    .project_id()
                    .is_some_and(|project| project.as_str() == owner)
            })
    }
}

/// A loaded resource plus the proof that rule `R` allowed this caller.
#[derive(Clone, Debug)]
pub struct Authorized<T, R> {
    resource: T,
    rule: PhantomData<fn() -> R>,
}

impl<T, R> Authorized<T, R> {
    /// The resource, without the proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.resource
    }
}

impl<T, R> Deref for Authorized<T, R> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.resource
    }
}

/// Why there is no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It does not exist, or the caller may not know that it does.
    #[error("{kind} not found")]
    NotFound {
        /// [`Resource::KIND`].
        kind: &'static str,
    },
    /// The caller may see it, but not do this.
    #[error("policy does not allow {rule} to be performed")]
    Forbidden {
        /// The rule that said no.
        rule: &'static str,
    },
}

/// The one way to an [`Authorized`]: the resource exists, the caller may know it, and the rule allows.
///
/// # Errors
/// [`Denied::NotFound`] without the resource or its visibility, [`Denied::Forbidden`] when the rule says no.
pub fn allow<T: Resource, R: Rule>(
    policy: &Policy,
    _rule: R,
    caller: &Caller,
    found: Option<T>,
) -> Result<Authorized<T, R>, Denied> {
    let Some(resource) = found.filter(|resource| resource.visible_to(caller)) else {
        return Err(Denied::NotFound { kind: T::KIND });
    };
    let mut target = Target::new();
    if let Some(project) = resource.project_id() {
        target.set_project(project);
    }
    resource.target(&mut target);
    if policy.check(R::INFO, caller, &target) {
        Ok(Authorized {
            resource,
            rule: PhantomData,
        })
    } else {
        Err(Denied::Forbidden { rule: R::NAME })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Scope;
    use crate::overrides::Overrides;
    use crate::personas::{PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN};

    crate::rules! {
        /// Show.
        pub Show = "thing:show", PROJECT_READER_OR_ADMIN;
        /// Stop.
        pub Stop = "thing:stop", PROJECT_MEMBER_OR_ADMIN;
    }

    #[derive(Debug)]
    struct Thing(&'static str);
    impl Resource for Thing {
        const KIND: &'static str = "Thing";
        fn project_id(&self) -> Option<&str> {
            Some(self.0)
        }
    }

    #[track_caller]
    fn check(project: &'static str, role: &str, expected: Result<(), Denied>) {
        let policy = Policy::new(ALL, &Overrides::default()).unwrap();
        let caller = Caller::new("u", Scope::project(project), &[role]);
        assert_eq!(
            allow(&policy, Stop, &caller, Some(Thing("p"))).map(|_| ()),
            expected
        );
    }

    #[test]
    fn strangers_find_nothing_readers_are_forbidden_members_and_admins_may() {
        check("q", "member", Err(Denied::NotFound { kind: "Thing" }));
        check("p", "reader", Err(Denied::Forbidden { rule: "thing:stop" }));
        check("p", "member", Ok(()));
        check("q", "admin", Ok(()));
        check(
            "q",
            "service",
            Err(Denied::Forbidden { rule: "thing:stop" }),
        );
    }

    #[test]
    fn nothing_is_not_found() {
        let policy = Policy::new(ALL, &Overrides::default()).unwrap();
        let admin = Caller::new("u", Scope::System, &["admin"]);
        let denied = allow::<Thing, _>(&policy, Show, &admin, None).unwrap_err();
        assert_eq!(denied, Denied::NotFound { kind: "Thing" });
    }
}
