//! Headers of requests, as names in lower case and text.

use http::HeaderMap;
use nephos_api::Fault;
use nephos_types::Timestamp;

use super::fault::precondition;

/// Every header.
///
/// # Errors
/// 412 when one is no UTF-8.
pub(crate) fn pairs(headers: &HeaderMap) -> Result<Vec<(String, String)>, Fault> {
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = std::str::from_utf8(value.as_bytes())
            .map_err(|_| precondition("Metadata must be valid UTF-8"))?;
        Ok((name.as_str().to_owned(), value.trim().to_owned()))
    };
    headers.iter().map(text).collect()
}

/// The last header of this name.
pub(crate) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let hit = |(known, _): &&(String, String)| known == name;
    pairs
        .iter()
        .rev()
        .find(hit)
        .map(|(_, value)| value.as_str())
}

/// Whether a header says yes, in one of the ways that Swift takes.
pub(crate) fn is_true(pairs: &[(String, String)], name: &str) -> bool {
    let yes = ["true", "1", "yes", "on", "t", "y"];
    value(pairs, name).is_some_and(|value| yes.contains(&value.to_ascii_lowercase().as_str()))
}

/// When an object is to go: `X-Delete-After` or `X-Delete-At`.
///
/// # Errors
/// 400 in Swift's words.
pub(crate) fn delete_at(
    pairs: &[(String, String)],
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    let seconds = |name: &str, header: &str| {
        let given = value(pairs, name).filter(|text| !text.is_empty());
        let parsed = given.map(|text| text.parse::<i64>()).transpose();
        parsed.map_err(|_| Fault::bad_request(format!("Non-integer {header}")))
    };
    let after = seconds("x-delete-after", "X-Delete-After")?;
    let at = seconds("x-delete-at", "X-Delete-At")?;
    if after.is_some_and(|after| after <= 0) {
        return Err(Fault::bad_request("X-Delete-After in past"));
    }
    let at = match after {
        Some(after) => Some(now.secs().saturating_add(after)),
        None => at,
    };
    if at.is_some_and(|at| at <= now.secs() || at > 9_999_999_999) {
        return Err(Fault::bad_request("X-Delete-At in past"));
    }
    Ok(at.map(|at| Timestamp(0).plus_secs(at)))
}

/// The media type that a name suggests.
pub(crate) fn type_of_name(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "7z" => "application/x-7z-compressed",
        "avif" => "image/avif",
        "bmp" => "image/bmp",
        "css" => "text/css",
        "csv" => "text/csv",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "gif" => "image/gif",
        "htm" | "html" => "text/html",
        "ico" => "image/vnd.microsoft.icon",
        "jpeg" | "jpg" => "image/jpeg",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "md" => "text/markdown",
        "mov" => "video/quicktime",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "ppt" => "application/vnd.ms-powerpoint",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "svg" => "image/svg+xml",
        "tar" => "application/x-tar",
        "tif" | "tiff" => "image/tiff",
        "txt" => "text/plain",
        "wasm" => "application/wasm",
        "wav" => "audio/x-wav",
        "webm" => "video/webm",
        "webp" => "image/webp",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xml" => "application/xml",
        "zip" => "application/zip",
        _unknown => "application/octet-stream",
    }
}
