//! Who may know of what, and what rules see of it.

use nephos_auth::{Caller, Resource, Target};

use crate::model::network::Network;
use crate::model::port::Port;
use crate::model::qos::Policy;
use crate::model::router::{FloatingIp, Router};
use crate::model::security_group::{Rule, SecurityGroup};
use crate::model::sharing::{self, Grants};
use crate::model::subnet::Subnet;
use crate::model::subnet_pool::{AddressScope, SubnetPool};
use crate::model::trunk::Trunk;

/// The caller's project; empty without one.
#[must_use]
pub(super) fn own(caller: &Caller) -> &str {
    caller.project_id().map_or("", |project| project.as_str())
}

/// Whether the caller sees a thing of `owner` with these grants: operators and other services see everything.
#[must_use]
pub(super) fn visible(caller: &Caller, owner: &str, grants: &Grants) -> bool {
    caller.is_admin()
        || caller.has_role("service")
        || (!owner.is_empty() && own(caller) == owner)
        || grants.reach(own(caller))
}

impl Resource for Network {
    const KIND: &'static str = "Network";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("network:project_id", self.project_id.as_str());
        target.set("network:tenant_id", self.project_id.as_str());
        // Whom a grant does not reach does not see the network at all, so any grant will do here.
        target.set("shared", self.grants.any(sharing::SHARED));
        target.set("router:external", self.external);
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        visible(caller, &self.project_id, &self.grants)
    }
}

impl Resource for Subnet {
    const KIND: &'static str = "Subnet";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("network:project_id", self.network_project.as_str());
        target.set("network:tenant_id", self.network_project.as_str());
        target.set("shared", self.grants.any(sharing::SHARED));
        target.set("router:external", self.external);
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        visible(caller, &self.project_id, &self.grants) || own(caller) == self.network_project
    }
}

impl Resource for Port {
    const KIND: &'static str = "Port";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("network:project_id", self.network_project.as_str());
        target.set("network:tenant_id", self.network_project.as_str());
        target.set("device_owner", self.device_owner.as_str());
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        let own = own(caller);
        caller.is_admin()
            || caller.has_role("service")
            || (!own.is_empty() && (own == self.project_id || own == self.network_project))
    }
}

impl Resource for Router {
    const KIND: &'static str = "Router";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }
}

impl Resource for Trunk {
    const KIND: &'static str = "Trunk";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }
}

impl Resource for FloatingIp {
    const KIND: &'static str = "FloatingIP";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("floating_network_id", self.network_id.as_str());
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        caller.is_admin() || caller.has_role("service") || own(caller) == self.project_id
    }
}

impl Resource for SecurityGroup {
    const KIND: &'static str = "SecurityGroup";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("shared", self.grants.any(sharing::SHARED));
        target.set("security_group:project_id", self.project_id.as_str());
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        visible(caller, &self.project_id, &self.grants)
    }
}

impl Resource for Rule {
    const KIND: &'static str = "SecurityGroupRule";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("security_group:project_id", self.group_project.as_str());
        target.set("security_group:tenant_id", self.group_project.as_str());
    }
}

impl Resource for SubnetPool {
    const KIND: &'static str = "SubnetPool";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("shared", self.grants.any(sharing::SHARED));
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        visible(caller, &self.project_id, &self.grants)
    }
}

impl Resource for Policy {
    const KIND: &'static str = "QosPolicy";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("shared", self.grants.any(sharing::SHARED));
        // Of its rules it is the parent.
        target.set("ext_parent:project_id", self.project_id.as_str());
        target.set("ext_parent:tenant_id", self.project_id.as_str());
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        visible(caller, &self.project_id, &self.grants)
    }
}

impl Resource for AddressScope {
    const KIND: &'static str = "AddressScope";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("shared", self.grants.any(sharing::SHARED));
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        visible(caller, &self.project_id, &self.grants)
    }
}
