//! What a log-in sends.

use nephos_api::Fault;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::directory::Project;
use crate::{Cx, store};

/// The body of `POST /v3/auth/tokens`.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AuthBody {
    pub auth: Auth,
}

/// Who, and for what.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Auth {
    pub identity: Methods,
    #[serde(default)]
    pub scope: Option<ScopeBody>,
}

/// The methods and what each needs.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Methods {
    pub methods: Vec<String>,
    #[serde(default)]
    pub password: Option<PasswordMethod>,
    #[serde(default)]
    pub token: Option<TokenMethod>,
    #[serde(default)]
    pub application_credential: Option<AppCredentialMethod>,
}

/// By password.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PasswordMethod {
    pub user: PasswordUser,
}

/// A user with a password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PasswordUser {
    #[serde(flatten)]
    pub user: UserRef,
    #[serde(default)]
    pub password: Option<String>,
}

impl std::fmt::Debug for PasswordUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordUser")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// By another token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TokenMethod {
    pub id: String,
}

impl std::fmt::Debug for TokenMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenMethod")
    }
}

/// By an application credential.
#[derive(Deserialize, ToSchema)]
pub(crate) struct AppCredentialMethod {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub user: Option<UserRef>,
    pub secret: String,
}

impl std::fmt::Debug for AppCredentialMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppCredentialMethod")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A user by id, or by name in a domain.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct UserRef {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub domain: Option<DomainRef>,
}

/// A domain by id or by name.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct DomainRef {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
}

/// What the token is for.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct ScopeBody {
    #[serde(default)]
    pub project: Option<ProjectRef>,
    #[serde(default)]
    pub domain: Option<DomainRef>,
    #[serde(default)]
    pub system: Option<SystemRef>,
    #[serde(default, rename = "OS-TRUST:trust")]
    pub trust: Option<TrustBody>,
    /// Present with any value: no scope, not even the user's default project.
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    pub unscoped: Option<Option<Value>>,
}

/// A project by id, or by name in a domain.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ProjectRef {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub domain: Option<DomainRef>,
}

/// The system.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SystemRef {
    #[serde(default)]
    pub all: bool,
}

/// A trust.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TrustBody {
    pub id: String,
}

impl DomainRef {
    /// The domain, if there is one.
    pub(crate) async fn find(&self, cx: &Cx) -> Result<Option<Project>, Fault> {
        let found = match (&self.id, &self.name) {
            (Some(id), _) => store::projects::get(cx.db(), id).await?,
            (None, Some(name)) => store::projects::find_domain(cx.db(), name).await?,
            (None, None) => {
                return Err(Fault::bad_request(
                    "Expecting to find id or name in domain.",
                ));
            }
        };
        Ok(found.filter(|project| project.is_domain))
    }
}

impl ProjectRef {
    /// The project, if there is one.
    pub(crate) async fn find(&self, cx: &Cx) -> Result<Option<Project>, Fault> {
        match (&self.id, &self.name, &self.domain) {
            (Some(id), ..) => Ok(store::projects::get(cx.db(), id).await?),
            (None, Some(name), Some(domain)) => {
                let Some(domain) = domain.find(cx).await? else {
                    return Ok(None);
                };
                Ok(store::projects::find(cx.db(), domain.id.as_str(), name).await?)
            }
            (None, Some(_), None) => {
                Err(Fault::bad_request("Expecting to find domain in project."))
            }
            (None, None, _) => Err(Fault::bad_request(
                "Expecting to find id or name in project.",
            )),
        }
    }
}
