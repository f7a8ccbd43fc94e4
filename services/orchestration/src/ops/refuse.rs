//! What an update must not do to a resource: the update fails, the resource stays what it was.

use nephos_ops::StepError;
use serde_json::{Value, json};

use super::ground::{Ground, When};
use crate::model::stack::{Action, Resource, Status};
use crate::store::{events, resources};

/// Where a resource notes what was refused last, and for which generation of its stack.
const REFUSED: &str = "refused";

/// Notes that an update is refused; only an event shows it as the resource's failure.
pub(super) async fn refuse(
    ground: &Ground<'_>,
    mut row: Resource,
    why: String,
) -> Result<When, StepError> {
    let noted = json!({"generation": ground.stack.generation, "why": why});
    row.data.insert(REFUSED.to_owned(), noted);
    let mut tx = ground.cx.write("refuse").await?;
    resources::update(&mut tx, &row, ground.cx.now()).await?;
    (row.action, row.status, row.reason) = (Action::Update, Status::Failed, why);
    events::of_resource(&mut tx, &row, ground.cx.now()).await?;
    tx.commit().await?;
    Ok(When::Now)
}

/// The resource of which an update of this generation is refused, and why.
pub(super) fn found(rows: &[Resource], generation: i64) -> Option<(&str, &str)> {
    rows.iter().find_map(|row| {
        let noted = row.data.get(REFUSED)?;
        let own = noted.get("generation").and_then(Value::as_i64) == Some(generation);
        let why = noted.get("why").and_then(Value::as_str)?;
        own.then_some((row.name.as_str(), why))
    })
}
