//! What a rule is asked about: the attributes of the thing that the caller wants to touch.

use std::borrow::Cow;

/// Names and values that rules refer to as `%(name)s`.
///
/// A value that is set to nothing is Python's `None` (so that `None:%(x)s` works); a name that is not set matches no rule.
#[derive(Clone, Debug, Default)]
pub struct Target(Vec<(Cow<'static, str>, String)>);

impl Target {
    /// An empty target.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A thing owned by a project: sets `project_id` and the old name `tenant_id`.
    #[must_use]
    pub fn of_project(project_id: impl AsRef<str>) -> Self {
        let mut target = Self::new();
        target.set_project(project_id.as_ref());
        target
    }

    /// Sets `project_id` and `tenant_id`.
    pub fn set_project(&mut self, project_id: &str) {
        self.set("project_id", project_id);
        self.set("tenant_id", project_id);
    }

    /// Sets one attribute, replacing an earlier value.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl TargetValue) {
        let name = name.into();
        let value = value.text();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// The same, for chains.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl TargetValue) -> Self {
        self.set(name, value);
        self
    }

    /// The value of one attribute.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Anything that can stand in a target, written as Python's `str()` would: rules compare such texts.
pub trait TargetValue {
    /// The text that rules see.
    fn text(self) -> String;
}

impl TargetValue for &str {
    fn text(self) -> String {
        self.to_owned()
    }
}
impl TargetValue for String {
    fn text(self) -> String {
        self
    }
}
impl TargetValue for &String {
    fn text(self) -> String {
        self.clone()
    }
}
impl TargetValue for bool {
    fn text(self) -> String {
        if self {
            "True".to_owned()
        } else {
            "False".to_owned()
        }
    }
}
impl TargetValue for i64 {
    fn text(self) -> String {
        self.to_string()
    }
}
impl<T: TargetValue> TargetValue for Option<T> {
    fn text(self) -> String {
        self.map_or_else(|| "None".to_owned(), TargetValue::text)
    }
}
macro_rules! id_values {
    ($($id:ty),+) => {$(
        impl TargetValue for &$id {
            fn text(self) -> String {
                self.to_string()
            }
        }
    )+};
}
id_values!(
    nephos_types::ProjectId,
    nephos_types::UserId,
    nephos_types::DomainId
);
