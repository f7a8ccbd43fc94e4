//! A guest that goes from here: brought to the other host, and let go when it runs there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nephos_runtime::Clock;
use tokio::net::UnixListener;
use virt::domain::{Domain, JobStats};

use super::{ENDS_WITHIN, Sockets, Way, Word, blocking, copy, migration, noted, odd, read_note};
use crate::driver::libvirt::link::{Open, find, unless_late};
use crate::driver::libvirt::tunnel::{self, Stream, What};
use crate::driver::libvirt::{Shared, migrate};
use crate::model::live::Carried;
use crate::model::spec::ServerSpec;

/// How often it is asked how far a guest is.
const PROGRESS: Duration = Duration::from_millis(500);

/// A guest that goes from here.
pub(super) struct Departure {
    pub(super) shared: Arc<Shared>,
    pub(super) spec: ServerSpec,
    pub(super) clock: Clock,
    pub(super) sockets: Sockets,
    pub(super) way: Arc<Way>,
    pub(super) address: String,
    pub(super) key: String,
}

impl Departure {
    /// Goes the whole way.
    ///
    /// # Errors
    /// Why it did not get there, for people.
    pub(super) async fn go(self) -> Result<(), String> {
        let mut words = self.way.unless_given_up(self.call(What::Words)).await?;
        let memory = listen(&self.sockets.memory())?;
        let disks = listen(&self.sockets.disks())?;
        let done = tokio::select! {
            done = self.talk(&mut words) => done,
            () = self.relay(&memory, What::Memory) => Err("the way was closed".to_owned()),
            () = self.relay(&disks, What::Disks) => Err("the way was closed".to_owned()),
        };
        if let Err(why) = &done {
            let why = why.clone();
            let _it_may_be_gone = tunnel::say(&mut words, &Word::Failed { why }).await;
        }
        done
    }

    async fn call(&self, what: What) -> Result<Stream, String> {
        let called = tunnel::call(&self.address, &self.key, &self.way.session, what);
        let within = self.clock.timeout(ENDS_WITHIN, called).await;
        within.unwrap_or_else(|| Err("the other host does not answer".to_owned()))
    }

    /// Hands what QEMU says on to the other host.
    async fn relay(&self, listener: &UnixListener, what: What) {
        let mut streams = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = streams.next(), if !streams.is_empty() => {}
                came = listener.accept() => {
                    let Ok((qemu, _)) = came else { return };
                    streams.push(async move {
                        if let Ok(stream) = self.call(what).await {
                            copy(stream, qemu).await;
                        }
                    });
                }
            }
        }
    }

    async fn talk(&self, words: &mut Stream) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let link = blocking(move || shared.link.apart().map_err(|why| why.to_string())).await?;
        let link = Arc::new(link);
        let way = migration(&self.spec, &self.sockets);
        let (definition, note) = self.on_guest(&link, &way, migrate::begin).await?;
        let note = noted(&note);
        tunnel::say(words, &Word::Begin { definition, note }).await?;
        let note = match self.way.unless_given_up(tunnel::hear(words)).await? {
            Word::Prepared { note } => read_note(&note)?,
            other => return Err(odd(other)),
        };
        let performed = self.perform(&link, &way, note).await;
        let (came, note) = match &performed {
            Ok(note) => (true, noted(note)),
            Err(_) => (false, String::new()),
        };
        let heard = async {
            tunnel::say(words, &Word::Performed { note, came }).await?;
            self.way.unless_given_up(tunnel::hear(words)).await
        };
        let (runs, note) = match heard.await {
            Ok(Word::Finished { note, runs }) => (runs, read_note(&note).unwrap_or_default()),
            // Frozen: whether it runs there is for the control plane to find out.
            Ok(other) if came => return Err(odd(other)),
            Err(why) if came => return Err(why),
            _it_never_left => (false, Vec::new()),
        };
        let confirm =
            move |domain: &Domain, way: &migrate::Way| migrate::confirm(domain, way, &note, runs);
        let confirmed = self.on_guest(&link, &way, confirm).await;
        performed?;
        if !runs {
            return Err("the guest could not be let run on the other host".to_owned());
        }
        confirmed
    }

    /// Brings the guest there; meanwhile it is said how far it is, and it may be given up.
    async fn perform(
        &self,
        link: &Arc<Open>,
        way: &migrate::Way,
        note: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let perform =
            move |domain: &Domain, way: &migrate::Way| migrate::perform(domain, way, &note);
        let performing = self.on_guest(link, way, perform);
        tokio::pin!(performing);
        let mut given_up = false;
        loop {
            tokio::select! {
                done = &mut performing => return done,
                _why = self.way.given_up(), if !given_up => {
                    given_up = true;
                    self.ask("give a guest's way up", |domain| {
                        unless_late(migrate::give_up(domain))
                    }).await;
                }
                () = self.clock.sleep(PROGRESS) => {
                    // Not `get_job_stats`: that frees with this program's allocator what libvirt's made.
                    let stats = self.ask("see how far a guest is", Domain::get_job_info).await;
                    if let Some(stats) = stats {
                        self.way.board().1.carried = Some(carried(&stats));
                    }
                }
            }
        }
    }

    /// Something that another thread may ask of the guest meanwhile.
    async fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        job: impl FnOnce(&Domain) -> Result<T, virt::error::Error> + Send + 'static,
    ) -> Option<T> {
        let (shared, server) = (Arc::clone(&self.shared), self.spec.server_id.clone());
        let asked = blocking(move || {
            let found = shared.link.with(what, |connect| {
                let domain = find(connect, server.as_str())?;
                domain.map(|domain| job(&domain)).transpose()
            });
            found.map_err(|why| why.to_string())
        });
        asked.await.ok().flatten()
    }

    /// A step of the migration, on its own connection.
    async fn on_guest<T: Send + 'static>(
        &self,
        link: &Arc<Open>,
        way: &migrate::Way,
        job: impl FnOnce(&Domain, &migrate::Way) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (link, way, server) = (Arc::clone(link), way.clone(), self.spec.server_id.clone());
        blocking(move || {
            let found = find(link.connect(), server.as_str());
            let found = found.map_err(|why| why.message().to_owned())?;
            job(&found.ok_or("the guest is not here")?, &way)
        })
        .await
    }
}

fn listen(path: &Path) -> Result<UnixListener, String> {
    let opened = UnixListener::bind(path).and_then(|listener| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))?;
        Ok(listener)
    });
    opened.map_err(|why| format!("cannot listen at {}: {why}", path.display()))
}

fn carried(stats: &JobStats) -> Carried {
    let bytes = |said: Option<u64>| said.unwrap_or(0);
    Carried {
        memory_total: bytes(stats.mem_total),
        memory_processed: bytes(stats.mem_processed),
        memory_remaining: bytes(stats.mem_remaining),
        disk_total: bytes(stats.disk_total),
        disk_processed: bytes(stats.disk_processed),
        disk_remaining: bytes(stats.disk_remaining),
    }
}
