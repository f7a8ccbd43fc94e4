//! The accounts of a cloud: those of its services, its administrator, and the first ordinary user.

use nephos_identity::ServiceUser;
use nephos_peer::{Credentials, PeerError, Peers};
use serde_json::{Value, json};

use crate::secrets::Secrets;
use crate::services::SERVICES;

/// The name of both the first user and its project.
const NAME: &str = "demo";
/// Accounts of earlier versions.
pub const RETIRED: [&str; 2] = ["nephos", "nephos-agents"];

/// The account of a service. It has the role `service` and nothing else; what that may do at a sibling, the sibling's
/// rules say.
///
/// # Errors
/// When its password is not known here.
pub fn of_service(account: &str, secrets: &Secrets) -> anyhow::Result<Credentials> {
    Ok(Credentials {
        user: account.to_owned(),
        password: secrets.of_account(account)?,
        project: "service".to_owned(),
    })
}

/// The accounts of all services, as identity makes them.
///
/// # Errors
/// When a password is not known here.
pub fn service_users(secrets: &Secrets) -> anyhow::Result<Vec<ServiceUser>> {
    let services = SERVICES.iter().map(|offer| offer.account);
    let user = |name: &str| {
        Ok(ServiceUser {
            name: name.to_owned(),
            password: secrets.of_account(name)?,
            admin: false,
        })
    };
    services.map(user).collect()
}

/// The administrator, in whose name the commands of this program ask.
#[must_use]
pub fn admin(secrets: &Secrets) -> Credentials {
    Credentials {
        user: "admin".to_owned(),
        password: secrets.admin_password.clone(),
        project: "admin".to_owned(),
    }
}

/// Makes the user `demo`, member of the project `demo`, unless they are there; what became of them since stays.
///
/// # Errors
/// When the identity service refuses.
pub async fn ensure(peers: &Peers, password: &str) -> Result<(), PeerError> {
    let project = json!({"project": {"name": NAME, "domain_id": "default", "description": "For a first try"}});
    let project = ensure_one(peers, "project", project).await?;
    let user = json!({"user": {
        "name": NAME, "domain_id": "default", "password": password, "default_project_id": project,
    }});
    let user = ensure_one(peers, "user", user).await?;
    let Some(role) = find(peers, "/v3/roles?name=member", "roles").await? else {
        return Ok(());
    };
    let target = format!("/v3/projects/{project}/users/{user}/roles/{role}");
    peers.put("identity", target).as_service().send().await?;
    Ok(())
}

/// The id of the thing of this name, made if there is none.
async fn ensure_one(peers: &Peers, kind: &str, body: Value) -> Result<String, PeerError> {
    let list = format!("/v3/{kind}s?name={NAME}&domain_id=default");
    if let Some(id) = find(peers, &list, &format!("{kind}s")).await? {
        return Ok(id);
    }
    let made: Value = peers
        .post("identity", format!("/v3/{kind}s"))
        .json(&body)
        .as_service()
        .send()
        .await?
        .json()?;
    let id = made.pointer(&format!("/{kind}/id")).and_then(Value::as_str);
    Ok(id.unwrap_or_default().to_owned())
}

async fn find(peers: &Peers, target: &str, key: &str) -> Result<Option<String>, PeerError> {
    let found: Value = peers
        .get("identity", target)
        .as_service()
        .send()
        .await?
        .json()?;
    let id = found
        .pointer(&format!("/{key}/0/id"))
        .and_then(Value::as_str);
    Ok(id.map(str::to_owned))
}
