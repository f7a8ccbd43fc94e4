//! Credentials that are kept for others, and EC2 access keys, which are credentials of the type `ec2`.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Rule, Target};
use nephos_db::Tx;
use nephos_runtime::ids;
use nephos_types::{ProjectId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::fault::{not_found, reach, require, taken};
use super::list;
use super::shape::{Keyed, Many, Named, One, Under};
use super::users::clean;
use crate::model::access::Credential;
use crate::model::extra::Extra;
use crate::{Cx, Svc, rules, store};

impl Named for Credential {
    const ONE: &'static str = "credential";
    const MANY: &'static str = "credentials";
    const PATH: &'static str = "/v3/credentials";
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct CredentialPath {
    credential_id: String,
}

/// A credential to be: `type`, `user_id` and `blob` are needed to create one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CredentialBody {
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    project_id: Option<Option<String>>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    blob: Option<String>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for CredentialBody {
    const KEY: &'static str = "credential";
}

impl std::fmt::Debug for CredentialBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialBody")
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

const RESERVED: [&str; 2] = ["id", "links"];
/// Keys of an EC2 blob that bind it to what it was made with.
const BOUND: [&str; 4] = ["trust_id", "app_cred_id", "access_token_id", "access_id"];

fn of_user(user_id: Option<&str>) -> Target {
    Target::new().with("target.credential.user_id", user_id)
}

/// A lent token reaches only credentials of its own project, and may not make access keys that outlive it.
fn check_lent(cx: &Cx, project_id: Option<&ProjectId>) -> Result<(), Fault> {
    let lent = cx.caller.trust.is_some() || cx.caller.app_credential_id.is_some();
    if lent && project_id != cx.caller.project_id() {
        return Err(Fault::forbidden(
            "Credential project does not match the project scope of the delegated token.",
        ));
    }
    Ok(())
}

/// The blob of an access key: a JSON object with `access`.
fn ec2_blob(blob: &str) -> Result<Map<String, Value>, Fault> {
    let parsed: Result<Map<String, Value>, _> = serde_json::from_str(blob);
    let blob = parsed.map_err(|_| Fault::bad_request("Invalid blob in credential"))?;
    if blob.get("access").is_none_or(|access| !access.is_string()) {
        return Err(Fault::bad_request(
            "Expecting to find access in credential.",
        ));
    }
    Ok(blob)
}

/// The id of an access key follows from the key, so that it can be found by it.
pub(super) fn id_of_access(access: &str) -> String {
    format!("{:x}", Sha256::digest(access.as_bytes()))
}

endpoint! {
    /// Create a credential.
    CreateCredential: POST "/v3/credentials" => 201,
    policy: Loaded<rules::CreateCredential>,
    body: Json<Under<CredentialBody>>,
    reply: Json<One<Credential>>,
    handler: create_credential,
}
async fn create_credential(cx: Cx, req: Req<CreateCredential>) -> Reply<CreateCredential> {
    let Json(Under(body)) = req.body;
    require(
        &cx,
        rules::CreateCredential,
        &of_user(body.user_id.as_deref()),
    )?;
    let needed = |key: &str| Fault::bad_request(format!("'{key}' is a required property"));
    let mut credential = Credential {
        id: ids::hex(),
        user_id: UserId(body.user_id.ok_or_else(|| needed("user_id"))?),
        project_id: body.project_id.flatten().map(ProjectId),
        kind: body.kind.ok_or_else(|| needed("type"))?,
        blob: body.blob.ok_or_else(|| needed("blob"))?,
        extra: body.extra,
    };
    clean(&mut credential.extra, &RESERVED, None)?;
    check_lent(&cx, credential.project_id.as_ref())?;
    let project = project_of(&cx, &credential).await?;
    if credential.kind.eq_ignore_ascii_case("ec2") {
        if credential.project_id.is_none() {
            return Err(needed("project_id"));
        }
        let mut blob = ec2_blob(&credential.blob)?;
        bind(&cx, &mut blob);
        let access = blob
            .get("access")
            .and_then(Value::as_str)
            .unwrap_or_default();
        credential.id = id_of_access(access);
        credential.blob = Value::Object(blob).to_string();
    }
    insert(&cx, &credential, project).await?;
    Ok(Json(One::new(&cx, credential)))
}

/// What was made with a lent token stays bound to the trust or application credential.
fn bind(cx: &Cx, blob: &mut Map<String, Value>) {
    if let Some(trust) = &cx.caller.trust {
        blob.insert("trust_id".to_owned(), json!(trust.id));
    }
    if let Some(app) = &cx.caller.app_credential_id {
        blob.insert("app_cred_id".to_owned(), json!(app));
    }
}

/// What is known of the project of a credential.
enum Project {
    Known,
    Named,
}

async fn project_of(cx: &Cx, credential: &Credential) -> Result<Project, Fault> {
    Ok(match &credential.project_id {
        Some(id) if store::projects::get(cx.db(), id.as_str()).await?.is_some() => Project::Known,
        _none_or_never_was => Project::Named,
    })
}

/// Makes sure that a project that was seen is still there.
async fn still_there(tx: &mut Tx, credential: &Credential, project: Project) -> Result<(), Fault> {
    if let (Project::Known, Some(id)) = (project, &credential.project_id) {
        store::projects::there(tx, id.as_str()).await?;
    }
    Ok(())
}

/// Stores a credential of a user that is there. `Known`: its project was seen and has to be there still; otherwise it may
/// name one that there never was, as Keystone's may.
async fn insert(cx: &Cx, credential: &Credential, project: Project) -> Result<(), Fault> {
    if store::users::get(cx.db(), credential.user_id.as_str())
        .await?
        .is_none()
    {
        return Err(not_found("user", credential.user_id.as_str()));
    }
    let mut tx = cx.write().await?;
    still_there(&mut tx, credential, project).await?;
    let inserted = store::access::insert_credential(&mut tx, credential).await;
    inserted.map_err(|error| taken(error, "credential", format!("ID {}", credential.id)))?;
    Ok(tx.commit().await?)
}

endpoint! {
    /// List credentials: those that the caller may see.
    ListCredentials: GET "/v3/credentials" => 200,
    policy: Loaded<rules::ListCredentials>,
    query: Params,
    reply: Json<Many<Credential>>,
    handler: list_credentials,
}
async fn list_credentials(cx: Cx, req: Req<ListCredentials>) -> Reply<ListCredentials> {
    require(
        &cx,
        rules::ListCredentials,
        &of_user(Some(cx.caller.user_id.as_str())),
    )?;
    let (user, kind) = (req.query.get("user_id"), req.query.get("type"));
    let mut found = store::access::credentials(cx.db(), user, kind).await?;
    found.retain(|credential| {
        let target = of_user(Some(credential.user_id.as_str()));
        cx.may(rules::GetCredential, &target)
            && check_lent(&cx, credential.project_id.as_ref()).is_ok()
    });
    list::reply(
        &cx,
        ("/v3/credentials", &req.query),
        &["user_id", "type"],
        found,
    )
}

async fn load<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<Credential, Fault> {
    let found = store::access::credential(cx.db(), id).await?;
    let credential = reach(cx, rule, (id, found))?.into_inner();
    check_lent(cx, credential.project_id.as_ref())?;
    Ok(credential)
}

endpoint! {
    /// Show a credential.
    ShowCredential: GET "/v3/credentials/{credential_id}" => 200,
    policy: Loaded<rules::GetCredential>,
    path: CredentialPath,
    reply: Json<One<Credential>>,
    handler: show_credential,
}
async fn show_credential(cx: Cx, req: Req<ShowCredential>) -> Reply<ShowCredential> {
    let credential = load(&cx, rules::GetCredential, &req.path.credential_id).await?;
    Ok(Json(One::new(&cx, credential)))
}

endpoint! {
    /// Change a credential.
    UpdateCredential: PATCH "/v3/credentials/{credential_id}" => 200,
    policy: Loaded<rules::UpdateCredential>,
    path: CredentialPath,
    body: Json<Under<CredentialBody>>,
    reply: Json<One<Credential>>,
    handler: update_credential,
}
async fn update_credential(cx: Cx, req: Req<UpdateCredential>) -> Reply<UpdateCredential> {
    let before = load(&cx, rules::UpdateCredential, &req.path.credential_id).await?;
    let mut credential = before.clone();
    let Json(Under(mut body)) = req.body;
    clean(&mut body.extra, &RESERVED, Some(&credential.id))?;
    if let Some(blob) = &body.blob
        && credential.kind.eq_ignore_ascii_case("ec2")
    {
        let (old, new) = (ec2_blob(&credential.blob)?, ec2_blob(blob)?);
        if let Some(key) = BOUND.iter().find(|key| old.get(**key) != new.get(**key)) {
            return Err(Fault::bad_request(format!(
                "{key} can not be updated for credential"
            )));
        }
    }
    if let Some(user_id) = body.user_id {
        // Nobody gives a credential to somebody for whom they could not have made it.
        require(&cx, rules::UpdateCredential, &of_user(Some(&user_id)))?;
        if store::users::get(cx.db(), &user_id).await?.is_none() {
            return Err(not_found("user", &user_id));
        }
        credential.user_id = UserId(user_id);
    }
    if let Some(project_id) = body.project_id {
        credential.project_id = project_id.map(ProjectId);
        check_lent(&cx, credential.project_id.as_ref())?;
    }
    credential.kind = body.kind.unwrap_or(credential.kind);
    if credential.kind.eq_ignore_ascii_case("ec2") && credential.project_id.is_none() {
        return Err(Fault::bad_request("'project_id' is a required property"));
    }
    credential.blob = body.blob.unwrap_or(credential.blob);
    credential.extra.merge(body.extra);
    let project = project_of(&cx, &credential).await?;
    let mut tx = cx.write().await?;
    still_there(&mut tx, &credential, project).await?;
    store::access::update_credential(&mut tx, &before, &credential).await?;
    tx.commit().await?;
    Ok(Json(One::new(&cx, credential)))
}

endpoint! {
    /// Remove a credential.
    DeleteCredential: DELETE "/v3/credentials/{credential_id}" => 204,
    policy: Loaded<rules::DeleteCredential>,
    path: CredentialPath,
    reply: Empty,
    handler: delete_credential,
}
async fn delete_credential(cx: Cx, req: Req<DeleteCredential>) -> Reply<DeleteCredential> {
    let credential = load(&cx, rules::DeleteCredential, &req.path.credential_id).await?;
    let mut tx = cx.write().await?;
    store::access::remove_credential(&mut tx, &credential.id).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// An access key as its own API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessKey {
    access: String,
    secret: String,
    user_id: UserId,
    tenant_id: Option<ProjectId>,
    trust_id: Option<String>,
}

impl Named for AccessKey {
    const ONE: &'static str = "credential";
    const MANY: &'static str = "credentials";
    const PATH: &'static str = "/v3/users";
    fn id(&self) -> &str {
        &self.access
    }
    fn path(&self) -> String {
        format!(
            "/v3/users/{}/credentials/OS-EC2/{}",
            self.user_id, self.access
        )
    }
}

impl From<Credential> for AccessKey {
    fn from(credential: Credential) -> Self {
        let blob: Map<String, Value> = serde_json::from_str(&credential.blob).unwrap_or_default();
        let text = |key: &str| blob.get(key).and_then(Value::as_str).map(str::to_owned);
        Self {
            access: text("access").unwrap_or_default(),
            secret: text("secret").unwrap_or_default(),
            user_id: credential.user_id,
            tenant_id: credential.project_id,
            trust_id: text("trust_id"),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeysPath {
    user_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeyPath {
    access: String,
}

/// The project of an access key to be.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct KeyBody {
    tenant_id: String,
}

fn of_keys(user_id: &str) -> Target {
    of_user(Some(user_id)).with("user_id", user_id)
}

endpoint! {
    /// Create an access key for a user and a project.
    CreateEc2Credential: POST "/v3/users/{user_id}/credentials/OS-EC2" => 201,
    policy: Loaded<rules::Ec2CreateCredential>,
    path: KeysPath,
    body: Json<KeyBody>,
    reply: Json<One<AccessKey>>,
    handler: create_ec2_credential,
}
async fn create_ec2_credential(
    cx: Cx,
    req: Req<CreateEc2Credential>,
) -> Reply<CreateEc2Credential> {
    let user_id = UserId(req.path.user_id);
    require(&cx, rules::Ec2CreateCredential, &of_keys(user_id.as_str()))?;
    let Json(body) = req.body;
    let project_id = ProjectId(body.tenant_id);
    if store::projects::get(cx.db(), project_id.as_str())
        .await?
        .is_none()
    {
        return Err(not_found("project", project_id.as_str()));
    }
    check_lent(&cx, Some(&project_id))?;
    let access = ids::hex();
    let mut blob = Map::new();
    blob.insert("access".to_owned(), json!(access));
    blob.insert("secret".to_owned(), json!(ids::hex()));
    bind(&cx, &mut blob);
    let credential = Credential {
        id: id_of_access(&access),
        user_id,
        project_id: Some(project_id),
        kind: "ec2".to_owned(),
        blob: Value::Object(blob).to_string(),
        extra: Extra::default(),
    };
    insert(&cx, &credential, Project::Known).await?;
    Ok(Json(One::new(&cx, AccessKey::from(credential))))
}

endpoint! {
    /// List a user's access keys.
    ListEc2Credentials: GET "/v3/users/{user_id}/credentials/OS-EC2" => 200,
    policy: Loaded<rules::Ec2ListCredentials>,
    path: KeysPath,
    query: Params,
    reply: Json<Many<AccessKey>>,
    handler: list_ec2_credentials,
}
async fn list_ec2_credentials(cx: Cx, req: Req<ListEc2Credentials>) -> Reply<ListEc2Credentials> {
    let user_id = &req.path.user_id;
    require(&cx, rules::Ec2ListCredentials, &of_keys(user_id))?;
    let mut found = store::access::credentials(cx.db(), Some(user_id), Some("ec2")).await?;
    found.retain(|credential| check_lent(&cx, credential.project_id.as_ref()).is_ok());
    let keys = found.into_iter().map(AccessKey::from).collect();
    let path = format!("/v3/users/{user_id}/credentials/OS-EC2");
    list::reply(&cx, (&path, &req.query), &[], keys)
}

/// The access key names its owner, whoever the path names; one that is not there is 404 for everybody.
async fn load_key<R: Rule>(cx: &Cx, rule: R, path: &KeyPath) -> Result<Credential, Fault> {
    let found = store::access::credential(cx.db(), &id_of_access(&path.access)).await?;
    let key = found.ok_or_else(|| not_found("credential", &path.access))?;
    require(cx, rule, &of_keys(key.user_id.as_str()))?;
    check_lent(cx, key.project_id.as_ref())?;
    Ok(key)
}

endpoint! {
    /// Show an access key.
    ShowEc2Credential: GET "/v3/users/{user_id}/credentials/OS-EC2/{access}" => 200,
    policy: Loaded<rules::Ec2GetCredential>,
    path: KeyPath,
    reply: Json<One<AccessKey>>,
    handler: show_ec2_credential,
}
async fn show_ec2_credential(cx: Cx, req: Req<ShowEc2Credential>) -> Reply<ShowEc2Credential> {
    let key = load_key(&cx, rules::Ec2GetCredential, &req.path).await?;
    Ok(Json(One::new(&cx, AccessKey::from(key))))
}

endpoint! {
    /// Remove an access key.
    DeleteEc2Credential: DELETE "/v3/users/{user_id}/credentials/OS-EC2/{access}" => 204,
    policy: Loaded<rules::Ec2DeleteCredential>,
    path: KeyPath,
    reply: Empty,
    handler: delete_ec2_credential,
}
async fn delete_ec2_credential(
    cx: Cx,
    req: Req<DeleteEc2Credential>,
) -> Reply<DeleteEc2Credential> {
    let key = load_key(&cx, rules::Ec2DeleteCredential, &req.path).await?;
    let mut tx = cx.write().await?;
    store::access::remove_credential(&mut tx, &key.id).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateCredential,
        ListCredentials,
        ShowCredential,
        UpdateCredential,
        DeleteCredential,
        CreateEc2Credential,
        ListEc2Credentials,
        ShowEc2Credential,
        DeleteEc2Credential,
    ]
}
