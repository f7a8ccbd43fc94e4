//! What rules may compare with: the attributes of each resource under upstream's names.
//!
//! Keystone hides nothing by 404 that the rule would refuse by 403, so everything is visible to everybody.

use nephos_auth::{Caller, Resource, Target};

use crate::model::access::{AccessRule, AppCredential, Credential};
use crate::model::directory::{Domain, Group, Project, Role, User};
use crate::model::limit::Limit;
use crate::model::trust::Trust;

impl Resource for AppCredential {
    const KIND: &'static str = "Application Credential";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("user_id", &self.user_id);
        target.set("target.user.id", &self.user_id);
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}

impl Resource for AccessRule {
    const KIND: &'static str = "Access Rule";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("target.user.id", &self.user_id);
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}

impl Resource for Credential {
    const KIND: &'static str = "credential";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("target.credential.user_id", &self.user_id);
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}

impl Resource for Project {
    const KIND: &'static str = "project";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("target.project.id", &self.id);
        target.set("target.project.domain_id", self.domain_id.as_ref());
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}

impl Resource for Domain {
    const KIND: &'static str = "domain";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("target.domain.id", &self.id);
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}

impl Resource for User {
    const KIND: &'static str = "user";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("user_id", &self.id);
        target.set("target.user.id", &self.id);
        target.set("target.user.domain_id", &self.domain_id);
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}

impl Resource for Group {
    const KIND: &'static str = "group";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("target.group.id", &self.id);
        target.set("target.group.domain_id", &self.domain_id);
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}

impl Resource for Role {
    const KIND: &'static str = "role";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("target.role.id", &self.id);
        target.set("target.role.name", &self.name);
        target.set("target.role.domain_id", self.domain_id.as_ref());
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}

impl Resource for Limit {
    const KIND: &'static str = "limit for";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("target.limit.project_id", self.project_id.as_ref());
        target.set("target.limit.domain.id", self.domain_id.as_ref());
        if self.project_id.is_some() {
            target.set(
                "target.limit.project.domain_id",
                self.project_domain_id.as_ref(),
            );
        }
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}

impl Resource for Trust {
    const KIND: &'static str = "trust";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("target.trust.trustor_user_id", &self.trustor_user_id);
        target.set("target.trust.trustee_user_id", &self.trustee_user_id);
    }
    fn visible_to(&self, _caller: &Caller) -> bool {
        true
    }
}
