//! A guest that comes here: made ready for, let in, let run.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nephos_runtime::{Clock, ids};
use tokio::net::UnixStream;
use tracing::warn;

use super::{ROOT, Sockets, Way, Word, blocking, copy, migration, noted, odd, read_note};
use crate::driver::DriverError;
use crate::driver::libvirt::disks::publish;
use crate::driver::libvirt::tunnel::{self, Coming, Stream, What};
use crate::driver::libvirt::{Shared, child, domain_xml, layout, migrate, volumes};
use crate::model::spec::ServerSpec;

/// A disk whose flavor says nothing of its size is no larger.
const LARGEST_DISK: u64 = 16 << 40;
/// A guest comes in no more streams at a time.
const STREAMS: usize = 16;

/// A guest that comes here.
pub(super) struct Arrival {
    pub(super) shared: Arc<Shared>,
    pub(super) spec: ServerSpec,
    pub(super) clock: Clock,
    pub(super) sockets: Sockets,
    pub(super) way: Arc<Way>,
}

impl Arrival {
    /// Goes the whole way.
    ///
    /// # Errors
    /// Why it did not get here, for people.
    pub(super) async fn come(self, mut coming: Coming) -> Result<(), String> {
        let first = async { coming.recv().await.ok_or_else(|| "nobody came".to_owned()) };
        let (what, mut words) = self.way.unless_given_up(first).await?;
        if what != What::Words {
            return Err("the other host does not say which guest comes".to_owned());
        }
        let talk = self.talk(&mut words);
        let done = tokio::select! {
            done = talk => done,
            () = self.relay(&mut coming) => Err("the door was closed".to_owned()),
        };
        if let Err(why) = &done {
            let why = why.clone();
            let _it_may_be_gone = tunnel::say(&mut words, &Word::Failed { why }).await;
        }
        done
    }

    /// Hands what comes on to QEMU, once it listens.
    async fn relay(&self, coming: &mut Coming) {
        let mut streams = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = streams.next(), if !streams.is_empty() => {}
                came = coming.recv() => {
                    let Some((what, stream)) = came else { return };
                    // QEMU opens one for memory and a few for each disk.
                    if streams.len() >= STREAMS {
                        continue;
                    }
                    let path = match what {
                        What::Memory => self.sockets.memory(),
                        What::Disks => self.sockets.disks(),
                        What::Words => continue,
                    };
                    streams.push(async move {
                        if let Ok(qemu) = UnixStream::connect(&path).await {
                            copy(stream, qemu).await;
                        }
                    });
                }
            }
        }
    }

    async fn talk(&self, words: &mut Stream) -> Result<(), String> {
        let (definition, note) = match self.way.unless_given_up(tunnel::hear(words)).await? {
            Word::Begin { definition, note } => (definition, read_note(&note)?),
            other => return Err(odd(other)),
        };
        let adopted = self.make_ready(&definition, &note).await?;
        let way = migration(&self.spec, &self.sockets);
        let shared = Arc::clone(&self.shared);
        let link = blocking(move || shared.link.apart().map_err(|why| why.to_string())).await?;
        let link = Arc::new(link);
        let (connect, plan) = (Arc::clone(&link), way.clone());
        let keys = self.keys().await?;
        let server = self.spec.server_id.clone();
        let prepared = blocking(move || {
            let connect = connect.connect();
            // QEMU opens the volumes now, and waits with them for the guest.
            let mut prepared = Err("it was not tried".to_owned());
            let tried = volumes::with_keys(connect, &server, &keys, || {
                prepared = migrate::prepare(connect, &plan, &adopted, &note);
                Ok(())
            });
            tried.map_err(|why| why.message().to_owned()).and(prepared)
        })
        .await?;
        let note = noted(&prepared);
        tunnel::say(words, &Word::Prepared { note }).await?;
        let (note, came) = match self.way.unless_given_up(tunnel::hear(words)).await? {
            Word::Performed { note, came } => (read_note(&note)?, came),
            other => return Err(odd(other)),
        };
        // From here on nothing is given up any more: the guest has left where it was.
        let connect = Arc::clone(&link);
        let finished =
            blocking(move || migrate::finish(connect.connect(), &way, &note, came)).await;
        let (runs, note) = finished.map(|(runs, note)| (runs && came, noted(&note)))?;
        self.shared.changed(&self.spec.server_id);
        let told = tunnel::say(words, &Word::Finished { note, runs }).await;
        match (runs, told) {
            (true, Ok(())) => Ok(()),
            (true, Err(why)) => {
                warn!(server = %self.spec.server_id, why, "a guest has come, and where it was does not know");
                Ok(())
            }
            (false, _) => Err("the guest could not be brought here".to_owned()),
        }
    }

    /// What decrypts the guest's volumes.
    async fn keys(&self) -> Result<volumes::Keys, String> {
        let locked = self.spec.volumes.iter();
        let locked = locked.filter(|volume| volume.connection.encrypted);
        let locked: Vec<String> = locked.map(|volume| volume.volume_id.clone()).collect();
        let keys = self.shared.keys(&self.spec.server_id, locked).await;
        keys.map_err(|why| why.to_string())
    }

    /// Makes everything that the guest needs here beside what it brings; gives what it is to be made of.
    async fn make_ready(&self, definition: &str, note: &[u8]) -> Result<String, String> {
        let words = |why: DriverError| why.to_string();
        let spec = &self.spec;
        let paths = || {
            self.shared
                .disks
                .paths(spec, &self.shared.images)
                .map_err(words)
        };
        let dir = self.shared.disks.make_dir(&spec.server_id).map_err(words)?;
        if spec.boot.image.is_some() {
            let sizes = layout::capacities(&String::from_utf8_lossy(note));
            let bytes = sizes.get(ROOT).copied().unwrap_or(0);
            let most = match spec.size.disk_gib {
                0 => LARGEST_DISK,
                gib => gib << 30,
            };
            if bytes == 0 || bytes > most {
                return Err(format!(
                    "the guest's disk has {bytes} bytes, and may have {most}"
                ));
            }
            let part = dir.join(format!("{}.part", ids::hex()));
            let made = child::create_empty(&part, bytes, &self.clock).await;
            made.map_err(words)?;
            publish(&part, &paths()?.disk).map_err(words)?;
        }
        let (shared, own) = (Arc::clone(&self.shared), self.spec.clone());
        let text = blocking(move || {
            shared.disks.ensure_config_drive(&own).map_err(words)?;
            shared.define(&own).map_err(words)?;
            let paths = shared.disks.paths(&own, &shared.images).map_err(words)?;
            Ok(domain_xml::definition(&own, &shared.host, &paths, ""))
        });
        layout::adopt(&text.await?, definition)
    }
}
