//! Rules as types: the name and default of each stand in one place, and a permission given by one is no permission by another.

/// What the policy engine knows of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// The upstream name, like `os_compute_api:servers:create`.
    pub name: &'static str,
    /// The upstream default, an oslo.policy expression.
    pub default: &'static str,
    /// What it permits, in a sentence; goes into the policy sample.
    pub description: &'static str,
}

/// One policy rule as a type, made by [`rules!`](crate::rules).
pub trait Rule: Copy + Send + Sync + 'static {
    /// The upstream name.
    const NAME: &'static str;
    /// The upstream default.
    const DEFAULT: &'static str;
    /// Both, and the description, as data.
    const INFO: &'static RuleInfo;
}

/// Declares a service's policy rules: one unit type each, and `ALL`, the list of them.
///
/// ```
/// use nephos_auth::personas::*;
/// nephos_auth::rules! {
///     /// Create a server.
///     pub CreateServer = "os_compute_api:servers:create", PROJECT_MEMBER_OR_ADMIN;
///     /// List everybody's servers.
///     pub ListAllServers = "os_compute_api:servers:index:get_all_tenants", ADMIN;
/// }
/// assert_eq!(ALL.len(), 2);
/// ```
#[macro_export]
macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $vis:vis $rule:ident = $name:literal, $default:expr;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug)]
            $vis struct $rule;

            impl $crate::Rule for $rule {
                const NAME: &'static str = $name;
                const DEFAULT: &'static str = $default;
                const INFO: &'static $crate::RuleInfo = &$crate::RuleInfo {
                    name: $name,
                    default: $default,
                    description: ::core::concat!($($doc),+),
                };
            }
        )+

        /// Every rule of this list.
        pub const ALL: &[$crate::RuleInfo] = &[$(*<$rule as $crate::Rule>::INFO),+];
    };
}
