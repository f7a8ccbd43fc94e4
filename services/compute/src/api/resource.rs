//! What policy rules look at.

use nephos_auth::{Resource, Target};

use crate::model::server::Server;

impl Resource for Server {
    const KIND: &'static str = "Instance";

    fn project_id(&self) -> Option<&str> {
        Some(self.project_id.as_str())
    }

    fn target(&self, target: &mut Target) {
        target.set("user_id", &self.user_id);
    }
}
