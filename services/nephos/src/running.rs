//! Whether this cloud is running: a locked file that holds the process id. The lock dies with the process, however it dies.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nephos_runtime::Clock;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::settings::Settings;

/// The first start makes keys and accounts; later ones take less than a second.
pub const PATIENCE: Duration = Duration::from_secs(60);

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

/// The process that runs the cloud and answers; none when nobody does. One that is only just starting or dying is waited
/// for: what was killed keeps the lock until the kernel has taken it apart.
///
/// # Errors
/// When a process has the lock and does not answer, for as long as a first start may take.
pub fn answering(settings: &Settings) -> anyhow::Result<Option<i32>> {
    let clock = Clock::system();
    loop {
        let Some(pid) = pid(&settings.state_dir)? else {
            return Ok(None);
        };
        if answers(settings.listen).unwrap_or(false) {
            return Ok(Some(pid));
        }
        anyhow::ensure!(
            clock.monotonic() < PATIENCE,
            "process {pid} runs this cloud and does not answer at {}; `nephos down` ends it",
            settings.listen
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether the cloud at this address says that it is well.
///
/// # Errors
/// When nobody listens there.
pub fn answers(at: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.") && answer.contains(" 200 "))
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
