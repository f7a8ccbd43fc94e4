//! What S3 knows and this service does not: asked for, it is refused. Taken and dropped, it would be a broken promise.

use http::{HeaderMap, HeaderValue};
use s3s::{S3Result, s3_error};

/// Headers, the values that ask for no more than there is, and what the client is told.
const WISHES: &[(&str, &[&str], &str)] = &[
    (
        "x-amz-server-side-encryption",
        &[],
        "Objects are not encrypted by the server: encrypt them before you send them.",
    ),
    (
        "x-amz-copy-source-server-side-encryption",
        &[],
        "Objects are not encrypted by the server.",
    ),
    (
        "x-amz-acl",
        &["private", "bucket-owner-full-control"],
        "Access lists are set by Swift's API, on containers.",
    ),
    (
        "x-amz-grant-",
        &[],
        "Access lists are set by Swift's API, on containers.",
    ),
    (
        "x-amz-tagging",
        &[""],
        "Objects have no tags: use metadata.",
    ),
    (
        "x-amz-storage-class",
        &["STANDARD"],
        "There is one storage class: STANDARD.",
    ),
    ("x-amz-object-lock-", &[], "Objects cannot be locked."),
    (
        "x-amz-bucket-object-lock-enabled",
        &["false", "False"],
        "Objects cannot be locked.",
    ),
    (
        "x-amz-write-offset-bytes",
        &[],
        "Objects are written whole: nothing is appended to them.",
    ),
    (
        "x-amz-website-redirect-location",
        &[],
        "Buckets are no web sites.",
    ),
];

/// Refuses what cannot be had.
///
/// # Errors
/// `NotImplemented`, with what helps.
pub(super) fn check(headers: &HeaderMap<HeaderValue>) -> S3Result<()> {
    for (name, value) in headers {
        let wish = WISHES
            .iter()
            .find(|(wish, ..)| name.as_str().starts_with(wish));
        if let Some((_, harmless, why)) = wish
            && !harmless.iter().any(|harmless| value == harmless)
        {
            return Err(s3_error!(NotImplemented, "{why}"));
        }
    }
    Ok(())
}

/// The only version that there is of an object, as S3 calls it.
pub(super) const NO_VERSION: &str = "null";

/// Refuses a version that there cannot be: the request would be about another object than the one that is meant.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn check_version(query: Option<&str>) -> S3Result<()> {
    let pairs = query.unwrap_or_default().split('&');
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut versions = pairs.filter(|(name, _)| *name == "versionId");
    if versions.any(|(_, version)| version != NO_VERSION) {
        return Err(s3_error!(
            InvalidArgument,
            "Invalid version id specified: objects have one version, null."
        ));
    }
    Ok(())
}

/// Signed addresses are good for a week at most.
const MAX_EXPIRES_SECS: u64 = 7 * 24 * 3600;

/// Refuses addresses that would be good for ever, and signatures of version 2, which s3s would take: they are made with SHA-1, and nobody needs them any more.
///
/// # Errors
/// `InvalidRequest`, in Amazon's words.
pub(super) fn check_signature(
    headers: &HeaderMap<HeaderValue>,
    query: Option<&str>,
) -> S3Result<()> {
    let said = headers.get(http::header::AUTHORIZATION);
    let in_header = said.is_some_and(|said| said.as_bytes().starts_with(b"AWS "));
    let pairs = || query.unwrap_or_default().split('&');
    let expires = pairs().find_map(|pair| pair.strip_prefix("X-Amz-Expires="));
    if expires.is_some_and(|secs| {
        secs.parse::<u64>()
            .is_ok_and(|secs| secs > MAX_EXPIRES_SECS)
    }) {
        return Err(s3_error!(
            AuthorizationQueryParametersError,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
        ));
    }
    if in_header || pairs().any(|pair| pair.starts_with("AWSAccessKeyId=")) {
        return Err(s3_error!(
            InvalidRequest,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &'static str, value: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        let refused = check(&headers).err()?;
        Some(refused.code().as_str().to_owned())
    }

    #[test]
    fn signatures_are_of_version_4() {
        let mut headers = HeaderMap::new();
        assert!(check_signature(&headers, Some("X-Amz-Signature=0&X-Amz-Expires=604800")).is_ok());
        assert!(check_signature(&headers, Some("X-Amz-Expires=604801")).is_err());
        assert!(check_signature(&headers, Some("x=y&AWSAccessKeyId=k&Signature=s")).is_err());
        let name = http::header::AUTHORIZATION;
        headers.insert(
            &name,
            HeaderValue::from_static("AWS4-HMAC-SHA256 Credential=x"),
        );
        assert!(check_signature(&headers, None).is_ok());
        headers.insert(&name, HeaderValue::from_static("AWS key:signature"));
        assert!(check_signature(&headers, None).is_err());
    }

    #[test]
    fn there_is_one_version() {
        for (query, ok) in [
            (None, true),
            (Some("versionId=null"), true),
            (Some("x-id=GetObject&versionId=null"), true),
            (Some("versionId=3"), false),
            (Some("versionId=null&versionId=3"), false),
            (Some("versionId="), false),
        ] {
            assert_eq!(check_version(query).is_ok(), ok, "{query:?}");
        }
    }

    #[test]
    fn only_what_is_there_is_promised() {
        for (name, value) in [
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-server-side-encryption-customer-key", "secret"),
            ("x-amz-acl", "public-read"),
            ("x-amz-grant-read", "id=x"),
            ("x-amz-tagging", "a=b"),
            ("x-amz-storage-class", "GLACIER"),
            ("x-amz-object-lock-mode", "COMPLIANCE"),
            ("x-amz-website-redirect-location", "/x"),
            ("x-amz-write-offset-bytes", "10"),
        ] {
            assert_eq!(
                code(name, value).as_deref(),
                Some("NotImplemented"),
                "{name}"
            );
        }
        for (name, value) in [
            ("x-amz-acl", "private"),
            ("x-amz-storage-class", "STANDARD"),
            ("x-amz-meta-acl", "public-read"),
            ("x-amz-date", "20260101T000000Z"),
        ] {
            assert_eq!(code(name, value), None, "{name}");
        }
    }
}
