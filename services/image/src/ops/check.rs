//! The consistency check: rows of files against the files of every store.

use nephos_api::Check;
use nephos_blob::Folder;
use nephos_db::Error;
use nephos_types::Finding;

use crate::model::image::{BlobId, ImageId, STAGING};
use crate::store::{blobs, check};
use crate::{Image, Svc};

impl Check for Image {
    /// Rows against each other, and against the files of the stores of this machine.
    async fn check(&self) -> Result<Vec<Finding>, Error> {
        let mut findings = check::findings(&self.core.db).await?;
        for (name, store) in stores(self) {
            // Files first: one whose row goes meanwhile is looked up after it.
            match store.list().await {
                Ok(keys) => unknown(self, name, keys, &mut findings).await?,
                Err(why) => findings.push(Finding::new(
                    format!("cannot be listed: {why}"),
                    name,
                    "Look at [image] folder: the disk, the mount, its permissions.",
                )),
            }
        }
        missing(self, &mut findings).await?;
        Ok(findings)
    }
}

fn stores(service: &Svc) -> impl Iterator<Item = (&str, &Folder)> {
    let named = service.stores.iter();
    let named = named.map(|(name, store)| (name.as_str(), store));
    named.chain([(STAGING, &service.staging)])
}

/// Files that no row knows.
async fn unknown(
    service: &Svc,
    store: &str,
    keys: Vec<String>,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    for key in keys {
        // Only what looks like ours: somebody may keep other files there.
        let Some(id) = ImageId::parse(&key).map(|uuid| BlobId::from(uuid.0)) else {
            continue;
        };
        if blobs::get(&service.core.db, &id).await?.is_none() {
            findings.push(Finding::new(
                format!("is a file in store {store} that no image has"),
                key,
                "A start of the image service removes it.",
            ));
        }
    }
    Ok(())
}

/// Rows whose file is not there or not whole.
async fn missing(service: &Svc, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = check::kept(&service.core.db, &after).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.id.to_string();
        for blob in page {
            let Some(store) = service.store(&blob.store) else {
                findings.push(Finding::new(
                    format!("is in store {}, which is not configured", blob.store),
                    blob.image_id.as_str(),
                    "Name the store in [image] stores.",
                ));
                continue;
            };
            let wanted = blob.digests.as_ref().map(|digests| digests.size);
            let what = match store.size(blob.id.as_str()).await {
                Ok(found) if found == wanted => continue,
                Ok(Some(found)) => format!(
                    "has {found} bytes in store {} and should have {}",
                    blob.store,
                    wanted.unwrap_or_default()
                ),
                Ok(None) => format!("has no data in store {}", blob.store),
                Err(why) => format!("cannot be looked at in store {}: {why}", blob.store),
            };
            let hint = "Bring the file back from a backup, or delete the image.";
            findings.push(Finding::new(what, blob.image_id.as_str(), hint));
        }
    }
}
