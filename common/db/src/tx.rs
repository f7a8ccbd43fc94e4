//! An open write transaction.

use std::sync::Arc;
use std::time::Duration;

use nephos_runtime::{Clock, WakeSink};
use nephos_types::Wake;
use sqlx::AssertSqlSafe;

use crate::again;
use crate::engine::{Engine, in_time};
use crate::pg::Lent;
use crate::query::Sql;
use crate::rows::of_rows;
use crate::sqlite::Turn;
use crate::{Arg, Db, Error, FromArg, FromRow, Kind, Row, Where};

/// A transaction waits for nothing but the database; one that is open for longer than this is a mistake
/// that would hold up every writer of the service.
const OPEN_AT_MOST: Duration = Duration::from_secs(5);

/// An open write transaction. Dropped, it is undone. After its first failed statement it takes no other:
/// as PostgreSQL does, so that nothing is written that works on SQLite only.
pub struct Tx {
    engine: TxEngine,
    wakes: Vec<Wake>,
    sink: Arc<dyn WakeSink>,
    clock: Clock,
    opened: Duration,
    /// How long it may be open.
    at_most: Duration,
    /// A statement is under way or has failed.
    poisoned: bool,
}

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Isolation {
    /// Nothing.
    Serializable,
    /// What was committed before each statement.
    Statement,
}

enum TxEngine {
    Lite(Turn),
    Pg(Lent),
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx")
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

impl Tx {
    pub(crate) async fn begin(db: &Db, isolation: Isolation) -> Result<Self, Error> {
        let engine = match (&db.engine, isolation) {
            // One writer at a time is as alone as can be.
            (Engine::Lite { write, .. }, _) => TxEngine::Lite(write.turn().await?),
            (Engine::Pg(connections), isolation) => TxEngine::Pg(
                connections
                    .begin(match isolation {
                        Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
                        Isolation::Statement => "BEGIN",
                    })
                    .await?,
            ),
        };
        let clock = db.clock.clone();
        let opened = clock.monotonic();
        let sink = Arc::clone(&db.wakes);
        Ok(Self {
            engine,
            wakes: Vec::new(),
            sink,
            clock,
            opened,
            at_most: OPEN_AT_MOST,
            poisoned: false,
        })
    }

    /// Lets it be open for longer than others: nobody writes beside it.
    pub(crate) const fn may_last(&mut self, at_most: Duration) {
        self.at_most = at_most;
    }

    /// Carries out a statement; gives the number of rows it changed.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn exec(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, Error> {
        self.change(&Sql::Static(sql), &args).await
    }

    /// Writes rows, all of as many values, by few statements: `head VALUES (…), (…) tail`. Gives how many it changed.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn exec_rows(
        &mut self,
        head: &'static str,
        rows: &[Vec<Arg>],
        tail: &'static str,
    ) -> Result<u64, Error> {
        let mut changed = 0;
        for (sql, args) in of_rows(head, rows, tail) {
            changed += self.change(&sql, &args).await?;
        }
        Ok(changed)
    }

    /// As [`Tx::exec_rows`], for a `tail` that gives what it changed.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn fetch_rows<T: FromRow>(
        &mut self,
        head: &'static str,
        rows: &[Vec<Arg>],
        tail: &'static str,
    ) -> Result<Vec<T>, Error> {
        let mut given = Vec::new();
        for (sql, args) in of_rows(head, rows, tail) {
            for row in self.rows(&sql, &args).await? {
                given.push(T::from_row(&row)?);
            }
        }
        Ok(given)
    }

    /// Carries out a statement with dynamic filters; gives the number of rows it changed.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn exec_where(&mut self, statement: &Where) -> Result<u64, Error> {
        let (sql, args) = statement.render(self.kind());
        self.change(&Sql::Built(sql), &args).await
    }

    /// Carries out a statement about a row that was read before this transaction began.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it changes nothing: the row is gone, or not as it was; who read it runs again. See
    /// [`Kind`].
    pub async fn exec_some(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, Error> {
        match self.exec(sql, args).await? {
            0 => Err(outdated()),
            changed => Ok(changed),
        }
    }

    /// Makes sure that the row of `query`, read before this transaction began, is still `before`.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is not: who read it runs again. See [`Kind`].
    pub async fn still<T: FromRow + PartialEq>(
        &mut self,
        query: &Where,
        before: &T,
    ) -> Result<(), Error> {
        let now: Vec<T> = self.fetch_where(query).await?;
        match now.first() {
            Some(now) if now == before => Ok(()),
            _another => Err(outdated()),
        }
    }

    /// Makes sure that a row that was seen before this transaction began is still there.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is not: who saw it runs again. See [`Kind`].
    pub async fn still_there(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<(), Error> {
        match self.rows(&Sql::Static(sql), &args).await?.is_empty() {
            true => Err(outdated()),
            false => Ok(()),
        }
    }

    /// A piece of a migration's static text, without arguments; several forms of it are not prepared.
    pub(crate) async fn exec_static_piece(&mut self, sql: &'static str) -> Result<(), Error> {
        self.start()?;
        match &mut self.engine {
            TxEngine::Lite(turn) => {
                sqlx::raw_sql(AssertSqlSafe(sql))
                    .execute(turn.connection()?)
                    .await?;
            }
            TxEngine::Pg(tx) => {
                tx.raw(sql).await?;
            }
        }
        self.poisoned = false;
        Ok(())
    }

    /// Every row.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn fetch_all<T: FromRow>(
        &mut self,
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
        &mut self,
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
        &mut self,
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
        &mut self,
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
    pub async fn fetch_where<T: FromRow>(&mut self, query: &Where) -> Result<Vec<T>, Error> {
        let (sql, args) = query.render(self.kind());
        self.rows(&Sql::Built(sql), &args)
            .await?
            .iter()
            .map(T::from_row)
            .collect()
    }

    /// The row that a query is about, held: nobody else changes it until this transaction ends, and in one that guards
    /// itself it is read as it is once whoever held it before has ended.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn fetch_held<T: FromRow>(&mut self, query: &Where) -> Result<Option<T>, Error> {
        let held = match self.kind() {
            // One writer at a time holds everything.
            crate::EngineKind::Sqlite => query.clone(),
            crate::EngineKind::Postgres => query.clone().tail("FOR NO KEY UPDATE"),
        };
        let rows = self.fetch_where(&held).await?;
        Ok(rows.into_iter().next())
    }

    /// Wakes whoever listens, once this transaction is committed.
    pub fn wake(&mut self, wake: Wake) {
        if !self.wakes.contains(&wake) {
            self.wakes.push(wake);
        }
    }

    /// Makes it durable, then sends the wake-ups. When this returns an error, nothing of it stands,
    /// unless the database went away in the very moment; who asks again finds out.
    ///
    /// # Errors
    /// See [`Kind`].
    pub async fn commit(self) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::new(Kind::Poisoned, "an earlier statement failed"));
        }
        in_time(&self.clock)?;
        let (tell, told) = tokio::sync::oneshot::channel();
        // A task of its own: whoever drops this future in the middle leaves no group half decided.
        nephos_runtime::spawn("db.commit", async move {
            let committed = match self.engine {
                TxEngine::Lite(turn) => turn.commit().await,
                TxEngine::Pg(tx) => tx.commit().await.map_err(Error::from),
            };
            if committed.is_ok() {
                for wake in self.wakes {
                    self.sink.wake(wake);
                }
            }
            let _caller_gone = tell.send(committed);
        });
        let gone = |_| Error::new(Kind::Unavailable, "the commit was cut off");
        let committed = told.await.map_err(gone)?;
        again::note(committed.as_ref().map(|&()| ()));
        committed
    }

    /// Marks a statement as under way: until it has succeeded, and so also when it is cancelled, the transaction is dead.
    fn start(&mut self) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::new(Kind::Poisoned, "an earlier statement failed"));
        }
        self.poisoned = true;
        if self.clock.monotonic().saturating_sub(self.opened) > self.at_most {
            let what = format!(
                "the transaction was open for more than {} s",
                self.at_most.as_secs()
            );
            return Err(Error::new(Kind::Poisoned, what));
        }
        Ok(())
    }

    async fn change(&mut self, sql: &Sql, args: &[Arg]) -> Result<u64, Error> {
        self.start()?;
        let changed = match &mut self.engine {
            TxEngine::Lite(turn) => {
                let done = sql.lite(args).execute(turn.connection()?);
                done.await.map(|done| done.rows_affected())
            }
            TxEngine::Pg(tx) => tx.exec(sql, args).await,
        };
        let changed = changed.map_err(noted)?;
        self.poisoned = false;
        Ok(changed)
    }

    const fn kind(&self) -> crate::EngineKind {
        match self.engine {
            TxEngine::Lite(_) => crate::EngineKind::Sqlite,
            TxEngine::Pg(_) => crate::EngineKind::Postgres,
        }
    }

    async fn rows(&mut self, sql: &Sql, args: &[Arg]) -> Result<Vec<Row>, Error> {
        self.start()?;
        let rows: Result<Vec<Row>, sqlx::Error> = match &mut self.engine {
            TxEngine::Lite(turn) => {
                let rows = sql.lite(args).fetch_all(turn.connection()?).await;
                rows.map(|rows| rows.into_iter().map(Row::Lite).collect())
            }
            TxEngine::Pg(tx) => {
                let rows = tx.rows(sql, args).await;
                rows.map(|rows| rows.into_iter().map(Row::Pg).collect())
            }
        };
        let rows = rows.map_err(noted)?;
        self.poisoned = false;
        Ok(rows)
    }
}

fn outdated() -> Error {
    let error = Error::new(Kind::Conflict, "what was read has changed since");
    again::note(Err(&error));
    error
}

/// The error as ours; whoever watches hears of a conflict also when it is reported in other words.
fn noted(error: sqlx::Error) -> Error {
    let error = Error::from(error);
    again::note(Err(&error));
    error
}
