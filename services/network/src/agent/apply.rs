//! Does a plan, step by step, and says what went wrong for whom.

use std::collections::BTreeMap;

use nephos_runtime::crash_point;
use tracing::{info, warn};

use super::documents::Owner;
use super::picture::Picture;
use super::tables::Tables;
use crate::driver::plane::HOST;
use crate::driver::{Change, Driver, Step};
use crate::model::spec::KIND_HOST;

/// What a plan came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What went wrong, by whose it is.
    pub errors: BTreeMap<Owner, String>,
    /// Spaces whose filters changed.
    pub filtered: Vec<String>,
    /// Spaces that were made.
    pub made: Vec<String>,
}

/// Does the steps. One that fails does not keep the others back: they belong to other things, or fail as well.
pub async fn apply(
    driver: &dyn Driver,
    steps: &[Step],
    picture: &Picture,
    known: &mut BTreeMap<String, Tables>,
) -> Outcome {
    let mut outcome = Outcome::default();
    for step in steps {
        crash_point!("network.step");
        let done = driver.step(step).await;
        crash_point!("network.step.done");
        match step {
            Step::Tables { space, tables, .. } => {
                outcome.filtered.push(space.clone());
                match done {
                    Ok(()) => known.insert(space.clone(), tables.clone()),
                    Err(_) => known.remove(space), // nobody knows what is in them: replaced next time
                };
            }
            Step::RemoveSpace(space) => _ = known.remove(space),
            Step::AddSpace(space) => {
                known.remove(space);
                outcome.made.push(space.clone());
            }
            _other => {}
        }
        if let Err(why) = done {
            let owner = owner(step, picture);
            warn!(kind = owner.kind, id = %owner.id, %why, "network step failed; it is tried again. `nephos doctor` here says what the machine lacks");
            outcome
                .errors
                .entry(owner)
                .or_insert_with(|| why.to_string());
        }
    }
    if !steps.is_empty() {
        info!(
            steps = steps.len(),
            failed = outcome.errors.len(),
            "network applied"
        );
    }
    outcome
}

/// Whose a step is; the host's where it is nobody's or everybody's.
fn owner(step: &Step, picture: &Picture) -> Owner {
    let (space, link) = match step {
        Step::AddSpace(space) | Step::RemoveSpace(space) => (space.as_str(), None),
        Step::AddLink { name, .. } => (HOST, Some(name)),
        Step::RemoveLink { space, name }
        | Step::ShapeLink { space, name, .. }
        | Step::SwitchLink { space, name, .. }
        | Step::Limit { space, name, .. }
        | Step::Detour { space, name, .. }
        | Step::Tags { space, name, .. } => (space.as_str(), Some(name)),
        Step::Set { space, .. } | Step::Tables { space, .. } => (space.as_str(), None),
        Step::Routes(space, _) => (space.as_str(), None),
        Step::Addresses(space, Change { add, remove }) => {
            let mut all = add.iter().chain(remove);
            (space.as_str(), all.next().map(|one| &one.link))
        }
        Step::Forwards { space, link, .. }
        | Step::Neighbours { space, link, .. }
        | Step::Announce { space, link, .. } => (space.as_str(), Some(link)),
    };
    let of_link = link.and_then(|link| picture.links.get(&(space.to_owned(), link.clone())));
    let owner = of_link.or_else(|| picture.spaces.get(space));
    owner.cloned().unwrap_or_else(|| Owner::new(KIND_HOST, ""))
}
