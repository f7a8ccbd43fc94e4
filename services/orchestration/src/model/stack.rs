//! A stack and its resources, as they are kept.

use std::collections::{BTreeMap, BTreeSet};

use nephos_types::Timestamp;
use serde_json::{Map, Value};

nephos_types::id! {
    /// A stack.
    StackId
    /// A resource of a stack: one making of it; what replaces it has another id.
    ResourceId
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident => $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($variant,)+ }

        impl $name {
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _other => None }
            }
        }
    };
}

words! {
    /// What was last asked of a stack or a resource.
    Action {
        Init => "INIT",
        Create => "CREATE",
        Update => "UPDATE",
        Delete => "DELETE",
        Rollback => "ROLLBACK",
        Suspend => "SUSPEND",
        Resume => "RESUME",
        Check => "CHECK",
    }
}
words! {
    /// What came of it.
    Status {
        InProgress => "IN_PROGRESS",
        Complete => "COMPLETE",
        Failed => "FAILED",
    }
}

/// The deepest that stacks may stand in stacks.
pub(crate) const MAX_DEPTH: i64 = 5;

/// What a stack is to be made of.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Wanted {
    pub template: Value,
    pub environment: Value,
    pub files: BTreeMap<String, Value>,
}

/// Where a resource keeps what has failed of it.
const UNFINISHED: &str = "unfinished";

/// A stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stack {
    pub id: StackId,
    pub name: String,
    pub project_id: String,
    pub user_id: String,
    pub user_name: String,
    /// The stack that it is a resource of, and which one.
    pub parent_id: Option<StackId>,
    pub parent_resource: Option<String>,
    /// The outermost stack; itself, if it is that one.
    pub root_id: StackId,
    pub depth: i64,
    pub action: Action,
    pub status: Status,
    pub reason: String,
    pub wanted: Wanted,
    /// What it was made of before, for going back.
    pub before: Option<Wanted>,
    /// Grows with each thing that is wanted.
    pub generation: i64,
    pub disable_rollback: bool,
    pub timeout_mins: Option<i64>,
    pub tags: Vec<String>,
    /// The trust by which the service acts for whoever asked last; of the outermost stack.
    pub trust_id: Option<String>,
    /// `stop` or `rollback`, when it was asked to end what it is doing.
    pub cancel: Option<String>,
    /// The facade for the template, of a nested stack.
    pub facade: Value,
    pub started_at: Timestamp,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
}

/// A resource of a stack.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub id: ResourceId,
    pub stack_id: StackId,
    pub name: String,
    /// As the template has it.
    pub kind: String,
    /// What that stands for: a type, or a file.
    pub target: String,
    pub description: String,
    pub action: Action,
    pub status: Status,
    pub reason: String,
    pub physical_id: Option<String>,
    /// What it was made with.
    pub properties: Map<String, Value>,
    /// What it is being changed to.
    pub changing_to: Option<Map<String, Value>>,
    /// What only the service itself knows of it.
    pub data: Map<String, Value>,
    /// What was last seen of it.
    pub observed: Value,
    pub metadata: Value,
    pub requires: BTreeSet<String>,
    /// The stack's generation that it is up to.
    pub generation: i64,
    /// Whether another making of it has taken its place.
    pub superseded: bool,
    pub retain: bool,
    /// It is somebody else's, and only used.
    pub external: bool,
    /// The hook at which it is held.
    pub held: Option<String>,
    /// The hook that was cleared for this generation.
    pub cleared: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Resource {
    /// The id of the stack that it is, of a nested one.
    pub fn nested_id(&self) -> Option<StackId> {
        let nested = super::environment::is_file(&self.target)
            || super::kind::find(&self.target).is_some_and(super::kind::Kind::nested);
        nested
            .then(|| self.physical_id.clone().map(StackId))
            .flatten()
    }

    /// Which of making and changing it has failed, and why: nothing but doing it again makes that well.
    pub fn unfinished(&self) -> Option<(Action, String)> {
        if self.status == Status::Failed && matches!(self.action, Action::Create | Action::Update) {
            return Some((self.action, self.reason.clone()));
        }
        let noted = self.data.get(UNFINISHED)?;
        let text = |name: &str| noted.get(name).and_then(Value::as_str);
        let action = text("action").and_then(Action::parse)?;
        Some((action, text("reason").unwrap_or_default().to_owned()))
    }

    /// Keeps in mind what has failed while something else is done with the resource.
    pub fn note_unfinished(&mut self) {
        if let Some((action, reason)) = self.unfinished() {
            let noted = serde_json::json!({"action": action.word(), "reason": reason});
            self.data.insert(UNFINISHED.to_owned(), noted);
        }
    }

    /// It is well; or, if something has failed before, as it was then.
    pub fn well(&mut self) {
        (self.status, self.reason) = (Status::Complete, "state changed".to_owned());
        if let Some((action, reason)) = self.unfinished() {
            (self.action, self.status, self.reason) = (action, Status::Failed, reason);
        }
        self.finished();
    }

    /// What has failed before is done or begun again.
    pub fn finished(&mut self) {
        self.data.remove(UNFINISHED);
    }

    /// Whether making it may have left something behind.
    pub fn begun(&self) -> bool {
        self.physical_id.is_some() || self.data.contains_key("begun")
    }
}

impl Stack {
    /// `CREATE_COMPLETE`.
    pub fn state(&self) -> String {
        format!("{}_{}", self.action.word(), self.status.word())
    }

    /// `name/id`, as paths have it.
    pub fn path(&self) -> String {
        format!("/v1/{}/stacks/{}/{}", self.project_id, self.name, self.id)
    }
}

/// A name for a thing of a resource to which the template gives none: stack, resource, and something that is its own.
pub(crate) fn physical_name(stack: &str, resource: &str, id: &ResourceId) -> String {
    let short: String = id
        .as_str()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    let room = 63_usize
        .saturating_sub(short.len() + resource.chars().count() + 2)
        .max(2);
    let stack: String = stack.chars().take(room).collect();
    format!("{stack}-{resource}-{short}")
}

/// Whether a stack may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && name.len() <= 255
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// A resource that is there, for tests.
#[cfg(test)]
pub(crate) fn sample(target: &str, properties: Value) -> Resource {
    Resource {
        id: "r".into(),
        stack_id: "s".into(),
        name: "r".to_owned(),
        kind: target.to_owned(),
        target: target.to_owned(),
        description: String::new(),
        action: Action::Create,
        status: Status::Complete,
        reason: String::new(),
        physical_id: Some("p".to_owned()),
        properties: properties.as_object().cloned().unwrap_or_default(),
        changing_to: None,
        data: Map::new(),
        observed: Value::Null,
        metadata: Value::Null,
        requires: BTreeSet::new(),
        generation: 1,
        superseded: false,
        retain: false,
        external: false,
        held: None,
        cleared: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, fits) in [
            ("a", true),
            ("a-b_c.d1", true),
            ("1a", false),
            ("", false),
            ("a/b", false),
            ("ä", false),
        ] {
            assert_eq!(is_name(name), fits, "{name}");
        }
        let id = ResourceId::from("0b6a2a8e-0000-4000-8000-000000000000");
        assert_eq!(physical_name("s", "r", &id), "s-r-0b6a2a8e0000");
        assert!(physical_name(&"s".repeat(200), "resource", &id).len() <= 63);
    }

    #[test]
    fn words_and_back() {
        assert_eq!(Action::parse("ROLLBACK"), Some(Action::Rollback));
        assert_eq!(Status::InProgress.word(), "IN_PROGRESS");
    }
}
