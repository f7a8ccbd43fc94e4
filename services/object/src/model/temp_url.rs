//! Temporary URLs: what is signed, and what a signature is.

use hmac::{Hmac, Mac as _};
use nephos_types::Timestamp;
use sha2::{Sha256, Sha512};

/// What the query of a temporary URL says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticket {
    pub signature: String,
    pub expires: String,
    /// It is good for every object that begins like this.
    pub prefix: Option<String>,
}

/// Digests that may sign, as `/info` tells them.
pub(crate) const DIGESTS: [&str; 2] = ["sha256", "sha512"];
/// Methods that may be signed, as `/info` tells them.
pub(crate) const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];

impl Ticket {
    /// When it ends: seconds since 1970, or ISO 8601.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        let secs = self.expires.parse::<i64>().ok();
        secs.map(|secs| Timestamp(0).plus_secs(secs))
            .or_else(|| Timestamp::parse(&self.expires))
    }

    /// Whether `key` made the signature for this method and one of these paths, each `/v1/account/container/object`.
    pub(crate) fn signed_by(&self, key: &str, method: &str, paths: &[String]) -> bool {
        let Some(expires) = self.expires_at() else {
            return false;
        };
        let Some((digest, signature)) = self.signature() else {
            return false;
        };
        let methods: &[&str] = match method {
            // Who may read or write may look.
            "HEAD" => &["HEAD", "GET", "POST", "PUT"],
            _other => &[method],
        };
        methods.iter().any(|method| {
            paths.iter().any(|path| {
                let scope = if self.prefix.is_some() { "prefix:" } else { "" };
                let text = format!("{method}\n{}\n{scope}{path}", expires.secs());
                digest.verifies(key, &text, &signature)
            })
        })
    }

    /// `sha256:<base64>` or hex, whose length tells the digest.
    fn signature(&self) -> Option<(Digest, Vec<u8>)> {
        use base64::Engine as _;
        if let Some((name, text)) = self.signature.split_once(':') {
            let digest = match name {
                "sha256" => Digest::Sha256,
                "sha512" => Digest::Sha512,
                _other => return None,
            };
            let text = text
                .trim_end_matches('=')
                .replace('+', "-")
                .replace('/', "_");
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
                .decode(text)
                .ok()?;
            return Some((digest, bytes));
        }
        let bytes = hex::decode(&self.signature).ok()?;
        match bytes.len() {
            32 => Some((Digest::Sha256, bytes)),
            64 => Some((Digest::Sha512, bytes)),
            _other => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Digest {
    Sha256,
    Sha512,
}

impl Digest {
    /// In constant time.
    fn verifies(self, key: &str, text: &str, signature: &[u8]) -> bool {
        match self {
            Self::Sha256 => Hmac::<Sha256>::new_from_slice(key.as_bytes())
                .is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok()),
            Self::Sha512 => Hmac::<Sha512>::new_from_slice(key.as_bytes())
                .is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok()),
        }
    }
}

/// `attachment; filename="x"; filename*=UTF-8''x`.
pub(crate) fn disposition(kind: &str, name: &str) -> String {
    let plain: String = name.chars().filter(|letter| !letter.is_control()).collect();
    let plain = plain.replace('"', "%22");
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(key: &str, text: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
            .unwrap()
            .chain_update(text);
        hex::encode(mac.finalize().into_bytes())
    }

    #[test]
    fn a_signature_is_good_for_what_was_signed_and_nothing_else() {
        let path = "/v1/AUTH_p/c/o".to_owned();
        let ticket = Ticket {
            signature: sign("key", "GET\n1767323045\n/v1/AUTH_p/c/o"),
            expires: "1767323045".to_owned(),
            ..Ticket::default()
        };
        let paths = [path.clone()];
        assert!(ticket.signed_by("key", "GET", &paths));
        assert!(ticket.signed_by("key", "HEAD", &paths));
        assert!(!ticket.signed_by("key", "PUT", &paths));
        assert!(!ticket.signed_by("other", "GET", &paths));
        assert!(!ticket.signed_by("key", "GET", &["/v1/AUTH_p/c/p".to_owned()]));
        let later = Ticket {
            expires: "1767323046".to_owned(),
            ..ticket.clone()
        };
        assert!(!later.signed_by("key", "GET", &paths));
        let iso = Ticket {
            expires: "2026-01-02T03:04:05Z".to_owned(),
            ..ticket.clone()
        };
        assert!(iso.signed_by("key", "GET", &paths));
        let bent = Ticket {
            signature: "zz".to_owned(),
            ..ticket
        };
        assert!(!bent.signed_by("key", "GET", &paths));
    }
}
