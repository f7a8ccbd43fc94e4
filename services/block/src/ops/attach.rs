//! Targets over the network: what attachments want is compared with what is there, and the difference is made.

use std::time::Duration;

use nephos_db::Error;
use tracing::warn;

use crate::model::attachment::{Attachment, AttachmentId, Export, target_name};
use crate::model::volume::VolumeId;
use crate::store::{attachments, volumes};
use crate::{Block, Target};

/// A request waits so long for its target.
const WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Makes and removes targets until what is there is what is wanted.
pub(crate) async fn sync(service: &Block) -> Result<(), Error> {
    let Some(targets) = &service.targets else {
        return Ok(());
    };
    let wanted = attachments::exported(&service.core.db).await?;
    if wanted.is_empty() && !service.targets_used() {
        // A daemon of the process before may offer what was given up since.
        if !service.first_look_at_targets() || targets.there().await.is_empty() {
            return Ok(());
        }
    }
    service.use_targets();
    let there = match targets.list().await {
        Ok(there) => there,
        Err(why) => {
            warn!(%why, "targets cannot be looked at; trying again. `nephos doctor` says whether tgtd is there");
            return Ok(());
        }
    };
    let names: Vec<String> = wanted.iter().map(|one| target_name(&one.id)).collect();
    for found in there.iter().filter(|found| !names.contains(&found.name)) {
        if let Err(why) = targets.remove(found).await {
            warn!(%why, target = found.name, "a target cannot be removed");
        }
    }
    let mut there = there;
    for attachment in &wanted {
        let Some(target) = target(service, attachment).await? else {
            continue;
        };
        if let Err(why) = targets.ensure(&target, &there).await {
            warn!(%why, target = target.name, "a target cannot be made, so that hosts do not reach a volume; trying again. `nephos doctor` says whether tgtd is there");
            continue;
        }
        if let Ok(now) = targets.list().await {
            there = now;
        }
        if attachment.export == Export::Wanted {
            let noted = || async {
                let mut tx = service.core.db.write().await?;
                let moves = (Export::Wanted, Export::Made);
                attachments::move_export(&mut tx, &attachment.id, moves).await?;
                tx.commit().await
            };
            service.core.db.again(noted).await?;
        }
    }
    Ok(())
}

async fn target(service: &Block, attachment: &Attachment) -> Result<Option<Target>, Error> {
    let volume = volumes::find(
        &service.core.db,
        &VolumeId::from(attachment.volume_id.as_str()),
    )
    .await?;
    let Some((volume, (user, secret))) = volume.zip(attachment.chap.clone()) else {
        return Ok(None);
    };
    let driver = volume
        .backend
        .as_deref()
        .and_then(|name| service.driver(name));
    Ok(driver.map(|driver| Target {
        name: target_name(&attachment.id),
        path: driver.folder().join(volume.file()),
        readonly: attachment.mode == crate::model::attachment::Mode::ReadOnly,
        user,
        secret,
    }))
}

/// Waits until the target of an attachment is there; false when it does not come.
pub(crate) async fn made(service: &Block, id: &AttachmentId) -> Result<bool, Error> {
    service.house_now();
    let clock = &service.core.clock;
    let until = clock.monotonic() + WITHIN;
    while clock.monotonic() < until {
        match attachments::find(&service.core.db, id).await? {
            Some(one) if one.export == Export::Wanted => clock.sleep(LOOK_EVERY).await,
            Some(_made) => return Ok(true),
            None => return Ok(false),
        }
    }
    Ok(false)
}
