//! Projects and domains.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::DomainId;

use super::{json, none_if_empty, parse};
use crate::model::assignment::{Place, TargetKind};
use crate::model::directory::Project;

const SELECT: &str = "SELECT id, name, domain_id, parent_id, is_domain, enabled, description, \
     options, tags, extra FROM projects";

impl FromRow for Project {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            domain_id: none_if_empty(row.get("domain_id")?).map(DomainId),
            parent_id: row.get("parent_id")?,
            is_domain: row.get("is_domain")?,
            enabled: row.get("enabled")?,
            description: row.get("description")?,
            options: parse(row, "options")?,
            tags: parse(row, "tags")?,
            extra: parse(row, "extra")?,
        })
    }
}

/// The project or domain.
pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<Project>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .pop())
}

/// The project of that name in a domain.
pub(crate) async fn find(db: &Db, domain_id: &str, name: &str) -> Result<Option<Project>, Error> {
    let query = Where::new(SELECT)
        .eq("domain_id", domain_id)
        .eq("name", name);
    Ok(db.fetch_where(&query).await?.pop())
}

/// The domain of that name.
pub(crate) async fn find_domain(db: &Db, name: &str) -> Result<Option<Project>, Error> {
    find(db, "", name).await
}

/// What a list asks the database for; the rest is filtered afterwards.
#[derive(Debug, Default)]
pub(crate) struct Filter<'a> {
    pub ids: Option<Vec<String>>,
    pub domain_id: Option<&'a str>,
    pub parent_id: Option<&'a str>,
    pub name: Option<&'a str>,
    pub is_domain: Option<bool>,
}

/// Projects, domains, or both.
pub(crate) async fn list(db: &Db, filter: &Filter<'_>) -> Result<Vec<Project>, Error> {
    fetch(db, &query(filter)).await
}

/// The query for projects, domains, or both.
pub(crate) fn query(filter: &Filter<'_>) -> Where {
    let mut query = Where::new(SELECT)
        .eq_opt("domain_id", filter.domain_id)
        .eq_opt("parent_id", filter.parent_id)
        .eq_opt("name", filter.name)
        .eq_opt("is_domain", filter.is_domain);
    if let Some(ids) = &filter.ids {
        query = query.in_("id", ids);
    }
    query
}

/// The projects of a query.
pub(crate) async fn fetch(db: &Db, query: &Where) -> Result<Vec<Project>, Error> {
    db.fetch_where(query).await
}

const UP: &str = "WITH RECURSIVE up (id, parent_id, depth) AS ( \
     SELECT id, parent_id, 0 FROM projects WHERE id = $1 \
     UNION ALL SELECT p.id, p.parent_id, up.depth + 1 FROM projects p \
     JOIN up ON p.id = up.parent_id WHERE up.depth < 64) \
     SELECT id FROM up ORDER BY depth";

/// The ids above a project: its parent first, its domain last.
pub(crate) async fn above(db: &Db, id: &str) -> Result<Vec<String>, Error> {
    let rows: Vec<String> = db.fetch_all(UP, args![id]).await?;
    Ok(rows.into_iter().skip(1).collect())
}

/// The ids below a project or domain, however deep.
pub(crate) async fn below(db: &Db, id: &str) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "WITH RECURSIVE down (id, depth) AS ( \
         SELECT id, 0 FROM projects WHERE parent_id = $1 \
         UNION ALL SELECT p.id, down.depth + 1 FROM projects p \
         JOIN down ON p.parent_id = down.id WHERE down.depth < 64) \
         SELECT id FROM down ORDER BY depth, id",
        args![id],
    )
    .await
}

/// The project as a place of roles.
pub(crate) async fn place(db: &Db, project: &Project) -> Result<Place, Error> {
    let above = above(db, project.id.as_str()).await?;
    Ok(Place {
        kind: TargetKind::Project,
        id: project.id.to_string(),
        above,
    })
}

/// A project as a place of roles, inside a transaction that relies on it; nothing is above one that is gone.
pub(crate) async fn place_in(tx: &mut Tx, id: &str) -> Result<Place, Error> {
    let rows: Vec<String> = tx.fetch_all(UP, args![id]).await?;
    Ok(Place {
        kind: TargetKind::Project,
        id: id.to_owned(),
        above: rows.into_iter().skip(1).collect(),
    })
}

/// The nearest that is disabled of a project and everything above it.
pub(crate) async fn disabled_from(tx: &mut Tx, id: &str) -> Result<Option<String>, Error> {
    tx.fetch_opt(
        "WITH RECURSIVE up (id, parent_id, enabled, depth) AS ( \
         SELECT id, parent_id, enabled, 0 FROM projects WHERE id = $1 \
         UNION ALL SELECT p.id, p.parent_id, p.enabled, up.depth + 1 FROM projects p \
         JOIN up ON p.id = up.parent_id WHERE up.depth < 64) \
         SELECT id FROM up WHERE NOT enabled ORDER BY depth LIMIT 1",
        args![id],
    )
    .await
}

/// How many of the projects below one are enabled, however deep.
pub(crate) async fn count_enabled_below(tx: &mut Tx, id: &str) -> Result<i64, Error> {
    tx.fetch_scalar(
        "WITH RECURSIVE down (id, enabled, depth) AS ( \
         SELECT id, enabled, 0 FROM projects WHERE parent_id = $1 \
         UNION ALL SELECT p.id, p.enabled, down.depth + 1 FROM projects p \
         JOIN down ON p.parent_id = down.id WHERE down.depth < 64) \
         SELECT COUNT(*) FROM down WHERE enabled",
        args![id],
    )
    .await
}

/// Makes sure that a project or domain that was read is still as it was.
pub(crate) async fn still(tx: &mut Tx, before: &Project) -> Result<(), Error> {
    let row = Where::new(SELECT).eq("id", &before.id);
    tx.still(&row, before).await
}

/// Makes sure that a project or domain that was seen is still there.
pub(crate) async fn there(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "SELECT id FROM projects WHERE id = $1";
    tx.still_there(sql, args![id]).await
}

/// A new row.
pub(crate) async fn insert(tx: &mut Tx, project: &Project) -> Result<(), Error> {
    for above in [
        project.domain_id.as_ref().map(DomainId::as_str),
        project.parent_id.as_deref(),
    ]
    .into_iter()
    .flatten()
    {
        there(tx, above).await?;
    }
    tx.exec(
        "INSERT INTO projects (id, name, domain_id, parent_id, is_domain, enabled, description, \
         options, tags, extra) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        args![
            project.id,
            project.name,
            project.domain_id.as_ref().map_or("", DomainId::as_str),
            project.parent_id,
            project.is_domain,
            project.enabled,
            project.description,
            json(&project.options),
            json(&project.tags),
            json(&project.extra)
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update(tx: &mut Tx, before: &Project, project: &Project) -> Result<(), Error> {
    still(tx, before).await?;
    tx.exec(
        "UPDATE projects SET name = $1, enabled = $2, description = $3, options = $4, tags = $5, \
         extra = $6 WHERE id = $7",
        args![
            project.name,
            project.enabled,
            project.description,
            json(&project.options),
            json(&project.tags),
            json(&project.extra),
            project.id
        ],
    )
    .await?;
    Ok(())
}

/// How many projects stand directly below.
pub(crate) async fn count_children(tx: &mut Tx, id: &str) -> Result<i64, Error> {
    tx.fetch_scalar(
        "SELECT COUNT(*) FROM projects WHERE parent_id = $1",
        args![id],
    )
    .await
}

/// The project and everything that only hangs on it.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    for statement in [
        "DELETE FROM assignments WHERE target_id = $1 AND target_kind <> 'system'",
        "DELETE FROM limits WHERE owner_id = $1",
        "DELETE FROM credentials WHERE project_id = $1",
        "DELETE FROM app_credential_rules WHERE app_credential_id IN \
         (SELECT id FROM app_credentials WHERE project_id = $1)",
        "DELETE FROM app_credentials WHERE project_id = $1",
        "DELETE FROM trusts WHERE project_id = $1",
        "UPDATE users SET default_project_id = NULL WHERE default_project_id = $1",
    ] {
        tx.exec(statement, args![id]).await?;
    }
    tx.exec_some("DELETE FROM projects WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// The projects that a domain owns, in any order.
pub(crate) async fn projects_of_domain(tx: &mut Tx, id: &str) -> Result<Vec<String>, Error> {
    tx.fetch_all("SELECT id FROM projects WHERE domain_id = $1", args![id])
        .await
}
