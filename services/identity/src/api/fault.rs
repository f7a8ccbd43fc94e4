//! How identity words its refusals, and the checks that every handler makes.

use std::borrow::Cow;

use http::header;
use nephos_api::{Dialect, Fault};
use nephos_auth::{Authorized, Resource, Rule, Target};
use serde_json::json;

use crate::store::passwords::HashError;
use crate::{Cx, StartError, rules};

/// Keystone's words.
pub(crate) static DIALECT: Dialect = Dialect {
    forbidden: |rule| format!("You are not authorized to perform the requested action: {rule}."),
    ..Dialect::plain(|fault, _request_id| {
        json!({"error": {
            "code": fault.status.as_u16(),
            "message": fault.message,
            "title": fault.status.canonical_reason().unwrap_or("Error"),
        }})
    })
};

/// 401. Never says what was wrong: a stranger must not learn which users exist.
pub(crate) fn unauthorized(cx: &Cx) -> Fault {
    Fault::unauthorized("The request you have made requires authentication.").header(
        header::WWW_AUTHENTICATE,
        &format!("Keystone uri=\"{}\"", cx.url("")),
    )
}

/// 404 in Keystone's words.
pub(crate) fn not_found(kind: &str, id: &str) -> Fault {
    Fault::not_found(format!("Could not find {kind}: {id}."))
}

/// 409 in Keystone's words.
pub(crate) fn duplicate(kind: &str, what: impl Into<Cow<'static, str>>) -> Fault {
    let what = what.into();
    Fault::conflict(format!(
        "Conflict occurred attempting to store {kind} - Duplicate entry found with {what}."
    ))
}

/// Another row has the name already, or the database failed.
pub(crate) fn taken(error: nephos_db::Error, kind: &str, what: String) -> Fault {
    if error.is_unique() {
        duplicate(kind, what)
    } else {
        error.into()
    }
}

/// A rule without anything loaded.
pub(crate) fn require<R: Rule>(cx: &Cx, rule: R, target: &Target) -> Result<(), Fault> {
    if !rules::in_scope(R::NAME, &cx.caller) {
        return Err(Fault::forbidden((DIALECT.forbidden)(R::NAME)));
    }
    cx.require(rule, target)
}

/// A rule against what was loaded. Who is not allowed learns nothing about what there is.
pub(crate) fn reach<R: Rule, T: Resource>(
    cx: &Cx,
    rule: R,
    found: (&str, Option<T>),
) -> Result<Authorized<T, R>, Fault> {
    let (id, found) = found;
    if found.is_none() {
        require(cx, rule, &Target::new())?;
        return Err(not_found(T::KIND, id));
    }
    if !rules::in_scope(R::NAME, &cx.caller) {
        return Err(Fault::forbidden((DIALECT.forbidden)(R::NAME)));
    }
    cx.allow(rule, found)
}

impl From<HashError> for Fault {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::unavailable(
                "Too many log-ins wait for their password check. Try again in a moment.",
            ),
            HashError::Failed => Self::internal("The password could not be checked."),
        }
    }
}

impl From<StartError> for Fault {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Database(error) => error.into(),
            other @ (StartError::Keys(_)
            | StartError::Sealed(_)
            | StartError::Pattern(_)
            | StartError::Hash) => {
                tracing::error!(error = %other, "revocations could not be put in force");
                Self::internal("The change was made, but tokens could not be ended here.")
            }
        }
    }
}
