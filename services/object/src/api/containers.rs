//! Containers: their metadata, access lists and quotas, and lists of objects.

use http::{HeaderMap, StatusCode};
use nephos_api::{Download, Fault, Params, Public, Reply, Req, With, endpoint};

use super::access::{self, ContainerPath, Wish, denied};
use super::accounts::quota;
use super::fault::{conflict, not_found};
use super::headers::{pairs, value};
use super::info::POLICY;
use super::listing;
use super::reply::{self, set};
use crate::Cx;
use crate::model::listing::{Entry, Gather};
use crate::model::meta::{Meta, Of};
use crate::model::object::{Container, ContainerId, Quota};
use crate::model::{acl, names};
use crate::ops::access::Access;
use crate::store::listing::ObjectLine;
use crate::store::{self, accounts, containers};

/// What only the owner sees.
const SECRETS: [&str; 4] = [
    "x-container-meta-temp-url-key",
    "x-container-meta-temp-url-key-2",
    "x-container-read",
    "x-container-write",
];
/// Where older versions go, by what is done with them.
const VERSIONS: [&str; 2] = ["x-versions-location", "x-history-location"];

fn target(path: &ContainerPath) -> String {
    format!("/v1/{}/{}", path.account, path.container)
}

endpoint! {
    /// Show a container's metadata.
    HeadContainer: HEAD "/v1/{account}/{container}" => 204,
    policy: Public,
    path: ContainerPath,
    reply: With<Download>,
    handler: head_container,
}
async fn head_container(cx: Cx, req: Req<HeadContainer>) -> Reply<HeadContainer> {
    let access = access::caller(&cx, ("HEAD", &target(&req.path)), &req.headers)?;
    let place = (req.path.account.as_str(), req.path.container.as_str());
    let container = access::container(&cx, &access, place, Wish::List).await?;
    let mut answer = reply::empty(StatusCode::NO_CONTENT);
    show(&container, &access, &mut answer.headers);
    Ok(answer)
}

endpoint! {
    /// List the objects of a container.
    ListObjects: GET "/v1/{account}/{container}" => 200,
    policy: Public,
    path: ContainerPath,
    query: Params,
    reply: With<Download>,
    handler: list_objects,
}
async fn list_objects(cx: Cx, req: Req<ListObjects>) -> Reply<ListObjects> {
    let access = access::caller(&cx, ("GET", &target(&req.path)), &req.headers)?;
    let place = (req.path.account.as_str(), req.path.container.as_str());
    let container = access::container(&cx, &access, place, Wish::List).await?;
    let format = listing::format(&req.query, &req.headers)?;
    let wish = listing::wish(&req.query)?;
    let entries = gathered(&cx, &container.id, wish).await?;
    let mut answer = listing::write(format, ("container", &container.name), &entries);
    show(&container, &access, &mut answer.headers);
    Ok(answer)
}

/// The entries of a list of objects.
async fn gathered(
    cx: &Cx,
    container: &ContainerId,
    wish: crate::model::listing::Wish,
) -> Result<Vec<Entry<ObjectLine>>, Fault> {
    let reverse = wish.reverse;
    let mut gather = Gather::new(wish);
    while !gather.full() {
        let missing = gather.missing();
        let page = (missing, reverse);
        let rows = store::listing::objects(cx.db(), container, &gather.bounds, page).await?;
        let last = rows.len() < missing;
        for row in rows {
            let name = row.name.clone();
            gather.take(&name, row);
        }
        if last {
            break;
        }
    }
    Ok(gather.entries)
}

fn show(container: &Container, access: &Access, headers: &mut HeaderMap) {
    set(
        headers,
        "x-container-object-count",
        &container.objects.to_string(),
    );
    set(
        headers,
        "x-container-bytes-used",
        &container.bytes.to_string(),
    );
    set(headers, "x-storage-policy", POLICY);
    set(headers, "accept-ranges", "bytes");
    let owner = access.owns(&container.account);
    for (name, value) in &container.meta.0 {
        if owner || !SECRETS.contains(&name.as_str()) {
            set(headers, name, value);
        }
    }
    reply::set_times(headers, container.updated_at);
    set(
        headers,
        "x-timestamp",
        &crate::model::versions::stamp(container.created_at),
    );
}

endpoint! {
    /// Create a container, or change one that is there.
    CreateContainer: PUT "/v1/{account}/{container}" => 201,
    policy: Public,
    path: ContainerPath,
    reply: With<Download>,
    handler: create_container,
}
async fn create_container(cx: Cx, req: Req<CreateContainer>) -> Reply<CreateContainer> {
    let access = access::caller(&cx, ("PUT", &target(&req.path)), &req.headers)?;
    let (account, name) = (req.path.account, req.path.container);
    if !access.owns(&account) {
        return Err(denied(&access, &account));
    }
    names::check_container(&name).map_err(Fault::bad_request)?;
    let pairs = pairs(&req.headers)?;
    let now = cx.now();
    let mut tx = cx.write().await?;
    accounts::hold(&mut tx, &account, now).await?;
    if let Some(mut found) = containers::hold(&mut tx, (&account, &name)).await? {
        apply(&mut found, &pairs)?;
        containers::update(&mut tx, &found, now).await?;
        tx.commit().await?;
        return Ok(reply::empty(StatusCode::ACCEPTED));
    }
    let mut container = Container {
        id: ContainerId::from(nephos_runtime::ids::uuid()),
        account,
        name,
        meta: Meta::default(),
        objects: 0,
        bytes: 0,
        quota: Quota::default(),
        created_at: now,
        updated_at: now,
    };
    apply(&mut container, &pairs)?;
    if !containers::insert(&mut tx, &container).await? {
        return Err(conflict());
    }
    accounts::count_container(&mut tx, &container.account, 1).await?;
    tx.commit().await?;
    Ok(reply::empty(StatusCode::CREATED))
}

endpoint! {
    /// Change a container's metadata, access lists and quotas.
    UpdateContainer: POST "/v1/{account}/{container}" => 204,
    policy: Public,
    path: ContainerPath,
    reply: With<Download>,
    handler: update_container,
}
async fn update_container(cx: Cx, req: Req<UpdateContainer>) -> Reply<UpdateContainer> {
    let access = access::caller(&cx, ("POST", &target(&req.path)), &req.headers)?;
    let place = (req.path.account.as_str(), req.path.container.as_str());
    access::container(&cx, &access, place, Wish::Own).await?;
    let pairs = pairs(&req.headers)?;
    let mut tx = cx.write().await?;
    let found = containers::hold(&mut tx, place).await?;
    let mut container = found.ok_or_else(not_found)?;
    apply(&mut container, &pairs)?;
    containers::update(&mut tx, &container, cx.now()).await?;
    tx.commit().await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Takes what the headers say into the container.
fn apply(container: &mut Container, pairs: &[(String, String)]) -> Result<(), Fault> {
    if value(pairs, "x-versions-enabled").is_some() {
        return Err(Fault::bad_request(
            "Object Versioning is disabled; X-Versions-Location and X-History-Location are there.",
        ));
    }
    if let Some(policy) = value(pairs, "x-storage-policy")
        && !policy.is_empty()
        && !policy.eq_ignore_ascii_case(POLICY)
    {
        return Err(Fault::bad_request(format!(
            "Invalid X-Storage-Policy '{policy}'"
        )));
    }
    for header in ["x-container-read", "x-container-write"] {
        if let Some(given) = value(pairs, header) {
            let cleaned = acl::clean(header, given);
            let cleaned =
                cleaned.map_err(|why| Fault::bad_request(format!("Input was not valid: {why}")))?;
            container.meta.set(header, &cleaned);
        }
        if value(pairs, &header.replacen("x-", "x-remove-", 1)).is_some() {
            container.meta.set(header, "");
        }
    }
    place_versions(container, pairs)?;
    container.meta.merge(Of::Container, pairs);
    container
        .meta
        .check(Of::Container)
        .map_err(Fault::bad_request)?;
    if let Some(bytes) = quota(pairs, &["container-meta-quota-bytes"], "bytes")? {
        container.quota.bytes = bytes;
    }
    if let Some(objects) = quota(pairs, &["container-meta-quota-count"], "count")? {
        container.quota.objects = objects;
    }
    Ok(())
}

fn place_versions(container: &mut Container, pairs: &[(String, String)]) -> Result<(), Fault> {
    let given = VERSIONS.map(|header| value(pairs, header).filter(|place| !place.is_empty()));
    if given.iter().all(Option::is_some) {
        return Err(Fault::bad_request(
            "Only one of X-Versions-Location or X-History-Location may be specified",
        ));
    }
    for (header, place) in VERSIONS.into_iter().zip(given) {
        let removed = value(pairs, &header.replacen("x-", "x-remove-", 1)).is_some()
            || value(pairs, header) == Some("");
        if let Some(place) = place {
            let plain = percent_encoding::percent_decode_str(place).decode_utf8_lossy();
            let plain = plain.trim_matches('/');
            if plain.is_empty() || plain.contains('/') || plain == container.name {
                return Err(super::fault::precondition(
                    "X-Versions-Location header must be the name of another container",
                ));
            }
            names::check_container(plain).map_err(Fault::bad_request)?;
            for other in VERSIONS {
                container.meta.set(other, "");
            }
            container.meta.set(header, plain);
            return Ok(());
        }
        if removed {
            for other in VERSIONS {
                container.meta.set(other, "");
            }
        }
    }
    Ok(())
}

endpoint! {
    /// Delete an empty container.
    DeleteContainer: DELETE "/v1/{account}/{container}" => 204,
    policy: Public,
    path: ContainerPath,
    reply: With<Download>,
    handler: delete_container,
}
async fn delete_container(cx: Cx, req: Req<DeleteContainer>) -> Reply<DeleteContainer> {
    let access = access::caller(&cx, ("DELETE", &target(&req.path)), &req.headers)?;
    let place = (req.path.account.as_str(), req.path.container.as_str());
    let container = access::container(&cx, &access, place, Wish::Own).await?;
    if !cx.remove_container(&container).await? {
        return Err(conflict());
    }
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
