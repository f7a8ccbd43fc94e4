//! Where the services' databases are: one SQLite file each, or one database each on a PostgreSQL server.

use anyhow::Context as _;
use nephos_db::{Db, DbUrl, FromRow, Kind, Row, args};

use crate::running::{self, Claim, Running};
use crate::services::Run;
use crate::settings::Settings;

/// Where the database of a service is.
///
/// # Errors
/// When `[nephos] database` is no address.
pub fn url(settings: &Settings, service: &str) -> anyhow::Result<DbUrl> {
    match &settings.database {
        Some(server) => Ok(DbUrl::Postgres(
            on_server(server, &name(service)).context("[nephos] database")?,
        )),
        None => Ok(DbUrl::sqlite(file(settings, service))),
    }
}

/// Makes the database of a service unless it is there.
///
/// # Errors
/// When the server does not answer or refuses.
pub async fn ensure(settings: &Settings, service: &str) -> anyhow::Result<()> {
    if let Some(server) = &settings.database {
        DbUrl::create_database(server, &name(service))
            .await
            .with_context(|| format!("the database of {service}"))?;
    }
    // A SQLite file is made when it is opened.
    Ok(())
}

/// Says that this process alone works with the database of a service: SQLite serves one process. Held as long as the
/// answer is. A PostgreSQL server serves many.
///
/// # Errors
/// Which process has it, and what to do.
pub fn claim(settings: &Settings, service: &str) -> anyhow::Result<Option<Running>> {
    if settings.database.is_some() {
        return Ok(None);
    }
    let path = file(settings, service).with_extension("lock");
    match running::claim(&path)? {
        Claim::Ours(held) => Ok(Some(held)),
        Claim::Theirs(pid) => anyhow::bail!(
            "process {pid} works with the SQLite database of {service}, which serves one process. Stop that one, or let \
             several work together on PostgreSQL: `database = \"postgres://…\"` in [nephos] of nephos.toml"
        ),
    }
}

/// Refuses to go on when the database of a service has never been made: opening it would make it.
///
/// # Errors
/// What to do first.
pub fn must_be_there(settings: &Settings, service: &str) -> anyhow::Result<()> {
    let missing = settings.database.is_none() && !file(settings, service).exists();
    anyhow::ensure!(
        !missing,
        "there is no database of {service} in {}; `nephos up` or `nephos migrate` makes it",
        settings.state("db").display()
    );
    Ok(())
}

/// Refuses to go on when tables of a service are missing.
///
/// # Errors
/// Which, and what to do.
pub async fn must_be_up_to_date(service: &dyn Run) -> anyhow::Result<()> {
    let applied = applied(service.db()).await?;
    let missing = service
        .migrations()
        .into_iter()
        .find(|migration| !applied.iter().any(|done| done.0 == migration.name));
    match missing {
        None => Ok(()),
        Some(migration) => anyhow::bail!(
            "the tables of {} are older than this program (without {}); run `nephos migrate`",
            service.name(),
            migration.name
        ),
    }
}

struct Applied(String);

impl FromRow for Applied {
    fn from_row(row: &Row) -> Result<Self, nephos_db::Error> {
        Ok(Self(row.get("name")?))
    }
}

async fn applied(db: &Db) -> anyhow::Result<Vec<Applied>> {
    let sql = "SELECT name FROM nephos_migrations ORDER BY name";
    match db.fetch_all(sql, args![]).await {
        Ok(names) => Ok(names),
        // No table of that name: nothing was ever applied.
        Err(why) if why.kind() == Kind::Other => Ok(Vec::new()),
        Err(why) => Err(why.into()),
    }
}

fn name(service: &str) -> String {
    // A dash is no letter of a name there.
    format!("nephos_{}", service.replace('-', "_"))
}

fn file(settings: &Settings, service: &str) -> std::path::PathBuf {
    settings.state("db").join(format!("{service}.sqlite"))
}

/// `postgres://user:password@host:port/whatever?options` with another database.
fn on_server(server: &str, database: &str) -> anyhow::Result<String> {
    let form = "expected postgres://user:password@host:port";
    let (scheme, rest) = server.split_once("://").context(form)?;
    anyhow::ensure!(matches!(scheme, "postgres" | "postgresql"), form);
    let (place, options) = rest
        .split_once('?')
        .map_or((rest, None), |(place, options)| (place, Some(options)));
    // A password may hold a slash only percent-encoded.
    let authority = place.split('/').next().unwrap_or_default();
    let options = options.map(|options| format!("?{options}"));
    Ok(format!(
        "{scheme}://{authority}/{database}{}",
        options.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(server: &str, expected: &str) {
        assert_eq!(on_server(server, "x").unwrap(), expected);
    }

    #[test]
    fn a_services_database_stands_beside_the_one_that_is_named() {
        check("postgres://u:p@h:5432", "postgres://u:p@h:5432/x");
        check("postgresql://u@h/", "postgresql://u@h/x");
        check(
            "postgres://u:p%2F@h/y?sslmode=require",
            "postgres://u:p%2F@h/x?sslmode=require",
        );
        assert!(on_server("mysql://h", "x").is_err());
        assert!(on_server("h", "x").is_err());
    }

    #[test]
    fn a_second_process_on_a_sqlite_file_learns_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            state_dir: folder.path().to_owned(),
            ..Settings::default()
        };
        std::fs::create_dir(settings.state("db")).unwrap();
        let held = claim(&settings, "x").unwrap();
        assert!(held.is_some());
        let why = claim(&settings, "x").unwrap_err().to_string();
        let pid = std::process::id().to_string();
        assert!(why.contains(&pid) && why.contains("postgres://"), "{why}");
        claim(&settings, "y").unwrap();
        settings.database = Some("postgres://h".to_owned());
        assert!(claim(&settings, "x").unwrap().is_none());
    }
}
