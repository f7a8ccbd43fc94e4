//! What a reader gets: the files of an object, or of the segments that a manifest means.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use nephos_blob::Chunks;
use nephos_db::Db;

use super::access::Access;
use super::hold::Hold;
use crate::Svc;
use crate::model::listing::Bounds;
use crate::model::manifest::{self, MAX_DEPTH, MAX_PIECES};
use crate::model::names;
use crate::model::object::{BlobId, Container, ContainerId, Kind, Object, ObjectId};
use crate::model::range::{Wanted, wanted};
use crate::store::{containers, objects};

/// An object that is replaced again and again is looked up so often before its reader gives up.
const TRIES: usize = 5;
/// Objects of a dynamic manifest that are looked at at a time.
const PAGE: usize = 1000;

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the segment {0} is not what the manifest says, or not there")]
    Segment(String),
    #[error("there are too many segments, or manifests within manifests")]
    TooMany,
    #[error("the object was replaced meanwhile")]
    Replaced,
    #[error(transparent)]
    Blob(#[from] nephos_blob::Error),
    #[error(transparent)]
    Db(#[from] nephos_db::Error),
}

/// What `attempt` comes to, which looks an object up in `db` and then at its files: again, when it was replaced in
/// between.
pub(crate) async fn steady<T, F>(db: &Db, attempt: impl Fn() -> F) -> Result<T, ReadError>
where
    F: Future<Output = Result<T, ReadError>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt().await {
            Err(ReadError::Replaced | ReadError::Blob(nephos_blob::Error::Missing { .. }))
                if tries < TRIES =>
            {
                db.settle().await;
            }
            done => return done,
        }
    }
}

/// Some bytes of a file, whose it was found to be, and where in the content they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub object: ObjectId,
    pub blob: BlobId,
    range: Range<u64>,
    at: u64,
}

impl Piece {
    fn length(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// What an object is for a reader. Where nobody wants to read, there may be no pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub size: u64,
    pub etag: String,
    pub pieces: Vec<Piece>,
}

/// Finds out what objects mean, in a caller's name: segments are read by the same rights.
pub(crate) struct Reader<'a> {
    service: &'a Svc,
    access: &'a Access,
    containers: HashMap<(String, String), Option<Container>>,
    /// Segments that were looked up, and what those of them are that are manifests themselves: one that is listed a
    /// thousand times is looked at once.
    segments: HashMap<(ContainerId, String), Option<Object>>,
    manifests: HashMap<ObjectId, Content>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(service: &'a Svc, access: &'a Access) -> Self {
        Self {
            service,
            access,
            containers: HashMap::new(),
            segments: HashMap::new(),
            manifests: HashMap::new(),
        }
    }

    /// The content of an object of `account`, of which this `Range` is wanted: segments of a static large object that are
    /// elsewhere may be missing.
    pub(crate) async fn content(
        &mut self,
        account: &str,
        object: &Object,
        range: Option<&str>,
    ) -> Result<Content, ReadError> {
        let size = u64::try_from(object.size).unwrap_or(0);
        let parts = match wanted(range, size) {
            Wanted::Parts(parts) => Some(parts),
            Wanted::All | Wanted::Nothing => None,
        };
        self.below(account, object, (0, parts.as_deref())).await
    }

    fn below<'s>(
        &'s mut self,
        account: &'s str,
        object: &'s Object,
        (depth, parts): (usize, Option<&'s [Range<u64>]>),
    ) -> BoxFuture<'s, Result<Content, ReadError>> {
        async move {
            if depth > MAX_DEPTH {
                return Err(ReadError::TooMany);
            }
            match object.kind {
                Kind::Plain => self.plain(object).await,
                Kind::Static => self.listed(account, object, (depth, parts)).await,
                Kind::Dynamic => self.found(account, object, depth).await,
            }
        }
        .boxed()
    }

    async fn plain(&self, object: &Object) -> Result<Content, ReadError> {
        let extents = objects::extents(&self.service.core.db, &object.id).await?;
        // Row and files are two looks; in between the object may have been replaced.
        if extents.iter().map(|extent| extent.size).sum::<i64>() != object.size {
            return Err(ReadError::Replaced);
        }
        let mut at = 0;
        let piece = |extent: crate::model::object::Extent| {
            let length = u64::try_from(extent.size).unwrap_or(0);
            at += length;
            Piece {
                object: object.id.clone(),
                blob: extent.blob,
                range: 0..length,
                at: at - length,
            }
        };
        Ok(Content {
            size: u64::try_from(object.size).unwrap_or(0),
            etag: object.etag.clone(),
            pieces: extents.into_iter().map(piece).collect(),
        })
    }

    async fn listed(
        &mut self,
        account: &str,
        object: &Object,
        (depth, parts): (usize, Option<&[Range<u64>]>),
    ) -> Result<Content, ReadError> {
        let db = &self.service.core.db;
        let mut whole = Content {
            etag: object.etag.clone(),
            ..Content::default()
        };
        for segment in objects::segments(db, &object.id).await? {
            let span = segment.span();
            let here = parts.map(|parts| wanted_of(parts, whole.size, &span));
            if here.as_ref().is_some_and(Vec::is_empty) {
                whole.size += span.end.saturating_sub(span.start);
                continue;
            }
            let missing = || ReadError::Segment(segment.name.clone());
            let (container, name) = names::split_path(&segment.name).ok_or_else(missing)?;
            let container = self
                .container(account, container)
                .await?
                .ok_or_else(missing)?;
            let now = self.service.core.clock.now();
            let key = (container.id.clone(), name.to_owned());
            let found = match self.segments.get(&key) {
                Some(known) => known.clone(),
                None => {
                    let found = objects::get(db, &container.id, name).await?;
                    self.segments.insert(key, found.clone());
                    found
                }
            };
            let found = found.filter(|found| {
                !found.expired(now) && found.etag == segment.hash && found.size == segment.bytes
            });
            let part = found.ok_or_else(missing)?;
            let content = match self.manifests.get(&part.id) {
                Some(known) => known.clone(),
                None => {
                    let all = 0..u64::try_from(part.size).unwrap_or(0);
                    let parts = here.as_deref().filter(|parts| **parts != [all.clone()]);
                    let content = self.below(account, &part, (depth + 1, parts)).await?;
                    // Of one that is wanted in part, another part may be the next time.
                    if parts.is_none() || part.kind == Kind::Plain {
                        self.manifests.insert(part.id, content.clone());
                    }
                    content
                }
            };
            whole.append(content.within(span))?;
        }
        // The list is gone with the object that it was of.
        if u64::try_from(object.size) != Ok(whole.size) {
            return Err(ReadError::Replaced);
        }
        Ok(whole)
    }

    async fn found(
        &mut self,
        account: &str,
        object: &Object,
        depth: usize,
    ) -> Result<Content, ReadError> {
        let path = object.meta.get("x-object-manifest").unwrap_or_default();
        let path = percent_encoding::percent_decode_str(path)
            .decode_utf8_lossy()
            .into_owned();
        let nothing = || ReadError::Segment(path.clone());
        let (container, prefix) = names::split_path(&path).ok_or_else(nothing)?;
        let Some(container) = self.container(account, container).await? else {
            return Ok(Content {
                etag: super::publish::EMPTY.to_owned(),
                ..Content::default()
            });
        };
        let mut bounds = Bounds {
            low: Some((prefix.to_owned(), false)),
            high: names::behind(prefix),
        };
        let (mut whole, mut etags) = (Content::default(), Vec::new());
        loop {
            let page = objects::page(&self.service.core.db, &container.id, &bounds, PAGE).await?;
            let last = page.len() < PAGE;
            let now = self.service.core.clock.now();
            for part in page {
                bounds.low = Some((part.name.clone(), true));
                if part.expired(now) {
                    continue;
                }
                // A dynamic manifest among the segments stands for itself.
                let content = if part.kind == Kind::Dynamic {
                    self.plain(&part).await?
                } else {
                    self.below(account, &part, (depth + 1, None)).await?
                };
                etags.push(part.facts.etag);
                // Those without bytes have no pieces.
                if etags.len() > MAX_PIECES {
                    return Err(ReadError::TooMany);
                }
                whole.append(content)?;
            }
            if last {
                break;
            }
        }
        whole.etag = manifest::etag(etags.iter().map(|etag| (etag.as_str(), None)));
        Ok(whole)
    }

    /// A container of segments, if it is there and may be read.
    pub(crate) async fn container(
        &mut self,
        account: &str,
        name: &str,
    ) -> Result<Option<Container>, nephos_db::Error> {
        let key = (account.to_owned(), name.to_owned());
        if let Some(known) = self.containers.get(&key) {
            return Ok(known.clone());
        }
        let found = containers::get(&self.service.core.db, account, name).await?;
        let found = found.filter(|found| self.access.reads(found, false));
        self.containers.insert(key, found.clone());
        Ok(found)
    }
}

/// The parts of a segment that are in `parts` of the whole, where its `span` begins at `at`.
fn wanted_of(parts: &[Range<u64>], at: u64, span: &Range<u64>) -> Vec<Range<u64>> {
    let length = span.end.saturating_sub(span.start);
    let of_it = |part: &Range<u64>| {
        let (from, until) = (part.start.max(at), part.end.min(at + length));
        (from < until).then(|| span.start + (from - at)..span.start + (until - at))
    };
    parts.iter().filter_map(of_it).collect()
}

impl Content {
    fn append(&mut self, part: Self) -> Result<(), ReadError> {
        let before = self.size;
        let moved = |piece: Piece| Piece {
            at: before + piece.at,
            ..piece
        };
        self.size += part.size;
        self.pieces.extend(part.pieces.into_iter().map(moved));
        if self.pieces.len() > MAX_PIECES {
            return Err(ReadError::TooMany);
        }
        Ok(())
    }

    /// Of how many parts it was uploaded, as its tag says.
    pub(crate) fn parts(&self) -> Option<usize> {
        let (_, count) = self.etag.split_once('-')?;
        let count = count.parse().ok()?;
        // A part without bytes has no file.
        (count >= self.pieces.len()).then_some(count)
    }

    /// Where the bytes of its part number `at`, from 0, are.
    pub(crate) fn part(&self, at: usize) -> Range<u64> {
        let length = |piece: &Piece| piece.range.end - piece.range.start;
        let start = self.pieces.iter().take(at).map(length).sum();
        start..start + self.pieces.get(at).map_or(0, length)
    }

    /// The part of it in `range`.
    pub(crate) fn within(&self, range: Range<u64>) -> Self {
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            let (at, length) = (piece.at, piece.length());
            let (from, until) = (range.start.max(at), range.end.min(at + length));
            if from < until {
                pieces.push(Piece {
                    object: piece.object.clone(),
                    blob: piece.blob.clone(),
                    range: piece.range.start + (from - at)..piece.range.start + (until - at),
                    at: from - range.start,
                });
            }
        }
        Self {
            size: range.end.min(self.size).saturating_sub(range.start),
            etag: self.etag.clone(),
            pieces,
        }
    }

    /// Its bytes. The first file is opened at once; the others when it is their turn, and until then they are held.
    pub(crate) async fn stream(self, service: &Arc<Svc>) -> Result<Chunks, ReadError> {
        let hold = match self.pieces.as_slice() {
            [] => return Ok(stream::empty().boxed()),
            [only] if service.store.serves_to_the_end(only.length()) => None,
            several => Some(
                Hold::of(service, several)
                    .await?
                    .ok_or(ReadError::Replaced)?,
            ),
        };
        let mut pieces = self.pieces.into_iter();
        let Some(first) = pieces.next() else {
            return Ok(stream::empty().boxed());
        };
        let store = &service.store;
        let first = store.read(first.blob.as_str(), first.range).await?;
        let Some(hold) = hold else {
            return Ok(first);
        };
        let service = Arc::clone(service);
        let rest = stream::iter(pieces).then(move |piece| {
            let service = Arc::clone(&service);
            async move {
                let opened = service.store.read(piece.blob.as_str(), piece.range);
                opened.await.map_err(std::io::Error::other)
            }
        });
        Ok(hold.over(first.chain(rest.try_flatten()).boxed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_several_files() {
        let piece = |name: &str, range: Range<u64>, at: u64| Piece {
            object: ObjectId::from("o"),
            blob: BlobId::from(name),
            range,
            at,
        };
        let whole = Content {
            size: 12,
            etag: String::new(),
            pieces: vec![
                piece("a", 0..5, 0),
                piece("b", 2..4, 5),
                piece("c", 0..5, 7),
            ],
        };
        let part = whole.within(3..8);
        assert_eq!(part.size, 5);
        assert_eq!(
            part.pieces,
            [
                piece("a", 3..5, 0),
                piece("b", 2..4, 2),
                piece("c", 0..1, 4)
            ]
        );
        assert_eq!(whole.within(0..12).pieces, whole.pieces);
        assert!(whole.within(12..20).pieces.is_empty());
        let mut twice = whole.clone();
        twice.append(whole.within(3..8)).unwrap();
        assert_eq!(
            twice.within(11..15).pieces,
            [
                piece("c", 4..5, 0),
                piece("a", 3..5, 1),
                piece("b", 2..3, 3)
            ]
        );
    }

    #[test]
    fn what_ranges_of_the_whole_are_of_a_segment() {
        let parts = [2..5, 7..20, 30..40];
        assert_eq!(wanted_of(&parts, 0, &(10..12)), []);
        assert_eq!(wanted_of(&parts, 4, &(10..15)), [10..11, 13..15]);
        assert_eq!(wanted_of(&parts, 9, &(0..5)), std::slice::from_ref(&(0..5)));
    }
}
