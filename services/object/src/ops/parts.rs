//! Objects that are uploaded in parts: begun, added to, made whole or given up, each in one transaction.

use std::collections::HashSet;

use md5::{Digest as _, Md5};
use nephos_db::{Kind, Tx};
use nephos_runtime::crash_point;

use super::publish::{Condition, Files, Next, Place, publish};
use super::write::WriteError;
use crate::Svc;
use crate::model::object::{self, ContainerId, Extent, Facts, Object, Part, PartsUpload, UploadId};
use crate::store::{accounts, containers, uploads};

/// For so long whoever asks again for what was done is told that it was.
const KEPT_SECS: i64 = 24 * 3600;
/// The least size of a part that is not the last, in bytes.
const MIN_PART_BYTES: i64 = 5 * 1024 * 1024;

impl Svc {
    /// Begins an upload. Its row refers to the container's, which is all that must hold.
    pub(crate) async fn begin_parts(&self, upload: &PartsUpload) -> Result<(), WriteError> {
        let mut tx = self.core.db.guarded().await?;
        match uploads::insert(&mut tx, upload).await {
            Ok(()) => Ok(tx.commit().await?),
            Err(why) if why.kind() == Kind::ForeignKey => Err(WriteError::NoContainer),
            Err(why) => Err(why.into()),
        }
    }

    /// A part is there; it replaces an earlier one of its number.
    pub(crate) async fn put_part(&self, id: &UploadId, part: &Part) -> Result<(), WriteError> {
        let attempt = || self.try_put_part(id, part);
        self.core.db.again(attempt).await?;
        self.nudge();
        Ok(())
    }

    async fn try_put_part(&self, id: &UploadId, part: &Part) -> Result<(), WriteError> {
        let mut tx = self.core.db.write().await?;
        let upload = uploads::hold(&mut tx, id)
            .await?
            .ok_or(WriteError::NoUpload)?;
        uploads::release_part(&mut tx, id, part.number).await?;
        if let Some(blob) = &part.blob
            && !crate::store::objects::keep_blob(&mut tx, blob, part.size).await?
        {
            return Err(WriteError::GivenUp);
        }
        uploads::insert_part(&mut tx, id, part).await?;
        if !self.has_room(&mut tx, &upload.container_id).await? {
            return Err(WriteError::Quota);
        }
        Ok(tx.commit().await?)
    }

    /// Whether what is stored and what waits in parts is within the quotas, as this transaction sees it: parts are
    /// counted when they become an object, but take room before.
    async fn has_room(&self, tx: &mut Tx, id: &ContainerId) -> Result<bool, WriteError> {
        let container = containers::hold_id(tx, id).await?;
        let container = container.ok_or(WriteError::NoContainer)?;
        let now = self.core.clock.now();
        let account = accounts::hold(tx, &container.account, now).await?;
        let fits = |quota: Option<i64>, used: i64, waiting: i64| {
            quota.is_none_or(|quota| used.saturating_add(waiting) <= quota)
        };
        let of_container = uploads::waiting_in_container(tx, id).await?;
        let of_account = uploads::waiting_in_account(tx, &account.name).await?;
        Ok(fits(container.quota.bytes, container.bytes, of_container)
            && fits(account.quota.bytes, account.bytes, of_account))
    }

    /// Makes an object of the parts that are listed by number and tag, and together have this size if one is said; the
    /// others go.
    pub(crate) async fn complete_parts(
        &self,
        id: &UploadId,
        wanted: (&[(i64, String)], Option<i64>),
        condition: &Condition,
    ) -> Result<Object, WriteError> {
        let attempt = || self.try_complete_parts(id, wanted, condition);
        let object = self.core.db.again(attempt).await?;
        crash_point!("parts.complete");
        self.nudge();
        Ok(object)
    }

    async fn try_complete_parts(
        &self,
        id: &UploadId,
        (wanted, expected): (&[(i64, String)], Option<i64>),
        condition: &Condition,
    ) -> Result<Object, WriteError> {
        let now = self.core.clock.now();
        let mut tx = self.core.db.write().await?;
        let upload = uploads::hold(&mut tx, id)
            .await?
            .ok_or(WriteError::NoUpload)?;
        let there = uploads::all_parts(&mut tx, id).await?;
        let parts = chosen(wanted, &there)?;
        let (size, etag) = whole(&parts);
        if expected.is_some_and(|expected| expected != size) {
            return Err(WriteError::WholeSize(size));
        }
        let facts = Facts {
            kind: object::Kind::Plain,
            size,
            stored: size,
            etag,
            content_type: upload.content_type,
            meta: upload.meta,
            delete_at: None,
        };
        let extent = |part: &&Part| {
            let blob = part.blob.clone()?;
            Some(Extent {
                blob,
                size: part.size,
            })
        };
        let next = Next {
            facts,
            files: Files::Taken(parts.iter().filter_map(extent).collect()),
            segments: None,
        };
        let place = Place {
            container: upload.container_id,
            name: upload.name,
            condition: condition.clone(),
        };
        // Before the object is counted: parts that wait count too.
        let taken: HashSet<i64> = parts.iter().map(|part| part.number).collect();
        for part in &there {
            if taken.contains(&part.number) {
                uploads::forget_part(&mut tx, id, part.number).await?;
            } else {
                uploads::release_part(&mut tx, id, part.number).await?;
            }
        }
        let object = publish(&mut tx, now, &place, next).await?;
        uploads::finish(&mut tx, id, (&object.etag, now)).await?;
        uploads::remove(&mut tx, id).await?;
        crash_point!("parts.before_commit");
        tx.commit().await?;
        Ok(object)
    }

    /// Gives an upload up.
    pub(crate) async fn abort_parts(&self, id: &UploadId) -> Result<(), WriteError> {
        let attempt = || async {
            let mut tx = self.core.db.write().await?;
            uploads::hold(&mut tx, id)
                .await?
                .ok_or(WriteError::NoUpload)?;
            give_up(&mut tx, id).await?;
            Ok(tx.commit().await?)
        };
        self.core.db.again::<(), WriteError, _, _>(attempt).await?;
        self.nudge();
        Ok(())
    }
}

/// Forgets uploads that became objects long ago.
pub(super) async fn forget(service: &Svc) -> Result<(), nephos_db::Error> {
    let db = &service.core.db;
    let before = service.core.clock.now().plus_secs(-KEPT_SECS);
    if !uploads::are_finished(db, before).await? {
        return Ok(());
    }
    let forget = || async {
        let mut tx = db.write().await?;
        uploads::forget_finished(&mut tx, before).await?;
        tx.commit().await
    };
    db.again(forget).await
}

/// Gives up all uploads into a container that is to be removed.
pub(super) async fn give_up_all(
    tx: &mut Tx,
    container: &ContainerId,
) -> Result<(), nephos_db::Error> {
    for id in uploads::of_container(tx, container).await? {
        give_up(tx, &UploadId(id)).await?;
    }
    Ok(())
}

async fn give_up(tx: &mut Tx, id: &UploadId) -> Result<(), nephos_db::Error> {
    for part in uploads::all_parts(tx, id).await? {
        uploads::release_part(tx, id, part.number).await?;
    }
    uploads::remove(tx, id).await
}

/// The parts that are wanted, if they are there, in order, and large enough.
fn chosen<'a>(wanted: &[(i64, String)], there: &'a [Part]) -> Result<Vec<&'a Part>, WriteError> {
    let mut parts: Vec<&Part> = Vec::new();
    for (number, etag) in wanted {
        if parts.last().is_some_and(|last| last.number >= *number) {
            return Err(WriteError::PartOrder);
        }
        let part = there
            .iter()
            .find(|part| part.number == *number && part.etag == *etag);
        parts.push(part.ok_or(WriteError::Part(*number))?);
    }
    let Some((_last, others)) = parts.split_last() else {
        return Err(WriteError::Part(1));
    };
    match others.iter().find(|part| part.size < MIN_PART_BYTES) {
        Some(small) => Err(WriteError::PartSize(small.number)),
        None => Ok(parts),
    }
}

/// Size and tag of an object of these parts, as S3 computes it.
fn whole(parts: &[&Part]) -> (i64, String) {
    let size = parts.iter().map(|part| part.size).sum();
    (size, tag_of(parts.iter().map(|part| part.etag.as_str())))
}

/// The tag of an object of parts with these tags.
pub(crate) fn tag_of<'a>(tags: impl Iterator<Item = &'a str>) -> String {
    let (mut hash, mut count) = (Md5::new(), 0);
    for tag in tags {
        hash.update(hex::decode(tag).unwrap_or_default());
        count += 1;
    }
    format!("{}-{count}", hex::encode(hash.finalize()))
}
