//! Names in the path and in the query string.

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::Fault;
use crate::openapi::Schemas;

/// What the `{names}` of a path become: `()` or a struct with fields of those names.
pub trait FromPath: Sized + Send + 'static {
    /// Reads the decoded values.
    ///
    /// # Errors
    /// 404 when a value has not the form of its field: such a thing cannot exist.
    fn from_path(values: Vec<(&'static str, String)>) -> Result<Self, Fault>;
}

impl<T: DeserializeOwned + Send + 'static> FromPath for T {
    fn from_path(values: Vec<(&'static str, String)>) -> Result<Self, Fault> {
        if values.is_empty() {
            let unit = serde::de::value::UnitDeserializer::<serde::de::value::Error>::new();
            return T::deserialize(unit).map_err(|_| Fault::not_found("No such resource."));
        }
        let map = MapDeserializer::<_, serde::de::value::Error>::new(values.into_iter());
        T::deserialize(map).map_err(|_| Fault::not_found("The resource could not be found."))
    }
}

/// The query string as pairs in their order, for calls whose keys repeat or are not known beforehand.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Params(pub Vec<(String, String)>);

impl Params {
    /// The first value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of `key`.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

impl PartialSchema for Params {
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::ObjectBuilder::new().into()
    }
}
impl ToSchema for Params {}

/// What the query string becomes.
pub trait FromQuery: Sized + Send + 'static {
    /// Reads it.
    ///
    /// # Errors
    /// 400 naming what is wrong.
    fn from_query(query: &str) -> Result<Self, Fault>;

    /// Its keys for OpenAPI.
    fn schema(schemas: &mut Schemas) -> Option<RefOr<Schema>>;
}

impl<T: DeserializeOwned + ToSchema + Send + 'static> FromQuery for T {
    fn from_query(query: &str) -> Result<Self, Fault> {
        serde_urlencoded::from_str(query)
            .map_err(|why| Fault::bad_request(format!("Invalid query string: {why}.")))
    }

    fn schema(schemas: &mut Schemas) -> Option<RefOr<Schema>> {
        schemas.nested::<T>();
        Some(T::schema())
    }
}
