//! Tables by numbered files, each applied once and never edited afterwards.

use std::time::Duration;

use crate::{Db, EngineKind, Error, Kind, Tx, args};

/// One file of `migrations/`.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its name without `.sql`.
    pub name: &'static str,
    /// Its text, valid on both engines.
    pub sql: &'static str,
}

/// The files of the calling crate's `migrations/`: `migrations!("0001_servers", "0002_actions")`.
#[macro_export]
macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        vec![$($crate::Migration {
            name: $name,
            sql: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $name, ".sql")),
        }),*]
    };
}

/// Tables are made before a service works. A slow machine, large tables, or others who make the same take their time.
const AT_MOST: Duration = Duration::from_secs(3600);

pub(crate) async fn run(db: &Db, migrations: &[Migration]) -> Result<(), Error> {
    let mut tx = alone(db).await?;
    tx.exec(
        "CREATE TABLE IF NOT EXISTS nephos_migrations \
         (name TEXT PRIMARY KEY, sql TEXT NOT NULL, applied_at BIGINT NOT NULL)",
        args![],
    )
    .await?;
    for migration in migrations {
        let name = migration.name;
        let applied = tx
            .fetch_opt::<String>(
                "SELECT sql FROM nephos_migrations WHERE name = $1",
                args![name],
            )
            .await?;
        match applied {
            Some(text) if text == migration.sql => {}
            Some(_) => {
                let what = format!("migration {name} was edited after it was applied");
                return Err(Error::new(Kind::Other, what));
            }
            None => {
                for statement in statements(migration.sql) {
                    tx.exec_static_piece(statement).await?;
                }
                tx.exec(
                    "INSERT INTO nephos_migrations (name, sql, applied_at) VALUES ($1, $2, $3)",
                    args![name, migration.sql, db.clock.now()],
                )
                .await?;
            }
        }
    }
    tx.commit().await
}

/// A transaction in which nobody else makes tables, and which may last.
async fn alone(db: &Db) -> Result<Tx, Error> {
    let mut tx = db.guarded().await?;
    tx.may_last(AT_MOST);
    if db.kind() == EngineKind::Postgres {
        // Several processes may start at once, and large tables take their time.
        tx.exec("SET LOCAL lock_timeout = 0", args![]).await?;
        tx.exec("SET LOCAL statement_timeout = 0", args![]).await?;
        tx.exec("SELECT pg_advisory_xact_lock(7236470)", args![])
            .await?;
    }
    Ok(tx)
}

/// The statements of a file: split at semicolons outside quotes; comment lines are dropped.
fn statements(sql: &'static str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let (mut start, mut quoted, mut comment) = (0, false, false);
    for (at, character) in sql.char_indices() {
        match character {
            '\n' => comment = false,
            '\'' if !comment => quoted = !quoted,
            '-' if !quoted && sql.get(at..).is_some_and(|rest| rest.starts_with("--")) => {
                comment = true;
            }
            ';' if !quoted && !comment => {
                found.extend(sql.get(start..at));
                start = at + 1;
            }
            _other => {}
        }
    }
    found.extend(sql.get(start..));
    found.retain(|statement| {
        statement.lines().any(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("--")
        })
    });
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nephos_runtime::{Clock, NoWakes};
    use nephos_types::Timestamp;

    use super::*;
    use crate::DbUrl;

    #[tokio::test]
    async fn making_tables_may_take_longer_than_a_request() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::virtual_at(Timestamp(0));
        let url = DbUrl::sqlite(folder.path().join("x.sqlite"));
        let db = Db::open(&url, clock.clone(), Arc::new(NoWakes))
            .await
            .unwrap();
        let minutes = Duration::from_secs(300);

        let mut tx = alone(&db).await.unwrap();
        clock.advance(minutes);
        tx.exec("CREATE TABLE a (x TEXT)", args![]).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = db.write().await.unwrap();
        clock.advance(minutes);
        let late = tx.exec("CREATE TABLE b (x TEXT)", args![]).await;
        assert_eq!(late.unwrap_err().kind(), Kind::Poisoned);
    }

    #[test]
    fn a_file_is_split_at_semicolons_outside_quotes_and_comments() {
        let found = statements(
            "-- a; b\nCREATE TABLE a (x TEXT DEFAULT ';');\n\nCREATE TABLE b (y TEXT); -- end;\n",
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
