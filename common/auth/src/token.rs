//! Signed tokens: JWS with ES256. Whoever has the public keys can check them, only identity can make them.

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::caller::Caller;
use crate::keys::{KeyError, PublicKey, private_der, public_of};

/// Longer ones are refused unread; a token with a hundred roles has about 4 KiB.
pub(crate) const MAX_LENGTH: usize = 16 * 1024;

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token of ours: form, algorithm, signature or content is wrong.
    #[error("the token is malformed or its signature is wrong")]
    Invalid,
    /// Signed with a key that is not in the trust bundle; a newer bundle may have it.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// Past its time.
    #[error("the token has expired")]
    Expired,
    /// Taken back.
    #[error("the token has been revoked")]
    Revoked,
}

/// Makes tokens. Only identity has one.
pub struct Issuer {
    kid: String,
    key: EncodingKey,
    public: PublicKey,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    /// From a PKCS#8 PEM private key on P-256; the key's id follows from its public half.
    ///
    /// # Errors
    /// When the text is no such key.
    pub fn new(private_key_pem: &str) -> Result<Self, KeyError> {
        let der = private_der(private_key_pem)?;
        let public = public_of(&der)?;
        Ok(Self {
            kid: public.kid.clone(),
            key: EncodingKey::from_ec_der(&der),
            public,
        })
    }

    /// The public half, for a trust bundle.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The token that says so.
    ///
    /// # Errors
    /// When the key cannot sign; it was checked when the issuer was made, so this means a broken crypto library.
    pub fn sign(&self, caller: &Caller) -> Result<String, TokenError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, caller, &self.key).map_err(|cause| {
            tracing::error!(error = %cause, "cannot sign a token");
            TokenError::Invalid
        })
    }
}
