//! The consistency check: rows against each other and against the files of the back ends of this machine.

use std::collections::BTreeSet;

use nephos_api::Check;
use nephos_db::Error;
use nephos_types::Finding;

use crate::Block;
use crate::store::check;

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
        let (noted, counted) = check::usage(db).await?;
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
            for (file, id) in check::files(db, name).await? {
                if !driver.exists(&file) {
                    let what = format!("has no file {file} in back end {name}");
                    findings.push(Finding::new(
                        what,
                        id,
                        "Bring it back from a backup, or delete the volume.",
                    ));
                }
            }
        }
        Ok(findings)
    }
}

/// Somebody may keep other files there.
fn is_ours(file: &str) -> bool {
    let whole = file
        .strip_prefix("volume-")
        .or_else(|| file.strip_prefix("layer-"));
    whole.is_some_and(crate::model::volume::is_uuid)
}
