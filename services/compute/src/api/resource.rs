//! What policy rules look at.

use nephos_auth::{Resource, Target};

use crate::model::server::Server;
use crate::model::server_group::ServerGroup;

impl Resource for Server {
    const KIND: &'static str = "Instance";

    fn project_id(&self) -> Option<&str> {
        Some(self.project_id.as_str())
    }

    fn target(&self, target: &mut Target) {
        target.set("user_id", &self.user_id);
    }
}

impl Resource for ServerGroup {
    const KIND: &'static str = "InstanceGroup";

    fn project_id(&self) -> Option<&str> {
        Some(self.project_id.as_str())
    }

    fn target(&self, target: &mut Target) {
        target.set("user_id", &self.user_id);
    }
}
