//! The callers every endpoint is tried with.

use nephos_auth::{Caller, Scope};

/// A kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Persona {
    /// No token.
    Nobody,
    /// `reader` in the project.
    Reader,
    /// `member` (and reader) in the project.
    Member,
    /// `manager` (and member, reader) in the project.
    Manager,
    /// `admin` (and all below) in a project of its own.
    Admin,
    /// `member` of another project.
    OtherProject,
    /// `service` in the service project.
    Service,
    /// The agents of the host [`HOST`].
    Host,
    /// The agents of another host.
    OtherHost,
}

/// The host of [`Persona::Host`].
pub const HOST: &str = "one";
/// The host of [`Persona::OtherHost`].
pub const OTHER_HOST: &str = "another";

/// The project of reader, member and manager.
pub const PROJECT: &str = "11111111111111111111111111111111";
/// The project of [`Persona::OtherProject`].
pub const OTHER_PROJECT: &str = "22222222222222222222222222222222";
/// The project of [`Persona::Admin`].
pub const ADMIN_PROJECT: &str = "33333333333333333333333333333333";
/// The project of [`Persona::Service`].
pub const SERVICE_PROJECT: &str = "44444444444444444444444444444444";

/// There is none; hosts act in no project.
const NO_PROJECT: &str = "00000000000000000000000000000000";

impl Persona {
    /// All of them, in the order of the matrix's columns.
    pub const ALL: [Self; 9] = [
        Self::Nobody,
        Self::Reader,
        Self::Member,
        Self::Manager,
        Self::Admin,
        Self::OtherProject,
        Self::Service,
        Self::Host,
        Self::OtherHost,
    ];

    /// The project it acts in; of a host, one that is not there.
    #[must_use]
    pub const fn project(self) -> &'static str {
        match self {
            Self::Nobody | Self::Reader | Self::Member | Self::Manager => PROJECT,
            Self::Admin => ADMIN_PROJECT,
            Self::OtherProject => OTHER_PROJECT,
            Self::Service => SERVICE_PROJECT,
            Self::Host | Self::OtherHost => NO_PROJECT,
        }
    }

    /// Its user id.
    #[must_use]
    pub const fn user(self) -> &'static str {
        match self {
            Self::Nobody => "",
            Self::Reader => "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
            Self::Member => "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2",
            Self::Manager => "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3",
            Self::Admin => "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa4",
            Self::OtherProject => "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa5",
            Self::Service => "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa6",
            Self::Host => "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa7",
            Self::OtherHost => "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa8",
        }
    }

    /// Its caller, with implied roles expanded as the identity service does; none for nobody.
    #[must_use]
    pub fn caller(self) -> Option<Caller> {
        let roles: &[&str] = match self {
            Self::Nobody => return None,
            Self::Reader => &["reader"],
            Self::Member | Self::OtherProject => &["member", "reader"],
            Self::Manager => &["manager", "member", "reader"],
            Self::Admin => &["admin", "manager", "member", "reader"],
            Self::Service => &["service"],
            Self::Host => return Some(Caller::of_host(self.user(), HOST.into())),
            Self::OtherHost => return Some(Caller::of_host(self.user(), OTHER_HOST.into())),
        };
        Some(Caller::new(
            self.user(),
            Scope::project(self.project()),
            roles,
        ))
    }
}
