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
