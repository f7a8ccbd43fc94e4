//! Bodies on their way in.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use crate::endpoint::Parts;
use crate::http_types::Incoming;
use crate::openapi::{SchemaRef, Schemas};
use crate::{Dialect, Fault, Shape, Version};

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
        let bytes = parts.body_bytes();
        if let Some(shape) = shape {
            let mut value: Value = serde_json::from_slice(&bytes).map_err(malformed)?;
            if parts.lenient {
                shape.drop_unexpected(&mut value, parts.version);
            }
            refuse_unexpected(shape, &mut value, parts.version, parts.dialect)?;
            return serde_path_to_error::deserialize(value)
                .map(Json)
                .map_err(|why| wrong(&why));
        }
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let read = serde_path_to_error::deserialize(&mut reader).map_err(|why| {
            if why.inner().is_data() {
                wrong(&why)
            } else {
                malformed(why.into_inner())
            }
        })?;
        reader.end().map_err(malformed)?;
        Ok(Json(read))
    }

    fn schema(schemas: &mut Schemas) -> Option<SchemaRef> {
        Some(schemas.add::<T>())
    }
}

fn refuse_unexpected(
    shape: &Shape,
    value: &mut Value,
    version: Version,
    dialect: &Dialect,
) -> Result<(), Fault> {
    let unexpected = shape.unexpected(value, version);
    if unexpected.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_request((dialect.unexpected_keys)(&unexpected)))
}

fn malformed(why: serde_json::Error) -> Fault {
    if why.is_eof() && why.line() <= 1 && why.column() == 0 {
        return Fault::bad_request("The request needs a JSON body and has none.");
    }
    Fault::bad_request(format!("The body is not valid JSON: {why}."))
}

fn wrong(why: &serde_path_to_error::Error<serde_json::Error>) -> Fault {
    let at = why.path().to_string();
    let inner = why.inner().to_string();
    // A body has one line as far as a client is concerned: "at line 1 column 40" only hides the point.
    let what = inner.split(" at line ").next().unwrap_or(&inner);
    // The names of our types say nothing to a client.
    let what = match what.split_once("expected struct ") {
        Some((before, _name)) => format!("{before}expected an object"),
        None => what.to_owned(),
    };
    if at == "." {
        return Fault::bad_request(format!("Invalid input for the body: {what}."));
    }
    let name = at.rsplit('.').next().unwrap_or(&at);
    Fault::bad_request(format!(
        "Invalid input for field/attribute {name} ({at}): {what}."
    ))
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
