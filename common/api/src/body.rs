//! Bodies on their way in.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use crate::endpoint::Parts;
use crate::http_types::Incoming;
use crate::openapi::{SchemaRef, Schemas};
use crate::wrong::from_value;
use crate::{Fault, Shape};

/// A JSON body or reply.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T> std::ops::Deref for Json<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// The body as it came, up to the dialect's limit.
#[derive(Debug)]
pub struct Bytes(pub bytes::Bytes);

/// No body is read.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

/// The body chunk by chunk.
#[derive(Debug)]
pub struct Stream {
    source: Source,
    /// `Content-Length`, when the client declared it.
    pub declared_bytes: Option<u64>,
    seen_bytes: u64,
}

#[derive(Debug)]
enum Source {
    Whole(Option<bytes::Bytes>),
    Channel(mpsc::Receiver<Result<Option<bytes::Bytes>, std::io::Error>>),
}

impl Stream {
    /// The next chunk, or `None` at the declared end.
    ///
    /// # Errors
    /// When the client went away before the end, or sent fewer bytes than it declared.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, std::io::Error> {
        let chunk = match &mut self.source {
            Source::Whole(whole) => whole.take().filter(|bytes| !bytes.is_empty()),
            Source::Channel(channel) => match channel.recv().await {
                Some(chunk) => chunk?,
                None => return Err(std::io::ErrorKind::ConnectionAborted.into()),
            },
        };
        match (&chunk, self.declared_bytes) {
            (Some(bytes), _) => self.seen_bytes += bytes.len() as u64,
            (None, Some(declared)) if declared != self.seen_bytes => {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            (None, _) => {}
        }
        Ok(chunk)
    }
}

/// What an endpoint takes.
pub trait Body: Sized + Send + 'static {
    /// Whether the pipeline hands over the stream instead of collecting it.
    const STREAMED: bool = false;

    /// Reads it.
    ///
    /// # Errors
    /// A 400 in the service's words.
    fn read(parts: &mut Parts<'_>, shape: Option<&Shape>) -> Result<Self, Fault>;

    /// Its schema for OpenAPI, if it has one.
    fn schema(schemas: &mut Schemas) -> Option<SchemaRef>;
}

impl<T: DeserializeOwned + ToSchema + Send + 'static> Body for Json<T> {
    fn read(parts: &mut Parts<'_>, shape: Option<&Shape>) -> Result<Self, Fault> {
        let mut value = parts.json()?;
        if let Some(shape) = shape {
            if parts.lenient {
                shape.drop_unexpected(&mut value, parts.version);
            }
            shape.check(&value, parts.version, parts.dialect)?;
        }
        from_value(&value, parts.dialect).map(Json)
    }

    fn schema(schemas: &mut Schemas) -> Option<SchemaRef> {
        Some(schemas.add::<T>())
    }
}

impl Parts<'_> {
    /// The collected body as JSON.
    ///
    /// # Errors
    /// A 400: there is none, or it is none.
    pub fn json(&mut self) -> Result<Value, Fault> {
        let value = serde_json::from_slice(&self.body_bytes()).map_err(malformed)?;
        if has_nul(&value) {
            return Err(Fault::bad_request(
                "A text of the body holds a NUL character, which no text may.",
            ));
        }
        Ok(value)
    }
}

/// Whether a text of it holds a NUL character: no database of text takes that.
#[must_use]
pub fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn malformed(why: serde_json::Error) -> Fault {
    if why.is_eof() && why.line() <= 1 && why.column() == 0 {
        return Fault::bad_request("The request needs a JSON body and has none.");
    }
    Fault::bad_request(format!("The body is not valid JSON: {why}."))
}

impl Body for Bytes {
    fn read(parts: &mut Parts<'_>, _shape: Option<&Shape>) -> Result<Self, Fault> {
        Ok(Self(parts.body_bytes()))
    }

    fn schema(_schemas: &mut Schemas) -> Option<SchemaRef> {
        None
    }
}

impl Body for Nothing {
    fn read(_parts: &mut Parts<'_>, _shape: Option<&Shape>) -> Result<Self, Fault> {
        Ok(Self)
    }

    fn schema(_schemas: &mut Schemas) -> Option<SchemaRef> {
        None
    }
}

impl Body for Stream {
    const STREAMED: bool = true;

    fn read(parts: &mut Parts<'_>, _shape: Option<&Shape>) -> Result<Self, Fault> {
        let declared_bytes = parts
            .headers
            .get(http::header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let source = match parts.take_body() {
            Incoming::Bytes(bytes) => Source::Whole(Some(bytes)),
            Incoming::Stream(channel) => Source::Channel(channel),
        };
        Ok(Self {
            source,
            declared_bytes,
            seen_bytes: 0,
        })
    }

    fn schema(_schemas: &mut Schemas) -> Option<SchemaRef> {
        None
    }
}
