//! Signing in and out, and what a session may work in.

use http::header;
use nephos_api::{Empty, Fault, Json, Params, Public, Reply, Req, With, endpoint};
use nephos_peer::PeerError;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::signed::{self, Signed};
use super::{fault, guard};
use crate::model::cookie::Travel;
use crate::peers::{self, Project, Proof};
use crate::{Cx, store};

/// Who wants to sign in. It is not shown in logs: there is a password in it.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SignInBody {
    user: String,
    password: String,
    /// The name of the user's domain.
    #[serde(default = "default_domain")]
    domain: String,
}

impl std::fmt::Debug for SignInBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInBody").finish_non_exhaustive()
    }
}

fn default_domain() -> String {
    "Default".to_owned()
}

/// A session as its page sees it. The token is not in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    user: UserView,
    /// Where one may work.
    projects: Vec<Project>,
    /// Until when it lasts, whatever happens.
    #[schema(value_type = String)]
    expires_at: Timestamp,
    /// When it ends unless somebody does something.
    #[schema(value_type = String)]
    ends_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    id: String,
    name: String,
    domain: String,
}

/// What one is on a project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectRolesView {
    id: String,
    roles: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ProjectPath {
    project: String,
}

endpoint! {
    /// Sign in by user name and password.
    CreateSession: POST "/v1/session" => 201,
    policy: Public,
    body: Json<SignInBody>,
    reply: With<Json<SessionView>>,
    handler: create_session,
}
async fn create_session(cx: Cx, req: Req<CreateSession>) -> Reply<CreateSession> {
    let base_url = cx.url("");
    guard::from_own_page(&req.headers, &base_url)?;
    let proof = Proof {
        user: &req.body.user,
        domain: &req.body.domain,
        password: &req.body.password,
    };
    let token = peers::sign_in(&cx.peers, &proof, &cx.request_id).await;
    let token = token.map_err(|error| refused(&error))?;
    let id = signed::begin(&cx, token).await?;
    let travel = Travel::under(&base_url);
    let signed = signed::again(&cx, &id).await?;
    let view = view(&cx, &signed).await?;
    Ok(With::new(Json(view)).header(header::SET_COOKIE, &travel.set(&id.text())))
}

/// Identity says 401 for whatever is wrong, but for a password that has to be changed.
fn refused(error: &PeerError) -> Fault {
    match error.status {
        Some(401) if error.message.to_lowercase().contains("password") => {
            Fault::unauthorized(error.message.clone())
        }
        Some(401 | 404) => Fault::unauthorized(
            "The user name, the domain or the password is not right, or the account is disabled.",
        ),
        _other => fault::peer(error),
    }
}

endpoint! {
    /// Show who is signed in and where they may work.
    ShowSession: GET "/v1/session" => 200,
    policy: Public,
    query: Params,
    reply: Json<SessionView>,
    handler: show_session,
}
async fn show_session(cx: Cx, req: Req<ShowSession>) -> Reply<ShowSession> {
    let signed = signed::find(&cx, &req.headers, &cx.url("")).await?;
    Ok(Json(view(&cx, &signed).await?))
}

endpoint! {
    /// Sign out: the session and its tokens end.
    DeleteSession: DELETE "/v1/session" => 204,
    policy: Public,
    reply: With<Empty>,
    handler: delete_session,
}
async fn delete_session(cx: Cx, req: Req<DeleteSession>) -> Reply<DeleteSession> {
    let base_url = cx.url("");
    guard::from_own_page(&req.headers, &base_url)?;
    let cleared = Travel::under(&base_url).clear();
    let gone = With::new(Empty).header(header::SET_COOKIE, &cleared);
    let Ok(signed) = signed::find(&cx, &req.headers, &base_url).await else {
        return Ok(gone);
    };
    let mut tx = cx.write().await?;
    store::sessions::remove(&mut tx, &signed.row.id_hash).await?;
    tx.commit().await?;
    // The session is over in any case; a token that outlives it is known to nobody.
    if let Err(error) = peers::revoke(&cx.peers, signed.unscoped()).await {
        tracing::info!(%error, "the token of a session was not ended");
    }
    Ok(gone)
}

endpoint! {
    /// Show which roles the user has on a project.
    ShowProject: GET "/v1/projects/{project}" => 200,
    policy: Public,
    path: ProjectPath,
    reply: Json<ProjectRolesView>,
    handler: show_project,
}
async fn show_project(cx: Cx, req: Req<ShowProject>) -> Reply<ShowProject> {
    let signed = signed::find(&cx, &req.headers, &cx.url("")).await?;
    let id = req.path.project;
    let token = signed.token(&cx, &id, &cx.request_id).await?;
    let caller = cx.service().core.verifier.verify(&token);
    let caller = caller.map_err(|_| fault::not_signed_in())?;
    Ok(Json(ProjectRolesView {
        id,
        roles: caller.roles.clone(),
    }))
}

async fn view(cx: &Cx, signed: &Signed) -> Result<SessionView, Fault> {
    let projects = peers::projects(&cx.peers, signed.unscoped()).await;
    let row = &signed.row;
    Ok(SessionView {
        user: UserView {
            id: row.user_id.clone(),
            name: row.user_name.clone(),
            domain: row.domain_name.clone(),
        },
        projects: projects.map_err(|error| fault::peer(&error))?,
        expires_at: row.expires_at,
        ends_at: signed::ends_at(cx, row),
    })
}
