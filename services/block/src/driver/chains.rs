//! Overlays that come to stand further below: what lay between comes into the overlay, and takes room a second time until
//! the layer between is gone. Nobody else's room is taken for that.

use std::time::Duration;

use super::{Driver, DriverError, child};
use crate::model::layer::Format;

/// Bytes that stay free in any case, also where no reserve is wanted: servers are writing.
const SPARE: u64 = 64 << 20;
/// How often it is looked at the room while an overlay grows.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Driver {
    /// Has an overlay stand on the layer below the one that it stands on; what it holds stays the same at every instant.
    ///
    /// # Errors
    /// [`DriverError::Full`] when less than `reserved_bytes` would stay free; [`DriverError::Failed`] when `wanted` comes to
    /// its end: somebody wants the file. It has taken a part of what it needs then at the most, which it does not need a
    /// second time.
    pub(crate) async fn rebase(
        &self,
        (name, base): (&str, (&str, Format)),
        reserved_bytes: u64,
        wanted: impl Future<Output = ()>,
    ) -> Result<(), DriverError> {
        let (path, clock) = (self.path(name), &self.clock);
        let kept = reserved_bytes.max(SPARE);
        let room = self.room()?.free.saturating_sub(kept);
        if child::between(&path, room, clock).await? > room {
            return Err(DriverError::Full(format!(
                "what lies below {name} needs more than the {room} bytes that are free above the reserve"
            )));
        }
        let full = async {
            loop {
                clock.sleep(LOOK_EVERY).await;
                if self.room().is_ok_and(|room| room.free < kept) {
                    return DriverError::Full("the back end is full".to_owned());
                }
            }
        };
        let stop = async {
            tokio::select! {
                biased;
                () = wanted => DriverError::Failed("somebody wants to use what stands on it".to_owned()),
                why = full => why,
            }
        };
        child::rebase(&path, base, (clock, stop)).await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use nephos_runtime::Clock;

    use super::*;

    #[track_caller]
    fn run(program: &str, args: &[&str], folder: &Path) {
        let done = Command::new(program)
            .args(args)
            .current_dir(folder)
            .status();
        assert!(done.unwrap().success(), "{program} {args:?}");
    }

    /// `a`, a disk of 8 GiB, `b` over it, and `c` over both.
    fn chain(folder: &Path) {
        run(
            "qemu-img",
            &["create", "-q", "-f", "qcow2", "a", "8G"],
            folder,
        );
        for (below, above) in [("a", "b"), ("b", "c")] {
            let over = [
                "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", below, above,
            ];
            run("qemu-img", &over, folder);
        }
        // All of these is data of `a`; zeroes in `b` hide some, and are as much work as any bytes.
        run("qemu-io", &["-c", "write -q 0 4M", "a"], folder);
        run(
            "qemu-io",
            &["-c", "write -q 4M 1M", "-c", "write -q -z 0 2M", "b"],
            folder,
        );
        run("qemu-io", &["-c", "write -q 7G 1M", "b"], folder);
        // What is above already is not needed again.
        run("qemu-io", &["-c", "write -q 4M 512k", "c"], folder);
    }

    #[tokio::test]
    async fn what_lies_between_is_measured_and_no_more_is_taken_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        chain(folder.path());
        let driver = Driver::open(folder.path(), Clock::system()).unwrap();
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        let mib = |count: u64| count << 20;
        let between = child::between(&driver.path("c"), u64::MAX, &driver.clock).await;
        // 3.5 MiB in two pieces, and the tables of each.
        assert_eq!(between, Ok(mib(9) / 2));
        let before = size("c");
        let never = std::future::pending;
        let to = ("c", ("a", Format::Qcow2));
        let refused = driver.rebase(to, u64::MAX, never()).await;
        assert!(matches!(refused, Err(DriverError::Full(_))), "{refused:?}");
        assert_eq!(size("c"), before);
        driver.rebase(to, 0, never()).await.unwrap();
        assert!(size("c") > before);
        let taken = size("c") - before;
        assert!(taken <= mib(9) / 2, "{taken}");
        std::fs::remove_file(folder.path().join("b")).unwrap();
        run(
            "qemu-io",
            &[
                "-c",
                "read -q -P 0 0 2M",
                "-c",
                "read -q -P 0xcd 2M 2M",
                "c",
            ],
            folder.path(),
        );
    }

    #[tokio::test]
    async fn one_that_is_in_somebodys_way_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        chain(folder.path());
        let driver = Driver::open(folder.path(), Clock::system()).unwrap();
        let (to, at_once) = (("c", ("a", Format::Qcow2)), std::future::ready(()));
        let stopped = driver.rebase(to, 0, at_once).await;
        assert!(
            matches!(stopped, Err(DriverError::Failed(_))),
            "{stopped:?}"
        );
        // Nobody has it open any more, and it is what it was.
        run(
            "qemu-io",
            &[
                "-c",
                "write -q 5M 64k",
                "-c",
                "read -q -P 0 0 2M",
                "-c",
                "read -q -P 0xcd 2M 2M",
                "c",
            ],
            folder.path(),
        );
    }
}
