//! How volumes are encrypted: what a type says of it, and what that is to QEMU.

use std::fmt;

use nephos_types::Timestamp;
use serde_json::{Map, Value, json};

use super::body::Fields;

/// What a volume type says of encryption, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encryption {
    pub id: String,
    pub type_id: String,
    pub provider: String,
    pub control_location: String,
    pub cipher: Option<String>,
    pub key_size: Option<i64>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What opens a volume; it does not show in logs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Passphrase(pub String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// Names of the only provider there is (cinder.volume.flows.utils and nova.volume.encryptors: the older names are LUKS too).
const LUKS: [&str; 4] = [
    "luks",
    "LuksEncryptor",
    "nova.volume.encryptors.luks.LuksEncryptor",
    "os_brick.encryptors.luks.LuksEncryptor",
];
const FRONT_END: &str = "front-end";
/// Cinder's defaults for what a type leaves open (cinder.volume.volume_utils).
const CIPHER: &str = "aes-xts-plain64";
const KEY_SIZE: i64 = 256;
/// The largest key size that is stored (a 32-bit integer in Cinder).
const MAX_KEY_SIZE: i64 = 2_147_483_647;

/// How QEMU writes a volume: its words of the options of a LUKS disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Luks {
    /// `aes-256`.
    pub cipher: String,
    /// `xts`.
    pub mode: String,
    /// `plain64`; with `essiv`, the hash behind a colon.
    pub iv: String,
}

/// Whether volumes of two types are encrypted alike, or neither.
pub(crate) fn is_same(one: Option<&Encryption>, other: Option<&Encryption>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.is_like(other),
        _one_of_them => false,
    }
}

impl Encryption {
    /// Whether volumes that are encrypted so and so are the same kind of thing.
    fn is_like(&self, other: &Self) -> bool {
        let of = |one: &Self| {
            (
                one.provider.clone(),
                one.control_location.clone(),
                one.cipher.clone(),
                one.key_size,
            )
        };
        of(self) == of(other)
    }

    /// What it is to QEMU.
    ///
    /// # Errors
    /// Why no volume is encrypted like this here, and what would help.
    pub(crate) fn luks(&self) -> Result<Luks, String> {
        if !LUKS.contains(&self.provider.as_str()) {
            return Err(format!(
                "its type wants the encryption provider '{}'; here it is 'luks'.",
                self.provider
            ));
        }
        if self.control_location != FRONT_END {
            return Err(format!(
                "its type wants encryption to be controlled at the {}; here the host of a server does it: 'front-end'.",
                self.control_location
            ));
        }
        let cipher = self.cipher.as_deref().filter(|cipher| !cipher.is_empty());
        let cipher = cipher.unwrap_or(CIPHER);
        let size = self.key_size.unwrap_or(KEY_SIZE);
        let unknown = || {
            format!(
                "its type wants the cipher '{cipher}' with a key of {size} bits; here it is aes-xts-plain64, aes-xts-plain, \
                 aes-cbc-plain64, aes-cbc-plain or aes-cbc-essiv:sha256, with 128, 192 (CBC), 256 or 512 (XTS) bits."
            )
        };
        let parts: Vec<&str> = cipher.split('-').collect();
        let (["aes", mode @ ("xts" | "cbc"), iv], size @ (128 | 192 | 256 | 512)) =
            (parts.as_slice(), size)
        else {
            return Err(unknown());
        };
        // XTS has no keys of 192 bits, and needs no secret start of a sector.
        let known = match *mode {
            "xts" => size != 192 && ["plain", "plain64"].contains(iv),
            _cbc => size != 512 && ["plain", "plain64", "essiv", "essiv:sha256"].contains(iv),
        };
        if !known {
            return Err(unknown());
        }
        Ok(Luks {
            // Some count both keys of XTS (dm-crypt), some one of them (QEMU, and Cinder with it).
            cipher: format!("aes-{}", size.min(256)),
            mode: (*mode).to_owned(),
            iv: (*iv).to_owned(),
        })
    }

    /// Takes in what a body says; what it does not name stays.
    ///
    /// # Errors
    /// In words, what is wrong with it (cinder.api.schemas.volume_type_encryption).
    pub(crate) fn take(&mut self, fields: &Fields<'_>) -> Result<(), String> {
        fields.only(&["provider", "control_location", "cipher", "key_size"])?;
        let short = |key: &str| -> Result<Option<String>, String> {
            let text = fields.text(key)?;
            match text {
                Some(text) if text.chars().count() > 255 => Err(format!(
                    "Invalid input for field/attribute {key}. It is longer than 255 characters."
                )),
                fine => Ok(fine),
            }
        };
        if let Some(provider) = short("provider")? {
            self.provider = provider;
        }
        if let Some(place) = short("control_location")? {
            if ![FRONT_END, "back-end"].contains(&place.as_str()) {
                return Err(format!(
                    "Invalid input for field/attribute control_location. Value: {place}. '{place}' is not one of \
                     ['front-end', 'back-end']"
                ));
            }
            self.control_location = place;
        }
        if fields.has("cipher") {
            self.cipher = short("cipher")?;
        }
        if let Some(size) = fields.get("key_size") {
            self.key_size = key_size(size)?;
        }
        Ok(())
    }

    /// As clients see it.
    pub(crate) fn view(&self) -> Map<String, Value> {
        let view = json!({
            "volume_type_id": self.type_id, "encryption_id": self.id, "provider": self.provider,
            "control_location": self.control_location, "cipher": self.cipher, "key_size": self.key_size,
            "created_at": self.created_at.iso_naive(), "updated_at": self.updated_at.iso_naive(),
            "deleted": false, "deleted_at": null,
        });
        view.as_object().cloned().unwrap_or_default()
    }

    /// What replies that make or change it show.
    pub(crate) fn brief(&self) -> Value {
        json!({
            "volume_type_id": self.type_id, "encryption_id": self.id, "provider": self.provider,
            "control_location": self.control_location, "cipher": self.cipher, "key_size": self.key_size,
        })
    }
}

/// A number of bits, or a text that is one.
fn key_size(value: &Value) -> Result<Option<i64>, String> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    };
    match number.filter(|number| (0..=MAX_KEY_SIZE).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(format!(
            "Invalid input for field/attribute key_size. Value: {value}. It must be a whole number that is not negative."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(provider: &str, place: &str, cipher: Option<&str>, key_size: Option<i64>) -> Encryption {
        Encryption {
            id: "e".to_owned(),
            type_id: "t".to_owned(),
            provider: provider.to_owned(),
            control_location: place.to_owned(),
            cipher: cipher.map(str::to_owned),
            key_size,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[track_caller]
    fn check(one: &Encryption, expected: Result<(&str, &str, &str), &str>) {
        match (one.luks(), expected) {
            (Ok(luks), Ok((cipher, mode, iv))) => assert_eq!(
                (luks.cipher.as_str(), luks.mode.as_str(), luks.iv.as_str()),
                (cipher, mode, iv)
            ),
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn a_type_says_how_qemu_writes_a_volume_or_why_it_does_not() {
        let luks = |cipher, size| of("luks", FRONT_END, cipher, size);
        check(&luks(None, Some(512)), Ok(("aes-256", "xts", "plain64")));
        check(&luks(None, None), Ok(("aes-256", "xts", "plain64")));
        let older = of(LUKS[2], FRONT_END, Some("aes-cbc-essiv:sha256"), Some(128));
        check(&older, Ok(("aes-128", "cbc", "essiv:sha256")));
        check(&luks(Some("aes-xts-plain64"), Some(192)), Err("192"));
        check(&luks(Some("aes,x=1-xts-plain64"), None), Err("cipher"));
        check(&of("luks", "back-end", None, None), Err("front-end"));
        check(&of("plain", FRONT_END, None, None), Err("'luks'"));
    }

    #[test]
    fn a_passphrase_does_not_show() {
        let shown = format!("{:?}", Passphrase("secret of mine".to_owned()));
        assert!(!shown.contains("secret of mine"));
    }
}
