//! What a refusal means: whether it will pass, and what helps if it does not.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::Error;

/// Characters of somebody else's words that are passed on.
const WORDS: usize = 200;

/// Codes that come with a status of refusal and pass none the less.
const PASSING: [&str; 9] = [
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "Throttling",
    "TooManyRequests",
    "OperationAborted",
    "ConcurrentModification",
    "BadDigest",
];

/// Codes of a store that is full.
const FULL: [&str; 3] = ["QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"];

/// An error while doing `what`.
pub(super) fn of<E: ProvideErrorMetadata>(what: String, why: &SdkError<E, HttpResponse>) -> Error {
    let unavailable = |why: String| Error::Unavailable {
        what: what.clone(),
        why,
    };
    match why {
        SdkError::TimeoutError(_) => unavailable("no answer in time".to_owned()),
        SdkError::DispatchFailure(failed) if failed.is_timeout() => {
            unavailable("no connection or no answer in time".to_owned())
        }
        SdkError::DispatchFailure(failed) => {
            let cause = failed.as_connector_error().map(|why| innermost(why));
            unavailable(cause.unwrap_or_else(|| "it cannot be reached".to_owned()))
        }
        SdkError::ResponseError(_) => unavailable("its answer is none of S3's".to_owned()),
        SdkError::ServiceError(said) => {
            let status = said.raw().status().as_u16();
            let (code, message) = (said.err().code(), said.err().message());
            refused(
                what,
                (
                    status,
                    code.unwrap_or_default(),
                    message.unwrap_or_default(),
                ),
            )
        }
        _construction => Error::Refused {
            what,
            why: "the request cannot be made".to_owned(),
            hint: "look at [object.bucket]",
        },
    }
}

/// Whether an object, or an upload, is not there.
pub(super) fn is_missing<E: ProvideErrorMetadata>(why: &SdkError<E, HttpResponse>) -> bool {
    let SdkError::ServiceError(said) = why else {
        return false;
    };
    match said.err().code() {
        Some(code) => ["NoSuchKey", "NoSuchUpload", "NotFound"].contains(&code),
        // An answer to HEAD says no more.
        None => said.raw().status().as_u16() == 404,
    }
}

fn refused(what: String, (status, code, message): (u16, &str, &str)) -> Error {
    if FULL.contains(&code) || status == 507 {
        return Error::Full;
    }
    let mut why = if code.is_empty() {
        format!("HTTP status {status}")
    } else {
        clean(code)
    };
    if !message.is_empty() {
        why = format!("{why} ({})", clean(message));
    }
    if PASSING.contains(&code) || status >= 500 || status == 429 || status == 408 {
        return Error::Unavailable { what, why };
    }
    let hint = match (code, status) {
        ("NoSuchBucket", _) => "make the bucket, or correct `bucket` in [object.bucket]",
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch", _) => {
            "correct `access_key` and `secret_key` in [object.bucket]"
        }
        ("RequestTimeTooSkewed", _) => "set the clock of this machine",
        ("AuthorizationHeaderMalformed" | "PermanentRedirect", _) | (_, 301 | 307) => {
            "correct `region` and `endpoint` in [object.bucket]"
        }
        (_, 401 | 403) => {
            "its key needs the right to list, read, write and delete there, unfinished uploads included"
        }
        _other => "look at [object.bucket], and at what serves it",
    };
    Error::Refused { what, why, hint }
}

/// The cause behind all causes, which says most: `Connection refused`.
fn innermost(why: &dyn std::error::Error) -> String {
    let mut why = why;
    while let Some(cause) = why.source() {
        why = cause;
    }
    clean(&why.to_string())
}

/// Somebody else's words, on one line and not too many.
fn clean(words: &str) -> String {
    let words: String = words.chars().take(WORDS).collect();
    words.replace(char::is_control, " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let told = |status, code, message| refused("write".to_owned(), (status, code, message));
        for (status, code) in [
            (503, "SlowDown"),
            (500, ""),
            (200, "InternalError"),
            (429, ""),
        ] {
            let error = told(status, code, "");
            assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        }
        for (status, code) in [(403, "QuotaExceeded"), (507, "")] {
            assert!(matches!(told(status, code, ""), Error::Full));
        }
        let helps = |status, code, word: &str| {
            let error = told(status, code, "").to_string();
            assert!(error.contains(word), "{error}");
        };
        helps(404, "NoSuchBucket", "make the bucket");
        helps(403, "AccessDenied", "needs the right");
        helps(403, "", "needs the right");
        helps(403, "InvalidAccessKeyId", "access_key");
        helps(301, "PermanentRedirect", "region");
    }

    #[test]
    fn the_words_of_others_are_bounded_and_stay_on_a_line() {
        let long = "x\r\n".repeat(1000);
        let error = refused("write".to_owned(), (403, "AccessDenied", &long)).to_string();
        assert!(error.len() < 500 && !error.contains('\n'), "{error}");
    }
}
