//! Who is calling, what they may do, and how a service knows without asking anybody.
//!
//! - [`Caller`]: the verified identity behind a request; frozen into operations, never with the token.
//! - [`Policy`]: oslo.policy rules with the upstream names, parsed once, overridable by a real cloud's `policy.yaml`.
//! - [`Authorized`]: a loaded resource plus the proof that one named rule allowed this caller; only [`allow`] makes one.
//! - [`Issuer`], [`Verifier`], [`TrustBundle`], [`keys`], [`Seal`]: signed tokens, checked locally by every service.
//!
//! Invariants: a rule that cannot be understood stops the start, it never grants; an attribute that is not there
//! matches nothing; a token is believed only with a known ES256 key, before its expiry and unless revoked.

mod authorized;
mod caller;
pub mod keys;
mod language;
mod overrides;
pub mod personas;
mod policy;
mod revocation;
mod rules;
mod seal;
mod target;
mod token;
mod verifier;

pub use authorized::{Authorized, Denied, Resource, allow};
pub use caller::{AccessRule, Caller, Scope, TrustRef};
pub use keys::{KeyError, PublicKey};
pub use language::{Expr, SyntaxError};
pub use overrides::{FileError, Overrides};
pub use policy::{Policy, PolicyError};
pub use revocation::Revocation;
pub use rules::{Rule, RuleInfo};
pub use seal::{Seal, SealError};
pub use target::{Target, TargetValue};
pub use token::{Issuer, TokenError};
pub use verifier::{TrustBundle, Verifier};
