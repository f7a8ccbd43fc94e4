//! What there is: objects, and uploads that are not complete.

use futures_util::{Stream, StreamExt as _, stream};

use super::{Bucket, PREFIX, fault};
use crate::{Error, Page};

/// Keys asked for at once: the most that S3 gives.
const PAGE: i32 = 1000;
/// Behind every key of a blob.
const END: &str = "~";

/// An upload that is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub name: String,
    pub id: String,
}

/// Where a list of uploads goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Marker {
    key: Option<String>,
    upload: Option<String>,
}

impl Bucket {
    /// Blobs, then unfinished ones, which may be in the middle of being written.
    pub(crate) fn pages(self) -> impl Stream<Item = Result<Page, Error>> + Send + 'static {
        let finished = {
            let bucket = self.clone();
            stream::try_unfold(Some((String::new(), None)), move |at| {
                let bucket = bucket.clone();
                async move {
                    let Some((after, token)) = at else {
                        return Ok(None);
                    };
                    let (keys, token) = bucket.objects_after(token, PAGE).await?;
                    let last = keys.last().cloned();
                    let up_to = match (&token, last) {
                        (Some(_), Some(last)) => last,
                        (Some(_), None) => after.clone(),
                        (None, _) => END.to_owned(),
                    };
                    let next = token.map(|token| (up_to.clone(), Some(token)));
                    Ok(Some((Page { after, up_to, keys }, next)))
                }
            })
        };
        let unfinished = self.uploads(PREFIX.to_owned()).map(|uploads| {
            let keys = uploads?
                .into_iter()
                .filter_map(|upload| Some(upload.name.strip_prefix(PREFIX)?.to_owned()));
            Ok(Page {
                keys: keys.collect(),
                ..Page::default()
            })
        });
        finished.chain(unfinished)
    }

    /// Keys of blobs, and how the list goes on.
    pub(super) async fn objects_after(
        &self,
        token: Option<String>,
        limit: i32,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let list = self.client.list_objects_v2().bucket(&*self.name);
        let list = list
            .prefix(PREFIX)
            .max_keys(limit)
            .set_continuation_token(token);
        let listed = list.send().await;
        let listed = listed.map_err(|why| fault::of(self.doing("list"), &why))?;
        let more = listed.is_truncated == Some(true);
        let token = listed.next_continuation_token.filter(|_| more);
        let keys = listed.contents.unwrap_or_default().into_iter();
        let keys = keys.filter_map(|object| Some(object.key?.strip_prefix(PREFIX)?.to_owned()));
        Ok((keys.collect(), token))
    }

    /// Uploads whose names begin so.
    pub(super) fn uploads(
        self,
        prefix: String,
    ) -> impl Stream<Item = Result<Vec<Unfinished>, Error>> + Send + 'static {
        stream::try_unfold(Some(None), move |at: Option<Option<Marker>>| {
            let (bucket, prefix) = (self.clone(), prefix.clone());
            async move {
                let Some(marker) = at else {
                    return Ok(None);
                };
                let (uploads, next) = bucket.uploads_after(marker, &prefix, PAGE).await?;
                Ok(Some((uploads, next.map(Some))))
            }
        })
    }

    /// Some of them, and how the list goes on.
    pub(super) async fn uploads_after(
        &self,
        marker: Option<Marker>,
        prefix: &str,
        limit: i32,
    ) -> Result<(Vec<Unfinished>, Option<Marker>), Error> {
        let marker = marker.unwrap_or_default();
        let list = self.client.list_multipart_uploads().bucket(&*self.name);
        let list = list
            .prefix(prefix)
            .max_uploads(limit)
            .set_key_marker(marker.key)
            .set_upload_id_marker(marker.upload);
        let listed = list.send().await;
        let listed = listed.map_err(|why| fault::of(self.doing("list the uploads of"), &why))?;
        let more = listed.is_truncated == Some(true) && listed.next_key_marker.is_some();
        let next = more.then_some(Marker {
            key: listed.next_key_marker,
            upload: listed.next_upload_id_marker,
        });
        let uploads = listed.uploads.unwrap_or_default().into_iter();
        let uploads = uploads.filter_map(|upload| {
            Some(Unfinished {
                name: upload.key?,
                id: upload.upload_id?,
            })
        });
        Ok((uploads.collect(), next))
    }
}
