//! What went wrong, in S3's words.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use nephos_api::{Payload, Response};
use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::ops::read::ReadError;
use crate::ops::write::WriteError;

/// 400, before s3s has looked at the request; `inner` is XML.
pub(super) fn malformed(code: &str, inner: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>{inner}</Error>"
    );
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    Response {
        status: StatusCode::BAD_REQUEST,
        headers,
        body: Payload::Bytes(body.into()),
    }
}

/// A failed statement.
pub(super) fn of_database(why: nephos_db::Error) -> S3Error {
    tracing::error!(%why, "database refused a statement");
    if why.is_transient() {
        s3_error!(SlowDown, "The database is busy. Try again in a moment.")
    } else {
        s3_error!(InternalError, "The request could not be carried out.")
    }
}

/// An object that cannot be written or removed.
pub(super) fn of_write(why: WriteError) -> S3Error {
    match why {
        WriteError::Aborted(_) | WriteError::Length { .. } => s3_error!(
            IncompleteBody,
            "You did not provide the number of bytes specified by the Content-Length HTTP header."
        ),
        WriteError::Stalled => s3_error!(RequestTimeout, "Nothing came for a minute."),
        WriteError::TooLarge(_) => s3_error!(
            EntityTooLarge,
            "Your proposed upload exceeds the maximum allowed object size."
        ),
        WriteError::Etag => s3_error!(
            BadDigest,
            "The checksum you specified did not match what we received."
        ),
        WriteError::NoContainer => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
        WriteError::NoObject => s3_error!(NoSuchKey, "The specified key does not exist."),
        WriteError::NoUpload => s3_error!(
            NoSuchUpload,
            "The specified upload does not exist. It may have been aborted or completed."
        ),
        WriteError::NoArchive => s3_error!(
            OperationAborted,
            "The container of older versions does not exist."
        ),
        WriteError::Quota => {
            let mut error = s3_error!(
                EntityTooLarge,
                "The quota of the bucket or of the account is exceeded."
            );
            error.set_status_code(http::StatusCode::FORBIDDEN);
            error
        }
        WriteError::Condition => s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold"
        ),
        WriteError::SourceGone => s3_error!(
            OperationAborted,
            "The source was changed meanwhile. Try again."
        ),
        WriteError::Part(_) => s3_error!(
            InvalidPart,
            "One or more of the specified parts could not be found."
        ),
        WriteError::PartOrder => s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order."
        ),
        WriteError::PartSize(_) => s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size"
        ),
        WriteError::WholeSize(size) => S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            format!(
                "The parts have {size} bytes together, another number than x-amz-mp-object-size says."
            ),
        ),
        WriteError::GivenUp => s3_error!(
            ServiceUnavailable,
            "The object could not be stored. Try again."
        ),
        WriteError::Blob(why) => of_store(&why),
        WriteError::Db(why) => of_database(why),
    }
}

/// An object that cannot be read.
pub(super) fn of_read(why: ReadError) -> S3Error {
    match why {
        ReadError::Segment(_) | ReadError::TooMany => {
            s3_error!(
                OperationAborted,
                "A segment of the object is not there, or not what its manifest says."
            )
        }
        ReadError::Replaced => s3_error!(
            OperationAborted,
            "The object is being replaced all the time. Try again in a moment."
        ),
        ReadError::Blob(why) => of_store(&why),
        ReadError::Db(why) => of_database(why),
    }
}

fn of_store(why: &nephos_blob::Error) -> S3Error {
    tracing::error!(%why, "the store refused");
    match why {
        nephos_blob::Error::Full => {
            let mut error = s3_error!(ServiceUnavailable, "The disk is full; nothing was stored.");
            error.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
            error
        }
        nephos_blob::Error::Missing { .. }
        | nephos_blob::Error::Key { .. }
        | nephos_blob::Error::Io { .. }
        | nephos_blob::Error::Unavailable { .. } => {
            s3_error!(ServiceUnavailable, "The store does not answer. Try again.")
        }
        nephos_blob::Error::Refused { .. } | nephos_blob::Error::Settings { .. } => {
            s3_error!(
                ServiceUnavailable,
                "The store refuses. Who runs this cloud finds the reason in its log."
            )
        }
    }
}
