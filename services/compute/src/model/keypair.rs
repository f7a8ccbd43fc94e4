//! Key pairs: the public half of an SSH key, under a user's name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use nephos_types::{Timestamp, UserId};

/// A user's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// Whose it is.
    pub user_id: UserId,
    /// Its name, unique for the user.
    pub name: String,
    /// `ssh`.
    pub kind: String,
    /// `ssh-ed25519 AAAA… comment`.
    pub public_key: String,
    /// Colon-separated MD5 of the key, as Nova shows it.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key that was made here; the private half is shown once and never kept.
pub struct Made {
    /// OpenSSH's one-line form.
    pub public: String,
    /// OpenSSH's own PEM form.
    pub private: String,
}

/// Makes an Ed25519 key.
///
/// # Errors
/// When the machine has no randomness.
pub fn generate(comment: &str) -> Result<Made, String> {
    let mut random = ssh_key::rand_core::OsRng;
    let mut key = ssh_key::PrivateKey::random(&mut random, ssh_key::Algorithm::Ed25519)
        .map_err(|why| why.to_string())?;
    key.set_comment(comment);
    let private = key
        .to_openssh(ssh_key::LineEnding::LF)
        .map_err(|why| why.to_string())?;
    let public = key
        .public_key()
        .to_openssh()
        .map_err(|why| why.to_string())?;
    Ok(Made {
        public,
        private: private.to_string(),
    })
}

/// The fingerprint of an OpenSSH public key.
///
/// # Errors
/// When it is none.
pub fn fingerprint(public_key: &str) -> Result<String, String> {
    let wrong = || "Keypair data is invalid: failed to generate fingerprint".to_owned();
    let mut words = public_key.split_whitespace();
    let kind = words.next().ok_or_else(wrong)?;
    let blob = STANDARD
        .decode(words.next().ok_or_else(wrong)?)
        .map_err(|_| wrong())?;
    // The blob begins with the key type, length first: the two must agree.
    let length = blob
        .get(..4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes);
    let named = length.and_then(|length| blob.get(4..4 + usize::try_from(length).ok()?));
    if named != Some(kind.as_bytes()) {
        return Err(wrong());
    }
    let digest = Md5::digest(&blob);
    Ok(digest
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_is_a_key() {
        let made = generate("me").unwrap();
        assert!(fingerprint(&made.public).is_ok(), "{}", made.public);
        assert!(
            made.private
                .starts_with("-----BEGIN OPENSSH PRIVATE KEY-----")
        );
    }

    #[test]
    fn a_fingerprint_is_the_md5_of_the_blob() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqnY4TdVKX2mYTZLqMeKJfBqnWzGdbTV2FMsFzU6VyW me";
        let shown = fingerprint(key).unwrap();
        assert_eq!(shown.len(), 16 * 3 - 1);
        assert!(
            fingerprint(
                "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIEqnY4TdVKX2mYTZLqMeKJfBqnWzGdbTV2FMsFzU6VyW"
            )
            .is_err()
        );
        for none in ["", "ssh-rsa", "ssh-rsa %%%", "bad"] {
            assert!(fingerprint(none).is_err(), "{none}");
        }
    }
}
