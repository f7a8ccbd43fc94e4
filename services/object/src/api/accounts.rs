//! Accounts: their metadata, quotas and lists of containers.

use http::{HeaderMap, StatusCode};
use nephos_api::{Download, Fault, Params, Public, Reply, Req, Stream, With, endpoint};

use super::access::{self, AccountPath, denied};
use super::headers::{pairs, value};
use super::info::POLICY;
use super::reply::{self, Answer, set};
use super::{bulk, listing};
use crate::Cx;
use crate::model::listing::{Entry, Gather};
use crate::model::meta::Of;
use crate::model::object::Account;
use crate::ops::access::Access;
use crate::store::listing::ContainerLine;
use crate::store::{self, accounts};

/// Headers that only the owner sees and sets.
const SECRETS: [&str; 2] = [
    "x-account-meta-temp-url-key",
    "x-account-meta-temp-url-key-2",
];

endpoint! {
    /// Show an account's metadata.
    HeadAccount: HEAD "/v1/{account}" => 204,
    policy: Public,
    path: AccountPath,
    reply: With<Download>,
    handler: head_account,
}
async fn head_account(cx: Cx, req: Req<HeadAccount>) -> Reply<HeadAccount> {
    let (access, account) = readable(&cx, ("HEAD", &req.path), &req.headers).await?;
    let mut answer = reply::empty(StatusCode::NO_CONTENT);
    show(&account, &access, &mut answer.headers);
    Ok(answer)
}

endpoint! {
    /// List the containers of an account.
    ListContainers: GET "/v1/{account}" => 200,
    policy: Public,
    path: AccountPath,
    query: Params,
    reply: With<Download>,
    handler: list_containers,
}
async fn list_containers(cx: Cx, req: Req<ListContainers>) -> Reply<ListContainers> {
    let (access, account) = readable(&cx, ("GET", &req.path), &req.headers).await?;
    let format = listing::format(&req.query, &req.headers)?;
    let wish = listing::wish(&req.query)?;
    let reverse = wish.reverse;
    let mut gather: Gather<ContainerLine> = Gather::new(wish);
    while !gather.full() {
        let missing = gather.missing();
        let page = (missing, reverse);
        let rows = store::listing::containers(cx.db(), &account.name, &gather.bounds, page).await?;
        let last = rows.len() < missing;
        for row in rows {
            let name = row.name.clone();
            gather.take(&name, row);
        }
        if last {
            break;
        }
    }
    let entries: Vec<Entry<ContainerLine>> = gather.entries;
    let mut answer = listing::write(format, ("account", &account.name), &entries);
    show(&account, &access, &mut answer.headers);
    Ok(answer)
}

async fn readable(
    cx: &Cx,
    (method, path): (&str, &AccountPath),
    headers: &HeaderMap,
) -> Result<(Access, Account), Fault> {
    let name = &path.account;
    let access = access::caller(cx, (method, &format!("/v1/{name}")), headers)?;
    if !access.reads_account(name) {
        return Err(denied(&access, name));
    }
    let found = accounts::get(cx.db(), name).await?;
    // It comes to be when something is put into it; until then it is empty.
    let account = found.unwrap_or_else(|| Account {
        name: name.clone(),
        created_at: cx.now(),
        ..Account::default()
    });
    Ok((access, account))
}

fn show(account: &Account, access: &Access, headers: &mut HeaderMap) {
    let figures = [
        ("container-count", account.containers),
        ("object-count", account.objects),
        ("bytes-used", account.bytes),
    ];
    for (name, figure) in figures {
        set(headers, &format!("x-account-{name}"), &figure.to_string());
        let of_policy = format!(
            "x-account-storage-policy-{}-{name}",
            POLICY.to_ascii_lowercase()
        );
        set(headers, &of_policy, &figure.to_string());
    }
    let owner = access.owns(&account.name);
    for (name, value) in &account.meta.0 {
        if owner || !SECRETS.contains(&name.as_str()) {
            set(headers, name, value);
        }
    }
    if let Some(bytes) = account.quota.bytes {
        set(headers, "x-account-meta-quota-bytes", &bytes.to_string());
        set(headers, "x-account-quota-bytes", &bytes.to_string());
    }
    if let Some(objects) = account.quota.objects {
        set(headers, "x-account-quota-count", &objects.to_string());
    }
    set(headers, "accept-ranges", "bytes");
    reply::set_times(headers, account.created_at);
    headers.remove("last-modified");
}

endpoint! {
    /// Change an account's metadata, or delete many objects with `bulk-delete`.
    UpdateAccount: POST "/v1/{account}" => 204,
    policy: Public,
    path: AccountPath,
    query: Params,
    body: Stream,
    reply: With<Download>,
    handler: update_account,
}
async fn update_account(cx: Cx, req: Req<UpdateAccount>) -> Reply<UpdateAccount> {
    let name = req.path.account;
    let access = access::caller(&cx, ("POST", &format!("/v1/{name}")), &req.headers)?;
    if req.query.get("bulk-delete").is_some() {
        return bulk::delete(&cx, &access, (&name, &req.query, &req.headers), req.body).await;
    }
    if !access.owns(&name) {
        return Err(denied(&access, &name));
    }
    change(&cx, &access, &name, &pairs(&req.headers)?).await
}

endpoint! {
    /// Delete many objects with `bulk-delete`.
    DeleteManyObjects: DELETE "/v1/{account}" => 200,
    policy: Public,
    path: AccountPath,
    query: Params,
    body: Stream,
    reply: With<Download>,
    handler: delete_many_objects,
}
async fn delete_many_objects(cx: Cx, req: Req<DeleteManyObjects>) -> Reply<DeleteManyObjects> {
    let name = req.path.account;
    let access = access::caller(&cx, ("DELETE", &format!("/v1/{name}")), &req.headers)?;
    if req.query.get("bulk-delete").is_some() {
        return bulk::delete(&cx, &access, (&name, &req.query, &req.headers), req.body).await;
    }
    if !access.is_known() {
        return Err(denied(&access, &name));
    }
    // Swift says so where accounts are not managed by requests.
    Err(Fault::forbidden("Access was denied to this resource."))
}

async fn change(
    cx: &Cx,
    access: &Access,
    name: &str,
    pairs: &[(String, String)],
) -> Result<Answer, Fault> {
    let now = cx.now();
    let mut tx = cx.write().await?;
    let mut account = accounts::hold(&mut tx, name, now).await?;
    let bytes = quota(
        pairs,
        &["account-meta-quota-bytes", "account-quota-bytes"],
        "bytes",
    )?;
    let objects = quota(pairs, &["account-quota-count"], "count")?;
    if (bytes.is_some() || objects.is_some()) && !access.is_reseller() {
        return Err(Fault::forbidden("Access was denied to this resource."));
    }
    account.quota.bytes = bytes.unwrap_or(account.quota.bytes);
    account.quota.objects = objects.unwrap_or(account.quota.objects);
    account.meta.merge(Of::Account, pairs);
    account.meta.set("x-account-meta-quota-bytes", "");
    account
        .meta
        .check(Of::Account)
        .map_err(Fault::bad_request)?;
    accounts::update(&mut tx, &account).await?;
    tx.commit().await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// What the headers do to a quota: nothing, take it away, or set it.
///
/// # Errors
/// 400 in Swift's words.
pub(crate) fn quota(
    pairs: &[(String, String)],
    names: &[&str],
    what: &str,
) -> Result<Option<Option<i64>>, Fault> {
    for name in names {
        if value(pairs, &format!("x-remove-{name}")).is_some() {
            return Ok(Some(None));
        }
        match value(pairs, &format!("x-{name}")) {
            None => {}
            Some("") => return Ok(Some(None)),
            Some(text) => {
                let figure = text.parse::<i64>().ok().filter(|figure| *figure >= 0);
                let figure =
                    figure.ok_or_else(|| Fault::bad_request(format!("Invalid {what} quota.")))?;
                return Ok(Some(Some(figure)));
            }
        }
    }
    Ok(None)
}
