//! Whether a request comes from a page of this origin. The cookie is `SameSite=Strict`; this is the second wall.

use http::HeaderMap;
use nephos_api::Fault;

/// A header that a page of another origin cannot send without being asked first, which is never allowed.
const OWN_HEADER: &str = "x-nephos-dashboard";

/// Refuses a request that no page of this origin sent.
pub(crate) fn from_own_page(headers: &HeaderMap, base_url: &str) -> Result<(), Fault> {
    if text(headers, OWN_HEADER) != Some("1") {
        return Err(Fault::forbidden(format!(
            "This call is for the dashboard's own pages, which send {OWN_HEADER}: 1. Programs use the services themselves."
        )));
    }
    from_own_origin(headers, base_url)
}

/// The same for a request that cannot carry headers of its own: an event stream.
pub(crate) fn from_own_origin(headers: &HeaderMap, base_url: &str) -> Result<(), Fault> {
    let own = match (text(headers, "sec-fetch-site"), text(headers, "origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => base_url
            .strip_prefix(origin)
            .is_some_and(|rest| rest.starts_with('/')),
        (None, None) => true,
    };
    if own {
        return Ok(());
    }
    Err(Fault::forbidden(
        "This request came from a page of another origin.",
    ))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&'static str, &'static str)], expected: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        let allowed = from_own_page(&headers, "http://cloud.test:8774/dashboard").is_ok();
        assert_eq!(allowed, expected, "{pairs:?}");
    }

    #[test]
    fn only_own_pages_pass() {
        let own = (OWN_HEADER, "1");
        check(&[own], true);
        check(&[], false);
        check(&[own, ("sec-fetch-site", "same-origin")], true);
        check(&[own, ("sec-fetch-site", "same-site")], false);
        check(&[own, ("sec-fetch-site", "cross-site")], false);
        check(&[own, ("sec-fetch-site", "none")], false);
        check(&[own, ("origin", "http://cloud.test:8774")], true);
        check(&[own, ("origin", "http://cloud.test:87")], false);
        check(&[own, ("origin", "http://evil.test")], false);
        check(&[own, ("origin", "null")], false);
    }
}
