//! Deleting many things by one request.

use http::{HeaderMap, StatusCode};
use nephos_api::{Fault, Params, Stream};
use serde_json::json;

use super::access::denied;
use super::listing::{self, Format};
use super::reply::{self, Answer};
use crate::Cx;
use crate::model::names;
use crate::ops::access::Access;
use crate::ops::publish::Condition;
use crate::ops::write::WriteError;
use crate::store::containers;

/// Most names of one request.
pub(crate) const MAX_DELETES: usize = 10_000;
/// After so many failures the rest is not tried.
pub(crate) const MAX_FAILED: usize = 1000;
/// Longest body, in bytes: so many names as long as they may be.
const MAX_BYTES: usize =
    MAX_DELETES * 3 * (names::MAX_OBJECT_BYTES + names::MAX_CONTAINER_BYTES) / 8;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    deleted: usize,
    not_found: usize,
    errors: Vec<(String, String)>,
}

/// Deletes what the body names, line by line.
pub(crate) async fn delete(
    cx: &Cx,
    access: &Access,
    (account, query, headers): (&str, &Params, &HeaderMap),
    mut body: Stream,
) -> Result<Answer, Fault> {
    if !access.is_known() {
        return Err(denied(access, account));
    }
    let text = whole(&mut body, MAX_BYTES).await?;
    let text = String::from_utf8(text)
        .map_err(|_| super::fault::precondition("Invalid UTF8 or contains NULL"))?;
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.len() > MAX_DELETES {
        return Err(Fault::too_large(format!(
            "Maximum Bulk Deletes: {MAX_DELETES} per request"
        )));
    }
    let mut outcome = Outcome::default();
    for line in lines {
        if outcome.errors.len() >= MAX_FAILED {
            outcome
                .errors
                .push((line.to_owned(), "400 Bad Request".to_owned()));
            break;
        }
        let name = percent_encoding::percent_decode_str(line)
            .decode_utf8_lossy()
            .into_owned();
        outcome.one(cx, access, (account, line, &name)).await?;
    }
    Ok(outcome.answer(listing::format(query, headers)?))
}

/// Reads a body that must fit into memory.
pub(crate) async fn whole(body: &mut Stream, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    while let Some(chunk) = body
        .next()
        .await
        .map_err(|_| Fault::bad_request("The body ended before its end."))?
    {
        if all.len() + chunk.len() > limit {
            return Err(Fault::too_large(format!(
                "The body is larger than {limit} bytes."
            )));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

impl Outcome {
    /// Deletes one thing: an object, or an empty container.
    pub(crate) async fn one(
        &mut self,
        cx: &Cx,
        access: &Access,
        (account, line, name): (&str, &str, &str),
    ) -> Result<(), Fault> {
        let mut failed = |why: &str| self.errors.push((line.to_owned(), why.to_owned()));
        let path = name.trim_start_matches('/');
        let (container, object) = path.split_once('/').unwrap_or((path, ""));
        let found = containers::get(cx.db(), account, container).await?;
        let may = match &found {
            Some(found) if object.is_empty() => access.owns(&found.account),
            Some(found) => access.writes(found),
            None => access.owns(account),
        };
        let Some(found) = found.filter(|_| may) else {
            if may {
                self.not_found += 1;
            } else {
                failed("403 Forbidden");
            }
            return Ok(());
        };
        if object.is_empty() {
            if cx.remove_container(&found).await? {
                self.deleted += 1;
            } else {
                failed("409 Conflict");
            }
            return Ok(());
        }
        match cx.remove_object(&found.id, object, &Condition::None).await {
            Ok(()) => self.deleted += 1,
            Err(WriteError::NoObject | WriteError::NoContainer) => self.not_found += 1,
            Err(why) => {
                let fault = Fault::from(why);
                failed(&fault.status.to_string());
            }
        }
        Ok(())
    }

    /// Nothing is done, for this reason.
    pub(crate) fn refused(line: &str, why: &str) -> Self {
        Self {
            errors: vec![(line.to_owned(), why.to_owned())],
            ..Self::default()
        }
    }

    /// The report, in the form that the client takes.
    pub(crate) fn answer(self, format: Format) -> Answer {
        let nothing = self.deleted == 0 && self.not_found == 0 && self.errors.is_empty();
        let (status, body) = if nothing {
            ("400 Bad Request", "Invalid bulk delete.")
        } else if self.errors.is_empty() {
            ("200 OK", "")
        } else {
            ("400 Bad Request", "")
        };
        if format == Format::Json {
            let report = json!({
                "Response Status": status,
                "Response Body": body,
                "Number Deleted": self.deleted,
                "Number Not Found": self.not_found,
                "Errors": self.errors,
            });
            return reply::text(StatusCode::OK, "application/json", report.to_string());
        }
        let mut text = format!(
            "Number Deleted: {}\nNumber Not Found: {}\nResponse Body: {body}\nResponse Status: {status}\nErrors:\n",
            self.deleted, self.not_found
        );
        for (name, why) in &self.errors {
            text.push_str(&format!("{name}, {why}\n"));
        }
        reply::text(StatusCode::OK, "text/plain", text)
    }
}
