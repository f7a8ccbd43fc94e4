//! A new password for an account in a guest: whose it is, what a host is told of it, and what it says of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::server::ImageCopy;

/// The feed's word for a password that is to be set in a guest; the id is the server's.
pub const KIND_PASSWORD: &str = "password";

/// A host sets a password in a guest. Which one, it asks for: it is in no document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordWish {}

/// What a host learns when it asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestPassword {
    /// The account in the guest.
    pub account: String,
    /// Its new password.
    pub password: String,
}

impl fmt::Debug for GuestPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuestPassword({})", self.account)
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum PasswordSeen {
    /// It is set.
    Set,
    /// No agent in the guest answers.
    NoAnswer,
    /// It cannot be set.
    Failed {
        /// Why, in a sentence that may be shown to the server's owner.
        reason: String,
    },
}

/// Whether the image says that an agent of QEMU runs in its guests (oslo.utils `bool_from_string`).
#[must_use]
pub fn has_agent(image: &ImageCopy) -> bool {
    let said = image.properties.get("hw_qemu_guest_agent");
    let said = said.map(|word| word.trim().to_ascii_lowercase());
    said.is_some_and(|word| ["1", "t", "true", "on", "y", "yes"].contains(&word.as_str()))
}

/// The account whose password is meant when nobody names one (nova.virt.libvirt.driver `set_admin_password`).
#[must_use]
pub fn account(image: &ImageCopy) -> &str {
    let said = |key: &str| image.properties.get(key).map(String::as_str);
    match (said("os_admin_user"), said("os_type")) {
        (Some(account), _) if !account.is_empty() => account,
        (_, Some("windows")) => "Administrator",
        (_, _) => "root",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(properties: &[(&str, &str)], expected: (bool, &str)) {
        let mut image = ImageCopy::none();
        for (key, value) in properties {
            image
                .properties
                .insert((*key).to_owned(), (*value).to_owned());
        }
        assert_eq!((has_agent(&image), account(&image)), expected);
    }

    #[test]
    fn an_image_says_whether_there_is_an_agent_and_who_the_administrator_is() {
        check(&[], (false, "root"));
        check(&[("hw_qemu_guest_agent", "yes")], (true, "root"));
        check(&[("hw_qemu_guest_agent", "no")], (false, "root"));
        check(&[("os_type", "windows")], (false, "Administrator"));
        let both = [("os_type", "windows"), ("os_admin_user", "boss")];
        check(&both, (false, "boss"));
    }

    #[test]
    fn a_password_does_not_show() {
        let password = GuestPassword {
            account: "root".to_owned(),
            password: "very secret".to_owned(),
        };
        assert_eq!(format!("{password:?}"), "GuestPassword(root)");
    }
}
