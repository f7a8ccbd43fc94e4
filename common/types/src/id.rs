//! Newtype ids: text as the API shows it, so that an id of one thing cannot be used as another's.

/// Declares newtype ids over text. They order, hash, print and serialise as the text itself.
///
/// An id that came from outside is only a name to look up: an unknown one is "not found", never an error of form.
#[macro_export]
macro_rules! id {
    ($($(#[$meta:meta])* $name:ident)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl $crate::__private::Serialize for $name {
            fn serialize<S: $crate::__private::Serializer>(
                &self,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> $crate::__private::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                <String as $crate::__private::Deserialize>::deserialize(deserializer).map(Self)
            }
        }
        impl $crate::__private::PartialSchema for $name {
            fn schema() -> $crate::__private::SchemaRef {
                <String as $crate::__private::PartialSchema>::schema()
            }
        }
        impl $crate::__private::ToSchema for $name {}
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
        impl From<$crate::__private::Uuid> for $name {
            fn from(uuid: $crate::__private::Uuid) -> Self {
                Self(uuid.hyphenated().to_string())
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl $crate::ToArg for $name {
            const NULL: $crate::Arg = $crate::Arg::Text(None);
            fn to_arg(&self) -> $crate::Arg {
                $crate::Arg::Text(Some(self.0.clone()))
            }
        }
        impl $crate::FromArg for $name {
            const KIND: $crate::ArgKind = $crate::ArgKind::Text;
            fn from_arg(arg: $crate::Arg) -> Option<Self> {
                String::from_arg(arg).map(Self)
            }
        }
        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self(text.to_owned()))
            }
        }
    )+};
}
