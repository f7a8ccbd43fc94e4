//! Images of servers' root disks: read here, and brought to the image service.
//!
//! It goes on beside the rest of the work on a server, which may be deleted meanwhile: what is wanted no longer is ended at
//! once. A new process begins anew; whether an image has its data already, the control plane finds out by itself and
//! then wants it no longer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use nephos_peer::PeerError;
use nephos_peer::feed::Desired;
use nephos_runtime::{Shutdown, Task, spawn};
use nephos_types::feed::FeedItem;
use tokio::io::AsyncReadExt as _;
use tracing::{info, warn};

use super::feed::Binding;
use crate::driver::{DriverError, Pipe};
use crate::model::snapshot::{KIND_SNAPSHOT, SnapshotSeen, SnapshotWish};
use crate::model::spec::ServerId;

/// What did not go is tried again after this long.
const AGAIN: Duration = Duration::from_secs(5);
/// What went wrong and may go right is tried so often.
const TRIES: u32 = 5;
/// Read and sent at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// What is under way, by server: one image of a server at a time.
#[derive(Default)]
pub(super) struct Snapshots(BTreeMap<String, UnderWay>);

struct UnderWay {
    generation: i64,
    stop: Shutdown,
    task: Task,
}

impl Snapshots {
    /// Begins what is newly wanted, and ends what is wanted no longer.
    pub fn want(&mut self, binding: &Binding, desired: &Desired) {
        // A word from before this process started may be about what was done since.
        if !desired.complete {
            return;
        }
        let items = desired.items.values();
        let wanted: BTreeMap<&str, &FeedItem> = items
            .filter(|item| item.kind == KIND_SNAPSHOT && item.spec.is_some())
            .map(|item| (item.id.as_str(), &**item))
            .collect();
        for (server, one) in &self.0 {
            let same = wanted.get(server.as_str());
            if same.is_none_or(|item| item.generation != one.generation) {
                one.stop.begin();
            }
        }
        self.0
            .retain(|server, one| wanted.contains_key(server.as_str()) || !one.task.is_finished());
        for (server, item) in wanted {
            let before = self.0.get(server);
            if before.is_some_and(|before| before.generation == item.generation) {
                continue;
            }
            let spec = item.spec.clone().unwrap_or_default();
            match serde_json::from_value::<SnapshotWish>(spec) {
                Ok(wish) => self.begin(binding, item, wish),
                Err(why) => {
                    warn!(server, %why, "cannot read which image is wanted; is this agent older than the compute service?");
                }
            }
        }
    }

    fn begin(&mut self, binding: &Binding, item: &FeedItem, wish: SnapshotWish) {
        let before = self.0.remove(&item.id).map(|before| before.task);
        let stop = Shutdown::new();
        let work = Work {
            binding: binding.clone(),
            server: ServerId::from(item.id.as_str()),
            generation: item.generation,
            wish,
        };
        let until = stop.clone();
        let task = spawn("compute.snapshot", async move {
            // Its file, and its job in the hypervisor, go first.
            if let Some(before) = before {
                before.join().await;
            }
            tokio::select! { () = until.wait() => {} () = work.run() => {} }
            work.clean_up().await;
        });
        let under_way = UnderWay {
            generation: item.generation,
            stop,
            task,
        };
        self.0.insert(item.id.clone(), under_way);
    }
}

/// One image.
struct Work {
    binding: Binding,
    server: ServerId,
    generation: i64,
    wish: SnapshotWish,
}

/// Why an image does not come now.
enum Trouble {
    /// It passes, whenever that is.
    Passes(String),
    /// It may pass.
    MayPass(String),
    /// It does not.
    Lasts(String),
}

impl From<DriverError> for Trouble {
    fn from(why: DriverError) -> Self {
        match why {
            DriverError::Unavailable(why) => Self::Passes(why),
            DriverError::Failed(why) => Self::MayPass(why),
            DriverError::Refused(why) => Self::Lasts(why),
        }
    }
}

impl From<PeerError> for Trouble {
    fn from(why: PeerError) -> Self {
        match why.status {
            // 409: what an agent before this one had sent is not forgotten yet, or all of it has come; who wants the
            // image sees which.
            Some(401 | 409) => Self::Passes(why.to_string()),
            Some(404) => Self::Lasts("the image is gone".to_owned()),
            _other if why.is_transient() => Self::Passes(why.to_string()),
            _other => Self::Lasts(why.to_string()),
        }
    }
}

impl Work {
    async fn run(&self) {
        self.tell(&SnapshotSeen::Reading).await;
        let mut tries = 0;
        let mut length = None;
        loop {
            let why = match self.go_on(&mut length).await {
                Ok(()) => return self.tell(&SnapshotSeen::Uploaded).await,
                Err(Trouble::Passes(why)) => why,
                Err(Trouble::MayPass(why)) if tries < TRIES => {
                    tries += 1;
                    length = None;
                    why
                }
                Err(Trouble::MayPass(reason) | Trouble::Lasts(reason)) => {
                    return self.tell(&SnapshotSeen::Failed { reason }).await;
                }
            };
            info!(server = %self.server, image = %self.wish.image, why, "an image of a server does not come yet; trying again");
            self.binding.clock.sleep(AGAIN).await;
        }
    }

    /// Reads the disk unless that is done, and brings what was read.
    async fn go_on(&self, read: &mut Option<u64>) -> Result<(), Trouble> {
        let agent = &self.binding.agent;
        let length = match *read {
            Some(length) => length,
            None => {
                info!(server = %self.server, image = %self.wish.image, "reading the disk of a server, for an image of it");
                let length = agent.take_snapshot(&self.server, &self.wish).await?;
                *read = Some(length);
                self.tell(&SnapshotSeen::Uploading).await;
                length
            }
        };
        let pipe = agent.open_snapshot(&self.server, &self.wish).await?;
        let target = format!("/v2/images/{}/file", self.wish.image);
        let call = self.binding.peers.put("image", target).as_service();
        call.upload(length, pieces(pipe)).await?;
        info!(server = %self.server, image = %self.wish.image, length, "an image of a server was brought");
        Ok(())
    }

    /// Says how far it is, until somebody hears it.
    async fn tell(&self, seen: &SnapshotSeen) {
        let observed =
            self.binding
                .observed(KIND_SNAPSHOT, self.server.as_str(), self.generation, seen);
        let client = self.binding.client(PathBuf::new());
        while let Err(why) = client.report(std::slice::from_ref(&observed)).await {
            warn!(server = %self.server, %why, "cannot tell how far an image of a server is; telling again");
            self.binding.clock.sleep(AGAIN).await;
        }
    }

    async fn clean_up(&self) {
        for _try in 0..TRIES {
            let agent = &self.binding.agent;
            let Err(why) = agent.remove_snapshot(&self.server, &self.wish).await else {
                return;
            };
            warn!(server = %self.server, image = %self.wish.image, %why, "cannot remove what was read of a disk; trying again. It goes when the agent starts, at the latest");
            self.binding.clock.sleep(AGAIN).await;
        }
    }
}

/// The bytes, piece by piece.
fn pieces(pipe: Pipe) -> BoxStream<'static, Result<Bytes, std::io::Error>> {
    let next = |mut pipe: Pipe| async move {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        match pipe.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.freeze()), pipe)),
            Err(why) => Some((Err(why), pipe)),
        }
    };
    stream::unfold(pipe, next).boxed()
}

#[cfg(test)]
mod tests;
