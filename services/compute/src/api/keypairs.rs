//! `/os-keypairs`.

use nephos_api::{Empty, Fault, Json, Params, Reply, Req, Shape, endpoint};
use nephos_db::{Direction, Page, args};
use nephos_types::UserId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::versions::{KEYPAIR_CREATE, KEYPAIR_VIEW};
use super::{Cx, fault, page_limit};
use crate::model::keypair::{KeyPair, fingerprint, generate};
use crate::{rules, store};

#[derive(Debug, Deserialize)]
pub(crate) struct KeyPairPath {
    pub name: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyPairView {
    name: String,
    public_key: String,
    fingerprint: String,
    #[serde(rename = "type")]
    kind: String,
    user_id: String,
    /// Only where a key was made, and only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyPairReply {
    keypair: KeyPairView,
}

fn view(key: KeyPair, private_key: Option<String>) -> KeyPairView {
    KeyPairView {
        name: key.name,
        public_key: key.public_key,
        fingerprint: key.fingerprint,
        kind: key.kind,
        user_id: key.user_id.into(),
        private_key,
    }
}

/// Whose keys: one's own; an admin may name another user from 2.10 on.
fn user(cx: &Cx, asked: Option<&str>) -> Result<UserId, Fault> {
    match asked {
        Some(asked) if asked != cx.caller.user_id.as_str() => {
            if !cx.caller.is_admin() {
                return Err(Fault::forbidden(
                    "Only an administrator sees other users' key pairs.",
                ));
            }
            Ok(UserId::from(asked))
        }
        _own => Ok(cx.caller.user_id.clone()),
    }
}

endpoint! {
    /// List key pairs.
    ListKeyPairs: GET "/v2.1/os-keypairs" => 200,
    policy: rules::ListKeyPairs,
    query: Params,
    reply: Json<Value>,
    handler: list_keypairs,
}

async fn list_keypairs(cx: Cx, req: Req<ListKeyPairs>) -> Reply<ListKeyPairs> {
    let user = user(&cx, req.query.get("user_id"))?;
    let limit = page_limit(req.query.get("limit"))?;
    let after = match req.query.get("marker") {
        None => None,
        Some(marker) => {
            let missing = || Fault::bad_request(format!("Marker {marker} not found."));
            let at = store::keypairs::get(cx.db(), user.as_str(), marker)
                .await?
                .ok_or_else(missing)?;
            Some(args![at.name])
        }
    };
    let page = Page {
        sort: vec![("name", Direction::Asc)],
        after,
        limit: Some(limit),
    };
    let keys = store::keypairs::list(cx.db(), user.as_str(), page).await?;
    let typed = cx.version >= nephos_api::version::v(2, 2);
    let entry = |key: &KeyPair| {
        let mut inner =
            json!({"name": key.name, "public_key": key.public_key, "fingerprint": key.fingerprint});
        if let (true, Some(inner)) = (typed, inner.as_object_mut()) {
            inner.insert("type".into(), json!(key.kind));
        }
        json!({ "keypair": inner })
    };
    let mut reply = json!({"keypairs": keys.iter().map(entry).collect::<Vec<_>>()});
    let full = keys.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    if let (true, Some(last), Some(reply)) = (full, keys.last(), reply.as_object_mut()) {
        let href = super::server_list::next_url(&cx, "/v2.1/os-keypairs", &req.query, &last.name);
        reply.insert(
            "keypairs_links".into(),
            json!([{"rel": "next", "href": href}]),
        );
    }
    Ok(Json(reply))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct KeyPairBody {
    keypair: NewKeyPair,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct NewKeyPair {
    name: String,
    #[serde(default)]
    public_key: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
}

endpoint! {
    /// Import or (below 2.92) make a key pair.
    CreateKeyPair: POST "/v2.1/os-keypairs" => 201,
    versions: 2.2..,
    policy: rules::CreateKeyPair,
    body: Json<KeyPairBody> as Shape::one("keypair", KEYPAIR_CREATE).keys(&["name", "public_key", "type", "user_id"]),
    reply: Json<KeyPairReply> as Shape::one("keypair", KEYPAIR_VIEW),
    handler: create_keypair,
}

async fn create_keypair(cx: Cx, req: Req<CreateKeyPair>) -> Reply<CreateKeyPair> {
    create(cx, req.body.0.keypair).await
}

endpoint! {
    /// Import or make a key pair, as it was.
    CreateKeyPairOld: POST "/v2.1/os-keypairs" => 200,
    versions: 2.1..=2.1,
    policy: rules::CreateKeyPair,
    body: Json<KeyPairBody> as Shape::one("keypair", KEYPAIR_CREATE).keys(&["name", "public_key", "type", "user_id"]),
    reply: Json<KeyPairReply> as Shape::one("keypair", KEYPAIR_VIEW),
    handler: create_keypair_old,
}

async fn create_keypair_old(cx: Cx, req: Req<CreateKeyPairOld>) -> Reply<CreateKeyPairOld> {
    create(cx, req.body.0.keypair).await
}

async fn create(cx: Cx, new: NewKeyPair) -> Result<Json<KeyPairReply>, Fault> {
    let user = user(&cx, new.user_id.as_deref())?;
    let name = check_name(&new.name, cx.version >= nephos_api::version::v(2, 92))?;
    if new.kind.as_deref().unwrap_or("ssh") != "ssh" {
        let given = new.kind.unwrap_or_default();
        let said = "is not one of ['ssh']: this cloud keeps no certificates";
        return Err(fault::invalid_text("type", &given, said));
    }
    let (public_key, private_key) = match new.public_key {
        Some(text) => (text.trim().to_owned(), None),
        // 2.92: keys are made by those who use them.
        None if cx.version >= nephos_api::version::v(2, 92) => {
            return Err(Fault::bad_request("'public_key' is a required property"));
        }
        None => {
            let made = generate(&name).map_err(|why| {
                tracing::error!(why, "a key cannot be made");
                Fault::internal("The key could not be made.")
            })?;
            (made.public, Some(made.private))
        }
    };
    let fingerprint = fingerprint(&public_key).map_err(Fault::bad_request)?;
    let key = KeyPair {
        user_id: user,
        name,
        kind: "ssh".into(),
        public_key,
        fingerprint,
        created_at: cx.now(),
    };
    // What a user may have is said by the project in which they ask.
    let project = cx
        .caller
        .project_id()
        .map_or("", |project| project.as_str());
    let limits = store::quota::limits(cx.db(), project).await?;
    let limit = limits.get("key_pairs").copied().unwrap_or(100);
    let mut tx = cx.write().await?;
    if limit >= 0 && store::keypairs::count(&mut tx, key.user_id.as_str()).await? >= limit {
        return Err(Fault::forbidden(format!(
            "Quota exceeded, too many key pairs: {limit} are allowed. Delete what is not needed."
        )));
    }
    if !store::keypairs::insert(&mut tx, &key).await? {
        return Err(Fault::conflict(format!(
            "Key pair '{}' already exists.",
            key.name
        )));
    }
    tx.commit().await?;
    Ok(Json(KeyPairReply {
        keypair: view(key, private_key),
    }))
}

fn check_name(name: &str, wide: bool) -> Result<String, Fault> {
    // Nova: letters, digits, blank, `_` and `-`; from 2.92 on also `@` and `.`.
    let allowed = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, ' ' | '_' | '-')
            || (wide && matches!(c, '@' | '.'))
    };
    let trimmed = name.trim();
    if trimmed.is_empty() || name.chars().count() > 255 || !trimmed.chars().all(allowed) {
        return Err(Fault::bad_request(
            "Keypair data is invalid: Keypair name must be 1 to 255 characters long and hold only letters, digits, \
             blanks, '_' and '-'.",
        ));
    }
    Ok(trimmed.to_owned())
}

endpoint! {
    /// Show a key pair.
    ShowKeyPair: GET "/v2.1/os-keypairs/{name}" => 200,
    policy: rules::ShowKeyPair,
    path: KeyPairPath,
    query: Params,
    reply: Json<Value>,
    handler: show_keypair,
}

async fn show_keypair(cx: Cx, req: Req<ShowKeyPair>) -> Reply<ShowKeyPair> {
    let user = user(&cx, req.query.get("user_id"))?;
    let found = store::keypairs::get(cx.db(), user.as_str(), &req.path.name).await?;
    let key = found.ok_or_else(|| missing(&user, &req.path.name))?;
    let mut shown = json!({
        "name": key.name, "public_key": key.public_key, "fingerprint": key.fingerprint, "user_id": key.user_id,
        "created_at": key.created_at.iso_naive(), "deleted": false, "deleted_at": null, "updated_at": null, "id": 0,
    });
    if let (true, Some(shown)) = (
        cx.version >= nephos_api::version::v(2, 2),
        shown.as_object_mut(),
    ) {
        shown.insert("type".into(), json!(key.kind));
    }
    Ok(Json(json!({ "keypair": shown })))
}

fn missing(user: &UserId, name: &str) -> Fault {
    Fault::not_found(format!("Keypair {name} not found for user {user}"))
}

endpoint! {
    /// Delete a key pair. Servers keep the key they were made with.
    DeleteKeyPair: DELETE "/v2.1/os-keypairs/{name}" => 204,
    versions: 2.2..,
    policy: rules::DeleteKeyPair,
    path: KeyPairPath,
    query: Params,
    reply: Empty,
    handler: delete_keypair,
}

async fn delete_keypair(cx: Cx, req: Req<DeleteKeyPair>) -> Reply<DeleteKeyPair> {
    delete(&cx, req.query.get("user_id"), &req.path.name).await
}

endpoint! {
    /// Delete a key pair, as it was.
    DeleteKeyPairOld: DELETE "/v2.1/os-keypairs/{name}" => 202,
    versions: 2.1..=2.1,
    policy: rules::DeleteKeyPair,
    path: KeyPairPath,
    reply: Empty,
    handler: delete_keypair_old,
}

async fn delete_keypair_old(cx: Cx, req: Req<DeleteKeyPairOld>) -> Reply<DeleteKeyPairOld> {
    delete(&cx, None, &req.path.name).await
}

async fn delete(cx: &Cx, asked: Option<&str>, name: &str) -> Result<Empty, Fault> {
    let user = user(cx, asked)?;
    let mut tx = cx.write().await?;
    if !store::keypairs::remove(&mut tx, user.as_str(), name).await? {
        return Err(missing(&user, name));
    }
    tx.commit().await?;
    Ok(Empty)
}
