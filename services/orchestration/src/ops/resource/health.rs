//! Which resources of a stack, and of those inside it, are not well.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nephos_db::Db;

use crate::model::stack::{self, Action, StackId, Status};
use crate::store::{resources, stacks};

/// Whether something in a stack, or in one that it has, is not well.
pub(super) fn ails<'a>(
    db: &'a Db,
    id: &'a StackId,
) -> BoxFuture<'a, Result<bool, nephos_db::Error>> {
    async move { Ok(!unwell(db, id).await?.is_empty()) }.boxed()
}

/// The resources of a stack that are not well, or have something inside that is not.
pub(super) async fn unwell(db: &Db, id: &StackId) -> Result<BTreeSet<String>, nephos_db::Error> {
    let mut found = BTreeSet::new();
    let rows = resources::of_stack(db, id).await?;
    for row in rows.into_iter().filter(|row| !row.superseded) {
        let inside = match row.nested_id() {
            Some(child) => ails(db, &child).await?,
            None => false,
        };
        if inside || row.status == Status::Failed {
            found.insert(row.name);
        }
    }
    Ok(found)
}

/// Whether somebody found a nested stack wanting whose own resources are well: then another one is made. After a check
/// the resources say themselves what is wrong, and mend.
pub(crate) async fn is_condemned(db: &Db, row: &stack::Resource) -> Result<bool, nephos_db::Error> {
    let unhealthy = row.action == Action::Check && row.status == Status::Failed;
    let Some(child) = row.nested_id().filter(|_| unhealthy) else {
        return Ok(false);
    };
    let child = stacks::find(db, &child).await?;
    Ok(child.is_none_or(|child| child.status != Status::Failed))
}
