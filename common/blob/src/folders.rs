//! Many blobs as files: spread over folders by the first two digits of their keys, so that no folder grows too large.

use std::path::Path;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, stream};

use crate::{Error, Folder, Page};

/// `00` to `ff`.
const FOLDERS: usize = 256;

#[derive(Clone, Debug)]
pub(crate) struct Folders(Arc<Open>);

#[derive(Debug)]
struct Open {
    location: String,
    folders: [Folder; FOLDERS],
}

impl Folders {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let first = Folder::open(path.join("00"))?;
        let mut folders: [Folder; FOLDERS] = std::array::from_fn(|_| first.clone());
        for (number, folder) in folders.iter_mut().enumerate() {
            *folder = Folder::open(path.join(format!("{number:02x}")))?;
        }
        let location = path.display().to_string();
        Ok(Self(Arc::new(Open { location, folders })))
    }

    pub(crate) fn location(&self) -> String {
        self.0.location.clone()
    }

    /// Where a blob is. Keys that do not begin with two digits are in the first folder.
    pub(crate) fn of(&self, key: &str) -> &Folder {
        let digits = key.get(..2).unwrap_or_default();
        let number = usize::from_str_radix(digits, 16).unwrap_or(0);
        let [first, ..] = &self.0.folders;
        self.0.folders.get(number).unwrap_or(first)
    }

    pub(crate) async fn look(&self) -> Result<(), Error> {
        let [first, ..] = &self.0.folders;
        first.list().await.map(drop)
    }

    /// A page for each folder.
    pub(crate) fn pages(self) -> impl Stream<Item = Result<Page, Error>> + Send + 'static {
        stream::iter(0..FOLDERS).filter_map(move |number| {
            let folder = self.0.folders.get(number).cloned();
            async move {
                let keys = folder?.list().await;
                let up_to = match number + 1 {
                    FOLDERS => "g".to_owned(),
                    next => format!("{next:02x}"),
                };
                Some(keys.map(|keys| Page {
                    after: format!("{number:02x}"),
                    up_to,
                    keys,
                }))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use futures_util::TryStreamExt as _;

    use super::*;
    use crate::Store;

    #[tokio::test]
    async fn files_are_spread_and_every_key_is_in_the_page_of_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::folders(folder.path()).unwrap();
        let keys = ["00aa", "7fbb", "80cc", "ffdd"];
        for key in keys {
            let mut writer = store.write(key).await.unwrap();
            writer.write(Bytes::from_static(b"x")).await.unwrap();
            writer.flush().await.unwrap();
            writer.finish().await.unwrap();
        }
        assert!(folder.path().join("7f/7fbb").exists());
        let _unfinished = store.write("7fee").await.unwrap();
        let pages: Vec<Page> = store.pages().try_collect().await.unwrap();
        assert_eq!(pages.len(), FOLDERS);
        let mut seen = BTreeSet::new();
        for page in pages {
            for key in page.keys {
                assert!(page.after < key && key <= page.up_to, "{key}");
                seen.insert(key);
            }
        }
        let expected = keys.into_iter().chain(["7fee"]).map(str::to_owned);
        assert_eq!(seen, expected.collect());
        assert!(store.look().await.is_ok());
    }
}
