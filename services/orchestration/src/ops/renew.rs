//! What others have become parts of since it was made is looked at once more when all of a stack is done, so that outputs
//! show it as it is then.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use nephos_ops::StepError;

use super::AT_ONCE;
use super::ground::{Ground, note};
use super::resource::{self, Outcome, Why};
use crate::model::kind::{self, How};
use crate::model::stack::Resource;

/// Notes how such resources are now. What cannot be looked at is as it was.
pub(super) async fn renew(ground: &Ground<'_>) -> Result<(), StepError> {
    let mut looks: Vec<BoxFuture<'_, Result<(), StepError>>> = Vec::new();
    for row in &ground.view.resources {
        if has_parts(row) {
            looks.push(look(ground, row).boxed());
        }
    }
    let came: Vec<_> = futures_util::stream::iter(looks)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    came.into_iter().collect()
}

fn has_parts(row: &Resource) -> bool {
    let how = kind::find(&row.target).map(|kind| kind.how);
    let own = !row.superseded && !row.external && row.physical_id.is_some();
    own && matches!(how, Some(How::Balancing(kind)) if kind.has_parts)
}

async fn look(ground: &Ground<'_>, row: &Resource) -> Result<(), StepError> {
    match resource::check(&ground.work(row, None, false)).await {
        Ok(Outcome::Done(seen)) => {
            let mut row = row.clone();
            if note(&mut row, seen) {
                ground.save("renew", &row, false).await?;
            }
            Ok(())
        }
        Err(Why::Step(why)) => Err(why),
        _as_it_was => Ok(()),
    }
}
