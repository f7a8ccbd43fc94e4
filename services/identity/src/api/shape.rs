//! The envelopes of Keystone's JSON: `{"user": {…}}` and `{"users": […], "links": {…}}`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Ref, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::Cx;

/// A resource with its names in JSON and in paths.
pub(crate) trait Named {
    /// `user`.
    const ONE: &'static str;
    /// `users`.
    const MANY: &'static str;
    /// `/v3/users`.
    const PATH: &'static str;
    /// The last segment of its own path.
    fn id(&self) -> &str;
    /// Its own path.
    fn path(&self) -> String {
        format!("{}/{}", Self::PATH, self.id())
    }
}

/// The link of a resource to itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SelfLink {
    #[serde(rename = "self")]
    pub own: String,
}

/// A resource with its link.
#[derive(Debug, Serialize)]
pub(crate) struct Linked<T> {
    #[serde(flatten)]
    pub item: T,
    pub links: SelfLink,
}

impl<T: Named> Linked<T> {
    pub(crate) fn new(cx: &Cx, item: T) -> Self {
        let links = SelfLink {
            own: cx.url(&item.path()),
        };
        Self { item, links }
    }
}

/// One resource.
#[derive(Debug)]
pub(crate) struct One<T>(pub Linked<T>);

impl<T: Named> One<T> {
    pub(crate) fn new(cx: &Cx, item: T) -> Self {
        Self(Linked::new(cx, item))
    }
}

impl<T: Named + Serialize> Serialize for One<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(T::ONE, &self.0)?;
        map.end()
    }
}

/// The links of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Links {
    #[serde(rename = "self")]
    pub own: String,
    pub previous: Option<String>,
    pub next: Option<String>,
}

/// A list of resources.
#[derive(Debug)]
pub(crate) struct Many<T> {
    pub items: Vec<Linked<T>>,
    pub links: Links,
}

impl<T: Named + Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(T::MANY, &self.items)?;
        map.serialize_entry("links", &self.links)?;
        map.end()
    }
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

impl<T: Named + ToSchema> PartialSchema for One<T> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property(T::ONE, reference::<T>())
            .required(T::ONE)
            .into()
    }
}

impl<T: Named + ToSchema> ToSchema for One<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Reply", T::name()).into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: Named + ToSchema> PartialSchema for Many<T> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property(T::MANY, ArrayBuilder::new().items(reference::<T>()))
            .required(T::MANY)
            .property("links", reference::<Links>())
            .required("links")
            .into()
    }
}

impl<T: Named + ToSchema> ToSchema for Many<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        schemas.push((Links::name().into_owned(), Links::schema()));
        T::schemas(schemas);
    }
}

/// The key under which a body stands.
pub(crate) trait Keyed {
    const KEY: &'static str;
}

/// A body in its envelope.
#[derive(Debug)]
pub(crate) struct Under<T>(pub T);

impl<'de, T: Keyed + Deserialize<'de>> Deserialize<'de> for Under<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(Envelope(PhantomData))
            .map(Under)
    }
}

struct Envelope<T>(PhantomData<T>);

impl<'de, T: Keyed + Deserialize<'de>> Visitor<'de> for Envelope<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the key '{}'", T::KEY)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == T::KEY {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        found.ok_or_else(|| serde::de::Error::missing_field(T::KEY))
    }
}

impl<T: Keyed + ToSchema> PartialSchema for Under<T> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property(T::KEY, reference::<T>())
            .required(T::KEY)
            .into()
    }
}

impl<T: Keyed + ToSchema> ToSchema for Under<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Envelope", T::name()).into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}
