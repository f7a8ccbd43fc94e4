//! Neutron's way of wrapping things: `{"network": {…}}`, `{"networks": […], "networks_links": […]}`.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use nephos_api::Fault;

/// A kind of thing with its names.
pub(crate) trait Kind: Send + Sync + 'static {
    /// `network`.
    const ONE: &'static str;
    /// `networks`.
    const MANY: &'static str;
    /// How it is shown.
    type View: Serialize + ToSchema + Send + Sync;
    /// What it is made of.
    type New: DeserializeOwned + ToSchema + Send;
    /// What of it can change.
    type Change: DeserializeOwned + ToSchema + Send;
}

/// A view reduced to what the caller may see and asked for.
pub(crate) type Shown = Map<String, Value>;

/// Which keys of a view go out.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// What the caller asked for; none: everything.
    pub asked: Vec<String>,
    /// What the caller may not see.
    pub hidden: Vec<&'static str>,
}

impl Keys {
    /// What the caller asked for, of a view that hides nothing.
    pub(super) fn asked(asked: Vec<String>) -> Self {
        let hidden = Vec::new();
        Self { asked, hidden }
    }
}

/// The view with just these keys.
pub(super) fn show<V: Serialize>(view: &V, keys: &Keys) -> Result<Shown, Fault> {
    let Ok(Value::Object(mut map)) = serde_json::to_value(view) else {
        return Err(Fault::internal("The reply could not be written."));
    };
    map.retain(|key, _| {
        (keys.asked.is_empty() || keys.asked.iter().any(|asked| asked == key))
            && !keys.hidden.contains(&key.as_str())
    });
    Ok(map)
}

/// A reply with one thing.
pub(crate) struct One<K: Kind>(pub Shown, pub PhantomData<K>);

/// A link of a page.
#[derive(Debug, Serialize)]
pub(crate) struct Link {
    pub rel: &'static str,
    pub href: String,
}

/// A reply with a list.
pub(crate) struct Many<K: Kind> {
    pub items: Vec<Shown>,
    pub links: Vec<Link>,
    pub kind: PhantomData<K>,
}

/// A reply with what was made: one thing, or as many as were asked for.
pub(crate) enum Made<K: Kind> {
    One(One<K>),
    Many(Many<K>),
}

impl<K: Kind> One<K> {
    pub fn of(view: &K::View, keys: &Keys) -> Result<Self, Fault> {
        Ok(Self(show(view, keys)?, PhantomData))
    }
}

impl<K: Kind> Made<K> {
    /// In the form in which it was asked for.
    pub fn of(views: &[K::View], bulk: bool, keys: &Keys) -> Result<Self, Fault> {
        if !bulk && let [view] = views {
            return One::of(view, keys).map(Self::One);
        }
        let items: Result<Vec<Shown>, Fault> = views.iter().map(|view| show(view, keys)).collect();
        Ok(Self::Many(Many {
            items: items?,
            links: Vec::new(),
            kind: PhantomData,
        }))
    }
}

impl<K: Kind> Serialize for One<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(K::ONE, &self.0)?;
        map.end()
    }
}

impl<K: Kind> Serialize for Many<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(K::MANY, &self.items)?;
        if !self.links.is_empty() {
            map.serialize_entry(&format!("{}_links", K::MANY), &self.links)?;
        }
        map.end()
    }
}

impl<K: Kind> Serialize for Made<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(one) => one.serialize(serializer),
            Self::Many(many) => many.serialize(serializer),
        }
    }
}

/// A body with one thing.
pub(crate) struct Change<K: Kind>(pub K::Change);

/// A body with one thing or many.
pub(crate) struct New<K: Kind> {
    pub items: Vec<K::New>,
    pub bulk: bool,
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

type Collected = Vec<(String, RefOr<Schema>)>;

fn collect<T: ToSchema>(schemas: &mut Collected) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn wrapped_name<T: ToSchema>(suffix: &str) -> Cow<'static, str> {
    Cow::Owned(format!("{}{suffix}", T::name()))
}

fn one_of<T: ToSchema>(key: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .property(key, reference::<T>())
        .required(key)
        .into()
}

fn list_of<T: ToSchema>(key: &str) -> RefOr<Schema> {
    let items = ArrayBuilder::new().items(reference::<T>());
    ObjectBuilder::new()
        .property(key, items)
        .required(key)
        .into()
}

fn either_of<T: ToSchema>((one, many): (&str, &str)) -> RefOr<Schema> {
    ObjectBuilder::new()
        .property(one, reference::<T>())
        .property(many, ArrayBuilder::new().items(reference::<T>()))
        .into()
}

impl<K: Kind> PartialSchema for One<K> {
    fn schema() -> RefOr<Schema> {
        one_of::<K::View>(K::ONE)
    }
}
impl<K: Kind> ToSchema for One<K> {
    fn name() -> Cow<'static, str> {
        wrapped_name::<K::View>("One")
    }
    fn schemas(schemas: &mut Collected) {
        collect::<K::View>(schemas);
    }
}

impl<K: Kind> PartialSchema for Many<K> {
    fn schema() -> RefOr<Schema> {
        list_of::<K::View>(K::MANY)
    }
}
impl<K: Kind> ToSchema for Many<K> {
    fn name() -> Cow<'static, str> {
        wrapped_name::<K::View>("Many")
    }
    fn schemas(schemas: &mut Collected) {
        collect::<K::View>(schemas);
    }
}

impl<K: Kind> PartialSchema for Made<K> {
    fn schema() -> RefOr<Schema> {
        either_of::<K::View>((K::ONE, K::MANY))
    }
}
impl<K: Kind> ToSchema for Made<K> {
    fn name() -> Cow<'static, str> {
        wrapped_name::<K::View>("Made")
    }
    fn schemas(schemas: &mut Collected) {
        collect::<K::View>(schemas);
    }
}

impl<K: Kind> PartialSchema for New<K> {
    fn schema() -> RefOr<Schema> {
        either_of::<K::New>((K::ONE, K::MANY))
    }
}
impl<K: Kind> ToSchema for New<K> {
    fn name() -> Cow<'static, str> {
        wrapped_name::<K::New>("Body")
    }
    fn schemas(schemas: &mut Collected) {
        collect::<K::New>(schemas);
    }
}

impl<K: Kind> PartialSchema for Change<K> {
    fn schema() -> RefOr<Schema> {
        one_of::<K::Change>(K::ONE)
    }
}
impl<K: Kind> ToSchema for Change<K> {
    fn name() -> Cow<'static, str> {
        wrapped_name::<K::Change>("Body")
    }
    fn schemas(schemas: &mut Collected) {
        collect::<K::Change>(schemas);
    }
}
