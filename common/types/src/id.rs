//! Newtype ids: text as the API shows it, so that an id of one thing cannot be used as another's.

/// Declares newtype ids over text. They order, hash, print and serialise as the text itself.
///
/// An id that came from outside is only a name to look up: an unknown one is "not found", never an error of form.
#[macro_export]
macro_rules! id {
    ($($(#[$meta:meta])* $name:ident)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
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
        impl From<uuid::Uuid> for $name {
            fn from(uuid: uuid::Uuid) -> Self {
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
