//! `args!`: what travels into a statement.

/// The arguments of a statement, in the order of `$1`, `$2`, …
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::ToArg::to_arg(&$value)),*]
    };
}
