//! Replies on their way out.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http_types::Payload;
use crate::openapi::{SchemaRef, Schemas};
use crate::{Fault, Json, Shape, Version, version};

/// What a handler gives back, before it becomes a response.
#[derive(Debug)]
pub struct Written {
    /// Overrides the row's status.
    pub status: Option<StatusCode>,
    /// Headers besides the pipeline's own.
    pub headers: HeaderMap,
    /// The body.
    pub body: Payload,
}

/// A reply of an endpoint.
pub trait ReplyBody: Sized + Send + 'static {
    /// Writes it in the shape of `version`.
    ///
    /// # Errors
    /// When it cannot be serialised, which is our fault.
    fn write(self, shape: Option<&Shape>, version: Version) -> Result<Written, Fault>;

    /// Its schema for OpenAPI, if it has one.
    fn schema(schemas: &mut Schemas) -> Option<SchemaRef>;
}

/// A reply without a body, usually 202.
#[derive(Clone, Copy, Debug)]
pub struct Accepted;

/// A reply without a body, usually 204.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

/// Bytes streamed to the client.
#[derive(Debug)]
pub struct Download {
    /// Media type.
    pub content_type: &'static str,
    /// The bytes.
    pub body: Payload,
}

/// A reply with headers or a status of its own.
#[derive(Debug)]
pub struct With<R> {
    /// The reply itself.
    pub reply: R,
    /// Overrides the row's status.
    pub status: Option<StatusCode>,
    /// Headers to send.
    pub headers: HeaderMap,
}

impl<R> With<R> {
    /// Wraps `reply`.
    pub fn new(reply: R) -> Self {
        Self {
            reply,
            status: None,
            headers: HeaderMap::new(),
        }
    }

    /// Adds a header; a value that no header can hold is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }
}

impl<T: Serialize + ToSchema + Send + 'static> ReplyBody for Json<T> {
    fn write(self, shape: Option<&Shape>, version: Version) -> Result<Written, Fault> {
        let bytes = match shape {
            Some(shape) if shape.differs_at(version) => {
                let mut value = version::with_hidden(&self.0).map_err(|why| unwritable(&why))?;
                shape.walk_down(&mut value, version);
                serde_json::to_vec(&value)
            }
            _newest => serde_json::to_vec(&self.0),
        }
        .map_err(|why| unwritable(&why))?;
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        Ok(Written {
            status: None,
            headers,
            body: Payload::Bytes(bytes.into()),
        })
    }

    fn schema(schemas: &mut Schemas) -> Option<SchemaRef> {
        Some(schemas.add::<T>())
    }
}

fn unwritable(why: &serde_json::Error) -> Fault {
    tracing::error!(%why, "a reply could not be serialised");
    Fault::internal("The reply could not be written.")
}

fn nothing() -> Written {
    Written {
        status: None,
        headers: HeaderMap::new(),
        body: Payload::Empty,
    }
}

impl ReplyBody for Accepted {
    fn write(self, _shape: Option<&Shape>, _version: Version) -> Result<Written, Fault> {
        Ok(nothing())
    }

    fn schema(_schemas: &mut Schemas) -> Option<SchemaRef> {
        None
    }
}

impl ReplyBody for Empty {
    fn write(self, _shape: Option<&Shape>, _version: Version) -> Result<Written, Fault> {
        Ok(nothing())
    }

    fn schema(_schemas: &mut Schemas) -> Option<SchemaRef> {
        None
    }
}

impl ReplyBody for Download {
    fn write(self, _shape: Option<&Shape>, _version: Version) -> Result<Written, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        Ok(Written {
            status: None,
            headers,
            body: self.body,
        })
    }

    fn schema(_schemas: &mut Schemas) -> Option<SchemaRef> {
        None
    }
}

impl<R: ReplyBody> ReplyBody for With<R> {
    fn write(self, shape: Option<&Shape>, version: Version) -> Result<Written, Fault> {
        let mut written = self.reply.write(shape, version)?;
        written.status = self.status.or(written.status);
        written.headers.extend(self.headers);
        Ok(written)
    }

    fn schema(schemas: &mut Schemas) -> Option<SchemaRef> {
        R::schema(schemas)
    }
}
