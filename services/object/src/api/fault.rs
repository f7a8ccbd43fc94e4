//! How Swift words its refusals, and where errors become HTTP.

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use nephos_api::{Dialect, Fault, Request};
use nephos_types::RequestId;
use serde_json::{Value, json};

use crate::ops::read::ReadError;
use crate::ops::write::WriteError;

/// Swift's words: pages.
pub(crate) static DIALECT: Dialect = Dialect {
    rewrite: Some(rewrite),
    fault_page: Some(page),
    request_id_header: Some("x-trans-id"),
    request_id_form: transaction_id,
    max_body_bytes: 8 * 1024 * 1024,
    ..Dialect::plain(render)
};

fn render(fault: &Fault, _request_id: &RequestId) -> Value {
    json!({"message": fault.message})
}

fn page(fault: &Fault) -> String {
    let title = fault.status.canonical_reason().unwrap_or("Error");
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    // What Swift says as plain text stays plain.
    if fault.headers.contains_key(header::CONTENT_TYPE) {
        return fault.message.clone();
    }
    format!(
        "<html><h1>{title}</h1><p>{}</p></html>",
        escaped(&fault.message)
    )
}

/// `tx<21 digits>-<10 digits>`, as Swift writes it.
fn transaction_id(id: &RequestId) -> String {
    let digits: String = id
        .as_str()
        .chars()
        .skip("req-".len())
        .filter(char::is_ascii_hexdigit)
        .collect();
    let (first, rest) = digits
        .split_at_checked(21)
        .unwrap_or(("000000000000000000000", "0"));
    format!("tx{first}-{rest:0>10.10}")
}

/// A copy is a write at its destination, and a name may hold slashes, however they are written.
fn rewrite(request: &mut Request) -> Result<(), Fault> {
    let plain = percent_encoding::percent_decode_str(&request.path).decode_utf8();
    if plain.map_or(true, |plain| plain.contains('\0')) {
        return Err(precondition("Invalid UTF8 or contains NULL"));
    }
    if request.method.as_str() == "COPY" {
        redirect_copy(request)?;
    }
    let mut path = request.path.replace("%2F", "/").replace("%2f", "/");
    let object = path
        .splitn(5, '/')
        .nth(4)
        .is_some_and(|object| !object.is_empty());
    if object && path.ends_with('/') {
        path.pop();
        path.push_str("%2F");
    }
    request.path = path;
    Ok(())
}

fn redirect_copy(request: &mut Request) -> Result<(), Fault> {
    let wrong =
        || precondition("Destination header must be of the form <container name>/<object name>");
    let destination = request.headers.remove("destination");
    let destination = destination.ok_or_else(|| precondition("Destination header required"))?;
    let destination = destination
        .to_str()
        .map_err(|_| wrong())?
        .trim_start_matches('/');
    let (container, object) = destination.split_once('/').ok_or_else(wrong)?;
    if container.is_empty() || object.is_empty() {
        return Err(wrong());
    }
    let mut parts = request.path.trim_start_matches('/').splitn(4, '/');
    let (Some(version), Some(account), Some(from), Some(name)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::method_not_allowed(
            "The method COPY is not allowed for this resource.",
        ));
    };
    let header = |text: &str| HeaderValue::from_str(text).map_err(|_| wrong());
    let to_account = request.headers.remove("destination-account");
    let to_account = match &to_account {
        Some(account) => account.to_str().map_err(|_| wrong())?,
        None => account,
    };
    let source = header(&format!("/{from}/{name}"))?;
    let source_account = header(account)?;
    request.path = format!("/{version}/{to_account}/{container}/{object}");
    request
        .headers
        .insert(HeaderName::from_static("x-copy-from"), source);
    request.headers.insert(
        HeaderName::from_static("x-copy-from-account"),
        source_account,
    );
    request
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    request.method = Method::PUT;
    Ok(())
}

/// 412 with these words.
pub(crate) fn precondition(message: impl Into<String>) -> Fault {
    Fault::new(StatusCode::PRECONDITION_FAILED, message)
}

/// 404 in Swift's words.
pub(crate) fn not_found() -> Fault {
    Fault::not_found("The resource could not be found.")
}

/// 409 in Swift's words.
pub(crate) fn conflict() -> Fault {
    Fault::conflict("There was a conflict when trying to complete your request.")
}

/// 413 in Swift's words.
pub(crate) fn over_quota() -> Fault {
    Fault::too_large("Upload exceeds quota.")
}

/// 400 as a plain text.
pub(crate) fn plain(status: StatusCode, message: impl Into<String>) -> Fault {
    Fault::new(status, message).header(header::CONTENT_TYPE, "text/plain; charset=UTF-8")
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Aborted(seen) => Self::new(
                StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
                format!("The client went away after {seen} bytes; nothing was stored."),
            ),
            WriteError::Stalled => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "The server has waited too long for the request to be sent by the client.",
            ),
            WriteError::TooLarge(limit) => Self::too_large(format!(
                "The body of your request was too large for this server: an object has at most {limit} bytes; \
                 larger ones are made of segments."
            )),
            WriteError::Length { seen, expected } => Self::bad_request(format!(
                "{seen} bytes came where {expected} were announced; nothing was stored."
            )),
            WriteError::Etag => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Unable to process the contained instructions: the bytes that came have another checksum than the \
                 ETag says; nothing was stored.",
            ),
            WriteError::NoContainer | WriteError::NoObject | WriteError::NoUpload => not_found(),
            why @ (WriteError::Part(_)
            | WriteError::PartOrder
            | WriteError::PartSize(_)
            | WriteError::WholeSize(_)) => Self::bad_request(why.to_string()),
            WriteError::NoArchive => precondition(
                "The container for older versions does not exist; create it, or remove X-Versions-Location.",
            ),
            WriteError::Quota => over_quota(),
            WriteError::Condition => precondition("A precondition for this request was not met."),
            WriteError::SourceGone => conflict(),
            WriteError::GivenUp => {
                Self::unavailable("The object could not be stored. Try again in a moment.")
            }
            WriteError::Blob(why) => of_store(&why),
            WriteError::Db(why) => of_database(why),
        }
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Segment(name) => Self::conflict(format!(
                "There was a conflict when trying to complete your request: the segment {name} is not there, or not \
                 what the manifest says."
            )),
            ReadError::TooMany => Self::conflict(
                "There was a conflict when trying to complete your request: the manifest has too many segments, or \
                 manifests within manifests.",
            ),
            ReadError::Replaced => {
                Self::conflict("The object is being replaced all the time. Try again in a moment.")
            }
            ReadError::Blob(why) => of_store(&why),
            ReadError::Db(why) => of_database(why),
        }
    }
}

fn of_database(why: nephos_db::Error) -> Fault {
    if why.kind() == nephos_db::Kind::Full {
        return full();
    }
    why.into()
}

/// What the store refused; the cause goes to the log, not to the client.
fn of_store(why: &nephos_blob::Error) -> Fault {
    match why {
        nephos_blob::Error::Full => full(),
        nephos_blob::Error::Missing { .. }
        | nephos_blob::Error::Key { .. }
        | nephos_blob::Error::Io { .. }
        | nephos_blob::Error::Unavailable { .. } => {
            tracing::error!(%why, "the store refused");
            Fault::unavailable("The store does not answer. Try again in a moment.")
        }
        nephos_blob::Error::Refused { .. } | nephos_blob::Error::Settings { .. } => {
            tracing::error!(%why, "the store refused");
            Fault::unavailable(
                "The store refuses. Who runs this cloud finds the reason in its log.",
            )
        }
    }
}

fn full() -> Fault {
    Fault::insufficient_storage(
        "There was not enough space to save the resource: the disk is full; nothing was stored.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_ids_have_swifts_form() {
        let id = RequestId("req-0b6a2a8e-1234-4000-8000-123456789abc".to_owned());
        assert_eq!(transaction_id(&id), "tx0b6a2a8e1234400080001-23456789ab");
    }

    #[test]
    fn copies_become_writes_and_slashes_stay() {
        let method = Method::from_bytes(b"COPY").unwrap();
        let mut request = Request::new(method, "/v1/AUTH_p/c/a%20b");
        request
            .headers
            .insert("destination", HeaderValue::from_static("/d/x%2Fy/"));
        rewrite(&mut request).unwrap();
        assert_eq!(request.method, Method::PUT);
        assert_eq!(request.path, "/v1/AUTH_p/d/x/y%2F");
        assert_eq!(request.headers.get("x-copy-from").unwrap(), "/c/a%20b");
        for (from, to) in [
            ("/v1/a/c/", "/v1/a/c/"),
            ("/v1/a/c/o/", "/v1/a/c/o%2F"),
            ("/v1/a/c%2Fo", "/v1/a/c/o"),
            ("/v1/a/c//o", "/v1/a/c//o"),
        ] {
            let mut request = Request::new(Method::GET, from);
            rewrite(&mut request).unwrap();
            assert_eq!(request.path, to);
        }
        for bad in ["/v1/a/%ff", "/v1/a/%00"] {
            assert!(rewrite(&mut Request::new(Method::GET, bad)).is_err());
        }
    }
}
