//! Images of simulated guests: a sound qcow2 with nothing in it, another one for each.

use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt as _;

use super::{FakeDriver, Power, Verb};
use crate::driver::{Answer, DriverError, NOT_ON, Pipe};
use crate::model::snapshot::SnapshotWish;
use crate::model::spec::ServerId;

/// A header of version 2, padded to a sector; behind it stands whose disk it would be.
const HEADER: usize = 512;

/// What a guest would see of it.
const VIRTUAL_BYTES: u64 = 1 << 30;

/// The file's bytes.
fn file(server: &ServerId, wish: &SnapshotWish) -> Vec<u8> {
    let mut bytes = Vec::from(*b"QFI\xfb");
    bytes.extend(2_u32.to_be_bytes()); // version
    bytes.extend([0; 12]); // no backing file
    bytes.extend(16_u32.to_be_bytes()); // clusters of 64 KiB
    bytes.extend(VIRTUAL_BYTES.to_be_bytes());
    bytes.resize(HEADER, 0);
    bytes.extend(format!("simulated: {server} {} {}\n", wish.epoch, wish.image).into_bytes());
    bytes
}

impl FakeDriver {
    pub(super) fn take<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, u64> {
        self.call(Verb::Snapshot, self.latency().image, move |host| {
            let guest = host.guest(server)?;
            if !guest.disks.contains(&wish.epoch) {
                return Err(DriverError::Failed("the root disk is not there".to_owned()));
            }
            if wish.on && !matches!(guest.power, Power::On | Power::Paused) {
                return Err(DriverError::Unavailable(NOT_ON.to_owned()));
            }
            guest.snapshots.insert(wish.image.clone());
            Ok(u64::try_from(file(server, wish).len()).unwrap_or(u64::MAX))
        })
    }

    pub(super) fn open_taken<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, Pipe> {
        async move {
            let has = move |host: &mut super::Host| {
                let guest = host.guest(server)?;
                if guest.snapshots.contains(&wish.image) {
                    return Ok(());
                }
                Err(DriverError::Failed("the disk has not been read".to_owned()))
            };
            self.call(Verb::Snapshot, self.latency().look, has).await?;
            let bytes = file(server, wish);
            let (ours, mut theirs) = tokio::io::duplex(bytes.len().max(1));
            let written = theirs.write_all(&bytes).await;
            written.map_err(|why| DriverError::Failed(why.to_string()))?;
            let pipe: Pipe = Box::new(ours);
            Ok(pipe)
        }
        .boxed()
    }

    pub(super) fn drop_taken<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, ()> {
        self.call(Verb::Snapshot, self.latency().look, move |host| {
            if let Some(guest) = host.servers.get_mut(server) {
                guest.snapshots.remove(&wish.image);
            }
            Ok(())
        })
    }
}
