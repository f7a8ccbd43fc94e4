//! Hosts: added by an operator, joined once by a one-time token, and known by a secret of their own from then on. Their
//! tokens carry the host's name and are good for nothing but what that host has to do with itself.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, StatusCode};
use nephos_api::{Empty, Fault, Json, Loaded, Public, Reply, Req, With, endpoint};
use nephos_auth::{Caller, Target};
use nephos_runtime::ids;
use nephos_types::{HostName, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::fault::{not_found, require, unauthorized};
use crate::model::host::{self, Host, fingerprint};
use crate::{Cx, rules, store};

/// How long a one-time token is good, unless it is said, and at most.
const JOIN_SECS: (i64, i64) = (3600, 7 * 24 * 3600);
/// Hosts that a process tells of at once.
const MAX_OWN: usize = 1000;
/// User ids of hosts follow from their names under this one.
const NAMESPACE: Uuid = Uuid::from_u128(0x6e65_7068_6f73_4aaa_8000_0000_686f_7374);

static SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

/// A host as an operator sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostView {
    name: HostName,
    availability_zone: Option<String>,
    added_at: String,
    /// Not until it has joined.
    joined_at: Option<String>,
}

impl From<Host> for HostView {
    fn from(host: Host) -> Self {
        let joined = !host.secret_hash.is_empty();
        Self {
            joined_at: joined.then(|| host.joined_at.iso_micros()),
            added_at: host.added_at.iso_micros(),
            name: host.name,
            availability_zone: host.zone,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OneHost {
    host: HostView,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AllHosts {
    hosts: Vec<HostView>,
}

/// A host to be.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AddBody {
    host: AddedHost,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddedHost {
    name: String,
    #[serde(default)]
    availability_zone: Option<String>,
    /// How long it may join.
    #[serde(default)]
    expires_secs: Option<i64>,
}

/// The one-time token, shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct AddedView {
    host: HostView,
    join_token: String,
    expires_at: String,
}

endpoint! {
    /// Add a host, and give the one-time token with which it joins.
    AddHost: POST "/host/v1/hosts" => 201,
    policy: Loaded<rules::AddHost>,
    body: Json<AddBody>,
    reply: Json<AddedView>,
    handler: add_host,
}
async fn add_host(cx: Cx, req: Req<AddHost>) -> Reply<AddHost> {
    require(&cx, rules::AddHost, &Target::new())?;
    let asked = &req.body.host;
    let zone = asked.availability_zone.clone();
    if let Some(bad) = zone.as_deref().filter(|zone| !host::is_zone(zone)) {
        return Err(Fault::bad_request(format!(
            "{bad:?} cannot be the name of an availability zone."
        )));
    }
    let secs = asked.expires_secs.unwrap_or(JOIN_SECS.0);
    if !(1..=JOIN_SECS.1).contains(&secs) {
        return Err(Fault::bad_request(format!(
            "expires_secs must be from 1 to {}.",
            JOIN_SECS.1
        )));
    }
    let now = cx.now();
    let host = Host {
        name: name(&asked.name)?,
        zone,
        join_until: now.plus_secs(secs),
        secret_hash: String::new(),
        added_at: now,
        joined_at: Timestamp(0),
    };
    let join_token = join_token();
    let mut tx = cx.write().await?;
    store::hosts::add(&mut tx, &host, &fingerprint(&join_token)).await?;
    tx.commit().await?;
    Ok(Json(AddedView {
        expires_at: host.join_until.iso_micros(),
        host: host.into(),
        join_token,
    }))
}

endpoint! {
    /// List hosts.
    ListHosts: GET "/host/v1/hosts" => 200,
    policy: Loaded<rules::ListHosts>,
    reply: Json<AllHosts>,
    handler: list_hosts,
}
async fn list_hosts(cx: Cx, _req: Req<ListHosts>) -> Reply<ListHosts> {
    require(&cx, rules::ListHosts, &Target::new())?;
    let hosts = store::hosts::list(cx.db()).await?;
    Ok(Json(AllHosts {
        hosts: hosts.into_iter().map(HostView::from).collect(),
    }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct HostPath {
    host: String,
}

endpoint! {
    /// Remove a host: its secret and its tokens are good for nothing any more.
    RemoveHost: DELETE "/host/v1/hosts/{host}" => 204,
    policy: Loaded<rules::RemoveHost>,
    path: HostPath,
    reply: Empty,
    handler: remove_host,
}
async fn remove_host(cx: Cx, req: Req<RemoveHost>) -> Reply<RemoveHost> {
    require(&cx, rules::RemoveHost, &Target::new())?;
    let mut tx = cx.write().await?;
    if !store::hosts::remove(&mut tx, &req.path.host).await? {
        return Err(not_found("host", &req.path.host));
    }
    let mut ended = cx.revocation();
    ended.user_id = Some(user_id(&req.path.host));
    cx.commit_revoking(tx, vec![ended]).await?;
    Ok(Empty)
}

/// The hosts that a process of the cloud runs by itself, with the secrets that it has for them.
#[derive(Deserialize, ToSchema)]
pub(crate) struct OwnBody {
    hosts: Vec<OwnHost>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OwnHost {
    name: String,
    secret: String,
}

endpoint! {
    /// Let the hosts of a process that knows the cloud's secrets be hosts, without one-time tokens.
    PutHosts: PUT "/host/v1/hosts" => 204,
    policy: Loaded<rules::PutHosts>,
    body: Json<OwnBody>,
    reply: Empty,
    handler: put_hosts,
}
async fn put_hosts(cx: Cx, req: Req<PutHosts>) -> Reply<PutHosts> {
    require(&cx, rules::PutHosts, &Target::new())?;
    if req.body.hosts.len() > MAX_OWN {
        return Err(Fault::bad_request(format!(
            "At most {MAX_OWN} hosts at once."
        )));
    }
    let known = store::hosts::list(cx.db()).await?;
    if new_secrets(&known, &req.body)?.is_empty() {
        return Ok(Empty);
    }
    let mut tx = cx.write().await?;
    let known = store::hosts::list_in(&mut tx).await?;
    let mut ended = Vec::new();
    for (name, hash, known_before) in new_secrets(&known, &req.body)? {
        store::hosts::put_own(&mut tx, cx.now(), &name, &hash).await?;
        if known_before {
            let mut revocation = cx.revocation();
            revocation.user_id = Some(user_id(name.as_str()));
            ended.push(revocation);
        }
    }
    cx.commit_revoking(tx, ended).await?;
    Ok(Empty)
}

/// The hosts that come with another secret than is known of them, its fingerprint, and whether one was known.
fn new_secrets(known: &[Host], own: &OwnBody) -> Result<Vec<(HostName, String, bool)>, Fault> {
    let known: BTreeMap<&str, &Host> = known
        .iter()
        .map(|host| (host.name.as_str(), host))
        .collect();
    let mut new = Vec::new();
    for own in &own.hosts {
        let (name, secret) = (name(&own.name)?, checked(&own.secret)?);
        let host = known.get(own.name.as_str());
        if host.is_some_and(|host| host.is_known_by(secret)) {
            continue;
        }
        let known_before = host.is_some_and(|host| !host.secret_hash.is_empty());
        new.push((name, fingerprint(secret), known_before));
    }
    Ok(new)
}

/// What a host that joins brings: the one-time token, and the secret that it has made for itself.
#[derive(Deserialize, ToSchema)]
pub(crate) struct JoinBody {
    join: Joining,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Joining {
    token: String,
    secret: String,
}

endpoint! {
    /// Join: exchange a one-time token for the right to ask for tokens with a secret of one's own. Asked again with both
    /// the same, it answers the same.
    JoinHost: POST "/host/v1/join" => 200,
    policy: Public,
    body: Json<JoinBody>,
    reply: Json<OneHost>,
    handler: join_host,
}
async fn join_host(cx: Cx, req: Req<JoinHost>) -> Reply<JoinHost> {
    let Joining { token, secret } = &req.body.join;
    let (token, secret) = (fingerprint(token), fingerprint(checked(secret)?));
    let refused = || {
        Fault::unauthorized(
            "This one-time token is not known, its time is over, or another has joined with it. \
             `nephos host add NAME` gives a new one.",
        )
    };
    let now = cx.now();
    let mut tx = cx.write().await?;
    let mut host = store::hosts::of_join(&mut tx, &token)
        .await?
        .ok_or_else(refused)?;
    if !store::hosts::join(&mut tx, now, &token, &secret).await? {
        return Err(refused());
    }
    let mut ended = Vec::new();
    if !host.secret_hash.is_empty() && host.secret_hash != secret {
        let mut revocation = cx.revocation();
        revocation.user_id = Some(user_id(host.name.as_str()));
        ended.push(revocation);
    }
    cx.commit_revoking(tx, ended).await?;
    (host.secret_hash, host.joined_at) = (secret, now);
    Ok(Json(OneHost { host: host.into() }))
}

/// Who asks for a token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct KeyBody {
    host: HostKey,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HostKey {
    name: String,
    secret: String,
}

/// When a token ends; the token itself is in the header.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostTokenView {
    token: HostTokenEnd,
}

#[derive(Debug, Serialize, ToSchema)]
struct HostTokenEnd {
    expires_at: String,
}

endpoint! {
    /// Make the token of a host.
    CreateHostToken: POST "/host/v1/tokens" => 201,
    policy: Public,
    body: Json<KeyBody>,
    reply: With<Json<HostTokenView>>,
    handler: create_host_token,
}
async fn create_host_token(cx: Cx, req: Req<CreateHostToken>) -> Reply<CreateHostToken> {
    // Before anything else is looked at: what is revoked from here on ends this token.
    let trust_revision = cx.trust_revision().await?;
    let HostKey { name, secret } = &req.body.host;
    let host = store::hosts::get(cx.db(), name).await?;
    let host = host.filter(|host| host.is_known_by(secret));
    let host = host.ok_or_else(|| unauthorized(&cx))?;
    let now = cx.now();
    let caller = Caller {
        issued_at: now,
        expires_at: now.plus_secs(i64::from(cx.config.token_lifetime_secs)),
        trust_revision,
        audit_ids: vec![URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())],
        host_zone: host.zone,
        ..Caller::of_host(user_id(name), host.name)
    };
    let issuer = cx.issuer().ok_or_else(|| {
        Fault::unavailable("There is no key to sign with yet. `nephos bootstrap` makes one.")
    })?;
    let token = issuer.sign(&caller);
    let token = token.map_err(|_| Fault::internal("The token could not be signed."))?;
    let view = HostTokenView {
        token: HostTokenEnd {
            expires_at: caller.expires_at.iso_micros(),
        },
    };
    Ok(With::new(Json(view))
        .status(StatusCode::CREATED)
        .header(SUBJECT.clone(), &token))
}

fn user_id(host: &str) -> UserId {
    UserId(ids::derived(&NAMESPACE, host).simple().to_string())
}

/// In hexadecimal digits: it stands on a command line, where a dash in front would make it an option.
fn join_token() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

fn name(text: &str) -> Result<HostName, Fault> {
    host::parse_name(text).ok_or_else(|| {
        Fault::bad_request(format!(
            "{text:?} cannot be the name of a host: letters, digits, '-', '.' and '_' can, beginning with a letter or \
             digit."
        ))
    })
}

fn checked(secret: &str) -> Result<&str, Fault> {
    let words = "The secret of a host is 256 random bits, in 43 to 128 characters.";
    host::is_secret(secret)
        .then_some(secret)
        .ok_or_else(|| Fault::bad_request(words))
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<crate::Svc> {
    nephos_api::routes![
        AddHost,
        CreateHostToken,
        JoinHost,
        ListHosts,
        PutHosts,
        RemoveHost,
    ]
}
