//! Bodies and queries on their way in: media types, JSON, and the form of each version.

use std::marker::PhantomData;

use http::{HeaderMap, header};
use nephos_api::openapi::{SchemaRef, Schemas};
use nephos_api::{Body, Fault, Params, Parts, Shape, Version};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use super::schema::{Object, Schema};

const JSON: &str = "application/json";

/// Something that a client sends, and its form at a version.
pub(crate) trait Checked: DeserializeOwned + ToSchema + Send + 'static {
    /// The form.
    fn schema(version: Version) -> &'static Schema;
}

/// A JSON body, unread: upstream looks for the thing that it is about before it looks into it.
#[derive(Debug)]
pub(crate) struct Form<T> {
    bytes: Vec<u8>,
    version: Version,
    what: PhantomData<fn() -> T>,
}

impl<T: Checked> Form<T> {
    /// Reads it.
    ///
    /// # Errors
    /// 400 saying what is wrong with it.
    pub(crate) fn read(&self) -> Result<T, Fault> {
        let value: Value = serde_json::from_slice(&self.bytes)
            .map_err(|why| Fault::bad_request(format!("Malformed JSON: {why}")))?;
        if nephos_api::has_nul(&value) {
            return Err(Fault::bad_request(
                "JSON does not validate: a text holds a NUL character, which no text may",
            ));
        }
        <T as Checked>::schema(self.version)
            .check(&value)
            .map_err(|why| Fault::bad_request(format!("JSON does not validate: {why}")))?;
        serde_json::from_value(value)
            .map_err(|why| Fault::bad_request(format!("JSON does not validate: {why}")))
    }
}

impl<T: Checked> Body for Form<T> {
    fn read(parts: &mut Parts<'_>, _shape: Option<&Shape>) -> Result<Self, Fault> {
        check_content(&parts.headers)?;
        let media = media_type(&parts.headers);
        if media.as_deref() != Some(JSON) {
            let media = media.unwrap_or_else(|| "None".to_owned());
            return Err(Fault::unsupported_media_type(format!(
                "The media type {media} is not supported, use {JSON}"
            )));
        }
        Ok(Self {
            bytes: parts.body_bytes().to_vec(),
            version: parts.version,
            what: PhantomData,
        })
    }

    fn schema(schemas: &mut Schemas) -> Option<SchemaRef> {
        Some(schemas.add::<T>())
    }
}

/// No body; the reply is JSON, and the client must take that.
#[derive(Debug)]
pub(crate) struct Reads;

impl Body for Reads {
    fn read(parts: &mut Parts<'_>, _shape: Option<&Shape>) -> Result<Self, Fault> {
        check_content(&parts.headers)?;
        let mut accepts = parts.headers.get_all(header::ACCEPT).into_iter();
        let refused = accepts.any(|value| value.to_str().is_ok_and(|text| !takes_json(text)));
        if refused {
            return Err(Fault::not_acceptable(format!("Only {JSON} is provided")));
        }
        Ok(Self)
    }

    fn schema(_schemas: &mut Schemas) -> Option<SchemaRef> {
        None
    }
}

/// No body, and none in the reply.
#[derive(Debug)]
pub(crate) struct Bodiless;

impl Body for Bodiless {
    fn read(parts: &mut Parts<'_>, _shape: Option<&Shape>) -> Result<Self, Fault> {
        check_content(&parts.headers).map(|()| Self)
    }

    fn schema(_schemas: &mut Schemas) -> Option<SchemaRef> {
        None
    }
}

/// Upstream wants to know the media type of everything that has a length.
fn check_content(headers: &HeaderMap) -> Result<(), Fault> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(());
    };
    let length = length.to_str().ok().filter(|text| !text.is_empty());
    let Some(length) = length.and_then(|text| text.parse::<u64>().ok()) else {
        return Err(Fault::bad_request(
            "content-length header must be an integer",
        ));
    };
    if length > 0 && media_type(headers).is_none() {
        return Err(Fault::bad_request(
            "content-type header required when content-length > 0",
        ));
    }
    Ok(())
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let whole = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media = whole.split(';').next()?.trim().to_ascii_lowercase();
    (!media.is_empty()).then_some(media)
}

fn takes_json(accept: &str) -> bool {
    if accept.trim().is_empty() {
        return true;
    }
    accept.split(',').any(|range| {
        let mut pieces = range.split(';').map(str::trim);
        let media = pieces.next().unwrap_or_default().to_ascii_lowercase();
        let refused = pieces.any(|piece| {
            let weight = piece.strip_prefix("q=").map(str::parse::<f64>);
            matches!(weight, Some(Ok(weight)) if weight <= 0.0)
        });
        !refused && matches!(media.as_str(), JSON | "application/*" | "*/*")
    })
}

/// Checks the query as upstream does: of a repeated key, the last value.
///
/// # Errors
/// 400 saying what is wrong with it.
pub(crate) fn check_query(params: &Params, schema: &Schema) -> Result<(), Fault> {
    let mut object = serde_json::Map::new();
    for (key, value) in &params.0 {
        // What was no UTF-8 arrives as the replacement character.
        if key.contains('\u{fffd}') || value.contains('\u{fffd}') {
            return Err(bad_query("'utf-8' codec can't decode the query string"));
        }
        object.insert(key.clone(), Value::String(value.clone()));
    }
    schema
        .check(&Value::Object(object))
        .map_err(|why| bad_query(&why))
}

/// 400 for a query.
pub(crate) fn bad_query(why: &str) -> Fault {
    Fault::bad_request(format!("Invalid query string parameters: {why}"))
}

/// The last value of a key.
pub(crate) fn last<'a>(params: &'a Params, key: &'a str) -> Option<&'a str> {
    params.all(key).last()
}

/// A query of any of these texts.
pub(crate) fn any_of(keys: Vec<(&'static str, Schema)>) -> Schema {
    Schema::Object(Object::default().optional(keys))
}

#[cfg(test)]
mod tests {
    use super::takes_json;

    #[test]
    fn a_client_that_takes_json_says_so_in_many_ways() {
        for accept in [
            "application/json",
            "*/*",
            "",
            "text/html, application/*;q=0.2",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ] {
            assert!(takes_json(accept), "{accept}");
        }
        for accept in [
            "text/plain",
            "application/json;q=0",
            "text/html,application/xhtml+xml,application/xml;q=0.9",
        ] {
            assert!(!takes_json(accept), "{accept}");
        }
    }
}
