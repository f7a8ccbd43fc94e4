//! Encrypted volumes: LUKS as QEMU writes it, without any device of the kernel's. A child gets the key through a pipe, so it
//! is in no file, in no environment and on no command line.
//!
//! Only making such a file needs the key. It grows, is copied and moved as it is.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nephos_runtime::crash_point;

use super::{Driver, DriverError, blocking, child, publish};
use crate::model::encryption::{Luks, Passphrase};
use crate::model::layer::{Format, Layer};

/// What such a file begins with.
pub(crate) const MAGIC: &[u8; 6] = b"LUKS\xba\xbe";
/// Why one is not copied.
pub(crate) const NO_COPY: &str = "an encrypted volume can only be copied where files share blocks; let the back end's folder be on XFS or btrfs";

/// Where the header (version 1) says at which sector of 512 bytes the disk begins: a number of four bytes.
const PAYLOAD_AT: u64 = 104;
const SECTOR: u64 = 512;

impl Driver {
    /// An encrypted disk with nothing in it. Its sectors hold whatever the key makes of what is in the file: as with any
    /// encrypted disk, what was never written is noise.
    pub(crate) async fn create_encrypted(
        &self,
        (name, size_bytes): (&str, u64),
        luks: &Luks,
        key: &Passphrase,
    ) -> Result<(), DriverError> {
        if self.exists(name) {
            return Ok(());
        }
        let part = self.part(name);
        child::create_luks((&part, size_bytes), luks, (key, &self.clock)).await?;
        crash_point!("driver.encrypted");
        self.finish_encrypted(name).await
    }

    /// An encrypted disk that begins as a layer that is not encrypted, an image's.
    pub(crate) async fn encrypt(
        &self,
        layer: &Layer,
        (name, size_bytes): (&str, u64),
        (luks, key): (&Luks, &Passphrase),
    ) -> Result<(), DriverError> {
        if self.exists(name) {
            return Ok(());
        }
        if layer.format != Format::Raw {
            let why = format!("layer {} is not an image's", layer.id);
            return Err(DriverError::Refused(why));
        }
        let (from, part) = (self.path(&layer.file()), self.part(name));
        child::create_luks((&part, size_bytes), luks, (key, &self.clock)).await?;
        crash_point!("driver.encrypted");
        child::encrypt(&from, &part, (key, &self.clock)).await?;
        crash_point!("driver.image_encrypted");
        self.finish_encrypted(name).await
    }

    async fn finish_encrypted(&self, name: &str) -> Result<(), DriverError> {
        let (part, path) = (self.part(name), self.path(name));
        blocking(move || {
            let synced = File::open(&part).and_then(|file| file.sync_all());
            synced.map_err(|cause| DriverError::file("write", &part, &cause))?;
            publish(&part, &path)
        })
        .await
    }
}

/// Makes the disk in a file at least so large; the header does not say how large it is.
pub(super) fn grow(path: &Path, size_bytes: u64) -> Result<(), DriverError> {
    let broken = |cause: std::io::Error| DriverError::file("extend", path, &cause);
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).open(path).map_err(broken)?;
    let mut magic = [0; 6];
    file.read_exact(&mut magic).map_err(broken)?;
    let mut sector = [0; 4];
    file.read_exact_at(&mut sector, PAYLOAD_AT)
        .map_err(broken)?;
    let begins = u64::from(u32::from_be_bytes(sector)) * SECTOR;
    if magic != *MAGIC || begins == 0 {
        let name = path.file_name().unwrap_or_default().display();
        return Err(DriverError::Refused(format!("{name} is no LUKS disk")));
    }
    let whole = begins.saturating_add(size_bytes);
    if file.metadata().map_err(broken)?.len() < whole {
        file.set_len(whole).map_err(broken)?;
        file.sync_all().map_err(broken)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nephos_runtime::Clock;

    use super::*;
    use crate::model::layer::{LayerId, LayerState};

    fn luks() -> Luks {
        Luks {
            cipher: "aes-256".to_owned(),
            mode: "xts".to_owned(),
            iv: "plain64".to_owned(),
        }
    }

    fn key() -> Passphrase {
        Passphrase("0123456789abcdef".to_owned())
    }

    /// Reads or writes through QEMU, as a guest does.
    fn qemu_io(path: &Path, command: &str) -> bool {
        let image = format!(
            "driver=luks,key-secret=k,file.driver=file,file.filename={}",
            path.display()
        );
        let done = Command::new("qemu-io")
            .args(["--object", "secret,id=k,data=0123456789abcdef"])
            .args(["--image-opts", &image, "-c", command])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        done.status.success() && !said.contains("failed") && !said.contains("error")
    }

    #[tokio::test]
    async fn an_encrypted_disk_is_a_file_that_only_its_key_opens_and_grows_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let driver = Driver::open(folder.path(), Clock::system()).unwrap();
        let (luks, key) = (luks(), key());
        let made = driver.create_encrypted(("v", 64 << 20), &luks, &key);
        made.await.unwrap();
        assert!(driver.fits("v", Format::Luks) && !driver.fits("v", Format::Qcow2));
        let path = driver.path("v");
        assert!(qemu_io(&path, "write -P 0x41 1M 64k"));
        assert!(!qemu_io(&path, "write 64M 64k"));
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(512).any(|some| some == [0x41; 512]));
        driver.grow("v", Format::Luks, 128 << 20).await.unwrap();
        driver.grow("v", Format::Luks, 128 << 20).await.unwrap();
        assert!(qemu_io(&path, "write -P 0x42 127M 1M"));
        assert!(qemu_io(&path, "read -P 0x41 1M 64k"));
        assert!(!qemu_io(&path, "write 128M 64k"));
    }

    #[tokio::test]
    async fn an_image_comes_in_encrypted() {
        let folder = tempfile::tempdir().unwrap();
        let driver = Driver::open(folder.path(), Clock::system()).unwrap();
        let layer = Layer {
            id: LayerId::from("l"),
            backend: "local".to_owned(),
            format: Format::Raw,
            parent: None,
            source: None,
            image: Some("i".to_owned()),
            size_bytes: 1 << 20,
            state: LayerState::Kept,
        };
        std::fs::write(driver.path(&layer.file()), vec![0x43; 1 << 20]).unwrap();
        let (luks, key) = (luks(), key());
        let made = driver.encrypt(&layer, ("v", 8 << 20), (&luks, &key));
        made.await.unwrap();
        let path = driver.path("v");
        assert!(qemu_io(&path, "read -P 0x43 0 1M"));
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(512).any(|some| some == [0x43; 512]));
        assert!(
            driver
                .list()
                .unwrap()
                .iter()
                .all(|name| !name.ends_with(".part"))
        );
    }
}
