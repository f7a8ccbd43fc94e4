//! Values as databases hold them: four types, each of which can be NULL. Here, so that ids know how they are stored.

use crate::Timestamp;

/// A value on its way into or out of a statement. A NULL keeps its type: PostgreSQL needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// TEXT.
    Text(Option<String>),
    /// BIGINT.
    Int(Option<i64>),
    /// BOOLEAN.
    Bool(Option<bool>),
    /// DOUBLE PRECISION.
    Float(Option<f64>),
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// TEXT.
    Text,
    /// BIGINT.
    Int,
    /// BOOLEAN.
    Bool,
    /// DOUBLE PRECISION.
    Float,
}

/// Goes into a statement.
pub trait ToArg {
    /// NULL of this type.
    const NULL: Arg;

    /// The value.
    fn to_arg(&self) -> Arg;
}

/// Comes out of a column.
pub trait FromArg: Sized {
    /// The column's type.
    const KIND: ArgKind;

    /// The value; none when it is NULL where there must be one, or out of range.
    fn from_arg(arg: Arg) -> Option<Self>;
}

impl<T: ToArg + ?Sized> ToArg for &T {
    const NULL: Arg = T::NULL;
    fn to_arg(&self) -> Arg {
        T::to_arg(self)
    }
}

impl<T: ToArg> ToArg for Option<T> {
    const NULL: Arg = T::NULL;
    fn to_arg(&self) -> Arg {
        self.as_ref().map_or(T::NULL, ToArg::to_arg)
    }
}

impl<T: FromArg> FromArg for Option<T> {
    const KIND: ArgKind = T::KIND;
    fn from_arg(arg: Arg) -> Option<Self> {
        let null = matches!(
            arg,
            Arg::Text(None) | Arg::Int(None) | Arg::Bool(None) | Arg::Float(None)
        );
        if null {
            Some(None)
        } else {
            T::from_arg(arg).map(Some)
        }
    }
}

impl ToArg for Arg {
    const NULL: Arg = Self::Text(None);
    fn to_arg(&self) -> Arg {
        self.clone()
    }
}

impl ToArg for str {
    const NULL: Arg = Arg::Text(None);
    fn to_arg(&self) -> Arg {
        Arg::Text(Some(self.to_owned()))
    }
}

impl ToArg for String {
    const NULL: Arg = Arg::Text(None);
    fn to_arg(&self) -> Arg {
        Arg::Text(Some(self.clone()))
    }
}

impl FromArg for String {
    const KIND: ArgKind = ArgKind::Text;
    fn from_arg(arg: Arg) -> Option<Self> {
        match arg {
            Arg::Text(value) => value,
            Arg::Int(_) | Arg::Bool(_) | Arg::Float(_) => None,
        }
    }
}

macro_rules! value {
    ($($type:ty => $kind:ident, |$out:ident| $to:expr, |$in:ident| $from:expr;)+) => {$(
        impl ToArg for $type {
            const NULL: Arg = Arg::$kind(None);
            fn to_arg(&self) -> Arg {
                let $out = *self;
                Arg::$kind(Some($to))
            }
        }
        impl FromArg for $type {
            const KIND: ArgKind = ArgKind::$kind;
            fn from_arg(arg: Arg) -> Option<Self> {
                match arg {
                    Arg::$kind(Some($in)) => $from,
                    _other => None,
                }
            }
        }
    )+};
}

value! {
    i64 => Int, |value| value, |value| Some(value);
    i32 => Int, |value| i64::from(value), |value| i32::try_from(value).ok();
    u32 => Int, |value| i64::from(value), |value| u32::try_from(value).ok();
    u16 => Int, |value| i64::from(value), |value| u16::try_from(value).ok();
    u8 => Int, |value| i64::from(value), |value| u8::try_from(value).ok();
    u64 => Int, |value| i64::try_from(value).unwrap_or(i64::MAX), |value| u64::try_from(value).ok();
    usize => Int, |value| i64::try_from(value).unwrap_or(i64::MAX), |value| usize::try_from(value).ok();
    bool => Bool, |value| value, |value| Some(value);
    f64 => Float, |value| value, |value| Some(value);
    Timestamp => Int, |value| value.0, |value| Some(Timestamp(value));
}
