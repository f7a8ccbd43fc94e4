//! What an event stream can watch: lists of the services, and how two looks at one are compared.

use aws_lc_rs::digest;
use serde_json::Value;

/// A list that pages show.
#[derive(Debug)]
pub(crate) struct Kind {
    /// What the interface calls it.
    pub name: &'static str,
    /// Whose list it is.
    pub service: &'static str,
    /// Where the list is; `{project}` is the project's id.
    target: &'static str,
    /// Keys that change without news, such as the time of the last sign of life.
    restless: &'static [&'static str],
}

const fn kind(name: &'static str, service: &'static str, target: &'static str) -> Kind {
    Kind {
        name,
        service,
        target,
        restless: &[],
    }
}

/// Lists are looked at up to their first thousand things.
const KINDS: &[Kind] = &[
    kind(
        "backups",
        "block",
        "/v3/{project}/backups/detail?limit=1000",
    ),
    kind(
        "containers",
        "object",
        "/v1/AUTH_{project}?format=json&limit=1000",
    ),
    kind("flavors", "compute", "/v2.1/flavors/detail?is_public=None"),
    kind("floatingips", "network", "/v2.0/floatingips?limit=1000"),
    Kind {
        restless: &["updated_at", "cpu_info", "uptime"],
        ..kind("hosts", "compute", "/v2.1/os-hypervisors/detail")
    },
    kind("images", "image", "/v2/images?limit=1000"),
    kind("keypairs", "compute", "/v2.1/os-keypairs"),
    kind("networks", "network", "/v2.0/networks?limit=1000"),
    kind("ports", "network", "/v2.0/ports?limit=1000"),
    kind("projects", "identity", "/v3/projects"),
    kind("routers", "network", "/v2.0/routers?limit=1000"),
    kind(
        "security-groups",
        "network",
        "/v2.0/security-groups?limit=1000",
    ),
    kind("servers", "compute", "/v2.1/servers/detail?limit=1000"),
    Kind {
        restless: &["updated_at"],
        ..kind("services", "compute", "/v2.1/os-services")
    },
    kind(
        "snapshots",
        "block",
        "/v3/{project}/snapshots/detail?limit=1000",
    ),
    kind("stacks", "orchestration", "/v1/{project}/stacks?limit=1000"),
    kind("subnets", "network", "/v2.0/subnets?limit=1000"),
    kind("users", "identity", "/v3/users"),
    kind(
        "volume-types",
        "block",
        "/v3/{project}/types?is_public=None",
    ),
    kind(
        "volumes",
        "block",
        "/v3/{project}/volumes/detail?limit=1000",
    ),
];

impl Kind {
    /// The kind of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Where the list of `project` is.
    pub fn target(&self, project: &str) -> String {
        self.target.replace("{project}", project)
    }

    /// What is the same as long as nothing has changed.
    pub fn digest(&self, body: &[u8]) -> String {
        let settled = if self.restless.is_empty() {
            None
        } else {
            serde_json::from_slice(body).ok().map(|mut value| {
                self.settle(&mut value);
                value.to_string()
            })
        };
        let bytes = settled.as_deref().map_or(body, str::as_bytes);
        let whole = hex::encode(digest::digest(&digest::SHA256, bytes));
        whole.chars().take(16).collect()
    }

    fn settle(&self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.retain(|key, _| !self.restless.contains(&key.as_str()));
                object.values_mut().for_each(|inner| self.settle(inner));
            }
            Value::Array(items) => items.iter_mut().for_each(|inner| self.settle(inner)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_is_no_news_and_a_state_is() {
        let services = Kind::find("services").unwrap();
        let at = |time: &str, state: &str| {
            let body = format!(r#"{{"services":[{{"state":"{state}","updated_at":"{time}"}}]}}"#);
            services.digest(body.as_bytes())
        };
        assert_eq!(at("1", "up"), at("2", "up"));
        assert_ne!(at("1", "up"), at("1", "down"));
    }

    #[test]
    fn each_kind_has_one_name() {
        let mut names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        names.dedup();
        assert_eq!(names.len(), KINDS.len());
        assert!(names.is_sorted());
        assert!(Kind::find("secrets").is_none());
        assert_eq!(
            Kind::find("stacks").unwrap().target("p"),
            "/v1/p/stacks?limit=1000"
        );
    }
}
