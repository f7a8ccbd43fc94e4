//! Stacks.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::{Finding, Timestamp};
use serde_json::{Value, json};

use super::{json as parsed, json_opt, word};
use crate::model::stack::{Action, Stack, StackId, Status, Wanted};

impl FromRow for Stack {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let before: Option<Value> = json_opt(row, "before")?;
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            project_id: row.get("project_id")?,
            user_id: row.get("user_id")?,
            user_name: row.get("user_name")?,
            parent_id: row.get("parent_id")?,
            parent_resource: row.get("parent_resource")?,
            root_id: row.get("root_id")?,
            depth: row.get("depth")?,
            action: word(row, "action", Action::parse)?,
            status: word(row, "status", Status::parse)?,
            reason: row.get("reason")?,
            wanted: Wanted {
                template: parsed(row, "template")?,
                environment: parsed(row, "environment")?,
                files: parsed(row, "files")?,
            },
            before: before.map(|before| Wanted {
                template: before.get("template").cloned().unwrap_or_default(),
                environment: before.get("environment").cloned().unwrap_or_default(),
                files: serde_json::from_value(before.get("files").cloned().unwrap_or_default())
                    .unwrap_or_default(),
            }),
            generation: row.get("generation")?,
            disable_rollback: row.get("disable_rollback")?,
            timeout_mins: row.get("timeout_mins")?,
            tags: parsed(row, "tags")?,
            trust_id: row.get("trust_id")?,
            cancel: row.get("cancel")?,
            facade: parsed(row, "facade")?,
            started_at: row.get("started_at")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

const SELECT: &str = "SELECT id, name, project_id, user_id, user_name, parent_id, parent_resource, root_id, depth, action, status, \
     reason, template, environment, files, before, generation, disable_rollback, timeout_mins, tags, trust_id, cancel, facade, \
     started_at, created_at, updated_at FROM stacks";

pub(crate) async fn find(db: &Db, id: &StackId) -> Result<Option<Stack>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .pop())
}

/// The same, within a transaction.
pub(crate) async fn find_in(tx: &mut Tx, id: &StackId) -> Result<Option<Stack>, Error> {
    Ok(tx
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .pop())
}

/// Makes sure that a stack that was read is still as it was.
pub(crate) async fn still(tx: &mut Tx, before: &Stack) -> Result<(), Error> {
    tx.still(&Where::new(SELECT).eq("id", &before.id), before)
        .await
}

/// Of a project, by name or, if no stack is called so, by id.
pub(crate) async fn named(db: &Db, project: &str, name: &str) -> Result<Option<Stack>, Error> {
    let by = |column: &'static str| {
        Where::new(SELECT)
            .eq("project_id", project)
            .eq(column, name)
    };
    if let Some(found) = db.fetch_where(&by("name")).await?.pop() {
        return Ok(Some(found));
    }
    Ok(db.fetch_where(&by("id")).await?.pop())
}

/// The stacks that are resources of this one.
pub(crate) async fn children(db: &Db, parent: &StackId) -> Result<Vec<Stack>, Error> {
    db.fetch_where(&Where::new(SELECT).eq("parent_id", parent))
        .await
}

/// How many resources the stacks of a root have in all.
pub(crate) async fn resources_of_root(tx: &mut Tx, root: &StackId) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) AS n FROM resources WHERE stack_id IN (SELECT id FROM stacks WHERE root_id = $1)";
    tx.fetch_scalar(sql, args![root]).await
}

/// How many outermost stacks a project has.
pub(crate) async fn count_of_project(tx: &mut Tx, project: &str) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) AS n FROM stacks WHERE project_id = $1 AND parent_id IS NULL";
    tx.fetch_scalar(sql, args![project]).await
}

/// At most so many stacks are looked at for a list; what is asked for of them is picked afterwards.
const MAX_LISTED: u32 = 10_000;

/// Which stacks are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct StackQuery {
    pub project: Option<String>,
    pub nested: bool,
    pub names: Vec<String>,
    pub ids: Vec<String>,
    pub actions: Vec<String>,
    pub statuses: Vec<String>,
    pub owners: Vec<String>,
    pub parents: Vec<String>,
    pub sort: Vec<(&'static str, bool)>,
}

pub(crate) async fn page(db: &Db, query: &StackQuery) -> Result<Vec<Stack>, Error> {
    let mut select = Where::new(SELECT).eq_opt("project_id", query.project.as_deref());
    if !query.nested && query.parents.is_empty() {
        select = select.is_null("parent_id");
    }
    let filters: [(&'static str, &Vec<String>); 6] = [
        ("name", &query.names),
        ("id", &query.ids),
        ("action", &query.actions),
        ("status", &query.statuses),
        ("user_name", &query.owners),
        ("parent_id", &query.parents),
    ];
    for (column, values) in filters {
        if !values.is_empty() {
            select = select.in_(column, values);
        }
    }
    let direction = |descending: bool| {
        if descending {
            Direction::Desc
        } else {
            Direction::Asc
        }
    };
    let sort = query
        .sort
        .iter()
        .map(|(column, descending)| (*column, direction(*descending)));
    db.fetch_where(&select.page(Page {
        sort: sort.collect(),
        after: None,
        limit: Some(MAX_LISTED),
    }))
    .await
}

/// A new stack; false when its name is taken.
pub(crate) async fn insert(tx: &mut Tx, stack: &Stack) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO stacks (id, name, project_id, user_id, user_name, parent_id, parent_resource, root_id, depth, action, \
             status, reason, template, environment, files, before, generation, disable_rollback, timeout_mins, tags, trust_id, \
             cancel, facade, started_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
             $14, $15, NULL, $16, $17, $18, $19, $20, NULL, $21, $22, $22, NULL) ON CONFLICT DO NOTHING",
            args![
                stack.id,
                stack.name,
                stack.project_id,
                stack.user_id,
                stack.user_name,
                stack.parent_id,
                stack.parent_resource,
                stack.root_id,
                stack.depth,
                stack.action.word(),
                stack.status.word(),
                stack.reason,
                stack.wanted.template.to_string(),
                stack.wanted.environment.to_string(),
                json!(stack.wanted.files).to_string(),
                stack.generation,
                stack.disable_rollback,
                stack.timeout_mins,
                json!(stack.tags).to_string(),
                stack.trust_id,
                stack.facade.to_string(),
                stack.created_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Something else is wanted of a stack: everything that a request may change, and a new generation.
pub(crate) async fn want(tx: &mut Tx, stack: &Stack, now: Timestamp) -> Result<(), Error> {
    let before = stack.before.as_ref().map(|before| {
        json!({"template": before.template, "environment": before.environment, "files": before.files}).to_string()
    });
    tx.exec(
        "UPDATE stacks SET action = $1, status = $2, reason = $3, template = $4, environment = $5, files = $6, before = $7, \
         generation = $8, disable_rollback = $9, timeout_mins = $10, tags = $11, trust_id = $12, cancel = NULL, facade = $13, \
         started_at = $14, updated_at = $14 WHERE id = $15",
        args![
            stack.action.word(),
            stack.status.word(),
            stack.reason,
            stack.wanted.template.to_string(),
            stack.wanted.environment.to_string(),
            json!(stack.wanted.files).to_string(),
            before,
            stack.generation,
            stack.disable_rollback,
            stack.timeout_mins,
            json!(stack.tags).to_string(),
            stack.trust_id,
            stack.facade.to_string(),
            now,
            stack.id,
        ],
    )
    .await?;
    Ok(())
}

/// What came of what was asked.
pub(crate) async fn set_state(
    tx: &mut Tx,
    id: &StackId,
    (action, status): (Action, Status),
    reason: &str,
) -> Result<(), Error> {
    let sql =
        "UPDATE stacks SET action = $1, status = $2, reason = $3, cancel = NULL WHERE id = $4";
    tx.exec(sql, args![action.word(), status.word(), reason, id])
        .await?;
    Ok(())
}

/// An action on the stack as it is begins.
pub(crate) async fn begin(
    tx: &mut Tx,
    id: &StackId,
    action: Action,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "UPDATE stacks SET action = $1, status = 'IN_PROGRESS', reason = $2, cancel = NULL, started_at = $3 WHERE id = $4";
    tx.exec(
        sql,
        args![
            action.word(),
            format!("Stack {} started", action.word()),
            now,
            id
        ],
    )
    .await?;
    Ok(())
}

/// Asks a stack to end what it is doing; false when it is doing nothing.
pub(crate) async fn set_cancel(tx: &mut Tx, id: &StackId, how: &str) -> Result<bool, Error> {
    let sql = "UPDATE stacks SET cancel = $1 WHERE id = $2 AND status = 'IN_PROGRESS'";
    Ok(tx.exec(sql, args![how, id]).await? == 1)
}

/// The trust by which the service acts for whoever asked last.
pub(crate) async fn set_trust(tx: &mut Tx, id: &StackId, trust: Option<&str>) -> Result<(), Error> {
    tx.exec(
        "UPDATE stacks SET trust_id = $1 WHERE id = $2",
        args![trust, id],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &StackId) -> Result<(), Error> {
    tx.exec("DELETE FROM stacks WHERE id = $1", args![id])
        .await?;
    Ok(())
}

struct Adrift(String, String);

impl FromRow for Adrift {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("id")?, row.get("name")?))
    }
}

/// Stacks in progress that no operation works on.
pub(crate) async fn adrift(db: &Db) -> Result<Vec<Finding>, Error> {
    let sql = "SELECT id, name FROM stacks WHERE status = 'IN_PROGRESS' AND NOT EXISTS (SELECT 1 FROM operations \
         WHERE operations.resource_id = stacks.id AND operations.finished_at IS NULL) ORDER BY id";
    let found = db.fetch_all::<Adrift>(sql, args![]).await?;
    let describe = |Adrift(id, name)| {
        let what = format!("stack {name} is in progress and nobody works on it");
        Finding::new(what, id, "update or delete the stack")
    };
    Ok(found.into_iter().map(describe).collect())
}

/// Whom the service acts for.
pub(crate) async fn set_user(tx: &mut Tx, id: &StackId, user: &str) -> Result<(), Error> {
    tx.exec(
        "UPDATE stacks SET user_id = $1 WHERE id = $2",
        args![user, id],
    )
    .await?;
    Ok(())
}
