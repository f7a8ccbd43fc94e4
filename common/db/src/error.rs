//! What a statement can fail with, the same words for both engines.

/// Why a statement failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A unique index has this value already.
    Unique,
    /// A foreign key has no target, or its target is still used.
    ForeignKey,
    /// [`fetch_one`](crate::Db::fetch_one) found nothing.
    NotFound,
    /// Two transactions stood in each other's way; trying again may work.
    Conflict,
    /// The database does not answer.
    Unavailable,
    /// The disk is full.
    Full,
    /// A text holds a NUL character, which PostgreSQL does not store.
    Nul,
    /// Whoever asked for it waits no longer: [`nephos_runtime::request::within`].
    TooLate,
    /// An earlier statement of the transaction failed, or it was open for too long.
    Poisoned,
    /// A column is missing or has another type than asked for: a mistake in our SQL.
    Column,
    /// Anything else: a mistake in our SQL.
    Other,
}

/// A failed statement.
#[derive(Clone, Debug, thiserror::Error)]
#[error("database: {kind:?}: {what}")]
pub struct Error {
    kind: Kind,
    what: String,
}

impl Error {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
        }
    }

    /// A column holds what nobody can have written into it.
    #[must_use]
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::new(Kind::Column, what)
    }

    /// Why it failed.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// A unique index has this value already.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.kind == Kind::Unique
    }

    /// Nothing was found where one row was asked for.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// Trying the whole transaction again may work.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, Kind::Conflict | Kind::Unavailable)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let kind = match &error {
            sqlx::Error::RowNotFound => Kind::NotFound,
            sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_) => Kind::Column,
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Kind::Unavailable,
            sqlx::Error::Database(inner) => kind_of(inner.as_ref()),
            _other => Kind::Other,
        };
        Self::new(kind, error.to_string())
    }
}

fn kind_of(error: &dyn sqlx::error::DatabaseError) -> Kind {
    if error.is_unique_violation() {
        return Kind::Unique;
    }
    if error.is_foreign_key_violation() {
        return Kind::ForeignKey;
    }
    let code = error.code();
    match code.as_deref() {
        // PostgreSQL: serialization failure, deadlock, lock not to be had in time. SQLite: busy, locked, busy snapshot.
        Some("40001" | "40P01" | "55P03" | "5" | "6" | "517") => Kind::Conflict,
        // PostgreSQL: shutting down, starting up, too many connections, connection lost, taking too long, left open.
        Some("57P01" | "57P02" | "57P03" | "53300" | "08006" | "08003" | "57014" | "25P03") => {
            Kind::Unavailable
        }
        // The last one: SQLite could not make the index of its log longer.
        Some("53100" | "13" | "4874") => Kind::Full,
        Some("22021") => Kind::Nul,
        Some(code) if is_sqlite_io(code) => Kind::Unavailable,
        _other => Kind::Other,
    }
}

/// Any of SQLite's I/O errors, whose last byte is 10; PostgreSQL's codes have five characters.
fn is_sqlite_io(code: &str) -> bool {
    code.len() < 5 && code.parse::<u32>().is_ok_and(|code| code % 256 == 10)
}
