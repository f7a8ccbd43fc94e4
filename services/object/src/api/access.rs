//! Who asks, and what they may do with what they name.

use http::{HeaderMap, header};
use nephos_api::{Fault, Params, Service as _};
use serde::Deserialize;

use super::{fault, temp_url};
use crate::model::object::{Container, Object};
use crate::ops::access::Access;
use crate::store::{containers, objects};
use crate::{Cx, Svc};

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AccountPath {
    pub account: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ContainerPath {
    pub account: String,
    pub container: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ObjectPath {
    pub account: String,
    pub container: String,
    pub object: String,
}

/// A request for an object, as far as rights are concerned.
pub(crate) struct Asked<'a> {
    pub method: &'static str,
    pub path: &'a ObjectPath,
    pub query: &'a Params,
    pub headers: &'a HeaderMap,
}

/// The caller of a request for an account or a container.
///
/// # Errors
/// 401 when an application credential does not permit the request.
pub(crate) fn caller(
    cx: &Cx,
    (method, path): (&str, &str),
    headers: &HeaderMap,
) -> Result<Access, Fault> {
    let access = plain(cx, headers);
    if access.caller.may_request(Svc::TYPE, method, path) {
        Ok(access)
    } else {
        Err(unauthorized(""))
    }
}

/// The caller of a request for an object: by token, or by a temporary URL.
///
/// # Errors
/// 401 when the URL is not valid, or an application credential does not permit the request.
pub(crate) async fn of_object(cx: &Cx, asked: &Asked<'_>) -> Result<Access, Fault> {
    if let Some(grant) = temp_url::grant(cx, asked).await? {
        let mut access = plain(cx, asked.headers);
        access.grant = Some(grant);
        return Ok(access);
    }
    let ObjectPath {
        account,
        container,
        object,
    } = asked.path;
    let path = format!("/v1/{account}/{container}/{object}");
    caller(cx, (asked.method, &path), asked.headers)
}

fn plain(cx: &Cx, headers: &HeaderMap) -> Access {
    let referrer = headers.get(header::REFERER);
    Access {
        caller: std::sync::Arc::clone(&cx.caller),
        policy: cx.service().core().policy.clone(),
        referrer: referrer.and_then(|value| Some(value.to_str().ok()?.to_owned())),
        grant: None,
    }
}

/// The refusal of what this caller may not do: who is not known may become known.
pub(crate) fn denied(access: &Access, account: &str) -> Fault {
    if access.is_known() {
        Fault::forbidden("Access was denied to this resource.")
    } else {
        unauthorized(account)
    }
}

/// 401 in Swift's words.
pub(crate) fn unauthorized(account: &str) -> Fault {
    Fault::unauthorized(
        "This server could not verify that you are authorized to access the document you requested.",
    )
    .header(
        header::WWW_AUTHENTICATE,
        &format!("Swift realm=\"{}\"", if account.is_empty() { "unknown" } else { account }),
    )
}

/// What is wanted of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// An object's bytes.
    Read,
    /// The names in it.
    List,
    /// Another object in it.
    Write,
    /// The container itself.
    Own,
}

/// The container, if this may be done with it.
///
/// # Errors
/// 404 when it is not there and the caller may know that, else 401 or 403.
pub(crate) async fn container(
    cx: &Cx,
    access: &Access,
    (account, name): (&str, &str),
    wish: Wish,
) -> Result<Container, Fault> {
    let Some(found) = containers::get(cx.db(), account, name).await? else {
        let knows = match wish {
            Wish::Read | Wish::List => access.reads_account(account),
            Wish::Write | Wish::Own => access.owns(account),
        };
        return Err(if knows {
            fault::not_found()
        } else {
            denied(access, account)
        });
    };
    let may = match wish {
        Wish::Read => access.reads(&found, false),
        Wish::List => access.reads(&found, true),
        Wish::Write => access.writes(&found),
        Wish::Own => access.owns(account),
    };
    if may {
        Ok(found)
    } else {
        Err(denied(access, account))
    }
}

/// The object, unless its time is over.
///
/// # Errors
/// 404.
pub(crate) async fn object(cx: &Cx, container: &Container, name: &str) -> Result<Object, Fault> {
    let found = objects::get(cx.db(), &container.id, name).await?;
    found
        .filter(|found| !found.expired(cx.now()))
        .ok_or_else(fault::not_found)
}
