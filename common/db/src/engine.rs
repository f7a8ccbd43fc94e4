//! The database of one service.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nephos_runtime::{Clock, WakeSink, request};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;

use crate::pg::Connections;
use crate::query::Sql;
use crate::sqlite::Writer;
use crate::tx::{Isolation, Tx};
use crate::{Arg, Error, FromArg, FromRow, Kind, Migration, Row, Where, again, migrate};

/// SQLite readers; more than cores only wait for each other.
const READERS: u32 = 4;
/// Statements that a PostgreSQL connection keeps prepared: more than a service has.
const PG_PREPARED: usize = 500;
/// Nothing waits for ever. And whole tables are read only where there is no other way: what a serializable transaction
/// has read stands in the way of others.
const PG_SESSION: [(&str, &str); 5] = [
    ("lock_timeout", "5s"),
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];
/// How long a statement waits for a connection.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(5);

/// Where a database is.
#[derive(Clone, Debug)]
pub enum DbUrl {
    /// A file.
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`.
    Postgres(String),
}

impl DbUrl {
    /// A SQLite file; its folder must exist.
    #[must_use]
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::Sqlite(path.into())
    }

    /// Makes `database` on a PostgreSQL server unless it is there, with text ordered by bytes as on SQLite.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn create_database(server: &str, database: &str) -> Result<Self, Error> {
        let plain = database
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain {
            return Err(Error::new(
                Kind::Other,
                format!("{database} is no database name"),
            ));
        }
        let options: PgConnectOptions = server.parse().map_err(Error::from)?;
        let mut connection =
            crate::pg::connect_alone(&options.clone().database("postgres")).await?;
        let create = format!(
            "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        let made = sqlx::query(AssertSqlSafe(create))
            .execute(&mut connection)
            .await;
        connection.close().await?;
        match made {
            Ok(_) => {}
            // duplicate_database, or another process making the same one at this moment
            Err(sqlx::Error::Database(why))
                if matches!(why.code().as_deref(), Some("42P04" | "23505")) => {}
            Err(why) => return Err(why.into()),
        }
        Ok(Self::Postgres(
            options.database(database).to_url_lossy().to_string(),
        ))
    }
}

/// Which engine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// The database of one service. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    pub(crate) wakes: Arc<dyn WakeSink>,
    /// Work that is done again goes one by one: else each would stand in the next one's way again.
    pub(crate) lane: Arc<Mutex<()>>,
}

#[derive(Clone)]
pub(crate) enum Engine {
    Lite { read: SqlitePool, write: Writer },
    Pg(Connections),
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({:?})", self.kind())
    }
}

impl Db {
    /// Opens it, making the SQLite file if there is none. Wake-ups of committed transactions go to `wakes`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(url: &DbUrl, clock: Clock, wakes: Arc<dyn WakeSink>) -> Result<Self, Error> {
        let engine = match url {
            DbUrl::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(ACQUIRE_WITHIN);
                let write = Writer::open(&options).await?;
                let read = SqlitePoolOptions::new()
                    .max_connections(READERS)
                    .min_connections(1)
                    .acquire_timeout(ACQUIRE_WITHIN)
                    .connect_with(options.read_only(true))
                    .await?;
                Engine::Lite { read, write }
            }
            DbUrl::Postgres(url) => {
                let options: PgConnectOptions = url.parse().map_err(Error::from)?;
                let options = options
                    .options(PG_SESSION)
                    .statement_cache_capacity(PG_PREPARED);
                Engine::Pg(Connections::open(options).await?)
            }
        };
        Ok(Self {
            engine,
            clock,
            wakes,
            lane: Arc::default(),
        })
    }

    /// Brings the tables up to date.
    ///
    /// # Errors
    /// When a migration fails, or one that was applied has another text now.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<(), Error> {
        migrate::run(self, migrations).await
    }

    /// Which engine it is.
    #[must_use]
    pub const fn kind(&self) -> EngineKind {
        match self.engine {
            Engine::Lite { .. } => EngineKind::Sqlite,
            Engine::Pg(_) => EngineKind::Postgres,
        }
    }

    /// Every row.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn fetch_all<T: FromRow>(
        &self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, Error> {
        self.rows(&Sql::Static(sql), &args)
            .await?
            .iter()
            .map(T::from_row)
            .collect()
    }

    /// The row, if there is one.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn fetch_opt<T: FromRow>(
        &self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Option<T>, Error> {
        self.rows(&Sql::Static(sql), &args)
            .await?
            .first()
            .map(T::from_row)
            .transpose()
    }

    /// The row.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none; see [`Kind`].
    pub async fn fetch_one<T: FromRow>(
        &self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<T, Error> {
        self.fetch_opt(sql, args)
            .await?
            .ok_or_else(|| Error::new(Kind::NotFound, "no row"))
    }

    /// The only column of the only row.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn fetch_scalar<T: FromArg>(
        &self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<T, Error> {
        let rows = self.rows(&Sql::Static(sql), &args).await?;
        rows.first()
            .ok_or_else(|| Error::new(Kind::NotFound, "no row"))?
            .first()
    }

    /// Every row of a query with dynamic filters.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn fetch_where<T: FromRow>(&self, query: &Where) -> Result<Vec<T>, Error> {
        let (sql, args) = query.render(self.kind());
        self.rows(&Sql::Built(sql), &args)
            .await?
            .iter()
            .map(T::from_row)
            .collect()
    }

    /// Opens a write transaction. It is as if it were alone: what it reads stays so until its commit, or it fails with
    /// [`Kind::Conflict`], and [`Db::again`] does it again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn write(&self) -> Result<Tx, Error> {
        Tx::begin(self, Isolation::Serializable).await
    }

    /// Opens a write transaction that guards itself, and so is never in anybody's way: it is one statement that says in
    /// its own condition what must hold, or its first statement changes a row behind which all who write the same
    /// things stand in line, or all that it decides by is guarded by keys, by conditions and by rows that it holds before
    /// it reads.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn guarded(&self) -> Result<Tx, Error> {
        Tx::begin(self, Isolation::Statement).await
    }

    /// Carries out one statement that writes, a transaction by itself: it says in its own condition what must hold. Gives
    /// the number of rows it changed.
    ///
    /// # Errors
    /// As [`Tx::exec`] and [`Tx::commit`].
    pub async fn exec_alone(&self, sql: &'static str, args: Vec<Arg>) -> Result<u64, Error> {
        let Engine::Pg(connections) = &self.engine else {
            let mut tx = self.guarded().await?;
            let changed = tx.exec(sql, args).await?;
            tx.commit().await?;
            return Ok(changed);
        };
        self.in_time()?;
        let mut lent = connections.lend().await?;
        noted(lent.exec(&Sql::Static(sql), &args).await)
    }

    /// As [`Db::exec_alone`], for a statement that gives what it changed.
    ///
    /// # Errors
    /// As [`Tx::fetch_where`] and [`Tx::commit`].
    pub async fn fetch_alone<T: FromRow>(&self, statement: &Where) -> Result<Vec<T>, Error> {
        let Engine::Pg(connections) = &self.engine else {
            let mut tx = self.guarded().await?;
            let rows = tx.fetch_where(statement).await?;
            tx.commit().await?;
            return Ok(rows);
        };
        self.in_time()?;
        let (sql, args) = statement.render(EngineKind::Postgres);
        let mut lent = connections.lend().await?;
        let rows = noted(lent.rows(&Sql::Built(sql), &args).await)?;
        let rows = rows.into_iter().map(Row::Pg);
        rows.map(|row| T::from_row(&row)).collect()
    }

    /// Nothing is committed for whoever asked for it and has stopped waiting.
    fn in_time(&self) -> Result<(), Error> {
        in_time(&self.clock)
    }

    async fn rows(&self, sql: &Sql, args: &[Arg]) -> Result<Vec<Row>, Error> {
        match &self.engine {
            Engine::Lite { read, .. } => {
                let rows = sql.lite(args).fetch_all(read).await?;
                Ok(rows.into_iter().map(Row::Lite).collect())
            }
            Engine::Pg(connections) => {
                let rows = connections.read(sql, args).await?;
                Ok(rows.into_iter().map(Row::Pg).collect())
            }
        }
    }
}

/// As [`Db::in_time`].
pub(crate) fn in_time(clock: &Clock) -> Result<(), Error> {
    if request::until().is_some_and(|until| clock.now() > until) {
        let what = "whoever asked for it has stopped waiting";
        return Err(Error::new(Kind::TooLate, what));
    }
    Ok(())
}

/// What became of a transaction of one statement; whoever watches hears of it.
fn noted<T>(outcome: Result<T, sqlx::Error>) -> Result<T, Error> {
    let outcome = outcome.map_err(Error::from);
    again::note(outcome.as_ref().map(|_| ()));
    outcome
}
