//! The id of a session and what it opens: tokens stand in the database sealed with a key made of the id, so that
//! neither the database nor the process alone has them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What the key is for, so that the same id makes no other key.
const PURPOSE: &[u8] = b"nephos dashboard token 1";

/// 256 random bits that only the browser keeps. It has no `Debug` that shows it.
#[derive(Clone)]
pub(crate) struct SessionId([u8; 32]);

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionId")
    }
}

impl SessionId {
    /// A new one.
    pub fn random() -> Result<Self, Unspecified> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// As the cookie has it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// For the cookie.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What the database knows it by: SHA-256 in hex.
    pub fn hash(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, &self.0))
    }

    /// Seals a token; it opens only with this id and for the same `place`.
    pub fn seal(&self, place: &str, token: &str) -> Result<String, Unspecified> {
        let mut bytes = token.as_bytes().to_vec();
        let nonce = self
            .key()?
            .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut bytes)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what [`SessionId::seal`] made.
    pub fn open(&self, place: &str, sealed: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut rest = rest.to_vec();
        let key = self.key().ok()?;
        let opened = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut rest);
        String::from_utf8(opened.ok()?.to_vec()).ok()
    }

    fn key(&self) -> Result<RandomizedNonceKey, Unspecified> {
        let made = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), PURPOSE);
        RandomizedNonceKey::new(&AES_256_GCM, made.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_with_its_id_and_in_its_place() {
        let (id, other) = (SessionId::random().unwrap(), SessionId::random().unwrap());
        let sealed = id.seal("p", "secret").unwrap();
        assert!(!sealed.contains("secret"));
        let again = SessionId::parse(&id.text()).unwrap();
        assert_eq!(again.open("p", &sealed).as_deref(), Some("secret"));
        assert_eq!(id.open("q", &sealed), None);
        assert_eq!(other.open("p", &sealed), None);
        assert_eq!(id.open("p", "short"), None);
        assert_ne!(id.hash(), other.hash());
    }

    #[test]
    fn an_id_of_another_form_is_none() {
        for text in ["", "x", "0123", &"A".repeat(44), "../../etc/passwd"] {
            assert!(SessionId::parse(text).is_none(), "{text}");
        }
    }
}
