//! Whether this cloud is running: a locked file that holds the process id. The lock dies with the process, however it dies.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Held while the process runs.
#[derive(Debug)]
pub struct Running {
    _lock: Flock<File>,
}

/// What the lock said.
#[derive(Debug)]
pub enum Claim {
    /// Nobody else runs this cloud.
    Ours(Running),
    /// This process does.
    Theirs(i32),
}

impl Running {
    /// Says that this process runs the cloud of `state_dir`.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn claim(state_dir: &Path) -> anyhow::Result<Claim> {
        claim(&path(state_dir))
    }
}

/// Locks a file in the name of this process.
///
/// # Errors
/// When the file cannot be used.
pub(crate) fn claim(path: &Path) -> anyhow::Result<Claim> {
    match lock(path)? {
        Ok(mut held) => {
            held.set_len(0)?;
            held.seek(SeekFrom::Start(0))?;
            writeln!(held, "{}", std::process::id())?;
            Ok(Claim::Ours(Running { _lock: held }))
        }
        Err(pid) => Ok(Claim::Theirs(pid)),
    }
}

/// The process that runs the cloud of `state_dir`; none when nobody does.
///
/// # Errors
/// When the file cannot be used.
pub fn pid(state_dir: &Path) -> anyhow::Result<Option<i32>> {
    if !path(state_dir).exists() {
        return Ok(None);
    }
    Ok(lock(&path(state_dir))?.err())
}

/// Sends a signal to the process `pid` gave.
///
/// # Errors
/// When it is another user's.
pub fn signal(pid: i32, signal: Signal) -> anyhow::Result<()> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(why) => Err(why).with_context(|| format!("cannot signal process {pid}")),
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("nephos.pid")
}

/// The lock, or the process that has it.
fn lock(path: &Path) -> anyhow::Result<Result<Flock<File>, i32>> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Ok(held)),
        Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(Err(text.trim().parse().unwrap_or(0)))
        }
        Err((_, why)) => Err(why).with_context(|| format!("cannot lock {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_and_the_second_learns_which() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(pid(folder.path()).unwrap(), None);
        let Claim::Ours(held) = Running::claim(folder.path()).unwrap() else {
            panic!("nobody else is here");
        };
        let ours = i32::try_from(std::process::id()).unwrap();
        assert_eq!(pid(folder.path()).unwrap(), Some(ours));
        assert!(
            matches!(Running::claim(folder.path()).unwrap(), Claim::Theirs(pid) if pid == ours)
        );
        drop(held);
        assert_eq!(pid(folder.path()).unwrap(), None);
    }
}
