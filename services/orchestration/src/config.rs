//! The `[orchestration]` section of `nephos.toml`.

use serde::Deserialize;

/// The `[orchestration]` section of `nephos.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where clients and guests reach this service, for the URLs that signal it; empty: where the cloud listens.
    pub public_url: String,
    /// The region of the catalog; not a key, the cloud says it.
    #[serde(skip)]
    pub region: String,
    /// Stacks that a project may have, those inside stacks not counted.
    pub max_stacks_per_project: i64,
    /// Resources that a stack and all stacks inside it may have.
    pub max_resources_per_stack: i64,
    /// Minutes after which an action on a stack is given up that names no time itself.
    pub action_timeout_mins: i64,
    /// A stack with this tag is not listed unless hidden ones are asked for.
    pub hidden_stack_tags: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: String::new(),
            region: "RegionOne".to_owned(),
            max_stacks_per_project: 512,
            max_resources_per_stack: 1000,
            action_timeout_mins: 60,
            hidden_stack_tags: vec!["data-processing-cluster".to_owned()],
        }
    }
}
