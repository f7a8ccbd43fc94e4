//! Connections to PostgreSQL, kept for whoever needs one next.
//!
//! A kept connection is asked whether it still works only when it was idle for a while: asking about every use, before and
//! after, as pools of libraries do, is two more round trips for each read and each transaction. One that failed, or whose
//! statement was cut off, is closed and never kept. Connections live in real time, also under a test's clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::Arg;
use crate::query::Sql;

/// Connections of one service in one process.
const CONNECTIONS: usize = 10;
/// How long whoever needs a connection waits for one.
const WITHIN: Duration = Duration::from_secs(5);
/// One that was idle for longer is asked whether it still works.
const TRUSTED: Duration = Duration::from_secs(1);
/// An older one is closed: what a server's process has gathered does not grow for ever.
const LIFE: Duration = Duration::from_secs(30 * 60);
/// Until a server that is starting is tried again.
const STARTING: Duration = Duration::from_millis(50);

/// The connections of one service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Kept>>,
}

struct Kept {
    connection: PgConnection,
    born: Instant,
    since: Instant,
}

/// A connection in use; dropped, it is kept for the next, unless something is wrong with it.
pub(crate) struct Lent {
    connection: Option<PgConnection>,
    born: Instant,
    /// Nothing is under way on it, and the last statement came to an end.
    whole: bool,
    /// A transaction is open on it.
    open: bool,
    home: Arc<Inner>,
    /// Given back with the connection.
    place: Option<OwnedSemaphorePermit>,
}

impl Connections {
    /// The connections that `options` make; one is made at once, so that who opens hears what is wrong.
    pub(crate) async fn open(options: PgConnectOptions) -> Result<Self, sqlx::Error> {
        let connections = Self(Arc::new(Inner {
            options,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Mutex::default(),
        }));
        drop(connections.lend().await?);
        Ok(connections)
    }

    /// A connection for one use.
    pub(crate) async fn lend(&self) -> Result<Lent, sqlx::Error> {
        // Behind a pointer: what making a connection takes is part of the state of everything that may wait for one.
        let lent = tokio::time::timeout(WITHIN, Box::pin(self.wait()));
        lent.await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    async fn wait(&self) -> Result<Lent, sqlx::Error> {
        let place = Arc::clone(&self.0.places).acquire_owned().await;
        let place = place.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, born) = match self.kept().await {
            Some(kept) => kept,
            None => (connect(&self.0.options).await?, Instant::now()),
        };
        Ok(Lent {
            connection: Some(connection),
            born,
            whole: true,
            open: false,
            home: Arc::clone(&self.0),
            place: Some(place),
        })
    }

    /// The one that was used last and still works.
    async fn kept(&self) -> Option<(PgConnection, Instant)> {
        loop {
            let mut kept = self.0.idle().pop()?;
            if kept.born.elapsed() > LIFE {
                continue;
            }
            if kept.since.elapsed() < TRUSTED || kept.connection.ping().await.is_ok() {
                return Some((kept.connection, kept.born));
            }
        }
    }

    /// Rows of a statement that may be carried out twice. When a connection turns out to be dead, so are those that were
    /// kept with it: a new one is tried.
    pub(crate) async fn read(&self, sql: &Sql, args: &[Arg]) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut lent = self.lend().await?;
        match lent.rows(sql, args).await {
            Err(_) if !lent.whole => {
                self.0.idle().clear();
                drop(lent);
                self.lend().await?.rows(sql, args).await
            }
            read => read,
        }
    }

    /// A connection on which a transaction is open that began with `begin`.
    pub(crate) async fn begin(&self, begin: &'static str) -> Result<Lent, sqlx::Error> {
        let mut lent = self.lend().await?;
        match lent.begin(begin).await {
            Err(_) if !lent.whole => {
                self.0.idle().clear();
                drop(lent);
                let mut lent = self.lend().await?;
                lent.begin(begin).await?;
                Ok(lent)
            }
            Err(why) => Err(why),
            Ok(()) => Ok(lent),
        }
    }
}

impl Inner {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, connection: PgConnection, born: Instant) {
        let since = Instant::now();
        self.idle().push(Kept {
            connection,
            born,
            since,
        });
    }
}

impl Lent {
    /// Marks it as in use: until the statement has come to an end, and so also when it is cut off, nobody else gets it.
    fn start(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.whole = false;
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    fn ended<T>(&mut self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        self.whole = match &outcome {
            Ok(_) => true,
            // The server says what it did not like, and goes on; unless it says farewell.
            Err(sqlx::Error::Database(why)) => !is_farewell(why.code().as_deref()),
            Err(_) => false,
        };
        outcome
    }

    /// Rows of a statement.
    pub(crate) async fn rows(
        &mut self,
        sql: &Sql,
        args: &[Arg],
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let rows = sql.pg(args).fetch_all(self.start()?).await;
        self.ended(rows)
    }

    /// How many rows a statement changed.
    pub(crate) async fn exec(&mut self, sql: &Sql, args: &[Arg]) -> Result<u64, sqlx::Error> {
        let done = sql.pg(args).execute(self.start()?).await;
        self.ended(done.map(|done| done.rows_affected()))
    }

    /// A text without arguments, which is not prepared.
    pub(crate) async fn raw(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.start()?);
        let done = done.await.map(|_| ());
        self.ended(done)
    }

    async fn begin(&mut self, begin: &'static str) -> Result<(), sqlx::Error> {
        self.raw(begin).await?;
        self.open = true;
        Ok(())
    }

    /// Ends the transaction.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        let committed = self.raw("COMMIT").await;
        // Refused, it is rolled back.
        self.open = false;
        committed
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // What is not kept is closed here, with whatever is open on it.
        let Some(connection) = self.connection.take().filter(|_| self.whole) else {
            return;
        };
        if !self.open {
            return self.home.keep(connection, self.born);
        }
        // Others wait for what it holds.
        let (home, born, place) = (Arc::clone(&self.home), self.born, self.place.take());
        if tokio::runtime::Handle::try_current().is_ok() {
            nephos_runtime::spawn("db.rollback", async move {
                let mut connection = connection;
                let undone = sqlx::raw_sql("ROLLBACK").execute(&mut connection).await;
                if undone.is_ok() {
                    home.keep(connection, born);
                }
                drop(place);
            });
        }
    }
}

/// A connection; a server that is starting is waited for, for ever: who cannot, sets a limit.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    loop {
        match options.connect().await {
            Err(why) if is_starting(&why) => tokio::time::sleep(STARTING).await,
            made => return made,
        }
    }
}

/// A connection outside of any pool; a server that is starting is waited for.
pub(crate) async fn connect_alone(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let made = tokio::time::timeout(WITHIN, connect(options)).await;
    made.map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// Whether a server that does not take connections may soon: it starts, or others leave.
fn is_starting(why: &sqlx::Error) -> bool {
    match why {
        sqlx::Error::Io(why) => why.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(why) => matches!(why.code().as_deref(), Some("57P03" | "53300")),
        _other => false,
    }
}

/// Whether a server that says this closes the connection: shut down, crashed, or it was idle in a transaction for too long.
fn is_farewell(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "25P03")
}
