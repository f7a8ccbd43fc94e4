//! The first ordinary user: `demo`, member of the project `demo`. Made if it is not there; what became of it since stays.

use nephos_peer::{PeerError, Peers};
use serde_json::{Value, json};

/// The name of both the user and the project.
const NAME: &str = "demo";

/// Makes the user and the project unless they are there.
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
