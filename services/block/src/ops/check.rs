//! The consistency check: rows against each other and against the files of the back ends of this machine.

use std::collections::BTreeSet;

use nephos_api::Check;
use nephos_db::Error;
use nephos_types::Finding;

use super::house::LOOK_EVERY;
use crate::model::attachment::target_name;
use crate::model::layer::Format;
use crate::store::check::Wanted;
use crate::store::{attachments, check};
use crate::{Block, Driver, WRONG_SECRET};

impl Check for Block {
    /// Counts, states without work, files without rows and rows without files.
    async fn check(&self) -> Result<Vec<Finding>, Error> {
        let db = &self.core.db;
        let mut findings = Vec::new();
        for (id, status) in check::stuck(db).await? {
            let what = format!("is {status}, and nothing works on it");
            findings.push(Finding::new(
                what,
                id,
                "Reset its state as an administrator, or delete it.",
            ));
        }
        for (id, kind) in check::orphans(db).await? {
            let what = format!("is the {kind} of a volume that is not there");
            findings.push(Finding::new(what, id, "Delete it."));
        }
        let (noted, mut counted) = check::usage(db).await?;
        for one in check::growing(db).await? {
            let to_gib = super::extend::size_of(&one.args).unwrap_or(one.size_gib);
            let gigabytes = (one.project, "gigabytes".to_owned());
            *counted.entry(gigabytes).or_default() += to_gib - one.size_gib;
        }
        let keys: BTreeSet<_> = noted.keys().chain(counted.keys()).collect();
        for key in keys {
            let (noted, counted) = (noted.get(key).unwrap_or(&0), counted.get(key).unwrap_or(&0));
            if noted != counted {
                let (project, resource) = key;
                let what = format!("uses {counted} {resource}, and {noted} are noted");
                findings.push(Finding::new(
                    what,
                    project,
                    "Report it: counts change with what they count.",
                ));
            }
        }
        self.check_keys_and_targets(&mut findings).await?;
        for (name, driver) in &self.drivers {
            let files = match driver.list() {
                Ok(files) => files,
                Err(why) => {
                    let what = format!("cannot be listed: {why}");
                    findings.push(Finding::new(
                        what,
                        name,
                        "Look at [block] folder: the disk, the mount.",
                    ));
                    continue;
                }
            };
            // Rows after files: what was made meanwhile has its row.
            let known: BTreeSet<String> = check::known(db, name).await?.into_iter().collect();
            for file in files
                .iter()
                .filter(|file| is_ours(file) && !known.contains(*file))
            {
                let what = format!("is a file in back end {name} that no volume has");
                findings.push(Finding::new(
                    what,
                    file,
                    "Remove it once it is clear that nobody needs it.",
                ));
            }
            let wanted = check::files(db, name).await?;
            let first = strange(driver, &wanted);
            // What is worked on may have been another file a moment ago: as it is now, too.
            let still = if first.is_empty() {
                Vec::new()
            } else {
                strange(driver, &check::files(db, name).await?)
            };
            for (id, what) in first.into_iter().filter(|one| still.contains(one)) {
                findings.push(Finding::new(
                    format!("{what} in back end {name}"),
                    id,
                    "Bring it back from a backup, or delete the volume.",
                ));
            }
        }
        Ok(findings)
    }
}

impl Block {
    async fn check_keys_and_targets(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        for id in self.closed().await? {
            let what = "has a key that does not open with `sealing_secret` of this machine";
            findings.push(Finding::new(what, id.as_str(), WRONG_SECRET));
        }
        self.check_targets(findings).await
    }

    /// Targets and attachments without each other. What is made and removed behind answers has a moment for that.
    async fn check_targets(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let first = self.strange_targets().await?;
        if first.is_empty() {
            return Ok(());
        }
        self.core.clock.sleep(LOOK_EVERY * 2).await;
        let still = self.strange_targets().await?;
        for (name, what) in first.into_iter().filter(|one| still.contains(one)) {
            let hint =
                "The worker of block storage makes and removes targets: does it run, and tgtd?";
            findings.push(Finding::new(what, name, hint));
        }
        Ok(())
    }

    async fn strange_targets(&self) -> Result<BTreeSet<(String, &'static str)>, Error> {
        let Some(targets) = &self.targets else {
            return Ok(BTreeSet::new());
        };
        let there = targets.there().await;
        let wanted = attachments::exported(&self.core.db).await?;
        let wanted: BTreeSet<String> = wanted.iter().map(|one| target_name(&one.id)).collect();
        let lost = there.iter().filter(|name| !wanted.contains(*name));
        let lost = lost.map(|name| (name.clone(), "is a target that no attachment has"));
        let missing = wanted.iter().filter(|name| !there.contains(name));
        let missing = missing.map(|name| {
            (
                name.clone(),
                "is the target of an attachment, and is not there",
            )
        });
        Ok(lost.chain(missing).collect())
    }
}

/// What has no file, or one that is written in another way than its row says.
fn strange(driver: &Driver, wanted: &[Wanted]) -> Vec<(String, String)> {
    let told = |one: &Wanted| {
        let Wanted { file, id, format } = one;
        let fits = Format::parse(format).is_some_and(|format| driver.fits(file, format));
        let what = if !driver.exists(file) {
            format!("has no file {file}")
        } else if !fits {
            format!("has a file {file} that is not {format}")
        } else {
            return None;
        };
        Some((id.clone(), what))
    };
    wanted.iter().filter_map(told).collect()
}

/// Somebody may keep other files there.
fn is_ours(file: &str) -> bool {
    let whole = file
        .strip_prefix("volume-")
        .or_else(|| file.strip_prefix("layer-"));
    let whole = whole.map(|whole| whole.strip_suffix(".restoring").unwrap_or(whole));
    whole.is_some_and(crate::model::volume::is_uuid)
}
