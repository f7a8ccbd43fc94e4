//! What of a host's network is not as it is wanted, for the consistency check. It changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use nephos_types::feed::FeedPage;

use super::documents::Documents;
use super::picture::Kept;
use super::plan::{Known, plan};
use super::{Desired, Settings, picture, tables};
use crate::driver::plane::HOST;
use crate::driver::{Driver, DriverError, Step};

/// One thing that is not as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The device, the namespace, or the table of a namespace.
    pub id: String,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Compares all that is wanted on a host with all that is there.
///
/// # Errors
/// When the host cannot be looked at.
pub async fn differences(
    settings: &Settings,
    driver: &dyn Driver,
    wanted: FeedPage,
) -> Result<BTreeSet<Difference>, DriverError> {
    from_documents(settings, driver, &Documents::read(&Desired::of(wanted))).await
}

pub(super) async fn from_documents(
    settings: &Settings,
    driver: &dyn Driver,
    documents: &Documents,
) -> Result<BTreeSet<Difference>, DriverError> {
    let wanted = picture::draw(documents, settings, &mut Kept::default()).plane;
    let found = driver.look(&wanted, true).await?;
    // The tables are compared below: a plan has only what its agent put there itself to go by.
    let tables_aside = wanted
        .spaces
        .iter()
        .map(|(name, space)| (name.clone(), space.tables.clone()))
        .collect();
    let known = Known {
        found: &found,
        tables: &tables_aside,
        may_remove: true,
    };
    let mut all: BTreeSet<Difference> = plan(&wanted, known).iter().filter_map(of_step).collect();
    for (space, content) in &wanted.spaces {
        let there = match found.spaces.contains_key(space) {
            true => driver.tables(space).await?,
            false => BTreeMap::new(),
        };
        for (name, table) in &content.tables {
            let listing = there.get(name).cloned().unwrap_or_default();
            if tables::drifted(&listing, table) {
                all.insert(Difference {
                    id: format!("{name} in {}", label(space)),
                    what: "a table of filters that is not as it should be",
                });
            }
        }
    }
    Ok(all)
}

fn of_step(step: &Step) -> Option<Difference> {
    let (id, what) = match step {
        Step::AddSpace(name) => (name.clone(), "a network namespace that is missing"),
        Step::RemoveSpace(name) => (name.clone(), "a network namespace of nothing"),
        Step::AddLink { name, .. } => (name.clone(), "a network device that is missing"),
        Step::RemoveLink { name, .. } => (name.clone(), "a network device of nothing"),
        Step::ShapeLink { name, .. } | Step::SwitchLink { name, .. } => {
            (name.clone(), "a network device that is not as it should be")
        }
        Step::Limit { name, .. } | Step::Detour { name, .. } => (
            name.clone(),
            "a network device that is not limited as it should be",
        ),
        Step::Tags { name, .. } => (
            name.clone(),
            "a network device whose tagged frames do not go where they should",
        ),
        Step::Set { path, .. } => (path.clone(), "a setting that is not as it should be"),
        Step::Addresses(space, _) => (label(space), "addresses that are not as they should be"),
        Step::Routes(space, _) => (label(space), "routes that are not as they should be"),
        Step::Forwards { space, .. } | Step::Neighbours { space, .. } => (
            label(space),
            "ways to other ports that are not as they should be",
        ),
        Step::Announce { .. } | Step::Tables { .. } => return None,
    };
    Some(Difference { id, what })
}

fn label(space: &str) -> String {
    match space {
        HOST => "the host".to_owned(),
        named => named.to_owned(),
    }
}
