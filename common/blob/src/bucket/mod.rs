//! Blobs as objects of a bucket that any S3 serves: small ones by one request, larger ones in parts.
//!
//! Whoever opens a key sees all of it or nothing, for S3 shows an upload only when it is complete. What was begun and not
//! completed is listed with its key, like the part files of a folder.

mod connect;
mod fault;
mod list;
mod read;
mod write;

#[cfg(test)]
mod other;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::TryStreamExt as _;

use crate::{Error, check_key};

pub(crate) use read::serves_to_the_end;
pub use write::{BucketWriter, MAX_BYTES};

/// What stands before a blob's key in the bucket.
const PREFIX: &str = "objects/";
/// Written and removed by [`Bucket::prove`]; always the same, so a killed process leaves one at most.
const PROOF: &str = "nephos-may-write-here";
/// Holds the id of the database whose blobs these are.
const OWNER: &str = "nephos-belongs-to";
const MAX_OWNER_BYTES: u64 = 100;

/// Which bucket, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketSettings {
    /// `https://s3.example:7480`; none: Amazon's own of the region.
    pub endpoint: Option<String>,
    /// Its name. It is not made.
    pub bucket: String,
    /// The region that signatures name.
    pub region: String,
    /// Whether the bucket stands in the path rather than in the host's name.
    pub path_style: bool,
    /// The access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

impl fmt::Debug for BucketSettings {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("BucketSettings")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .field("region", &self.region)
            .field("path_style", &self.path_style)
            .finish_non_exhaustive()
    }
}

/// A bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    client: Client,
    name: Arc<str>,
    /// For operators.
    location: Arc<str>,
}

impl Bucket {
    pub(crate) fn open(settings: &BucketSettings) -> Result<Self, Error> {
        connect::check(settings)?;
        let https = settings
            .endpoint
            .as_ref()
            .is_none_or(|url| url.starts_with("https:"));
        let http = connect::http(https);
        let config = connect::config(settings, http);
        Ok(Self::over(settings, Client::from_conf(config.build())))
    }

    fn over(settings: &BucketSettings, client: Client) -> Self {
        let at = settings.endpoint.as_deref().unwrap_or("Amazon S3");
        Self {
            client,
            name: settings.bucket.as_str().into(),
            location: format!("the bucket {} at {at}", settings.bucket).into(),
        }
    }

    pub(crate) fn location(&self) -> String {
        self.location.to_string()
    }

    /// `write to the bucket b at http://…`: for errors.
    fn doing(&self, what: &str) -> String {
        format!("{what} {}", self.location)
    }

    /// Whether objects and unfinished uploads may be listed.
    pub(crate) async fn look(&self) -> Result<(), Error> {
        self.objects_after(None, 1).await?;
        self.uploads_after(None, PREFIX, 1).await?;
        Ok(())
    }

    /// That, and whether objects may be written, read and removed.
    pub(crate) async fn prove(&self) -> Result<(), Error> {
        self.look().await?;
        self.put(PROOF, Bytes::from_static(b"?")).await?;
        match self.open_range(PROOF, 0..1).await {
            Ok(body) => drop(body.collect().await),
            // Another process that starts has just removed it.
            Err(Error::Missing { .. }) => {}
            Err(why) => return Err(why),
        }
        self.delete(PROOF).await
    }

    /// Notes in it that it belongs to this id, unless it says that it is another's.
    pub(crate) async fn claim(&self, id: &str) -> Result<(), Error> {
        if self.owner().await?.is_none() {
            let id = Bytes::copy_from_slice(id.as_bytes());
            self.put(OWNER, id).await?;
        }
        // Another one may have done so at the same moment.
        let owner = self.owner().await?;
        match owner {
            Some(owner) if owner == id.as_bytes() => Ok(()),
            _another => Err(Error::Refused {
                what: self.doing("use"),
                why: "it belongs to another cloud, or to an earlier database of this one"
                    .to_owned(),
                hint: "give this cloud a bucket of its own; or, when its objects are only this database's, remove the object \
                       nephos-belongs-to from it",
            }),
        }
    }

    async fn owner(&self) -> Result<Option<Bytes>, Error> {
        let size = match self.size_of(OWNER).await? {
            None => return Ok(None),
            Some(0) => return Ok(Some(Bytes::new())),
            Some(size) => size.min(MAX_OWNER_BYTES),
        };
        match self.open_range(OWNER, 0..size).await {
            Ok(body) => {
                let body = body.collect().await;
                let body = body.map_err(|why| Error::Unavailable {
                    what: self.doing("read"),
                    why: why.to_string(),
                })?;
                Ok(Some(body.into_bytes()))
            }
            Err(Error::Missing { .. }) => Ok(None),
            Err(why) => Err(why),
        }
    }

    pub(crate) async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        self.size_of(&named(key)?).await
    }

    async fn size_of(&self, name: &str) -> Result<Option<u64>, Error> {
        let asked = self.client.head_object().bucket(&*self.name).key(name);
        match asked.send().await {
            Ok(head) => Ok(head
                .content_length
                .and_then(|size| u64::try_from(size).ok())),
            Err(why) if fault::is_missing(&why) => Ok(None),
            Err(why) => Err(fault::of(self.doing("look into"), &why)),
        }
    }

    /// What was begun first, then what was completed: an upload that completes in between is removed as well.
    pub(crate) async fn remove(&self, key: &str) -> Result<(), Error> {
        let name = named(key)?;
        let mut unfinished = Box::pin(self.clone().uploads(name.clone()));
        while let Some(page) = unfinished.try_next().await? {
            for upload in page.iter().filter(|upload| upload.name == name) {
                self.abort(&name, &upload.id).await?;
            }
        }
        self.delete(&name).await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        let put = self.client.put_object().bucket(&*self.name).key(name);
        let put = put.body(ByteStream::from(bytes)).send().await;
        put.map_err(|why| fault::of(self.doing("write to"), &why))?;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let deleted = self.client.delete_object().bucket(&*self.name).key(name);
        match deleted.send().await {
            Ok(_) => Ok(()),
            Err(why) if fault::is_missing(&why) => Ok(()),
            Err(why) => Err(fault::of(self.doing("delete from"), &why)),
        }
    }

    async fn abort(&self, name: &str, upload: &str) -> Result<(), Error> {
        let abort = self.client.abort_multipart_upload().bucket(&*self.name);
        match abort.key(name).upload_id(upload).send().await {
            Ok(_) => Ok(()),
            Err(why) if fault::is_missing(&why) => Ok(()),
            Err(why) => Err(fault::of(self.doing("give up an upload to"), &why)),
        }
    }
}

/// A blob's name in the bucket.
fn named(key: &str) -> Result<String, Error> {
    check_key(key)?;
    Ok(format!("{PREFIX}{key}"))
}
