//! Images of servers' root disks: read here, and brought to the image service.
//!
//! It goes on beside the rest of the work on a server, which may be deleted meanwhile: what is wanted no longer is ended at
//! once. A new process first ends what one before it was reading, and then begins anew; whether an image has its data
//! already, the control plane finds out by itself and then wants it no longer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use nephos_peer::PeerError;
use nephos_peer::feed::Desired;
use nephos_runtime::{Shutdown, Task, spawn};
use nephos_types::feed::FeedItem;
use tokio::io::AsyncReadExt as _;
use tokio::sync::OnceCell;
use tracing::{info, warn};

use super::feed::Binding;
use crate::driver::{DriverError, Pipe};
use crate::model::snapshot::{KIND_SNAPSHOT, SnapshotSeen, SnapshotWish};
use crate::model::spec::ServerId;

/// What did not go is tried again after this long.
const AGAIN: Duration = Duration::from_secs(5);
/// What went wrong and may go right is tried so often.
const TRIES: u32 = 5;
/// A guest that is to be on and is not may still be starting for so long; then it has ended by itself.
const STARTED_WITHIN: Duration = Duration::from_secs(600);
/// Read and sent at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// What is under way.
#[derive(Default)]
pub(super) struct Snapshots {
    /// By server: one image of a server at a time.
    by_server: BTreeMap<String, UnderWay>,
    /// Set when nothing goes on any more that a process before this one began. Nothing is begun earlier.
    cleared: Arc<OnceCell<()>>,
    clearing: Option<Task>,
}

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
        if self.clearing.is_none() {
            let (cleared, binding) = (Arc::clone(&self.cleared), binding.clone());
            self.clearing = Some(spawn("compute.snapshot", async move {
                cleared.get_or_init(|| clear(&binding)).await;
            }));
        }
        let items = desired.items.values();
        let wanted: BTreeMap<&str, &FeedItem> = items
            .filter(|item| item.kind == KIND_SNAPSHOT && item.spec.is_some())
            .map(|item| (item.id.as_str(), &**item))
            .collect();
        for (server, one) in &self.by_server {
            let same = wanted.get(server.as_str());
            if same.is_none_or(|item| item.generation != one.generation) {
                one.stop.begin();
            }
        }
        self.by_server
            .retain(|server, one| wanted.contains_key(server.as_str()) || !one.task.is_finished());
        for (server, item) in wanted {
            let before = self.by_server.get(server);
            if before.is_some_and(|before| before.generation == item.generation) {
                continue;
            }
            self.begin(binding, item);
        }
    }

    fn begin(&mut self, binding: &Binding, item: &FeedItem) {
        let before = self.by_server.remove(&item.id).map(|before| before.task);
        let stop = Shutdown::new();
        let says = Says {
            binding: binding.clone(),
            server: ServerId::from(item.id.as_str()),
            generation: item.generation,
        };
        let spec = item.spec.clone().unwrap_or_default();
        let wish = serde_json::from_value::<SnapshotWish>(spec);
        let (until, cleared) = (stop.clone(), Arc::clone(&self.cleared));
        let task = spawn("compute.snapshot", async move {
            // Its file, and its job in the hypervisor, go first.
            if let Some(before) = before {
                before.join().await;
            }
            let wish = match wish {
                Ok(wish) => wish,
                Err(why) => {
                    let failed = says.unreadable(&why);
                    tokio::select! { () = until.wait() => {} () = says.tell(&failed) => {} }
                    return;
                }
            };
            let work = Work { says, wish };
            let run = async {
                cleared.get_or_init(|| clear(&work.says.binding)).await;
                work.run().await;
            };
            tokio::select! { () = until.wait() => {} () = run => {} }
            work.clean_up().await;
        });
        let under_way = UnderWay {
            generation: item.generation,
            stop,
            task,
        };
        self.by_server.insert(item.id.clone(), under_way);
    }
}

/// Ends what a process before this one was reading. While the hypervisor does not answer, nothing could begin either.
async fn clear(binding: &Binding) {
    let mut tries = 0;
    while let Err(why) = binding.agent.give_up_snapshots().await {
        if !matches!(why, DriverError::Unavailable(_)) {
            tries += 1;
        }
        warn!(host = binding.host, %why, "cannot end the reading of disks that an agent before this one began");
        if tries == TRIES {
            return;
        }
        binding.clock.sleep(AGAIN).await;
    }
}

/// Of which wish is spoken, and to whom.
struct Says {
    binding: Binding,
    server: ServerId,
    generation: i64,
}

/// One image.
struct Work {
    says: Says,
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

impl Says {
    /// A wish that this agent cannot read never comes true here.
    fn unreadable(&self, why: &serde_json::Error) -> SnapshotSeen {
        let host = &self.binding.host;
        warn!(server = %self.server, %why, "cannot read which image is wanted; is this agent older than the compute service?");
        SnapshotSeen::Failed {
            reason: format!(
                "Host {host} does not know what is asked of it: its agent may be too old."
            ),
        }
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
}

impl Work {
    async fn run(&self) {
        let Says {
            binding, server, ..
        } = &self.says;
        self.says.tell(&SnapshotSeen::Reading).await;
        let started_by = binding.clock.monotonic() + STARTED_WITHIN;
        let mut wish = self.wish.clone();
        let mut tries = 0;
        let mut length = None;
        loop {
            wish.on &= binding.clock.monotonic() < started_by;
            let why = match self.go_on(&wish, &mut length).await {
                Ok(()) => return self.says.tell(&SnapshotSeen::Uploaded).await,
                Err(Trouble::Passes(why)) => why,
                Err(Trouble::MayPass(why)) if tries < TRIES => {
                    tries += 1;
                    length = None;
                    why
                }
                Err(Trouble::MayPass(reason) | Trouble::Lasts(reason)) => {
                    return self.says.tell(&SnapshotSeen::Failed { reason }).await;
                }
            };
            info!(%server, image = %wish.image, why, "an image of a server does not come yet; trying again");
            binding.clock.sleep(AGAIN).await;
        }
    }

    /// Reads the disk unless that is done, and brings what was read.
    async fn go_on(&self, wish: &SnapshotWish, read: &mut Option<u64>) -> Result<(), Trouble> {
        let Says {
            binding, server, ..
        } = &self.says;
        let (agent, image) = (&binding.agent, &wish.image);
        let length = match *read {
            Some(length) => length,
            None => {
                info!(%server, %image, "reading the disk of a server, for an image of it");
                let length = agent.take_snapshot(server, wish).await?;
                *read = Some(length);
                self.says.tell(&SnapshotSeen::Uploading).await;
                length
            }
        };
        let pipe = agent.open_snapshot(server, wish).await?;
        let target = format!("/v2/images/{image}/file");
        let call = binding.peers.put("image", target).as_service();
        call.upload(length, pieces(pipe)).await?;
        info!(%server, %image, length, "an image of a server was brought");
        Ok(())
    }

    async fn clean_up(&self) {
        let Says {
            binding, server, ..
        } = &self.says;
        for _try in 0..TRIES {
            let agent = &binding.agent;
            let Err(why) = agent.remove_snapshot(server, &self.wish).await else {
                return;
            };
            warn!(%server, image = %self.wish.image, %why, "cannot remove what was read of a disk; trying again. It goes when the agent starts, at the latest");
            binding.clock.sleep(AGAIN).await;
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
