//! Container access lists: `X-Container-Read` and `X-Container-Write`.

/// A list: referrers, whether they may list, and groups: users of projects, or roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acl {
    referrers: Vec<String>,
    listings: bool,
    groups: Vec<String>,
}

/// Who asks, as lists name people.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names<'a> {
    /// Project ids and names that stand for the caller.
    pub projects: Vec<&'a str>,
    /// User ids and names that stand for the caller.
    pub users: Vec<&'a str>,
    /// The caller's roles in lower case.
    pub roles: Vec<String>,
}

/// Brings a list into its stored form.
///
/// # Errors
/// In Swift's words: what part of the header is no designation.
pub(crate) fn clean(header: &str, value: &str) -> Result<String, String> {
    let mut items = Vec::new();
    let parts = value.split(',').map(str::trim);
    for item in parts.filter(|item| !item.is_empty()) {
        let Some((kind, rest)) = item.split_once(':').filter(|_| item.starts_with('.')) else {
            items.push(item.to_owned());
            continue;
        };
        let kind = kind.trim();
        if !matches!(kind, ".r" | ".ref" | ".referer" | ".referrer") {
            return Err(format!("Unknown designator {kind:?} in ACL: {item:?}"));
        }
        if header.contains("write") {
            return Err(format!("Referrers not allowed in write ACL: {item:?}"));
        }
        let rest = rest.trim();
        let (minus, host) = match rest.strip_prefix('-') {
            Some(host) => ("-", host.trim()),
            None => ("", rest),
        };
        let host = if host == "*" {
            host
        } else {
            host.strip_prefix('*').unwrap_or(host)
        };
        if host.is_empty() || host == "." {
            return Err(format!(
                "No host/domain value after referrer designation in ACL: {item:?}"
            ));
        }
        items.push(format!(".r:{minus}{host}"));
    }
    Ok(items.join(","))
}

impl Acl {
    /// Reads a stored list.
    pub(crate) fn parse(value: &str) -> Self {
        let mut acl = Self::default();
        for item in value.split(',').filter(|item| !item.is_empty()) {
            if let Some(referrer) = item.strip_prefix(".r:") {
                acl.referrers.push(referrer.to_owned());
            } else if item == ".rlistings" {
                acl.listings = true;
            } else {
                let plain = percent_encoding::percent_decode_str(item);
                acl.groups.push(plain.decode_utf8_lossy().into_owned());
            }
        }
        acl
    }

    /// Whether a user of a project is named: `project:user`, either of them `*`.
    pub(crate) fn names_user(&self, who: &Names<'_>) -> bool {
        self.groups.iter().any(|group| {
            group.split_once(':').is_some_and(|(project, user)| {
                (project == "*" || who.projects.contains(&project))
                    && (user == "*" || who.users.contains(&user))
            })
        })
    }

    /// Whether one of the caller's roles is named.
    pub(crate) fn names_role(&self, who: &Names<'_>) -> bool {
        self.groups
            .iter()
            .any(|group| who.roles.contains(&group.to_ascii_lowercase()))
    }

    /// Whether anybody who comes from `referrer` may read an object, or list with `listing`. `None`: it says nothing.
    pub(crate) fn admits(&self, referrer: Option<&str>, listing: bool) -> Option<bool> {
        let host = host_of(referrer.unwrap_or_default());
        let mut admitted = false;
        for rule in &self.referrers {
            let (refused, rule) = match rule.strip_prefix('-') {
                Some(rule) => (true, rule),
                None => (false, rule.as_str()),
            };
            let hit = rule == host || (rule.starts_with('.') && host.ends_with(rule));
            if refused && hit {
                admitted = false;
            } else if !refused && (hit || rule == "*") {
                admitted = true;
            }
        }
        admitted.then_some(!listing || self.listings)
    }
}

fn host_of(url: &str) -> String {
    let rest = url.split_once("//").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    if host.is_empty() {
        "unknown".to_owned()
    } else {
        host.to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cleaned_as_swift_does() {
        let cleaned = clean("x-container-read", " .ref : *.example.com , p:u,, role").unwrap();
        assert_eq!(cleaned, ".r:.example.com,p:u,role");
        assert!(clean("x-container-read", ".x:y").is_err());
        assert!(clean("x-container-read", ".r:").is_err());
        assert!(clean("x-container-write", ".r:*").is_err());
        assert_eq!(
            clean("x-container-read", ".r:*,.rlistings").unwrap(),
            ".r:*,.rlistings"
        );
    }

    #[test]
    fn users_roles_and_referrers() {
        let who = Names {
            projects: vec!["p1", "demo"],
            users: vec!["u1", "ann"],
            roles: vec!["auditor".to_owned()],
        };
        let names = |acl: &str| Acl::parse(acl).names_user(&who);
        assert!(names("p1:u1") && names("*:ann") && names("demo:*") && names("*:*"));
        assert!(!names("p2:u1") && !names("p1:u2") && !names("p1") && !names("p1%3Au2"));
        assert!(Acl::parse("Auditor").names_role(&who));
        let read = Acl::parse(".r:*,.r:-evil.com,.rlistings");
        assert_eq!(read.admits(None, true), Some(true));
        assert_eq!(read.admits(Some("http://evil.com/x"), false), None);
        assert_eq!(Acl::parse(".r:*").admits(None, true), Some(false));
        assert_eq!(
            Acl::parse(".r:.good.com").admits(Some("https://a.good.com:1/"), false),
            Some(true)
        );
        assert_eq!(Acl::parse(".r:.good.com").admits(None, false), None);
    }
}
