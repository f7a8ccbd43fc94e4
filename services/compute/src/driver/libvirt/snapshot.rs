//! Root disks as they are at one moment, each as one file that stands on no other.
//!
//! Of a guest that is on, QEMU's backup job copies the disk while the guest writes on; of one that is off, `qemu-img` does.
//! Either is told what the files are, and reads no header to find out. What a killed agent had begun is begun anew: the
//! folder is empty when an agent starts.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nephos_runtime::crash_point;
use roxmltree::Document;
use virt::domain::Domain;

use super::backup::{self, Job};
use super::disks::remove_file;
use super::link::find;
use super::{LibvirtDriver, Shared, carry, child};
use crate::driver::{Driver as _, DriverError, NOT_ON, Pipe};
use crate::model::snapshot::SnapshotWish;
use crate::model::spec::{ImageId, ServerId};

/// The root disk's device.
const ROOT: &str = "vda";
/// So often it is asked whether a disk has been copied.
const LOOK: Duration = Duration::from_millis(500);

/// The folder of them.
pub struct Snapshots {
    dir: PathBuf,
}

impl Snapshots {
    /// Those in `dir`; there are none yet.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(dir: PathBuf) -> Result<Self, DriverError> {
        let prepare = || -> std::io::Result<()> {
            std::fs::create_dir_all(&dir)?;
            // QEMU's user passes through; what there is, is for nobody else.
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711))?;
            for entry in std::fs::read_dir(&dir)? {
                std::fs::remove_file(entry?.path())?;
            }
            Ok(())
        };
        prepare().map_err(|cause| DriverError::file("prepare", &dir, &cause))?;
        Ok(Self { dir })
    }

    fn place(&self, image: &ImageId) -> Result<PathBuf, DriverError> {
        // The id names a file and comes from the feed: nothing but a UUID may get there.
        let uuid = uuid::Uuid::parse_str(image.as_str())
            .map_err(|_| DriverError::Refused(format!("'{image}' is no image id")))?;
        Ok(self.dir.join(format!("{}.qcow2", uuid.hyphenated())))
    }
}

/// What became of a wish to copy the disk of a guest that is on.
enum Begun {
    /// It is being copied.
    Copying,
    /// The guest is off.
    Off,
}

impl LibvirtDriver {
    /// Makes the file; gives its length.
    pub(super) async fn take(
        &self,
        server: &ServerId,
        wish: &SnapshotWish,
    ) -> Result<u64, DriverError> {
        let place = self.shared.snapshots.place(&wish.image)?;
        remove_file(&place)?;
        crash_point!("snapshot.before_copy");
        let (id, file) = (server.clone(), place.clone());
        let begun = self.call(
            server.as_str(),
            "copy a disk",
            self.deadlines.power,
            move |shared| shared.begin_copy(&id, &file),
        );
        match begun.await? {
            Begun::Copying => self.copied(server).await?,
            Begun::Off if wish.on => return Err(DriverError::Unavailable(NOT_ON.to_owned())),
            Begun::Off => {
                let disk = self.shared.disks.disk(server, wish.epoch)?;
                child::flatten(&disk, &place, &self.clock).await?;
            }
        }
        crash_point!("snapshot.copied");
        let there = std::fs::metadata(&place);
        let there = there.map_err(|cause| DriverError::file("read", &place, &cause))?;
        Ok(there.len())
    }

    /// Waits until QEMU has copied it.
    async fn copied(&self, server: &ServerId) -> Result<(), DriverError> {
        loop {
            self.clock.sleep(LOOK).await;
            let id = server.clone();
            let looked = self.call(
                server.as_str(),
                "look at a disk that is copied",
                self.deadlines.look,
                move |shared| shared.look_at_copy(&id),
            );
            match looked.await? {
                None => {}
                Some(Ok(())) => return Ok(()),
                Some(Err(why)) if why.contains("No space left") => {
                    return Err(DriverError::Refused(format!(
                        "the host's disk is full: {why}"
                    )));
                }
                Some(Err(why)) => {
                    return Err(DriverError::Failed(format!("cannot copy the disk: {why}")));
                }
            }
        }
    }

    /// Opens the file.
    pub(super) async fn open_taken(&self, image: &ImageId) -> Result<Pipe, DriverError> {
        carry::open(&self.shared.snapshots.place(image)?, 0).await
    }

    /// Gives up what is under way, and removes the file.
    pub(super) async fn drop_taken(
        &self,
        server: &ServerId,
        image: &ImageId,
    ) -> Result<(), DriverError> {
        let place = self.shared.snapshots.place(image)?;
        let given_up = self.give_up_copy(server).await;
        remove_file(&place)?;
        given_up
    }

    /// Gives up whatever is being copied of any guest here.
    pub(super) async fn give_up_copies(&self) -> Result<(), DriverError> {
        let mut outcome = Ok(());
        for server in self.list().await? {
            // One that cannot be asked is not in the way of the others.
            outcome = outcome.and(self.give_up_copy(&server).await);
        }
        outcome
    }

    async fn give_up_copy(&self, server: &ServerId) -> Result<(), DriverError> {
        let id = server.clone();
        let given_up = self.call(
            server.as_str(),
            "give up copying a disk",
            self.deadlines.change,
            move |shared| {
                let give_up = |domain: Domain| backup::give_up(&domain);
                shared.link.with("give up copying a disk", |connect| {
                    find(connect, id.as_str())?.map_or(Ok(()), give_up)
                })
            },
        );
        given_up.await
    }
}

impl Shared {
    fn begin_copy(&self, server: &ServerId, file: &Path) -> Result<Begun, DriverError> {
        self.link.with("copy a disk", |connect| {
            let Some(domain) = find(connect, server.as_str())? else {
                return Ok(Begun::Off);
            };
            if !domain.is_active()? {
                return Ok(Begun::Off);
            }
            // One that an agent before this one had begun.
            backup::give_up(&domain)?;
            let devices = devices(&domain.get_xml_desc(0)?);
            backup::begin(&domain, ROOT, &devices, file).map(|()| Begun::Copying)
        })
    }

    /// None: it goes on.
    fn look_at_copy(&self, server: &ServerId) -> Result<Option<Result<(), String>>, DriverError> {
        let ended = |why: &str| Ok(Some(Err(why.to_owned())));
        self.link.with("look at a disk that is copied", |connect| {
            let Some(domain) = find(connect, server.as_str())? else {
                return ended("the guest is gone");
            };
            if !domain.is_active()? {
                return ended("the guest was switched off meanwhile");
            }
            match backup::job(&domain)? {
                Job::BackingUp => Ok(None),
                Job::None | Job::Other => backup::outcome(&domain).map(Some),
            }
        })
    }
}

/// The devices of a guest's disks.
fn devices(xml: &str) -> Vec<String> {
    let Ok(document) = Document::parse(xml) else {
        return Vec::new();
    };
    let disks = document
        .descendants()
        .filter(|node| node.has_tag_name("disk"));
    let targets = disks.filter_map(|disk| disk.children().find(|node| node.has_tag_name("target")));
    targets
        .filter_map(|target| target.attribute("dev").map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disk_of_a_guest_is_named() {
        let xml = "<domain><devices><disk type='file'><target dev='vda'/></disk><interface><target dev='tap1'/></interface>\
                   <disk type='network'><target dev='vdb'/></disk></devices></domain>";
        assert_eq!(devices(xml), ["vda", "vdb"]);
    }

    #[test]
    fn the_folder_is_empty_at_the_start_and_holds_nothing_but_images() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("left.qcow2"), "x").unwrap();
        let snapshots = Snapshots::open(dir.path().to_owned()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let id = "9F0F1D9C-0D1C-4D3C-8F6E-1A2B3C4D5E6F".into();
        let place = snapshots.place(&id).unwrap();
        assert!(place.ends_with("9f0f1d9c-0d1c-4d3c-8f6e-1a2b3c4d5e6f.qcow2"));
        assert!(snapshots.place(&"../../etc/passwd".into()).is_err());
    }
}
