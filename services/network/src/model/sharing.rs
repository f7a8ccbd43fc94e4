//! What is shared with whom.

/// The target that means everybody.
pub const EVERYBODY: &str = "*";
/// The action that lets others use a thing.
pub const SHARED: &str = "access_as_shared";
/// The action that lets others use a network as the outside world.
pub const EXTERNAL: &str = "access_as_external";

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What is granted.
    pub action: String,
    /// To which project, or to everybody.
    pub target: String,
}

/// The grants of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(pub Vec<Grant>);

impl Grants {
    /// Whether the thing shows itself to this project as shared.
    #[must_use]
    pub fn shared_with(&self, project: &str) -> bool {
        self.0.iter().any(|grant| {
            grant.action == SHARED && (grant.target == EVERYBODY || grant.target == project)
        })
    }

    /// Whether there is a grant of this action to anybody.
    #[must_use]
    pub fn any(&self, action: &str) -> bool {
        self.0.iter().any(|grant| grant.action == action)
    }

    /// Whether any grant, of whatever action, reaches the project.
    #[must_use]
    pub fn reach(&self, project: &str) -> bool {
        self.0
            .iter()
            .any(|grant| grant.target == EVERYBODY || grant.target == project)
    }
}
