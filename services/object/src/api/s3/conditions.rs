//! What requests make their answer depend on: of what is read, of what a copy is made of, of what is written or removed.

use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use nephos_types::Timestamp;
use s3s::dto::{ETag, ETagCondition};
use s3s::{S3Error, S3Result, dto, s3_error};

use super::list::time;
use crate::ops::publish::Condition;

/// Of an object that is there.
#[derive(Default)]
pub(super) struct Conditions {
    pub matches: Option<ETagCondition>,
    pub differs: Option<ETagCondition>,
    pub since: Option<dto::Timestamp>,
    pub unchanged_since: Option<dto::Timestamp>,
}

/// How an object looks to them.
enum Verdict {
    Holds,
    /// The client has it already.
    Same,
    /// It is not what the client takes it for.
    Failed,
}

impl Conditions {
    fn verdict(&self, etag: &str, updated_at: Timestamp) -> Verdict {
        // HTTP's times are whole seconds, as those that clients were shown.
        let changed = time(Timestamp(updated_at.0 / 1_000_000 * 1_000_000));
        let same = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(tag) => tag.value() == etag,
        };
        let later = |at: &dto::Timestamp| changed > *at;
        match &self.matches {
            Some(condition) if !same(condition) => return Verdict::Failed,
            None if self.unchanged_since.as_ref().is_some_and(later) => return Verdict::Failed,
            _holds => {}
        }
        match &self.differs {
            Some(condition) if same(condition) => Verdict::Same,
            None if self.since.as_ref().is_some_and(|at| !later(at)) => Verdict::Same,
            _holds => Verdict::Holds,
        }
    }

    /// Of what is read: who has it already is told so.
    pub(super) fn of_reader(&self, etag: &str, updated_at: Timestamp) -> S3Result<()> {
        match self.verdict(etag, updated_at) {
            Verdict::Holds => Ok(()),
            Verdict::Same => Err(s3_error!(NotModified)),
            Verdict::Failed => Err(failed()),
        }
    }

    /// Of what a copy is made of.
    pub(super) fn of_source(&self, etag: &str, updated_at: Timestamp) -> S3Result<()> {
        match self.verdict(etag, updated_at) {
            Verdict::Holds => Ok(()),
            Verdict::Same | Verdict::Failed => Err(failed()),
        }
    }
}

fn failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

/// Of a write: what its place must look like.
pub(super) fn of_place(
    matches: Option<ETagCondition>,
    differs: Option<ETagCondition>,
) -> S3Result<Condition> {
    match (matches, differs) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::ETag(tag)), None) => Ok(Condition::Match(tag.value().to_owned())),
        _other => Err(s3_error!(
            NotImplemented,
            "A write takes If-None-Match: * or If-Match with a tag."
        )),
    }
}

/// Of a copy, whose place s3s does not read them for.
pub(super) fn of_headers(headers: &HeaderMap) -> S3Result<Condition> {
    let read = |name: http::HeaderName| {
        let value = headers.get(name).map(http::HeaderValue::as_bytes);
        let parsed = value.map(ETagCondition::parse_http_header).transpose();
        parsed.map_err(|_| s3_error!(InvalidArgument, "An ETag stands between double quotes."))
    };
    of_place(read(IF_MATCH)?, read(IF_NONE_MATCH)?)
}

/// Of a removal: the tag of what is to go.
pub(super) fn of_removal(tag: Option<ETag>) -> Condition {
    tag.map_or(Condition::None, |tag| Condition::Match(tag.into_value()))
}
