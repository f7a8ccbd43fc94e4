//! Temporary URLs: a signature stands for a token.

use http::HeaderMap;
use nephos_api::{Fault, Params};

use super::access::{Asked, unauthorized};
use super::reply;
use crate::Cx;
use crate::model::meta::Meta;
use crate::model::temp_url::{METHODS, Ticket, disposition};
use crate::ops::access::Grant;
use crate::store::{accounts, containers};

/// What the query says, if it is a temporary URL at all.
fn ticket(query: &Params) -> Option<Ticket> {
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let any = query
        .get("temp_url_sig")
        .or_else(|| query.get("temp_url_expires"));
    any.map(|_| Ticket {
        signature: text("temp_url_sig"),
        expires: text("temp_url_expires"),
        prefix: query.get("temp_url_prefix").map(str::to_owned),
    })
}

/// What a valid temporary URL opens; none when the request is no temporary URL.
///
/// # Errors
/// 401 when the signature is not right or its time is over.
pub(crate) async fn grant(cx: &Cx, asked: &Asked<'_>) -> Result<Option<Grant>, Fault> {
    let Some(ticket) = ticket(asked.query) else {
        return Ok(None);
    };
    let path = asked.path;
    let invalid = || unauthorized(&path.account).kind("TempUrlInvalid");
    let live = ticket.expires_at().is_some_and(|at| at > cx.now());
    if !live || !METHODS.contains(&asked.method) {
        return Err(invalid());
    }
    let name = match &ticket.prefix {
        Some(prefix) if !path.object.starts_with(prefix.as_str()) => return Err(invalid()),
        Some(prefix) => prefix,
        None => &path.object,
    };
    let below = format!("/v1/{}/{}/{name}", path.account, path.container);
    let paths = [format!("{}{below}", mounted(cx)), below];
    let account = accounts::get(cx.db(), &path.account).await?;
    let account = account.map(|account| account.meta).unwrap_or_default();
    if signed(&ticket, asked.method, &paths, keys(&account, "account")) {
        return Ok(Some(Grant::Account(path.account.clone())));
    }
    let container = containers::get(cx.db(), &path.account, &path.container).await?;
    let container = container
        .map(|container| container.meta)
        .unwrap_or_default();
    if signed(&ticket, asked.method, &paths, keys(&container, "container")) {
        return Ok(Some(Grant::Container(
            path.account.clone(),
            path.container.clone(),
        )));
    }
    Err(invalid())
}

fn signed(ticket: &Ticket, method: &str, paths: &[String], keys: Vec<String>) -> bool {
    keys.iter().any(|key| ticket.signed_by(key, method, paths))
}

fn keys(meta: &Meta, of: &str) -> Vec<String> {
    let names = ["temp-url-key", "temp-url-key-2"].map(|name| format!("x-{of}-meta-{name}"));
    names
        .iter()
        .filter_map(|name| meta.get(name))
        .map(str::to_owned)
        .collect()
}

/// The path under which clients see the service: they may sign it too.
fn mounted(cx: &Cx) -> String {
    let url = cx.url("");
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split_once('/')
        .map_or_else(String::new, |(_, path)| format!("/{path}"))
}

/// What a browser should do with the object: keep it under its name, unless the URL says otherwise.
pub(crate) fn dress(query: &Params, name: &str, headers: &mut HeaderMap) {
    let Some(ticket) = ticket(query) else {
        return;
    };
    let filename = query.get("filename").filter(|name| !name.is_empty());
    let value = match (query.get("inline"), filename) {
        (Some(_), Some(filename)) => disposition("inline", filename),
        (Some(_), None) => "inline".to_owned(),
        (None, Some(filename)) => disposition("attachment", filename),
        (None, None) if headers.contains_key("content-disposition") => String::new(),
        (None, None) => {
            let last = name
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or(name);
            disposition("attachment", last)
        }
    };
    if !value.is_empty() {
        reply::set(headers, "content-disposition", &value);
    }
    if let Some(at) = ticket.expires_at() {
        reply::set(headers, "expires", &at.http());
    }
}
