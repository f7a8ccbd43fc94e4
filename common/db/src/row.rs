//! What comes back from a statement.

use nephos_types::{Arg, ArgKind, FromArg};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Row as _};

use crate::{Error, Kind};

/// One row.
pub enum Row {
    /// From SQLite.
    Lite(SqliteRow),
    /// From PostgreSQL.
    Pg(PgRow),
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row")
    }
}

/// Something made of a row. Written by hand, one line per column.
pub trait FromRow: Sized {
    /// Reads the columns.
    ///
    /// # Errors
    /// When a column is missing or of another type.
    fn from_row(row: &Row) -> Result<Self, Error>;
}

impl Row {
    /// The column as `T`: text, ids, numbers, times, and options of them.
    ///
    /// # Errors
    /// When it is missing, NULL where `T` is not an option, of another type or out of range.
    pub fn get<T: FromArg>(&self, column: &str) -> Result<T, Error> {
        self.read(column)
    }

    /// The only column of the row.
    pub(crate) fn first<T: FromArg>(&self) -> Result<T, Error> {
        self.read(0)
    }

    fn read<T: FromArg, I>(&self, column: I) -> Result<T, Error>
    where
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + Copy + std::fmt::Debug,
    {
        let read = match (self, T::KIND) {
            (Self::Lite(row), ArgKind::Text) => row.try_get(column).map(Arg::Text),
            (Self::Lite(row), ArgKind::Int) => row.try_get(column).map(Arg::Int),
            (Self::Lite(row), ArgKind::Bool) => row.try_get(column).map(Arg::Bool),
            (Self::Lite(row), ArgKind::Float) => row.try_get(column).map(Arg::Float),
            (Self::Pg(row), ArgKind::Text) => row.try_get(column).map(Arg::Text),
            (Self::Pg(row), ArgKind::Int) => row.try_get(column).map(Arg::Int),
            (Self::Pg(row), ArgKind::Bool) => row.try_get(column).map(Arg::Bool),
            (Self::Pg(row), ArgKind::Float) => row.try_get(column).map(Arg::Float),
        };
        let arg = read.map_err(|why| Error::new(Kind::Column, why.to_string()))?;
        let refused = || {
            Error::new(
                Kind::Column,
                format!("column {column:?} is NULL or out of range"),
            )
        };
        T::from_arg(arg).ok_or_else(refused)
    }
}

impl FromRow for String {
    fn from_row(row: &Row) -> Result<Self, Error> {
        row.first()
    }
}

impl FromRow for i64 {
    fn from_row(row: &Row) -> Result<Self, Error> {
        row.first()
    }
}
