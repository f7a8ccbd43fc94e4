//! Every call that image makes to its siblings, as verbs. All of them can be repeated.

use nephos_peer::{PeerError, Peers};
use nephos_types::HostName;

use crate::model::image::ImageId;

/// The siblings, as image sees them.
#[derive(Debug)]
pub(crate) struct Siblings(pub Peers);

impl Siblings {
    /// Whether a server on this host is made of the image.
    ///
    /// # Errors
    /// When compute does not answer.
    pub(crate) async fn needs(&self, host: &HostName, image: &ImageId) -> Result<bool, PeerError> {
        let target = format!("/host/v1/hosts/{host}/images/{}", image.as_str());
        self.says(target).await
    }

    /// Whether this host brings the data of the image now, because it is being made of a server there.
    ///
    /// # Errors
    /// When compute does not answer.
    pub(crate) async fn brings(&self, host: &HostName, image: &ImageId) -> Result<bool, PeerError> {
        let target = format!("/host/v1/hosts/{host}/snapshots/{}", image.as_str());
        self.says(target).await
    }

    async fn says(&self, target: String) -> Result<bool, PeerError> {
        match self.0.get("compute", target).as_service().send().await {
            Ok(_) => Ok(true),
            Err(why) if why.is_not_found() => Ok(false),
            Err(why) => Err(why),
        }
    }
}
