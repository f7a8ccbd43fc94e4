//! Every call to a sibling: in the name of who is signed in, but for the question whether something fits.

use bytes::Bytes;
use http::HeaderName;
use nephos_peer::{Answer, PeerError, Peers};
use nephos_types::{RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A token and what it says.
pub(crate) struct Token {
    pub token: String,
    pub expires_at: Timestamp,
    pub user_id: String,
    pub user_name: String,
    pub domain_name: String,
}

/// A project one may work in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Project {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub domain_id: String,
}

/// Who wants to sign in.
pub(crate) struct Proof<'a> {
    pub user: &'a str,
    pub domain: &'a str,
    pub password: &'a str,
}

/// A token without a scope.
pub(crate) async fn sign_in(
    peers: &Peers,
    proof: &Proof<'_>,
    request_id: &RequestId,
) -> Result<Token, PeerError> {
    let user =
        json!({"name": proof.user, "domain": {"name": proof.domain}, "password": proof.password});
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"unscoped": {}},
    }});
    token(peers, &body, request_id).await
}

/// The token exchanged for one of a project.
pub(crate) async fn scope(
    peers: &Peers,
    unscoped: &str,
    project: &str,
    request_id: &RequestId,
) -> Result<Token, PeerError> {
    let body = json!({"auth": {
        "identity": {"methods": ["token"], "token": {"id": unscoped}},
        "scope": {"project": {"id": project}},
    }});
    token(peers, &body, request_id).await
}

async fn token(peers: &Peers, body: &Value, request_id: &RequestId) -> Result<Token, PeerError> {
    let call = peers
        .post("identity", "/v3/auth/tokens?nocatalog")
        .json(body);
    let answer = call.request_id(request_id).send().await?;
    let subject = HeaderName::from_static("x-subject-token");
    let token = answer.headers.get(subject);
    let token = token.and_then(|value| value.to_str().ok());
    let token = token.unwrap_or_default().to_owned();
    let shown: Shown = answer.json()?;
    Ok(Token {
        token,
        expires_at: shown.token.expires_at,
        user_id: shown.token.user.id,
        user_name: shown.token.user.name,
        domain_name: shown.token.user.domain.name,
    })
}

#[derive(Deserialize)]
struct Shown {
    token: ShownToken,
}

#[derive(Deserialize)]
struct ShownToken {
    expires_at: Timestamp,
    user: ShownUser,
}

#[derive(Deserialize)]
struct ShownUser {
    id: String,
    name: String,
    domain: ShownDomain,
}

#[derive(Deserialize)]
struct ShownDomain {
    name: String,
}

/// The projects that whoever has the token may work in.
pub(crate) async fn projects(peers: &Peers, unscoped: &str) -> Result<Vec<Project>, PeerError> {
    #[derive(Deserialize)]
    struct Listed {
        projects: Vec<Project>,
    }
    let call = peers
        .get("identity", "/v3/auth/projects")
        .as_token(unscoped);
    let listed: Listed = call.send().await?.json()?;
    Ok(listed.projects)
}

/// Ends a token.
pub(crate) async fn revoke(peers: &Peers, token: &str) -> Result<(), PeerError> {
    let call = peers.delete("identity", "/v3/auth/tokens").as_token(token);
    call.header(HeaderName::from_static("x-subject-token"), token)
        .send()
        .await?;
    Ok(())
}

/// One look at a list.
pub(crate) async fn look(
    peers: &Peers,
    (service, target): (&'static str, String),
    token: &str,
) -> Result<Bytes, PeerError> {
    let answer: Answer = peers.get(service, target).as_token(token).send().await?;
    Ok(answer.body)
}

/// What placement says of a request for resources.
#[derive(Debug, Deserialize)]
pub(crate) struct Explanation {
    /// How many hosts could take it.
    pub left: usize,
    pub constraints: Vec<Constraint>,
}

/// One thing that was asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Constraint {
    pub constraint: String,
    pub resource_class: Option<String>,
    pub left: usize,
}

/// Why a server of this size has the hosts it has. Asked in the service's own name: users may not ask placement.
pub(crate) async fn explain(peers: &Peers, resources: &str) -> Result<Explanation, PeerError> {
    let target = format!("/nephos/v1/explain?resources={resources}");
    let call = peers.get("placement", target);
    call.as_service().send().await?.json()
}
