//! Why something cannot be done: the kind under Neutron's name for it, and a sentence in Neutron's words.

/// What sort of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request contradicts itself or the rules.
    Invalid,
    /// The caller may not.
    Denied,
    /// A thing that it names is not there.
    Missing,
    /// The state does not allow it now.
    Conflict,
    /// The client wanted another revision.
    Outdated,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What sort.
    pub class: Class,
    /// Neutron's exception, which clients compare with.
    pub kind: &'static str,
    /// What is wrong, and with what.
    pub message: String,
}

impl Refusal {
    /// The request contradicts itself or the rules.
    pub fn invalid(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(Class::Invalid, kind, message)
    }

    /// A value of the request is wrong.
    pub fn input(message: impl std::fmt::Display) -> Self {
        let message = format!("Invalid input for operation: {message}.");
        Self::new(Class::Invalid, "InvalidInput", message)
    }

    /// A malformed request.
    pub fn request(message: impl Into<String>) -> Self {
        Self::new(Class::Invalid, "HTTPBadRequest", message)
    }

    /// What is asked of this kind of thing cannot be.
    pub fn bad(resource: &str, message: impl std::fmt::Display) -> Self {
        let message = format!("Bad {resource} request: {message}.");
        Self::new(Class::Invalid, "BadRequest", message)
    }

    /// A thing that it names is not there.
    pub fn missing(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(Class::Missing, kind, message)
    }

    /// The state does not allow it now.
    pub fn conflict(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(Class::Conflict, kind, message)
    }

    /// Some class, kind and message.
    pub fn new(class: Class, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            kind,
            message: message.into(),
        }
    }

    /// A network that is not there, or that the caller may not know of.
    pub fn no_network(id: &str) -> Self {
        Self::missing(
            "NetworkNotFound",
            format!("Network {id} could not be found."),
        )
    }

    /// A subnet that is not there.
    pub fn no_subnet(id: &str) -> Self {
        Self::missing("SubnetNotFound", format!("Subnet {id} could not be found."))
    }

    /// A port that is not there.
    pub fn no_port(id: &str) -> Self {
        Self::missing("PortNotFound", format!("Port {id} could not be found."))
    }

    /// A router that is not there.
    pub fn no_router(id: &str) -> Self {
        Self::missing("RouterNotFound", format!("Router {id} could not be found"))
    }

    /// A security group that is not there.
    pub fn no_group(id: &str) -> Self {
        Self::missing(
            "SecurityGroupNotFound",
            format!("Security group {id} does not exist"),
        )
    }
}
