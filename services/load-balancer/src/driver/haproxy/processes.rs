//! The haproxys of a folder: found by what `/proc` says they were started with, so that nothing has to be remembered.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often it is looked whether a process has ended.
const TICK: Duration = Duration::from_millis(5);
/// A process that is told to end has so long.
const GRACE: Duration = Duration::from_secs(2);

/// A haproxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number,
    pub pid: i32,
    /// which is its own together with when it was started, in ticks since the machine was.
    pub started: u64,
    /// The configuration it was started with.
    pub config: PathBuf,
}

impl Process {
    /// The haproxy of this number, if it is one of `folder`.
    pub fn of(pid: i32, folder: &Path) -> Option<Self> {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let mut words = words.split(|byte| *byte == 0);
        let program = words.next()?;
        if !program.ends_with(b"haproxy") {
            return None;
        }
        words.find(|word| *word == b"-f")?;
        let config = PathBuf::from(str::from_utf8(words.next()?).ok()?);
        Some(Self {
            pid,
            started: started(pid)?,
            config: config.starts_with(folder).then_some(config)?,
        })
    }

    fn is_alive(&self) -> bool {
        started(self.pid) == Some(self.started)
    }

    fn tell(&self, signal: Signal) {
        if self.is_alive() {
            let _it_may_just_have_ended = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Whether it lives in the network namespace of this file.
    pub fn is_in(&self, space: &Path) -> bool {
        let same = |file: &Path| fs::metadata(file).map(|file| (file.dev(), file.ino())).ok();
        let own = same(Path::new(&format!("/proc/{}/ns/net", self.pid)));
        own.is_some() && own == same(space)
    }
}

/// When a process was started; none: there is none, or only what is left of one.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, which may have anything in it, stands in parentheses; the state is the third word, this the 22nd.
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    let state = rest.next()?;
    let started = rest.nth(18)?.parse().ok()?;
    (!["Z", "X"].contains(&state)).then_some(started)
}

/// All haproxys of a folder, the oldest first.
pub fn all(folder: &Path) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut all: Vec<_> = pids.filter_map(|pid| Process::of(pid, folder)).collect();
    all.sort_by_key(|process| (process.started, process.pid));
    all
}

/// Tells processes to end with their last connections.
pub fn tell_to_end<'a>(processes: impl Iterator<Item = &'a Process>) {
    processes.for_each(|process| process.tell(Signal::SIGUSR1));
}

/// Ends processes, and waits until they have. Whether they have.
pub fn end(processes: &[Process]) -> bool {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        processes.iter().for_each(|process| process.tell(signal));
        let mut waited = Duration::ZERO;
        while waited < GRACE {
            if !processes.iter().any(Process::is_alive) {
                return true;
            }
            std::thread::sleep(TICK);
            waited += TICK;
        }
    }
    false
}
