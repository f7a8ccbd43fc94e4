//! The moment in which an object comes to be, is replaced or goes: one transaction, with all counts.

use nephos_db::Tx;
use nephos_types::Timestamp;

use super::write::WriteError;
use crate::model::object::{
    Container, ContainerId, Extent, Facts, Kind, Object, ObjectId, Versioning,
};
use crate::model::versions;
use crate::store::{Delta, accounts, containers, objects};

/// Where an object is to be, and under which condition.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub container: ContainerId,
    pub name: String,
    pub condition: Condition,
}

/// What the place must look like.
#[derive(Clone, Debug, Default)]
pub(crate) enum Condition {
    /// Whatever is there is replaced.
    #[default]
    None,
    /// Nothing is there.
    Absent,
    /// The object with this tag is there.
    Match(String),
}

/// Where the bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Files {
    /// Just written.
    Written(Vec<Extent>),
    /// Another object's, which keeps them; its segments as well, when it is a static manifest that stays one.
    Shared(ObjectId),
    /// Those of parts, which are no more than the object's from now on.
    Taken(Vec<Extent>),
}

/// What replaces the object of a place, or comes to be there.
#[derive(Clone)]
pub(crate) struct Next<'a> {
    pub facts: Facts,
    pub files: Files,
    /// JSON, of a static manifest.
    pub segments: Option<&'a str>,
}

/// Puts an object in its place.
pub(crate) async fn publish(
    tx: &mut Tx,
    now: Timestamp,
    place: &Place,
    next: Next<'_>,
) -> Result<Object, WriteError> {
    let container = held(tx, &place.container).await?;
    let old = objects::find(tx, &container.id, &place.name).await?;
    let current = old.as_ref().filter(|old| !old.expired(now));
    place.condition.check(current)?;
    // Before the old object goes: it may be the source of its own copy.
    let (extents, segments) = claim(tx, next.files).await?;
    let mut delta = Delta {
        objects: 1,
        bytes: next.facts.stored,
    };
    if let Some(old) = &old {
        delta.objects -= 1;
        delta.bytes -= old.stored;
    }
    // Before an older version is counted where it goes: it may take the room that it had.
    count(tx, now, &container, delta).await?;
    if let Some(old) = &old {
        match container.versioning() {
            Some(versioning) if old.kind != Kind::Dynamic && current.is_some() => {
                archive(tx, now, (&container, &versioning), old).await?;
            }
            _not_kept => discard(tx, &old.id).await?,
        }
    }
    let object = Object {
        id: ObjectId::from(nephos_runtime::ids::uuid()),
        container_id: container.id.clone(),
        name: place.name.clone(),
        facts: next.facts,
        created_at: now,
        updated_at: now,
    };
    objects::insert(tx, &object).await?;
    for numbered in extents.iter().enumerate() {
        objects::insert_extent(tx, &object.id, numbered).await?;
    }
    if let Some(segments) = segments.as_deref().or(next.segments) {
        objects::insert_segments(tx, &object.id, segments).await?;
    }
    Ok(object)
}

/// Makes the files those of the object to be; with the segments that come with them, as JSON.
async fn claim(tx: &mut Tx, files: Files) -> Result<(Vec<Extent>, Option<String>), WriteError> {
    match files {
        Files::Written(extents) => {
            for extent in &extents {
                if !objects::keep_blob(tx, &extent.blob, extent.size).await? {
                    return Err(WriteError::GivenUp);
                }
            }
            Ok((extents, None))
        }
        Files::Shared(source) => {
            if !objects::is_there(tx, &source).await? {
                return Err(WriteError::SourceGone);
            }
            let extents = objects::extents_in(tx, &source).await?;
            for extent in &extents {
                if !objects::share_blob(tx, &extent.blob).await? {
                    return Err(WriteError::SourceGone);
                }
            }
            Ok((extents, objects::segments_in(tx, &source).await?))
        }
        Files::Taken(extents) => Ok((extents, None)),
    }
}

/// Removes the object of a name as the container's versioning has it. False: its time was over, so that nobody saw it any
/// more; it goes all the same.
pub(crate) async fn unpublish(
    tx: &mut Tx,
    now: Timestamp,
    (container, name): (&ContainerId, &str),
    condition: &Condition,
) -> Result<bool, WriteError> {
    let container = held(tx, container).await?;
    let found = objects::find(tx, &container.id, name).await?;
    let live = found.as_ref().is_some_and(|found| !found.expired(now));
    condition.check(found.as_ref().filter(|_| live))?;
    match container.versioning() {
        Some(versioning @ Versioning::History(_)) if live => {
            let Some(old) = &found else {
                return Err(WriteError::NoObject);
            };
            let delta = Delta {
                objects: -1,
                bytes: -old.stored,
            };
            count(tx, now, &container, delta).await?;
            archive(tx, now, (&container, &versioning), old).await?;
            mark_deleted(tx, now, (&container, versioning.location()), name).await?;
            return Ok(true);
        }
        Some(Versioning::Stack(location)) => {
            let archive = containers::hold(tx, (&container.account, &location)).await?;
            if let Some(archive) = archive
                && restore(
                    tx,
                    now,
                    (&container, &archive),
                    (name, found.as_ref().filter(|_| live)),
                )
                .await?
            {
                return Ok(true);
            }
        }
        Some(Versioning::History(_)) | None => {}
    }
    let old = found.ok_or(WriteError::NoObject)?;
    drop_counted(tx, now, &container, &old).await?;
    Ok(live)
}

/// Removes an object and what counts it.
pub(crate) async fn drop_counted(
    tx: &mut Tx,
    now: Timestamp,
    container: &Container,
    old: &Object,
) -> Result<(), WriteError> {
    discard(tx, &old.id).await?;
    let delta = Delta {
        objects: -1,
        bytes: -old.stored,
    };
    count(tx, now, container, delta).await
}

/// Lets the newest older version be current again. False: there is none, or the deletion itself was the last version.
async fn restore(
    tx: &mut Tx,
    now: Timestamp,
    (container, archive): (&Container, &Container),
    (name, current): (&str, Option<&Object>),
) -> Result<bool, WriteError> {
    let prefix = versions::prefix(name);
    let behind = crate::model::names::behind(&prefix).unwrap_or_default();
    let kept = objects::last_two(tx, &archive.id, (&prefix, &behind)).await?;
    let mut kept = kept.into_iter();
    let Some(newest) = kept.next() else {
        return Ok(false);
    };
    let deleted = |version: &Object| version.content_type == versions::DELETED;
    let back = if deleted(&newest) {
        if current.is_some() {
            return Ok(false);
        }
        drop_counted(tx, now, archive, &newest).await?;
        kept.next().filter(|older| !deleted(older))
    } else {
        Some(newest)
    };
    let Some(back) = back else {
        return Ok(true);
    };
    if let Some(current) = current {
        drop_counted(tx, now, container, current).await?;
    } else if let Some(expired) = objects::find(tx, &container.id, name).await? {
        drop_counted(tx, now, container, &expired).await?;
    }
    let bytes = back.stored;
    objects::move_to(tx, &back.id, (&container.id, name)).await?;
    count(
        tx,
        now,
        archive,
        Delta {
            objects: -1,
            bytes: -bytes,
        },
    )
    .await?;
    count(tx, now, container, Delta { objects: 1, bytes }).await?;
    Ok(true)
}

/// Makes what was current an older version.
async fn archive(
    tx: &mut Tx,
    now: Timestamp,
    (container, versioning): (&Container, &Versioning),
    old: &Object,
) -> Result<(), WriteError> {
    let place = (container.account.as_str(), versioning.location());
    let archive = containers::hold(tx, place)
        .await?
        .ok_or(WriteError::NoArchive)?;
    let name = versions::name(&old.name, old.created_at);
    if let Some(same) = objects::find(tx, &archive.id, &name).await? {
        drop_counted(tx, now, &archive, &same).await?;
    }
    objects::move_to(tx, &old.id, (&archive.id, &name)).await?;
    let delta = Delta {
        objects: 1,
        bytes: old.stored,
    };
    count(tx, now, &archive, delta).await
}

async fn mark_deleted(
    tx: &mut Tx,
    now: Timestamp,
    (container, location): (&Container, &str),
    name: &str,
) -> Result<(), WriteError> {
    let place = (container.account.as_str(), location);
    let archive = containers::hold(tx, place)
        .await?
        .ok_or(WriteError::NoArchive)?;
    let mark = Object {
        id: ObjectId::from(nephos_runtime::ids::uuid()),
        container_id: archive.id.clone(),
        name: versions::name(name, now),
        facts: Facts {
            kind: Kind::Plain,
            size: 0,
            stored: 0,
            etag: EMPTY.to_owned(),
            content_type: versions::DELETED.to_owned(),
            meta: crate::model::meta::Meta::default(),
            delete_at: None,
        },
        created_at: now,
        updated_at: now,
    };
    if objects::find(tx, &archive.id, &mark.name).await?.is_some() {
        return Ok(());
    }
    objects::insert(tx, &mark).await?;
    count(
        tx,
        now,
        &archive,
        Delta {
            objects: 1,
            bytes: 0,
        },
    )
    .await
}

/// MD5 of nothing.
pub(crate) const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e";

async fn held(tx: &mut Tx, id: &ContainerId) -> Result<Container, WriteError> {
    containers::hold_id(tx, id)
        .await?
        .ok_or(WriteError::NoContainer)
}

/// The object, its segments and its hold on its files go.
async fn discard(tx: &mut Tx, id: &ObjectId) -> Result<(), nephos_db::Error> {
    objects::release_blobs(tx, id).await?;
    objects::remove_extents(tx, id).await?;
    objects::remove(tx, id).await?;
    Ok(())
}

async fn count(
    tx: &mut Tx,
    now: Timestamp,
    container: &Container,
    delta: Delta,
) -> Result<(), WriteError> {
    let fits = containers::count(tx, &container.id, delta, now).await?
        && accounts::count(tx, &container.account, delta).await?;
    if fits { Ok(()) } else { Err(WriteError::Quota) }
}

impl Condition {
    /// Whether it holds.
    pub(crate) fn check(&self, current: Option<&Object>) -> Result<(), WriteError> {
        match self {
            Self::Absent if current.is_some() => Err(WriteError::Condition),
            Self::Match(_) if current.is_none() => Err(WriteError::NoObject),
            Self::Match(etag) if current.is_some_and(|current| current.etag != *etag) => {
                Err(WriteError::Condition)
            }
            Self::None | Self::Absent | Self::Match(_) => Ok(()),
        }
    }
}
