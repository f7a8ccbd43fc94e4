//! The session's cookie.

/// Over HTTPS: a name that browsers give only to cookies of this very host, sent over HTTPS alone.
const SECURE_NAME: &str = "__Host-nephos";
/// Over plain HTTP, as on one machine.
const PLAIN_NAME: &str = "nephos-dashboard";

/// How the cookie travels under an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Travel {
    /// Over HTTPS.
    Secure,
    /// Over plain HTTP.
    Plain,
}

impl Travel {
    /// Under the public URL of the dashboard.
    pub fn under(base_url: &str) -> Self {
        if base_url.starts_with("https://") {
            Self::Secure
        } else {
            Self::Plain
        }
    }

    /// The value of `Set-Cookie` that gives the browser `value`, until it is closed or signed out.
    pub fn set(self, value: &str) -> String {
        match self {
            Self::Secure => {
                format!("{SECURE_NAME}={value}; Path=/; Secure; HttpOnly; SameSite=Strict")
            }
            Self::Plain => {
                format!("{PLAIN_NAME}={value}; Path=/dashboard; HttpOnly; SameSite=Strict")
            }
        }
    }

    /// The value of `Set-Cookie` that takes it back.
    pub fn clear(self) -> String {
        self.set("") + "; Max-Age=0"
    }

    /// The session id in a `Cookie` header.
    pub fn find(self, header: &str) -> Option<&str> {
        let wanted = match self {
            Self::Secure => SECURE_NAME,
            Self::Plain => PLAIN_NAME,
        };
        header
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_https_only_the_cookie_that_came_over_https_counts() {
        let travel = Travel::under("https://cloud.test/dashboard");
        assert!(
            travel
                .set("x")
                .contains("Secure; HttpOnly; SameSite=Strict")
        );
        assert_eq!(
            travel.find("nephos-dashboard=a; __Host-nephos=b"),
            Some("b")
        );
        assert_eq!(travel.find("nephos-dashboard=a"), None);
        let plain = Travel::under("http://127.0.0.1:8774/dashboard");
        assert_eq!(plain.find("other=1; nephos-dashboard=a"), Some("a"));
        assert!(!plain.set("x").contains("Secure;"));
        assert!(plain.clear().contains("Max-Age=0"));
    }
}
