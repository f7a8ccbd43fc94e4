//! Whose access key signed a request: asked by services that speak S3.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use hmac::{Hmac, Mac as _};
use nephos_api::{Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::Target;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::Sha256;
use utoipa::ToSchema;

use super::credentials::id_of_access;
use super::fault::{require, unauthorized};
use super::login::Proof;
use super::token_view::{self, TokenBody};
use super::{auth, scope};
use crate::model::access::Credential;
use crate::{Cx, rules, store};

/// A signature, and what it is of.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SignedBody {
    credentials: Signed,
}

#[derive(Deserialize, ToSchema)]
struct Signed {
    access: String,
    signature: String,
    /// What was signed, in base64.
    token: String,
}

impl std::fmt::Debug for SignedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedBody")
            .field("access", &self.credentials.access)
            .finish_non_exhaustive()
    }
}

endpoint! {
    /// Say whose access key made a signature of S3, and which roles its owner has.
    CreateS3Token: POST "/v3/s3tokens" => 200,
    policy: Loaded<rules::ValidateToken>,
    body: Json<SignedBody>,
    reply: Json<TokenBody>,
    handler: create_s3_token,
}
async fn create_s3_token(cx: Cx, req: Req<CreateS3Token>) -> Reply<CreateS3Token> {
    require(&cx, rules::ValidateToken, &Target::new())?;
    let trust_revision = cx.trust_revision().await?;
    let refused = || unauthorized(&cx);
    let signed = &req.body.credentials;
    let key = store::access::credential(cx.db(), &id_of_access(&signed.access)).await?;
    let key = key.filter(|key| key.kind.eq_ignore_ascii_case("ec2"));
    let (key, secret) = key.and_then(with_secret).ok_or_else(refused)?;
    if !signed.is_right(&secret) {
        return Err(refused());
    }
    let proof = owner(&cx, &key).await?.ok_or_else(refused)?;
    let project = key.project_id.as_ref().ok_or_else(refused)?;
    let project = store::projects::get(cx.db(), project.as_str()).await?;
    let project = project.ok_or_else(refused)?;
    let granted = scope::on_project(&cx, &proof.user.id, &project).await?;
    let granted = granted.ok_or_else(refused)?;
    let caller = auth::caller(&cx, proof, granted, trust_revision);
    Ok(Json(token_view::body(&cx, &caller, true).await?))
}

/// The key and its secret. A key that was made with lent rights is good for nothing here: what was lent may be less
/// than what its owner has.
fn with_secret(key: Credential) -> Option<(Credential, String)> {
    let blob: Map<String, Value> = serde_json::from_str(&key.blob).ok()?;
    let lent = ["trust_id", "app_cred_id", "access_token_id"];
    let bound = lent
        .iter()
        .any(|name| blob.get(*name).is_some_and(|id| !id.is_null()));
    let secret = blob.get("secret")?.as_str()?.to_owned();
    (!bound).then_some((key, secret))
}

/// The user whose key it is, if they may log in at all.
async fn owner(cx: &Cx, key: &Credential) -> Result<Option<Proof>, Fault> {
    let user = store::users::get(cx.db(), key.user_id.as_str()).await?;
    let Some(user) = user.filter(|user| user.enabled) else {
        return Ok(None);
    };
    let domain = store::projects::get(cx.db(), user.domain_id.as_str()).await?;
    Ok(domain.filter(|domain| domain.enabled).map(|domain| Proof {
        user,
        domain,
        methods: vec!["ec2credential".to_owned()],
        parent: None,
        app: None,
    }))
}

impl Signed {
    /// The older form signs by SHA-1; the newer one by a key that is good for one day, region and service.
    fn is_right(&self, secret: &str) -> bool {
        let decoded = URL_SAFE
            .decode(&self.token)
            .or_else(|_| STANDARD.decode(&self.token));
        let Ok(text) = decoded else {
            return false;
        };
        if !text.starts_with(b"AWS4-HMAC-SHA256\n") {
            let signature = STANDARD.decode(&self.signature).unwrap_or_default();
            return Hmac::<Sha1>::new_from_slice(secret.as_bytes())
                .is_ok_and(|mac| mac.chain_update(&text).verify_slice(&signature).is_ok());
        }
        let signature = hex_bytes(&self.signature).unwrap_or_default();
        signing_key(secret, &text)
            .and_then(|key| Hmac::<Sha256>::new_from_slice(&key).ok())
            .is_some_and(|mac| mac.chain_update(&text).verify_slice(&signature).is_ok())
    }
}

/// The key for `date/region/service/aws4_request`, which is the third line of what was signed.
fn signing_key(secret: &str, text: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&str> = std::str::from_utf8(text).ok()?.split('\n').collect();
    let [_algorithm, _time, scope, _request] = lines.as_slice() else {
        return None;
    };
    let parts: Vec<&str> = scope.split('/').collect();
    if parts.len() != 4 || parts.last() != Some(&"aws4_request") {
        return None;
    }
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in parts {
        let mac = Hmac::<Sha256>::new_from_slice(&key)
            .ok()?
            .chain_update(part);
        key = mac.finalize().into_bytes().to_vec();
    }
    Some(key)
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<crate::Svc> {
    nephos_api::routes![CreateS3Token]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_signature_are_told_from_wrong_ones() {
        let sign = |key: &[u8], text: &str| {
            let mac = Hmac::<Sha256>::new_from_slice(key)
                .unwrap()
                .chain_update(text);
            mac.finalize().into_bytes().to_vec()
        };
        let text = "AWS4-HMAC-SHA256\n20260102T030405Z\n20260102/RegionOne/s3/aws4_request\nabc";
        let key = ["20260102", "RegionOne", "s3", "aws4_request"]
            .iter()
            .fold(b"AWS4secret".to_vec(), |key, part| sign(&key, part));
        let signature: String = sign(&key, text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let signed = |text: &str, signature: &str| Signed {
            access: "a".to_owned(),
            signature: signature.to_owned(),
            token: URL_SAFE.encode(text),
        };
        assert!(signed(text, &signature).is_right("secret"));
        assert!(!signed(text, &signature).is_right("other"));
        assert!(!signed(&text.replace("abc", "abd"), &signature).is_right("secret"));
        let old = Hmac::<Sha1>::new_from_slice(b"secret")
            .unwrap()
            .chain_update("GET\n");
        let old = STANDARD.encode(old.finalize().into_bytes());
        assert!(signed("GET\n", &old).is_right("secret"));
        assert!(!signed("PUT\n", &old).is_right("secret"));
        assert!(!signed("GET\n", "").is_right("secret"));
    }
}
