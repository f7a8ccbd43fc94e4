//! What is asked of the identity service: whose access key it is, and what its owner may do.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use hmac::{Hmac, Mac as _};
use nephos_auth::{Caller, Scope};
use nephos_peer::{PeerError, Peers};
use nephos_types::{DomainId, ProjectId};
use serde::Deserialize;
use serde_json::json;
use sha1::Sha1;

/// How long a key and its owner's roles are believed without asking again.
const BELIEVED: Duration = Duration::from_secs(30);
/// Keys that are remembered.
const REMEMBERED: u64 = 10_000;
/// What is signed to find out whose key it is.
const CHALLENGE: &str = "whose key is this";

/// An access key.
#[derive(Clone)]
pub(crate) struct Key {
    pub secret: Arc<str>,
    pub caller: Arc<Caller>,
}

/// Access keys, as the identity service knows them.
#[derive(Clone)]
pub(crate) struct Keys {
    peers: Peers,
    known: moka::sync::Cache<String, Key>,
}

#[derive(Deserialize)]
struct Found {
    credential: Credential,
}

#[derive(Deserialize)]
struct Credential {
    secret: String,
}

#[derive(Deserialize)]
struct Answer {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    user: Named,
    project: Named,
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
    domain: Domain,
}

#[derive(Deserialize)]
struct Domain {
    id: String,
    name: String,
}

impl Keys {
    pub(crate) fn new(peers: Peers) -> Self {
        let known = moka::sync::Cache::builder()
            .max_capacity(REMEMBERED)
            .time_to_live(BELIEVED)
            .build();
        Self { peers, known }
    }

    /// The key, if there is one and its owner may use it.
    ///
    /// # Errors
    /// When the identity service does not answer.
    pub(crate) async fn find(&self, access: &str) -> Result<Option<Key>, PeerError> {
        if let Some(known) = self.known.get(access) {
            return Ok(Some(known));
        }
        match self.ask(access).await {
            Ok(key) => {
                self.known.insert(access.to_owned(), key.clone());
                Ok(Some(key))
            }
            Err(why) if matches!(why.status, Some(401 | 403 | 404)) => Ok(None),
            Err(why) => Err(why),
        }
    }

    async fn ask(&self, access: &str) -> Result<Key, PeerError> {
        // Whose it is, the key says itself: the path's user is not looked at.
        let key = percent_encoding::utf8_percent_encode(access, percent_encoding::NON_ALPHANUMERIC);
        let target = format!("/v3/users/any/credentials/OS-EC2/{key}");
        let asked = self.peers.get("identity", target);
        let found: Found = asked.as_service().send().await?.json()?;
        let secret = found.credential.secret;
        let body = json!({"credentials": {
            "access": access,
            "signature": signature(&secret),
            "token": URL_SAFE.encode(CHALLENGE),
        }});
        let asked = self.peers.post("identity", "/v3/s3tokens").json(&body);
        let answer: Answer = asked.as_service().send().await?.json()?;
        Ok(Key {
            secret: secret.into(),
            caller: Arc::new(caller(answer.token)),
        })
    }
}

fn signature(secret: &str) -> String {
    let mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes());
    mac.map(|mac| STANDARD.encode(mac.chain_update(CHALLENGE).finalize().into_bytes()))
        .unwrap_or_default()
}

fn caller(token: Token) -> Caller {
    let scope = Scope::Project {
        id: ProjectId(token.project.id),
        name: token.project.name,
        domain_id: DomainId(token.project.domain.id),
        domain_name: token.project.domain.name,
        is_domain: false,
    };
    let roles: Vec<&str> = token.roles.iter().map(|role| role.name.as_str()).collect();
    let mut caller = Caller::new(token.user.id, scope, &roles);
    caller.user_name = token.user.name;
    caller.user_domain_id = DomainId(token.user.domain.id);
    caller.user_domain_name = token.user.domain.name;
    caller
}
