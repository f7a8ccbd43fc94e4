//! Access keys: whose they are, and the secrets that signatures are checked with.

use std::sync::Arc;

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::Svc;
use crate::peers::Key;

/// Tells s3s the secret of a key.
pub(super) struct Auth(pub Arc<Svc>);

#[async_trait::async_trait]
impl S3Auth for Auth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let key = find(&self.0, access_key).await?;
        Ok(SecretKey::from(key.secret.to_string()))
    }
}

/// The key, if its owner may use it.
pub(super) async fn find(service: &Svc, access: &str) -> S3Result<Key> {
    let keys = service
        .keys
        .as_ref()
        .ok_or_else(|| s3_error!(NotImplemented))?;
    match keys.find(access).await {
        Ok(Some(key)) => Ok(key),
        Ok(None) => Err(s3_error!(
            InvalidAccessKeyId,
            "The access key is not known, or its owner may not use it"
        )),
        Err(why) => {
            tracing::error!(%why, "cannot look an access key up");
            Err(s3_error!(
                ServiceUnavailable,
                "The identity service does not answer"
            ))
        }
    }
}
