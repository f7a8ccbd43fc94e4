//! Accounts, containers, objects and the files under them.

use nephos_types::Timestamp;

use super::meta::Meta;

nephos_types::id! {
    /// A container.
    ContainerId
    /// One state of an object: overwritten, it is another.
    ObjectId
    /// A file of the store.
    BlobId
    /// An object that is being uploaded in parts.
    UploadId
}

/// How much there may be; nothing said, as much as there is room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    pub objects: Option<i64>,
    pub bytes: Option<i64>,
}

/// An account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub name: String,
    pub meta: Meta,
    pub containers: i64,
    pub objects: i64,
    pub bytes: i64,
    pub quota: Quota,
    pub created_at: Timestamp,
}

/// A container.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub id: ContainerId,
    pub account: String,
    pub name: String,
    /// What clients set, and under `x-container-read`, `x-container-write`, `x-versions-location` and
    /// `x-history-location` what the service acts upon.
    pub meta: Meta,
    pub objects: i64,
    pub bytes: i64,
    pub quota: Quota,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What an object's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its own.
    Plain,
    /// Those of the segments that its manifest lists.
    Static,
    /// Those of all objects whose names begin as its manifest says.
    Dynamic,
}

impl Kind {
    /// As the database has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Static => "static",
            Self::Dynamic => "dynamic",
        }
    }

    /// Reads the database's word.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Plain, Self::Static, Self::Dynamic]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// What an object is beside its place.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub kind: Kind,
    /// Bytes that a reader gets; of a dynamic manifest, those of its own body.
    pub size: i64,
    /// Bytes that it takes of its container's quota.
    pub stored: i64,
    pub etag: String,
    pub content_type: String,
    pub meta: Meta,
    pub delete_at: Option<Timestamp>,
}

/// An object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub id: ObjectId,
    pub container_id: ContainerId,
    pub name: String,
    pub facts: Facts,
    /// Since when these are its bytes.
    pub created_at: Timestamp,
    /// Since when this is its metadata: what HTTP calls its last change.
    pub updated_at: Timestamp,
}

impl std::ops::Deref for Object {
    type Target = Facts;
    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl Object {
    /// Whether its time is over.
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        self.facts.delete_at.is_some_and(|at| at <= now)
    }
}

/// A file and the bytes of it that belong to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub blob: BlobId,
    pub size: i64,
}

/// Where a container keeps older versions, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Versioning {
    /// A deletion brings the older one back.
    Stack(String),
    /// A deletion is a version itself.
    History(String),
}

impl Container {
    /// Where older versions go.
    pub(crate) fn versioning(&self) -> Option<Versioning> {
        let place = |name| self.meta.get(name).map(str::to_owned);
        place("x-history-location")
            .map(Versioning::History)
            .or_else(|| place("x-versions-location").map(Versioning::Stack))
    }
}

impl Versioning {
    /// The container of the older versions.
    pub(crate) fn location(&self) -> &str {
        match self {
            Self::Stack(name) | Self::History(name) => name,
        }
    }
}

/// An object that is being uploaded in parts.
#[derive(Clone, Debug)]
pub(crate) struct PartsUpload {
    pub id: UploadId,
    pub container_id: ContainerId,
    pub name: String,
    pub content_type: String,
    pub meta: Meta,
    pub created_at: Timestamp,
}

/// A part that is there. An empty one has no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub number: i64,
    pub blob: Option<BlobId>,
    pub size: i64,
    pub etag: String,
    pub created_at: Timestamp,
}
